"""Who somebody is: by name and password, or by a token."""

from __future__ import annotations

import contextlib
import logging
import math

from stagetwin._errors import AccessError
from stagetwin.clock import Clock
from stagetwin.people._backoff import Doorkeeper
from stagetwin.people._file import WALL_CLOCK, PolicyFile, editing, write_text
from stagetwin.people._passwords import Passwords, hash_of_token
from stagetwin.people._policy import stamp_of
from stagetwin.people._rights import Principal

__all__ = ["Accounts"]

_log = logging.getLogger(__name__)

WRONG = "wrong name or password"


class Accounts:
    """Lets people and programs in; any thread may ask."""

    def __init__(
        self,
        file: PolicyFile,
        passwords: Passwords | None = None,
        clock: Clock = WALL_CLOCK,
    ) -> None:
        """Begin.

        Args:
            file: who there is.
            passwords: how they are verified.
            clock: for waits after failures, and tokens that end.

        Raises:
            AccessError: argon2 is not installed.
        """
        self._file = file
        self._passwords = passwords or Passwords()
        self._clock = clock
        self._door = Doorkeeper(clock.steady)

    def login(self, name: str, password: str, address: str = "") -> Principal:
        """Return who has a name and password; takes about a tenth of a second.

        Args:
            name: of the account.
            password: in the clear.
            address: where it comes from, to slow guessing down; empty where that is not known.

        Raises:
            AccessError: they are wrong, there were too many wrong ones, too many log in at once,
                or the policy file is damaged. It is the same error whether there is such an
                account, whether it is disabled, or has no password.
        """
        policy, damage = self._file.read(now=True)
        if damage:
            raise AccessError("nobody can log in at present: the policy file is damaged")
        account = policy.accounts.get(name)
        known = account is not None
        if wait := self._door.wait(name, known, address):
            raise AccessError(f"too many wrong passwords; try again in {math.ceil(wait)} s")
        hashed = account.password if account is not None else ""
        right = self._passwords.verify(hashed, password)
        if account is None or not right or account.disabled:
            self._door.failed(name, known, address)
            raise AccessError(WRONG)
        self._door.succeeded(name, address)
        if self._passwords.is_outdated(hashed):
            hashed = self._renew(hashed, password)
        return Principal(name, via=f"login:{stamp_of(hashed)}")

    def token(self, text: str) -> Principal | None:
        """Return whose token a text is; None if it is nobody's, or has ended."""
        hashed = hash_of_token(text)
        if not hashed:
            return None
        for now in (False, True):  # a new token counts at once
            policy, damage = self._file.read(now=now)
            if damage:
                return None
            for name, token in policy.tokens.items():
                if token.hash == hashed:
                    via = f"token:{name}:{stamp_of(token.hash)}"
                    who = Principal(token.account or f"token:{name}", via=via)
                    return who if policy.vouches(who, self._clock.wall()) else None
        return None

    def _renew(self, hashed: str, password: str) -> str:
        """Put a hash of today's parameters in the place of an old one; return what is there."""
        path = self._file.path
        try:
            renewed = self._passwords.hash(password)
            with editing(path):
                text = path.read_text(encoding="utf-8")
                if text.count(hashed) != 1:
                    return hashed
                write_text(path, text.replace(hashed, renewed))
        except (AccessError, OSError) as error:
            # It may be read-only here, or the password older than today's rules: it still counts.
            _log.info("a password stays as it is hashed: %s", error)
            return hashed
        with contextlib.suppress(AccessError):
            self._file.read(now=True)
        return renewed
