"""The journal of alarms: every transition in SQLite, and the state to take up after a restart.

One thread writes, in batches; whoever asks for the history is also told what is not written yet.
A journal that cannot be written costs the history and nothing else.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stagetwin.bindings import is_below

__all__ = ["AlarmJournal"]

_log = logging.getLogger(__name__)

KEPT_AGE = 90 * 86400.0
"""How long entries are kept [s]."""

KEPT_COUNT = 100_000
"""How many entries are kept."""

WAITING = 20_000
"""Entries that may wait for a disk that cannot be written; the oldest go first."""

_AGAIN = 5.0
"""Time after which a journal that cannot be written is tried again [s]."""

_TIDY = 3600.0
"""Time between two looks for what is too old [s]."""

_SCHEMA = """
create table if not exists entries (
    seq integer primary key,
    time real not null,
    id text not null,
    prim text not null,
    body text not null
);
create index if not exists entries_by_prim on entries (prim, seq);
create index if not exists entries_by_time on entries (time);
create table if not exists alarms (
    id text primary key,
    body text not null
);
"""

Entry = dict[str, Any]


class AlarmJournal:
    """Keeps transitions and states.

    Attributes:
        fault: why nothing can be written at the moment; empty while all is well.
        lost: entries that were never written.
    """

    def __init__(self, path: Path, *, age: float = KEPT_AGE, count: int = KEPT_COUNT) -> None:
        """Open, and begin to write on a thread of its own.

        A file that is damaged is put aside, and a new one begun.

        Args:
            path: database; made with mode 0600.
            age: how long entries are kept [s].
            count: how many.
        """
        self._path, self._age, self._count = path, age, count
        self.fault = ""
        self.lost = 0
        self._condition = threading.Condition()
        self._waiting: deque[tuple[int, Entry]] = deque()
        self._states: dict[str, str | None] = {}
        self._closing = False
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        # Beyond every number that a file which cannot be opened now may hold.
        self._seq = itertools.count(time.time_ns() // 1000)
        try:
            self._seq = itertools.count(self._open() + 1)
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
        except OSError as error:
            self._fail(error)
        self._thread = threading.Thread(target=self._run, name="alarm journal", daemon=True)
        self._thread.start()

    def _open(self) -> int:
        """Open the database; returns the number of its newest entry."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        with contextlib.ExitStack() as undo:
            writer = _connect(self._path)
            undo.callback(writer.close)
            writer.executescript(_SCHEMA)
            newest = writer.execute("select max(seq) from entries").fetchone()[0]
            reader = _connect(self._path)
            undo.pop_all()
        self._writer, self._reader = writer, reader
        return newest or 0

    def _set_aside(self, error: Exception) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(time.time())}")
        _log.error("the journal of alarms is damaged, it goes to %s: %s", aside, error)
        try:
            self._path.rename(aside)
            for ending in ("-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            self._seq = itertools.count(self._open() + 1)
        except (OSError, sqlite3.Error) as again:
            self._fail(again)

    def _fail(self, error: Exception) -> None:
        if not self.fault:
            _log.error("the journal of alarms at %s cannot be written: %s", self._path, error)
        self.fault = str(error)

    # -- what a service before this one left

    def states(self) -> dict[str, dict[str, Any]]:
        """Return the states kept, by alarm id; empty where they cannot be read."""
        if self._reader is None:
            return {}
        found: dict[str, dict[str, Any]] = {}
        try:
            for alarm_id, body in self._reader.execute("select id, body from alarms"):
                found[alarm_id] = json.loads(body)
        except (sqlite3.Error, ValueError) as error:
            self._fail(error)
        return found

    # -- writing

    def enter(self, entry: Entry) -> None:
        """Keep a transition; `id`, `prim` and `time` are among its fields."""
        with self._condition:
            self._waiting.append((next(self._seq), entry))
            if len(self._waiting) > WAITING:
                self._waiting.popleft()
                self.lost += 1
            self._condition.notify()

    def keep(self, alarm_id: str, body: Mapping[str, Any] | None) -> None:
        """Keep the state of an alarm, or forget it."""
        text = None if body is None else json.dumps(body, separators=(",", ":"))
        with self._condition:
            self._states[alarm_id] = text
            self._condition.notify()

    def _run(self) -> None:
        tidied = -_TIDY
        while True:
            with self._condition:
                while not (self._waiting or self._states or self._closing):
                    self._condition.wait()
                if self.fault and not self._closing:
                    self._condition.wait(_AGAIN)
                entries, states = list(self._waiting), self._states
                self._states, closing = {}, self._closing
            done = self._write(entries, states)
            with self._condition:
                if done:
                    last = entries[-1][0] if entries else 0
                    while self._waiting and self._waiting[0][0] <= last:
                        self._waiting.popleft()
                else:
                    self._states = states | self._states
            if done and time.monotonic() - tidied > _TIDY:
                tidied = time.monotonic()
                self._tidy()
            if closing:
                return

    def _write(self, entries: list[tuple[int, Entry]], states: dict[str, str | None]) -> bool:
        try:
            if self._writer is None:
                self._open()
            assert self._writer is not None
            with self._writer:
                self._writer.executemany(
                    "insert or replace into entries values (?, ?, ?, ?, ?)",
                    [
                        (seq, e["time"], e["id"], e["prim"], json.dumps(e, separators=(",", ":")))
                        for seq, e in entries
                    ],
                )
                self._writer.executemany(
                    "insert or replace into alarms values (?, ?)",
                    [(i, body) for i, body in states.items() if body is not None],
                )
                self._writer.executemany(
                    "delete from alarms where id = ?",
                    [(i,) for i, body in states.items() if body is None],
                )
        except (sqlite3.Error, OSError, ValueError) as error:
            self._fail(error)
            return False
        if self.fault:
            _log.info("the journal of alarms is written again")
            self.fault = ""
        return True

    def _tidy(self) -> None:
        assert self._writer is not None
        try:
            with self._writer:
                # By the entries' own clock: a twin may live in another time than this machine.
                self._writer.execute(
                    "delete from entries where time < (select time from entries "
                    "order by seq desc limit 1) - ?",
                    (self._age,),
                )
                self._writer.execute(
                    "delete from entries where seq <= "
                    "(select seq from entries order by seq desc limit 1 offset ?)",
                    (self._count,),
                )
        except sqlite3.Error as error:
            self._fail(error)

    # -- reading

    def history(self, prim: str, limit: int) -> list[Entry]:
        """Return transitions of an alarm, or of those at or below a prim, newest first."""
        with self._condition:
            waiting = list(self._waiting)
        first = waiting[0][0] if waiting else None
        found = [e for _, e in reversed(waiting) if is_below(e["id"], prim)][:limit]
        if self._reader is None or len(found) >= limit:
            return found
        base = prim.rstrip("/")
        try:
            rows = self._reader.execute(
                "select body from entries where (?1 = '' or prim = ?1 or id = ?1 or "
                "(prim > ?1 || '/' and prim < ?1 || '0')) and (?2 is null or seq < ?2) "
                "order by seq desc limit ?3",
                (base, first, limit - len(found)),
            ).fetchall()
            found += [json.loads(body) for (body,) in rows]
        except (sqlite3.Error, ValueError) as error:
            self._fail(error)
        return found

    def close(self) -> None:
        """Write what waits, and end."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(30)
        for database in (self._writer, self._reader):
            if database is not None:
                database.close()


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
    database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = normal")
    return database
