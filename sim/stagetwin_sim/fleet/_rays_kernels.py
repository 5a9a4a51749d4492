"""A lidar on every vehicle: rays against discs, rectangles and edges, and what it makes of them."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._near_kernels import Layout
from stagetwin_sim.fleet._options_kernels import MotionOptions, VehicleKind, draw_of
from stagetwin_sim.fleet._sort_kernels import Grid, cell_column, cell_row
from stagetwin_sim.fleet._state_kernels import FleetState
from stagetwin_sim.fleet._survey_kernels import box_of, half_of

__all__ = ["cast_rays", "ray_box", "ray_circle", "ray_segment"]

wp.set_module_options({"enable_backward": False})


@wp.func
def ray_circle(
    origin: wp.vec2, way: wp.vec2, centre: wp.vec2, radius: wp.float32, far: wp.float32
) -> wp.float32:
    """Return how far along a ray a disc begins [m]; `far` where it does not, 0 from within."""
    away = centre - origin
    along = wp.dot(away, way)
    room = wp.dot(away, away) - radius * radius
    if room <= 0.0:
        return 0.0
    under = along * along - room
    if along <= 0.0 or under < 0.0:
        return far
    return wp.min(far, room / (along + wp.sqrt(under)))


@wp.func
def ray_segment(
    origin: wp.vec2, way: wp.vec2, a: wp.vec2, b: wp.vec2, far: wp.float32
) -> wp.float32:
    """Return how far along a ray a segment is met [m]; `far` where it is not."""
    edge = b - a
    apart = a - origin
    slope = way[0] * edge[1] - way[1] * edge[0]
    if wp.abs(slope) < 1.0e-9:
        return far
    t = (apart[0] * edge[1] - apart[1] * edge[0]) / slope
    u = (apart[0] * way[1] - apart[1] * way[0]) / slope
    if t < 0.0 or u < 0.0 or u > 1.0:
        return far
    return wp.min(far, t)


@wp.func
def ray_box(
    origin: wp.vec2, way: wp.vec2, box: wp.vec4, half: wp.vec2, far: wp.float32
) -> wp.float32:
    """Return how far along a ray a rectangle begins [m]; `far` where it does not, 0 from within.

    Source: slabs, T. L. Kay, J. T. Kajiya, "Ray Tracing Complex Scenes", SIGGRAPH 1986.
    """
    dx = origin[0] - box[0]
    dy = origin[1] - box[1]
    enter = wp.float32(0.0)
    leave = wp.float32(far)
    for n in range(2):
        at = dx * box[2] + dy * box[3]
        speed = way[0] * box[2] + way[1] * box[3]
        size = half[0]
        if n == 1:
            at = dy * box[2] - dx * box[3]
            speed = way[1] * box[2] - way[0] * box[3]
            size = half[1]
        if wp.abs(speed) < 1.0e-9:
            if wp.abs(at) > size:
                return far
        else:
            one = (-size - at) / speed
            two = (size - at) / speed
            enter = wp.max(enter, wp.min(one, two))
            leave = wp.min(leave, wp.max(one, two))
    return wp.where(enter <= leave, enter, far)


@wp.kernel
def cast_rays(
    # in:
    options: MotionOptions,
    types: wp.array2d(dtype=wp.int32),
    kinds: wp.array(dtype=VehicleKind),
    grid: Grid,
    starts: wp.array(dtype=wp.int32),
    bodies: wp.array(dtype=wp.vec4),
    sizes: wp.array(dtype=wp.float32),
    numbers: wp.array(dtype=wp.int32),
    layout: Layout,
    layouts: wp.array(dtype=wp.int32),
    seeds: wp.array(dtype=wp.int32),
    scans: wp.array(dtype=wp.int32),
    fleet: FleetState,
    mount: wp.vec3,
    first: wp.float32,
    spacing: wp.float32,
    far: wp.float32,
    noise: wp.float32,
    dropout: wp.float32,
    # out:
    ranges: wp.array3d(dtype=wp.float32),
    hits: wp.array3d(dtype=wp.int32),
):
    """Look along every ray of every vehicle; over (worlds, vehicles, rays).

    `hits` are -1 for nothing, -2 for an obstacle, or the number of a vehicle or person.
    """
    world, i, ray = wp.tid()
    theta = fleet.theta[world, i]
    c = wp.cos(theta)
    s = wp.sin(theta)
    origin = wp.vec2(
        fleet.x[world, i] + mount[0] * c - mount[1] * s,
        fleet.y[world, i] + mount[0] * s + mount[1] * c,
    )
    angle = theta + mount[2] + first + spacing * wp.float32(ray)
    way = wp.vec2(wp.cos(angle), wp.sin(angle))
    end = origin + far * way
    best = wp.float32(far)
    hit = wp.int32(-1)

    left = wp.min(origin[0], end[0]) - options.largest
    right = wp.max(origin[0], end[0]) + options.largest
    low = wp.min(origin[1], end[1]) - options.largest
    high = wp.max(origin[1], end[1]) + options.largest
    for row in range(cell_row(grid, low), cell_row(grid, high) + 1):
        begin = (world * grid.rows + row) * grid.columns
        for slot in range(
            starts[begin + cell_column(grid, left)], starts[begin + cell_column(grid, right) + 1]
        ):
            j = numbers[slot]
            if j != i:
                body = bodies[slot]
                centre = wp.vec2(body[0], body[1])
                near = ray_circle(origin, way, centre, wp.abs(sizes[slot]), best)
                if near < best or (near == best and hit > j):
                    found = near
                    if j < options.vehicles and options.discs == 0:
                        found = ray_box(
                            origin,
                            way,
                            box_of(fleet, world, j, kinds[types[world, j]].centre),
                            half_of(fleet, world, j),
                            best,
                        )
                    if found < best or (found == best and hit > j):
                        best = found
                        hit = j
    if layout.near.shape[0] > 0:
        end = origin + best * way
        first_column = cell_column(layout.grid, wp.min(origin[0], end[0]))
        last_column = cell_column(layout.grid, wp.max(origin[0], end[0]))
        first_row = cell_row(layout.grid, wp.min(origin[1], end[1]))
        last_row = cell_row(layout.grid, wp.max(origin[1], end[1]))
        for row in range(first_row, last_row + 1):
            cell = (layouts[world] * layout.grid.rows + row) * layout.grid.columns
            for n in range(
                layout.starts[cell + first_column], layout.starts[cell + last_column + 1]
            ):
                ends = layout.ends[layout.near[n]]
                found = ray_segment(
                    origin, way, wp.vec2(ends[0], ends[1]), wp.vec2(ends[2], ends[3]), best
                )
                if found < best:
                    best = found
                    hit = wp.int32(-2)

    if noise > 0.0 or dropout > 0.0:
        draw = draw_of(seeds[world], scans[world], 7 + 16 * (i * ranges.shape[2] + ray))
        lost = wp.randf(draw)
        if hit != -1:
            best = wp.clamp(best + noise * wp.randn(draw), 0.0, far)
        if lost < dropout:
            best = wp.float32(far)
            hit = wp.int32(-1)
    ranges[world, i, ray] = best
    hits[world, i, ray] = hit
