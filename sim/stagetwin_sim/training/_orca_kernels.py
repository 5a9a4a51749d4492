"""ORCA for the one vehicle of a room: the velocity nearest to the one that leads to its goal."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._planes_kernels import agent_plane
from stagetwin_sim.fleet._program_kernels import MAX_PLANES, least_violating, nearest_velocity

__all__ = ["choose_velocities"]

wp.set_module_options({"enable_backward": False})


@wp.kernel
def choose_velocities(
    # in:
    pose: wp.array(dtype=wp.vec3),
    twist: wp.array(dtype=wp.vec2),
    goal: wp.array(dtype=wp.vec3),
    pillars: wp.array2d(dtype=wp.vec3),
    others: wp.array2d(dtype=wp.vec4),
    half: wp.float32,
    radius: wp.float32,
    other_radius: wp.float32,
    top: wp.float32,
    horizon: wp.float32,
    share: wp.float32,
    dt: wp.float32,
    # out:
    chosen: wp.array(dtype=wp.vec2),
):
    """Choose a velocity for the vehicle of each world, in the map's frame [m/s].

    Walls come first and never give way; then pillars, as agents that stand; then the others, which
    take `1 - share` of the way out.
    """
    w = wp.tid()
    at = pose[w]
    own = wp.vec2(twist[w][0] * wp.cos(at[2]), twist[w][0] * wp.sin(at[2]))
    planes = wp.zeros(shape=(MAX_PLANES,), dtype=wp.vec4)
    # To each wall no faster than the room to it is used up within a second; permitted is the left.
    planes[0] = wp.vec4(half - radius - at[0], 0.0, 0.0, 1.0)
    planes[1] = wp.vec4(-(half - radius + at[0]), 0.0, 0.0, -1.0)
    planes[2] = wp.vec4(0.0, half - radius - at[1], -1.0, 0.0)
    planes[3] = wp.vec4(0.0, -(half - radius + at[1]), 1.0, 0.0)
    count = wp.int32(4)
    none = wp.vec2(0.0, 0.0)
    for i in range(pillars.shape[1]):
        pillar = pillars[w, i]
        if pillar[2] > 0.0 and count < MAX_PLANES:
            relative = wp.vec2(pillar[0] - at[0], pillar[1] - at[1])
            planes[count] = agent_plane(relative, own, none, radius + pillar[2], 1.0, horizon, dt)
            count = count + 1
    firm = wp.int32(count)
    for i in range(others.shape[1]):
        other = others[w, i]
        if count < MAX_PLANES:
            relative = wp.vec2(other[0] - at[0], other[1] - at[1])
            moves = wp.vec2(other[3] * wp.cos(other[2]), other[3] * wp.sin(other[2]))
            both = radius + other_radius
            planes[count] = agent_plane(relative, own, moves, both, share, horizon, dt)
            count = count + 1
    to = wp.vec2(goal[w][0] - at[0], goal[w][1] - at[1])
    far = wp.length(to)
    wish = wp.vec2(0.0, 0.0)
    if far > 1.0e-6:
        wish = to * (wp.min(top, wp.sqrt(0.8 * far)) / far)
    best = nearest_velocity(planes, count, top, wish)
    velocity = wp.vec2(best[0], best[1])
    failed = wp.int32(best[2])
    if failed < count:
        velocity = least_violating(planes, count, wp.min(firm, 4), failed, top, velocity)
    chosen[w] = velocity
