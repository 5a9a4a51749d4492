"""Logs: one line an event, as text for people or as JSON for machines.

Lines are written by a thread of their own: whoever reads the log and stops must not stop the plant.
"""

from __future__ import annotations

import atexit
import json
import logging
import logging.handlers
import queue
import sys
import threading
from datetime import UTC, datetime
from typing import Any

__all__ = ["configure_logging"]

_WAITING = 10_000
"""Lines that may wait for whoever reads the log; what comes then is counted and not kept."""

_LAST_WORDS = 2.0
"""Time that waiting lines have at the end of the process [s]."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry)


_CONTROLS = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}
_OF_A_TRACE = {code: escaped for code, escaped in _CONTROLS.items() if code != ord("\n")}


class TextFormatter(logging.Formatter):
    """One line an event; an error's lines follow it, indented so that none passes for an event.

    Control characters are written as escapes: what people and devices say may hold any.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).translate(_CONTROLS)

    def formatException(self, ei: Any) -> str:
        trace = super().formatException(ei).translate(_OF_A_TRACE)
        return "    " + trace.replace("\n", "\n    ")


class _NeverWaits(logging.handlers.QueueHandler):
    """Hands records to a thread that writes them."""

    def __init__(self, target: logging.Handler) -> None:
        self._lines: queue.Queue[logging.LogRecord | None] = queue.Queue(_WAITING)
        super().__init__(self._lines)
        self._target = target
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        atexit.register(self._finish)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # Formatted by the target; the arguments of a call may change until then.
        record.msg, record.args = record.getMessage(), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(record)
        except queue.Full:
            self._lost += 1

    def _write(self) -> None:
        while (record := self._lines.get()) is not None:
            self._target.handle(record)
            if self._lost:
                lost, self._lost = self._lost, 0
                text = f"{lost} lines were lost: the log was not read"
                self._target.handle(logging.makeLogRecord({"msg": text, "levelname": "WARNING"}))

    def _finish(self) -> None:
        try:
            self._lines.put(None, timeout=_LAST_WORDS)
        except queue.Full:
            return
        self._thread.join(_LAST_WORDS)


def configure_logging(style: str, level: str) -> None:
    """Send logs to standard error.

    Args:
        style: `text` or `json`.
        level: name of the least level that is shown.
    """
    handler = logging.StreamHandler(sys.stderr)
    if style == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [_NeverWaits(handler)]
    root.setLevel(level.upper())
