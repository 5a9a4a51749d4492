"""Bodies that drive straight at constant speed and turn at constant rate: small, exact, real."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import Leg, VehicleType

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

_TURN = 3.0


class StraightBodies:
    """Vehicles that follow their legs' points exactly, and stop at once."""

    reverses = True

    def __init__(self, types: Sequence[VehicleType], poses: npt.NDArray[np.float64]) -> None:
        self.count = len(types)
        self._types = list(types)
        self._poses = np.array(poses, dtype=np.float64)
        self._velocities = np.zeros((self.count, 3))
        self._charge = np.ones(self.count)
        self._done = np.zeros(self.count, dtype=np.int64)
        self.in_the_way = np.zeros(self.count, dtype=np.bool_)
        self._legs: list[deque[Leg]] = [deque() for _ in types]
        self._points: list[deque[tuple[float, float]]] = [deque() for _ in types]
        self._stopped = [False] * self.count
        self._limits = [math.inf] * self.count
        self.loads = [0.0] * self.count
        self.plugged = [False] * self.count

    def poses(self) -> npt.NDArray[np.float64]:
        return self._poses

    def velocities(self) -> npt.NDArray[np.float64]:
        return self._velocities

    def charge(self) -> npt.NDArray[np.float64]:
        return self._charge

    def done(self) -> npt.NDArray[np.int64]:
        return self._done

    def blocked(self) -> npt.NDArray[np.bool_]:
        return self.in_the_way

    def drive(self, vehicle: int, legs: Sequence[Leg]) -> None:
        if not self._legs[vehicle] and legs:
            self._points[vehicle] = _points(legs[0])
        self._legs[vehicle].extend(legs)

    def stop(self, vehicle: int, *, keep: bool = False) -> None:
        self._stopped[vehicle] = keep
        self._velocities[vehicle] = 0.0
        if not keep:
            self._legs[vehicle].clear()
            self._points[vehicle].clear()

    def resume(self, vehicle: int) -> None:
        self._stopped[vehicle] = False

    def place(self, vehicle: int, x: float, y: float, theta: float) -> None:
        self._poses[vehicle] = (x, y, theta)

    def load(self, vehicle: int, mass: float, length: float, width: float) -> None:
        self.loads[vehicle] = mass

    def plug(self, vehicle: int, on: bool) -> None:
        self.plugged[vehicle] = on

    def limit(self, vehicle: int, speed: float) -> None:
        self._limits[vehicle] = speed

    def legs(self, vehicle: int) -> list[Leg]:
        """Return what a vehicle still has to drive."""
        return list(self._legs[vehicle])

    def step(self, seconds: float) -> None:
        for vehicle in range(self.count):
            self._step(vehicle, seconds)

    def _step(self, vehicle: int, seconds: float) -> None:
        self._velocities[vehicle] = 0.0
        x, y, theta = self._poses[vehicle].tolist()
        legs, points = self._legs[vehicle], self._points[vehicle]
        left = seconds
        moved = turned = 0.0
        while legs and left > 1e-12 and not self._stopped[vehicle]:
            leg = legs[0]
            if points:
                if self.in_the_way[vehicle]:
                    break
                speed = min(self._types[vehicle].speed, leg.speed, self._limits[vehicle])
                px, py = points[0]
                gap = math.dist((x, y), (px, py))
                step = min(gap, speed * left)
                if gap > 0.0:
                    theta = math.atan2(py - y, px - x) + (math.pi if leg.backward else 0.0)
                    theta = math.remainder(theta, math.tau)
                    x, y = x + (px - x) * step / gap, y + (py - y) * step / gap
                moved += -step if leg.backward else step
                left -= step / speed
                if step < gap:
                    break
                points.popleft()
            else:
                if not math.isnan(leg.theta):
                    off = math.remainder(leg.theta - theta, math.tau)
                    step = math.copysign(min(abs(off), _TURN * left), off)
                    theta, turned = theta + step, turned + step
                    left -= abs(step) / _TURN
                    if abs(off) > abs(step) + 1e-12:
                        break
                legs.popleft()
                self._done[vehicle] += 1
                if legs:
                    self._points[vehicle] = points = _points(legs[0])
        self._poses[vehicle] = (x, y, theta)
        self._velocities[vehicle] = (moved / seconds, 0.0, turned / seconds)


def _points(leg: Leg) -> deque[tuple[float, float]]:
    return deque([*leg.path, (leg.x, leg.y)])


def make(
    types: Sequence[VehicleType],
    poses: npt.NDArray[np.float64],
    road_map: RoadMap | None,
    *,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> StraightBodies:
    """Make them, as an entry point does."""
    return StraightBodies(types, poses)
