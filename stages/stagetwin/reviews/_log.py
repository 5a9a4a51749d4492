"""The write-ahead log: every operation that was accepted, on disk before it is answered."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stagetwin._errors import ReviewError
from stagetwin.guards import write_atomically

__all__ = ["OperationLog", "set_aside"]

_log = logging.getLogger(__name__)


def set_aside(path: Path, why: str) -> str:
    """Rename a file that cannot be read, so that nothing overwrites it; return what happened."""
    target = path.with_name(f"{path.stem}.damaged-{time.time_ns()}{path.suffix}")
    os.replace(path, target)
    fault = f"{path} cannot be read and was set aside as {target.name}: {why}"
    _log.error("%s", fault)
    return fault


class OperationLog:
    """JSON records, one a line, each durable when `append` returns.

    `append` may run on any thread, one at a time.

    Attributes:
        fault: what of an earlier life could not be read; or empty.
        broken: why nothing can be written any more; or empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fault = ""
        self.broken = ""
        self._size = 0

    @property
    def size(self) -> int:
        """Length of the file [bytes]."""
        return self._size

    def read(self) -> list[dict[str, Any]]:
        """Return the records; a torn last line, which nobody was answered for, is cut off.

        Raises:
            ReviewError: the file cannot be read or cut.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ReviewError(f"{self._path} cannot be read: {error}") from None
        whole = data[: data.rfind(b"\n") + 1]
        records: list[dict[str, Any]] = []
        bad = 0
        for line in whole.splitlines():
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError("no object")
            except ValueError:
                bad += 1
                continue
            records.append(record)
        if bad:
            self.fault = set_aside(self._path, f"{bad} of its lines are damaged")
            self.rewrite(records)
        elif len(whole) < len(data):
            os.truncate(self._path, len(whole))
        self._size = self._path.stat().st_size
        return records

    def append(self, record: dict[str, Any]) -> None:
        """Write one record and wait until it is on disk.

        Raises:
            ReviewError: it is not; the file is as it was.
        """
        if self.broken:
            raise ReviewError(self.broken)
        line = _line(record)
        try:
            new = not self._path.exists()
            with open(self._path, "ab", opener=_private) as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            if new:
                _sync_folder(self._path.parent)
        except OSError as error:
            self._take_back()
            raise ReviewError(f"{self._path} cannot be written: {error}") from None
        self._size += len(line)

    def _take_back(self) -> None:
        """Cut off what may have been written of a record that nobody is answered for."""
        try:
            if self._path.exists():
                os.truncate(self._path, self._size)
        except OSError as error:
            self.broken = f"{self._path} cannot be written, reviews are read-only: {error}"
            _log.error("%s", self.broken)

    def rewrite(self, records: Iterable[dict[str, Any]]) -> None:
        """Replace the whole file in one step."""
        content = b"".join(map(_line, records))
        write_atomically(self._path, content)
        _sync_folder(self._path.parent)
        self._size = len(content)


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
