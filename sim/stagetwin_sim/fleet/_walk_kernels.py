"""People: they walk where they mean to, and give way to nobody."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._near_kernels import Layout
from stagetwin_sim.fleet._options_kernels import draw_of
from stagetwin_sim.fleet._state_kernels import PeopleState

__all__ = ["walk_people"]

wp.set_module_options({"enable_backward": False})

_TRIES = wp.constant(wp.int32(8))


@wp.func
def _is_clear(
    layout: Layout, begin: wp.int32, end: wp.int32, a: wp.vec2, b: wp.vec2, radius: wp.float32
) -> wp.bool:
    """Return whether someone of a radius can walk straight from a to b."""
    way = b - a
    clear = wp.bool(True)
    for n in range(begin, end):
        ends = layout.ends[n]
        p = wp.vec2(ends[0], ends[1])
        q = wp.vec2(ends[2], ends[3])
        edge = q - p
        slope = way[0] * edge[1] - way[1] * edge[0]
        if wp.abs(slope) > 1.0e-9:
            apart = p - a
            t = (apart[0] * edge[1] - apart[1] * edge[0]) / slope
            u = (apart[0] * way[1] - apart[1] * way[0]) / slope
            if t >= 0.0 and t <= 1.0 and u >= 0.0 and u <= 1.0:
                clear = False
        # The ends of each from the other: where they do not cross, one of these is nearest.
        square = wp.max(wp.dot(way, way), 1.0e-12)
        length = wp.dot(edge, edge)
        on_p = a + wp.clamp(wp.dot(p - a, way) / square, 0.0, 1.0) * way
        on_b = p + wp.clamp(wp.dot(b - p, edge) / length, 0.0, 1.0) * edge
        if wp.length(on_p - p) < radius or wp.length(on_b - b) < radius:
            clear = False
    return clear


@wp.kernel
def walk_people(
    # in:
    dt: wp.float32,
    area: wp.vec4,
    rest: wp.float32,
    layout: Layout,
    firsts: wp.array(dtype=wp.int32),
    layouts: wp.array(dtype=wp.int32),
    seeds: wp.array(dtype=wp.int32),
    ticks: wp.array(dtype=wp.int32),
    # in and out:
    people: PeopleState,
):
    """Move people on; over (worlds, people).

    Who is where he meant to go stands for a while, up to `rest` [s], and chooses another place in
    the area (left, bottom, right, top) to which the way is clear.
    """
    world, i = wp.tid()
    x = people.x[world, i]
    y = people.y[world, i]
    dx = people.goal_x[world, i] - x
    dy = people.goal_y[world, i] - y
    far = wp.sqrt(dx * dx + dy * dy)
    stride = people.speed[world, i] * dt
    if people.pause[world, i] > 0.0:
        people.pause[world, i] = people.pause[world, i] - dt
        people.vx[world, i] = 0.0
        people.vy[world, i] = 0.0
        return
    if far <= stride:
        draw = draw_of(seeds[world], ticks[world], -2 - i)
        people.pause[world, i] = rest * wp.randf(draw)
        people.vx[world, i] = 0.0
        people.vy[world, i] = 0.0
        which = layouts[world]
        for _ in range(_TRIES):
            goal = wp.vec2(
                area[0] + (area[2] - area[0]) * wp.randf(draw),
                area[1] + (area[3] - area[1]) * wp.randf(draw),
            )
            if _is_clear(
                layout,
                firsts[which],
                firsts[which + 1],
                wp.vec2(x, y),
                goal,
                people.radius[world, i],
            ):
                people.goal_x[world, i] = goal[0]
                people.goal_y[world, i] = goal[1]
                return
        return
    people.vx[world, i] = people.speed[world, i] * dx / far
    people.vy[world, i] = people.speed[world, i] * dy / far
    people.x[world, i] = x + stride * dx / far
    people.y[world, i] = y + stride * dy / far
