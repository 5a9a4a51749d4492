"""What every message begins with, and the rules that all of its parts share."""

from __future__ import annotations

from typing import ClassVar

import msgspec

__all__ = ["UNSTAMPED", "Message", "Part"]

UNSTAMPED = -1
"""`header_id` of a message that nobody has numbered yet."""


def _unstamped() -> int:
    return UNSTAMPED


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """An object of the standard.

    Attributes have the standard's names in snake case; None is an optional field that is absent.
    """


# The header's defaults come from factories: what is a factory's is written even where it is a
# default, and a header must be.
class Message(Part, frozen=True, kw_only=True):
    """A message with its header (3.0, 7.2), which `Headers` fills in.

    Attributes:
        topic: last level of the topic that it travels on.
        header_id: counts the messages of one sender on one topic; -1 is not counted yet.
        timestamp: ISO 8601, UTC, milliseconds.
        version: of the protocol, `3.0.0`.
        manufacturer, serial_number: which vehicle sent it, or is spoken to.
    """

    topic: ClassVar[str] = ""

    header_id: int = msgspec.field(default_factory=_unstamped)
    timestamp: str = msgspec.field(default_factory=str)
    version: str = msgspec.field(default_factory=str)
    manufacturer: str = msgspec.field(default_factory=str)
    serial_number: str = msgspec.field(default_factory=str)
