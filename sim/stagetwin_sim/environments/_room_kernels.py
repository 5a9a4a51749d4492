"""A vehicle among pillars and other vehicles in a room: how they move, and how near they are."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode
from stagetwin_sim.environments._vehicle_kernels import COURTESY, DriveLimits, distance_left
from stagetwin_sim.fleet import wrap_angle

__all__ = [
    "FAR",
    "FieldLimits",
    "NavigationState",
    "clearance",
    "move_others",
    "pose_left",
    "radius_of",
    "remember",
    "room_to",
]

wp.set_module_options({"enable_backward": False})

OTHERS_TURN = wp.constant(1.0)
"""How fast others turn [rad/s]."""
FAR = wp.constant(1.0e6)


@wp.struct
class FieldLimits:
    """What the protective field reckons with.

    Attributes:
        on: whether there is one.
        deceleration: the worst of the vehicle's [m/s2].
        rotation_deceleration: likewise [rad/s2].
        clear: what it keeps free about the vehicle [m].
        looks: places on the way to a stop that are looked at.
    """

    on: wp.int32
    looks: wp.int32
    deceleration: wp.float32
    rotation_deceleration: wp.float32
    clear: wp.float32


@wp.struct
class NavigationState:
    """Of every world; the room is a square about the origin, pillars are (x, y, radius).

    A pillar without a radius is not there. `others` are x, y, theta and speed; `targets` where they
    head for. `clear` is how far the vehicle is from what is nearest, `least` the least of the step.
    """

    pose: wp.array(dtype=wp.vec3)
    twist: wp.array(dtype=wp.vec2)
    goal: wp.array(dtype=wp.vec3)
    away: wp.array(dtype=wp.float32)
    far: wp.array(dtype=wp.float32)
    clear: wp.array(dtype=wp.float32)
    least: wp.array(dtype=wp.float32)
    pillars: wp.array2d(dtype=wp.vec3)
    others: wp.array2d(dtype=wp.vec4)
    targets: wp.array2d(dtype=wp.vec2)
    limits: DriveLimits
    field: FieldLimits
    mass: wp.float32
    half: wp.float32
    rear: wp.float32
    front: wp.float32
    side: wp.float32
    other_radius: wp.float32
    gap: wp.float32
    reach: wp.float32
    turn_weight: wp.float32
    patience: wp.int32


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
def clearance(s: NavigationState, w: int, pose: wp.vec3):
    """Return how far the vehicle at a pose is from what is nearest [m]; negative is a collision."""
    c = wp.abs(wp.cos(pose[2]))
    n = wp.abs(wp.sin(pose[2]))
    # The rectangle's middle, and how far its corners are from that along the axes.
    middle = 0.5 * (s.front - s.rear)
    x = pose[0] + middle * wp.cos(pose[2])
    y = pose[1] + middle * wp.sin(pose[2])
    long = 0.5 * (s.front + s.rear)
    room = s.half - wp.max(wp.abs(x) + c * long + n * s.side, wp.abs(y) + n * long + c * s.side)
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

    It stands where the vehicle is in its way, as far ahead as its courtesy says. It heads elsewhere
    where a wall, a pillar or one of the others is, and where it has no more patience.
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
        weary = yields and e.step[w] % s.patience == s.patience - 1
        elsewhere = weary or to_x * to_x + to_y * to_y < 0.09
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
    far = distance_left(s, w)
    turn = wp.abs(wrap_angle(s.goal[w][2] - s.pose[w][2]))
    return far + s.turn_weight * turn * wp.exp(-far)


@wp.func
def remember(e: Episode, s: NavigationState, w: int):
    """Remember what was left before the step."""
    s.away[w] = pose_left(s, w)
    s.least[w] = FAR
