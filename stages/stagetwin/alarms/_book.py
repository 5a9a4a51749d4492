"""The book of alarms: judges every point, and takes each alarm through its states."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from stagetwin._errors import AlarmError
from stagetwin.alarms._causes import cause_of, value_of
from stagetwin.alarms._definitions import PRIORITIES, Definition
from stagetwin.alarms._journal import AlarmJournal
from stagetwin.alarms._plan import plan, trusted_signals
from stagetwin.alarms._points import Part, Points
from stagetwin.alarms._prims import AlarmPrims
from stagetwin.alarms._quiet import Quiet
from stagetwin.alarms._states import Alarm, AlarmEvent, AlarmState, Shelf
from stagetwin.bindings import BindingTable, is_below
from stagetwin.people import Principal
from stagetwin.twin import Twin

__all__ = ["MAX_SHELF", "AlarmBook"]

_log = logging.getLogger(__name__)

Row = dict[str, Any]

PERIOD = 0.1
"""Time between two passes over all alarms [s]."""

MAX_SHELF = 8 * 3600.0
"""Longest time that an alarm may be shelved [s]: a shift."""

MAX_TEXT = 1000
"""Longest comment or reason [characters]."""

_WORST = {priority: number for number, priority in enumerate(PRIORITIES)}


class AlarmBook:
    """The alarms of one twin; belongs to the thread that owns its stage.

    Attributes:
        on_changed: called with an alarm's row whenever its state or what is known of it changed,
            but not while it is shelved.
        journal: where transitions are kept; None for nowhere.
    """

    def __init__(self, twin: Twin, journal: AlarmJournal | None = None) -> None:
        self._twin = twin
        self.journal = journal
        self.on_changed: list[Callable[[Row], None]] = []
        self._prims = AlarmPrims(twin.layers)
        self._quiet = Quiet()
        self._alarms: dict[str, Alarm] = {}
        self._place: dict[str, int] = {}
        self._left = journal.states() if journal is not None else {}
        self._distrusted: set[int] = set()
        self._retrusted: dict[int, float] = {}
        self._stepped = -math.inf
        self._points = self._planned()
        self._carry({})
        twin.on_rebind.append(self._rebind)

    # -- what is judged

    @property
    def _plant(self) -> BindingTable:
        guarded = self._twin.guarded
        return guarded if guarded is not None else self._twin.table

    def _planned(self) -> Points:
        signals = trusted_signals(self._plant, self._twin.table)
        points = plan(self._plant, signals)
        trusted = {signal.channel for signal in signals if signal.trusted}
        distrusted = self._twin.table.telemetry.keys() - trusted
        # What was another's word a moment ago counts again from its next sample.
        now = self._twin.clock.steady()
        self._retrusted.update(dict.fromkeys(self._distrusted & trusted, now))
        self._distrusted = set(distrusted)
        points.retrusted = {i: t for i, t in self._retrusted.items() if i in trusted}
        return points

    def _rebind(self) -> None:
        before = self._points
        waiting = {
            before.definition(i).id: float(before.pending[i])
            for i in (before.pending == before.pending).nonzero()[0].tolist()
        }
        self._points = self._planned()
        self._points.online_since, self._points.spoken = before.online_since, before.spoken
        self._carry(waiting)

    def _carry(self, waiting: dict[str, float]) -> None:
        """Go on where the points before these, or a service before this one, left off."""
        points, self._place = self._points, {}
        for alarm_id in list(self._left):
            if (point := points.find(alarm_id)) is not None:
                self._restore(alarm_id, points.definition(point))
        for alarm_id, alarm in list(self._alarms.items()):
            point = points.find(alarm_id)
            if point is None:
                self._retire(alarm_id, alarm)
                continue
            self._place[alarm_id] = point
            alarm.definition = points.definition(point)
            points.active[point] = alarm.holds
            points.muted[point] = bool(alarm.suppressed)
            if points.part_of(point) is Part.COMMAND:
                points.forced[point - points.parts[Part.COMMAND].start] = alarm.holds
            self._prims.tell(alarm)
        for alarm_id, since in waiting.items():
            if (point := points.find(alarm_id)) is not None:
                points.pending[point] = since

    def _restore(self, alarm_id: str, definition: Definition) -> None:
        alarm, clock = Alarm(definition), self._twin.clock
        try:
            alarm.restore(self._left.pop(alarm_id), clock.wall(), clock.steady())
        except (LookupError, TypeError, ValueError):
            _log.exception("what was kept of alarm %s cannot be read", alarm_id)
            return
        self._alarms[alarm_id] = alarm

    def _retire(self, alarm_id: str, alarm: Alarm) -> None:
        """Put an alarm away that the plant has no more; if it comes back, it is what it was."""
        del self._alarms[alarm_id]
        self._prims.withdraw(alarm)
        if alarm.state is not AlarmState.NORMAL:
            self._left[alarm_id] = alarm.body()
            self._tell({**alarm.row(), "state": str(AlarmState.NORMAL)})

    # -- every tick

    def step(self, now: float) -> None:
        """Judge everything, ten times a second at most; `now` is on the steady clock [s]."""
        if now - self._stepped < PERIOD - 1e-6:
            return
        self._stepped = now
        twin, points = self._twin, self._points
        wall = twin.clock.wall()
        verdict = points.judge(twin.hub, twin.connection_states, now, twin.predicted.value)
        for point in verdict.muted.tolist():
            self._mute(point, wall)
        for point in verdict.fallen.tolist():
            self._happen(self._at(point), AlarmEvent.CLEARED, lambda a: a.cease(wall))
        for point in verdict.unmuted.tolist():
            if (alarm := self._known(point)) is not None and alarm.suppressed:
                self._happen(alarm, AlarmEvent.UNSUPPRESSED, lambda a: a.unsuppress(wall))
        for point in verdict.risen.tolist():
            self._arise(point, wall)
        for alarm in [a for a in self._alarms.values() if a.shelved and a.shelved.due <= now]:
            self._happen(alarm, AlarmEvent.SHELF_ENDED, lambda a: a.unshelve(wall))
        self._prims.write(self._plant.assets.__contains__)
        self._quiet.report(now, _log)

    def command_ended(self, target: str, state: str, cause: str) -> None:
        """Take note of a command's end.

        Args:
            target: prim path and name of the command.
            state: its end; `UNVERIFIED` raises, `VERIFIED` clears.
            cause: why.
        """
        if state not in ("UNVERIFIED", "VERIFIED"):
            return
        points, wall = self._points, self._twin.clock.wall()
        first = points.parts[Part.COMMAND].start
        for number, path in enumerate(points.commands):
            if path != target:
                continue
            point, holds = first + number, state == "UNVERIFIED"
            points.forced[number] = points.active[point] = holds
            alarm = self._known(point)
            if holds:
                self._arise(point, wall, cause)
            elif alarm is not None and alarm.holds:
                self._happen(alarm, AlarmEvent.CLEARED, lambda a: a.cease(wall))

    def _known(self, point: int) -> Alarm | None:
        return self._alarms.get(self._points.definition(point).id)

    def _at(self, point: int) -> Alarm:
        """Return the alarm of a point, made where it never arose."""
        definition = self._points.definition(point)
        alarm = self._alarms.get(definition.id)
        if alarm is None:
            alarm = self._alarms[definition.id] = Alarm(definition)
            self._place[definition.id] = point
        return alarm

    def _arise(self, point: int, wall: float, cause: str = "") -> None:
        twin, points = self._twin, self._points
        text = cause or cause_of(twin, points, point)
        value = value_of(twin, points, point)
        self._happen(self._at(point), AlarmEvent.RAISED, lambda a: a.arise(wall, value, text))

    def _mute(self, point: int, wall: float) -> None:
        alarm = self._known(point)
        if alarm is None or alarm.suppressed:
            return
        by = self._points.muted_by(point, self._twin.hub.parameters)
        if (connection := self._plant.connections.get(by)) is not None:
            by = connection.prim
        self._happen(alarm, AlarmEvent.SUPPRESSED, lambda a: a.suppress(by, wall))

    # -- what people do

    def acknowledge(self, alarm_id: str, who: Principal, comment: str = "") -> Row:
        """Take note that somebody knows; returns the row.

        Raises:
            AlarmError: there is no such alarm, it has nothing to acknowledge, or the comment is
                too long.
        """
        alarm = self._find(alarm_id)
        text, wall = _text("comment", comment), self._twin.clock.wall()
        self._happen(
            alarm,
            AlarmEvent.ACKNOWLEDGED,
            lambda a: a.acknowledge(who.name, wall, text),
            who.name,
            text,
        )
        points, point = self._points, self._place[alarm_id]
        if alarm.definition.latched and not alarm.holds:
            points.active[point], points.pending[point] = False, math.nan
            points.forced[point - points.parts[Part.COMMAND].start] = False
        return alarm.row()

    def shelve(self, alarm_id: str, who: Principal, seconds: float, reason: str) -> Row:
        """Put an alarm aside for a while; returns the row.

        Raises:
            AlarmError: there is no such alarm, the time is outside (0, `MAX_SHELF`], or there is
                no reason.
        """
        if not 0 < seconds <= MAX_SHELF:  # false for NaN
            raise AlarmError(
                f"an alarm is shelved for a time in (0, {MAX_SHELF:g}] s, got {seconds:g}"
            )
        text = _text("reason", reason).strip()
        if not text:
            raise AlarmError("an alarm is shelved for a reason: say which")
        point = self._find_point(alarm_id)
        alarm, clock = self._at(point), self._twin.clock
        wall = clock.wall()
        shelf = Shelf(who.name, wall, wall + seconds, text, clock.steady() + seconds)
        self._happen(alarm, AlarmEvent.SHELVED, lambda a: a.shelve(shelf), who.name, text)
        return alarm.row()

    def unshelve(self, alarm_id: str, who: Principal) -> Row:
        """Take an alarm back before its time; returns the row.

        Raises:
            AlarmError: there is no such alarm, or it is not shelved.
        """
        alarm, wall = self._find(alarm_id), self._twin.clock.wall()
        self._happen(alarm, AlarmEvent.UNSHELVED, lambda a: a.unshelve(wall), who.name)
        return alarm.row()

    def prim_of(self, alarm_id: str) -> str:
        """Return the prim of an alarm, by which rights are judged; raises AlarmError for none."""
        return self._points.definition(self._find_point(alarm_id)).prim

    def _find_point(self, alarm_id: str) -> int:
        point = self._place.get(alarm_id)
        if point is None:
            point = self._points.find(alarm_id)
        if point is None:
            raise AlarmError(f"there is no alarm {alarm_id!r:.200}")
        return point

    def _find(self, alarm_id: str) -> Alarm:
        alarm = self._alarms.get(alarm_id)
        if alarm is None:
            self._find_point(alarm_id)
            raise AlarmError(f"{alarm_id} is NORMAL and was never raised")
        return alarm

    # -- what follows from what happened

    def _happen(
        self,
        alarm: Alarm,
        event: AlarmEvent,
        change: Callable[[Alarm], None],
        by: str = "",
        comment: str = "",
    ) -> None:
        """Let something happen to an alarm, and tell the journal, the prim and whoever listens."""
        before = alarm.state
        change(alarm)
        after = alarm.state
        silent = before is after and after in (AlarmState.NORMAL, AlarmState.SHELVED)
        row = alarm.row()
        if self.journal is not None:
            self._record(alarm, row, event, by, comment)
        if silent and event is not AlarmEvent.SHELVED:
            return  # nobody is to be told of what goes on below a shelf
        self._prims.tell(alarm)
        if event is AlarmEvent.RAISED:
            self._quiet.raised(_log, row)
        self._tell(row)

    def _record(self, alarm: Alarm, row: Row, event: AlarmEvent, by: str, comment: str) -> None:
        assert self.journal is not None
        alarm_id, now = alarm.definition.id, self._twin.clock.steady()
        over = alarm.state is AlarmState.NORMAL and not alarm.count
        self.journal.keep(alarm_id, None if over else alarm.body())
        skipped = 0 if by else self._quiet.skipped(alarm_id, now)
        if skipped < 0:
            return
        entry = {
            "time": self._twin.clock.wall(),
            "event": str(event),
            "by": by,
            "comment": comment,
            **{k: row[k] for k in ("id", "prim", "name", "state", "priority", "value", "unit")},
            "cause": row["cause"] if event is AlarmEvent.RAISED else "",
        }
        if skipped:
            entry["skipped"] = skipped
        self.journal.enter(entry)

    def _tell(self, row: Row) -> None:
        for callback in self.on_changed:
            try:
                callback(row)
            except Exception:
                # Who listens is no part of an alarm's life.
                _log.exception("a listener to alarm %s failed", row["id"])

    # -- what is asked

    def active(self, *prims: str) -> list[Row]:
        """Return the active alarms at or below some prims (all), worst and newest first."""
        return self._rows([a for a in self._alarms.values() if a.active], prims)

    def rows(self, *prims: str) -> list[Row]:
        """Return the alarms at or below some prims that are authored or were ever raised."""
        authored = [
            Alarm(d)
            for d in map(self._points.authored, range(len(self._points)))
            if d is not None and d.id not in self._alarms
        ]
        return self._rows([*self._alarms.values(), *authored], prims)

    @staticmethod
    def _rows(alarms: list[Alarm], prims: Sequence[str]) -> list[Row]:
        found = _below(alarms, prims)
        found.sort(key=lambda a: -(a.changed or 0.0))
        found.sort(key=lambda a: (a.state is AlarmState.NORMAL, _WORST[a.definition.priority]))
        return [a.row() for a in found]

    def history(self, prim: str = "/", limit: int = 500) -> list[Row]:
        """Return transitions at or below a prim, newest first."""
        return self.journal.history(prim, limit) if self.journal is not None else []

    def counts(self, *prims: str) -> dict[str, int]:
        """Return active alarms by priority, and how many wait for somebody or are put aside."""
        found = _below(list(self._alarms.values()), prims)
        active = Counter(a.definition.priority for a in found if a.active)
        states = Counter(str(a.state) for a in found)
        return {
            **{priority: active[priority] for priority in PRIORITIES},
            "unacknowledged": states["UNACK"] + states["RTN_UNACK"],
            "shelved": states["SHELVED"],
            "suppressed": states["SUPPRESSED"],
        }

    @property
    def fault(self) -> str:
        """Why the journal cannot be written at the moment; empty while all is well."""
        return self.journal.fault if self.journal is not None else ""

    def close(self) -> None:
        """Write what waits."""
        if self.journal is not None:
            self.journal.close()


def _below(alarms: list[Alarm], prims: Sequence[str]) -> list[Alarm]:
    if not prims or "/" in prims:
        return alarms
    return [a for a in alarms if any(is_below(a.definition.id, prim) for prim in prims)]


def _text(what: str, said: object) -> str:
    if not isinstance(said, str) or len(said) > MAX_TEXT:
        raise AlarmError(f"{what} must be a text of at most {MAX_TEXT} characters")
    return said
