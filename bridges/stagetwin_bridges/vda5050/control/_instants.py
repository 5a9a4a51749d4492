"""Instant actions on their way: sent once, and followed to their ends (3.0, 6.2.1 and 6.6.9)."""

from __future__ import annotations

import math

from stagetwin_bridges.vda5050.control._mirror import Mirror
from stagetwin_bridges.vda5050.control._order import Event, EventKind

__all__ = ["Instants"]

_REMEMBERED = 1000
"""Actions that are followed at once; the oldest go first."""

_SHOWN_WITHIN = 10.0
"""An action that no state shows after so long did not arrive [s]."""


class Instants:
    """Instant actions that were sent to one vehicle and have not ended."""

    def __init__(self) -> None:
        self._seen: dict[str, bool] = {}
        self._placing = "", -math.inf

    def __len__(self) -> int:
        return len(self._seen)

    def expect(self, action_id: str, kind: str, now: float) -> None:
        """Follow an action of a type that is sent now; `now` is steady [s]."""
        self._seen[action_id] = False
        if kind == "initializePosition":
            self._placing = action_id, now
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def placing(self, mirror: Mirror, now: float) -> str:
        """Return why nobody knows where the vehicle stands: it is being told; else nothing."""
        action_id, sent = self._placing
        shown = mirror.instant_action(action_id) if action_id else None
        ended = shown is not None and shown.action_status in ("FINISHED", "FAILED")
        if ended or (shown is None and now - sent >= _SHOWN_WITHIN):
            return ""
        return "it is being told where it stands"

    def receive(self, mirror: Mirror) -> list[Event]:
        """Judge the newest state; return what became known."""
        events: list[Event] = []
        for action_id, seen in list(self._seen.items()):
            found = mirror.instant_action(action_id)
            errors = mirror.errors_about("actionId", action_id)
            if found is None:
                if errors:
                    events.append(self._over(EventKind.REFUSED, action_id, errors[0][1]))
                continue
            status, result = found.action_status, found.action_result or ""
            if status == "FAILED":
                why = errors[0][1] if errors else result or "the action failed"
                events.append(self._over(EventKind.REFUSED, action_id, why))
                continue
            if not seen:
                self._seen[action_id] = True
                events.append(Event(EventKind.ACCEPTED, action_id, status))
            if status == "FINISHED":
                events.append(self._over(EventKind.FINISHED, action_id, result))
        return events

    def _over(self, kind: EventKind, action_id: str, words: str) -> Event:
        del self._seen[action_id]
        return Event(kind, action_id, words)
