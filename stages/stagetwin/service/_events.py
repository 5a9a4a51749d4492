"""What happens in a service, for whoever follows it: commands, alarms, topics, connections."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Event", "Events"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        op: what it is, as the sync protocol names it: `command`, `alarm`, `topic`, ...
        prim: the prim it is about: who may not read that is not told; `/` for the whole stage.
        body: plain data, the message's further fields.
        to: session that alone is told, empty for all.
    """

    op: str
    prim: str
    body: dict[str, Any]
    to: str = ""


class Events:
    """Passes events on, on the thread that owns the stage."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have a function called with each event from now on."""
        self._listeners.append(listener)

    def publish(self, op: str, prim: str, /, **body: Any) -> None:
        """Tell of something that happened."""
        event = Event(op, prim, body)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                # Whoever cannot follow must not keep the plant from running.
                _log.exception("an event was not taken: %s", op)
