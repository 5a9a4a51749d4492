"""What a simulator said last, as a whole: it says what changed, and the layer wants what is."""

from __future__ import annotations

import math

import numpy as np

from stagetwin.simulation import wire

__all__ = ["ExpectedNumbers"]


class ExpectedNumbers:
    """Newest values and poses, by positions in the simulator's table.

    Attributes:
        values: shape (output_count,); NaN where nothing is known.
        matrices: shape (pose_count, 16); NaN where nothing is known.
        time: of which time they are [s, Unix].
        fresh: whether something came since this was cleared.
    """

    def __init__(self) -> None:
        self.bind(0, 0)

    def bind(self, outputs: int, poses: int) -> None:
        """Forget everything; take positions of another table."""
        self.time = math.nan
        self.values = np.full(outputs, math.nan)
        self.matrices = np.full((poses, 16), math.nan)
        self.fresh = False

    def take(self, kind: wire.Kind, columns: wire.Columns) -> None:
        """Take what a simulator says; positions that are not there do not count."""
        target = self.matrices if kind is wire.Kind.POSES else self.values
        if columns.values.ndim != target.ndim:
            return
        there = (columns.index >= 0) & (columns.index < len(target))
        target[columns.index[there]] = columns.values[there]
        self.time, self.fresh = columns.time, True

    def again(self) -> None:
        """Wait for the next word before anything counts."""
        self.fresh = False
