"""From a velocity that avoidance chose to what a differential drive does with it.

A differential drive cannot move sideways: for a while it is elsewhere than one that moves at the
chosen velocity at once. That error is bounded and added to the radius; the bound is kept by half
planes on the velocities that may be chosen at all. Source: J. Alonso-Mora, A. Breitenmoser,
M. Rufli, P. Beardsley, R. Siegwart, "Optimal Reciprocal Collision Avoidance for Multiple
Non-Holonomic Robots", DARS 2010 (Springer 2013), sections 3 and 4.

With v = V (a/2) cot(a/2) and a turn by `a` within T, its equation for the error after T is
V T sin(|a|/2).
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
def _plane(
    along: wp.float32, aside: wp.float32, way: wp.vec2, forward: wp.vec2
) -> wp.vec4:
    """Return a half plane given in the vehicle's frame, in the map's frame."""
    return wp.vec4(
        along * forward[0] - aside * forward[1],
        along * forward[1] + aside * forward[0],
        way[0] * forward[0] - way[1] * forward[1],
        way[0] * forward[1] + way[1] * forward[0],
    )


@wp.func
def add_drive_planes(
    theta: wp.float32,
    v: wp.float32,
    limits: DriveLimits,
    error: wp.float32,
    time: wp.float32,
    planes: wp.array(dtype=wp.vec4),
) -> wp.int32:
    """Add the half planes of velocities that a differential drive tracks within an error.

    Half of the error is for turning, half for speeding up and slowing down.

    Args:
        theta, v: heading [rad] and speed [m/s].
        limits: of the drive.
        error: [m].
        time: in which it turns where it can [s].
        planes: gets them, from 0 on.

    Returns:
        How many they are.
    """
    forward = wp.vec2(wp.cos(theta), wp.sin(theta))
    half = 0.5 * error
    # V(a) = half / (sin(a/2) max(time, a / rate)) bounds a convex set: two chords a side.
    quarter = wp.max(time, _RIGHT / limits.rotation_speed)
    low = half / (0.70710678 * quarter)
    turn = wp.min(limits.rotation_speed * time, _RIGHT)
    rate = half / (wp.sin(0.5 * turn) * time)
    along = rate * wp.cos(turn)
    high = rate * wp.sin(turn)
    slower = v - wp.sqrt(2.0 * limits.deceleration * half)
    faster = v + wp.sqrt(2.0 * limits.acceleration * half)
    planes[0] = _plane(wp.max(slower, 0.0), 0.0, wp.vec2(0.0, -1.0), forward)
    planes[1] = _plane(wp.max(faster, 0.0), 0.0, wp.vec2(0.0, 1.0), forward)
    planes[2] = _plane(0.0, high, wp.vec2(-1.0, 0.0), forward)
    planes[3] = _plane(0.0, -high, wp.vec2(1.0, 0.0), forward)
    count = wp.int32(4)
    if along > 1.0e-3 and high > low:
        slope = wp.normalize(wp.vec2(along, high - low))
        planes[4] = _plane(0.0, low, -slope, forward)
        planes[5] = _plane(0.0, -low, wp.vec2(slope[0], -slope[1]), forward)
        count = wp.int32(6)
    return count


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
        if v < SLOW and wp.length(way) > 1.0e-3:
            turn = wrap_angle(wp.atan2(way[1], way[0]) - theta)
            spin = turn_to(turn, omega, limits, dt)
        return wp.vec2(slow_to(v, 0.0, limits, dt), spin)
    turn = wrap_angle(wp.atan2(wanted[1], wanted[0]) - theta)
    spin = turn_to(turn, omega, limits, dt)
    if wp.abs(turn) > _RIGHT:
        return wp.vec2(slow_to(v, 0.0, limits, dt), spin)
    if wp.abs(spin) * time > wp.abs(turn):
        spin = turn / time
    ratio = wp.float32(1.0)
    if wp.abs(turn) > 1.0e-3:
        ratio = 0.5 * turn / wp.tan(0.5 * turn)
    return wp.vec2(slow_to(v, speed * ratio, limits, dt), spin)
