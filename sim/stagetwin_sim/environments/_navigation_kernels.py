"""A vehicle among pillars and other vehicles, seen by a fan of rays: the terms of its task."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode
from stagetwin_sim.environments._room_kernels import (
    FAR,
    NavigationState,
    pose_left,
    radius_of,
    room_to,
)

__all__ = [
    "begin_others",
    "begin_vehicle",
    "collided",
    "goal_in_room",
    "lidar",
    "others_seen",
    "place_pillars",
    "pose_progress",
    "too_near",
]

wp.set_module_options({"enable_backward": False})

TRIES = wp.constant(24)
"""Places that are tried before the best of them is taken."""


# -- events and commands


@wp.func
def place_pillars(e: Episode, s: NavigationState, w: int, p: wp.vec4, random: wp.uint32):
    """Place pillars of radius `p[0]` to `p[1]` [m], with room for the vehicle between all of them.

    At least the share `p[2]` of them is tried, and more with the curriculum's level; one that finds
    no place is left out.
    """
    own = random
    count = s.pillars.shape[1]
    share = p[2] + (1.0 - p[2]) * wp.randf(own) * wp.max(e.level[w], p[3])
    tried = wp.int32(float(count) * share + 0.5)
    for i in range(count):
        s.pillars[w, i] = wp.vec3(0.0, 0.0, -1.0)
    for i in range(tried):
        size = wp.randf(own, p[0], p[1])
        found = wp.bool(False)
        for _ in range(TRIES):
            most = s.half - size - s.gap
            x = wp.randf(own, -most, most)
            y = wp.randf(own, -most, most)
            if not found and room_to(s, w, x, y) > size + s.gap:
                found = True
                s.pillars[w, i] = wp.vec3(x, y, size)


@wp.func
def begin_vehicle(e: Episode, s: NavigationState, w: int, p: wp.vec4, random: wp.uint32):
    """Stand somewhere, at least `p[0]` [m] clear of everything, with any heading."""
    own = random
    best = wp.float32(-FAR)
    wanted = radius_of(s) + p[0]
    for _ in range(TRIES):
        x = wp.randf(own, -s.half, s.half)
        y = wp.randf(own, -s.half, s.half)
        theta = wp.randf(own, -wp.pi, wp.pi)
        room = room_to(s, w, x, y)
        if best < wanted and room > best:
            best = room
            s.pose[w] = wp.vec3(x, y, theta)
    s.twist[w] = wp.vec2(0.0, 0.0)
    s.away[w] = 0.0
    s.clear[w] = FAR
    s.least[w] = FAR


@wp.func
def begin_others(e: Episode, s: NavigationState, w: int, p: wp.vec4, random: wp.uint32):
    """Place the others clear of everything, with speeds of `p[0]` to `p[1]` [m/s]."""
    own = random
    most = s.half - s.other_radius
    for i in range(s.others.shape[1]):
        best = wp.float32(-FAR)
        for _ in range(TRIES):
            x = wp.randf(own, -most, most)
            y = wp.randf(own, -most, most)
            dx = x - s.pose[w][0]
            dy = y - s.pose[w][1]
            room = wp.min(
                room_to(s, w, x, y) - s.other_radius,
                wp.sqrt(dx * dx + dy * dy) - radius_of(s) - 2.0 * s.other_radius,
            )
            for k in range(i):
                ox = x - s.others[w, k][0]
                oy = y - s.others[w, k][1]
                room = wp.min(room, wp.sqrt(ox * ox + oy * oy) - 2.0 * s.other_radius)
            if best < 0.1 and room > best:
                best = room
                s.others[w, i] = wp.vec4(x, y, 0.0, 0.0)
        at = s.others[w, i]
        theta = wp.randf(own, -wp.pi, wp.pi)
        s.others[w, i] = wp.vec4(at[0], at[1], theta, wp.randf(own, p[0], p[1]))
        s.targets[w, i] = wp.vec2(wp.randf(own, -most, most), wp.randf(own, -most, most))


@wp.func
def goal_in_room(e: Episode, s: NavigationState, w: int, p: wp.vec4, random: wp.uint32):
    """Ask for a pose `p[0]` to `p[1]` [m] away and `p[2]` [m] clear of walls and pillars.

    The farthest grows with the curriculum's level, from `p[0] + p[3]` on.
    """
    own = random
    best = wp.float32(-FAR)
    most = wp.min(p[1], p[0] + p[3] + (p[1] - p[0] - p[3]) * e.level[w])
    wanted = radius_of(s) + p[2]
    for _ in range(TRIES):
        far = wp.randf(own, p[0], most)
        angle = wp.randf(own, -wp.pi, wp.pi)
        theta = wp.randf(own, -wp.pi, wp.pi)
        x = s.pose[w][0] + far * wp.cos(angle)
        y = s.pose[w][1] + far * wp.sin(angle)
        room = room_to(s, w, x, y)
        if best < wanted and room > best:
            best = room
            s.goal[w] = wp.vec3(x, y, theta)
            s.far[w] = far


# -- observations


@wp.func
def lidar(
    e: Episode,
    s: NavigationState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show how far `p[0]` rays reach, all around from straight ahead to the left [m].

    A ray that meets nothing within `reach` shows that. Pillars and other vehicles are circles: each
    shortens only the rays within its angle.
    """
    pose = s.pose[w]
    rays = wp.int32(p[0])
    apart = 2.0 * wp.pi / p[0]
    # Directions by turning one by one: a sine and a cosine for all.
    c = wp.cos(pose[2])
    n = wp.sin(pose[2])
    turn_c = wp.cos(apart)
    turn_n = wp.sin(apart)
    for i in range(rays):
        away_x = wp.float32(FAR)
        away_y = wp.float32(FAR)
        if wp.abs(c) > 1.0e-6:
            away_x = (wp.sign(c) * s.half - pose[0]) / c
        if wp.abs(n) > 1.0e-6:
            away_y = (wp.sign(n) * s.half - pose[1]) / n
        out[row, column + i] = wp.clamp(wp.min(away_x, away_y), 0.0, s.reach)
        next_c = c * turn_c - n * turn_n
        n = n * turn_c + c * turn_n
        c = next_c
    pillars = s.pillars.shape[1]
    for k in range(pillars + s.others.shape[1]):
        x = wp.float32(0.0)
        y = wp.float32(0.0)
        size = wp.float32(s.other_radius)
        if k < pillars:
            x = s.pillars[w, k][0]
            y = s.pillars[w, k][1]
            size = s.pillars[w, k][2]
        else:
            x = s.others[w, k - pillars][0]
            y = s.others[w, k - pillars][1]
        dx = x - pose[0]
        dy = y - pose[1]
        far = wp.sqrt(dx * dx + dy * dy)
        if size > 0.0 and far - size < s.reach:
            if far <= size:
                for i in range(rays):
                    out[row, column + i] = 0.0
            else:
                wide = wp.asin(size / far)
                middle = wp.atan2(dy, dx) - pose[2]
                first = wp.int32(wp.ceil((middle - wide) / apart))
                last = wp.int32(wp.floor((middle + wide) / apart))
                for i in range(first, last + 1):
                    off = far * wp.sin(float(i) * apart - middle)
                    ahead = far * wp.cos(float(i) * apart - middle)
                    hit = ahead - wp.sqrt(wp.max(size * size - off * off, 0.0))
                    at = column + (i % rays + rays) % rays
                    out[row, at] = wp.min(out[row, at], hit)


@wp.func
def others_seen(
    e: Episode,
    s: NavigationState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show where the others are and how fast they go, in the vehicle's frame: four numbers each."""
    pose = s.pose[w]
    c = wp.cos(pose[2])
    n = wp.sin(pose[2])
    for i in range(s.others.shape[1]):
        other = s.others[w, i]
        dx = other[0] - pose[0]
        dy = other[1] - pose[1]
        heading = other[2] - pose[2]
        out[row, column + 4 * i] = c * dx + n * dy
        out[row, column + 4 * i + 1] = c * dy - n * dx
        out[row, column + 4 * i + 2] = other[3] * wp.cos(heading)
        out[row, column + 4 * i + 3] = other[3] * wp.sin(heading)


# -- rewards and terminations


@wp.func
def pose_progress(e: Episode, s: NavigationState, w: int, p: wp.vec4):
    """Return how much less is left than before the step [m]."""
    return s.away[w] - pose_left(s, w)


@wp.func
def too_near(e: Episode, s: NavigationState, w: int, p: wp.vec4):
    """Return 0 where all is at least `p[0]` [m] away, up to 1 where something touches."""
    return wp.clamp(1.0 - s.least[w] / p[0], 0.0, 1.0)


@wp.func
def collided(e: Episode, s: NavigationState, w: int, p: wp.vec4):
    """Return whether the vehicle touched something in the step."""
    return s.least[w] <= 0.0
