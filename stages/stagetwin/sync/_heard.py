"""What events said, as lists for a dock: alarms, commands, topics, people, others' drafts."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from stagetwin._paths import is_below

__all__ = ["Heard"]

Message = Mapping[str, Any]
Row = dict[str, Any]

ENDED_KEPT = 500
_ACTIVE = frozenset({"UNACK", "ACKED", "RTN_UNACK"})
_WRONG = (LookupError, TypeError, ValueError, AttributeError)


class Heard:
    """The newest of each, by its id.

    Attributes:
        people: who is here, as `presence` said last.
        drafts: what others consider: (user, value) by session and command.
        commands: rows, oldest first.
    """

    def __init__(self) -> None:
        self.people: list[Row] = []
        self.drafts: dict[tuple[str, str], tuple[str, Any]] = {}
        self.commands: OrderedDict[str, Row] = OrderedDict()
        self._alarms: dict[str, Row] = {}
        self._topics: dict[str, Row] = {}
        self._known: dict[str, Callable[[Message], str]] = {
            "alarm": self._alarm,
            "command": self._command,
            "topic": self._topic,
            "presence": self._presence,
            "draft": self._draft,
        }

    def begin(self) -> None:
        """Forget what a new connection says anew."""
        self.people = []
        self.drafts.clear()
        self._alarms.clear()
        self._topics.clear()

    def event(self, message: Message) -> str:
        """Take an event; returns what changed by it, empty for nothing that is listed."""
        known = self._known.get(str(message.get("op")))
        try:
            return known(message) if known is not None else ""
        except _WRONG:
            return ""

    def alarms(self, prim: str) -> list[Row]:
        """Return active alarms at or below a prim, newest first."""
        found = [row for key, row in self._alarms.items() if is_below(key, prim)]
        return sorted(found, key=lambda row: row.get("raised") or 0.0, reverse=True)

    def alarm_counts(self) -> dict[str, int]:
        """Return the number of active alarms by priority."""
        return dict(Counter(str(row.get("priority")) for row in self._alarms.values()))

    def commands_below(self, prim: str) -> list[Row]:
        """Return commands at or below a prim, newest first."""
        rows = [row for row in self.commands.values() if is_below(str(row["target"]), prim)]
        return sorted(rows, key=lambda row: float(row["created"]), reverse=True)

    def topics(self, prim: str) -> list[Row]:
        """Return review topics that name a prim or one below it, newest change first."""
        found = [
            row
            for row in self._topics.values()
            if any(is_below(each, prim) for each in row.get("prims") or ["/"])
        ]
        return sorted(found, key=lambda row: row.get("changed") or 0.0, reverse=True)

    def take_commands(self, rows: list[Row]) -> None:
        """Take listed commands; what an event said of one is newer."""
        for row in rows:
            if row["id"] not in self.commands:
                self._keep(row)

    def _alarm(self, message: Message) -> str:
        row = dict(message["alarm"])
        if row.get("removed") or row.get("state") not in _ACTIVE:
            self._alarms.pop(str(row["id"]), None)
        else:
            self._alarms[str(row["id"])] = row
        return "alarms"

    def _command(self, message: Message) -> str:
        row = dict(message["command"])
        if row.get("removed"):
            self.commands.pop(str(row["id"]), None)
        else:
            self._keep({**self.commands.get(str(row["id"]), {}), **row})
        return "commands"

    def _keep(self, row: Row) -> None:
        float(row["created"])
        self.commands[str(row["id"])] = row
        if len(self.commands) > ENDED_KEPT:
            ended = next((key for key, each in self.commands.items() if each.get("ended")), None)
            self.commands.pop(ended if ended is not None else next(iter(self.commands)))

    def _topic(self, message: Message) -> str:
        row = dict(message["topic"])
        if row.get("removed"):
            self._topics.pop(str(row["id"]), None)
        else:
            self._topics[str(row["id"])] = row
        return "topics"

    def _presence(self, message: Message) -> str:
        self.people = [dict(row) for row in message["people"]]
        here = {str(row.get("session")) for row in self.people}
        self.drafts = {key: each for key, each in self.drafts.items() if key[0] in here}
        return "people"

    def _draft(self, message: Message) -> str:
        key = str(message["session"]), str(message["target"])
        if message.get("value") is None:
            self.drafts.pop(key, None)
        else:
            self.drafts[key] = str(message.get("user", "")), message["value"]
        return "drafts"
