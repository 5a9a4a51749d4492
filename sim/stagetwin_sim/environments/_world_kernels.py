"""The one kernel of a task, composed from its terms.

A thread is a world on a GPU. On a CPU it is a chunk of them: what the structs hold is read once
for all.
"""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from functools import cache

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode, drawn_value, stream

__all__ = ["ACT", "BEGIN", "JUDGE", "STARTUP", "world_kernel"]

ACT, JUDGE, BEGIN, STARTUP = 1, 2, 4, 8
"""What a launch does: take actions and move on; judge what came of it; begin episodes that are
asked for; draw what is drawn once as well."""

OLDEST = wp.constant(3.0)
"""Steps that a command may be late."""
NOISE, TIMES, RANGES, EVENTS = (wp.constant(k) for k in (0, 1, 2, 3))
"""Purposes of random numbers; those of events and commands follow."""
AT_STARTUP, AT_RESET, AT_INTERVAL = (wp.constant(float(k)) for k in range(3))
TIME_OUT, SUCCESS = wp.constant(1), wp.constant(2)


@wp.func
def bounded(value: float, low: float, high: float):
    """Return a value within bounds, the lower one for NaN; two instructions, unlike `wp.clamp`."""
    least = wp.where(value > low, value, low)
    return wp.where(least < high, least, high)


@wp.func
def take_action(e: Episode, w: int, j: int):
    """Bound what the policy said, put it before the last commands, and take out what is due.

    Of the table: scale, offset, low, high [unit].
    """
    said = wp.float32(e.action[w, j])
    if not wp.isfinite(said):
        said = 0.0
        e.refused[w] = e.refused[w] + 1
    said = bounded(said, -1.0, 1.0)
    row = e.action_table[j]
    last = e.queue[w, j]
    newest = wp.vec4(bounded(row[1] + row[0] * said, row[2], row[3]), last[0], last[1], last[2])
    delay = wp.int32(bounded(e.physics[w, e.delay_column + j] + 0.5, 0.0, OLDEST))
    e.acts[w, j] = wp.vec3(said, e.acts[w, j][0], newest[delay])
    e.queue[w, j] = newest


@wp.func
def rest(e: Episode, w: int):
    """Forget actions: before the first one the command is that of zeros."""
    for j in range(e.acts.shape[1]):
        row = e.action_table[j]
        value = wp.clamp(row[1], row[2], row[3])
        e.acts[w, j] = wp.vec3(0.0, 0.0, value)
        e.queue[w, j] = wp.vec4(value, value, value, value)


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
    if e.noisy[0] == 0:
        for c in range(seen):
            line = e.columns[c]
            number = bounded(e.critic[row, c] * line[0] + line[1], line[2], line[3])
            e.critic[row, c] = number
            if e.shared == 0:
                e.observation[row, c] = number
    else:
        random = stream(e, w, NOISE)
        factor = wp.float32(1.0)
        if e.noise_column >= 0:
            factor = e.physics[w, e.noise_column]
        for c in range(seen):
            line = e.columns[c]
            noise = e.noises[c]
            value = wp.float32(e.critic[row, c])
            e.critic[row, c] = bounded(value * line[0] + line[1], line[2], line[3])
            if noise[0] > 0.0:
                value += factor * noise[0] * wp.randn(random)
            share = wp.float32(1.0)
            if noise[1] > 0.0:
                share = wp.randf(random)
            if share < noise[1]:
                value = noise[2]
            e.observation[row, c] = bounded(value * line[0] + line[1], line[2], line[3])
    for c in range(seen, e.critic.shape[1]):
        line = e.columns[c]
        e.critic[row, c] = bounded(e.critic[row, c] * line[0] + line[1], line[2], line[3])


@cache
def world_kernel(parts):
    """Return the kernel of a composition, launched over worlds; see Composition.

    `running` and `ended` are sums of the rewards' terms and of all of them, of the present episode
    and of the one that ended last.
    """
    state, prepare, advance = parts.state, parts.prepare, parts.advance
    prepares, moves = prepare is not None, advance is not None
    observations, rewards, terminations = parts.observations, parts.rewards, parts.terminations
    happenings, curriculum, action_count = parts.happenings, parts.curriculum, parts.action_count
    observation_count, reward_count = len(observations), len(rewards)
    termination_count, curriculum_count = len(terminations), len(curriculum)
    event_count = len(happenings)

    sums = wp.types.vector(length=reward_count + 1, dtype=wp.float32)

    def world(phase: int, chunk: int, e: Episode, s, running, ended):
        first = wp.tid() * chunk
        for w in range(first, wp.min(first + chunk, e.worlds)):
            judged = (phase & JUDGE) != 0
            done = wp.bool(False)
            if (phase & ACT) != 0:
                for j in range(wp.static(action_count)):
                    take_action(e, w, j)
                if wp.static(prepares):
                    prepare(e, s, w)
                if wp.static(moves):
                    for _ in range(e.decimation):
                        advance(e, s, w, e.dt)
            if judged:
                e.step[w] = e.step[w] + 1
                cause = wp.int32(-1)
                terminated = wp.bool(False)
                truncated = wp.bool(False)
                success = wp.bool(False)
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
                parts = sums()
                for i in range(wp.static(reward_count)):
                    parts[i] = e.reward_weights[i] * wp.static(rewards[i])(
                        e, s, w, e.reward_params[i]
                    )
                    parts[wp.static(reward_count)] += parts[i]
                e.reward[w] = parts[wp.static(reward_count)]
                running[w] = running[w] + parts
                if done:
                    ended[w] = running[w]
                    running[w] = sums()
                    e.lasted[w] = e.step[w]
                    for i in range(wp.static(curriculum_count)):
                        level = wp.static(curriculum[i])(e, s, w, e.curriculum_params[i])
                        e.level[w] = wp.clamp(level, 0.0, 1.0)
            asked = (phase & BEGIN) != 0 and e.asked[w] != 0
            rounds = wp.int32(0)
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
                        running[w] = sums()
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

    # Their types are known here alone.
    world.__annotations__ |= {
        "s": state,
        "running": wp.array(dtype=sums),
        "ended": wp.array(dtype=sums),
    }
    return wp.kernel(world, enable_backward=False, module="unique")
