"""A differential-drive vehicle that heads for a pose: how it moves, and terms about it.

Functions take any state with `pose` (x, y, theta), `twist` (v, omega), `goal` (x, y, theta), `away`
and `far` (how far the goal was before the step, and is now), `limits` and `mass`.
"""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode, command
from stagetwin_sim.fleet import DriveLimits, drive_step, wrap_angle

__all__ = [
    "DriveLimits",
    "asked_of_drive",
    "at_goal",
    "distance_left",
    "drive",
    "drive_limits",
    "drive_on",
    "goal_direction",
    "goal_distance",
    "goal_heading",
    "load_of",
    "measure_goal",
    "motion_of",
    "progress",
]

wp.set_module_options({"enable_backward": False})

SPEED_GAIN, ROTATION_GAIN, LAG, SLIP, ROTATION_SLIP, MASS, FRICTION = (
    wp.constant(i) for i in range(7)
)
"""Columns of the physics; the next is the noise of sensors, which is not the vehicle's."""
COURTESY = wp.constant(8)
"""Of tasks with others: how far ahead they heed the vehicle [m]."""

GRAVITY = wp.constant(9.81)
"""Standard gravity, rounded [m/s2]."""


@wp.func
def distance_left(s: Any, w: int):
    """Return how far the goal is [m]."""
    dx = s.goal[w][0] - s.pose[w][0]
    dy = s.goal[w][1] - s.pose[w][1]
    return wp.sqrt(dx * dx + dy * dy)


@wp.func
def drive_limits(e: Episode, s: Any, w: int):
    """Return what the drive of a world can do with its load on its floor.

    A heavier vehicle accelerates less by the same drive; no wheel holds more than friction gives.
    """
    heavier = s.mass / e.physics[w, MASS]
    held = e.physics[w, FRICTION] * GRAVITY
    limits = DriveLimits()
    limits.speed = s.limits.speed
    limits.reverse_speed = s.limits.reverse_speed
    limits.rotation_speed = s.limits.rotation_speed
    limits.acceleration = wp.min(s.limits.acceleration * heavier, held)
    limits.deceleration = wp.min(s.limits.deceleration * heavier, held)
    limits.rotation_acceleration = s.limits.rotation_acceleration * heavier
    limits.lag = e.physics[w, LAG]
    return limits


@wp.func
def asked_of_drive(e: Episode, w: int):
    """Return the command that is due, as the drive takes it [m/s, rad/s]."""
    return wp.vec2(
        command(e, w, 0) * e.physics[w, SPEED_GAIN], command(e, w, 1) * e.physics[w, ROTATION_GAIN]
    )


@wp.func
def drive(e: Episode, s: Any, w: int, asked: wp.vec2, limits: DriveLimits, dt: float):
    """Move the vehicle of a world by a command, and measure how far the goal is then."""
    slip = wp.vec2(e.physics[w, SLIP], e.physics[w, ROTATION_SLIP])
    x, y, theta, v, omega = drive_step(s.pose[w], s.twist[w], asked, limits, slip, dt)
    s.pose[w] = wp.vec3(x, y, theta)
    s.twist[w] = wp.vec2(v, omega)
    s.far[w] = distance_left(s, w)


@wp.func
def measure_goal(e: Episode, s: Any, w: int):
    """Remember how far the goal was before the step."""
    s.away[w] = distance_left(s, w)


@wp.func
def drive_on(e: Episode, s: Any, w: int, dt: float):
    """Move the vehicle as it is told, and measure how far the goal is then."""
    drive(e, s, w, asked_of_drive(e, w), drive_limits(e, s, w), dt)


# -- observations


@wp.func
def goal_distance(
    e: Episode, s: Any, w: int, p: wp.vec4, out: wp.array2d(dtype=wp.float32), row: int, column: int
):
    """Show how far the goal is [m]."""
    out[row, column] = s.far[w]


@wp.func
def goal_direction(
    e: Episode, s: Any, w: int, p: wp.vec4, out: wp.array2d(dtype=wp.float32), row: int, column: int
):
    """Show where the goal is, as a unit vector in the vehicle's frame."""
    pose = s.pose[w]
    dx = s.goal[w][0] - pose[0]
    dy = s.goal[w][1] - pose[1]
    near = 1.0 / wp.max(s.far[w], 1.0e-6)
    c = wp.cos(pose[2]) * near
    n = wp.sin(pose[2]) * near
    out[row, column] = c * dx + n * dy
    out[row, column + 1] = c * dy - n * dx


@wp.func
def goal_heading(
    e: Episode, s: Any, w: int, p: wp.vec4, out: wp.array2d(dtype=wp.float32), row: int, column: int
):
    """Show the heading asked for against the vehicle's own, as cosine and sine."""
    left = s.goal[w][2] - s.pose[w][2]
    out[row, column] = wp.cos(left)
    out[row, column + 1] = wp.sin(left)


@wp.func
def motion_of(
    e: Episode, s: Any, w: int, p: wp.vec4, out: wp.array2d(dtype=wp.float32), row: int, column: int
):
    """Show the number `p[0]` of the wheels' twist: 0 the speed [m/s], 1 the rotation [rad/s]."""
    out[row, column] = s.twist[w][wp.int32(p[0])]


@wp.func
def load_of(
    e: Episode, s: Any, w: int, p: wp.vec4, out: wp.array2d(dtype=wp.float32), row: int, column: int
):
    """Show what the vehicle carries [kg]."""
    out[row, column] = e.physics[w, MASS] - s.mass


# -- rewards and terminations


@wp.func
def progress(e: Episode, s: Any, w: int, p: wp.vec4):
    """Return how much nearer the goal came in the step [m]."""
    return s.away[w] - s.far[w]


@wp.func
def at_goal(e: Episode, s: Any, w: int, p: wp.vec4):
    """Return whether the vehicle is within `p[0]` [m] of the goal and `p[1]` [rad] of its heading.

    It also goes no faster than `p[2]` [m/s].
    """
    there = s.far[w] <= p[0]
    if there:  # rarely: what costs is asked for then alone
        turned = wp.abs(wrap_angle(s.goal[w][2] - s.pose[w][2]))
        there = turned <= p[1] and wp.abs(s.twist[w][0]) <= p[2]
    return there
