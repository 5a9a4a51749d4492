"""A pole on a cart that newton moves."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode, command

__all__ = [
    "CartPoleState",
    "begin_leaning",
    "joint_position",
    "joint_speed",
    "leans",
    "out_of_bounds",
    "push_cart",
    "rushes",
]

wp.set_module_options({"enable_backward": False})

CART, POLE = wp.constant(0), wp.constant(1)
GAIN = wp.constant(0)
"""Column of the physics."""


@wp.struct
class CartPoleState:
    """Of every world: position [m] and angle [rad], their rates, and forces; shape (worlds, 2)."""

    joint_q: wp.array2d(dtype=wp.float32)
    joint_qd: wp.array2d(dtype=wp.float32)
    effort: wp.array2d(dtype=wp.float32)


@wp.func
def push_cart(e: Episode, s: CartPoleState, w: int):
    """Push the cart as commanded, and leave the pole alone."""
    s.effort[w, CART] = command(e, w, 0) * e.physics[w, GAIN]
    s.effort[w, POLE] = 0.0


@wp.func
def begin_leaning(e: Episode, s: CartPoleState, w: int, p: wp.vec4, random: wp.uint32):
    """Stand in the middle with the pole up to `p[0]` [rad] from upright."""
    own = random
    s.joint_q[w, CART] = 0.0
    s.joint_q[w, POLE] = wp.randf(own, -p[0], p[0])
    for j in range(2):
        s.joint_qd[w, j] = 0.0
        s.effort[w, j] = 0.0


@wp.func
def joint_position(
    e: Episode,
    s: CartPoleState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show where the joint `p[0]` is."""
    out[row, column] = s.joint_q[w, wp.int32(p[0])]


@wp.func
def joint_speed(
    e: Episode,
    s: CartPoleState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    """Show how fast the joint `p[0]` is."""
    out[row, column] = s.joint_qd[w, wp.int32(p[0])]


@wp.func
def leans(e: Episode, s: CartPoleState, w: int, p: wp.vec4):
    """Return the square of the pole's angle."""
    return s.joint_q[w, POLE] * s.joint_q[w, POLE]


@wp.func
def rushes(e: Episode, s: CartPoleState, w: int, p: wp.vec4):
    """Return the speed of the joint `p[0]`, without its sign."""
    return wp.abs(s.joint_qd[w, wp.int32(p[0])])


@wp.func
def out_of_bounds(e: Episode, s: CartPoleState, w: int, p: wp.vec4):
    """Return whether the cart is beyond `p[0]` [m] or the pole beyond `p[1]` [rad], or is lost."""
    x = s.joint_q[w, CART]
    angle = s.joint_q[w, POLE]
    inside = wp.abs(x) <= p[0] and wp.abs(angle) <= p[1]
    return not inside
