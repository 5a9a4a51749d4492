"""A vehicle among pillars and other vehicles in a room, seen by a fan of rays."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode
from stagetwin_sim.environments._vehicle_kernels import COURTESY, DriveLimits, drive
from stagetwin_sim.fleet import wrap_angle

__all__ = [
    "NavigationState",
    "advance",
    "begin_others",
    "begin_vehicle",
    "collided",
    "goal_in_room",
    "lidar",
    "others_seen",
    "place_pillars",
    "pose_left",
    "pose_progress",
    "remember",
    "too_near",
]

wp.set_module_options({"enable_backward": False})

TRIES = wp.constant(24)
"""Places that are tried before the best of them is taken."""
OTHERS_TURN = wp.constant(1.0)
"""How fast others turn [rad/s]."""
FAR = wp.constant(1.0e6)


@wp.struct
class NavigationState:
    """Of every world; the room is a square about the origin, pillars are (x, y, radius).

    A pillar without a radius is not there. `others` are x, y, theta and speed; `targets` where they
    head for.
    """

    pose: wp.array(dtype=wp.vec3)
    twist: wp.array(dtype=wp.vec2)
    goal: wp.array(dtype=wp.vec3)
    away: wp.array(dtype=wp.float32)
    clear: wp.array(dtype=wp.float32)
    pillars: wp.array2d(dtype=wp.vec3)
    others: wp.array2d(dtype=wp.vec4)
    targets: wp.array2d(dtype=wp.vec2)
    limits: DriveLimits
    mass: wp.float32
    half: wp.float32
    rear: wp.float32
    front: wp.float32
    side: wp.float32
    other_radius: wp.float32
    gap: wp.float32
    reach: wp.float32
    turn_weight: wp.float32


@wp.func
def radius_of(s: NavigationState):
    """Return the radius of the circle about the vehicle's point that holds all of it [m]."""
    ahead = wp.max(s.front, s.rear)
    return wp.sqrt(ahead * ahead + s.side * s.side)


@wp.func
def room_to(s: NavigationState, w: int, x: float, y: float):
    """Return how far a point is from the nearest wall or pillar [m]; negative within."""
    room = s.half - wp.max(wp.abs(x), wp.abs(y))
    for i in range(s.pillars.shape[1]):
        pillar = s.pillars[w, i]
        if pillar[2] > 0.0:
            dx = x - pillar[0]
            dy = y - pillar[1]
            room = wp.min(room, wp.sqrt(dx * dx + dy * dy) - pillar[2])
    return room


@wp.func
def beside(s: NavigationState, pose: wp.vec3, x: float, y: float):
    """Return how far a point is from the vehicle's footprint [m]; negative within."""
    c = wp.cos(pose[2])
    n = wp.sin(pose[2])
    dx = x - pose[0]
    dy = y - pose[1]
    along = c * dx + n * dy - 0.5 * (s.front - s.rear)
    across = c * dy - n * dx
    out_x = wp.abs(along) - 0.5 * (s.front + s.rear)
    out_y = wp.abs(across) - s.side
    far_x = wp.max(out_x, 0.0)
    far_y = wp.max(out_y, 0.0)
    return wp.sqrt(far_x * far_x + far_y * far_y) + wp.min(wp.max(out_x, out_y), 0.0)


@wp.func
def clearance(s: NavigationState, w: int):
    """Return how far the vehicle is from what is nearest to it [m]; negative is a collision."""
    pose = s.pose[w]
    c = wp.abs(wp.cos(pose[2]))
    n = wp.abs(wp.sin(pose[2]))
    # The rectangle's middle, and how far its corners are from that along the axes.
    middle = 0.5 * (s.front - s.rear)
    x = pose[0] + middle * wp.cos(pose[2])
    y = pose[1] + middle * wp.sin(pose[2])
    long = 0.5 * (s.front + s.rear)
    room = s.half - wp.max(
        wp.abs(x) + c * long + n * s.side, wp.abs(y) + n * long + c * s.side
    )
    for i in range(s.pillars.shape[1]):
        pillar = s.pillars[w, i]
        if pillar[2] > 0.0:
            room = wp.min(room, beside(s, pose, pillar[0], pillar[1]) - pillar[2])
    for i in range(s.others.shape[1]):
        other = s.others[w, i]
        room = wp.min(room, beside(s, pose, other[0], other[1]) - s.other_radius)
    return room


@wp.func
def move_others(e: Episode, s: NavigationState, w: int, dt: float):
    """Move the others on: each turns to its target and drives there.

    It stands where the vehicle is in its way, as far ahead as its courtesy says, and heads elsewhere
    where a wall, a pillar or one of the others is.
    """
    me = s.pose[w]
    heed = e.physics[w, COURTESY]
    for i in range(s.others.shape[1]):
        other = s.others[w, i]
        to_x = s.targets[w, i][0] - other[0]
        to_y = s.targets[w, i][1] - other[1]
        left = wrap_angle(wp.atan2(to_y, to_x) - other[2])
        theta = wrap_angle(other[2] + wp.clamp(left, -OTHERS_TURN * dt, OTHERS_TURN * dt))
        c = wp.cos(theta)
        n = wp.sin(theta)
        ahead = c * (me[0] - other[0]) + n * (me[1] - other[1])
        sideways = wp.abs(c * (me[1] - other[1]) - n * (me[0] - other[0]))
        wide = s.other_radius + radius_of(s)
        yields = ahead > 0.0 and ahead < wide + heed and sideways < wide
        x = other[0]
        y = other[1]
        elsewhere = to_x * to_x + to_y * to_y < 0.09
        if wp.abs(left) < 0.5 and not yields:
            go_x = other[0] + c * other[3] * dt
            go_y = other[1] + n * other[3] * dt
            free = room_to(s, w, go_x, go_y) > s.other_radius
            for k in range(s.others.shape[1]):
                if k != i:
                    dx = s.others[w, k][0] - go_x
                    dy = s.others[w, k][1] - go_y
                    free = free and dx * dx + dy * dy > 4.0 * s.other_radius * s.other_radius
            if free:
                x = go_x
                y = go_y
            else:
                elsewhere = True
        s.others[w, i] = wp.vec4(x, y, theta, other[3])
        if elsewhere:
            random = wp.rand_init(e.seed[w] + 7919 * (i + 1), e.episode[w] * 65536 + e.step[w])
            most = s.half - s.other_radius
            s.targets[w, i] = wp.vec2(wp.randf(random, -most, most), wp.randf(random, -most, most))


@wp.func
def pose_left(s: NavigationState, w: int):
    """Return what is left of the way: the distance, and near the goal the turn as well [m]."""
    dx = s.goal[w][0] - s.pose[w][0]
    dy = s.goal[w][1] - s.pose[w][1]
    far = wp.sqrt(dx * dx + dy * dy)
    turn = wp.abs(wrap_angle(s.goal[w][2] - s.pose[w][2]))
    return far + s.turn_weight * turn * wp.exp(-far)


@wp.func
def remember(e: Episode, s: NavigationState, w: int):
    """Remember what was left before the step."""
    s.away[w] = pose_left(s, w)
    s.clear[w] = FAR


@wp.func
def advance(e: Episode, s: NavigationState, w: int, dt: float):
    """Move the vehicle and the others, and keep how near they came."""
    move_others(e, s, w, dt)
    drive(e, s, w, dt)
    s.clear[w] = wp.min(s.clear[w], clearance(s, w))


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
        found = bool(False)
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
    """Show where the others are, and how fast they go, in the vehicle's frame: four numbers each."""
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
    return wp.clamp(1.0 - s.clear[w] / p[0], 0.0, 1.0)


@wp.func
def collided(e: Episode, s: NavigationState, w: int, p: wp.vec4):
    """Return whether the vehicle touched something in the step."""
    return s.clear[w] <= 0.0
