"""A differential drive within its limits: functions for the kernels of fleets and environments."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = [
    "DriveLimits",
    "braking_speed",
    "drive_step",
    "limited",
    "slow_to",
    "turn_to",
    "wrap_angle",
]

wp.set_module_options({"enable_backward": False})

_TURN = wp.constant(wp.float32(6.2831853071795864))
_HALF = wp.constant(wp.float32(3.14159265358979))


@wp.struct
class DriveLimits:
    """What a drive can do.

    Attributes:
        speed: highest forward [m/s].
        reverse_speed: highest backward [m/s]; 0 where it cannot.
        acceleration: [m/s2].
        deceleration: [m/s2].
        rotation_speed: [rad/s].
        rotation_acceleration: of speeding up and of slowing down [rad/s2].
        lag: time constant with which it follows a command [s]; 0 follows at once.
    """

    speed: wp.float32
    reverse_speed: wp.float32
    acceleration: wp.float32
    deceleration: wp.float32
    rotation_speed: wp.float32
    rotation_acceleration: wp.float32
    lag: wp.float32


@wp.func
def limited(limits: DriveLimits, rotation_speed: wp.float32) -> DriveLimits:
    """Return the limits of a drive that may turn no faster than this [rad/s]."""
    made = DriveLimits()
    made.speed = limits.speed
    made.reverse_speed = limits.reverse_speed
    made.acceleration = limits.acceleration
    made.deceleration = limits.deceleration
    made.rotation_speed = wp.min(limits.rotation_speed, rotation_speed)
    made.rotation_acceleration = limits.rotation_acceleration
    made.lag = limits.lag
    return made


@wp.func
def wrap_angle(angle: wp.float32) -> wp.float32:
    """Return an angle in (-pi, pi] [rad]."""
    wrapped = angle - _TURN * wp.floor(angle / _TURN + 0.5)
    return wp.where(wrapped <= -_HALF, wrapped + _TURN, wrapped)


@wp.func
def _within(now: wp.float32, asked: wp.float32, up: wp.float32, down: wp.float32) -> wp.float32:
    """Return what a speed becomes within a step that allows `up` faster and `down` slower."""
    if now < 0.0:
        now_up = -now
        want = -asked
    else:
        now_up = now
        want = asked
    if want >= 0.0:
        reached = wp.clamp(want, now_up - down, now_up + up)
    elif now_up > down:
        reached = now_up - down
    else:
        # Through standstill: what is left of the time is for speeding up the other way.
        left = 1.0 - now_up / wp.max(down, 1.0e-12)
        reached = wp.max(want, -up * left)
    return wp.where(now < 0.0, -reached, reached)


@wp.func
def drive_step(
    pose: wp.vec3,
    twist: wp.vec2,
    command: wp.vec2,
    limits: DriveLimits,
    slip: wp.vec2,
    dt: wp.float32,
):
    """Move a differential drive on by one step.

    The drive follows its command with a lag of first order, within its accelerations and speeds,
    which are never exceeded; the ground is covered along an arc, less the slip of the wheels.
    Source: S. Thrun, W. Burgard, D. Fox, "Probabilistic Robotics", 2005, section 5.3.1 (the arc).

    Args:
        pose: x, y [m], theta [rad].
        twist: speed and rotation speed of the wheels [m/s, rad/s].
        command: likewise.
        limits: of the drive.
        slip: shares of speed and rotation that the wheels lose, 0 to 1.
        dt: [s].

    Returns:
        x, y, theta, and the wheels' speed and rotation speed.
    """
    follow = wp.float32(1.0)
    if limits.lag > 0.0:
        follow = 1.0 - wp.exp(-dt / limits.lag)
    asked = wp.clamp(command[0], -limits.reverse_speed, limits.speed)
    asked = twist[0] + (asked - twist[0]) * follow
    v = _within(twist[0], asked, limits.acceleration * dt, limits.deceleration * dt)
    spin = wp.clamp(command[1], -limits.rotation_speed, limits.rotation_speed)
    spin = twist[1] + (spin - twist[1]) * follow
    most = limits.rotation_acceleration * dt
    omega = wp.clamp(spin, twist[1] - most, twist[1] + most)

    ground = v * (1.0 - slip[0]) * dt
    half = 0.5 * omega * (1.0 - slip[1]) * dt
    # The chord of an arc: sin(h) / h of its length, towards half of its angle.
    chord = ground
    if wp.abs(half) > 1.0e-3:
        chord = ground * wp.sin(half) / half
    x = pose[0] + chord * wp.cos(pose[2] + half)
    y = pose[1] + chord * wp.sin(pose[2] + half)
    theta = wrap_angle(pose[2] + 2.0 * half)
    return x, y, theta, v, omega


@wp.func
def braking_speed(gap: wp.float32, deceleration: wp.float32, delay: wp.float32) -> wp.float32:
    """Return the highest speed from which a vehicle still comes to rest within a gap [m/s].

    It solves v^2 / (2 deceleration) + v delay = gap; `delay` [s] is what passes before the brakes
    act, at least a step.
    """
    if gap <= 0.0:
        return 0.0
    lost = deceleration * delay
    return wp.sqrt(lost * lost + 2.0 * deceleration * gap) - lost


@wp.func
def slow_to(v: wp.float32, speed: wp.float32, limits: DriveLimits, dt: wp.float32) -> wp.float32:
    """Return the command by which a drive that lags is at a speed after this step [m/s].

    Args:
        v: speed now, not negative [m/s].
        speed: wanted; a higher one than now is the command itself [m/s].
        limits: of the drive.
        dt: [s].
    """
    if limits.lag > 0.0 and speed < v:
        return wp.max(v + (speed - v) / (1.0 - wp.exp(-dt / limits.lag)), 0.0)
    return speed


@wp.func
def turn_to(
    error: wp.float32, omega: wp.float32, limits: DriveLimits, dt: wp.float32
) -> wp.float32:
    """Return the rotation speed that ends a turn at rest [rad/s].

    Args:
        error: what is left of the turn, in (-pi, pi] [rad].
        omega: rotation speed now [rad/s].
        limits: of the drive.
        dt: [s].
    """
    rate = braking_speed(wp.abs(error), limits.rotation_acceleration, dt + limits.lag)
    rate = wp.min(rate, limits.rotation_speed)
    goal = wp.where(error < 0.0, -rate, rate)
    if limits.lag > 0.0:
        # The drive lags behind its command: ask for as much more as it will not do.
        goal = omega + (goal - omega) / (1.0 - wp.exp(-dt / limits.lag))
    return goal
