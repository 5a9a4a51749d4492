"""A junction of four approaches where somebody says who may go: the terms of its task."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode
from stagetwin_sim.environments._junction_kernels import (
    GONE,
    LENGTH,
    NOBODY,
    ZoneReleaseState,
    arrive,
    crossing_length,
    exit_of,
    head_of,
)

__all__ = [
    "block_exit",
    "collided",
    "crossing",
    "deadlocked",
    "driven",
    "exits",
    "fill_lanes",
    "first_in_line",
    "left",
    "near_misses",
    "waiting",
]

wp.set_module_options({"enable_backward": False})


# -- events


@wp.func
def fill_lanes(e: Episode, s: ZoneReleaseState, w: int, p: wp.vec4, random: wp.uint32):
    """Begin with up to `p[0]` vehicles that stand in each lane, and nobody in the junction."""
    own = random
    for k in range(4 * s.slots):
        s.along[w, k] = 2.0 * GONE
        s.speed[w, k] = 0.0
        s.turn[w, k] = 0
        s.released[w, k] = 0
        s.waited[w, k] = 0.0
        s.poses[w, k] = wp.vec3(0.0, 0.0, 0.0)
    s.clock[w] = 0
    s.still[w] = 0.0
    s.gone[w] = 0.0
    s.hit[w] = 0
    s.missed[w] = 0.0
    for approach in range(4):
        s.blocked[w, approach] = 0.0
        standing = wp.int32(wp.randf(own) * (p[0] + 1.0))
        for i in range(standing):
            of_arrival = wp.rand_init(wp.int32(own), 64 * approach + i)
            at = -0.5 - float(i) * (e.physics[w, LENGTH] + s.gap + 0.1)
            arrive(e, s, w, approach, at, of_arrival)


@wp.func
def block_exit(e: Episode, s: ZoneReleaseState, w: int, p: wp.vec4, random: wp.uint32):
    """Block one of the exits for `p[0]` to `p[1]` [s]."""
    own = random
    arm = wp.min(wp.int32(wp.randf(own) * 4.0), 3)
    s.blocked[w, arm] = wp.randf(own, p[0], p[1])


# -- observations: rows of the arms


@wp.func
def first_in_line(
    e: Episode,
    s: ZoneReleaseState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show who asks: of each approach presence, way to the line [of the approach's length], speed
    [of the limit], waiting [of `p[0]` seconds], length of the queue [of its places], whether it was
    let go, and the turn as three numbers of which one is 1."""
    for approach in range(4):
        at = column + 9 * approach
        for i in range(9):
            out[row, at + i] = 0.0
        k = head_of(s, w, approach)
        if k != NOBODY:
            out[row, at] = 1.0
            out[row, at + 1] = -s.along[w, k] / s.approach
            out[row, at + 2] = s.speed[w, k] / s.limit
            out[row, at + 3] = s.waited[w, k] / p[0]
            out[row, at + 5] = float(s.released[w, k])
            out[row, at + 6 + s.turn[w, k]] = 1.0
        for i in range(s.slots):
            along = s.along[w, approach * s.slots + i]
            if along > GONE and along <= 0.0:
                out[row, at + 4] = out[row, at + 4] + 1.0 / float(s.slots)


@wp.func
def crossing(
    e: Episode,
    s: ZoneReleaseState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show who is in the junction: of each approach how many [of its places], how much of its way
    through the last one has left, and its turn as three numbers of which one is 1."""
    for approach in range(4):
        at = column + 5 * approach
        for i in range(5):
            out[row, at + i] = 0.0
        for i in range(s.slots):
            k = approach * s.slots + i
            length = crossing_length(s, s.turn[w, k]) + e.physics[w, LENGTH]
            along = s.along[w, k]
            if along > 0.0 and along < length:
                out[row, at] = out[row, at] + 1.0 / float(s.slots)
                share = 1.0 - along / length
                if share > out[row, at + 1]:
                    out[row, at + 1] = share
                    for turn in range(3):
                        out[row, at + 2 + turn] = wp.where(s.turn[w, k] == turn, 1.0, 0.0)


@wp.func
def exits(
    e: Episode,
    s: ZoneReleaseState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show of each arm whether its exit is blocked, and the free way into it [of its length]."""
    for arm in range(4):
        room = wp.float32(1.0)
        for k in range(4 * s.slots):
            beyond = s.along[w, k] - crossing_length(s, s.turn[w, k])
            if beyond > 0.0 and exit_of(k // s.slots, s.turn[w, k]) == arm:
                room = wp.min(room, beyond / s.leave)
        out[row, column + 2 * arm] = wp.where(s.blocked[w, arm] > 0.0, 1.0, 0.0)
        out[row, column + 2 * arm + 1] = room


# -- rewards and terminations


@wp.func
def left(e: Episode, s: ZoneReleaseState, w: int, p: wp.vec4):
    """Return how many vehicles left in the step."""
    return s.gone[w]


@wp.func
def driven(e: Episode, s: ZoneReleaseState, w: int, p: wp.vec4):
    """Return how fast vehicles get on: the sum of the shares of their ways that they drive [1/s].

    Over its way each vehicle comes to 1, as it does when it leaves, and here at once.
    """
    total = wp.float32(0.0)
    for k in range(4 * s.slots):
        if s.along[w, k] > GONE:
            way = s.approach + crossing_length(s, s.turn[w, k]) + s.leave
            total += s.speed[w, k] / way
    return total


@wp.func
def waiting(e: Episode, s: ZoneReleaseState, w: int, p: wp.vec4):
    """Return how many vehicles stand, each counted the more the longer it waited (over `p[0]`)."""
    total = wp.float32(0.0)
    for k in range(4 * s.slots):
        if s.along[w, k] > GONE and s.speed[w, k] < 0.1:
            total += 1.0 + s.waited[w, k] / p[0]
    return total


@wp.func
def near_misses(e: Episode, s: ZoneReleaseState, w: int, p: wp.vec4):
    """Return for how long pairs of vehicles were too near in the step [s]."""
    return s.missed[w]


@wp.func
def collided(e: Episode, s: ZoneReleaseState, w: int, p: wp.vec4):
    """Return whether vehicles touched in the step."""
    return s.hit[w] != 0


@wp.func
def deadlocked(e: Episode, s: ZoneReleaseState, w: int, p: wp.vec4):
    """Return whether nobody in the junction moved for `p[0]` [s]."""
    return s.still[w] > p[0]
