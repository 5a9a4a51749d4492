"""Sinks that never raise: whatever becomes of what is delivered, the connection goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from stagetwin.actuation import CommandSink, Reading, Report
from stagetwin.ports import ConnectionState, Reject, Sink
from stagetwin.signals import Samples

__all__ = ["SafeCommandSink", "SafeSink"]

logger = logging.getLogger(__name__)


def _told(what: str, tell: Callable[[], None]) -> None:
    try:
        tell()
    except Exception:
        # A sink is somebody else's code, and any of its faults is theirs.
        logger.exception("the sink refused %s", what)


class SafeSink:
    """`Sink` in front of another."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def samples(self, batch: Samples) -> None:
        """See Sink."""
        _told("samples", lambda: self._sink.samples(batch))

    def state(self, state: ConnectionState, cause: str = "") -> None:
        """See Sink."""
        _told("a state", lambda: self._sink.state(state, cause))

    def rejected(self, reason: Reject, count: int, example: str = "") -> None:
        """See Sink."""
        _told("a count", lambda: self._sink.rejected(reason, count, example))

    def vouch(self, channels: Sequence[int], alive: bool) -> None:
        """See Sink. Word of no channel is none."""
        if len(channels):
            _told("word of a device", lambda: self._sink.vouch(channels, alive))


class SafeCommandSink:
    """`CommandSink` in front of another."""

    def __init__(self, sink: CommandSink) -> None:
        self._sink = sink

    def state(self, state: ConnectionState, cause: str = "") -> None:
        """See CommandSink."""
        _told("a state", lambda: self._sink.state(state, cause))

    def report(self, report: Report) -> None:
        """See CommandSink."""
        what = f"the report {report.fate} of command {report.id}"
        _told(what, lambda: self._sink.report(report))

    def reading(self, reading: Reading) -> None:
        """See CommandSink."""
        _told("a reading", lambda: self._sink.reading(reading))
