"""What FMUs say, brought to the log with the prim that it is about."""

from __future__ import annotations

import ctypes
import logging
from ctypes import byref
from itertools import count
from typing import Any

from fmpy import calloc, fmi2, fmi3, free
from fmpy.logging import addLoggerProxy

__all__ = ["Speaker", "callbacks2", "logger3"]

_log = logging.getLogger("stagetwin_sim.fmi")
_LEVELS = (logging.DEBUG, logging.WARNING, logging.WARNING, logging.ERROR, logging.CRITICAL)


class Speaker:
    """One instance, as its messages are told.

    Attributes:
        place: prim path and model name.
        key: what the FMU gives back with each message.
        last: the last message that is no mere information.
    """

    __slots__ = ("key", "last", "place")

    _count = count(1)
    _all: dict[int, Speaker] = {}  # noqa: RUF012

    def __init__(self, place: str) -> None:
        self.place = place
        self.last = ""
        self.key = next(self._count)
        self._all[self.key] = self

    def close(self) -> None:
        """Hear no more."""
        self._all.pop(self.key, None)

    @classmethod
    def hear(cls, key: int | None, status: int, message: bytes | None) -> None:
        """Take a message of an instance."""
        text = (message or b"").decode("utf-8", "replace").strip()
        speaker = cls._all.get(key or 0)
        place = speaker.place if speaker else "an FMU"
        level = _LEVELS[status] if 0 <= status < len(_LEVELS) else logging.WARNING
        if speaker and level > logging.DEBUG:
            speaker.last = text
        _log.log(level, "%s: %s", place, text)


def _hear2(key: int | None, _: Any, status: int, __: Any, message: bytes | None) -> None:
    Speaker.hear(key, status, message)


def _hear3(key: int | None, status: int, _: Any, message: bytes | None) -> None:
    Speaker.hear(key, status, message)


logger3 = fmi3.fmi3LogMessageCallback(_hear3)
"""The log callback of all instances of FMI 3."""


def _first2() -> Any:
    made = fmi2.fmi2CallbackFunctions()
    made.logger = fmi2.fmi2CallbackLoggerTYPE(_hear2)
    made.allocateMemory = fmi2.fmi2CallbackAllocateMemoryTYPE(calloc)
    made.freeMemory = fmi2.fmi2CallbackFreeMemoryTYPE(free)
    # fmpy's native proxy formats what C's variable arguments bring; it passes on to the last
    # logger that it was given, so there is one for all instances.
    addLoggerProxy(byref(made))
    return made


_shared2 = _first2()


def callbacks2(speaker: Speaker) -> Any:
    """Return the callbacks of one instance of FMI 2; they must live as long as it."""
    made = fmi2.fmi2CallbackFunctions()
    ctypes.memmove(byref(made), byref(_shared2), ctypes.sizeof(made))
    made.componentEnvironment = speaker.key
    return made
