"""What fleet control knows of one vehicle: its newest state, connection and factsheet."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.vda5050.control._limits import Limits
from stagetwin_bridges.vda5050.messages import (
    ActionState,
    Connection,
    ConnectionWord,
    ErrorLevel,
    Factsheet,
    Message,
    OperatingMode,
    State,
    seconds_of,
)

__all__ = ["Mirror", "is_idle"]

COMMANDED: Final[frozenset[OperatingMode]] = frozenset({"AUTOMATIC", "SEMIAUTOMATIC"})
"""Operating modes in which fleet control is in control (3.0, 6.6.6, Table 11)."""

_ENDED = frozenset({"FINISHED", "FAILED"})

_OLD = 60.0
"""A state comes every 30 s at least (6.6); one that is older than this says nothing of now [s]."""

STOPS_ALL: Final[frozenset[ErrorLevel]] = frozenset({"FATAL"})
"""Error levels that forbid new orders (6.6.5.1)."""

STOPS_ORDER: Final[frozenset[ErrorLevel]] = frozenset({"CRITICAL", "FATAL"})
"""Error levels at which the vehicle does not go on with its order (6.6.5.1)."""


def is_idle(state: State) -> bool:
    """Tell whether a vehicle is idle (3.0, 6.6.8): nothing ahead, and no action under way."""
    return not (state.node_states or state.edge_states) and all(
        each.action_status in _ENDED for each in state.action_states
    )


class Mirror:
    """Mirrors one vehicle from its messages; what is old or repeated changes nothing.

    Attributes:
        state: newest state since the link to the broker stands; None before.
        connection: newest word of its `connection` topic; None before.
        limits: by its factsheet.
        heard: when the state came [s, steady clock].
        odd: how many messages were old or repeated.
    """

    def __init__(self) -> None:
        self.state: State | None = None
        self.connection: ConnectionWord | None = None
        self.limits = Limits()
        self.heard = float("-inf")
        self.odd = 0
        self._seen: tuple[int, float] | None = None
        self._session: tuple[int, str] | None = None

    def receive(self, message: Message, now: float) -> bool:
        """Take a message, and return whether it says anything new; `now` is steady [s]."""
        if isinstance(message, Connection):
            self.connection = message.connection_state
            session = message.header_id, message.timestamp
            if self.connection == "ONLINE" and session != self._session:
                # Connected anew: its counter, its clock and its requests may be other ones.
                if self._session is not None:
                    self.state = None
                self._session, self._seen = session, None
        elif isinstance(message, Factsheet):
            self.limits = Limits(message)
        elif isinstance(message, State):
            return self._receive_state(message, now)
        return True

    def _receive_state(self, state: State, now: float) -> bool:
        try:
            sent = seconds_of(state.timestamp)
        except MessageError:
            sent = float("-inf")
        seen = self._seen
        # A vehicle that starts anew counts from 0, one whose clock is set back counts on.
        if seen is not None and state.header_id <= seen[0] and sent <= seen[1]:
            self.odd += 1
            return False
        self._seen = state.header_id, sent
        self.state, self.heard = state, now
        return True

    def forget(self) -> None:
        """Take note that the link to the broker broke: what was known may have changed."""
        self.state = self.connection = None

    # -- whether it can be commanded

    def absent(self) -> str:
        """Return why nothing is known of the vehicle now; empty if it is there."""
        if self.connection is None:
            return "it has said nothing on its connection topic"
        if self.connection != "ONLINE":
            return f"its connection is {self.connection}"
        return "" if self.state is not None else "no state was heard of it since it is connected"

    def aged(self, now: float) -> str:
        """Return why the state is too old to begin by; empty if it is not; `now` is steady [s]."""
        age = now - self.heard
        return "" if age <= _OLD else f"its newest state is {age:.0f} s old"

    def unfit(self, *, levels: Collection[ErrorLevel], paused: bool = False) -> str:
        """Return why the vehicle must not be sent on its way; empty if it may.

        Args:
            levels: of errors that forbid it.
            paused: whether it may be paused.
        """
        if why := self.absent():
            return why
        state = self.state
        assert state is not None
        if state.operating_mode not in COMMANDED:
            return f"its operating mode is {state.operating_mode}"
        if state.safety_state.active_emergency_stop != "NONE":
            return f"its emergency stop is {state.safety_state.active_emergency_stop}"
        for error in state.errors:
            if error.error_level in levels:
                return f"it reports {error.error_type} ({error.error_level})"
        return "it is paused" if state.paused and not paused else ""

    # -- parts of the state

    @property
    def reach(self) -> float | None:
        """How far it reaches from its kinematic centre, loads included [m]; None if not known."""
        reach = self.limits.reach
        for load in (self.state.loads if self.state is not None else None) or ():
            size, box = load.load_dimensions, load.bounding_box_reference
            if reach is None or size is None:
                return None
            off = math.hypot(box.x, box.y) if box is not None else 0.0
            reach = max(reach, off + math.hypot(size.length, size.width) / 2)
        return reach

    def instant_action(self, action_id: str) -> ActionState | None:
        """Return the state of an instant action; 2.1 has it among the others."""
        if self.state is None:
            return None
        for each in (*self.state.instant_action_states, *self.state.action_states):
            if each.action_id == action_id:
                return each
        return None

    def errors_about(self, key: str, value: str) -> list[tuple[dict[str, str], str]]:
        """Return the references and the words of each error that refers to something."""
        found: list[tuple[dict[str, str], str]] = []
        for error in self.state.errors if self.state is not None else ():
            about = {r.reference_key: r.reference_value for r in error.error_references or ()}
            if about.get(key) == value:
                words = error.error_description or ""
                found.append((about, f"{error.error_type}{f': {words}' if words else ''}"))
        return found
