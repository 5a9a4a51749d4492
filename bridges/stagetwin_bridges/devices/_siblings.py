"""What other devices of the plant were told, read from their execution logs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stagetwin.bindings import CommandBinding
from stagetwin_bridges.devices._log import Entry

__all__ = ["Siblings"]


class Siblings:
    """Follows the logs of other devices.

    Args:
        logs: their files, whether they are there yet or not.
        commands: those that matter.
        since: entries of before are of an earlier run [s, Unix].
    """

    def __init__(
        self, logs: Sequence[Path], commands: Iterable[CommandBinding], since: float
    ) -> None:
        self._commands = {(c.asset, c.signal, c.address): c for c in commands}
        self._read = dict.fromkeys(logs, 0) if self._commands else {}
        self._since = since

    def news(self) -> Iterator[tuple[CommandBinding, Any]]:
        """Yield commands that machines elsewhere obeyed since the last time, and their values."""
        for path, read in self._read.items():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size <= read:
                    continue
                with path.open("rb") as file:
                    file.seek(read)
                    text = file.read()
                whole = text[: text.rfind(b"\n") + 1]
                self._read[path] = read + len(whole)
                yield from self._known(whole)

    def _known(self, text: bytes) -> Iterator[tuple[CommandBinding, Any]]:
        for line in text.splitlines():
            entry = msgspec.convert(json.loads(line), Entry)
            command = self._commands.get((entry.asset, entry.command, entry.address))
            if command is not None and entry.outcome == "executed" and entry.time >= self._since:
                yield command, entry.value
