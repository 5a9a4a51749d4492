"""Replies of devices: what they say, and which command they belong to.

Nothing that is in doubt acknowledges: a reply that cannot be read, says neither yes nor no, is old
or belongs to no command that waits is counted, named in the log, and changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec

from stagetwin.actuation import Transmission
from stagetwin_bridges.mqtt._payload import UNREADABLE
from stagetwin_bridges.mqtt._values import shown

__all__ = ["HeardReply", "Replies", "UnreadableReplyError", "read_reply"]

logger = logging.getLogger(__name__)

_LARGEST = 65_536
_LONGEST_CAUSE = 500
_LINGER = 60.0
"""How long a command is remembered after its time to live [s]."""
_LOGGED = 10
"""Odd replies that are named within a minute; the others are only counted."""
_MINUTE = 60.0
_CAUSELESS = "the device refused and gave no cause"


class HeardReply(msgspec.Struct, frozen=True, kw_only=True):
    """A message on the reply topic.

    Attributes:
        topic: where it arrived.
        payload: payload.
        correlation: CorrelationData of MQTT 5; None if there is none.
        retained: whether the broker kept it: it answers nobody who waits now.
        realm: realm that its sender says; empty if none.
    """

    topic: str
    payload: bytes
    correlation: bytes | None = None
    retained: bool = False
    realm: str = ""


class UnreadableReplyError(Exception):
    """A message on the reply topic is no reply; says why."""


def read_reply(heard: HeardReply) -> tuple[str, bool, str]:
    """Return which command a reply is for, whether the device accepted it, and why not.

    Raises:
        UnreadableReplyError: it is none.
    """
    if heard.retained:
        raise UnreadableReplyError("a retained message answers nobody")
    if len(heard.payload) > _LARGEST:
        raise UnreadableReplyError(f"expected at most {_LARGEST} bytes, got {len(heard.payload)}")
    try:
        document = msgspec.json.decode(heard.payload)
        correlated = None if heard.correlation is None else heard.correlation.decode()
    except UNREADABLE as error:
        raise UnreadableReplyError(f"expected JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableReplyError(f"expected a JSON object, got {shown(document)}")
    accepted = document.get("ok")
    if not isinstance(accepted, bool):
        raise UnreadableReplyError(f"expected 'ok' to be true or false, got {shown(accepted)}")
    number = document.get("id", correlated)
    if not isinstance(number, str):
        raise UnreadableReplyError(f"expected the command's id, got {shown(number)}")
    if correlated is not None and correlated != number:
        raise UnreadableReplyError("its id and its correlation data differ")
    cause = document.get("cause")
    words = " ".join(cause.split())[:_LONGEST_CAUSE] if isinstance(cause, str) else ""
    return number, accepted, "" if accepted else words or _CAUSELESS


class Replies:
    """The commands that wait for a reply. Used by one thread.

    Args:
        realm: realm of the connection: who says another does not reply to it.
        now: reads the clock of `Transmission.expires` [s].

    Attributes:
        odd: how many messages on the reply topic were not used.
    """

    def __init__(self, realm: str, now: Callable[[], float]) -> None:
        self._realm = realm
        self._now = now
        self._waiting: dict[str, float] = {}
        self._began = -_MINUTE
        self._named = 0
        self.odd = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, transmission: Transmission) -> None:
        """Remember a command that was written."""
        self._waiting[transmission.id] = transmission.expires

    def settle(self, heard: HeardReply) -> tuple[str, bool, str] | None:
        """Return what a reply says of a command that waited for it; None if it says nothing."""
        try:
            if heard.realm and heard.realm != self._realm:
                raise UnreadableReplyError(
                    f"its realm is {heard.realm!r} on a connection of realm {self._realm!r}"
                )
            number, accepted, cause = read_reply(heard)
            if self._waiting.pop(number, None) is None:
                raise UnreadableReplyError(f"no command waits for a reply to {shown(number)}")
        except UnreadableReplyError as error:
            self._count(heard.topic, str(error))
            return None
        return number, accepted, cause

    def forget(self) -> None:
        """Forget the commands whose time to live ended a minute ago."""
        until = self._now() - _LINGER
        for number in [each for each, expires in self._waiting.items() if expires <= until]:
            del self._waiting[number]

    def abandon(self) -> list[str]:
        """Forget all, and return the ids of those that still waited."""
        left = list(self._waiting)
        self._waiting.clear()
        return left

    def _count(self, topic: str, what: str) -> None:
        self.odd += 1
        now = time.monotonic()
        if now - self._began >= _MINUTE:
            self._began, self._named = now, 0
        self._named += 1
        if self._named <= _LOGGED:
            more = "" if self._named < _LOGGED else "; further ones are only counted for a minute"
            logger.warning(
                "a message on the reply topic %s changes nothing: %s%s", topic, what, more
            )
