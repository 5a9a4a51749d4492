"""The ledger: every state of every command, written before what it allows, chained and owned.

SQLite in WAL mode with `synchronous=FULL`: an entry that is durable survives a power cut. Each
entry's hash covers the one before it, so an edit, a removal or a reordering shows; the newest hash
is kept in a file outside the database as well (best on another disk), so that a shortened ledger
shows too. One process owns a ledger at a time, by the operating system's lock; each owner has an
epoch, and fencing tokens of an earlier one are old for ever.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stagetwin._errors import LedgerError
from stagetwin.actuation import Token
from stagetwin.guards import write_atomically

__all__ = ["Entry", "Ledger"]

_log = logging.getLogger(__name__)

_SCHEMA = """
create table if not exists entries (
    seq integer primary key,
    command text not null,
    state text not null,
    time real not null,
    body text not null,
    hash blob not null
);
create index if not exists entries_by_command on entries (command, seq);
"""
_OPENED = "OPENED"
_TAIL = 20_000
"""Entries whose chain is checked at each opening; `verify` checks all."""

OnDurable = Callable[[str], None]
"""Called from the ledger's thread once an entry is durable, with why it is not, or empty."""


class Entry(NamedTuple):
    """One line of the ledger.

    Attributes:
        seq: number, from 1 without gaps.
        command: id of the command, empty for the ledger's own.
        state: state entered, `NOTE`, or `OPENED`.
        time: when [s, Unix].
        body: what belongs to it.
        hash: of this entry and the hash before it.
    """

    seq: int
    command: str
    state: str
    time: float
    body: dict[str, Any]
    hash: bytes


class _Job(NamedTuple):
    command: str
    state: str
    time: float
    body: str
    done: OnDurable | None


def _digest(before: bytes, seq: int, command: str, state: str, at: float, body: str) -> bytes:
    line = json.dumps([seq, command, state, at, body], separators=(",", ":"))
    return hashlib.sha256(before + line.encode()).digest()


class Ledger:
    """An append-only, hash-chained record with one owner.

    Attributes:
        epoch: number of this ownership.
    """

    def __init__(self, path: Path, anchor: Path | None = None) -> None:
        """Open, lock, check and begin an epoch.

        Args:
            path: database; made with mode 0600.
            anchor: file that keeps the newest hash; beside the database unless given.

        Raises:
            LedgerError: another process owns it, or its chain is broken or shortened.
        """
        self._path = path
        self._anchor = anchor if anchor is not None else path.with_suffix(".head")
        self._anchored = 0
        self._number = 0
        self.broken = ""
        self._lock = _own(path.with_suffix(".lock"))
        with contextlib.ExitStack() as undo:
            undo.callback(self._lock.close)
            try:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                self._db = _connect(path)
                undo.callback(self._db.close)
                self._db.executescript(_SCHEMA)
                self._tip = self._check_tail()
                self._check_anchor()
                self.epoch = 1 + self._last_epoch()
                self._reader = _connect(path)
            except (OSError, sqlite3.Error) as error:
                raise LedgerError(f"{path} cannot be read: {error}") from None
            undo.pop_all()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()
        opened = threading.Event()
        body = {"epoch": self.epoch, "boot": _boot_id(), "pid": os.getpid()}
        self.append("", _OPENED, time.time(), body, lambda _: opened.set())
        opened.wait(30)
        if self.broken:
            self.close()
            raise LedgerError(f"{path} cannot be written: {self.broken}")

    # -- writing

    def append(
        self,
        command: str,
        state: str,
        at: float,
        body: dict[str, Any],
        done: OnDurable | None = None,
    ) -> None:
        """Queue an entry; entries become durable in this order, several with one write.

        Args:
            command: id.
            state: state entered.
            at: when [s, Unix].
            body: plain data.
            done: called from another thread once the entry is durable, or is not going to be.
        """
        # Escaped: the database would refuse half a surrogate pair, and all that follows with it.
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        self._jobs.put(_Job(command, state, float(at), text, done))

    def token(self) -> Token:
        """Return a fencing token newer than every one before it."""
        self._number += 1
        return self.epoch, self._number

    def _run(self) -> None:
        ending = False
        while not ending:
            jobs: list[_Job] = []
            job = self._jobs.get()
            while True:
                if job is None:
                    ending = True
                    break
                jobs.append(job)
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            why = self._write(jobs) if jobs else ""
            for each in jobs:
                if each.done is not None:
                    self._tell(each.done, why)
        self._db.close()

    @staticmethod
    def _tell(done: OnDurable, why: str) -> None:
        try:
            done(why)
        except Exception:
            # Whoever waits for one entry must not cost the others their record.
            _log.exception("a callback of the ledger failed")

    def _write(self, jobs: list[_Job]) -> str:
        if self.broken:
            return self.broken
        seq, head = self._tip
        rows: list[tuple[Any, ...]] = []
        for job in jobs:
            seq += 1
            head = _digest(head, seq, job.command, job.state, job.time, job.body)
            rows.append((seq, job.command, job.state, job.time, job.body, head))
        try:
            with self._db:
                self._db.executemany("insert into entries values (?, ?, ?, ?, ?, ?)", rows)
        except Exception as error:
            # Nothing may be sent that cannot be recorded; what is under way is only watched.
            self.broken = str(error) or type(error).__name__
            _log.critical("the ledger %s cannot be written: %s", self._path, error)
            return self.broken
        self._tip = seq, head
        return ""

    def anchor(self) -> None:
        """Keep the newest hash outside of the database; called about once a second."""
        seq, head = self._tip
        if seq == self._anchored:
            return
        try:
            write_atomically(self._anchor, json.dumps({"seq": seq, "hash": head.hex()}).encode())
            self._anchored = seq
        except OSError as error:
            _log.error("the ledger's anchor %s cannot be written: %s", self._anchor, error)

    # -- reading

    def entries(self, command: str) -> list[Entry]:
        """Return the entries of one command, oldest first."""
        rows = self._reader.execute(
            "select * from entries where command = ? order by seq", (command,)
        )
        return [_entry(row) for row in rows]

    def newest(self, limit: int) -> list[str]:
        """Return the ids of the commands requested last, newest first."""
        rows = self._reader.execute(
            "select command from entries where state = 'REQUESTED' order by seq desc limit ?",
            (limit,),
        )
        return [command for (command,) in rows]

    def open_commands(self, ends: frozenset[str]) -> list[list[Entry]]:
        """Return the entries of each command whose newest state is no end, oldest first."""
        rows = self._reader.execute(
            "select command, state from entries where seq in (select max(seq) from entries "
            "where command != '' and state != 'NOTE' group by command) order by seq"
        )
        return [self.entries(command) for command, state in rows.fetchall() if state not in ends]

    def verify(self) -> int:
        """Check the whole chain; return how many entries it has.

        Raises:
            LedgerError: an entry was changed, removed or reordered; names the first.
        """
        return _check_chain(self._reader.execute("select * from entries order by seq"), 0, b"")[0]

    def _check_tail(self) -> tuple[int, bytes]:
        (last,) = self._db.execute("select coalesce(max(seq), 0) from entries").fetchone()
        start = max(last - _TAIL, 0)
        before = b""
        if start:
            row = self._db.execute("select hash from entries where seq = ?", (start,)).fetchone()
            if row is None:
                raise LedgerError(f"entry {start} of the ledger is missing")
            before = row[0]
        rows = self._db.execute("select * from entries where seq > ? order by seq", (start,))
        return _check_chain(rows, start, before)

    def _check_anchor(self) -> None:
        try:
            said = json.loads(self._anchor.read_text(encoding="utf-8"))
            seq, digest = int(said["seq"]), bytes.fromhex(said["hash"])
        except FileNotFoundError:
            if self._tip[0]:
                _log.warning("the ledger's anchor %s is missing", self._anchor)
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LedgerError(f"the ledger's anchor {self._anchor} is damaged: {error}") from None
        row = self._db.execute("select hash from entries where seq = ?", (seq,)).fetchone()
        if row is None:
            raise LedgerError(
                f"the ledger ends at entry {self._tip[0]}, its anchor knows entry {seq}: it was cut"
            )
        if row[0] != digest:
            raise LedgerError(f"entry {seq} of the ledger is not the one that its anchor knows")

    def _last_epoch(self) -> int:
        row = self._db.execute(
            "select body from entries where state = ? order by seq desc limit 1", (_OPENED,)
        ).fetchone()
        return int(json.loads(row[0])["epoch"]) if row else 0

    def close(self) -> None:
        """Make everything durable, anchor it, and give the ledger up."""
        self._jobs.put(None)
        self._thread.join(30)
        self.anchor()
        self._reader.close()
        self._lock.close()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False, timeout=10)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    return db


def _own(path: Path) -> Any:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise LedgerError(f"another service owns the ledger beside {path}") from None
    return file


def _entry(row: tuple[Any, ...]) -> Entry:
    seq, command, state, at, body, digest = row
    return Entry(seq, command, state, at, json.loads(body), digest)


def _check_chain(rows: Iterator[tuple[Any, ...]], seq: int, head: bytes) -> tuple[int, bytes]:
    for found, command, state, at, body, digest in rows:
        seq += 1
        if found != seq:
            raise LedgerError(f"entry {seq} of the ledger is missing")
        head = _digest(head, seq, command, state, at, body)
        if head != digest:
            raise LedgerError(f"entry {seq} of the ledger was changed")
    return seq, head


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
