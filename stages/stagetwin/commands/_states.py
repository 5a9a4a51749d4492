"""The states of a command's life, and the only ways from one to the next."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from stagetwin._errors import TransitionError

__all__ = ["ENDS", "IN_FLIGHT", "TRANSITIONS", "UNSENT", "Code", "State", "check_transition"]


class State(enum.StrEnum):
    """Allowed tokens of `twin:command:<name>:status` beside `idle`."""

    DRAFT = "DRAFT"
    REQUESTED = "REQUESTED"
    VALIDATED = "VALIDATED"
    REHEARSED = "REHEARSED"
    APPROVED = "APPROVED"
    ARMED = "ARMED"
    SENT = "SENT"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    VERIFIED = "VERIFIED"
    REJECTED = "REJECTED"
    DENIED = "DENIED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"
    UNVERIFIED = "UNVERIFIED"


class Code(enum.StrEnum):
    """Why a command ended as it did: short stable names, for scripts and metrics."""

    TYPE = "type"
    RANGE = "range"
    RATE = "rate"
    RIGHTS = "rights"
    LEVEL = "level"
    MODE = "mode"
    LOCAL = "local"
    REALM = "realm"
    REVISION = "revision"
    GUARDS = "guards"
    OFFLINE = "offline"
    STALE = "stale"
    PERMISSIVE = "permissive"
    REHEARSAL = "rehearsal"
    LEDGER = "ledger"
    TIME_TO_LIVE = "time-to-live"
    CLOCK_STEP = "clock-step"
    RESTART = "restart"
    NEWER = "newer"
    STOP = "stop"
    BY_HAND = "by-hand"
    WITHHELD = "withheld"
    REFUSED = "refused"
    NO_READBACK = "no-readback"
    NO_SAMPLE = "no-sample"
    NO_ANSWER = "no-answer"
    MISMATCH = "mismatch"
    OVERWRITTEN = "overwritten"
    FAULT = "fault"


_LEAVING = frozenset({State.REJECTED, State.CANCELLED, State.SUPERSEDED, State.EXPIRED})
"""Ends that are open to whatever has not been sent."""

TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.REQUESTED}),
    State.REQUESTED: _LEAVING | {State.VALIDATED},
    State.VALIDATED: _LEAVING | {State.REHEARSED},
    State.REHEARSED: _LEAVING | {State.APPROVED, State.DENIED},
    State.APPROVED: _LEAVING | {State.ARMED},
    State.ARMED: _LEAVING | {State.SENT},
    State.SENT: frozenset({State.ACKNOWLEDGED, State.VERIFIED, State.FAILED, State.UNVERIFIED}),
    State.ACKNOWLEDGED: frozenset({State.VERIFIED, State.FAILED, State.UNVERIFIED}),
    State.VERIFIED: frozenset(),
    State.REJECTED: frozenset(),
    State.DENIED: frozenset(),
    State.CANCELLED: frozenset(),
    State.SUPERSEDED: frozenset(),
    State.EXPIRED: frozenset(),
    State.FAILED: frozenset(),
    State.UNVERIFIED: frozenset(),
}
"""From each state, the states that may follow. An end is followed by nothing."""

ENDS = frozenset(state for state, following in TRANSITIONS.items() if not following)
"""States that nothing follows."""

UNSENT = frozenset({State.REQUESTED, State.VALIDATED, State.REHEARSED, State.APPROVED, State.ARMED})
"""States in which nothing has left and nothing need."""


IN_FLIGHT = frozenset({State.SENT, State.ACKNOWLEDGED})
"""States in which a command has left and its outcome is looked for."""


def check_transition(before: State, after: State) -> None:
    """Raise TransitionError unless the second state may follow the first."""
    if after not in TRANSITIONS[before]:
        allowed = ", ".join(sorted(TRANSITIONS[before])) or "nothing, it is an end"
        raise TransitionError(f"{after} cannot follow {before}; allowed: {allowed}")
