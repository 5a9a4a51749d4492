"""ORCA for all agents of all worlds: neighbours, half planes, and the velocity that they leave."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._drive_kernels import DriveLimits, limited
from stagetwin_sim.fleet._near_kernels import (
    MAX_NEIGHBOURS,
    MAX_WALLS,
    Layout,
    nearest_agents,
    nearest_walls,
)
from stagetwin_sim.fleet._options_kernels import MotionOptions, draw_of
from stagetwin_sim.fleet._planes_kernels import agent_plane, wall_plane
from stagetwin_sim.fleet._program_kernels import MAX_PLANES, least_violating, nearest_velocity
from stagetwin_sim.fleet._sort_kernels import Grid
from stagetwin_sim.fleet._state_kernels import FleetState
from stagetwin_sim.fleet._steer_kernels import SLOW, add_drive_planes, wanted_way

__all__ = ["avoid_others"]

wp.set_module_options({"enable_backward": False})

_HABIT = wp.constant(wp.int32(-1))
"""Stands in for the step where a draw is one of a vehicle's own, for good."""

_ALL = wp.constant(wp.vec4(0.0, -1.0e6, 1.0, 0.0))
"""A half plane that every velocity is in."""

_PATIENCE = wp.constant(wp.float32(2.0))
"""How long someone stands before trying another way [s]."""

_WAYS = wp.constant(wp.float32(2.5))
"""How far from its own that way may be [rad]."""

_COVERED = wp.constant(wp.float32(-1.0e-5))


@wp.func
def add_walls(
    layout: Layout,
    which: wp.int32,
    position: wp.vec2,
    own: wp.vec2,
    radius: wp.float32,
    horizon: wp.float32,
    reach: wp.float32,
    planes: wp.array(dtype=wp.vec4),
    begin: wp.int32,
) -> wp.int32:
    """Add the half planes of obstacles from `begin` on; return how many there are then."""
    near = wp.zeros(shape=(MAX_WALLS,), dtype=wp.float32)
    edges = wp.zeros(shape=(MAX_WALLS,), dtype=wp.int32)
    found = nearest_walls(layout, which, position[0], position[1], reach, near, edges)
    count = begin
    inverse = 1.0 / horizon
    for i in range(found):
        ends = layout.ends[edges[i]]
        ax = inverse * (ends[0] - position[0])
        ay = inverse * (ends[1] - position[1])
        bx = inverse * (ends[2] - position[0])
        by = inverse * (ends[3] - position[1])
        covered = wp.bool(False)
        for j in range(begin, count):
            plane = planes[j]
            to_a = (ax - plane[0]) * plane[3] - (ay - plane[1]) * plane[2] - inverse * radius
            to_b = (bx - plane[0]) * plane[3] - (by - plane[1]) * plane[2] - inverse * radius
            if to_a >= _COVERED and to_b >= _COVERED:
                covered = True
        if not covered:
            number = edges[i]
            made = wall_plane(
                position, own, radius, horizon, ends, layout.ways[number], layout.bends[number]
            )
            if made[2] != 0.0 or made[3] != 0.0:
                planes[count] = made
                count = count + 1
    return count


@wp.func
def _preferred(
    fleet: FleetState,
    world: wp.int32,
    i: wp.int32,
    limits: DriveLimits,
    options: MotionOptions,
    seed: wp.int32,
) -> wp.vec2:
    """Return the velocity that a vehicle would like [m/s]."""
    speed = wp.min(limits.speed, fleet.speed_limit[world, i])
    if options.discs != 0:
        way = wanted_way(
            fleet.x[world, i],
            fleet.y[world, i],
            fleet.goal_x[world, i],
            fleet.goal_y[world, i],
            speed,
            limits.deceleration,
            0.0,
        )
    else:
        way = wanted_way(
            fleet.seen_x[world, i],
            fleet.seen_y[world, i],
            fleet.goal_x[world, i],
            fleet.goal_y[world, i],
            speed,
            limits.deceleration,
            options.dt + limits.lag,
        )
    if options.perturbation > 0.0:
        # All keep a little to their right, each by a habit of its own, so that two who meet head
        # on do not mirror each other for ever; and who has stood for long tries another way.
        draw = draw_of(seed, _HABIT, i)
        turn = -options.perturbation * (0.5 + 0.5 * wp.randf(draw))
        patience = wp.int32(_PATIENCE / options.dt)
        still = fleet.still[world, i]
        left = fleet.detour_steps[world, i]
        if left == 0 and still > 0 and still % patience == 0 and options.discs == 0:
            again = draw_of(seed, still + 7919 * fleet.stops[world, i], i)
            fleet.detour[world, i] = _WAYS * (2.0 * wp.randf(again) - 1.0)
            left = patience + wp.int32(wp.randf(again) * wp.float32(patience))
        if left > 0:
            left = left - 1
            turn = fleet.detour[world, i]
        fleet.detour_steps[world, i] = left
        way = wp.vec2(
            way[0] * wp.cos(turn) - way[1] * wp.sin(turn),
            way[0] * wp.sin(turn) + way[1] * wp.cos(turn),
        )
    return way


@wp.kernel
def avoid_others(
    # in:
    options: MotionOptions,
    types: wp.array2d(dtype=wp.int32),
    drives: wp.array(dtype=DriveLimits),
    grid: Grid,
    starts: wp.array(dtype=wp.int32),
    bodies: wp.array(dtype=wp.vec4),
    sizes: wp.array(dtype=wp.float32),
    numbers: wp.array(dtype=wp.int32),
    layout: Layout,
    layouts: wp.array(dtype=wp.int32),
    seeds: wp.array(dtype=wp.int32),
    # in and out:
    fleet: FleetState,
):
    """Choose the velocities of free vehicles; over the sorted entries of all worlds."""
    slot = wp.tid()
    world = slot / options.entries
    i = numbers[slot]
    if i >= options.vehicles:
        return
    if fleet.mode[world, i] != 2:
        return
    limits = limited(drives[types[world, i]], fleet.rotation_limit[world, i])
    preferred = fleet.preferred[world, i]
    if options.given == 0:
        preferred = _preferred(fleet, world, i, limits, options, seeds[world])
        fleet.preferred[world, i] = preferred
    body = bodies[slot]
    position = wp.vec2(body[0], body[1])
    own = wp.vec2(body[2], body[3])
    radius = wp.abs(sizes[slot])
    top = wp.min(limits.speed, fleet.speed_limit[world, i])
    planes = wp.zeros(shape=(MAX_PLANES,), dtype=wp.vec4)
    bounded = wp.int32(0)
    if options.discs == 0:
        v = fleet.v[world, i]
        top = wp.max(top, wp.abs(v))
        # Backward it only gives way: where it would like to go, it goes forward.
        theta = fleet.theta[world, i]
        ahead = preferred[0] * wp.cos(theta) + preferred[1] * wp.sin(theta)
        back = wp.where(ahead > 0.0, limits.reverse_speed, 0.0)
        bounded = add_drive_planes(
            theta,
            v,
            limits,
            options.tracking_error,
            options.tracking_time,
            back,
            planes,
        )
    hard = bounded
    if layout.near.shape[0] > 0:
        hard = add_walls(
            layout,
            layouts[world],
            position,
            own,
            radius,
            options.wall_horizon,
            options.wall_horizon * top + radius,
            planes,
            bounded,
        )
    count = hard
    near = wp.zeros(shape=(MAX_NEIGHBOURS,), dtype=wp.float32)
    slots = wp.zeros(shape=(MAX_NEIGHBOURS,), dtype=wp.int32)
    found = nearest_agents(
        grid,
        starts,
        bodies,
        numbers,
        world,
        slot,
        body[0],
        body[1],
        options.neighbour_distance,
        options.neighbours,
        near,
        slots,
    )
    # Who is too near parts within a step; but a drive within the margin of its tracking error has
    # not collided, and cannot jump.
    parting = wp.where(options.discs != 0, options.dt, options.tracking_time)
    for n in range(found):
        other = bodies[slots[n]]
        size = sizes[slots[n]]
        planes[count] = agent_plane(
            wp.vec2(other[0] - body[0], other[1] - body[1]),
            own,
            wp.vec2(other[2], other[3]),
            radius + wp.abs(size),
            wp.where(size < 0.0, 1.0, 0.5),
            options.horizon,
            parting,
        )
        count = count + 1
    best = nearest_velocity(planes, count, top, preferred)
    velocity = wp.vec2(best[0], best[1])
    failed = wp.int32(best[2])
    if failed < count:
        # Its own limits never give way, obstacles only where they contradict these.
        firm = wp.where(failed < hard and options.discs == 0, bounded, hard)
        velocity = least_violating(planes, count, firm, failed, top, velocity)
    if options.discs == 0:  # noqa: SIM102 - nothing is cut short in a kernel
        if wp.length(velocity) < SLOW and wp.length(preferred) >= SLOW:
            # It must stand as it faces now, but may turn: where would it go if it could go
            # anywhere? Else those who meet would face each other for ever.
            for n in range(bounded):
                planes[n] = _ALL
            best = nearest_velocity(planes, count, top, preferred)
            anywhere = wp.vec2(best[0], best[1])
            failed = wp.int32(best[2])
            if failed < count:
                anywhere = least_violating(planes, count, hard, failed, top, anywhere)
            if wp.length(anywhere) >= SLOW:
                velocity = 0.5 * SLOW * wp.normalize(anywhere)
    fleet.wanted[world, i] = velocity
