"""The kernels that judge a future after each frame: rules, limits, measures."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["limit_kernel", "measure_kernel", "rule_kernel"]

AGAIN = wp.constant(wp.float64(5.0))
"""How long until a refused request is made again [s]."""

NEARLY = wp.constant(wp.float64(1e-9))


@wp.kernel(enable_backward=False)
def rule_kernel(
    # in:
    count: int,
    signals: wp.array(dtype=wp.int32),
    comparisons: wp.array(dtype=wp.int32),
    thresholds: wp.array(dtype=wp.float64),
    holds: wp.array(dtype=wp.float64),
    desired: wp.array(dtype=wp.int32),
    setpoints: wp.array(dtype=wp.float64),
    readbacks: wp.array(dtype=wp.int32),
    largest_steps: wp.array(dtype=wp.float64),
    pauses: wp.array(dtype=wp.float64),
    permissive_begins: wp.array(dtype=wp.int32),
    permissives: wp.array(dtype=wp.int32),
    ticks: wp.array(dtype=wp.int64),
    starts: wp.array(dtype=wp.int64),
    frame: wp.float64,
    # in and out:
    bus: wp.array2d(dtype=wp.float64),
    held: wp.array2d(dtype=wp.float64),
    asked: wp.array2d(dtype=wp.int32),
    waits: wp.array2d(dtype=wp.float64),
    paused: wp.array2d(dtype=wp.float64),
    fired: wp.array2d(dtype=wp.int32),
    first_fired: wp.array2d(dtype=wp.float64),
):
    """Let the rules of a world act, one after another; over (worlds,)."""
    world = wp.tid()
    now = wp.float64(ticks[world] - starts[world] + wp.int64(1)) * frame
    for i in range(count):
        value = bus[world, signals[i]]
        comparison = comparisons[i]
        holds_now = False
        if comparison == 0:
            holds_now = value > thresholds[i]
        elif comparison == 1:
            holds_now = value < thresholds[i]
        elif comparison == 2:
            holds_now = value == thresholds[i]
        else:
            holds_now = value != thresholds[i]
        if paused[world, i] > wp.float64(0.0):
            paused[world, i] = paused[world, i] - frame
        if not holds_now:
            held[world, i] = wp.float64(-1.0)
            asked[world, i] = 0
            waits[world, i] = wp.float64(0.0)
        else:
            if held[world, i] < wp.float64(0.0):
                held[world, i] = wp.float64(0.0)
            else:
                held[world, i] = held[world, i] + frame
            if waits[world, i] > wp.float64(0.0):
                waits[world, i] = waits[world, i] - frame
            due = held[world, i] >= holds[i] - NEARLY
            due = due and asked[world, i] == 0 and waits[world, i] <= NEARLY
            if due and paused[world, i] <= NEARLY:
                permitted = int(1)  # noqa: RUF046, UP018 - a variable, not a constant of the kernel
                for j in range(permissive_begins[i], permissive_begins[i + 1]):
                    if permissives[j] < 0:
                        permitted = 0  # unknown never permits
                    # Nothing is cut short in a kernel: this must not be asked of column -1.
                    elif bus[world, permissives[j]] <= wp.float64(0.5):
                        permitted = 0
                if readbacks[i] >= 0:
                    step = wp.abs(setpoints[i] - bus[world, readbacks[i]])
                    if step > largest_steps[i] * (wp.float64(1.0) + NEARLY):
                        permitted = 0
                paused[world, i] = pauses[i]
                if permitted == 1:
                    bus[world, desired[i]] = setpoints[i]
                    asked[world, i] = 1
                    if fired[world, i] == 0:
                        first_fired[world, i] = now
                    fired[world, i] = fired[world, i] + 1
                else:
                    waits[world, i] = AGAIN


@wp.kernel(enable_backward=False)
def limit_kernel(
    # in:
    bus: wp.array2d(dtype=wp.float64),
    columns: wp.array(dtype=wp.int32),
    scales: wp.array(dtype=wp.float64),
    offsets: wp.array(dtype=wp.float64),
    lows: wp.array(dtype=wp.float64),
    highs: wp.array(dtype=wp.float64),
    delays: wp.array(dtype=wp.float64),
    conditions: wp.array(dtype=wp.int32),
    ticks: wp.array(dtype=wp.int64),
    starts: wp.array(dtype=wp.int64),
    frame: wp.float64,
    # in and out:
    since: wp.array2d(dtype=wp.float64),
    first_time: wp.array2d(dtype=wp.float64),
    first_value: wp.array2d(dtype=wp.float64),
    worst: wp.array2d(dtype=wp.float64),
    worst_time: wp.array2d(dtype=wp.float64),
    beyond: wp.array2d(dtype=wp.float64),
):
    """Hold columns to limits; over (worlds, limits).

    `worst` is how far beyond, or negative how near, it came; `beyond` the integral of the first.
    """
    world, i = wp.tid()
    if conditions[i] >= 0:  # noqa: SIM102 - nothing is cut short in a kernel
        if bus[world, conditions[i]] <= wp.float64(0.5):
            since[world, i] = wp.float64(-1.0)
            return
    value = bus[world, columns[i]] * scales[i] + offsets[i]
    now = wp.float64(ticks[world] - starts[world] + wp.int64(1)) * frame
    excess = wp.max(lows[i] - value, value - highs[i])
    if value != value:  # a number that is none is beyond every limit
        excess = wp.float64(wp.inf)
    if excess > worst[world, i]:
        worst[world, i] = excess
        worst_time[world, i] = now
    slack = NEARLY * wp.max(wp.float64(1.0), wp.abs(value))
    if excess > slack:
        beyond[world, i] = beyond[world, i] + excess * frame
        if since[world, i] < wp.float64(0.0):
            since[world, i] = wp.float64(0.0)
        else:
            since[world, i] = since[world, i] + frame
        if since[world, i] >= delays[i] - NEARLY and first_time[world, i] < wp.float64(0.0):
            first_time[world, i] = now
            first_value[world, i] = value
    else:
        since[world, i] = wp.float64(-1.0)


@wp.kernel(enable_backward=False)
def measure_kernel(
    # in:
    bus: wp.array2d(dtype=wp.float64),
    columns: wp.array(dtype=wp.int32),
    scales: wp.array(dtype=wp.float64),
    offsets: wp.array(dtype=wp.float64),
    kinds: wp.array(dtype=wp.int32),
    limits: wp.array(dtype=wp.float64),
    ticks: wp.array(dtype=wp.int64),
    starts: wp.array(dtype=wp.int64),
    frame: wp.float64,
    # in and out:
    results: wp.array2d(dtype=wp.float64),
):
    """Take the measures of a frame; over (worlds, measures). Kinds: see MeasureKind."""
    world, i = wp.tid()
    value = bus[world, columns[i]] * scales[i] + offsets[i]
    now = wp.float64(ticks[world] - starts[world] + wp.int64(1)) * frame
    kind = kinds[i]
    result = results[world, i]
    if kind == 0:
        result = wp.min(result, value)
    elif kind == 1:
        result = wp.max(result, value)
    elif kind == 3:
        result = value
    elif kind == 2:  # noqa: SIM114 - a mean is an integral until it is read
        result = result + value * frame
    elif kind == 4:
        result = result + value * frame
    elif kind == 5:
        if value > limits[i]:
            result = result + frame
    elif kind == 6:
        if value < limits[i]:
            result = result + frame
    elif kind == 7:
        if value > limits[i] and result < wp.float64(0.0):
            result = now
    elif kind == 8 and value < limits[i] and result < wp.float64(0.0):
        result = now
    results[world, i] = result
