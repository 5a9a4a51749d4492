"""Who speaks, and where: topics and headers (VDA 5050 3.0, 4.1 to 4.3 and 7.2)."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

import msgspec

from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.vda5050.messages._header import Message

__all__ = [
    "VERSIONS",
    "Headers",
    "Identity",
    "is_retained",
    "qos_of",
    "seconds_of",
    "timestamp_of",
    "topic_of",
    "version_of",
]

M = TypeVar("M", bound=Message)

VERSIONS: Final = ("2.1.0", "3.0.0")
"""Versions of the standard that are spoken here."""

_SERIAL = re.compile(r"[A-Za-z0-9_.:-]+")
_LEVEL = re.compile(r"[^/+#$\x00-\x1f\x7f]+")
_COUNTERS = 2**32


def version_of(text: str) -> str:
    """Return the full version that a text such as `3.0` or `2.1.0` stands for.

    Raises:
        MessageError: no version that is spoken here.
    """
    for version in VERSIONS:
        if text in (version, version.rpartition(".")[0]):
            return version
    raise MessageError(f"version {text!r}: allowed are {', '.join(VERSIONS)}")


@dataclass(frozen=True, slots=True)
class Identity:
    """A vehicle as its topics and headers name it.

    Attributes:
        interface: first level of its topics.
        version: of the standard that it speaks; `3.0` is taken for `3.0.0`.
        manufacturer: of the vehicle; not `/`, `+`, `#`, `$`.
        serial: unique among the manufacturer's; A-Z a-z 0-9 _ . : -

    Raises:
        MessageError: a name has characters that 4.2 does not allow.
    """

    interface: str
    version: str
    manufacturer: str
    serial: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", version_of(self.version))
        for name in ("interface", "manufacturer"):
            if not _LEVEL.fullmatch(getattr(self, name)):
                raise MessageError(
                    f"{name} {getattr(self, name)!r}: expected one or more characters other than "
                    f"/ + # $ and control characters"
                )
        if not _SERIAL.fullmatch(self.serial):
            raise MessageError(
                f"serial number {self.serial!r}: expected one or more of A-Z a-z 0-9 _ . : -"
            )

    @property
    def name(self) -> str:
        """`MANUFACTURER/SERIAL`, as addresses on the stage have it."""
        return f"{self.manufacturer}/{self.serial}"

    @property
    def root(self) -> str:
        """What all its topics begin with, without the last slash."""
        major = self.version.partition(".")[0]
        return f"{self.interface}/v{major}/{self.manufacturer}/{self.serial}"


def topic_of(identity: Identity, topic: str) -> str:
    """Return the whole topic of a message.

    Args:
        identity: whose it is.
        topic: last level, such as `Order.topic`.
    """
    return f"{identity.root}/{topic}"


def qos_of(topic: str) -> int:
    """Return the quality of service that 4.1 asks for on a topic."""
    return 1 if topic == "connection" else 0


def is_retained(topic: str) -> bool:
    """Return whether the broker keeps the last message of a topic (6.5 and 6.10)."""
    return topic in ("connection", "factsheet")


@lru_cache(maxsize=16)
def timestamp_of(seconds: float) -> str:
    """Return a time [s, Unix] as the standard writes it: ISO 8601, UTC, milliseconds.

    The vehicles of a fleet that step together say the same time.
    """
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


def seconds_of(timestamp: str) -> float:
    """Return the time [s, Unix] of an ISO 8601 text, UTC where it names no zone.

    Raises:
        MessageError: it is none.
    """
    try:
        moment = datetime.datetime.fromisoformat(timestamp)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise MessageError(
            f"timestamp {timestamp!r}: expected ISO 8601 such as 2026-03-18T11:40:03.123Z"
        ) from None


class Headers:
    """Numbers and dates what one sender says of or to one vehicle; a counter for each topic."""

    def __init__(self, identity: Identity, now: Callable[[], float] = time.time) -> None:
        self.identity = identity
        self._now = now
        self._counters: dict[str, int] = {}

    def stamp(self, message: M) -> M:
        """Return the message with the next header of its topic."""
        number = self._counters.get(message.topic, 0)
        self._counters[message.topic] = (number + 1) % _COUNTERS
        who = self.identity
        return msgspec.structs.replace(
            message,
            header_id=number,
            timestamp=timestamp_of(self._now()),
            version=who.version,
            manufacturer=who.manufacturer,
            serial_number=who.serial,
        )
