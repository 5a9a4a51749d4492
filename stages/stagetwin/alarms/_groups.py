"""Channels that are judged together: all signals of an asset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Groups", "any_of", "groups_of"]

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


@dataclass(slots=True, eq=False)
class Groups:
    """Channels that are judged together, for all assets; every array has shape (m,).

    Attributes:
        channel: channel index; 0 where `trusted` is False.
        group: number of the group within its part.
        trusted: whether the channel is what the plant binds.
        silent_only: whether a goodbye does not count: another alarm says it.
    """

    channel: Rows
    group: Rows
    trusted: Mask
    silent_only: Mask


def any_of(group: Rows, rows: Mask, count: int) -> Mask:
    """Return which of `count` groups have a row that is set."""
    found: Mask = np.bincount(group[rows], minlength=count) > 0
    return found


def groups_of(rows: Sequence[tuple[int, int, bool, bool]]) -> Groups:
    """Return channels in groups, from (channel, group, trusted, silent only)."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return Groups(
        np.array(columns[0], np.intp),
        np.array(columns[1], np.intp),
        np.array(columns[2], np.bool_),
        np.array(columns[3], np.bool_),
    )
