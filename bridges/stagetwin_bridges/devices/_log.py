"""What became of every command that reached a device."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, deque
from pathlib import Path
from typing import Any, Literal

import msgspec

__all__ = ["Answer", "Entry", "ExecutionLog", "Fault", "Outcome", "read_log"]

Outcome = Literal["executed", "refused", "duplicate", "ignored"]
Fault = Literal["", "type", "range", "state", "expired"]
"""Why a command was refused, for protocols that have a code for it."""

_MEMORY = 10_000
"""Ids of commands that are remembered."""
_SHOWN = 1_000
"""Entries that the control socket tells at most."""


class Answer(msgspec.Struct, frozen=True):
    """What a device says to a command.

    Attributes:
        ok: whether it accepts.
        cause: why not, in words.
        fault: why not, as a kind.
        silent: whether it says so to nobody.
    """

    ok: bool
    cause: str = ""
    fault: Fault = ""
    silent: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One command that reached a device.

    Attributes:
        time: when [s, Unix].
        asset: prim path of the machine.
        command: name of the command.
        address: where it came in.
        value: in the stage's unit; as it came, where it could not be read.
        outcome: `executed`, `refused`, `duplicate` (not executed again), or `ignored`: a frozen or
            lying device said yes and did nothing.
        id: of the command; empty if it had none.
        cause: why it was refused.
    """

    time: float
    asset: str
    command: str
    address: str
    value: Any
    outcome: Outcome
    id: str = ""
    cause: str = ""


class ExecutionLog:
    """A file of JSON lines, the newest entries, counts, and the answers given by id.

    Args:
        path: the file; lines are appended.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._newest: deque[Entry] = deque(maxlen=_SHOWN)
        self._counts: Counter[tuple[str, Outcome]] = Counter()
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def add(self, entry: Entry) -> None:
        """Write an entry down; it is in the file when this returns."""
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self._newest.append(entry)
        self._counts[entry.asset, entry.outcome] += 1

    def count(self, asset: str, outcome: Outcome) -> int:
        """Return how many commands of an asset ended so."""
        return self._counts[asset, outcome]

    def newest(self) -> list[dict[str, Any]]:
        """Return the newest entries as plain data, oldest first."""
        return [msgspec.to_builtins(entry) for entry in self._newest]

    def answer_to(self, order_id: str) -> Answer | None:
        """Return the answer that this id was given; None if it is new."""
        return self._answers.get(order_id)

    def remember(self, order_id: str, answer: Answer) -> None:
        """Keep the answer to an id; the oldest goes when there are too many."""
        self._answers[order_id] = answer
        while len(self._answers) > _MEMORY:
            self._answers.popitem(last=False)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_log(path: Path) -> list[Entry]:
    """Return the entries of a log's file, without a last line that was cut off."""
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.convert(json.loads(line), Entry) for line in lines]
