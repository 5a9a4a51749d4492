"""From what a policy says to commands that somebody might give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["Advice", "Choices", "Proposal", "Route", "SpeedLimit", "Switch"]

Value = bool | float | str


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A command that a policy would give.

    Attributes:
        target: prim path and name of the command.
        value: plain data.
    """

    target: str
    value: Value


class Advice(Protocol):
    """Turns numbers of one action [unit] into a command; None for nothing to say."""

    @property
    def action(self) -> str: ...

    def propose(self, values: npt.NDArray[np.float64], before: Value | None) -> Proposal | None:
        """Return what to command, given the values of `action` and what was proposed last."""
        ...


class Switch(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="switch",
):
    """Release and hold: one command above a threshold, another below it.

    Attributes:
        action: name of the term.
        index: of the number in it.
        target: the command.
        above, below: what is asked for on each side.
        threshold: [unit].
        band: half of what lies between the two, in which nothing changes [unit].
    """

    action: str
    target: str
    index: int = 0
    above: bool | str = True
    below: bool | str = False
    threshold: float = 0.5
    band: float = 0.05

    def propose(self, values: npt.NDArray[np.float64], before: Value | None) -> Proposal | None:
        """See Advice."""
        off = float(values.reshape(-1)[self.index]) - self.threshold
        if before is not None and abs(off) <= self.band:
            return None
        return Proposal(target=self.target, value=self.above if off > 0.0 else self.below)


class Route(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="route",
):
    """A choice among places: the greatest number says which.

    Attributes:
        action: name of the term, with one number a place.
        target: the command, of a goal.
        places: ids of stations or nodes.
        lead: by how much another must be greater than the present one [unit].
    """

    action: str
    target: str
    places: tuple[str, ...]
    lead: float = 0.1

    def propose(self, values: npt.NDArray[np.float64], before: Value | None) -> Proposal | None:
        """See Advice."""
        flat = values.reshape(-1)[: len(self.places)]
        best = int(np.argmax(flat))
        if before in self.places:
            now = self.places.index(str(before))
            if flat[best] <= flat[now] + self.lead:
                return None
        return Proposal(target=self.target, value=self.places[best])


class SpeedLimit(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="speed-limit",
):
    """A number as it is, in steps.

    Attributes:
        action: name of the term.
        target: the command.
        index: of the number in it.
        step: least change that is worth a command [unit].
    """

    action: str
    target: str
    index: int = 0
    step: float = 0.1

    def propose(self, values: npt.NDArray[np.float64], before: Value | None) -> Proposal | None:
        """See Advice."""
        value = round(float(values.reshape(-1)[self.index]) / self.step) * self.step
        if isinstance(before, float) and abs(before - value) < 0.5 * self.step:
            return None
        return Proposal(target=self.target, value=value)


class Choices:
    """All that a policy may propose; says only what changed.

    Args:
        advice: one for each command.
    """

    def __init__(self, advice: Sequence[Advice]) -> None:
        self._advice = tuple(advice)
        self._before: dict[int, Value] = {}

    def propose(self, values: Mapping[str, npt.NDArray[np.float64]]) -> list[Proposal]:
        """Return what changed since it was proposed last."""
        found: list[Proposal] = []
        for i, one in enumerate(self._advice):
            said = one.propose(values[one.action], self._before.get(i))
            if said is not None and said.value != self._before.get(i):
                self._before[i] = said.value
                found.append(said)
        return found

    def forget(self) -> None:
        """Propose everything anew."""
        self._before.clear()
