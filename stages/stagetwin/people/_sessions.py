"""Sessions of people who logged in, for as long as they use them and are who they were."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from stagetwin.clock import Clock
from stagetwin.people._access import Access
from stagetwin.people._file import WALL_CLOCK
from stagetwin.people._rights import Principal

__all__ = ["Kept", "Sessions"]

IDLE = 1800.0
"""A session ends after this time without a request [s]."""

ABSOLUTE = 43_200.0
"""A session ends after this time in any case [s]: a shift."""

MAX_OF_ONE = 20
"""Sessions of one person at once; the oldest ends for a newer one."""

MAX_SESSIONS = 10_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A session as somebody else may keep it, who could not use it.

    Attributes:
        digest: SHA-256 of its id, as 64 hexadecimal digits.
        who: whose it is.
        began: when [s, Unix].
    """

    digest: str
    who: Principal
    began: float


@dataclass(slots=True)
class _Session:
    who: Principal
    ends: float
    used: float


class Sessions:
    """Random ids, and who each stands for. Only a hash of an id is kept."""

    def __init__(
        self,
        access: Access,
        idle: float = IDLE,
        absolute: float = ABSOLUTE,
        clock: Clock = WALL_CLOCK,
        *,
        opened: Callable[[Kept], None] = lambda _: None,
        closed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin.

        Args:
            access: says whether somebody is still who they were.
            idle: time without a request after which a session ends [s].
            absolute: time after which it ends in any case [s].
            clock: tells the time.
            opened: called with each session that begins.
            closed: called with the digest of each that has ended, once that is noticed.
        """
        self._access = access
        self._idle, self._absolute, self._clock = idle, absolute, clock
        self._opened, self._closed = opened, closed
        self._open: OrderedDict[str, _Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, who: Principal) -> str:
        """Begin a session and return its id, a secret."""
        text = secrets.token_urlsafe(32)
        kept = Kept(_digest(text), who, self._clock.wall())
        self._add(kept, self._absolute)
        self._opened(kept)
        return text

    def restore(self, kept: Kept) -> None:
        """Take up a session of a process before this one, if it has not ended."""
        left = self._absolute - max(self._clock.wall() - kept.began, 0.0)
        if left > 0 and self._access.stands(kept.who):
            self._add(kept, left)
        else:
            self._closed(kept.digest)

    def find(self, text: str, *, touch: bool = True) -> Principal | None:
        """Return whose session an id is; None if there is none, or it has ended.

        Args:
            text: the id.
            touch: whether that is a request, which keeps the session.
        """
        digest = _digest(text)
        session = self._open.get(digest)
        if session is None:
            return None
        now = self._clock.steady()
        if not self._lasts(session, now):
            self._end(digest)
            return None
        if touch:
            session.used = now
        return session.who

    def close(self, text: str) -> None:
        """End a session, if there is such a one."""
        self._end(_digest(text))

    def sweep(self) -> None:
        """End what has run out; call it now and then."""
        now = self._clock.steady()
        for digest in [key for key, one in self._open.items() if not self._lasts(one, now)]:
            self._end(digest)

    def _add(self, kept: Kept, left: float) -> None:
        self.sweep()
        own = [key for key, one in self._open.items() if one.who.name == kept.who.name]
        for digest in own[: max(len(own) - MAX_OF_ONE + 1, 0)]:
            self._end(digest)
        while len(self._open) >= MAX_SESSIONS:
            self._end(next(iter(self._open)))
        now = self._clock.steady()
        self._open[kept.digest] = _Session(kept.who, now + left, now)

    def _end(self, digest: str) -> None:
        if self._open.pop(digest, None) is not None:
            self._closed(digest)

    def _lasts(self, session: _Session, now: float) -> bool:
        in_time = now - session.used < self._idle and now < session.ends
        return in_time and self._access.stands(session.who)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
