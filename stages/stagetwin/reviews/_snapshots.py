"""Pictures beside topics: PNG files named by their hash, checked before they are kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
import zlib
from collections.abc import Collection
from pathlib import Path

from stagetwin._errors import ReviewError
from stagetwin.guards import write_atomically

__all__ = ["MAX_PNG", "Snapshots", "check_png", "checked_png"]

MAX_PNG = 2**20
MAX_SIDE = 4096
MAX_FOLDER = 2**30
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NAME = re.compile(r"[0-9a-f]{64}")


def checked_png(text: str) -> bytes:
    """Return the PNG of a base64 text.

    Raises:
        ReviewError: it is none, or too large.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ReviewError("snapshot: must be base64 of a PNG") from None
    check_png(data)
    return data


def check_png(data: bytes) -> None:
    """Walk the chunks of a PNG.

    Raises:
        ReviewError: it is none, or too large.
    """
    if len(data) > MAX_PNG:
        raise ReviewError(f"snapshot: must have at most {MAX_PNG} bytes, got {len(data)}")
    if not data.startswith(_SIGNATURE):
        raise ReviewError("snapshot: must be a PNG, its first bytes are others")
    at, first = len(_SIGNATURE), True
    while True:
        if at + 12 > len(data):
            raise ReviewError("snapshot: the PNG ends early")
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            raise ReviewError("snapshot: the PNG ends early")
        (check,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(data[at + 4 : end - 4]) != check:
            raise ReviewError("snapshot: the PNG is damaged")
        if first:
            if kind != b"IHDR" or size != 13:
                raise ReviewError("snapshot: the PNG has no header")
            width, height = struct.unpack_from(">II", data, at + 8)
            if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
                raise ReviewError(
                    f"snapshot: at most {MAX_SIDE} x {MAX_SIDE} pixels, got {width} x {height}"
                )
            first = False
        if kind == b"IEND":
            break
        at = end
    if end != len(data):
        raise ReviewError("snapshot: something follows the PNG")


class Snapshots:
    """The folder of pictures; a picture is there once, however many topics show it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def name(data: bytes) -> str:
        """Return the name of a PNG: the hash of its bytes."""
        return hashlib.sha256(data).hexdigest()

    def keep(self, data: bytes) -> None:
        """Store a PNG.

        Raises:
            ReviewError: it cannot be written, or the folder is full.
        """
        path = self.folder / f"{self.name(data)}.png"
        try:
            if path.exists():
                return
            if sum(each.stat().st_size for each in self.folder.glob("*.png")) > MAX_FOLDER:
                raise ReviewError(f"{self.folder} holds {MAX_FOLDER} bytes, the most it may")
            write_atomically(path, data)
        except OSError as error:
            raise ReviewError(f"{path} cannot be written: {error}") from None

    def read(self, name: str) -> bytes:
        """Return a PNG.

        Raises:
            ReviewError: there is none.
        """
        try:
            if not _NAME.fullmatch(name):
                raise FileNotFoundError
            return (self.folder / f"{name}.png").read_bytes()
        except OSError:
            raise ReviewError("there is no such snapshot") from None

    def sweep(self, used: Collection[str]) -> None:
        """Remove pictures that no topic shows."""
        for path in self.folder.glob("*.png"):
            if _NAME.fullmatch(path.stem) and path.stem not in used:
                path.unlink(missing_ok=True)
