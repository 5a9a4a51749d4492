"""The hub: batches from every bridge in, the newest state of every channel out, once a tick.

Every sample that comes in has exactly one fate, and each fate is counted: applied (its value went
to the stage), unchanged, within the deadband, superseded (overtaken within its tick), status only
(the source marked it bad), or rejected for a reason. `received` is their sum.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.bindings import TelemetryBinding
from stagetwin.clock import Clock
from stagetwin.hub._condition import Mask, condition, late_rows
from stagetwin.hub._counters import Rejections
from stagetwin.hub._inbox import Inbox, joined, rows_of
from stagetwin.hub._latest import OBJECT, ChannelParameters, Latest
from stagetwin.hub._redundancy import RedundancyGroups
from stagetwin.ports import Reject
from stagetwin.signals import Quality, Samples, Status, quality_of

__all__ = ["Changes", "Fates", "Hub"]

Index = npt.NDArray[np.intp]

FUTURE_TOLERANCE = 60.0
"""How far a device's clock may be ahead of ours [s]; beyond, its times are not believed."""

CLOCK_RESET_AFTER = 60.0
"""A source whose times stay behind for this long (or its `staleAfter`, if shorter) has set its
clock back; from then on its times count again, and its values as uncertain until its clock is right
[s]."""


@dataclass(slots=True)
class Fates:
    """What became of samples since the start."""

    received: int = 0
    applied: int = 0
    unchanged: int = 0
    deadband: int = 0
    superseded: int = 0
    standby: int = 0
    status_only: int = 0
    rejected: int = 0
    late: int = 0

    def balanced(self) -> bool:
        """Whether every received sample has exactly one fate."""
        return self.received == (
            self.applied
            + self.unchanged
            + self.deadband
            + self.superseded
            + self.standby
            + self.status_only
            + self.rejected
        )


@dataclass(slots=True)
class Changes:
    """Channels whose attributes must be written; index arrays into the channel table.

    Attributes:
        value: new values.
        time: a newer source time; a superset of the channels whose value is new.
        quality: another quality or status.
    """

    value: Index
    time: Index
    quality: Index

    def __bool__(self) -> bool:
        return bool(len(self.value) or len(self.time) or len(self.quality))


@dataclass(slots=True)
class _Tick:
    """Channels touched while draining, as masks over the table."""

    value: Mask
    time: Mask
    quality: Mask


class Hub:
    """Takes batches from any thread; drained by the owner of the stage."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._inbox = Inbox()
        self.latest = Latest()
        self.fates = Fates()
        self.rejections = Rejections()
        self.parameters = ChannelParameters({}, 0)
        self._groups = RedundancyGroups({})
        self._online: set[str] = set()
        self._fresh = np.empty(0, np.bool_)  # channels bound since the last tick
        self._big: set[int] = set()  # integer channels whose value is in `objects` for now

    # -- from any thread

    def submit(self, batch: Samples) -> None:
        """Take a batch for the next tick.

        Past `MAX_WAITING` rows, which only an owner that stands still lets pile up, the oldest
        batches go and are counted.
        """
        dropped = self._inbox.submit(batch)
        if dropped:
            self.rejections.add("", Reject.OVERFLOW, dropped, "the owner of the stage stands still")

    def vouch(self, channels: Sequence[int], alive: bool) -> None:
        """Take word of devices: they live, or said goodbye."""
        self._inbox.vouch(channels, alive)

    def connection_online(self, connection: str, online: bool) -> None:
        """Say whether a connection stands: only then does a vouched device count as alive."""
        with self._lock:
            stood = connection in self._online
            (self._online.add if online else self._online.discard)(connection)
            if stood and not online:
                self._inbox.broke(connection)

    def interrupted(self, connection: str) -> None:
        """Say that what comes over a connection from now on is of another session.

        Word of a device keeps a value alive only if the value came in the same session: what
        changed in between may have been missed.
        """
        with self._lock:
            self._inbox.broke(connection)

    # -- from the owner

    def bind(self, bindings: Mapping[int, TelemetryBinding], size: int) -> None:
        """Replace the channel table.

        Args:
            bindings: by channel index.
            size: number of indices ever given out.
        """
        self.latest.grow(size)
        before = np.zeros(size, np.bool_)
        before[: len(self.parameters.active)] = self.parameters.active
        self.parameters = ChannelParameters(bindings, size)
        self._fresh = self.parameters.active & ~before
        # Nobody listens for a channel that is not bound.
        self._forget_word_of(~self.parameters.active)
        self._groups = RedundancyGroups(bindings)

    def drain(self) -> Changes:
        """Judge what came in since the last call and return what to write."""
        size = self.latest.size
        tick = _Tick(np.zeros(size, np.bool_), np.zeros(size, np.bool_), np.zeros(size, np.bool_))
        for stretch in self._inbox.take():
            if stretch.batches:
                self._take(joined(stretch.batches), tick)
            for channels, alive in stretch.vouchers:
                self._take_voucher(channels, alive)
            if stretch.broken in self.parameters.connections:
                self._forget_word_of(self.parameters.of_connection(stretch.broken))
        self._judge_quality(tick)
        sampled = tick.value.copy() if self._groups else tick.value
        if self._fresh.any():
            # A channel that comes back (a variant switched to and fro) has a past to show.
            tick.quality |= self._fresh
            tick.value |= self._fresh & self.latest.arrived
            tick.time |= self._fresh & self.latest.arrived
            self._fresh[:] = False
        if self._groups:
            self._groups.select(self.latest, tick.value)
            standby = int((sampled & ~tick.value).sum())
            self.fates.applied -= standby
            self.fates.standby += standby
        return Changes(*(np.flatnonzero(mask) for mask in (tick.value, tick.time, tick.quality)))

    def ages(self) -> npt.NDArray[np.float64]:
        """Return the time since each bound channel's last sign of life [s]; inf for never."""
        return self._clock.steady() - self.latest.seen[self.parameters.active]

    # -- one tick

    def _take(self, batch: Samples, tick: _Tick) -> None:
        p, latest, steady = self.parameters, self.latest, self._clock.steady()
        self.fates.received += len(batch)
        batch = self._bound(batch)
        if not len(batch):
            return
        self._distrust_the_future(batch)
        late, was_reset = self._late(batch, steady)
        latest.doubted[batch.channel[was_reset]] = True
        if late.any():
            # Not into the live values, nor a sign that what they say still holds; a history keeps
            # them.
            self._count(Reject.LATE, batch.channel[late])
            self.fates.late += int(late.sum())
            batch = rows_of(batch, ~late)
            if not len(batch):
                return
        self._doubt_the_past(batch)
        left_bad = np.zeros(len(batch), np.bool_)

        def refuse(reason: Reject, rows: Mask, status: Status, text: Callable[[int], str]) -> None:
            row = int(np.flatnonzero(rows)[-1])
            self._count(reason, batch.channel[rows], lambda: self._describe(batch, row, text(row)))
            batch.status[rows] = status
            left_bad[rows] = True

        usable, objects = condition(batch, p, refuse)
        status_only = ~usable & ~left_bad
        self.fates.status_only += int(status_only.sum())
        self._store(batch, usable, objects, tick, steady)
        if status_only.any():
            # A bad sample is the newest word all the same: an older good one after it is late.
            channel = batch.channel[status_only]
            np.fmax.at(latest.source_time, channel, batch.source_time[status_only])
            latest.receive_time[channel] = batch.receive_time[status_only]
            tick.time[channel] = True

    def _bound(self, batch: Samples) -> Samples:
        """Drop the rows of channels that are bound no more."""
        known = (batch.channel >= 0) & (batch.channel < self.latest.size)
        active = (
            known & self.parameters.active[np.where(known, batch.channel, 0)]
            if len(self.parameters.active)
            else np.zeros(len(batch), np.bool_)
        )
        if active.all():
            return batch
        gone = int((~active).sum())
        self.fates.rejected += gone
        self.rejections.add("", Reject.RETIRED, gone)
        return rows_of(batch, active)

    def _distrust_the_future(self, batch: Samples) -> None:
        """Take away source times ahead of our clock: one would make all that follow late."""
        ahead = batch.source_time > self._clock.wall() + FUTURE_TOLERANCE
        if ahead.any():
            batch.source_time = np.where(ahead, np.nan, batch.source_time)
            _make_uncertain(batch, ahead)

    def _doubt_the_past(self, batch: Samples) -> None:
        """Make uncertain what was so when it was measured and need not be so now.

        That is a sample whose source time is older than its signal's `staleAfter`, and what follows
        a clock that was set back, until its times are near ours. A server's time with a sample is
        the server's word that the value holds, however long ago it changed.
        """
        latest, channel = self.latest, batch.channel
        doubted = latest.doubted[channel]
        most = self.parameters.stale_after[channel]
        most = np.where(doubted, np.minimum(most, CLOCK_RESET_AFTER), most)
        old = self._clock.wall() - batch.source_time > most  # False for NaN
        old &= doubted | np.isnan(batch.server_time)
        if doubted.any():
            latest.doubted[channel[~old & (batch.source_time == batch.source_time)]] = False
        if old.any():
            _make_uncertain(batch, old)

    def _late(self, batch: Samples, steady: float) -> tuple[Mask, Mask]:
        """Return which rows are late, and which are not because a clock was set back."""
        newest_time, channel = self.latest.source_time, batch.channel
        late = by_order = late_rows(batch, newest_time)
        if late.any():
            patience = np.minimum(self.parameters.stale_after[channel], CLOCK_RESET_AFTER)
            was_reset = steady - self.latest.accepted[channel] > patience
            if was_reset.any():
                # The past of such a channel counts no more; the order within the batch does.
                newest_time = newest_time.copy()
                newest_time[channel[was_reset]] = np.nan
                late = late_rows(batch, newest_time)
        return late, by_order & ~late

    def _count(
        self,
        reason: Reject,
        channel: npt.NDArray[np.int32],
        example: Callable[[], str] | None = None,
    ) -> None:
        self.fates.rejected += len(channel)
        p = self.parameters
        text = example() if example else ""
        for i, n in enumerate(np.bincount(p.connection[channel]).tolist()):
            if n:
                self.rejections.add(p.connections[i], reason, n, text)

    def _describe(self, batch: Samples, row: int, text: str) -> str:
        binding = self.parameters.bindings[int(batch.channel[row])]
        return (
            f"{binding.path} at {binding.address}"
            f"{f' field {binding.field}' if binding.field else ''}: {text}; "
            f"a {binding.type_name} in {binding.limits} {binding.unit} is allowed"
        )

    def _store(
        self, batch: Samples, usable: Mask, objects: dict[int, Any], tick: _Tick, steady: float
    ) -> None:
        latest, channel = self.latest, batch.channel
        # Fancy assignment keeps the last row of a channel that repeats: the newest, as rows are in
        # order of arrival.
        rows = np.arange(len(batch))
        last = np.full(latest.size, -1, np.intp)
        last[channel] = rows
        touched = np.flatnonzero(last >= 0)
        newest = last[touched]
        # What waited for us is as old as it is, not as young as our looking at it.
        age = np.fmax(self._clock.wall() - batch.receive_time[newest], 0.0)  # 0 for NaN
        latest.seen[touched] = np.maximum(latest.seen[touched], steady - age)
        latest.anew[touched] = True
        latest.gone[touched] = False
        latest.server_time[touched] = batch.server_time[newest]
        changed_status = latest.status[touched] != batch.status[newest]
        latest.status[touched] = batch.status[newest]
        tick.quality[touched[changed_status]] = True
        last[:] = -1
        last[channel[usable]] = rows[usable]
        valued = np.flatnonzero(last >= 0)
        newest = last[valued]
        self.fates.superseded += int(usable.sum()) - len(valued)
        latest.accepted[valued] = steady
        latest.receive_time[valued] = batch.receive_time[newest]
        latest.source_time[valued] = batch.source_time[newest]
        tick.time[valued] = True
        self._store_values(batch, valued, newest, objects, tick)

    def _store_values(
        self, batch: Samples, valued: Index, newest: Index, objects: dict[int, Any], tick: _Tick
    ) -> None:
        latest, p = self.latest, self.parameters
        value = batch.value[newest]
        known = latest.arrived[valued]
        plain = p.code[valued] != OBJECT
        same = known & plain & (latest.value[valued] == value)
        close = np.zeros(len(valued), np.bool_)
        if p.has_deadband:
            close = known & plain & (np.abs(value - latest.value[valued]) < p.deadband[valued])
            close &= ~same
        for k in np.flatnonzero(np.isnan(value)).tolist():
            # An object, or an integer too big for the float column.
            i, converted = int(valued[k]), objects[int(newest[k])]
            same[k] = (
                bool(known[k])
                and latest.objects[i] is not None
                and (type(latest.objects[i]) is type(converted) and latest.objects[i] == converted)
            )
            latest.objects[i] = converted
            if plain[k]:
                self._big.add(i)
        new = ~(same | close)
        self.fates.unchanged += int(same.sum())
        self.fates.deadband += int(close.sum())
        self.fates.applied += int(new.sum())
        changed = valued[new]
        if self._big:
            for i in self._big.intersection(valued[~np.isnan(value)].tolist()):
                latest.objects[i] = None
                self._big.discard(i)
        latest.value[changed] = value[new]
        latest.arrived[valued] = True
        tick.value[changed] = True

    def _take_voucher(self, channels: Sequence[int], alive: bool) -> None:
        known = np.array([i for i in channels if 0 <= i < self.latest.size], np.intp)
        self.latest.vouched[known] = alive
        self.latest.gone[known] = not alive

    def _forget_word_of(self, channels: Mask) -> None:
        self.latest.vouched[channels] = False
        self.latest.anew[channels] = False

    def _judge_quality(self, tick: _Tick) -> None:
        latest, p, steady = self.latest, self.parameters, self._clock.steady()
        if p.connections and latest.vouched.any():
            online = np.array([name in self._online for name in p.connections], np.bool_)
            # A device that lives and did not say this signal since has not made it known.
            alive = latest.vouched & latest.anew & p.active & online[p.connection]
            latest.seen[alive] = steady
        stale = np.isneginf(latest.seen) | latest.gone | (steady - latest.seen > p.stale_after)
        quality = np.where(stale, np.uint8(Quality.STALE), quality_of(latest.status))
        changed = p.active & (quality != latest.quality)
        latest.quality = quality.astype(np.uint8)
        tick.quality |= changed


def _make_uncertain(batch: Samples, rows: Mask) -> None:
    """Lower the status of those rows that the source calls good."""
    good = rows & (batch.status >> np.uint32(30) == 0)
    batch.status = np.where(good, np.uint32(Status.UNCERTAIN), batch.status)
