"""The ledger: every state of every command, written before what it allows, chained and owned.

SQLite in WAL mode with `synchronous=FULL`: an entry that is durable survives a power cut. Each
entry's hash covers the one before it, so an edit, a removal or a reordering shows; the newest hash
is kept in a file outside the database as well (best on another disk), so that a shortened ledger
shows too. One process owns a ledger at a time, by the operating system's locks on a file beside the
database and on the database itself; each owner has an epoch, and fencing tokens of an earlier one
are old for ever.

What cannot be written is lost, and whoever waits for it is told: nothing leaves without its entry.
After a fault that may pass (a full disk, a database that another process holds) the ledger tries
again, about once a second, and goes on with a note of how much is missing; the chain has no hole,
since it only grows by what was written. A command of which an entry was lost never leaves. Its end
may be lost as well: the next opening then finds it un-ended, and it is EXPIRED.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from stagetwin._errors import LedgerDamagedError, LedgerError
from stagetwin.actuation import Token
from stagetwin.commands._chain import (
    Entry,
    check_anchor,
    check_chain,
    digest_of,
    entry_of,
    naming,
    read_anchor,
    verify_file,
)
from stagetwin.commands._states import ENDS, State
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
create index if not exists loops on entries (seq) where state = 'LOOP_BEGUN';
"""
_OPENED = "OPENED"
_TAIL = 20_000
"""Entries whose chain is checked at each opening; `verify` checks all."""

_BUSY = 10.0
"""How long to wait for a database that another process holds [s]."""

_AGAIN = 1.0
"""Time after which a ledger that cannot be written is tried again [s]."""

_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
}
"""Faults that may be over a moment later; after any other one the ledger stays broken."""

OnDurable = Callable[[str], None]
"""Called from the ledger's thread once an entry is durable, with why it is not, or empty."""


class _Job(NamedTuple):
    command: str
    state: str
    time: float
    body: str
    done: OnDurable | None


class Ledger:
    """An append-only, hash-chained record with one owner.

    Attributes:
        epoch: number of this ownership.
        broken: why nothing can be written at the moment; empty while all is well.
    """

    def __init__(self, path: Path, anchor: Path | None = None) -> None:
        """Open, lock, check and begin an epoch.

        Args:
            path: database; made with mode 0600.
            anchor: file that keeps the newest hash; beside the database unless given.

        Raises:
            LedgerDamagedError: its chain is broken or shortened, it cannot be read or written.
            LedgerError: another process owns it, or its folder cannot be written.
        """
        self._path = path
        self._anchor = anchor if anchor is not None else path.with_suffix(".head")
        self._anchored = 0
        self._number = 0
        self.broken = ""
        self._again, self._lost, self._given_up = 0.0, 0, False
        self._holed: dict[str, bool] = {}
        self._ending = threading.Event()
        self._locks = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.push(self._locks)
            _own(self._locks, path.with_suffix(".lock"))
            # Whoever removes that file does not remove the owner: the database knows it as well.
            _own(self._locks, path)
            with naming(path):
                self._db = _connect(path)
                undo.callback(self._db.close)
                self._db.executescript(_SCHEMA)
                self._tip = self._check_tail()
                self._check_anchor()
                self.epoch = 1 + self._last_epoch()
                self._reader = _connect(path)
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
            raise LedgerDamagedError(f"{path} cannot be written: {self.broken}")

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
            jobs, ending = self._take()
            fit = [self._is_fit(job) for job in jobs]
            why = self._write([job for job, fits in zip(jobs, fit, strict=True) if fits], ending)
            for job, fits in zip(jobs, fit, strict=True):
                lost = why if fits else "an entry of this command was lost before"
                self._remember(job, bool(lost))
                if job.done is not None:
                    self._tell(job.done, lost)
        self._db.close()

    def _take(self) -> tuple[list[_Job], bool]:
        """Return what is to be written now, and whether that is the last of it."""
        jobs: list[_Job] = []
        # One that is broken tries again without being asked.
        patience = _AGAIN if self.broken and not self._given_up else None
        with contextlib.suppress(queue.Empty):
            job = self._jobs.get(timeout=patience)
            while job is not None:
                jobs.append(job)
                job = self._jobs.get_nowait()
            return jobs, True
        return jobs, False

    def _is_fit(self, job: _Job) -> bool:
        """Tell whether an entry may follow what the ledger has of its command.

        One whose beginning was lost could never be taken up again, and its id would seem new.
        """
        headless = self._holed.get(job.command)
        return headless is None or not (headless or job.state == State.SENT)

    def _remember(self, job: _Job, lost: bool) -> None:
        if job.state in ENDS:
            self._holed.pop(job.command, None)
        elif lost and job.command:
            headless = self._holed.get(job.command, False)
            self._holed[job.command] = headless or job.state == State.REQUESTED

    @staticmethod
    def _tell(done: OnDurable, why: str) -> None:
        try:
            done(why)
        except Exception:
            # Whoever waits for one entry must not cost the others their record.
            _log.exception("a callback of the ledger failed")

    def _write(self, jobs: list[_Job], last: bool) -> str:
        """Write entries; return why they are lost, or nothing."""
        count = len(jobs)
        if self.broken:
            if self._given_up or (time.monotonic() < self._again and not last):
                self._lost += count
                return self.broken
            gap = json.dumps({"cause": self.broken, "lost": self._lost}, sort_keys=True)
            jobs = [_Job("", "NOTE", time.time(), gap, None), *jobs]
        if not jobs:
            return ""
        seq, head = self._tip
        rows: list[tuple[Any, ...]] = []
        try:
            for job in jobs:
                seq += 1
                head = digest_of(head, seq, job.command, job.state, job.time, job.body)
                rows.append((seq, job.command, job.state, job.time, job.body, head))
            with self._db:
                self._db.executemany("insert into entries values (?, ?, ?, ?, ?, ?)", rows)
        except Exception as error:
            # Nothing may be sent that cannot be recorded; what is under way is only watched.
            return self._fail(error, count)
        self._tip = seq, head
        if self.broken:
            _log.info("the ledger %s is written again, %d entries are lost", self._path, self._lost)
            self.broken, self._lost = "", 0
        return ""

    def _fail(self, error: Exception, count: int) -> str:
        text = str(error) or type(error).__name__
        if text != self.broken:
            _log.critical("the ledger %s cannot be written: %s", self._path, text)
        code = getattr(error, "sqlite_errorcode", None)
        # The low byte is the fault, the others say more of it.
        self._given_up = code is None or code & 0xFF not in _PASSING
        self.broken, self._lost = text, self._lost + count
        self._again = time.monotonic() + _AGAIN
        return text

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
        with naming(self._path):
            rows = self._reader.execute(
                "select * from entries where command = ? order by seq", (command,)
            )
            return [entry_of(row) for row in rows]

    def newest(self, limit: int) -> list[str]:
        """Return the ids of the commands requested last, newest first."""
        with naming(self._path):
            rows = self._reader.execute(
                "select command from entries where state = 'REQUESTED' order by seq desc limit ?",
                (limit,),
            )
            return [command for (command,) in rows]

    def loops(self, limit: int) -> list[str]:
        """Return the ids of the sessions whose loop began last, newest first, each once."""
        with naming(self._path):
            rows = self._reader.execute(
                "select command from entries where state = 'LOOP_BEGUN' order by seq desc limit ?",
                (limit,),
            )
            return list(dict.fromkeys(command for (command,) in rows))

    def open_commands(self, ends: frozenset[str]) -> list[list[Entry]]:
        """Return the entries of each command whose newest state is no end, oldest first."""
        with naming(self._path):
            rows = self._reader.execute(
                "select command, state from entries where seq in (select max(seq) from entries "
                "where command != '' and command not like 'loop:%' and state != 'NOTE' "
                "group by command) order by seq"
            ).fetchall()
        return [self.entries(command) for command, state in rows if state not in ends]

    def verify(self) -> int:
        """Check the whole chain, from any thread; return how many entries it has.

        Raises:
            LedgerDamagedError: an entry was changed, removed or reordered; names the first.
            LedgerError: the ledger was closed meanwhile.
        """
        return verify_file(self._path, self._anchor, self._ending.is_set)

    def _check_tail(self) -> tuple[int, bytes]:
        (last,) = self._db.execute("select coalesce(max(seq), 0) from entries").fetchone()
        start = max(last - _TAIL, 0)
        before = b""
        if start:
            row = self._db.execute("select hash from entries where seq = ?", (start,)).fetchone()
            if row is None:
                raise LedgerDamagedError(f"entry {start} of the ledger is missing")
            before = row[0]
        rows = self._db.execute("select * from entries where seq > ? order by seq", (start,))
        return check_chain(rows, start, before)

    def _check_anchor(self) -> None:
        anchor = read_anchor(self._anchor)
        if anchor is not None:
            check_anchor(self._db, anchor)
        elif self._tip[0]:
            _log.warning("the ledger's anchor %s is missing", self._anchor)

    def _last_epoch(self) -> int:
        row = self._db.execute(
            "select body from entries where state = ? order by seq desc limit 1", (_OPENED,)
        ).fetchone()
        return int(json.loads(row[0])["epoch"]) if row else 0

    def close(self) -> None:
        """Make everything durable, anchor it, and give the ledger up."""
        self._ending.set()
        self._jobs.put(None)
        self._thread.join(30)
        self.anchor()
        self._reader.close()
        self._locks.close()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    return db


def _own(held: contextlib.ExitStack, path: Path) -> None:
    """Lock a file until the stack closes; made with mode 0600 if it is not there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error}") from None
    held.callback(os.close, handle)
    try:
        # Of another kind than the locks of SQLite, which it does not touch.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise LedgerError(f"another service owns the ledger at {path}") from None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
