"""The policy file: readable by its owner alone, read again when it changes, never half believed."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stagetwin._errors import AccessError
from stagetwin.clock import Clock, WallClock
from stagetwin.people._policy import Policy, PolicyDocument

__all__ = [
    "WALL_CLOCK",
    "PolicyFile",
    "editing",
    "load_document",
    "parse_document",
    "policy_text",
    "write_text",
]

_log = logging.getLogger(__name__)

WALL_CLOCK = WallClock()

LOOK_EVERY = 0.25
"""Time between two looks at the file at least [s]."""

STEP = 0.1
"""Longest step of a file's times [s]."""

MAX_SIZE = 2**22
"""Largest policy file [B]."""

_Signature = tuple[int, ...]


class PolicyFile:
    """A policy file that is watched by those who ask; any thread may.

    While it is damaged the last whole one stands beside the fault: whoever asks grants nothing new.
    """

    def __init__(self, path: Path, clock: Clock = WALL_CLOCK) -> None:
        """Read it.

        Raises:
            AccessError: it cannot be read, others than its owner can read it, or it is wrong.
        """
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = clock.steady()
        self._document, seen = _load(path)
        self._seen = _settled(seen)
        self._policy = Policy.of_document(self._document)
        self._damage = ""

    def read(self, *, now: bool = False) -> tuple[Policy, str]:
        """Return the last whole policy, and why the file is damaged; an empty text if it is not.

        Args:
            now: whether the file is looked at in any case.
        """
        with self._lock:
            if now or self._clock.steady() - self._looked >= LOOK_EVERY:
                self._look()
            return self._policy, self._damage

    def _look(self) -> None:
        self._looked = self._clock.steady()
        seen = _signature_of(self.path)
        if seen == self._seen and seen:
            return
        try:
            document, seen = _load(self.path)
        except AccessError as error:
            self._seen = _settled(seen)
            if str(error) != self._damage:
                self._damage = str(error)
                _log.error("nobody new comes in, and nothing may be changed: %s", error)
            return
        self._seen = _settled(seen)
        if document != self._document:
            self._document, self._policy = document, Policy.of_document(document)
            if not self._damage:
                _log.info("%s changed and was read again", self.path)
        if self._damage:
            self._damage = ""
            _log.warning("%s is whole again", self.path)


def _signature_of(path: Path) -> _Signature:
    try:
        return _signature(path.stat())
    except OSError:
        return ()


def _settled(seen: _Signature) -> _Signature:
    """Return what says that a file was read; nothing where it may change again unnoticed.

    Times of files go in steps: what is written within one of them looks as if it had not been.
    """
    return seen if seen and time.time() - seen[2] / 1e9 > STEP else ()


def _signature(status: os.stat_result) -> _Signature:
    return (
        status.st_dev,
        status.st_ino,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_mode,
        status.st_uid,
    )


def load_document(path: Path) -> PolicyDocument:
    """Read a policy file.

    Raises:
        AccessError: it cannot be read, others than its owner can read it, or it is wrong. No
            message repeats a secret.
    """
    return _load(path)[0]


def _load(path: Path) -> tuple[PolicyDocument, _Signature]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            _check_owner(path, status)
            data = file.read(MAX_SIZE + 1)
            if _signature(os.fstat(file.fileno())) != _signature(status):
                raise AccessError(f"{path} was being written")
    except OSError as error:
        raise AccessError(f"cannot read {path} ({error.strerror or error})") from None
    if len(data) > MAX_SIZE:
        raise AccessError(f"{path} is larger than {MAX_SIZE} bytes")
    try:
        # The parser's message would quote the line, hash included.
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        raise AccessError(f"{path} is no TOML file") from None
    return parse_document(table, path), _signature(status)


def parse_document(table: dict[str, Any], path: Path) -> PolicyDocument:
    """Return the document of a parsed file.

    Raises:
        AccessError: it is wrong; the message names the place and repeats no secret.
    """
    try:
        return PolicyDocument.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = str(first["msg"]).removeprefix("Value error, ")
        said = f"{where}: {what}" if where else what
        raise AccessError(f"{path}: {said}") from None


def _check_owner(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise AccessError(f"{path} is no file")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise AccessError(
            f"{path} must be readable by its owner alone (chmod 600), it has mode "
            f"{stat.S_IMODE(status.st_mode):04o}"
        )
    if status.st_uid not in (0, os.geteuid()):
        raise AccessError(f"{path} must belong to the service's own user or to root")


def policy_text(document: PolicyDocument) -> str:
    """Return a policy file's text."""
    lines = ["version = 1"]
    for name, account in document.accounts.items():
        lines += ["", f"[accounts.{_quoted(name)}]", f"disabled = {_bool(account.disabled)}"]
        if account.os_users:
            lines.append(f"os_users = {_list(account.os_users)}")
        lines.append(f"password = {_quoted(account.password)}")
    for name, token in document.tokens.items():
        lines += [
            "",
            f"[tokens.{_quoted(name)}]",
            f"account = {_quoted(token.account)}",
            f"expires = {token.expires.isoformat()}",
            f"hash = {_quoted(token.hash)}",
        ]
    if document.groups:
        lines += ["", "[groups]"]
        lines += [f"{_quoted(name)} = {_list(who)}" for name, who in document.groups.items()]
    for grant in document.grants:
        lines += [
            "",
            "[[grants]]",
            f"who = {_quoted(grant.who)}",
            f"role = {_quoted(grant.role)}",
            f"below = {_quoted(grant.below)}",
        ]
    return "\n".join(lines) + "\n"


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _list(items: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_quoted, items))}]"


def _quoted(text: str) -> str:
    signs = {'"': '\\"', "\\": "\\\\"}
    return (
        '"'
        + "".join(signs.get(s, s if s.isprintable() else f"\\U{ord(s):08x}") for s in text)
        + '"'
    )


@contextlib.contextmanager
def editing(path: Path) -> Iterator[None]:
    """Keep others who edit the policy file out meanwhile.

    Raises:
        AccessError: its folder cannot be opened.
    """
    try:
        # The folder, for the file itself is replaced.
        descriptor = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise AccessError(f"cannot edit {path} ({error.strerror or error})") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replace a policy file as a whole, readable by its owner alone, who stays its owner.

    Raises:
        AccessError: it cannot be written.
    """
    # A link stays: what is replaced is the file that it leads to.
    path = path.resolve()
    new = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                with contextlib.suppress(FileNotFoundError):
                    was = path.stat()
                    if os.geteuid() == 0 and (was.st_uid or was.st_gid):
                        os.fchown(file.fileno(), was.st_uid, was.st_gid)
                os.fsync(file.fileno())
            os.replace(new, path)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise
    except OSError as error:
        raise AccessError(f"cannot write {path} ({error.strerror or error})") from None
