"""Unpacking of FMUs: what a file by somebody else may put where.

Names are checked before anything is written: ISO/IEC 21320-1 containers hold relative paths with
forward slashes, and FMI 3.0, section 2.5.1, asks the same.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from stagetwin_sim._errors import FmuError

__all__ = ["MAX_FILES", "MAX_RATIO", "MAX_SIZE", "digest_of", "unpacked"]

MAX_FILES = 10_000
"""Entries that an archive may have."""

MAX_SIZE = 2 << 30
"""What they may hold together [B]."""

MAX_RATIO = 200
"""How far they may be compressed, on the whole."""

_PREFIX = "stagetwin-fmu-"
_LOCK = ".in-use"

_SKIPPED = ("documentation/", "sources/", "terminalsAndIcons/")


def digest_of(path: Path) -> str:
    """Return a fingerprint of a file's content.

    Raises:
        FmuError: it is no file that can be read.
    """
    if path.suffix.lower() != ".fmu" or not path.is_file():
        raise FmuError(f"{path} is no file that ends in .fmu")
    try:
        with path.open("rb") as held:
            return hashlib.file_digest(held, "blake2b").hexdigest()[:24]
    except OSError as error:
        raise FmuError(f"{path} cannot be read: {error}") from None


def unpacked(path: Path) -> Path:
    """Unpack an FMU into a folder of its own, which goes away with the process.

    A process that was killed left its folder behind: the next one to unpack removes it.

    Raises:
        FmuError: it is no archive, or one that must not be unpacked.
    """
    _sweep()
    folder = _folder()
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check(members)
            names = [m.filename for m in members if not m.filename.startswith(_SKIPPED)]
            archive.extractall(folder, names)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise FmuError(f"{path} cannot be unpacked: {error}") from None
    return folder


def _folder() -> Path:
    """Return a new folder, held by a lock that ends with the process, however that ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        held = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        if (folder / _LOCK).exists():  # else another process swept it before it was held
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            return folder
        os.close(held)


def _sweep() -> None:
    """Remove the folders of this user whose processes are no more."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):  # of another user, or just gone
            held = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(held)


def _check(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES:
        raise ValueError(f"it has {len(members)} entries, at most {MAX_FILES} are allowed")
    size = sum(member.file_size for member in members)
    if size > MAX_SIZE:
        raise ValueError(f"it would take {size} B, at most {MAX_SIZE} B are allowed")
    packed = sum(member.compress_size for member in members)
    if size > MAX_RATIO * max(packed, 1):
        raise ValueError(f"it is compressed more than {MAX_RATIO} to 1")
    seen = set[str]()
    for member in members:
        name = member.filename
        # What zipfile makes of a name is not asked: it cuts at a null and turns backslashes.
        parts = PurePosixPath(member.orig_filename).parts
        if name.startswith("/") or ".." in parts or set("\\:\0") & set(member.orig_filename):
            raise ValueError(f"{name!r} is no path inside it")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{name!r} is a link")
        if name in seen:
            raise ValueError(f"{name!r} is there twice")
        seen.add(name)
