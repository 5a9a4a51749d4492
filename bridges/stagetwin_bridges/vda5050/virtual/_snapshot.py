"""Bodies whose measurements are taken once a step, however many vehicles look at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import Bodies, Leg

__all__ = ["Snapshot"]

Floats = npt.NDArray[np.float64]
Row = tuple[list[float], list[float], float, bool, int]


class Snapshot:
    """`Bodies` that measure once a step."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.count = bodies.count
        self.reverses = bool(getattr(bodies, "reverses", False))
        self._take()

    def _take(self) -> None:
        bodies = self._bodies
        self._poses, self._velocities = bodies.poses(), bodies.velocities()
        self._charge, self._done, self._blocked = bodies.charge(), bodies.done(), bodies.blocked()
        self._rows = list(
            zip(
                self._poses.tolist(),
                self._velocities.tolist(),
                self._charge.tolist(),
                self._blocked.tolist(),
                self._done.tolist(),
                strict=True,
            )
        )

    def measured(self, vehicle: int) -> Row:
        """Return one vehicle's pose, velocity, charge, whether it is blocked, and legs done."""
        return self._rows[vehicle]

    def poses(self) -> Floats:
        """See Bodies."""
        return self._poses

    def velocities(self) -> Floats:
        """See Bodies."""
        return self._velocities

    def charge(self) -> Floats:
        """See Bodies."""
        return self._charge

    def done(self) -> npt.NDArray[np.int64]:
        """See Bodies."""
        return self._done

    def blocked(self) -> npt.NDArray[np.bool_]:
        """See Bodies."""
        return self._blocked

    def drive(self, vehicle: int, legs: Sequence[Leg]) -> None:
        """See Bodies."""
        self._bodies.drive(vehicle, legs)

    def stop(self, vehicle: int, *, keep: bool = False) -> None:
        """See Bodies."""
        self._bodies.stop(vehicle, keep=keep)

    def resume(self, vehicle: int) -> None:
        """See Bodies."""
        self._bodies.resume(vehicle)

    def place(self, vehicle: int, x: float, y: float, theta: float) -> None:
        """See Bodies; what is measured changes at once."""
        self._bodies.place(vehicle, x, y, theta)
        self._take()

    def load(self, vehicle: int, mass: float, length: float, width: float) -> None:
        """See Bodies."""
        self._bodies.load(vehicle, mass, length, width)

    def plug(self, vehicle: int, on: bool) -> None:
        """See Bodies."""
        self._bodies.plug(vehicle, on)

    def limit(self, vehicle: int, speed: float) -> None:
        """See Bodies."""
        self._bodies.limit(vehicle, speed)

    def step(self, seconds: float) -> None:
        """See Bodies."""
        self._bodies.step(seconds)
        self._take()
