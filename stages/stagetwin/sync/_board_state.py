"""The newest state of every channel of a board, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.signals import Quality, Status

__all__ = ["State"]

Array = npt.NDArray[Any]


@dataclass(slots=True, eq=False)
class State:
    """Newest state by channel; every array has shape (n,).

    Attributes:
        column: number of the column that has the value.
        slot: where in it.
        known: whether there is a value.
        changed: tick at which anything of it changed.
        valued: tick at which its value did.
        times: when the source took it [s, Unix], NaN where unknown.
        qualities: `Quality`.
        status: raw codes.
    """

    column: Array
    slot: Array
    known: Array
    changed: Array
    valued: Array
    times: Array
    qualities: Array
    status: Array

    @classmethod
    def empty(cls, size: int, tick: int) -> State:
        """Return the state of channels of which nothing was heard."""
        return cls(
            column=np.zeros(size, np.intp),
            slot=np.zeros(size, np.intp),
            known=np.zeros(size, np.bool_),
            changed=np.full(size, tick, np.int64),
            valued=np.zeros(size, np.int64),
            times=np.full(size, np.nan),
            qualities=np.full(size, Quality.STALE, np.uint8),
            status=np.full(size, Status.BAD_NO_COMMUNICATION, np.uint32),
        )
