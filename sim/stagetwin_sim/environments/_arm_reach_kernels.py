"""An arm that brings its tool to a point; newton moves it."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode, command

__all__ = [
    "ArmReachState",
    "at_target",
    "begin_near_rest",
    "joint_positions",
    "joint_speeds",
    "lead_targets",
    "nearer",
    "target_in_reach",
    "target_left",
    "tool_at",
]

wp.set_module_options({"enable_backward": False})

STIFFNESS, DAMPING = wp.constant(0), wp.constant(1)
"""Columns of the physics: what the drives' gains are multiplied by."""

TRIES = wp.constant(16)


@wp.struct
class ArmReachState:
    """Of every world, shape (worlds, joints), and the chain of joints, the same for all.

    Points are in the frame of the arm's base, whose axes are the stage's.
    """

    joint_q: wp.array2d(dtype=wp.float32)
    joint_qd: wp.array2d(dtype=wp.float32)
    target: wp.array2d(dtype=wp.float32)
    stiffness: wp.array2d(dtype=wp.float32)
    damping: wp.array2d(dtype=wp.float32)
    goal: wp.array(dtype=wp.vec3)
    away: wp.array(dtype=wp.float32)
    tool: wp.array(dtype=wp.vec3)
    parents: wp.array(dtype=wp.transform)
    children: wp.array(dtype=wp.transform)
    axes: wp.array(dtype=wp.vec3)
    lower: wp.array(dtype=wp.float32)
    upper: wp.array(dtype=wp.float32)
    starts: wp.array(dtype=wp.float32)
    nominal_stiffness: wp.array(dtype=wp.float32)
    nominal_damping: wp.array(dtype=wp.float32)
    site: wp.transform
    base: wp.vec3
    floor: wp.float32


@wp.func
def turned(s: ArmReachState, j: int, angle: float, before: wp.transform):
    """Return where a joint's child is, from where its parent is."""
    turn = wp.transform(wp.vec3(0.0, 0.0, 0.0), wp.quat_from_axis_angle(s.axes[j], angle))
    return before * s.parents[j] * turn * wp.transform_inverse(s.children[j])


@wp.func
def tool_of(s: ArmReachState, w: int):
    """Return where the tool is, from the joints alone [m]."""
    pose = wp.transform_identity(dtype=wp.float32)
    for j in range(s.axes.shape[0]):
        pose = turned(s, j, s.joint_q[w, j], pose)
    return wp.transform_get_translation(pose * s.site) - s.base


@wp.func
def lead_targets(e: Episode, s: ArmReachState, w: int):
    """Move the drives' targets on as fast as commanded, within the joints' limits."""
    seconds = e.dt * float(e.decimation)
    s.away[w] = wp.length(s.goal[w] - tool_of(s, w))
    for j in range(s.axes.shape[0]):
        led = s.target[w, j] + command(e, w, j) * seconds
        s.target[w, j] = wp.clamp(led, s.lower[j], s.upper[j])


@wp.func
def begin_near_rest(e: Episode, s: ArmReachState, w: int, p: wp.vec4, random: wp.uint32):
    """Stand still up to `p[0]` [rad] from where the joints begin, with the drives as drawn."""
    own = random
    for j in range(s.axes.shape[0]):
        angle = s.starts[j] + wp.randf(own, -p[0], p[0])
        angle = wp.clamp(angle, s.lower[j], s.upper[j])
        s.joint_q[w, j] = angle
        s.joint_qd[w, j] = 0.0
        s.target[w, j] = angle
        s.stiffness[w, j] = s.nominal_stiffness[j] * e.physics[w, STIFFNESS]
        s.damping[w, j] = s.nominal_damping[j] * e.physics[w, DAMPING]
    s.away[w] = 0.0
    s.tool[w] = wp.vec3(0.0, 0.0, 0.0)


@wp.func
def target_in_reach(e: Episode, s: ArmReachState, w: int, p: wp.vec4, random: wp.uint32):
    """Ask for a point that the tool can be brought to, above the floor.

    It is where joints up to `p[0]` [rad] from the present ones bring it; with the curriculum's
    level up to `p[1]`.
    """
    own = random
    wide = p[0] + (p[1] - p[0]) * e.level[w]
    s.goal[w] = tool_of(s, w)
    found = wp.bool(False)
    for _ in range(TRIES):
        pose = wp.transform_identity(dtype=wp.float32)
        for j in range(s.axes.shape[0]):
            angle = s.joint_q[w, j] + wp.randf(own, -wide, wide)
            pose = turned(s, j, wp.clamp(angle, s.lower[j], s.upper[j]), pose)
        place = wp.transform_get_translation(pose * s.site)
        if not found and place[2] > s.floor:
            found = True
            s.goal[w] = place - s.base


# -- observations


@wp.func
def joint_positions(
    e: Episode,
    s: ArmReachState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show the joints' angles [rad]."""
    for j in range(s.axes.shape[0]):
        out[row, column + j] = s.joint_q[w, j]


@wp.func
def joint_speeds(
    e: Episode,
    s: ArmReachState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show how fast the joints are [rad/s]."""
    for j in range(s.axes.shape[0]):
        out[row, column + j] = s.joint_qd[w, j]


@wp.func
def tool_at(
    e: Episode,
    s: ArmReachState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show where the tool is [m]."""
    at = tool_of(s, w)
    s.tool[w] = at
    for i in range(3):
        out[row, column + i] = at[i]


@wp.func
def target_left(
    e: Episode,
    s: ArmReachState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show the way from the tool to the target [m]."""
    way = s.goal[w] - tool_of(s, w)
    for i in range(3):
        out[row, column + i] = way[i]


# -- rewards and terminations


@wp.func
def nearer(e: Episode, s: ArmReachState, w: int, p: wp.vec4):
    """Return how much nearer the tool came to the target in the step [m]."""
    return s.away[w] - wp.length(s.goal[w] - tool_of(s, w))


@wp.func
def at_target(e: Episode, s: ArmReachState, w: int, p: wp.vec4):
    """Return whether the tool is within `p[0]` [m], and no joint is faster than `p[1]` [rad/s]."""
    fastest = wp.float32(0.0)
    for j in range(s.axes.shape[0]):
        fastest = wp.max(fastest, wp.abs(s.joint_qd[w, j]))
    return wp.length(s.goal[w] - tool_of(s, w)) <= p[0] and fastest <= p[1]
