"""What vehicles spend their time with, and where they wait: added up while they drive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim.traffic._records import Job, Phase

if TYPE_CHECKING:
    from stagetwin_sim.traffic._fleet import FleetSimulation

__all__ = ["SHARES", "Counts"]

SHARES = ("driving", "waiting", "loading", "charging", "idle")
"""What a vehicle's time goes into."""

_SAVED = ("times", "waiting", "visits", "wanting", "blocked")
_WORKING = {Job.PICK: 2, Job.DROP: 2, Job.CHARGE: 3, Job.IDLE: 4, Job.TO_DROP: 1}


class Counts:
    """Times and places of one simulation.

    Attributes:
        times: of each vehicle in each of SHARES [s], shape (worlds, vehicles, 5).
        waiting, visits: seconds that vehicles waited, and were, in each square of the floor, shape
            (worlds, rows, columns), the lowest row first.
        wanting: seconds that loaded vehicles waited for a place at each station, shape
            (worlds, stations), in the order of their ids.
        blocked: seconds that vehicles stood because somebody was in their protective field, shape
            (worlds,).
        corner: lower left corner of the squares [m].
        edge: of a square [m].
    """

    def __init__(self, fleet: FleetSimulation) -> None:
        self._fleet = fleet
        self.edge = fleet.options.heat
        left, bottom, right, top = floor_of(fleet)
        self.corner = left, bottom
        rows = max(1, math.ceil((top - bottom) / self.edge))
        columns = max(1, math.ceil((right - left) / self.edge))
        self.times = np.zeros((fleet.worlds, fleet.count, len(SHARES)))
        self.waiting = np.zeros((fleet.worlds, rows, columns), np.float32)
        self.visits = np.zeros((fleet.worlds, rows, columns), np.float32)
        self.station_ids = sorted(fleet.road_map.stations)
        self._station = {name: i for i, name in enumerate(self.station_ids)}
        self.wanting = np.zeros((fleet.worlds, max(len(self.station_ids), 1)))
        self.blocked = np.zeros(fleet.worlds)

    def look(self, seconds: float) -> None:
        """Add what vehicles do now, for so long."""
        fleet, state = self._fleet, self._fleet.motion.state
        kind = np.array(
            [[_share(each.job, each.phase) for each in record.vehicles] for record in fleet.records]
        )
        moving = np.abs(state.v.numpy()) > 0.03
        moving |= np.abs(state.omega.numpy()) > 0.05
        kind = np.where((kind == 1) & moving, 0, kind)
        np.add.at(
            self.times,
            (np.arange(fleet.worlds)[:, None], np.arange(fleet.count)[None, :], kind),
            seconds,
        )
        for number, record in enumerate(fleet.records):
            for each in record.vehicles:
                if each.job == Job.TO_DROP and each.phase == Phase.REST and each.task is not None:
                    place = self._station.get(each.task.target)
                    if place is not None:
                        self.wanting[number, place] += seconds
        stopped = (state.blocked.numpy() != 0) & (kind == 1)
        self.blocked += stopped.sum(axis=1) * seconds
        column = ((state.x.numpy() - self.corner[0]) / self.edge).astype(np.int64)
        row = ((state.y.numpy() - self.corner[1]) / self.edge).astype(np.int64)
        world = np.broadcast_to(np.arange(fleet.worlds)[:, None], row.shape)
        rows, columns = self.waiting.shape[1:]
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        for table, chosen in (
            (self.visits, inside & (kind < 2)),
            (self.waiting, inside & (kind == 1)),
        ):
            np.add.at(table, (world[chosen], row[chosen], column[chosen]), seconds)

    def save(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of all."""
        return {n: getattr(self, n).copy() for n in _SAVED}

    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what was saved."""
        for name in _SAVED:
            getattr(self, name)[:] = saved[name]


def _share(job: Job, phase: Phase) -> int:
    if phase != Phase.REST:
        return 1
    return _WORKING.get(job, 1)


def floor_of(fleet: FleetSimulation) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of the floor [m]."""
    road_map = fleet.road_map
    if road_map.extent is not None:
        return road_map.extent
    xs = [n.x for n in road_map.nodes.values()] or [0.0]
    ys = [n.y for n in road_map.nodes.values()] or [0.0]
    return min(xs) - 1, min(ys) - 1, max(xs) + 1, max(ys) + 1
