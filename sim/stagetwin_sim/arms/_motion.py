"""Motions from angles to angles within limits of speed and acceleration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import ArmError

__all__ = ["JointMotion", "plan_motion"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class JointMotion:
    """All joints go together from rest to rest: speed up, cruise, slow down.

    Attributes:
        start, end: angles [rad], shape (joints,).
        ramp: time of speeding up, and of slowing down [s].
        duration: of all of it [s].
    """

    start: Floats
    end: Floats
    ramp: float
    duration: float

    def share(self, time: float) -> float:
        """Return which share of the way is done at a time [1]."""
        if self.duration <= 0:
            return 1.0
        time = min(max(time, 0.0), self.duration)
        peak = 1 / (self.duration - self.ramp)
        if time < self.ramp:
            return peak * time**2 / (2 * self.ramp)
        if time > self.duration - self.ramp:
            return 1 - peak * (self.duration - time) ** 2 / (2 * self.ramp)
        return peak * (time - self.ramp / 2)

    def at(self, time: float) -> Floats:
        """Return the angles at a time since its start [s], shape (joints,)."""
        angles: Floats = self.start + self.share(time) * (self.end - self.start)
        return angles


def plan_motion(
    start: npt.ArrayLike, end: npt.ArrayLike, speeds: npt.ArrayLike, accelerations: npt.ArrayLike
) -> JointMotion:
    """Return the fastest motion of all joints together within the limits of each.

    Source: trapezoidal time scaling of a straight line in joint space, Lynch and Park, Modern
    Robotics, 2017, section 9.2.2.2.

    Args:
        start, end: angles [rad], shape (joints,).
        speeds: limits [rad/s], a number or one for each joint.
        accelerations: limits [rad/s2], a number or one for each joint.

    Raises:
        ArmError: a limit is not positive, or an angle not finite.
    """
    first, last = np.array(start, np.float64), np.array(end, np.float64)
    fast = np.broadcast_to(np.asarray(speeds, np.float64), first.shape)
    hard = np.broadcast_to(np.asarray(accelerations, np.float64), first.shape)
    if not ((fast > 0).all() and (hard > 0).all()):
        raise ArmError("limits of speed and acceleration must be positive", "arm_motion")
    way = np.abs(last - first)
    if not np.isfinite(way).all():
        raise ArmError("angles of a motion must be finite", "arm_motion")
    moving = way > 0
    if not moving.any():
        return JointMotion(first, last, 0.0, 0.0)
    speed = float(np.min(fast[moving] / way[moving]))
    acceleration = float(np.min(hard[moving] / way[moving]))
    if speed**2 >= acceleration:  # it never cruises
        ramp = float(np.sqrt(1 / acceleration))
        return JointMotion(first, last, ramp, 2 * ramp)
    ramp = speed / acceleration
    return JointMotion(first, last, ramp, 1 / speed + ramp)
