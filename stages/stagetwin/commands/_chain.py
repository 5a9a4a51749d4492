"""The ledger's chain: how its entries hang together, and how a break in it is found."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stagetwin._errors import LedgerDamagedError, LedgerError

__all__ = [
    "Entry",
    "check_anchor",
    "check_chain",
    "digest_of",
    "entry_of",
    "naming",
    "read_anchor",
    "verify_file",
]

_STEP = 1000
"""Entries that are verified in one go."""

_PAUSE = 0.001
"""Rest between two of them, so that the ticks of the service go on [s]."""


class Entry(NamedTuple):
    """One line of the ledger.

    Attributes:
        seq: number, from 1 without gaps.
        command: id of the command, or of a policy's session; empty for the ledger's own.
        state: state entered, `NOTE`, `OPENED`, `LOOP_BEGUN` or `LOOP_ENDED`.
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


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have whatever is wrong with a ledger's content said as such, with the name of its file.

    Whoever edits the file may put anything there: other types, other columns, other numbers.
    """
    try:
        yield
    except LedgerDamagedError as error:
        raise LedgerDamagedError(f"{path}: {error}") from None
    except LedgerError:
        raise
    except (OSError, sqlite3.Error) as error:
        raise LedgerDamagedError(f"{path} cannot be read: {error}") from None
    except (TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
        raise LedgerDamagedError(f"{path} is damaged: {error}") from None


def digest_of(before: bytes, seq: int, command: str, state: str, at: float, body: str) -> bytes:
    """Return the hash of an entry that follows another."""
    line = json.dumps([seq, command, state, at, body], separators=(",", ":"))
    return hashlib.sha256(before + line.encode()).digest()


def entry_of(row: tuple[Any, ...]) -> Entry:
    """Return a row of the database as an entry."""
    seq, command, state, at, body, digest = row
    return Entry(seq, command, state, at, json.loads(body), digest)


def check_chain(rows: Iterable[tuple[Any, ...]], seq: int, head: bytes) -> tuple[int, bytes]:
    """Check that rows follow an entry and each other; return number and hash of the last.

    Raises:
        LedgerDamagedError: one was changed, removed or reordered; names the first.
    """
    for found, command, state, at, body, digest in rows:
        seq += 1
        if found != seq:
            raise LedgerDamagedError(f"entry {seq} of the ledger is missing")
        try:
            head = digest_of(head, seq, command, state, at, body)
        except TypeError:
            head = b""  # a BLOB where there was a text
        if head != digest:
            raise LedgerDamagedError(f"entry {seq} of the ledger was changed")
    return seq, head


def read_anchor(path: Path) -> tuple[int, bytes] | None:
    """Return number and hash of the entry that an anchor knows, None without an anchor.

    Raises:
        LedgerDamagedError: it cannot be read.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        seq, digest = int(said["seq"]), bytes.fromhex(said["hash"])
        if not 0 < seq < 2**63:
            raise ValueError(f"no entry has the number {seq:.3g}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise LedgerDamagedError(f"the ledger's anchor {path} is damaged: {error}") from None
    return seq, digest


def check_anchor(db: sqlite3.Connection, anchor: tuple[int, bytes]) -> None:
    """Check that a ledger has the entry that its anchor knows.

    Raises:
        LedgerDamagedError: it was cut, or written anew.
    """
    seq, digest = anchor
    row = db.execute("select hash from entries where seq = ?", (seq,)).fetchone()
    if row is None:
        (last,) = db.execute("select coalesce(max(seq), 0) from entries").fetchone()
        raise LedgerDamagedError(
            f"the ledger ends at entry {last}, its anchor knows entry {seq}: it was cut"
        )
    if row[0] != digest:
        raise LedgerDamagedError(f"entry {seq} of the ledger is not the one that its anchor knows")


def verify_file(path: Path, anchor: Path, ended: Callable[[], bool]) -> int:
    """Check a whole ledger, on a connection of its own and from any thread.

    Args:
        path: the database; entries may be appended meanwhile.
        anchor: the file that keeps its newest hash.
        ended: asked now and then whether to give up.

    Returns:
        Number of entries.

    Raises:
        LedgerDamagedError: an entry was changed, removed or reordered; names the first.
        LedgerError: it gave up.
    """
    with naming(path):
        # Before the entries: those that follow only add to what it knows.
        known = read_anchor(anchor)
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as db:
            seq, head, start = 0, b"", -(2**63)
            while True:
                # In steps, since a long read would keep the write-ahead log from being folded in.
                rows = db.execute(
                    "select * from entries where seq >= ? order by seq limit ?", (start, _STEP)
                ).fetchall()
                if not rows:
                    break
                seq, head = check_chain(rows, seq, head)
                start = seq + 1
                if ended():
                    raise LedgerError("the service ends; the ledger was not checked to its end")
                time.sleep(_PAUSE)
            if known is not None:
                check_anchor(db, known)
    return seq
