"""Redundancy: several signals, one property; the best of them drives it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stagetwin.bindings import TelemetryBinding
from stagetwin.hub._latest import Latest

__all__ = ["RedundancyGroups"]


class RedundancyGroups:
    """The groups of a table. Members are in name order, which settles ties."""

    def __init__(self, bindings: Mapping[int, TelemetryBinding]) -> None:
        members: dict[tuple[str, str, str, int], list[int]] = {}
        for i, b in sorted(bindings.items(), key=lambda item: item[1].signal):
            if b.redundancy_group:
                key = (b.asset, b.redundancy_group, b.target, b.element)
                members.setdefault(key, []).append(i)
        self._groups = [np.array(group) for group in members.values() if len(group) > 1]
        self._selected = [-1] * len(self._groups)

    def __bool__(self) -> bool:
        return bool(self._groups)

    def select(self, latest: Latest, value: npt.NDArray[np.bool_]) -> None:
        """Keep only the selected member's value among what is to be written.

        Args:
            latest: state of all channels.
            value: channels whose value is new, changed in place: a member that takes over is
                written even if its value is not new.
        """
        for n, group in enumerate(self._groups):
            arrived = latest.arrived[group]
            rank = np.where(arrived, latest.quality[group], np.uint8(255))
            best = int(np.argmin(rank))
            others = np.delete(group, best)
            value[others] = False
            winner = int(group[best])
            if winner != self._selected[n] and bool(arrived[best]):
                value[winner] = True
                self._selected[n] = winner
