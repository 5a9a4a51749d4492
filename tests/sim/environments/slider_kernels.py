"""A task of one's own: a slider that follows a goal on a line."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments import Episode, command

wp.set_module_options({"enable_backward": False})


@wp.struct
class SliderState:
    x: wp.array(dtype=wp.float32)
    goal: wp.array(dtype=wp.float32)
    pushed: wp.array2d(dtype=wp.float32)
    pushes: wp.array(dtype=wp.int32)
    born: wp.array(dtype=wp.float32)
    most: wp.float32


@wp.func
def slide(e: Episode, s: SliderState, w: int, dt: float):
    s.x[w] = wp.clamp(s.x[w] + command(e, w, 0) * e.physics[w, 0] * dt, -s.most, s.most)


@wp.func
def birth(e: Episode, s: SliderState, w: int, p: wp.vec4, random: wp.uint32):
    own = random
    s.born[w] = wp.randf(own)


@wp.func
def to_middle(e: Episode, s: SliderState, w: int, p: wp.vec4, random: wp.uint32):
    s.x[w] = 0.0
    s.pushes[w] = 0
    for i in range(s.pushed.shape[1]):
        s.pushed[w, i] = -1.0


@wp.func
def push(e: Episode, s: SliderState, w: int, p: wp.vec4, random: wp.uint32):
    s.pushed[w, wp.min(s.pushes[w], s.pushed.shape[1] - 1)] = float(e.step[w])
    s.pushes[w] = s.pushes[w] + 1


@wp.func
def new_goal(e: Episode, s: SliderState, w: int, p: wp.vec4, random: wp.uint32):
    own = random
    s.goal[w] = wp.randf(own, -p[0], p[0])


@wp.func
def way_left(
    e: Episode,
    s: SliderState,
    w: int,
    p: wp.vec4,
    out: wp.array2d(dtype=wp.float32),
    row: int,
    column: int,
):
    out[row, column] = s.goal[w] - s.x[w]


@wp.func
def near(e: Episode, s: SliderState, w: int, p: wp.vec4):
    return wp.exp(-wp.abs(s.goal[w] - s.x[w]) / p[0])
