"""The states of an alarm's life, in the words of IEC 62682, and one alarm going through them.

Pure: no stage, no clock, no store. What happens is told with its time.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagetwin._errors import AlarmError
from stagetwin.alarms._definitions import Definition

__all__ = ["ACTIVE", "TRANSITIONS", "Acknowledgement", "Alarm", "AlarmEvent", "AlarmState", "Shelf"]


class AlarmState(enum.StrEnum):
    """Allowed tokens of `twin:alarm:<name>:state`."""

    NORMAL = "NORMAL"
    UNACK = "UNACK"
    ACKED = "ACKED"
    RTN_UNACK = "RTN_UNACK"
    SHELVED = "SHELVED"
    SUPPRESSED = "SUPPRESSED"


class AlarmEvent(enum.StrEnum):
    """What may happen to an alarm."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SHELF_ENDED = "shelf_ended"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"


_S = AlarmState
_ASIDE = frozenset({_S.SHELVED, _S.SUPPRESSED})

ACTIVE = frozenset({_S.UNACK, _S.ACKED, _S.RTN_UNACK})
"""States in which an alarm stands on the list."""

TRANSITIONS: Mapping[AlarmState, frozenset[AlarmState]] = {
    _S.NORMAL: frozenset({_S.UNACK, _S.SHELVED}),
    _S.UNACK: frozenset({_S.ACKED, _S.RTN_UNACK, _S.NORMAL}) | _ASIDE,
    _S.ACKED: frozenset({_S.NORMAL}) | _ASIDE,
    _S.RTN_UNACK: frozenset({_S.NORMAL, _S.UNACK}) | _ASIDE,
    _S.SHELVED: frozenset({_S.NORMAL, _S.UNACK, _S.ACKED, _S.SUPPRESSED}),
    _S.SUPPRESSED: frozenset({_S.NORMAL, _S.UNACK, _S.ACKED, _S.RTN_UNACK, _S.SHELVED}),
}
"""From each state, the states that may follow."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody knows.

    Attributes:
        by: who.
        time: when [s, Unix].
        comment: theirs.
    """

    by: str
    time: float
    comment: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """Somebody put an alarm aside.

    Attributes:
        by: who.
        since, until: from when, to when [s, Unix].
        reason: theirs.
        due: when it ends [s, steady clock].
    """

    by: str
    since: float
    until: float
    reason: str
    due: float


@dataclass(slots=True, eq=False)
class Alarm:
    """One alarm that was raised or shelved once.

    Attributes:
        definition: what it is.
        holds: whether its condition holds, delays and hysteresis considered.
        known: whether nobody need acknowledge: the newest raising was acknowledged, or is settled.
        value: plain data; what the signal was when it was raised.
        cause: why, in words.
        raised, cleared, changed: when last [s, Unix]; None for never.
        acknowledged: who knows of the newest raising.
        shelved: who put it aside.
        suppressed: path of what says it already; empty for nothing.
        count: how often it was raised.
    """

    definition: Definition
    holds: bool = False
    known: bool = True
    value: Any = None
    cause: str = ""
    raised: float | None = None
    cleared: float | None = None
    changed: float | None = None
    acknowledged: Acknowledgement | None = None
    shelved: Shelf | None = None
    suppressed: str = ""
    count: int = 0

    @property
    def state(self) -> AlarmState:
        """The state in force."""
        if self.shelved is not None:
            return AlarmState.SHELVED
        if self.suppressed and (self.holds or not self.known):
            return AlarmState.SUPPRESSED
        if self.holds:
            return AlarmState.ACKED if self.known else AlarmState.UNACK
        return AlarmState.NORMAL if self.known else AlarmState.RTN_UNACK

    @property
    def active(self) -> bool:
        """Whether it stands on the list."""
        return self.state in ACTIVE

    def arise(self, now: float, value: Any, cause: str) -> None:
        """Take note that the condition holds."""
        self.holds, self.known, self.acknowledged = True, False, None
        self.value, self.cause = value, cause
        self.raised = self.changed = now
        self.count += 1

    def cease(self, now: float) -> None:
        """Take note that the condition is over."""
        self.holds = False
        self.cleared = self.changed = now
        if self.suppressed and self.shelved is None:
            # A consequence that went with its cause is nobody's news.
            self.known = True

    def acknowledge(self, who: str, now: float, comment: str) -> None:
        """Take note that somebody knows.

        Raises:
            AlarmError: there is nothing to acknowledge now.
        """
        state = self.state
        if state not in (AlarmState.UNACK, AlarmState.RTN_UNACK):
            raise AlarmError(
                f"{self.definition.id} is {state}; only UNACK and RTN_UNACK can be acknowledged"
            )
        self.known, self.changed = True, now
        self.acknowledged = Acknowledgement(who, now, comment)
        if self.definition.latched and self.holds:
            # Its condition is an event that is past: nothing else would ever end it.
            self.holds, self.cleared = False, now

    def shelve(self, shelf: Shelf) -> None:
        """Put it aside; a shelf that is there is replaced."""
        self.shelved, self.changed = shelf, shelf.since

    def unshelve(self, now: float) -> None:
        """Take it back.

        Raises:
            AlarmError: it is not shelved.
        """
        if self.shelved is None:
            raise AlarmError(f"{self.definition.id} is {self.state}, not SHELVED")
        self.shelved, self.changed = None, now
        if not self.holds:
            self.known = True

    def suppress(self, by: str, now: float) -> None:
        """Hold it as it is while something else says it, or while it does not count."""
        self.suppressed, self.changed = by, now

    def unsuppress(self, now: float) -> None:
        """Let it count again."""
        self.suppressed, self.changed = "", now

    def row(self) -> dict[str, Any]:
        """Return it as clients see it."""
        d, known, shelf = self.definition, self.acknowledged, self.shelved
        return {
            "id": d.id,
            "prim": d.prim,
            "name": d.name,
            "asset": d.asset,
            "kind": d.kind,
            "side": d.side,
            "signal": d.signal,
            "priority": d.priority,
            "state": str(self.state),
            "value": self.value,
            "unit": d.unit,
            "limit": d.limit,
            "cause": self.cause,
            "message": d.message,
            "advice": d.advice,
            "authored": d.authored,
            "raised": self.raised,
            "cleared": self.cleared,
            "changed": self.changed,
            "acknowledged": None
            if known is None
            else {"by": known.by, "time": known.time, "comment": known.comment},
            "shelved": None
            if shelf is None
            else {
                "by": shelf.by,
                "since": shelf.since,
                "until": shelf.until,
                "reason": shelf.reason,
            },
            "suppressed": self.suppressed,
            "count": self.count,
        }

    # -- across restarts

    def body(self) -> dict[str, Any]:
        """Return what a service after this one needs to take it up."""
        known, shelf = self.acknowledged, self.shelved
        return {
            "holds": self.holds,
            "known": self.known,
            "value": self.value,
            "cause": self.cause,
            "raised": self.raised,
            "cleared": self.cleared,
            "changed": self.changed,
            "acknowledged": None if known is None else [known.by, known.time, known.comment],
            "shelved": None
            if shelf is None
            else [shelf.by, shelf.since, shelf.until, shelf.reason],
            "suppressed": self.suppressed,
            "count": self.count,
        }

    def restore(self, body: Mapping[str, Any], wall: float, steady: float) -> None:
        """Become what a service before this one left.

        A clock that was set back in between does not make a shelf longer than it was meant.

        Raises:
            LookupError, TypeError, ValueError: it is not what `body` returns.
        """
        for name in ("holds", "known", "value", "cause", "raised", "cleared", "changed"):
            setattr(self, name, body[name])
        self.count, self.suppressed = int(body["count"]), str(body["suppressed"])
        known, shelf = body["acknowledged"], body["shelved"]
        self.acknowledged = None if known is None else Acknowledgement(*known)
        self.shelved = None
        if shelf is not None:
            by, since, until, reason = shelf
            left = min(max(until - wall, 0.0), until - since)
            self.shelved = Shelf(by, since, until, reason, steady + left)
