"""The linear programs of ORCA: the velocity nearest to a preferred one that half planes leave.

A half plane is a wp.vec4: a point on its edge, and the edge's direction of length 1; what is
permitted lies to the left. Source: J. van den Berg, S. J. Guy, M. Lin, D. Manocha, "Reciprocal
n-body collision avoidance", Robotics Research (ISRR 2009), 2011, sections 5.2 and 5.3; the method
is R. Seidel's incremental one, "Small-dimensional linear programming and convex hulls made easy",
Discrete & Computational Geometry 6, 1991, in the given order instead of a random one.
"""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["MAX_PLANES", "PARALLEL", "least_violating", "nearest_velocity"]

wp.set_module_options({"enable_backward": False})

MAX_PLANES = 34
"""Half planes that one agent may have: agents, obstacles and its own limits."""

PARALLEL = wp.constant(wp.float32(1.0e-5))
"""Sine of the angle below which two edges count as parallel."""


@wp.func
def crossing(planes: wp.array(dtype=wp.vec4), at: wp.int32, radius: wp.float32) -> wp.vec3:
    """Return which part of an edge all earlier half planes and the disc leave.

    Returns:
        The first and last parameter along the edge, and 1, or 0 where nothing is left.
    """
    plane = planes[at]
    px = plane[0]
    py = plane[1]
    dx = plane[2]
    dy = plane[3]
    along = px * dx + py * dy
    under = along * along + radius * radius - (px * px + py * py)
    if under < 0.0:
        return wp.vec3(0.0, 0.0, 0.0)
    root = wp.sqrt(under)
    first = -along - root
    last = -along + root
    for i in range(at):
        other = planes[i]
        slope = dx * other[3] - dy * other[2]
        inside = other[2] * (py - other[1]) - other[3] * (px - other[0])
        if wp.abs(slope) <= PARALLEL:
            if inside < 0.0:
                return wp.vec3(0.0, 0.0, 0.0)
        else:
            t = inside / slope
            if slope >= 0.0:
                last = wp.min(last, t)
            else:
                first = wp.max(first, t)
            if first > last:
                return wp.vec3(0.0, 0.0, 0.0)
    return wp.vec3(first, last, 1.0)


@wp.func
def nearest_velocity(
    planes: wp.array(dtype=wp.vec4), count: wp.int32, radius: wp.float32, preferred: wp.vec2
) -> wp.vec3:
    """Return the permitted velocity nearest to a preferred one.

    Args:
        planes: half planes, `count` of them.
        radius: highest speed [m/s].
        preferred: [m/s].

    Returns:
        vx, vy [m/s], and the number of the first half plane that cannot be met; `count` if all are.
    """
    vx = preferred[0]
    vy = preferred[1]
    square = vx * vx + vy * vy
    if square > radius * radius:
        scale = radius / wp.sqrt(square)
        vx = vx * scale
        vy = vy * scale
    for i in range(count):
        plane = planes[i]
        if plane[2] * (plane[1] - vy) - plane[3] * (plane[0] - vx) > 0.0:
            left = crossing(planes, i, radius)
            if left[2] == 0.0:
                return wp.vec3(vx, vy, wp.float32(i))
            t = plane[2] * (preferred[0] - plane[0]) + plane[3] * (preferred[1] - plane[1])
            t = wp.clamp(t, left[0], left[1])
            vx = plane[0] + t * plane[2]
            vy = plane[1] + t * plane[3]
    return wp.vec3(vx, vy, wp.float32(count))


@wp.func
def farthest_velocity(
    planes: wp.array(dtype=wp.vec4), count: wp.int32, radius: wp.float32, way: wp.vec2
) -> wp.vec3:
    """Return the permitted velocity farthest in a direction; as `nearest_velocity`."""
    vx = way[0] * radius
    vy = way[1] * radius
    for i in range(count):
        plane = planes[i]
        if plane[2] * (plane[1] - vy) - plane[3] * (plane[0] - vx) > 0.0:
            left = crossing(planes, i, radius)
            if left[2] == 0.0:
                return wp.vec3(vx, vy, wp.float32(i))
            t = left[0]
            if way[0] * plane[2] + way[1] * plane[3] > 0.0:
                t = left[1]
            vx = plane[0] + t * plane[2]
            vy = plane[1] + t * plane[3]
    return wp.vec3(vx, vy, wp.float32(count))


@wp.func
def least_violating(
    planes: wp.array(dtype=wp.vec4),
    count: wp.int32,
    hard: wp.int32,
    begin: wp.int32,
    radius: wp.float32,
    velocity: wp.vec2,
) -> wp.vec2:
    """Return the velocity that violates the worst half plane least.

    Args:
        planes: half planes, `count` of them.
        hard: how many of the first ones may not give way.
        begin: the half plane that could not be met.
        radius: highest speed [m/s].
        velocity: what the half planes before `begin` allow [m/s].
    """
    vx = velocity[0]
    vy = velocity[1]
    worst = wp.float32(0.0)
    projected = wp.zeros(shape=(MAX_PLANES,), dtype=wp.vec4)
    for i in range(begin, count):
        plane = planes[i]
        if plane[2] * (plane[1] - vy) - plane[3] * (plane[0] - vx) > worst:
            n = wp.int32(0)
            for j in range(hard):
                projected[n] = planes[j]
                n = n + 1
            for j in range(hard, i):
                other = planes[j]
                slope = plane[2] * other[3] - plane[3] * other[2]
                x = wp.float32(0.0)
                y = wp.float32(0.0)
                use = wp.bool(True)
                if wp.abs(slope) <= PARALLEL:
                    if plane[2] * other[2] + plane[3] * other[3] > 0.0:
                        use = False
                    else:
                        x = 0.5 * (plane[0] + other[0])
                        y = 0.5 * (plane[1] + other[1])
                else:
                    t = (
                        other[2] * (plane[1] - other[1]) - other[3] * (plane[0] - other[0])
                    ) / slope
                    x = plane[0] + t * plane[2]
                    y = plane[1] + t * plane[3]
                if use:
                    way = wp.normalize(wp.vec2(other[2] - plane[2], other[3] - plane[3]))
                    projected[n] = wp.vec4(x, y, way[0], way[1])
                    n = n + 1
            found = farthest_velocity(projected, n, radius, wp.vec2(-plane[3], plane[2]))
            # By what is known it always succeeds; where rounding says otherwise, it stays.
            if wp.int32(found[2]) == n:
                vx = found[0]
                vy = found[1]
            worst = plane[2] * (plane[1] - vy) - plane[3] * (plane[0] - vx)
    return wp.vec2(vx, vy)
