"""From a velocity that avoidance chose to what a differential drive does with it.

A differential drive cannot move sideways: for a while it is elsewhere than one that moves at the
chosen velocity at once. That error is bounded and added to the radius; the bound is kept by half
planes on the velocities that may be chosen at all. Source: J. Alonso-Mora, A. Breitenmoser,
M. Rufli, P. Beardsley, R. Siegwart, "Optimal Reciprocal Collision Avoidance for Multiple
Non-Holonomic Robots", DARS 2010 (Springer 2013), sections 3 and 4.

With v = V (a/2) cot(a/2) and a turn by `a` within T, its equation for the error after T is
V T sin(|a|/2). The paper turns at once at full rate; here T is what the drive needs for the turn.
"""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._drive_kernels import (
    DriveLimits,
    braking_speed,
    slow_to,
    turn_to,
    wrap_angle,
)

__all__ = ["SLOW", "add_drive_planes", "steer_to", "wanted_way"]

wp.set_module_options({"enable_backward": False})

_RIGHT = wp.constant(wp.float32(1.5707963267948966))
TURNING = wp.constant(wp.float32(0.6))
"""Share of the tracking error that turns may take."""

SLOW = wp.constant(wp.float32(0.05))
"""Below it a velocity is for turning on the spot alone [m/s]."""


@wp.func
def wanted_way(
    x: wp.float32,
    y: wp.float32,
    goal_x: wp.float32,
    goal_y: wp.float32,
    speed: wp.float32,
    deceleration: wp.float32,
    delay: wp.float32,
) -> wp.vec2:
    """Return the velocity towards a goal at which one can still stop there [m/s]."""
    dx = goal_x - x
    dy = goal_y - y
    far = wp.sqrt(dx * dx + dy * dy)
    if far < 1.0e-6:
        return wp.vec2(0.0, 0.0)
    rate = wp.min(speed, braking_speed(far, deceleration, delay)) / far
    return wp.vec2(dx * rate, dy * rate)


@wp.func
def _plane(along: wp.float32, aside: wp.float32, way: wp.vec2, forward: wp.vec2) -> wp.vec4:
    """Return a half plane given in the vehicle's frame, in the map's frame."""
    return wp.vec4(
        along * forward[0] - aside * forward[1],
        along * forward[1] + aside * forward[0],
        way[0] * forward[0] - way[1] * forward[1],
        way[0] * forward[1] + way[1] * forward[0],
    )


@wp.func
def _trackable(
    turn: wp.float32, error: wp.float32, time: wp.float32, limits: DriveLimits
) -> wp.vec2:
    """Return the fastest velocity at an angle that is tracked within an error [m/s].

    Args:
        turn: angle from the heading, up to a right one [rad].
        error: [m].
        time: in which it turns where it can [s].
        limits: of the drive, which turns from rest to rest.
    """
    rate = limits.rotation_speed
    gain = limits.rotation_acceleration
    takes = turn / rate + rate / gain
    if turn < rate * rate / gain:
        takes = 2.0 * wp.sqrt(turn / gain)
    takes = wp.max(takes, time) + limits.lag
    speed = error / (wp.sin(0.5 * turn) * takes)
    return wp.vec2(speed * wp.cos(turn), speed * wp.sin(turn))


@wp.func
def add_drive_planes(
    theta: wp.float32,
    v: wp.float32,
    limits: DriveLimits,
    error: wp.float32,
    time: wp.float32,
    back: wp.float32,
    planes: wp.array(dtype=wp.vec4),
) -> wp.int32:
    """Add the half planes of velocities that a differential drive tracks within an error.

    One part of the error is for turning, the other for speeding up and slowing down.

    Args:
        theta, v: heading [rad] and speed [m/s].
        limits: of the drive.
        error: [m].
        time: in which it turns where it can [s].
        back: how fast it may go backward [m/s].
        planes: gets them, from 0 on.

    Returns:
        How many they are.
    """
    forward = wp.vec2(wp.cos(theta), wp.sin(theta))
    turning = TURNING * error
    pacing = (1.0 - TURNING) * error
    # What is lost while the drive's lag passes, and what changing the speed takes.
    down = limits.deceleration * limits.lag
    up = limits.acceleration * limits.lag
    slower = v - (wp.sqrt(down * down + 2.0 * limits.deceleration * pacing) - down)
    faster = v + (wp.sqrt(up * up + 2.0 * limits.acceleration * pacing) - up)
    planes[0] = _plane(wp.min(wp.max(slower, -back), faster), 0.0, wp.vec2(0.0, -1.0), forward)
    planes[1] = _plane(faster, 0.0, wp.vec2(0.0, 1.0), forward)
    # Velocities that turn within the error are a convex set about the heading: two chords a side.
    wide = _trackable(_RIGHT, turning, time, limits)
    middle = _trackable(0.3, turning, time, limits)
    narrow = _trackable(0.1, turning, time, limits)
    planes[2] = _plane(0.0, narrow[1], wp.vec2(-1.0, 0.0), forward)
    planes[3] = _plane(0.0, -narrow[1], wp.vec2(1.0, 0.0), forward)
    steep = wp.normalize(middle - wide)
    flat = wp.normalize(narrow - middle)
    planes[4] = _plane(wide[0], wide[1], -steep, forward)
    planes[5] = _plane(wide[0], -wide[1], wp.vec2(steep[0], -steep[1]), forward)
    planes[6] = _plane(middle[0], middle[1], -flat, forward)
    planes[7] = _plane(middle[0], -middle[1], wp.vec2(flat[0], -flat[1]), forward)
    return 8


@wp.func
def steer_to(
    wanted: wp.vec2,
    preferred: wp.vec2,
    theta: wp.float32,
    v: wp.float32,
    omega: wp.float32,
    limits: DriveLimits,
    time: wp.float32,
    dt: wp.float32,
) -> wp.vec2:
    """Return the command that tracks a chosen velocity [m/s, rad/s].

    Args:
        wanted: velocity that avoidance chose [m/s].
        preferred: what the vehicle would like, to which it turns where it must stand and avoidance
            shows no way out [m/s].
        theta, v, omega: heading [rad], speed [m/s] and rotation speed [rad/s] now.
        limits: of the drive.
        time: in which it turns where it can [s].
        dt: [s].
    """
    speed = wp.length(wanted)
    if speed < SLOW:
        way = preferred
        if speed >= 0.4 * SLOW:
            way = wanted
        spin = wp.float32(0.0)
        if wp.abs(v) < SLOW and wp.length(way) > 1.0e-3:
            turn = wrap_angle(wp.atan2(way[1], way[0]) - theta)
            spin = turn_to(turn, omega, limits, dt)
        return wp.vec2(slow_to(wp.abs(v), 0.0, limits, dt), spin)
    turn = wrap_angle(wp.atan2(wanted[1], wanted[0]) - theta)
    # What is about sideways is turned to: neither way would be better, and none would be taken.
    backward = wp.abs(turn) > 2.0
    if backward:
        turn = wrap_angle(turn + 2.0 * _RIGHT)
    spin = turn_to(turn, omega, limits, dt)
    if wp.abs(spin) * time > wp.abs(turn):
        spin = turn / time
    ratio = wp.float32(1.0)
    if wp.abs(turn) > 1.0e-3:
        ratio = 0.5 * turn / wp.tan(0.5 * turn)
    if backward:
        return wp.vec2(-speed * ratio, spin)
    return wp.vec2(slow_to(wp.max(v, 0.0), speed * ratio, limits, dt), spin)
