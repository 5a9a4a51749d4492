"""What a client may ask about alarms. Who asks comes from the connection, never from a field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stagetwin._errors import AlarmError
from stagetwin.alarms import AlarmBook, AlarmJournal
from stagetwin.bindings import is_below
from stagetwin.commands import Command
from stagetwin.people import Access, Right
from stagetwin.service._control import asking
from stagetwin.service._desk import Desk
from stagetwin.service._events import Events
from stagetwin.twin import Twin

__all__ = ["AlarmRequests"]

Reply = dict[str, Any]

MAX_LISTED = 5000
_LISTED = 500
_SHOWN = ("active", "all", "history")
_NONE_YET = "alarms have not begun yet"


class AlarmRequests:
    """Answers requests about alarms, on the service's event loop.

    Attributes:
        book: the alarms; None until `start`.
        once: requests with one answer, by operation.
    """

    def __init__(self, twin: Twin, access: Access, events: Events, folder: Path) -> None:
        self._twin, self._access, self._events, self._folder = twin, access, events, folder
        self.book: AlarmBook | None = None
        self.once: dict[str, Callable[[Reply], Reply]] = {
            "alarms": self._alarms,
            "acknowledge_alarm": self._acknowledge,
            "shelve_alarm": self._shelve,
            "unshelve_alarm": self._unshelve,
        }

    # -- life

    def start(self) -> None:
        """Take up what a service before this one left."""
        self.book = AlarmBook(self._twin, AlarmJournal(self._folder / "alarms.db"))
        self.book.on_changed.append(
            lambda row: self._events.publish("alarm", row["prim"], alarm=row)
        )

    def follow(self, desk: Desk) -> None:
        """Take note of commands and how they end."""
        desk.path.records.on_entered.append(self._command_entered)

    def _command_entered(self, command: Command) -> None:
        # A note that is added to an ended command is no second end.
        if self.book is not None and command.history[-1].state == str(command.state):
            self.book.command_ended(command.target, str(command.state), command.cause)

    def step(self) -> None:
        """Judge; call after each tick of the twin."""
        if self.book is not None:
            self.book.step(self._twin.clock.steady())

    def close(self) -> None:
        """Write what waits."""
        if self.book is not None:
            self.book.close()

    def status(self, roots: Sequence[str] = ("/",)) -> Reply:
        """Return how many alarms are active at or below some prims, and what is wrong with them."""
        if self.book is None:
            return {"fault": _NONE_YET}
        fault = self.book.fault if "/" in roots else ""
        return {**self.book.counts(*roots), "fault": fault}

    @property
    def _open_book(self) -> AlarmBook:
        if self.book is None:
            raise AlarmError(_NONE_YET)
        return self.book

    # -- requests

    def _alarms(self, request: Reply) -> Reply:
        book, prim = self._open_book, request.get("prim", "/")
        show, limit = request.get("show", "active"), request.get("limit", _LISTED)
        if not isinstance(prim, str) or not prim.startswith("/"):
            raise AlarmError(f"prim must be a path like /World/Pump, got {prim!r:.80}")
        if show not in _SHOWN:
            raise AlarmError(f"show must be one of {', '.join(_SHOWN)}, got {show!r:.80}")
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MAX_LISTED:
            raise AlarmError(f"limit must be a number in [1, {MAX_LISTED}], got {limit!r:.80}")
        bases = self._readable(prim)
        counts = book.counts(*bases)
        if show == "history":
            entries = [entry for base in bases for entry in book.history(base, limit)]
            entries.sort(key=lambda entry: -float(entry["time"]))
            return {"entries": entries[:limit], "counts": counts}
        rows = book.active(*bases) if show == "active" else book.rows(*bases)
        return {"alarms": rows[:limit], "counts": counts}

    def _readable(self, prim: str) -> list[str]:
        """Return the paths at or below one that whoever asks may read; of an alarm, its own."""
        who = asking()
        found: list[str] = []
        for root in self._access.readable(who):
            if is_below(prim, root):
                return [prim]
            if is_below(root, prim):
                found.append(root)
        if not found:
            self._access.require(who, Right.READ, prim)
        return found

    def _acknowledge(self, request: Reply) -> Reply:
        alarm_id = self._permitted(request)
        comment = request.get("comment", "")
        return {"alarm": self._open_book.acknowledge(alarm_id, asking(), comment)}

    def _shelve(self, request: Reply) -> Reply:
        alarm_id, seconds = self._permitted(request), request.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise AlarmError(f"seconds must be a number, got {seconds!r:.80}")
        if not math.isfinite(seconds):
            raise AlarmError(f"seconds must be finite, got {seconds}")
        reason = request.get("reason", "")
        row = self._open_book.shelve(alarm_id, asking(), float(seconds), reason)
        return {"alarm": row}

    def _unshelve(self, request: Reply) -> Reply:
        alarm_id = self._permitted(request)
        return {"alarm": self._open_book.unshelve(alarm_id, asking())}

    def _permitted(self, request: Reply) -> str:
        """Return the alarm that is meant, once whoever asks may tend to it."""
        alarm_id = request.get("id")
        if not isinstance(alarm_id, str) or not alarm_id.startswith("/") or "." not in alarm_id:
            raise AlarmError(
                f"id must be an alarm's, like /World/Pump.flow_low, got {alarm_id!r:.80}"
            )
        self._access.require(asking(), Right.ACKNOWLEDGE, alarm_id)
        return alarm_id
