"""The kernels of a future's boundary: what drives its models where nothing is measured."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["drive_kernel", "link_kernel"]

SETPOINT = wp.constant(1)
LINEAR = wp.constant(2)
STEPPED = wp.constant(3)
SINE = wp.constant(4)
RATE = wp.constant(5)
LAG = wp.constant(6)
SWITCH = wp.constant(7)
TURN = wp.constant(wp.float64(6.283185307179586))


@wp.kernel(enable_backward=False)
def drive_kernel(
    # in:
    first: int,
    slots: wp.array(dtype=wp.int32),
    modes: wp.array2d(dtype=wp.int32),
    settings: wp.array3d(dtype=wp.float64),
    sources: wp.array(dtype=wp.int32),
    begins: wp.array2d(dtype=wp.int32),
    counts: wp.array2d(dtype=wp.int32),
    times: wp.array(dtype=wp.float64),
    points: wp.array(dtype=wp.float64),
    feed_begins: wp.array(dtype=wp.int32),
    feed_columns: wp.array(dtype=wp.int32),
    feed_scales: wp.array(dtype=wp.float64),
    feed_offsets: wp.array(dtype=wp.float64),
    ticks: wp.array(dtype=wp.int64),
    starts: wp.array(dtype=wp.int64),
    frame: wp.float64,
    # in and out:
    bus: wp.array2d(dtype=wp.float64),
):
    """Move the rows of the boundary on by a frame, and feed models; over (worlds, rows)."""
    world, offset = wp.tid()
    row = first + offset
    mode = modes[world, row]
    if mode == 0:
        return
    slot = slots[row]
    value = bus[world, slot]
    done = wp.float64(ticks[world] - starts[world])
    now = done * frame
    begin = begins[world, row]
    count = counts[world, row]
    if mode == SETPOINT:
        # What is due in this frame; a rule may have changed the set-point since the last one.
        for i in range(begin, begin + count):
            due = wp.floor(times[i] / frame + wp.float64(0.5))
            if due == done:
                value = points[i]
    elif mode < SINE:  # LINEAR or STEPPED
        low = begin
        high = begin + count
        while low < high:  # the first point that is later than now
            middle = (low + high) // 2
            if times[middle] <= now:
                low = middle + 1
            else:
                high = middle
        if low == begin:
            value = points[begin]
        elif low == begin + count or mode == STEPPED:
            value = points[low - 1]
        else:
            part = (now - times[low - 1]) / (times[low] - times[low - 1])
            value = points[low - 1] + part * (points[low] - points[low - 1])
    elif mode == SINE:
        angle = TURN * now / settings[world, row, 2] + settings[world, row, 3]
        value = settings[world, row, 0] + settings[world, row, 1] * wp.sin(angle)
    else:
        goal = bus[world, sources[row]]
        if mode == RATE:
            most = settings[world, row, 0] * frame
            value = value + wp.clamp(goal - value, -most, most)
        elif mode == LAG:
            value = value + (goal - value) * settings[world, row, 0]
        else:
            value = goal
    bus[world, slot] = value
    for i in range(feed_begins[row], feed_begins[row + 1]):
        bus[world, feed_columns[i]] = value * feed_scales[i] + feed_offsets[i]


@wp.kernel(enable_backward=False)
def link_kernel(
    # in:
    sources: wp.array(dtype=wp.int32),
    targets: wp.array(dtype=wp.int32),
    scales: wp.array(dtype=wp.float64),
    offsets: wp.array(dtype=wp.float64),
    switches: wp.array(dtype=wp.int32),
    open: wp.array2d(dtype=wp.int32),
    # in and out:
    bus: wp.array2d(dtype=wp.float64),
):
    """Copy what models predicted to where it counts; over (worlds, links).

    A switch of -1 is always open; `open` says for each world and switch whether a prediction stands
    for the signal there, or a forecast does.
    """
    world, i = wp.tid()
    switch = switches[i]
    if switch >= 0:  # noqa: SIM102 - nothing is cut short in a kernel
        if open[world, switch] == 0:
            return
    bus[world, targets[i]] = bus[world, sources[i]] * scales[i] + offsets[i]
