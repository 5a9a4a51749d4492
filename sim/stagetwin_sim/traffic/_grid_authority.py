"""The authority of a grid: PIBT plans, an action dependency graph says how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import TrafficError
from stagetwin_sim.engine import host_copy
from stagetwin_sim.fleet import Motion
from stagetwin_sim.fleet._arrays import fields_of
from stagetwin_sim.traffic._graph_kernels import RING, GraphState, drive_grid
from stagetwin_sim.traffic._grid import GridMap
from stagetwin_sim.traffic._pibt import make_agents, make_table
from stagetwin_sim.traffic._pibt_kernels import PibtState

__all__ = ["GridAuthority"]

_PER_VEHICLE = ("planned", "done", "heard", "begin", "go", "told", "busy", "lent", "waits_for")

_COMING, _LEAVING = 1, 2
"""By lanes: see `GraphState.lent`."""

_URGENT = 1_000_000
"""Priority of who is in the way at a gate; twice that has who goes through [steps]."""


class GridAuthority:
    """Sends vehicles from cell to cell of a grid; one thread plans a world.

    Args:
        grid: the cells.
        motion: whose vehicles.
        goals: cells that may be goals.
        period: between two rounds of `step` [s].
        delay: of messages each way, in rounds.
        loss: share of messages that are lost.

    Attributes:
        grid: as given.
        agents: a `PibtState`.
        graph: a `GraphState`.
    """

    def __init__(
        self,
        grid: GridMap,
        motion: Motion,
        goals: Sequence[int],
        *,
        period: float,
        delay: int = 0,
        loss: float = 0.0,
    ) -> None:
        self.grid, self.motion = grid, motion
        self.goals = list(dict.fromkeys(goals))
        worlds, vehicles, device = motion.worlds, motion.plan.vehicles, motion.device
        seeds = host_copy(motion.seeds)
        nowhere = np.full((worlds, vehicles), -1, np.int32)
        self.agents: Any = make_agents(grid, nowhere, seeds, device)
        self.graph: Any = GraphState()
        shape = (worlds, vehicles)
        for name in _PER_VEHICLE:
            setattr(self.graph, name, wp.zeros(shape, dtype=wp.int32, device=device))
        for name in ("cell", "whom", "which"):
            ring = (worlds, vehicles * int(RING))
            setattr(self.graph, name, wp.full(ring, -1, dtype=wp.int32, device=device))
        for name in ("left_by", "left_with"):
            cells = (worlds, grid.count)
            setattr(self.graph, name, wp.full(cells, -1, dtype=wp.int32, device=device))
        for name in ("waiting", "caused"):
            setattr(
                self.graph, name, wp.zeros((worlds, grid.count), dtype=wp.float32, device=device)
            )
        self.graph.passed = wp.zeros((worlds, grid.count), dtype=wp.int32, device=device)
        for name in ("reports", "grants"):
            under_way = (*shape, delay + 1)
            setattr(self.graph, name, wp.full(under_way, -1, dtype=wp.int32, device=device))
        for name in ("idle", "lost"):
            setattr(self.graph, name, wp.zeros(worlds, dtype=wp.int32, device=device))
        self._ticks: wp.array[Any] = wp.zeros(worlds, dtype=wp.int32, device=device)
        slowest = min(kind.speed for kind in motion.plan.types)
        places = grid.places().astype(np.float32)
        table = make_table(grid, self.goals, device)
        self._distances = host_copy(table.distances)
        self._inputs = [
            table,
            wp.array(places, dtype=wp.vec2, device=device),
            grid.cell,
            motion.paths.capacity,
            max(1, round(3 * grid.cell / slowest / period)),
            period,
            delay,
            loss,
            motion.seeds,
        ]
        self._rows = {cell: row for row, cell in enumerate(self.goals)}

    def put(self, world: int, vehicle: int, cell: int) -> bool:
        """Let a vehicle that stands in the middle of a cell be on the grid, if it is nobody else's.

        Raises:
            TrafficError: the cell is not free.
        """
        if not self.grid.free.reshape(-1)[cell]:
            raise TrafficError(f"cell {cell} of the grid is not free")
        agents = self.agents
        if not self._is_left(world, cell) or self._get(agents.at, world, vehicle) >= 0:
            return False
        self._set(agents.now, world, cell, vehicle)
        self._set(agents.at, world, vehicle, cell)
        self._set(agents.goal, world, vehicle, -1)
        self._set(agents.waited, world, vehicle, 0)
        self._begin(world, vehicle, cell)
        return True

    def _begin(self, world: int, vehicle: int, cell: int) -> None:
        moves = self._get(self.graph.planned, world, vehicle)
        self._set(self.graph.begin, world, vehicle, moves)
        self.motion.set_path(world, vehicle, [self.grid.place(cell)])

    def on(self, world: int, vehicle: int) -> bool:
        """Tell whether a vehicle drives on the grid."""
        there = self._get(self.agents.at, world, vehicle) >= 0
        return there and not self._get(self.graph.lent, world, vehicle)

    def send(self, world: int, vehicle: int, cell: int) -> None:
        """Give a vehicle on the grid a goal; -1 is none, where others may push it about.

        Raises:
            TrafficError: the cell is none of the goals.
        """
        if cell >= 0 and cell not in self._rows:
            raise TrafficError(f"cell {cell} is none of the {len(self.goals)} goals of the grid")
        self._set(self.agents.goal, world, vehicle, self._rows.get(cell, -1))

    def hold(self, world: int, vehicle: int, on: bool) -> None:
        """Let nobody push a vehicle, or let them again."""
        self._set(self.graph.busy, world, vehicle, int(on))

    def arrived(self, world: int, vehicle: int) -> bool:
        """Tell whether a vehicle stands on the cell that is its goal."""
        row = self._get(self.agents.goal, world, vehicle)
        if row < 0 or self._get(self.agents.at, world, vehicle) != self.goals[row]:
            return False
        done = self._get(self.graph.heard, world, vehicle)
        still = abs(float(self.motion.state.v.numpy()[world, vehicle])) < 0.02
        return done == self._get(self.graph.planned, world, vehicle) and still

    # -- through a gate

    def far(self, world: int, vehicle: int) -> int:
        """Return how many steps the plan leaves between a vehicle and its goal."""
        row, cell = (self._get(a, world, vehicle) for a in (self.agents.goal, self.agents.at))
        return int(self._distances[row, cell]) if row >= 0 and cell >= 0 else 0

    def claim(self, world: int, vehicle: int, cell: int) -> None:
        """Let nobody else come onto a cell; who is there, or on the way to it, makes room."""
        self._set(self.agents.gate, world, cell, vehicle)
        there = self._get(self.agents.now, world, cell)
        if there not in (-1, vehicle):
            self._set(self.agents.waited, world, there, _URGENT)
        if self._get(self.agents.at, world, vehicle) not in (-1, cell):
            self._set(self.agents.waited, world, vehicle, 2 * _URGENT)

    def expect(self, world: int, vehicle: int, cell: int) -> bool:
        """Have a cell ready for a vehicle that comes by lanes; returns whether it may come.

        Everybody else must have left it, and makes way until then.
        """
        agents, graph = self.agents, self.graph
        if self._get(agents.at, world, vehicle) == cell:
            # It has not cleared the cell yet by which it left.
            self._set(graph.lent, world, vehicle, _COMING)
            return True
        self.claim(world, vehicle, cell)
        if self._get(agents.at, world, vehicle) >= 0 or not self._is_left(world, cell):
            return False
        self._set(agents.now, world, cell, vehicle)
        self._set(agents.at, world, vehicle, cell)
        self._set(graph.lent, world, vehicle, _COMING)
        return True

    def take(self, world: int, vehicle: int) -> None:
        """Drive a vehicle that was expected, and is there."""
        cell = self._get(self.agents.at, world, vehicle)
        self._set(self.graph.lent, world, vehicle, 0)
        self._set(self.agents.gate, world, cell, -1)
        self._set(self.agents.goal, world, vehicle, -1)
        self._set(self.agents.waited, world, vehicle, 0)
        self._begin(world, vehicle, cell)

    def is_expected(self, world: int, vehicle: int) -> bool:
        """Tell whether a vehicle comes by lanes."""
        return self._get(self.graph.lent, world, vehicle) == _COMING

    def lend(self, world: int, vehicle: int) -> None:
        """Let others drive a vehicle that stands at a gate; its cell stays its own."""
        self._set(self.graph.lent, world, vehicle, _LEAVING)
        self._set(self.agents.goal, world, vehicle, -1)

    def leaving(self) -> list[tuple[int, int, int]]:
        """Return world, vehicle and cell of all that have left by lanes, and hold a cell yet."""
        lent, at = host_copy(self.graph.lent), host_copy(self.agents.at)
        return [(w, v, int(at[w, v])) for w, v in np.argwhere(lent == _LEAVING).tolist()]

    def release(self, world: int, vehicle: int) -> None:
        """Take a vehicle that is well clear of the grid off it."""
        cell = self._get(self.agents.at, world, vehicle)
        self._set(self.agents.now, world, cell, -1)
        if self._get(self.agents.gate, world, cell) == vehicle:
            self._set(self.agents.gate, world, cell, -1)
        self._set(self.agents.at, world, vehicle, -1)
        self._set(self.graph.lent, world, vehicle, 0)

    def _is_left(self, world: int, cell: int) -> bool:
        """Tell whether nobody is on a cell, in the plan or, as far as control knows, in fact."""
        if self._get(self.agents.now, world, cell) >= 0:
            return False
        last = self._get(self.graph.left_by, world, cell)
        if last < 0:
            return True
        done = self._get(self.graph.heard, world, last)
        return done > self._get(self.graph.left_with, world, cell)

    def step(self) -> None:
        """Do a round."""
        wp.launch(
            drive_grid,
            dim=self.motion.worlds,
            inputs=self._inputs,
            outputs=[
                self._ticks,
                self.agents,
                self.graph,
                self.motion.state,
                self.motion.paths.table,
            ],
            device=self.motion.device,
        )

    # -- the whole state

    def save(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the whole state."""
        saved = {"ticks": host_copy(self._ticks)}
        for struct, kind in ((self.agents, PibtState), (self.graph, GraphState)):
            saved |= {name: host_copy(getattr(struct, name)) for name in fields_of(kind)}
        return saved

    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what one of the same grid and fleet saved."""
        self._ticks.assign(saved["ticks"])
        for struct, kind in ((self.agents, PibtState), (self.graph, GraphState)):
            for name in fields_of(kind):
                getattr(struct, name).assign(saved[name])

    def _get(self, array: Any, world: int, index: int) -> int:
        return int(array.numpy()[world, index])

    def _set(self, array: Any, world: int, index: int, value: int) -> None:
        if array.device.is_cpu:
            array.numpy()[world, index] = value
        else:
            array[world][index : index + 1].assign(np.asarray([value], np.int32))
