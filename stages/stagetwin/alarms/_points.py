"""The conditions of all alarms as columns, judged in one pass.

Every point is one alarm that may arise. A pass costs a few numpy operations over all of them,
whether anything changed or not; Python is only spent on those that come to hold or cease to.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.alarms import _definitions
from stagetwin.alarms._definitions import Definition
from stagetwin.alarms._given import Given
from stagetwin.alarms._groups import Groups, any_of
from stagetwin.hub import ChannelParameters, Hub, Latest
from stagetwin.ports import ConnectionState
from stagetwin.signals import Quality, Status

__all__ = ["ON_CHANNELS", "Links", "Part", "Points", "Verdict"]

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
Links = Mapping[str, tuple[ConnectionState, str]]
"""State and cause of connections by name; one that is not there, nobody speaks of."""

LONGEST_GRACE = 60.0
"""Longest time that signals have to say something once their connection is back [s]."""

MOST = 250
"""Alarms that arise or cease in one pass: a thousand at once must not cost a tick."""

_EXCEEDED = int(Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED)


class Part(enum.IntEnum):
    """What a point looks at; points lie in this order."""

    LIMIT = 0
    OUTSIDE = 1
    BAD = 2
    QUALITY = 3
    STATE = 4
    TEXT = 5
    STALE = 6
    GOODBYE = 7
    CONNECTION = 8
    COMMAND = 9
    MODEL = 10


START_GRACE = 20.0
"""Time that a connection has to come up at first [s]; delays are counted from then."""

ON_CHANNELS = 6
"""Parts below this one look at one channel each."""


@dataclass(slots=True)
class Verdict:
    """Points by what became of them in one pass.

    Attributes:
        muted, unmuted: came to be suppressed, or count again.
        risen, fallen: came to hold, or ceased to.
    """

    muted: Rows
    unmuted: Rows
    risen: Rows
    fallen: Rows


@dataclass(slots=True, eq=False)
class Points:
    """Columns; every array has shape (n,), unless said.

    Attributes:
        sources: alarms, or how they are spelt out.
        parts: where each part lies.
        channel: of the points on channels, shape (c,); 0 where `trusted` is False.
        trusted: whether that channel is what the plant binds, shape (c,).
        sign: 1 above a limit, -1 below; limits alone.
        limit: limit, times sign; limits alone.
        hysteresis: limits alone.
        reference: number that a state is compared with; states alone.
        unequal: whether it must differ; states and texts.
        texts: what texts are compared with.
        rank: of the priority, 0 the worst.
        on_delay, off_delay: [s].
        active: whether the condition holds, delays and hysteresis considered.
        pending: since when it is otherwise [s, steady clock]; NaN while it is not.
        muted: whether it is suppressed.
        gated: points that count only while a signal is true, shape (k,).
        gate: channels of these signals, shape (k,); -1 for one that is not known.
        gate_paths: properties that these signals drive.
        spares: by point on a channel, all channels that drive its property.
        retrusted: by channel, when it became again what the plant binds [s, steady clock].
        stale, goodbye: channels of the grouped parts.
        connections: names of the connections of that part.
        commands: paths of the commands of that part.
        forced: whether an event holds; commands alone.
        given: what is judged of models.
        text_seen: when each text that was compared last came; texts alone.
        text_same: what came of it; texts alone.
        online_since: since when connections stand [s, steady clock]; inf while they do not.
        spoken: since when somebody speaks of connections that have never stood [s, steady clock];
            -inf for those that have.
        by_prim: points by prim, once somebody asked for one.
    """

    sources: list[Any]
    parts: dict[Part, slice]
    channel: Rows
    trusted: Mask
    sign: npt.NDArray[np.float64]
    limit: npt.NDArray[np.float64]
    hysteresis: npt.NDArray[np.float64]
    reference: npt.NDArray[np.float64]
    unequal: Mask
    texts: list[Any]
    rank: npt.NDArray[np.uint8]
    on_delay: npt.NDArray[np.float64]
    off_delay: npt.NDArray[np.float64]
    gated: Rows
    gate: Rows
    gate_paths: list[str]
    spares: dict[int, Rows]
    retrusted: dict[int, float]
    stale: Groups
    goodbye: Groups
    connections: list[str]
    commands: list[str]
    active: Mask
    pending: npt.NDArray[np.float64]
    muted: Mask
    forced: Mask
    given: Given
    text_seen: npt.NDArray[np.float64]
    text_same: Mask
    online_since: dict[str, float]
    spoken: dict[str, float]
    by_prim: dict[str, list[int]] | None = None

    def __len__(self) -> int:
        return len(self.active)

    def part_of(self, point: int) -> Part:
        """Return what a point looks at."""
        return next(part for part, place in self.parts.items() if point < place.stop)

    def definition(self, point: int) -> Definition:
        """Return the alarm of a point; most never arise, and are not spelt out before."""
        source = self.sources[point]
        if not isinstance(source, Definition):
            make, *arguments = source
            source = self.sources[point] = make(*arguments)
        found: Definition = source
        return found

    def find(self, alarm_id: str) -> int | None:
        """Return the point of an alarm by its id; None for none."""
        prim = alarm_id.partition(".")[0]
        if self.by_prim is None:
            self.by_prim = {}
            for point, source in enumerate(self.sources):
                if isinstance(source, Definition):
                    where = source.prim
                else:
                    where = source[1].asset if source[0] is _definitions.stale else source[1].prim
                self.by_prim.setdefault(where, []).append(point)
        own = self.by_prim.get(prim, ())
        return next((point for point in own if self.definition(point).id == alarm_id), None)

    def authored(self, point: int) -> Definition | None:
        """Return the alarm of a point if the plant authors it."""
        source = self.sources[point]
        return source if isinstance(source, Definition) and source.authored else None

    def muted_by(self, point: int, parameters: ChannelParameters) -> str:
        """Return what says a suppressed alarm already: a property, or a connection's name."""
        for row in np.flatnonzero(self.gated == point).tolist():
            return self.gate_paths[row]
        if point < len(self.channel):
            rows = self.channel[point : point + 1]
        else:
            group = point - self.parts[Part.STALE].start
            rows = self.stale.channel[self.stale.trusted & (self.stale.group == group)]
        names = [parameters.connections[i] for i in parameters.connection[rows].tolist()]
        return max(names, key=lambda name: self.online_since.get(name, -math.inf), default="")

    def take_note(self, links: Links, now: float) -> None:
        """Remember since when connections stand."""
        for name, (state, _) in links.items():
            if state is ConnectionState.ONLINE:
                self.spoken[name] = -math.inf
            else:
                self.spoken.setdefault(name, now)
            if state is not ConnectionState.ONLINE:
                self.online_since[name] = math.inf
            elif self.online_since.get(name, math.inf) == math.inf:
                self.online_since[name] = now

    def judge(
        self, hub: Hub, links: Links, now: float, expected: Callable[[str], float]
    ) -> Verdict:
        """Look at every point.

        Args:
            hub: where the newest state of the channels is.
            links: connections.
            now: [s, steady clock].
            expected: returns the newest number that a model gives for a property; NaN for none.
        """
        self.take_note(links, now)
        latest = hub.latest
        size = len(self)
        if not latest.size:
            none = np.empty(0, np.intp)  # a session has hidden whatever there was
            return Verdict(none, none, none, none)
        raw = np.zeros(size, np.bool_)
        may_raise, may_clear = np.ones(size, np.bool_), np.ones(size, np.bool_)
        muted = np.zeros(size, np.bool_)
        self._judge_channels(hub, now, raw, may_raise, may_clear, muted)
        self._judge_stale(hub, now, raw, may_clear, muted)
        place = self.parts[Part.GOODBYE]
        if place.stop > place.start:
            gone = latest.gone[self.goodbye.channel] & self.goodbye.trusted
            raw[place] = any_of(self.goodbye.group, gone, place.stop - place.start)
        place = self.parts[Part.CONNECTION]
        for point, name in enumerate(self.connections, place.start):
            known = links.get(name)
            online = known is not None and known[0] is ConnectionState.ONLINE
            raw[point] = not online
            # Nobody speaks of it yet, or it has never stood and may still come up.
            settled = online or now - self.spoken.get(name, now) >= START_GRACE
            may_raise[point] = may_clear[point] = known is not None and settled
        raw[self.parts[Part.COMMAND]] = self.forced
        place = self.parts[Part.MODEL]
        raw[place], known_here = self.given.judge(expected, self.active[place])
        may_raise[place] = may_clear[place] = known_here
        if len(self.gated):
            gate = np.maximum(self.gate, 0)
            shut = (self.gate >= 0) & (latest.quality[gate] == Quality.GOOD)
            muted[self.gated] |= shut & (latest.value[gate] == 0)
        return self._in_time(raw, may_raise, may_clear, muted, now)

    def _judge_channels(
        self, hub: Hub, now: float, raw: Mask, may_raise: Mask, may_clear: Mask, muted: Mask
    ) -> None:
        latest = hub.latest
        for point, channels in self.spares.items():
            # Redundant signals: the one of the best quality drives the property.
            self.channel[point] = channels[int(np.argmin(latest.quality[channels]))]
        channel = self.channel
        count = len(channel)
        if not count:
            return
        quality, status = latest.quality[channel], latest.status[channel]
        known = self.trusted.copy()
        for i, since in self.retrusted.items():
            known[channel == i] &= latest.accepted[i] > since
        good = (quality == Quality.GOOD) | ((quality == Quality.UNCERTAIN) & (status == _EXCEEDED))
        good &= known
        usable = known & (quality <= Quality.UNCERTAIN)

        place = self.parts[Part.LIMIT]
        value = latest.value[channel[place]]
        number = value == value
        back = self.hysteresis * self.active[place]
        raw[place] = value * self.sign > self.limit - back  # False for NaN
        may_raise[place] = usable[place] & number
        may_clear[place] = good[place] & number

        place = self.parts[Part.OUTSIDE]
        raw[place] = status[place] == _EXCEEDED
        may_raise[place], may_clear[place] = usable[place], good[place]

        place = self.parts[Part.BAD]
        raw[place] = quality[place] == Quality.BAD
        may_raise[place], may_clear[place] = known[place], usable[place]

        place = self.parts[Part.QUALITY]
        if place.stop > place.start:
            stale = quality[place] == Quality.STALE
            judged = self._judged(hub, channel[place], now)
            raw[place] = (quality[place] == Quality.BAD) | (stale & judged) | ~known[place]
            may_clear[place] = usable[place]
            muted[place] = self.active[place] & stale & ~judged

        place = self.parts[Part.STATE]
        if place.stop > place.start:
            value = latest.value[channel[place]]
            number = value == value
            same = value == self.reference
            raw[place] = same ^ self.unequal[: len(same)]
            may_raise[place] = usable[place] & number
            may_clear[place] = good[place] & number

        place = self.parts[Part.TEXT]
        if place.stop > place.start:
            raw[place] = self._texts_hold(latest, channel[place])
            arrived = latest.arrived[channel[place]]
            may_raise[place], may_clear[place] = usable[place] & arrived, good[place] & arrived

    def _texts_hold(self, latest: Latest, channel: Rows) -> Mask:
        """Compare texts, those alone that came since the last pass."""
        accepted = latest.accepted[channel]
        for k in np.flatnonzero(accepted != self.text_seen).tolist():
            self.text_same[k] = latest.objects[int(channel[k])] == self.texts[k]
        self.text_seen = accepted
        return self.text_same ^ self.unequal[len(self.unequal) - len(channel) :]

    def _judged(self, hub: Hub, channel: Rows, now: float) -> Mask:
        """Tell whose silence counts: their connection stands, and they had time to speak."""
        p = hub.parameters
        since = np.array([self.online_since.get(name, -math.inf) for name in p.connections])
        if not len(since):
            return np.ones(len(channel), np.bool_)
        grace = np.minimum(p.stale_after[channel], LONGEST_GRACE)
        judged: Mask = now - since[p.connection[channel]] >= grace
        return judged

    def _judge_stale(self, hub: Hub, now: float, raw: Mask, may_clear: Mask, muted: Mask) -> None:
        place = self.parts[Part.STALE]
        count = place.stop - place.start
        if not count:
            return
        counted, waiting = self.stale_rows(hub, now)
        raw[place] = any_of(self.stale.group, counted, count)
        held = any_of(self.stale.group, waiting, count)
        may_clear[place] = ~held
        muted[place] = self.active[place] & held & ~raw[place]

    def stale_rows(self, hub: Hub, now: float) -> tuple[Mask, Mask]:
        """Return which rows of `stale` count as stale, and of which it cannot be said yet."""
        rows, latest = self.stale, hub.latest
        gone = latest.gone[rows.channel]
        stale = latest.quality[rows.channel] == Quality.STALE
        # A signal that never goes stale and never came has nothing to say so far.
        stale &= gone | np.isfinite(hub.parameters.stale_after[rows.channel])
        stale &= ~(gone & rows.silent_only)
        judged = self._judged(hub, rows.channel, now)
        return (stale & judged) | ~rows.trusted, stale & ~judged & rows.trusted

    def _in_time(
        self, raw: Mask, may_raise: Mask, may_clear: Mask, muted: Mask, now: float
    ) -> Verdict:
        """Apply what is not known, suppression and delays."""
        active = self.active
        wanted = np.where(active, raw | ~may_clear, raw & may_raise)
        changed = wanted != active
        changed &= ~muted
        pending = np.where(changed & np.isnan(self.pending), now, self.pending)
        self.pending = pending = np.where(changed, pending, math.nan)
        delay = np.where(active, self.off_delay, self.on_delay)
        due = changed & (now - pending >= delay)
        before = self.muted
        # What no longer holds when its suppression ends went while nobody was to be told.
        due |= before & ~muted & changed & active
        self.muted = muted
        rows = np.flatnonzero(due)
        if len(rows) > MOST:
            # The worst first; the others are still due at the next pass.
            rows = rows[np.argsort(self.rank[rows], kind="stable")[:MOST]]
        risen, fallen = rows[~active[rows]], rows[active[rows]]
        if len(rows):
            self.active = active.copy()
            self.active[rows] ^= True
            self.pending[rows] = math.nan
        shifted = before != muted
        return Verdict(
            np.flatnonzero(shifted & muted), np.flatnonzero(shifted & before), risen, fallen
        )
