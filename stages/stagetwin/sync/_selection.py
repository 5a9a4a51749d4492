"""Which rows of a board one subscription is sent, and how its client numbers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stagetwin._paths import is_below

__all__ = ["Part", "Selection", "choose"]

Array = npt.NDArray[Any]


class Part(NamedTuple):
    """The channels of a selection that one column has; every array has shape (n,).

    Attributes:
        column: number of the column.
        rows: the client's row numbers, ascending.
        places: positions in the board's table.
        slots: positions in the column.
    """

    column: int
    rows: Array
    places: Array
    slots: Array


@dataclass(slots=True, eq=False)
class Selection:
    """Rows of a board in the order in which its clients number them.

    Attributes:
        number: the `table` of frames made for it, a fingerprint of its lists.
        channels, movers, instancers: positions in the board's table, ascending.
        parts: its channels by column.
        text: the lists as JSON.
    """

    number: int
    channels: Array
    movers: Array
    instancers: Array
    parts: list[Part] = field(default_factory=list)
    text: str = ""


def choose(rows: Sequence[Mapping[str, Any]], prims: Sequence[str], within: Sequence[str]) -> Array:
    """Return the positions of the rows that are below one of `prims` and one of `within`."""
    found = list(range(len(rows)))
    for allowed in (prims, within):
        if "/" not in allowed:
            found = [i for i in found if any(is_below(rows[i]["path"], p) for p in allowed)]
    return np.array(found, np.intp)
