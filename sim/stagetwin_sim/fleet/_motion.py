"""The fleets of all worlds, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import FleetError
from stagetwin_sim.engine import Saved
from stagetwin_sim.fleet._arrays import HeldArrays, fields_of, make_arrays
from stagetwin_sim.fleet._avoid_kernels import avoid_others
from stagetwin_sim.fleet._begin import begin_state
from stagetwin_sim.fleet._limits import device_drives, device_kinds, device_options
from stagetwin_sim.fleet._move_kernels import move_discs, move_vehicles
from stagetwin_sim.fleet._obstacles import make_grid, make_layout
from stagetwin_sim.fleet._orders import VehicleOrders
from stagetwin_sim.fleet._paths import Paths
from stagetwin_sim.fleet._plan import MotionPlan
from stagetwin_sim.fleet._sort_kernels import count_cells, sort_people, sort_vehicles
from stagetwin_sim.fleet._state_kernels import FleetState, PeopleState, count_tick
from stagetwin_sim.fleet._survey_kernels import survey_vehicles
from stagetwin_sim.fleet._walk_kernels import walk_people

__all__ = ["Motion"]


class Motion(VehicleOrders):
    """Vehicles and people of any number of worlds, on one device.

    Worlds know nothing of each other: what happens in one is the same, bit for bit, however many
    there are beside it.

    Args:
        plan: what it is made from.
        worlds: how many.
        seed: of everything random: that of the first world, and one more for each after it; or one
            for each.
        device: Warp's name of it.

    Attributes:
        plan, worlds, device: as given.
        state: what the vehicles are and do, a `FleetState`.
        people: those who walk, a `PeopleState`.
        paths: where the vehicles' polylines lie.
        types: index of each vehicle's type on the device, shape (worlds, vehicles).
        drives: `DriveLimits` of each type on the device.
        seeds, ticks: what randomness follows, int32, shape (worlds,).

    Raises:
        FleetError: the plan is for another number of worlds.
    """

    def __init__(
        self,
        plan: MotionPlan,
        worlds: int = 1,
        seed: int | Sequence[int] = 0,
        device: str = "cpu",
    ) -> None:
        wp.init()
        self.plan, self.worlds, self.device = plan, worlds, device
        poses = np.asarray(plan.poses, np.float64)
        if poses.ndim == 3 and len(poses) != worlds:
            raise FleetError(f"poses must be of {worlds} worlds, got {len(poses)}")
        seeds = np.asarray(seed, np.int64)
        seeds = seeds + np.arange(worlds) if seeds.ndim == 0 else seeds
        if len(seeds) != worlds:
            raise FleetError(f"seed must be one, or one for each of {worlds} worlds")
        self._count = plan.vehicles
        self._walkers = plan.people.count if plan.people else 0
        self._entries = self._count + self._walkers
        self.seeds: wp.array[Any] = _int(seeds & 0x7FFFFFFF, device)
        self.ticks: wp.array[Any] = wp.zeros(worlds, dtype=wp.int32, device=device)
        self.types: wp.array[Any] = _int(np.tile(plan.type_indices(), (worlds, 1)), device)
        self.drives: wp.array[Any] = device_drives(plan.types, plan.noise.lag, device)
        self.kinds: wp.array[Any] = device_kinds(plan.types, device)
        self.options = device_options(plan)
        self.paths = Paths(plan, worlds, device)
        self.state: Any = make_arrays(FleetState, (worlds, self._count), device)
        self.people: Any = make_arrays(PeopleState, (worlds, self._walkers), device)
        self._make_grids()
        self._graph: Any = None
        self._warm = False
        held = {name: getattr(self.state, name) for name in fields_of(FleetState)}
        held |= self.paths.own() | {"ticks": self.ticks, "seeds": self.seeds}
        if self._walkers:
            held |= {f"people_{n}": getattr(self.people, n) for n in fields_of(PeopleState)}
        self._held = HeldArrays(held, worlds, device)
        # Randomness goes on after a reset: another episode is not the same one again.
        going_on = {"ticks", "seeds"}
        self._resettable = HeldArrays(
            {name: array for name, array in held.items() if name not in going_on}, worlds, device
        )
        begin_state(plan, self.state, self.people, worlds)
        self._resettable.keep_first()

    def _make_grids(self) -> None:
        plan, worlds, device = self.plan, self.worlds, self.device
        floor = plan.floor()
        self.grid = make_grid(floor, plan.neighbour_distance, self._entries)
        cells = worlds * self.grid.columns * self.grid.rows
        total = worlds * self._entries
        self._cells: wp.array[Any] = wp.zeros(total, dtype=wp.int32, device=device)
        self._ranks: wp.array[Any] = wp.zeros(total, dtype=wp.int32, device=device)
        self._counts: wp.array[Any] = wp.zeros(cells + 1, dtype=wp.int32, device=device)
        self.starts: wp.array[Any] = wp.zeros(cells + 1, dtype=wp.int32, device=device)
        self.bodies: wp.array[Any] = wp.zeros(total, dtype=wp.vec4, device=device)
        self.sizes: wp.array[Any] = wp.zeros(total, dtype=wp.float32, device=device)
        self.numbers: wp.array[Any] = wp.zeros(total, dtype=wp.int32, device=device)
        fastest, slowest = plan.fastest(), min(kind.deceleration for kind in plan.types)
        deep = fastest**2 / (2 * slowest) + fastest * plan.field_reaction + plan.field_front
        reach = plan.largest() + max(plan.wall_horizon * fastest, deep + plan.field_side)
        self.layout, firsts = make_layout(plan.layouts(), floor, reach, device)
        self.firsts: wp.array[Any] = _int(firsts, device)
        chosen = np.zeros(self.worlds) if plan.world_layouts is None else plan.world_layouts
        chosen = np.asarray(chosen, np.int32)
        if chosen.shape != (worlds,) or chosen.min() < 0 or chosen.max() >= len(plan.layouts()):
            text = f"an index below {len(plan.layouts())} for each of {worlds} worlds"
            raise FleetError(f"world_layouts must have {text}, got {chosen.tolist()}")
        self.layouts: wp.array[Any] = _int(chosen, device)

    # -- steps

    def step(self, count: int = 1) -> None:
        """Move on by `count` steps; all but the first two replay a graph."""
        for _ in range(count):
            if self._graph is not None:
                wp.capture_launch(self._graph)
            elif not self._warm:
                self.launch()
                self._warm = True  # kernels are loaded, which no capture may do
            else:
                with wp.ScopedCapture(device=self.device) as capture:
                    self.launch()
                self._graph = capture.graph
                wp.capture_launch(self._graph)

    def launch(self) -> None:
        """Launch the kernels of one step, and nothing else: it may be part of a graph.

        A step judges the state that it begins from (fields, collisions, near misses), chooses
        velocities, and moves.
        """
        plan, device, state = self.plan, self.device, self.state
        self.arrange()
        near = [self.grid, self.starts, self.bodies, self.sizes, self.numbers]
        walls = [self.layout, self.layouts]
        total = self.worlds * self._entries
        if plan.counting or plan.fields:
            wp.launch(
                survey_vehicles,
                dim=total,
                inputs=[self.options, self.types, self.drives, self.kinds, *near, *walls],
                outputs=[state],
                device=device,
            )
        wp.launch(
            avoid_others,
            dim=total,
            inputs=[self.options, self.types, self.drives, *near, *walls, self.seeds],
            outputs=[state],
            device=device,
        )
        if plan.discs:
            wp.launch(
                move_discs,
                dim=(self.worlds, self._count),
                inputs=[plan.step],
                outputs=[state],
                device=device,
            )
        else:
            wp.launch(
                move_vehicles,
                dim=(self.worlds, self._count),
                inputs=[
                    self.options,
                    self.types,
                    self.drives,
                    self.kinds,
                    self.paths.table,
                    self.seeds,
                    self.ticks,
                ],
                outputs=[state],
                device=device,
            )
        if plan.people and self._walkers:
            area = wp.vec4(*(plan.people.area or plan.floor()))
            wp.launch(
                walk_people,
                dim=(self.worlds, self._walkers),
                inputs=[plan.step, area, plan.people.rest, self.layout, self.firsts, self.layouts],
                outputs=[self.seeds, self.ticks, self.people],
                device=device,
            )
        wp.launch(count_tick, dim=self.worlds, outputs=[self.ticks], device=device)

    def arrange(self) -> None:
        """Launch what sorts everybody by the cells of the grid, from the poses as they are."""
        device, state, options = self.device, self.state, self.options
        sides = [(state, 0, self._count)]
        if self._walkers:
            sides.append((self.people, self._count, self._walkers))
        self._counts.zero_()
        for group, first, count in sides:
            wp.launch(
                count_cells,
                dim=(self.worlds, count),
                inputs=[self.grid, group.x, group.y, first, self._entries],
                outputs=[self._cells, self._ranks, self._counts],
                device=device,
            )
        wp.utils.array_scan(self._counts, self.starts, inclusive=False)
        where = [self._cells, self._ranks, self.starts, options]
        sorted_ = [self.bodies, self.sizes, self.numbers]
        wp.launch(
            sort_vehicles,
            dim=(self.worlds, self._count),
            inputs=[*where, self.types, self.kinds, state],
            outputs=sorted_,
            device=device,
        )
        if self._walkers:
            wp.launch(
                sort_people,
                dim=(self.worlds, self._walkers),
                inputs=[*where, self.people],
                outputs=sorted_,
                device=device,
            )

    # -- the whole of it

    def save(self) -> Saved:
        """Return the complete state: loaded, all goes on as it did, bit for bit."""
        return self._held.save()

    def load(self, saved: Saved) -> None:
        """Take a state that a motion of the same plan and as many worlds saved.

        Raises:
            SnapshotError: it does not fit.
        """
        self._held.load(saved)

    def reset(self, mask: npt.ArrayLike | wp.array[Any] | None = None) -> None:
        """Put worlds back to their beginning; randomness goes on.

        Args:
            mask: which, shape (worlds,); on the device (int32) nothing waits. None is all.
        """
        if not isinstance(mask, wp.array):
            chosen = np.ones(self.worlds) if mask is None else np.asarray(mask)
            if chosen.shape != (self.worlds,):
                raise FleetError(f"mask must be of {self.worlds} worlds, got {chosen.shape}")
            mask = _int(chosen != 0, self.device)
        self._resettable.reset(mask)


def _int(values: Any, device: str) -> wp.array[Any]:
    return wp.array(np.ascontiguousarray(values, np.int32), dtype=wp.int32, device=device)
