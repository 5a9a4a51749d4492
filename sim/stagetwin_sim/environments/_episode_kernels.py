"""What every world has, whatever its task, and terms that any task may take."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

__all__ = [
    "Episode",
    "action_change",
    "action_size",
    "advance_on_success",
    "always",
    "command",
    "draw_again",
    "drawn_value",
    "failed",
    "last_action",
    "physics_value",
    "said",
    "stream",
    "succeeded",
    "time_is_up",
]

wp.set_module_options({"enable_backward": False})

LOG_UNIFORM, NORMAL, INTEGERS = (wp.constant(float(k)) for k in (1, 2, 3))
"""Distributions of a range; 0 is uniform."""


@wp.struct
class Episode:
    """Arrays with the world first, tables of the terms, and settings.

    Rows of `observation` and `critic`: what a world shows now is in row `w`; the last that the
    episode showed which ended in this step is in row `worlds + w`. `acts` are what the policy said
    of each action, what it said before, and the command that is due [its unit]; `queue` the last
    four, the newest first. With
    `shared`, `critic` is the same array as `observation`.
    """

    worlds: wp.int32
    dt: wp.float32
    decimation: wp.int32
    max_steps: wp.int32
    noise_column: wp.int32
    delay_column: wp.int32
    shared: wp.int32
    # of each world:
    seed: wp.array(dtype=wp.int32)
    episode: wp.array(dtype=wp.int32)
    step: wp.array(dtype=wp.int32)
    level: wp.array(dtype=wp.float32)
    asked: wp.array(dtype=wp.int32)
    physics: wp.array2d(dtype=wp.float32)
    action: wp.array2d(dtype=wp.float32)
    acts: wp.array2d(dtype=wp.vec3)
    queue: wp.array2d(dtype=wp.vec4)
    refused: wp.array(dtype=wp.int32)
    observation: wp.array2d(dtype=wp.float32)
    critic: wp.array2d(dtype=wp.float32)
    reward: wp.array(dtype=wp.float32)
    terminated: wp.array(dtype=wp.bool)
    truncated: wp.array(dtype=wp.bool)
    done: wp.array(dtype=wp.bool)
    success: wp.array(dtype=wp.bool)
    cause: wp.array(dtype=wp.int32)
    timers: wp.array2d(dtype=wp.float32)
    lasted: wp.array(dtype=wp.int32)
    # tables, one row a term, column or parameter:
    action_table: wp.array(dtype=wp.vec4)
    columns: wp.array(dtype=wp.vec4)
    noises: wp.array(dtype=wp.vec3)
    observation_columns: wp.array(dtype=wp.int32)
    observation_params: wp.array(dtype=wp.vec4)
    reward_weights: wp.array(dtype=wp.float32)
    reward_params: wp.array(dtype=wp.vec4)
    termination_kinds: wp.array(dtype=wp.int32)
    termination_params: wp.array(dtype=wp.vec4)
    event_table: wp.array2d(dtype=wp.float32)
    event_params: wp.array(dtype=wp.vec4)
    curriculum_params: wp.array(dtype=wp.vec4)
    range_table: wp.array2d(dtype=wp.float32)
    noisy: wp.array(dtype=wp.int32)


@wp.func
def said(e: Episode, w: int, j: int):
    """Return what the policy said of an action, in [-1, 1]."""
    return e.acts[w, j][0]


@wp.func
def command(e: Episode, w: int, j: int):
    """Return the command of an action that is due now [its unit]."""
    return e.acts[w, j][2]


@wp.func
def stream(e: Episode, w: int, purpose: int):
    """Return a random state that follows from seed, episode, step and purpose alone."""
    of_episode = wp.rand_init(e.seed[w], e.episode[w])
    return wp.rand_init(wp.int32(of_episode), e.step[w] * 64 + purpose)


@wp.func
def drawn_value(e: Episode, w: int, j: int, share: float, normal: float):
    """Return a parameter within its range.

    Columns of the table: when, distribution, low, high, nominal, whether the curriculum's level
    widens the range from the nominal value on.

    Args:
        j: column of the physics.
        share: uniform in [0, 1).
        normal: standard normal.
    """
    low = wp.float32(e.range_table[j, 2])
    high = wp.float32(e.range_table[j, 3])
    if e.range_table[j, 5] > 0.0:
        nominal = e.range_table[j, 4]
        low = nominal + (low - nominal) * e.level[w]
        high = nominal + (high - nominal) * e.level[w]
    kind = e.range_table[j, 1]
    value = low + share * (high - low)
    if kind == LOG_UNIFORM:
        value = low * wp.pow(high / low, share)
    elif kind == NORMAL:
        # The range is two standard deviations to each side, and nothing is beyond it.
        value = 0.5 * (low + high) + 0.5 * wp.clamp(0.5 * normal, -1.0, 1.0) * (high - low)
    elif kind == INTEGERS:
        value = wp.min(wp.floor(low + share * (high - low + 1.0)), high)
    return wp.clamp(value, low, high)


@wp.func
def draw_again(e: Episode, s: Any, w: int, p: wp.vec4, random: wp.uint32):
    """Draw the parameters from the one at `p[0]` on anew, `p[1]` of them: an event."""
    own = random
    first = wp.int32(p[0])
    for j in range(first, first + wp.int32(p[1])):
        e.physics[w, j] = drawn_value(e, w, j, wp.randf(own), wp.randn(own))


# -- terms for any task: functions of (episode, state, world, params)


@wp.func
def always(e: Episode, s: Any, w: int, p: wp.vec4):
    """Return 1: of a reward that counts time."""
    return wp.float32(1.0)


@wp.func
def succeeded(e: Episode, s: Any, w: int, p: wp.vec4):
    """Return 1 as an episode ends in success."""
    return wp.where(e.success[w], 1.0, 0.0)


@wp.func
def failed(e: Episode, s: Any, w: int, p: wp.vec4):
    """Return 1 as an episode ends for another reason than success or time."""
    return wp.where(e.terminated[w] and not e.success[w], 1.0, 0.0)


@wp.func
def action_size(e: Episode, s: Any, w: int, p: wp.vec4):
    """Return the sum of squares of what the policy said."""
    total = wp.float32(0.0)
    for j in range(e.acts.shape[1]):
        total += e.acts[w, j][0] * e.acts[w, j][0]
    return total


@wp.func
def action_change(e: Episode, s: Any, w: int, p: wp.vec4):
    """Return the sum of squares of how what the policy says changed."""
    total = wp.float32(0.0)
    for j in range(e.acts.shape[1]):
        change = e.acts[w, j][0] - e.acts[w, j][1]
        total += change * change
    return total


@wp.func
def time_is_up(e: Episode, s: Any, w: int, p: wp.vec4):
    """Return whether the episode lasted as long as it may."""
    return e.step[w] >= e.max_steps


@wp.func
def last_action(
    e: Episode, s: Any, w: int, p: wp.vec4, out: wp.array2d(dtype=wp.float32), row: int, column: int
):
    """Show what the policy said last."""
    for j in range(e.acts.shape[1]):
        out[row, column + j] = e.acts[w, j][0]


@wp.func
def physics_value(
    e: Episode, s: Any, w: int, p: wp.vec4, out: wp.array2d(dtype=wp.float32), row: int, column: int
):
    """Show the randomised parameters from the one at `p[0]` on, `p[1]` of them."""
    first = wp.int32(p[0])
    for j in range(wp.int32(p[1])):
        out[row, column + j] = e.physics[w, first + j]


@wp.func
def advance_on_success(e: Episode, s: Any, w: int, p: wp.vec4):
    """Return a level that goes up by `p[0]` after a success and down by `p[1]` after a failure.

    Source: Rudin, Hoeller, Reist and Hutter, Learning to Walk in Minutes Using Massively Parallel
    Deep Reinforcement Learning, CoRL 2021, section 3.2 (a game-inspired curriculum).
    """
    if e.success[w]:
        return e.level[w] + p[0]
    return e.level[w] - p[1]
