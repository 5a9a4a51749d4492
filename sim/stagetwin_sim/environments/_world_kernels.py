"""The one kernel of a task, composed from its terms.

A thread is a world on a GPU. On a CPU it is a chunk of them: what the structs hold is read once for all.
"""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from functools import cache

import warp as wp

from stagetwin_sim.environments._episode_kernels import DELAYS, Episode, drawn_value, stream

__all__ = ["ACT", "BEGIN", "JUDGE", "STARTUP", "world_kernel"]

ACT, JUDGE, BEGIN, STARTUP = 1, 2, 4, 8
"""What a launch does: take actions and move on; judge what came of it; begin episodes that are
asked for; draw what is drawn once as well."""

LAST_SLOT = wp.constant(DELAYS - 1)
NOISE, TIMES, RANGES, EVENTS = (wp.constant(k) for k in (0, 1, 2, 3))
"""Purposes of random numbers; those of events and commands follow."""
AT_STARTUP, AT_RESET, AT_INTERVAL = (wp.constant(float(k)) for k in range(3))
TIME_OUT, SUCCESS = wp.constant(1), wp.constant(2)


@wp.func
def take_actions(e: Episode, w: int):
    """Bound what the policy said, put it into the ring, and take out what is due.

    Of the table: scale, offset, low, high [unit].
    """
    slot = e.step[w] & LAST_SLOT
    for j in range(e.said.shape[1]):
        said = wp.float32(e.action[w, j])
        if not wp.isfinite(said):
            said = 0.0
            e.refused[w] = e.refused[w] + 1
        said = wp.clamp(said, -1.0, 1.0)
        e.before[w, j] = e.said[w, j]
        e.said[w, j] = said
        row = e.action_table[j]
        e.ring[w, slot, j] = wp.clamp(row[1] + row[0] * said, row[2], row[3])
        delay = wp.clamp(wp.int32(e.physics[w, e.delay_column + j] + 0.5), 0, LAST_SLOT)
        e.command[w, j] = e.ring[w, (slot - delay) & LAST_SLOT, j]


@wp.func
def rest(e: Episode, w: int):
    """Forget actions: before the first one the command is that of zeros."""
    for j in range(e.said.shape[1]):
        row = e.action_table[j]
        value = wp.clamp(row[1], row[2], row[3])
        e.said[w, j] = 0.0
        e.before[w, j] = 0.0
        e.command[w, j] = value
        for slot in range(e.ring.shape[1]):
            e.ring[w, slot, j] = value


@wp.func
def draw_physics(e: Episode, w: int, startup: bool):
    """Draw the parameters of a world that are drawn now; at the start, others are nominal."""
    random = stream(e, w, RANGES)
    for j in range(e.range_table.shape[0]):
        # Every parameter takes its share of the stream, drawn or not: ranges stay independent.
        value = drawn_value(e, w, j, wp.randf(random), wp.randn(random))
        when = e.range_table[j, 0]
        if when == AT_RESET or (when == AT_STARTUP and startup):
            e.physics[w, j] = value
        elif startup:
            e.physics[w, j] = e.range_table[j, 4]


@wp.func
def show(e: Episode, w: int, row: int):
    """Turn the values of a row into a policy's numbers, with noise and dropout.

    A number is the value times the first of a column plus the second, within the other two. Of
    the noise: standard deviation [unit], probability of a dropout, and what is shown then [unit].
    """
    seen = e.observation.shape[1]
    noisy = e.noisy[0] > 0
    random = wp.uint32(0)
    factor = wp.float32(1.0)
    if noisy:
        random = stream(e, w, NOISE)
        if e.noise_column >= 0:
            factor = e.physics[w, e.noise_column]
    for c in range(e.critic.shape[1]):
        line = e.columns[c]
        value = wp.float32(e.critic[row, c])
        number = wp.clamp(value * line[0] + line[1], line[2], line[3])
        e.critic[row, c] = number
        if c < seen and not noisy:
            e.observation[row, c] = number
        elif c < seen:
            noise = e.noises[c]
            if noise[0] > 0.0:
                value += factor * noise[0] * wp.randn(random)
            if noise[1] > 0.0:
                if wp.randf(random) < noise[1]:
                    value = noise[2]
            e.observation[row, c] = wp.clamp(value * line[0] + line[1], line[2], line[3])


@cache
def world_kernel(parts):
    """Return the kernel of a composition, launched over worlds; see Composition."""
    state, prepare, advance = parts.state, parts.prepare, parts.advance
    prepares, moves = prepare is not None, advance is not None
    observations, rewards, terminations = parts.observations, parts.rewards, parts.terminations
    happenings, curriculum = parts.happenings, parts.curriculum
    observation_count, reward_count = len(observations), len(rewards)
    termination_count, curriculum_count = len(terminations), len(curriculum)
    event_count = len(happenings)

    def world(phase: int, chunk: int, e: Episode, s):
        first = wp.tid() * chunk
        for w in range(first, wp.min(first + chunk, e.worlds)):
            judged = (phase & JUDGE) != 0
            done = bool(False)
            if (phase & ACT) != 0:
                take_actions(e, w)
                if wp.static(prepares):
                    prepare(e, s, w)
                if wp.static(moves):
                    for _ in range(e.decimation):
                        advance(e, s, w, e.dt)
            if judged:
                e.step[w] = e.step[w] + 1
                cause = int(-1)
                terminated = bool(False)
                truncated = bool(False)
                success = bool(False)
                for i in range(wp.static(termination_count)):
                    if wp.static(terminations[i])(e, s, w, e.termination_params[i]):
                        kind = e.termination_kinds[i]
                        if kind == TIME_OUT:
                            truncated = True
                        else:
                            terminated = True
                            success = success or kind == SUCCESS
                        if cause < 0:
                            cause = i
                done = terminated or truncated
                e.terminated[w] = terminated
                e.truncated[w] = truncated and not terminated
                e.done[w] = done
                e.success[w] = success
                e.cause[w] = cause
                total = float(0.0)
                for i in range(wp.static(reward_count)):
                    part = e.reward_weights[i] * wp.static(rewards[i])(e, s, w, e.reward_params[i])
                    total += part
                    e.running[w, i] = e.running[w, i] + part
                e.reward[w] = total
                e.running[w, wp.static(reward_count)] = e.running[w, wp.static(reward_count)] + total
                if done:
                    for i in range(wp.static(reward_count + 1)):
                        e.ended[w, i] = e.running[w, i]
                        e.running[w, i] = 0.0
                    e.ended[w, wp.static(reward_count + 1)] = float(e.step[w])
                    for i in range(wp.static(curriculum_count)):
                        level = wp.static(curriculum[i])(e, s, w, e.curriculum_params[i])
                        e.level[w] = wp.clamp(level, 0.0, 1.0)
            asked = (phase & BEGIN) != 0 and e.asked[w] != 0
            rounds = int(0)
            if judged or asked:
                rounds = 1
            if done:
                rounds = 2  # what the old episode shows last, and the new one first
            for r in range(rounds):
                begin = asked or r == 1
                startup = asked and (phase & STARTUP) != 0
                row = w
                if done and r == 0:
                    row = e.worlds + w
                if begin:
                    if not startup:
                        e.episode[w] = e.episode[w] + 1
                    if asked:
                        for i in range(e.running.shape[1]):
                            e.running[w, i] = 0.0
                    e.step[w] = 0
                    rest(e, w)
                    draw_physics(e, w, startup)
                if begin or not done:
                    for i in range(wp.static(event_count)):
                        when = e.event_table[i, 0]
                        due = begin and (when == AT_RESET or e.event_table[i, 3] > 0.0)
                        due = due or (startup and when == AT_STARTUP)
                        if when == AT_INTERVAL:
                            if not begin:
                                e.timers[w, i] = e.timers[w, i] - e.dt * float(e.decimation)
                                due = e.timers[w, i] <= 0.0
                            if begin or due:
                                of_times = stream(e, w, EVENTS + event_count + i)
                                e.timers[w, i] = wp.randf(
                                    of_times, e.event_table[i, 1], e.event_table[i, 2]
                                )
                        if due:
                            random = stream(e, w, EVENTS + i)
                            wp.static(happenings[i])(e, s, w, e.event_params[i], random)
                for i in range(wp.static(observation_count)):
                    wp.static(observations[i])(
                        e, s, w, e.observation_params[i], e.critic, row, e.observation_columns[i]
                    )
                show(e, w, row)

    # Its type is known here alone.
    world.__annotations__["s"] = state
    return wp.kernel(world, enable_backward=False, module="unique")
