"""What came from the service and was not taken yet: bounded, however long nobody looks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stagetwin.sync._frames import Frame
from stagetwin.sync._merge import merge_frames

__all__ = ["EVENTS_KEPT", "Mail", "Mailbox"]

EVENTS_KEPT = 10_000
"""Subjects of events that are kept; past it the oldest go, and the taker is told."""

Message = dict[str, Any]


@dataclass(slots=True)
class Mail:
    """What came since the last look, in the order in which it is to be used.

    Attributes:
        welcome: of a connection made meanwhile: what is open, active or drafted is told anew.
        channels: the newest table, None if it is the one known already.
        frames: the newest state of what changed: one frame, or none.
        events: the newest of each subject, in order.
        missed: whether events were left out because there were too many.
    """

    welcome: Message | None = None
    channels: Message | None = None
    frames: list[Frame] = field(default_factory=list)
    events: list[Message] = field(default_factory=list)
    missed: bool = False


class Mailbox:
    """One putting thread, one taking thread; what is of the same row or subject is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: OrderedDict[tuple[str, ...], Message] = OrderedDict()
        self._mail = Mail()

    def welcome(self, message: Message) -> None:
        """Begin a connection: what the one before said of commands, alarms and so on is past."""
        with self._lock:
            self._mail.welcome = message
            self._mail.missed = False
            self._events.clear()

    def channels(self, message: Message) -> None:
        """Put a new table; frames of the one before are of no use any more."""
        with self._lock:
            self._mail.channels = message
            self._mail.frames.clear()

    def frame(self, frame: Frame) -> None:
        """Put a frame of the newest table."""
        with self._lock:
            frames = self._mail.frames
            frames[:] = [merge_frames(frames[0], frame)] if frames else [frame]

    def event(self, message: Message) -> None:
        """Put an event in the place of an older one of its subject.

        Raises:
            LookupError, TypeError, ValueError: it names none.
        """
        key = _subject(message)
        rows = dict(message["connections"]) if message["op"] == "connections" else {}
        with self._lock:
            if rows and key in self._events:
                before = self._events[key]["connections"]
                message = {**message, "connections": {**before, **rows}}
            self._events[key] = message
            self._events.move_to_end(key)
            if len(self._events) > EVENTS_KEPT:
                self._events.popitem(last=False)
                self._mail.missed = True

    def take(self) -> Mail:
        """Return what is there, and be empty."""
        with self._lock:
            mail, self._mail = self._mail, Mail()
            mail.events = list(self._events.values())
            self._events.clear()
        return mail


_SUBJECTS: Mapping[str, Callable[[Message], tuple[str, ...]]] = {
    "command": lambda m: (str(m["command"]["id"]),),
    "alarm": lambda m: (str(m["alarm"]["id"]),),
    "topic": lambda m: (str(m["topic"]["id"]),),
    "proposal": lambda m: (str(m["proposal"]["id"]),),
    "draft": lambda m: (str(m["session"]), str(m["target"])),
}


def _subject(message: Message) -> tuple[str, ...]:
    """Return what an event is about; the newest alone counts."""
    operation = str(message["op"])
    subject = _SUBJECTS.get(operation)
    return (operation, *(subject(message) if subject is not None else ()))
