"""Conditioning: judging a batch of samples over all channels at once.

Scale, type, hard and soft limits and order of time, each as one pass over columns. Nothing here
keeps state; the hub does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin._errors import WireRangeError, WireTypeError
from stagetwin.hub._latest import BOOLEAN, INTEGER, OBJECT, ChannelParameters
from stagetwin.ports import Reject
from stagetwin.signals import Samples, Status

__all__ = ["condition", "late_rows"]

Mask = npt.NDArray[np.bool_]
Refuse = Callable[[Reject, Mask, Status, Callable[[int], str]], None]
"""Takes a reason, the rows it hits, the status they leave behind, and a text for one row."""


def late_rows(batch: Samples, newest_time: npt.NDArray[np.float64]) -> Mask:
    """Return which samples are older than one of their channel that came before them.

    Args:
        batch: samples in order of arrival; rows without source time are never late.
        newest_time: by channel, source time of the newest sample accepted before the batch [s],
            NaN for none.
    """
    source, channel = batch.source_time, batch.channel
    late = source < newest_time[channel]  # False where either is NaN
    timed = np.flatnonzero(source == source)
    s = source[timed]
    if len(s) < 2 or not (s[1:] < s[:-1]).any():
        return late
    order = timed[np.argsort(channel[timed], kind="stable")]
    c, s = channel[order], source[order]
    same = c[1:] == c[:-1]
    if not (same & (s[1:] < s[:-1])).any():
        return late
    # Rare: within one batch a channel's time went back. Walk only the rows of such channels.
    newest: dict[int, float] = {}
    for row in order[np.isin(c, c[1:][same & (s[1:] < s[:-1])])].tolist():
        key, when = int(channel[row]), float(source[row])
        if when < newest.get(key, -np.inf):
            late[row] = True
        else:
            newest[key] = when
    return late


def condition(batch: Samples, p: ChannelParameters, refuse: Refuse) -> tuple[Mask, dict[int, Any]]:
    """Scale and judge the values of a batch, in place.

    Args:
        batch: samples of active channels; `value` becomes the stage value and `status` may be
            raised to uncertain by a soft limit.
        p: the channels' parameters.
        refuse: called for rows that cannot be used.

    Returns:
        Rows whose value can be used, and by row the converted values that are not floats.
    """
    channel = batch.channel
    code = p.code[channel]
    severe = (batch.status >> np.uint32(31)).astype(np.bool_)
    usable = ~severe
    objects = _convert_objects(batch, p, usable, refuse)
    is_object = np.zeros(len(batch), np.bool_)
    if batch.objects:
        is_object[np.fromiter(batch.objects, np.intp, len(batch.objects))] = True

    def drop(rows: Mask, reason: Reject, status: Status, text: Callable[[int], str]) -> None:
        rows &= usable
        if rows.any():
            usable[rows] = False
            refuse(reason, rows, status, text)

    def got(row: int, expected: str) -> str:
        return f"expected {expected}, got {batch.value[row]:g}"

    numeric = ~is_object
    drop(
        numeric & (code == OBJECT),
        Reject.TYPE_MISMATCH,
        Status.BAD_TYPE_MISMATCH,
        lambda row: got(row, p.bindings[int(channel[row])].type_name),
    )
    if p.scaled:
        with np.errstate(over="ignore"):  # infinity is refused below
            batch.value = batch.value * p.scale[channel] + p.offset[channel]
    value = batch.value
    for row in [row for row, v in objects.items() if code[row] != OBJECT and _fits(v)]:
        value[row] = objects.pop(row)
    drop(
        numeric & ~np.isfinite(value),
        Reject.NOT_FINITE,
        Status.BAD_OUT_OF_RANGE,
        lambda row: got(row, "a finite number"),
    )
    if p.has_integers:
        integer = numeric & (code == INTEGER)
        if p.scaled:
            # Only scaling may leave a fraction behind that is nobody's mistake.
            rounded = integer & ((p.scale[channel] != 1) | (p.offset[channel] != 0))
            value[rounded & usable] = np.rint(value[rounded & usable])
        drop(
            integer & (value != np.rint(value)),
            Reject.TYPE_MISMATCH,
            Status.BAD_TYPE_MISMATCH,
            lambda row: got(row, "an integer"),
        )
    if p.has_booleans:
        drop(
            numeric & (code == BOOLEAN) & (value != 0) & (value != 1),
            Reject.TYPE_MISMATCH,
            Status.BAD_TYPE_MISMATCH,
            lambda row: got(row, "a boolean"),
        )
    if p.has_limits:
        low, high = p.low[channel], p.high[channel]
        drop(
            numeric & ((value < low) | (value > high)),
            Reject.OUT_OF_RANGE,
            Status.BAD_OUT_OF_RANGE,
            lambda row: f"{value[row]:g} is outside [{low[row]:g}, {high[row]:g}]",
        )
    if p.has_soft:
        beyond = numeric & usable & (batch.status == 0)
        beyond &= (value < p.soft_low[channel]) | (value > p.soft_high[channel])
        batch.status[beyond] = Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
    return usable, objects


def _fits(number: float) -> bool:
    """Tell whether the float column holds a number exactly."""
    return isinstance(number, float) or abs(number) <= 2**53


def _convert_objects(
    batch: Samples, p: ChannelParameters, usable: Mask, refuse: Refuse
) -> dict[int, Any]:
    converted: dict[int, Any] = {}
    for row, wire in batch.objects.items():
        if not usable[row]:
            continue
        i = int(batch.channel[row])
        convert, limits = p.convert[i], p.bindings[i].limits
        assert convert is not None  # active channels have one
        try:
            scale, offset = float(p.scale[i]), float(p.offset[i])
            converted[row] = convert(wire, scale, offset, limits.hard_min, limits.hard_max)
            if limits.soft and batch.status[row] == 0:
                with contextlib.suppress(WireRangeError):
                    convert(wire, scale, offset, limits.soft_min, limits.soft_max)
                    continue
                batch.status[row] = Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
            continue
        except WireTypeError as error:
            reason, status, text = Reject.TYPE_MISMATCH, Status.BAD_TYPE_MISMATCH, str(error)
        except WireRangeError as error:
            reason, status, text = Reject.OUT_OF_RANGE, Status.BAD_OUT_OF_RANGE, str(error)
        usable[row] = False
        rows = np.zeros(len(batch), np.bool_)
        rows[row] = True
        refuse(reason, rows, status, lambda _row, text=text: text)  # type: ignore[misc]
    return converted
