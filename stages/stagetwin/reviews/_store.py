"""What of the review is on disk: the layer's file, the log before it, and the pictures."""

from __future__ import annotations

import fcntl
import logging
import os
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pxr import Sdf, Tf

from stagetwin._errors import ReviewError, usd_message
from stagetwin.guards import write_atomically
from stagetwin.reviews._apply import Entry, apply
from stagetwin.reviews._log import OperationLog, set_aside
from stagetwin.reviews._prims import read_topics
from stagetwin.reviews._snapshots import Snapshots
from stagetwin.reviews._topic import Topic

__all__ = ["SEQUENCE_KEY", "ReviewStore", "Seen"]

_logger = logging.getLogger(__name__)

SEQUENCE_KEY = "stagetwin:reviewSequence"
"""In the layer's custom data: the newest operation of the log that it holds."""

MAX_SEEN = 20_000
MAX_LOG = 2**20
"""Length of the log from which it is written anew at the next saving [bytes]."""


class Seen(NamedTuple):
    """What is kept of an operation that was taken, so that it is not taken twice."""

    digest: str
    topic: str


class ReviewStore:
    """The review's files in one folder, owned by one process at a time.

    `append` and `store` may run on another thread, one at a time.

    Attributes:
        topics: as they were read.
        sequence: number of the newest operation.
        seen: operations that were taken, oldest first.
        faults: what could not be read, and where it is now.
        snapshots: pictures.
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            ReviewError: it cannot be used, or another process does.
        """
        self.path = folder / "review.usda"
        self.topics: dict[str, Topic] = {}
        self.sequence = 0
        self.seen: OrderedDict[str, Seen] = OrderedDict()
        self.faults: list[str] = []
        self.snapshots = Snapshots(folder / "review")
        self._waiting: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._log = OperationLog(folder / "review.log")
        self._lock = self._take(folder)
        try:
            self._read_layer()
            self._read_log()
        except OSError as error:
            self.close()
            raise ReviewError(f"{folder} cannot be used for reviews: {error}") from None
        except BaseException:
            self.close()
            raise
        if not self.faults:
            self.snapshots.sweep({t.snapshot for t in self.topics.values() if t.snapshot})

    def _take(self, folder: Path) -> int:
        handle = -1
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(folder / "review.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if handle >= 0:
                os.close(handle)
            raise ReviewError(
                f"{folder} cannot be used for reviews, or another service does: {error}"
            ) from None
        return handle

    @property
    def broken(self) -> str:
        """Why nothing can be written any more; or empty."""
        return self._log.broken

    # -- reading

    def _read_layer(self) -> None:
        if not self.path.exists():
            return
        try:
            layer = Sdf.Layer.OpenAsAnonymous(str(self.path))
            self.sequence = int(layer.customLayerData.get(SEQUENCE_KEY, 0))
        except (Tf.ErrorException, TypeError, ValueError) as error:
            self.sequence = 0
            self.faults.append(set_aside(self.path, usd_message(error)))
            return
        self.topics, wrong = read_topics(layer)
        if wrong:
            path, why = next(iter(wrong.items()))
            self.faults.append(set_aside(self.path, f"{len(wrong)} topics, first {path}: {why}"))

    def _read_log(self) -> None:
        lost = 0
        for record in self._log.read():
            try:
                if "seen" in record:
                    for identity, digest, topic in record["seen"]:
                        self.note(str(identity), Seen(str(digest), str(topic)))
                    continue
                entry = Entry.of(record)
                self.note(entry.operation.id, Seen(entry.digest, entry.topic))
                if entry.sequence <= self.sequence:
                    continue
                self.topics[entry.topic] = apply(self.topics.get(entry.topic), entry)
                self.sequence = entry.sequence
                self._waiting[entry.sequence] = record
            except (ReviewError, LookupError, TypeError, ValueError) as error:
                lost += 1
                _logger.error("an operation of the review's log does not fit: %s", error)
        if self._log.fault:
            self.faults.append(self._log.fault)
        if lost:
            copy = self.path.with_name(f"review.damaged-{self.sequence}.log")
            write_atomically(copy, self.path.with_name("review.log").read_bytes())
            text = f"{lost} operations of review.log do not fit, it was copied to {copy.name}"
            self.faults.append(text)

    # -- writing

    def note(self, identity: str, seen: Seen) -> None:
        """Remember an operation."""
        self.seen[identity] = seen
        while len(self.seen) > MAX_SEEN:
            self.seen.popitem(last=False)

    def append(self, entry: Entry) -> None:
        """Make an operation durable.

        Raises:
            ReviewError: it is not.
        """
        record = entry.record()
        self._log.append(record)
        self._waiting[entry.sequence] = record

    def store(self, text: str, sequence: int) -> None:
        """Replace the layer's file, and shorten a log that has grown.

        Args:
            text: the whole layer.
            sequence: newest operation that it holds.

        Raises:
            ReviewError: it cannot be written; the log still has everything.
        """
        try:
            write_atomically(self.path, text.encode())
            while self._waiting and next(iter(self._waiting)) <= sequence:
                self._waiting.popitem(last=False)
            if self._log.size > MAX_LOG:
                self._log.rewrite(self._compacted())
        except OSError as error:
            raise ReviewError(f"{self.path} cannot be written: {error}") from None

    def _compacted(self) -> Iterable[dict[str, Any]]:
        yield {"seen": [[identity, *seen] for identity, seen in list(self.seen.items())]}
        yield from self._waiting.values()

    def close(self) -> None:
        """Give the folder up."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
