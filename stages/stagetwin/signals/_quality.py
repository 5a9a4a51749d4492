"""Quality of a signal and the status codes behind it."""

from __future__ import annotations

import enum

import numpy as np
import numpy.typing as npt

__all__ = ["Quality", "Status", "quality_of"]


class Quality(enum.IntEnum):
    """How far a value may be trusted; the token on the stage is the name in lower case."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2
    STALE = 3

    @property
    def token(self) -> str:
        """The allowed token of `twin:telemetry:<signal>:quality`."""
        return self.name.lower()


class Status(enum.IntEnum):
    """Raw status codes that stagetwin itself assigns.

    Numbering and meaning follow OPC UA Part 4, 7.38 and Part 8, 6.3: the two highest bits are the
    severity (00 good, 01 uncertain, 10 bad).
    """

    GOOD = 0x00000000
    UNCERTAIN = 0x40000000
    UNCERTAIN_INITIAL_VALUE = 0x40920000
    UNCERTAIN_ENGINEERING_UNITS_EXCEEDED = 0x40940000
    BAD = 0x80000000
    BAD_NO_COMMUNICATION = 0x80310000
    BAD_OUT_OF_RANGE = 0x803C0000
    BAD_TYPE_MISMATCH = 0x80740000
    BAD_DEVICE_FAILURE = 0x808B0000


def quality_of(status: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """Return the qualities that raw status codes stand for.

    Args:
        status: raw codes, shape (n,). The reserved severity 11 counts as bad.

    Returns:
        `Quality` values GOOD, UNCERTAIN or BAD, shape (n,).
    """
    severity = (status >> np.uint32(30)).astype(np.uint8)
    return np.minimum(severity, np.uint8(Quality.BAD))
