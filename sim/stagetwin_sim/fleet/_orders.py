"""What the host tells vehicles, one at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import FleetError
from stagetwin_sim.engine import host_copy
from stagetwin_sim.fleet._arrays import HeldArrays
from stagetwin_sim.fleet._modes import Mode
from stagetwin_sim.fleet._paths import Paths, limits_of, measured
from stagetwin_sim.fleet._plan import MotionPlan

__all__ = ["VehicleOrders"]


class VehicleOrders:
    """The calls of a Motion that are for one vehicle. Kernels may write the same arrays.

    Attributes:
        plan, paths: of the motion.
    """

    plan: MotionPlan
    paths: Paths
    _held: HeldArrays

    def set_path(
        self,
        world: int,
        vehicle: int,
        points: Sequence[Sequence[float]],
        *,
        limits: Sequence[float] | float | None = None,
        theta: float = math.nan,
        s_max: float = 0.0,
    ) -> float:
        """Let a vehicle follow a polyline from its begin, as far as it is cleared.

        Args:
            world, vehicle: whose.
            points: [m].
            limits: highest speed on each segment, or on all [m/s]; negative is driven backward.
            theta: heading at the end [rad]; NaN for any.
            s_max: clearance [m].

        Returns:
            Its length [m].

        Raises:
            FleetError: it is no path, or longer than `path_points`.
        """
        what = self._name(world, vehicle)
        xy, along = measured(points, what)
        self._write(world, vehicle, xy, along, limits_of(limits, len(xy), what))
        for name, value in (("s", 0.0), ("segment", 0), ("turning", 0), ("arrived", 0)):
            self._held.put(name, world, vehicle, value)
        self._held.put("path_theta", world, vehicle, theta)
        self._held.put("s_max", world, vehicle, s_max)
        self._held.put("mode", world, vehicle, Mode.PATH)
        return float(along[-1])

    def use_path(
        self, world: int, vehicle: int, index: int, *, theta: float = math.nan, s_max: float = 0.0
    ) -> float:
        """Let a vehicle follow a shared path; as `set_path`."""
        begin, count, length = self.paths.shared[index]
        for name, value in (
            ("path_begin", begin),
            ("path_count", count),
            ("s", 0.0),
            ("segment", 0),
            ("turning", 0),
            ("arrived", 0),
            ("path_theta", theta),
            ("s_max", s_max),
            ("mode", Mode.PATH),
        ):
            self._held.put(name, world, vehicle, value)
        return length

    def extend_path(
        self,
        world: int,
        vehicle: int,
        points: Sequence[Sequence[float]],
        *,
        limits: Sequence[float] | float | None = None,
        theta: float = math.nan,
    ) -> float:
        """Add points to the end of a vehicle's own path while it is driven.

        What lies behind the vehicle is forgotten, and arc lengths count from where the rest begins.

        Returns:
            By how much `s` and `s_max` have become less for that [m].

        Raises:
            FleetError: it is no path, too long, or the vehicle follows a shared one.
        """
        what = self._name(world, vehicle)
        row = self.paths.row(world, vehicle)
        held = self._held
        count = int(held.get("path_count", world, vehicle))
        if int(held.get("path_begin", world, vehicle)) != row:
            raise FleetError(f"{what}: a shared path cannot be extended")
        at = min(int(held.get("segment", world, vehicle)), max(count - 1, 0))
        table = self.paths.table
        old = host_copy(table.points[row + at : row + count]).astype(np.float64)
        was = host_copy(table.limits[row + at : row + count]).astype(np.float64)
        passed = float(host_copy(table.along[row + at : row + at + 1])[0]) if count else 0.0
        new = np.asarray(points, np.float64).reshape(-1, 2)
        given = limits_of(limits, len(new) + 1, what)
        joined = np.concatenate([was[:-1], given]) if len(old) else given[1:]
        # What coincides is left out, and the limit of its segment with it.
        together = np.vstack([old, new])
        apart = np.hypot(*np.diff(together, axis=0).T) > 1e-4
        kept = np.concatenate([[True], apart])
        xy, along = measured(together[kept].tolist(), what)
        self._write(world, vehicle, xy, along, joined[np.concatenate([apart, [True]])])
        held.put("segment", world, vehicle, 0)
        held.put("arrived", world, vehicle, 0)
        held.put("path_theta", world, vehicle, theta)
        for name in ("s", "s_max"):
            value = float(held.get(name, world, vehicle)) - passed
            held.put(name, world, vehicle, max(value, 0.0) if name == "s" else value)
        return passed

    def clear(self, world: int, vehicle: int, s_max: float) -> None:
        """Say how far along its path a vehicle may go [m]."""
        self._held.put("s_max", world, vehicle, s_max)

    def set_goal(
        self, world: int, vehicle: int, x: float, y: float, theta: float = math.nan
    ) -> None:
        """Let a vehicle head for a goal and avoid others [m, m, rad]."""
        for name, value in (("goal_x", x), ("goal_y", y), ("goal_theta", theta)):
            self._held.put(name, world, vehicle, value)
        self._held.put("arrived", world, vehicle, 0)
        self._held.put("mode", world, vehicle, Mode.FREE)

    def command(self, world: int, vehicle: int, speed: float, rotation_speed: float) -> None:
        """Let a vehicle drive as told until it is told otherwise [m/s, rad/s]."""
        self._held.put("command", world, vehicle, (speed, rotation_speed))
        self._held.put("mode", world, vehicle, Mode.COMMANDED)

    def stop(self, world: int, vehicle: int) -> None:
        """Let a vehicle brake to a stand; its path and progress stay."""
        self._held.put("mode", world, vehicle, Mode.STOPPED)

    def place(self, world: int, vehicle: int, x: float, y: float, theta: float) -> None:
        """Put a vehicle somewhere, at rest [m, m, rad]."""
        for names, value in (
            (("x", "seen_x"), x),
            (("y", "seen_y"), y),
            (("theta", "seen_theta"), math.atan2(math.sin(theta), math.cos(theta))),
            (("v", "omega", "vx", "vy", "error_x", "error_y", "error_theta"), 0.0),
        ):
            for name in names:
                self._held.put(name, world, vehicle, value)

    def carry(
        self, world: int, vehicle: int, load: int, mass: float, length: float, width: float
    ) -> None:
        """Let a vehicle carry something; load 0 takes it off.

        Args:
            world, vehicle: whose.
            load: number of the load.
            mass: [kg].
            length, width: of the footprint with it [m].
        """
        kind = self.plan.types[self.plan.type_indices()[vehicle]]
        empty = load == 0
        for name, value in (
            ("load", load),
            ("load_mass", 0.0 if empty else mass),
            ("length", kind.length if empty else max(length, kind.length)),
            ("width", kind.width if empty else max(width, kind.width)),
        ):
            self._held.put(name, world, vehicle, value)

    def plug(self, world: int, vehicle: int, on: bool) -> None:
        """Begin or end to charge a vehicle."""
        self._held.put("charging", world, vehicle, int(on))

    def limit(
        self, world: int, vehicle: int, speed: float, rotation_speed: float = math.inf
    ) -> None:
        """Bound the speeds of a vehicle [m/s, rad/s]; infinite takes a bound away."""
        self._held.put("speed_limit", world, vehicle, speed)
        self._held.put("rotation_limit", world, vehicle, rotation_speed)

    def _write(
        self, world: int, vehicle: int, xy: Any, along: Any, limits: npt.NDArray[np.float64]
    ) -> None:
        count, row = len(xy), self.paths.row(world, vehicle)
        if count > self.paths.capacity:
            text = f"path_points allows {self.paths.capacity} points, got {count}"
            raise FleetError(f"{self._name(world, vehicle)}: {text}")
        place = slice(row, row + count)
        self._held.put("path_points", world, place, xy.astype(np.float32))
        self._held.put("path_along", world, place, along.astype(np.float32))
        self._held.put("path_limits", world, place, limits.astype(np.float32))
        self._held.put("path_begin", world, vehicle, row)
        self._held.put("path_count", world, vehicle, count)

    def _name(self, world: int, vehicle: int) -> str:
        return f"vehicle {vehicle} of world {world}"
