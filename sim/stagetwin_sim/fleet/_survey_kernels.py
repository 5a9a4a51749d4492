"""What happens between vehicles: protective fields, collisions, near misses."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._drive_kernels import DriveLimits
from stagetwin_sim.fleet._near_kernels import Layout
from stagetwin_sim.fleet._options_kernels import MotionOptions, VehicleKind, enclosing_radius
from stagetwin_sim.fleet._shapes_kernels import (
    NEVER,
    box_gap,
    box_time,
    disc_gap,
    disc_time,
    round_gap,
    round_time,
)
from stagetwin_sim.fleet._sort_kernels import Grid, cell_column, cell_row
from stagetwin_sim.fleet._state_kernels import FleetState

__all__ = ["box_of", "survey_vehicles"]

wp.set_module_options({"enable_backward": False})


@wp.func
def box_of(fleet: FleetState, world: wp.int32, i: wp.int32, centre: wp.float32) -> wp.vec4:
    """Return the middle and direction of a vehicle's footprint."""
    theta = fleet.theta[world, i]
    c = wp.cos(theta)
    s = wp.sin(theta)
    return wp.vec4(fleet.x[world, i] + centre * c, fleet.y[world, i] + centre * s, c, s)


@wp.func
def half_of(fleet: FleetState, world: wp.int32, i: wp.int32) -> wp.vec2:
    """Return half the length and width of a vehicle's footprint [m]."""
    return wp.vec2(0.5 * fleet.length[world, i], 0.5 * fleet.width[world, i])


@wp.kernel
def survey_vehicles(
    # in:
    options: MotionOptions,
    types: wp.array2d(dtype=wp.int32),
    drives: wp.array(dtype=DriveLimits),
    kinds: wp.array(dtype=VehicleKind),
    grid: Grid,
    starts: wp.array(dtype=wp.int32),
    bodies: wp.array(dtype=wp.vec4),
    sizes: wp.array(dtype=wp.float32),
    numbers: wp.array(dtype=wp.int32),
    layout: Layout,
    layouts: wp.array(dtype=wp.int32),
    # in and out:
    fleet: FleetState,
):
    """Look round every vehicle, as things stand; over the sorted entries of all worlds."""
    own_slot = wp.tid()
    world = own_slot / options.entries
    i = numbers[own_slot]
    if i >= options.vehicles:
        return
    body = bodies[own_slot]
    own = wp.vec2(body[2], body[3])
    kind = kinds[types[world, i]]
    limits = drives[types[world, i]]
    box = box_of(fleet, world, i, kind.centre)
    half = half_of(fleet, world, i)
    radius = enclosing_radius(
        fleet.length[world, i], fleet.width[world, i], kind.centre, options.discs
    )
    v = fleet.v[world, i]

    # The protective field: what braking takes, in front of where it goes.
    watched = fleet.field[world, i] != 0 and options.discs == 0
    deep = v * v / (2.0 * limits.deceleration) + wp.abs(v) * options.field_reaction
    deep = deep + options.field_front
    facing = wp.where(fleet.facing[world, i] < 0, -1.0, 1.0)
    ahead = facing * (half[0] + 0.5 * deep)
    field = wp.vec4(box[0] + ahead * box[2], box[1] + ahead * box[3], box[2], box[3])
    field_half = wp.vec2(0.5 * deep, half[1] + options.field_side)
    field_reach = wp.where(watched, deep + options.field_side, 0.0)

    blocked = wp.int32(0)
    touching = wp.int32(0)
    bumped = wp.int32(0)
    nearing = wp.int32(0)
    least = wp.float32(NEVER)
    hardest = wp.float32(0.0)
    standing = wp.abs(v) < 0.01

    soon = wp.max(options.near_distance, (wp.abs(v) + options.fastest) * options.near_time)
    reach = radius + options.largest + wp.max(soon, field_reach)
    first_column = cell_column(grid, body[0] - reach)
    last_column = cell_column(grid, body[0] + reach)
    for row in range(cell_row(grid, body[1] - reach), cell_row(grid, body[1] + reach) + 1):
        begin = (world * grid.rows + row) * grid.columns
        for slot in range(starts[begin + first_column], starts[begin + last_column + 1]):
            other = bodies[slot]
            away = wp.vec2(other[0] - body[0], other[1] - body[1])
            far = wp.length(away) - radius - wp.abs(sizes[slot])
            velocity = wp.vec2(other[2] - own[0], other[3] - own[1])
            speed = wp.length(velocity)
            close = wp.max(options.near_distance, speed * options.near_time)
            if slot != own_slot and far <= wp.max(close, field_reach):
                j = numbers[slot]
                gap = wp.float32(0.0)
                time = wp.float32(0.0)
                in_field = wp.bool(False)
                if options.discs != 0:
                    gap = disc_gap(away, radius + wp.abs(sizes[slot]))
                    time = disc_time(away, radius + wp.abs(sizes[slot]), velocity)
                elif j < options.vehicles:
                    there = box_of(fleet, world, j, kinds[types[world, j]].centre)
                    half_there = half_of(fleet, world, j)
                    gap = box_gap(box, half, there, half_there)
                    time = box_time(box, half, there, half_there, velocity)
                    if watched:
                        in_field = box_gap(field, field_half, there, half_there) < 0.0
                else:
                    centre = wp.vec2(other[0], other[1])
                    gap = round_gap(box, half, centre, wp.abs(sizes[slot]))
                    time = round_time(box, half, centre, wp.abs(sizes[slot]), velocity)
                    if watched:
                        in_field = round_gap(field, field_half, centre, wp.abs(sizes[slot])) < 0.0
                if in_field:
                    blocked = wp.int32(1)
                if gap < 0.0:
                    touching = wp.int32(1)
                    hardest = wp.max(hardest, speed)
                    if j >= options.vehicles and standing:
                        bumped = wp.int32(1)
                elif speed >= options.near_speed and (
                    gap < options.near_distance or time < options.near_time
                ):
                    nearing = wp.int32(1)
                    least = wp.min(least, time)

    if layout.near.shape[0] > 0:
        # Edges within the reach of avoidance are named in a cell; fields and footprints are less.
        cell = layouts[world] * layout.grid.rows + cell_row(layout.grid, body[1])
        cell = cell * layout.grid.columns + cell_column(layout.grid, body[0])
        for n in range(layout.starts[cell], layout.starts[cell + 1]):
            ends = layout.ends[layout.near[n]]
            edge = wp.vec2(ends[2] - ends[0], ends[3] - ends[1])
            length = wp.length(edge)
            middle = wp.vec2(0.5 * (ends[0] + ends[2]), 0.5 * (ends[1] + ends[3]))
            far = wp.length(middle - wp.vec2(body[0], body[1])) - 0.5 * length - radius
            if far <= field_reach:
                if options.discs != 0:
                    t = wp.dot(wp.vec2(body[0] - ends[0], body[1] - ends[1]), edge)
                    t = wp.clamp(t / (length * length), 0.0, 1.0)
                    foot = wp.vec2(ends[0] - body[0], ends[1] - body[1]) + t * edge
                    if wp.length(foot) < radius:
                        touching = wp.int32(1)
                        hardest = wp.max(hardest, wp.length(own))
                else:
                    wall = wp.vec4(middle[0], middle[1], edge[0] / length, edge[1] / length)
                    thin = wp.vec2(0.5 * length, 0.0)
                    if box_gap(box, half, wall, thin) < 0.0:
                        touching = wp.int32(1)
                        hardest = wp.max(hardest, wp.length(own))
                    if watched and box_gap(field, field_half, wall, thin) < 0.0:
                        blocked = wp.int32(1)

    fleet.blocked[world, i] = blocked
    if touching != 0 and fleet.touching[world, i] == 0:
        fleet.collisions[world, i] = fleet.collisions[world, i] + 1
        fleet.bumps[world, i] = fleet.bumps[world, i] + bumped
        fleet.hardest[world, i] = wp.max(fleet.hardest[world, i], hardest)
    fleet.touching[world, i] = touching
    if nearing != 0:
        if fleet.nearing[world, i] == 0:
            fleet.near_misses[world, i] = fleet.near_misses[world, i] + 1
        fleet.least_time[world, i] = wp.min(fleet.least_time[world, i], least)
    fleet.nearing[world, i] = nearing
