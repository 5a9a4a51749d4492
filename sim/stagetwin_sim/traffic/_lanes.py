"""The authority of lanes: reservation of cells in all worlds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim.engine import host_copy
from stagetwin_sim.fleet import Motion
from stagetwin_sim.fleet._arrays import fields_of
from stagetwin_sim.traffic._lane_state_kernels import LaneRoutes, LaneState, NetTable
from stagetwin_sim.traffic._net import LaneNet
from stagetwin_sim.traffic._reserve_kernels import NEVER, QUEUE, reserve_lanes
from stagetwin_sim.traffic._route import LaneRoute, Step

__all__ = ["LaneAuthority"]

Ints = npt.NDArray[np.int32]

_FIRST = {"route": -1, "low": 0, "high": 0, "go": 0, "rest": -1, "asked": int(NEVER)}
_FIRST |= {"driven": 0, "gate": 0}
_FIRST |= {"command": 0, "ordered": 0, "waits_for": -1, "waits_at": -1, "resting": 0}


class LaneAuthority:
    """Says how far vehicles on lanes may go, by cells that nobody else can have.

    Args:
        net: the cells.
        motion: whose vehicles.
        period: between two rounds of `step` [s].
        delay: of messages each way, in rounds.
        loss: share of messages that are lost.

    Attributes:
        net, motion: as given.
        state: a `LaneState` on the device.
        routes: all that were ordered so far, by number.
    """

    def __init__(
        self, net: LaneNet, motion: Motion, *, period: float, delay: int = 0, loss: float = 0.0
    ) -> None:
        self.net, self.motion = net, motion
        self.routes: list[LaneRoute] = []
        self._parts: list[tuple[npt.NDArray[Any], ...]] = []
        self._gates: list[int] = []
        self._keys: dict[str, int] = {}
        worlds, vehicles, device = motion.worlds, motion.plan.vehicles, motion.device
        self._shape = (worlds, vehicles)
        self._period, self._delay, self._loss = period, delay, loss
        fastest = max(kind.speed for kind in motion.plan.types)
        slowest = min(kind.deceleration for kind in motion.plan.types)
        late = (2 * delay + 2) * period + 2 * motion.plan.step + motion.plan.noise.lag
        self.need = fastest**2 / (2 * slowest) + fastest * late + net.piece
        state = LaneState()
        for name, value in _FIRST.items():
            setattr(state, name, wp.full(self._shape, value, dtype=wp.int32, device=device))
        state.reported = wp.zeros(self._shape, dtype=wp.float32, device=device)
        order = np.tile(np.arange(vehicles, dtype=np.int32), (worlds, 1))
        state.order = wp.array(order, dtype=wp.int32, device=device)
        for name in ("reports", "grants"):
            ring = (*self._shape, delay + 1)
            setattr(state, name, wp.full(ring, -1.0, dtype=wp.float32, device=device))
        cells = max(len(net.cells), 1)
        queues = (worlds, cells * int(QUEUE))
        state.queue = wp.full(queues, -1, dtype=wp.int32, device=device)
        state.stamps = wp.zeros(queues, dtype=wp.int32, device=device)
        state.rests = wp.full((worlds, cells), -1, dtype=wp.int32, device=device)
        for name in ("waiting", "caused"):
            setattr(state, name, wp.zeros((worlds, cells), dtype=wp.float32, device=device))
        state.passed = wp.zeros((worlds, cells), dtype=wp.int32, device=device)
        for name in ("stamp", "lost", "full"):
            setattr(state, name, wp.zeros(worlds, dtype=wp.int32, device=device))
        self.state = state
        self._ticks: wp.array[Any] = wp.zeros(worlds, dtype=wp.int32, device=device)
        table = NetTable()
        begins = np.concatenate([[0], np.cumsum([len(each) for each in net.meets])])
        table.begin = wp.array(begins.astype(np.int32), dtype=wp.int32, device=device)
        flat = np.array([c for each in net.meets for c in each] or [0], np.int32)
        table.meets = wp.array(flat, dtype=wp.int32, device=device)
        self._net = table
        self._table: Any = None
        self._commands: Ints = np.zeros(self._shape, np.int32)
        self._ordered: Ints = np.zeros(self._shape, np.int32)

    # -- what vehicles are to drive

    def find(self, key: str) -> int:
        """Return the number of the route with a key; -1 where there is none."""
        return self._keys.get(key, -1)

    @property
    def keys(self) -> dict[str, int]:
        """Numbers of routes by their keys."""
        return self._keys

    def add(self, route: LaneRoute, key: str = "") -> int:
        """Take a route among those that can be ordered, and return its number."""
        if key:
            self._keys[key] = len(self.routes)
        self.routes.append(route)
        steps = route.steps
        self._parts.append(
            (
                np.array([step.cell for step in steps], np.int32),
                np.array([step.begin for step in steps], np.float32),
                np.array([step.end for step in steps], np.float32),
                np.array([step.rest for step in steps], np.int32),
            )
        )
        self._gates.append(self._gate_of(route))
        self._table = None
        return len(self.routes) - 1

    def stand(self, cell: int) -> int:
        """Return the number of the route of who only stands on a cell."""
        number = self.find(f"stand {cell}")
        if number < 0:
            x, y, _ = self.net.standing(cell)
            route = LaneRoute((Step(cell, -1.0, 0.0, True),), ((x, y),), ())
            number = self.add(route, f"stand {cell}")
        return number

    def take_routes(self, routes: Iterable[LaneRoute], keys: Mapping[str, int]) -> None:
        """Know these routes, and no others."""
        self.routes, self._parts, self._gates = [], [], []
        for route in routes:
            self.add(route)
        self._keys = dict(keys)

    def _gate_of(self, route: LaneRoute) -> int:
        """Return the first step on which a vehicle is in the way of a gate that it drives to."""
        last = route.steps[-1].cell
        if last not in self.net.gates:
            return len(route.steps)
        return next(k for k, step in enumerate(route.steps) if last in self.net.meets[step.cell])

    def order(self, world: int, vehicle: int, number: int, *, later: bool = False) -> None:
        """Let a vehicle that rests, or is on no lane, have a route.

        It keeps the cell on which it rests where the route begins with it; else it gets the first
        cell when that is nobody else's.

        Args:
            world, vehicle: whose.
            number: of the route.
            later: whether it is still somewhere else, and only wants it; `drive` begins it.
        """
        self._commands[world, vehicle] = 3 if later else 1
        self._ordered[world, vehicle] = number

    def drive(self, world: int, vehicle: int) -> None:
        """Let a vehicle begin with the route that it wanted, and has the first cell of."""
        self._commands[world, vehicle] = 4

    def granted(self, world: int, vehicle: int, number: int) -> bool:
        """Tell whether a vehicle may drive onto the first cell of its route."""
        if self._commands[world, vehicle] or int(self.column("route")[world, vehicle]) != number:
            return False
        return int(self.column("go")[world, vehicle]) > 0

    def open(self, world: int, vehicle: int) -> None:
        """Let a vehicle drive through the gate at the end of its route."""
        gates = host_copy(self.state.gate)
        gates[world, vehicle] = 2
        self.state.gate.assign(gates)

    def holds(self, world: int, vehicle: int) -> list[int]:
        """Return the cells that are a vehicle's now, as far as it may drive and beyond."""
        route = self.route_of(world, vehicle)
        low, high = (int(self.column(name)[world, vehicle]) for name in ("low", "high"))
        return [step.cell for step in route.steps[low:high]] if route else []

    def drop(self, world: int, vehicle: int) -> None:
        """Let a vehicle give back all that it holds: it has left the lanes."""
        self._commands[world, vehicle] = 2

    def step(self) -> None:
        """Do a round: hear where vehicles are, and say how far they may go."""
        if not self.routes:
            return
        device = self.motion.device
        if self._commands.any():
            self.state.command.assign(self._commands)
            kept = host_copy(self.state.ordered)
            self.state.ordered.assign(np.where(self._commands % 2 == 1, self._ordered, kept))
            self._commands[:] = 0
        if self._table is None:
            self._table = _table_of(self.routes, self._parts, self._gates, device)
        wp.launch(
            reserve_lanes,
            dim=self._shape[0],
            inputs=[
                self._net,
                self._table,
                self.need,
                self._period,
                self._delay,
                self._loss,
                self.motion.seeds,
            ],
            outputs=[self._ticks, self.state, self.motion.state],
            device=device,
        )

    # -- what is seen

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return an array of the state; to be read at once."""
        values: npt.NDArray[Any] = getattr(self.state, name).numpy()
        return values

    def route_of(self, world: int, vehicle: int) -> LaneRoute | None:
        """Return the route that a vehicle drives."""
        number = int(self.column("route")[world, vehicle])
        return self.routes[number] if number >= 0 else None

    # -- the whole state

    def save(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the state but for the routes."""
        saved = {name: host_copy(getattr(self.state, name)) for name in _names()}
        saved["ticks"] = host_copy(self._ticks)
        return saved | {"pending": self._commands.copy(), "pending_route": self._ordered.copy()}

    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take a state whose routes have the same numbers here."""
        for name in _names():
            getattr(self.state, name).assign(saved[name])
        self._ticks.assign(saved["ticks"])
        self._commands[:] = saved["pending"]
        self._ordered[:] = saved["pending_route"]


def _names() -> list[str]:
    return list(fields_of(LaneState))


def _table_of(
    routes: list[LaneRoute],
    parts: list[tuple[npt.NDArray[Any], ...]],
    gates: list[int],
    device: str,
) -> Any:
    counts = np.array([len(route.steps) for route in routes], np.int32)
    table = LaneRoutes()

    def made(values: Any, dtype: Any) -> Any:
        return wp.array(np.asarray(values), dtype=dtype, device=device)

    table.begin = made((np.cumsum(counts) - counts).astype(np.int32), wp.int32)
    table.count = made(counts, wp.int32)
    table.gate = made(np.array(gates, np.int32), wp.int32)
    table.length = made([np.float32(max(route.length, 0.0)) for route in routes], wp.float32)
    cell, enter, leave, rest = (np.concatenate(each) for each in zip(*parts, strict=True))
    table.cell, table.rest = made(cell, wp.int32), made(rest, wp.int32)
    table.enter, table.leave = made(enter, wp.float32), made(leave, wp.float32)
    return table
