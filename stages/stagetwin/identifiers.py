"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import os
import threading
import time
import uuid

__all__ = ["uuid7"]

_COUNTER_BITS = 42
_TAIL_BITS = 32
_TIME_MASK = (1 << 48) - 1

_lock = threading.Lock()
_newest = (0, 0)
"""Millisecond and counter of the newest identifier."""


def uuid7() -> str:
    """Return a new UUIDv7 as text; each is greater than every one before it in this process.

    Layout: RFC 9562, section 5.7, with the fixed-length counter of section 6.2, method 1: 48 bits
    of Unix time [ms], 42 bits of a counter that starts at random every millisecond, 32 random
    bits. A clock that steps back, or more in a millisecond than the counter holds, runs the time
    of the newest identifier on.
    """
    global _newest
    now = time.time_ns() // 1_000_000 & _TIME_MASK
    drawn = int.from_bytes(os.urandom(10))
    tail = drawn & ((1 << _TAIL_BITS) - 1)
    with _lock:
        newest, counter = _newest
        if now > newest:
            # The counter's top bit is left clear: room to count in.
            moment, counter = now, drawn >> _TAIL_BITS & ((1 << (_COUNTER_BITS - 1)) - 1)
        else:
            moment, counter = newest, counter + 1
            if counter >> _COUNTER_BITS:
                moment, counter = newest + 1, 0
        _newest = (moment, counter)
    high, low = counter >> 30, counter & ((1 << 30) - 1)
    bits = moment << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << _TAIL_BITS | tail
    return str(uuid.UUID(int=bits))
