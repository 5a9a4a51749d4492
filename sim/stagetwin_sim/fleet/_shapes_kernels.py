"""Footprints against each other: how far apart, and how long until they touch.

A footprint is a rectangle: a wp.vec4 of its middle and its direction of length 1, and a wp.vec2 of
half its length and width. Source: separating axes, S. Gottschalk, M. C. Lin, D. Manocha, "OBBTree",
SIGGRAPH 1996, section 5, in two dimensions, and with moving intervals.
"""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["NEVER", "box_gap", "box_time", "disc_gap", "disc_time", "round_gap", "round_time"]

wp.set_module_options({"enable_backward": False})

NEVER = wp.constant(wp.float32(1.0e9))
"""Time until two touch who will not [s]."""


@wp.func
def _reach(way: wp.vec4, half: wp.vec2, axis: wp.vec2) -> wp.float32:
    along = way[2] * axis[0] + way[3] * axis[1]
    aside = way[2] * axis[1] - way[3] * axis[0]
    return half[0] * wp.abs(along) + half[1] * wp.abs(aside)


@wp.func
def _axis(a: wp.vec4, b: wp.vec4, n: wp.int32) -> wp.vec2:
    if n == 0:
        return wp.vec2(a[2], a[3])
    if n == 1:
        return wp.vec2(-a[3], a[2])
    if n == 2:
        return wp.vec2(b[2], b[3])
    return wp.vec2(-b[3], b[2])


@wp.func
def box_gap(a: wp.vec4, half_a: wp.vec2, b: wp.vec4, half_b: wp.vec2) -> wp.float32:
    """Return the widest gap that an axis of either rectangle shows; negative where they overlap.

    It is at most their distance, and that itself where a side faces the other [m].
    """
    away = wp.vec2(b[0] - a[0], b[1] - a[1])
    gap = wp.float32(-NEVER)
    for n in range(4):
        axis = _axis(a, b, n)
        room = wp.abs(wp.dot(away, axis)) - _reach(a, half_a, axis) - _reach(b, half_b, axis)
        gap = wp.max(gap, room)
    return gap


@wp.func
def _meeting(apart: wp.float32, speed: wp.float32, reach: wp.float32, span: wp.vec2) -> wp.vec2:
    """Narrow a span of time to that in which intervals overlap [s]."""
    if wp.abs(speed) < 1.0e-6:
        if wp.abs(apart) > reach:
            return wp.vec2(NEVER, -NEVER)
        return span
    one = (-reach - apart) / speed
    two = (reach - apart) / speed
    return wp.vec2(wp.max(span[0], wp.min(one, two)), wp.min(span[1], wp.max(one, two)))


@wp.func
def box_time(
    a: wp.vec4, half_a: wp.vec2, b: wp.vec4, half_b: wp.vec2, velocity: wp.vec2
) -> wp.float32:
    """Return the time until two rectangles touch [s].

    Args:
        a, half_a, b, half_b: the rectangles.
        velocity: of `b` as seen from `a`, which keeps, as their directions do [m/s].
    """
    away = wp.vec2(b[0] - a[0], b[1] - a[1])
    span = wp.vec2(0.0, NEVER)
    for n in range(4):
        axis = _axis(a, b, n)
        reach = _reach(a, half_a, axis) + _reach(b, half_b, axis)
        span = _meeting(wp.dot(away, axis), wp.dot(velocity, axis), reach, span)
    return wp.where(span[0] <= span[1], span[0], NEVER)


@wp.func
def round_gap(a: wp.vec4, half: wp.vec2, centre: wp.vec2, radius: wp.float32) -> wp.float32:
    """Return how far a disc is from a rectangle; negative where they overlap [m]."""
    dx = centre[0] - a[0]
    dy = centre[1] - a[1]
    along = wp.abs(dx * a[2] + dy * a[3]) - half[0]
    aside = wp.abs(dy * a[2] - dx * a[3]) - half[1]
    out = wp.length(wp.vec2(wp.max(along, 0.0), wp.max(aside, 0.0)))
    return out + wp.min(wp.max(along, aside), 0.0) - radius


@wp.func
def round_time(
    a: wp.vec4, half: wp.vec2, centre: wp.vec2, radius: wp.float32, velocity: wp.vec2
) -> wp.float32:
    """Return the time until a disc touches a rectangle, no later than it does [s].

    At corners the disc counts as the square about it.
    """
    dx = centre[0] - a[0]
    dy = centre[1] - a[1]
    span = wp.vec2(0.0, NEVER)
    span = _meeting(
        dx * a[2] + dy * a[3],
        velocity[0] * a[2] + velocity[1] * a[3],
        half[0] + radius,
        span,
    )
    span = _meeting(
        dy * a[2] - dx * a[3],
        velocity[1] * a[2] - velocity[0] * a[3],
        half[1] + radius,
        span,
    )
    return wp.where(span[0] <= span[1], span[0], NEVER)


@wp.func
def disc_gap(away: wp.vec2, radius: wp.float32) -> wp.float32:
    """Return how far two discs of a sum of radii are apart [m]."""
    return wp.length(away) - radius


@wp.func
def disc_time(away: wp.vec2, radius: wp.float32, velocity: wp.vec2) -> wp.float32:
    """Return the time until two discs touch [s]; as `box_time`."""
    square = wp.dot(velocity, velocity)
    closing = -wp.dot(away, velocity)
    room = wp.dot(away, away) - radius * radius
    if room <= 0.0:
        return 0.0
    under = closing * closing - square * room
    if closing <= 0.0 or under < 0.0:
        return NEVER
    return room / (closing + wp.sqrt(under))
