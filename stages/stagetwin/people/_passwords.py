"""Passwords as argon2id hashes, and tokens as SHA-256."""

from __future__ import annotations

import hashlib
import secrets
import threading
import unicodedata
from typing import TYPE_CHECKING

from stagetwin._errors import AccessError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = [
    "LONGEST",
    "SHORTEST",
    "TOKEN_PREFIX",
    "Passwords",
    "check_password",
    "hash_of_token",
    "new_token",
]

SHORTEST, LONGEST = 12, 1024
"""Characters of a password."""

AT_ONCE = 2
"""Hashes that are computed at once: each takes 64 MiB and a tenth of a second of every core."""

TOKEN_PREFIX = "stagetwin_"  # noqa: S105 - by it a leaked token is found
MAX_TOKEN = 200


def check_password(password: str) -> None:
    """Do nothing if a password may be chosen.

    Raises:
        AccessError: it is too short or too long, or no text.
    """
    count = len(_normal(password))
    if not SHORTEST <= count <= LONGEST:
        raise AccessError(f"a password has {SHORTEST} to {LONGEST} characters, got {count}")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise AccessError("a password must be text") from None


def _normal(password: str) -> str:
    # Keyboards differ in how they compose the same letter.
    return unicodedata.normalize("NFKC", password)


class Passwords:
    """Hashes and verifies passwords; any thread may."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Begin.

        Args:
            hasher: parameters other than those of every service, for tests.

        Raises:
            AccessError: argon2 is not installed.
        """
        if hasher is None:
            try:
                from argon2 import PasswordHasher
            except ImportError:
                text = "passwords need argon2; install stagetwin[web]"
                raise AccessError(text) from None
            hasher = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)
        self._hasher = hasher
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._dummy = ""
        self._lock = threading.Lock()

    def hash(self, password: str) -> str:
        """Return the argon2id hash of a password.

        Raises:
            AccessError: it may not be chosen.
        """
        check_password(password)
        return self._hasher.hash(_normal(password))

    def verify(self, hashed: str, password: str) -> bool:
        """Tell whether a password is that of a hash.

        An empty hash is nobody's and takes as long as another.

        Raises:
            AccessError: too many are being verified.
        """
        from argon2.exceptions import Argon2Error, InvalidHashError

        if not self._slots.acquire(blocking=False):
            raise AccessError("many log in at present; try again")
        try:
            if len(password) > LONGEST:
                password = ""
            given = _normal(password).encode("utf-8", "replace")
            try:
                self._hasher.verify(hashed or self._nobody(), given)
            except (Argon2Error, InvalidHashError):
                return False
            return bool(hashed)
        finally:
            self._slots.release()

    def is_outdated(self, hashed: str) -> bool:
        """Tell whether a hash has other parameters than new ones."""
        return self._hasher.check_needs_rehash(hashed)

    def _nobody(self) -> str:
        with self._lock:
            if not self._dummy:
                self._dummy = self._hasher.hash(secrets.token_bytes(32))
            return self._dummy


def new_token() -> str:
    """Return a new token: 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_of_token(text: str) -> str:
    """Return a token's SHA-256, empty for what is none."""
    if not text.startswith(TOKEN_PREFIX) or len(text) > MAX_TOKEN or not text.isascii():
        return ""
    return hashlib.sha256(text.encode()).hexdigest()
