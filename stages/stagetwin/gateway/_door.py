"""Who comes in: a browser by its session, a program by its token, the owner by a word good once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from stagetwin._errors import AccessError, ServiceError
from stagetwin.gateway import _wire as wire
from stagetwin.people import Access, Accounts, Kept, PolicyFile, Principal, Sessions

__all__ = ["Door", "Visitor"]

LOGINS_AT_ONCE = 4
"""Logins that wait for their password to be verified; the next are told to come again."""

MAX_SECRET = 1024
"""Longest name, password, token or cookie that is looked at."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who came in.

    Attributes:
        who: who that is.
        cookie: the session's secret, empty for a program.
    """

    who: Principal
    cookie: str = ""

    @property
    def browser(self) -> bool:
        """Whether a browser brought the proof by itself, so that the page's origin matters."""
        return bool(self.cookie)


class Door:
    """Asks everybody who they are.

    Attributes:
        access: what somebody may.
        strict: whether there are accounts; else the service's owner alone comes in.
        cookie: name of the session's cookie.
        secure: whether the listener speaks TLS.
    """

    def __init__(
        self,
        opening: wire.Opening,
        port: int,
        keep: Callable[[wire.SessionMade], None],
        forget: Callable[[wire.SessionEnded], None],
    ) -> None:
        """Begin.

        Args:
            opening: what the service said.
            port: where it listens.
            keep: told of each session, so that it outlives this process.
            forget: told of each that has ended.

        Raises:
            AccessError: the file of people cannot be used.
        """
        self.strict = bool(opening.people)
        self.secure = bool(opening.certificate)
        # Cookies do not tell ports apart: two services on one host would log each other out.
        self.cookie = f"{'__Host-' if self.secure else ''}stagetwin_{port}"
        self._accounts: Accounts | None = None
        if self.strict:
            file = PolicyFile(Path(opening.people))
            self.access = Access.of_file(file)
            self._accounts = Accounts(file)
        else:
            self.access = Access.of_roles({})
        self._keep, self._word = keep, ""
        self._forget = forget
        self.sessions = Sessions(self.access, opened=self._opened, closed=self._closed)
        for made in opening.sessions:
            who = Principal(made.user, made.owner, made.via)
            self.sessions.restore(Kept(made.digest, who, made.began))
        self._owner = Principal(opening.owner, owner=True)
        self._bearer = opening.bearer
        self._words = {token.digest: token.until for token in opening.tokens}
        self._busy = asyncio.Semaphore(LOGINS_AT_ONCE)

    def _opened(self, kept: Kept) -> None:
        who = kept.who
        made = wire.SessionMade(kept.digest, who.name, who.owner, kept.began, who.via, self._word)
        self._keep(made)

    def _closed(self, digest: str) -> None:
        self._forget(wire.SessionEnded(digest))

    # -- every request

    def visitor(self, headers: Mapping[str, str]) -> Visitor | None:
        """Return who sends a request; None for nobody that is known here."""
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if scheme:
            # Whoever shows a token is judged by it alone, and not by a cookie beside it.
            who = self._program(text.strip()) if scheme.lower() == "bearer" else None
            return Visitor(who) if who is not None else None
        cookie = self._cookie_in(headers.get("cookie", ""))
        who = self.sessions.find(cookie) if cookie else None
        return Visitor(who, cookie) if who is not None else None

    def _program(self, text: str) -> Principal | None:
        if not text or len(text) > MAX_SECRET:
            return None
        if self._accounts is not None:
            return self._accounts.token(text)
        right = hmac.compare_digest(_digest(text), self._bearer)
        return self._owner if right else None

    def _cookie_in(self, header: str) -> str:
        try:
            morsel = SimpleCookie(header).get(self.cookie)
        except CookieError:
            return ""
        return morsel.value if morsel is not None and len(morsel.value) <= MAX_SECRET else ""

    def stands(self, visitor: Visitor) -> bool:
        """Tell whether somebody who stays connected is still who they were when they came."""
        if visitor.cookie:
            return self.sessions.find(visitor.cookie, touch=False) == visitor.who
        return self.access.stands(visitor.who)

    def touch(self, visitor: Visitor) -> None:
        """Take note that somebody who stays connected does something."""
        if visitor.cookie:
            self.sessions.find(visitor.cookie)

    # -- logging in

    async def login(self, name: str, password: str, address: str) -> str:
        """Return the secret of a new session.

        Raises:
            AccessError: wrong, too often wrong, or there are no accounts.
            ServiceError: too many log in at once.
        """
        if self._accounts is None:
            raise AccessError("there are no accounts here; `stagetwin open` says how to come in")
        if len(name) > MAX_SECRET or len(password) > MAX_SECRET:
            raise AccessError("wrong name or password")
        if self._busy.locked():
            raise ServiceError("too many log in at once; try again in a second")
        async with self._busy:
            who = await asyncio.to_thread(self._accounts.login, name, password, address)
        return self.sessions.open(who)

    def admit(self, token: wire.Token) -> None:
        """Take a word that lets the owner in once."""
        now = time.time()
        self._words = {digest: until for digest, until in self._words.items() if until > now}
        self._words[token.digest] = token.until

    def enter(self, word: str) -> str:
        """Return the secret of a new session of the owner; the word is used up.

        Raises:
            AccessError: that is no such word, or it was used, or its time is over.
        """
        digest = _digest(word[: MAX_SECRET + 1])
        if self._words.pop(digest, 0.0) <= time.time():
            raise AccessError("this link is used up or too old; `stagetwin open` makes another")
        self._word = digest
        try:
            return self.sessions.open(self._owner)
        finally:
            self._word = ""


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "replace")).hexdigest()
