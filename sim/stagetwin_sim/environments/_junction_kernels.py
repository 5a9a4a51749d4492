"""A junction of four approaches where somebody says who may go: how vehicles move there.

Lanes lie along the axes, each approach's to the right of its middle; approaches 0 to 3 come from
the east, north, west and south. A vehicle's way is its distance s along its path: the stop line is
at 0, the junction ends at the length of the crossing, and the exit's lane follows.
"""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode, command

__all__ = [
    "GONE",
    "LENGTH",
    "NOBODY",
    "ZoneReleaseState",
    "advance_vehicles",
    "arrive",
    "crossing_length",
    "exit_of",
    "head_of",
    "prepare_releases",
]

wp.set_module_options({"enable_backward": False})

SPEED_GAIN, BRAKING, RATE, LENGTH = (wp.constant(i) for i in range(4))
"""Columns of the physics."""

NOBODY = wp.constant(-1)
GONE = wp.constant(-1.0e6)
FREE = wp.constant(1.0e3)
MARGIN = wp.constant(0.1)
"""How far before the line vehicles stand [m]."""


@wp.struct
class ZoneReleaseState:
    """Of every world: `slots` places for vehicles on each of four approaches, the first first.

    `along` is s [m], and far below zero where a place is empty; `turn` 0 is left, 1 straight and 2
    right; `released` is whether it was let go; `waited` [s]. `missed` is for how long in a step
    pairs were nearer than `near` [s].
    """

    along: wp.array2d(dtype=wp.float32)
    speed: wp.array2d(dtype=wp.float32)
    turn: wp.array2d(dtype=wp.int32)
    released: wp.array2d(dtype=wp.int32)
    waited: wp.array2d(dtype=wp.float32)
    blocked: wp.array2d(dtype=wp.float32)
    still: wp.array(dtype=wp.float32)
    gone: wp.array(dtype=wp.float32)
    hit: wp.array(dtype=wp.int32)
    missed: wp.array(dtype=wp.float32)
    clock: wp.array(dtype=wp.int32)
    poses: wp.array2d(dtype=wp.vec3)
    slots: wp.int32
    approach: wp.float32
    half: wp.float32
    lane: wp.float32
    limit: wp.float32
    acceleration: wp.float32
    deceleration: wp.float32
    width: wp.float32
    gap: wp.float32
    leave: wp.float32
    near: wp.float32


@wp.func
def crossing_length(s: ZoneReleaseState, turn: int):
    """Return the length of a path through the junction [m]: quarter circles and a straight line."""
    if turn == 0:
        return 0.5 * wp.pi * (s.half + s.lane)
    if turn == 1:
        return 2.0 * s.half
    return 0.5 * wp.pi * (s.half - s.lane)


@wp.func
def place_of(s: ZoneReleaseState, approach: int, turn: int, along: float):
    """Return x, y and heading of a point of a path.

    In the frame of an approach from the west: the lane lies at y = -lane, and the stop line at
    x = -half.
    """
    x = -s.half + along
    y = -s.lane
    theta = wp.float32(0.0)
    length = crossing_length(s, turn)
    if turn != 1 and along > 0.0:
        side = wp.where(turn == 0, 1.0, -1.0)
        radius = s.half + side * s.lane
        angle = wp.min(along / radius, 0.5 * wp.pi)
        x = -s.half + radius * wp.sin(angle)
        y = -s.lane + side * radius * (1.0 - wp.cos(angle))
        theta = side * angle
        if along > length:
            y += side * (along - length)
    turned = float(approach) * 0.5 * wp.pi + wp.pi
    c = wp.cos(turned)
    n = wp.sin(turned)
    return wp.vec3(c * x - n * y, n * x + c * y, theta + turned)


@wp.func
def exit_of(approach: int, turn: int):
    """Return the arm that a path leaves by."""
    if turn == 0:
        return (approach + 3) & 3
    if turn == 1:
        return (approach + 2) & 3
    return (approach + 1) & 3


@wp.func
def clearance(a: wp.vec3, b: wp.vec3, length: float, width: float):
    """Return how far two vehicles are apart [m]: each is three circles along its length."""
    step = 0.5 * (length - width)
    nearest = wp.float32(FREE)
    for i in range(3):
        ax = a[0] + (float(i) - 1.0) * step * wp.cos(a[2])
        ay = a[1] + (float(i) - 1.0) * step * wp.sin(a[2])
        for j in range(3):
            dx = ax - b[0] - (float(j) - 1.0) * step * wp.cos(b[2])
            dy = ay - b[1] - (float(j) - 1.0) * step * wp.sin(b[2])
            nearest = wp.min(nearest, dx * dx + dy * dy)
    return wp.sqrt(nearest) - width


@wp.func
def head_of(s: ZoneReleaseState, w: int, approach: int):
    """Return the first place of an approach whose vehicle is before its stop line, or NOBODY."""
    found = wp.int32(NOBODY)
    best = wp.float32(GONE)
    for i in range(s.slots):
        k = approach * s.slots + i
        if s.along[w, k] <= 0.0 and s.along[w, k] > GONE and s.along[w, k] > best:
            best = s.along[w, k]
            found = k
    return found


@wp.func
def prepare_releases(e: Episode, s: ZoneReleaseState, w: int):
    """Let the first of an approach go, or hold it while it can still stop before the line."""
    s.gone[w] = 0.0
    s.hit[w] = 0
    s.missed[w] = 0.0
    for approach in range(4):
        k = head_of(s, w, approach)
        if k != NOBODY:
            if command(e, w, approach) > 0.5:
                s.released[w, k] = 1
            else:
                needed = (
                    0.5 * s.speed[w, k] * s.speed[w, k] / (s.deceleration * e.physics[w, BRAKING])
                )
                if needed <= -s.along[w, k] - MARGIN:
                    s.released[w, k] = 0


@wp.func
def room_ahead(e: Episode, s: ZoneReleaseState, w: int, k: int):
    """Return how far a vehicle may go before it must stand [m].

    That is the stop line while it is held, what drives before it in its lane, what stands in its
    exit, and in the junction whatever its protective field would meet.
    """
    length = e.physics[w, LENGTH]
    approach = k // s.slots
    mine = s.along[w, k]
    crossing = crossing_length(s, s.turn[w, k])
    leaves = exit_of(approach, s.turn[w, k])
    room = wp.float32(FREE)
    if s.released[w, k] == 0:
        room = -mine - MARGIN
    if s.blocked[w, leaves] > 0.0 and mine < crossing + 0.5 * length:
        room = wp.min(room, crossing + 0.5 * length - mine)
    pose = s.poses[w, k]
    c = wp.cos(pose[2])
    n = wp.sin(pose[2])
    for j in range(4 * s.slots):
        theirs = s.along[w, j]
        if j != k and theirs > GONE:
            other = j // s.slots
            same = theirs <= 0.0 or s.turn[w, j] == s.turn[w, k]
            if other == approach and theirs > mine and same:
                room = wp.min(room, theirs - mine - length - s.gap)
            beyond = theirs - crossing_length(s, s.turn[w, j])
            ahead = beyond + crossing - mine
            if beyond > 0.0 and ahead > 0.0 and exit_of(other, s.turn[w, j]) == leaves:
                room = wp.min(room, ahead - length - s.gap)
            if mine > -length and theirs > 0.0:
                dx = s.poses[w, j][0] - pose[0]
                dy = s.poses[w, j][1] - pose[1]
                far = c * dx + n * dy
                if far > 0.0 and wp.abs(c * dy - n * dx) < 0.5 * (s.width + length):
                    room = wp.min(room, far - length)
    return room


@wp.func
def arrive(e: Episode, s: ZoneReleaseState, w: int, approach: int, at: float, random: wp.uint32):
    """Let a vehicle come to an approach at `at` [m], where there is a place and room behind all."""
    own = random
    place = wp.int32(NOBODY)
    last = wp.float32(0.0)
    for i in range(s.slots):
        k = approach * s.slots + i
        if s.along[w, k] <= GONE:
            place = k
        else:
            last = wp.min(last, s.along[w, k])
    if place != NOBODY and last - at >= e.physics[w, LENGTH] + s.gap:
        s.along[w, place] = at
        s.speed[w, place] = 0.0
        if last - at > 0.5 * s.approach:
            s.speed[w, place] = s.limit
        s.turn[w, place] = wp.min(wp.int32(wp.randf(own) * 3.0), 2)
        s.released[w, place] = 0
        s.waited[w, place] = 0.0


@wp.func
def advance_vehicles(e: Episode, s: ZoneReleaseState, w: int, dt: float):
    """Move all vehicles on by a step, let others come, and see who touches whom."""
    s.clock[w] = s.clock[w] + 1
    braking = s.deceleration * e.physics[w, BRAKING]
    faster = s.acceleration * e.physics[w, SPEED_GAIN] * dt
    length = e.physics[w, LENGTH]
    count = 4 * s.slots
    moved = wp.bool(False)
    inside = wp.bool(False)
    for arm in range(4):
        s.blocked[w, arm] = wp.max(s.blocked[w, arm] - dt, 0.0)
        # Arrivals without memory: a share of the rate in each step (Poisson).
        of_arrival = wp.rand_init(e.seed[w] + 104729 * (arm + 1), e.episode[w] * 65536 + s.clock[w])
        if wp.randf(of_arrival) < e.physics[w, RATE] * dt:
            arrive(e, s, w, arm, -s.approach, of_arrival)
    for k in range(count):
        if s.along[w, k] > GONE:
            s.poses[w, k] = place_of(s, k // s.slots, s.turn[w, k], s.along[w, k])
    for k in range(count):
        if s.along[w, k] > GONE:
            room = wp.max(room_ahead(e, s, w, k), 0.0)
            # The speed from which the room suffices, with the step that passes before it brakes.
            lost = braking * dt
            most = wp.min(wp.sqrt(lost * lost + 2.0 * braking * room) - lost, s.limit)
            v = s.speed[w, k]
            v = wp.max(wp.clamp(most, v - braking * dt, v + faster), 0.0)
            s.speed[w, k] = v
            s.along[w, k] = s.along[w, k] + v * dt
            if v < 0.1:
                s.waited[w, k] = s.waited[w, k] + dt
            crossing = crossing_length(s, s.turn[w, k])
            if s.along[w, k] > 0.0 and s.along[w, k] < crossing + length:
                inside = True
                moved = moved or v > 0.05
            if s.along[w, k] > crossing + s.leave:
                s.along[w, k] = 2.0 * GONE
                s.gone[w] = s.gone[w] + 1.0
    s.still[w] = wp.where(inside and not moved, s.still[w] + dt, 0.0)
    reach = length + s.width + s.near
    for j in range(count):
        if s.along[w, j] > 0.0:
            a = s.poses[w, j]
            for k in range(j):
                if s.along[w, k] > 0.0:
                    b = s.poses[w, k]
                    dx = a[0] - b[0]
                    dy = a[1] - b[1]
                    if dx * dx + dy * dy < reach * reach:  # `and` would call both
                        apart = clearance(a, b, length, s.width)
                        if apart < s.near:
                            s.missed[w] = s.missed[w] + dt
                        if apart < 0.0:
                            s.hit[w] = 1
