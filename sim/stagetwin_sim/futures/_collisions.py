"""Bodies that touch in a future and would not touch otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from stagetwin_sim.futures._future import Future
from stagetwin_sim.futures._verdict import Finding

__all__ = ["Collisions", "Touch", "Touching"]


class Touch(NamedTuple):
    """Two bodies in contact: at least one of them moves, and neither is there to be touched.

    Attributes:
        world: in which.
        a, b: paths of their prims.
    """

    world: int
    a: str
    b: str


@runtime_checkable
class Touching(Protocol):
    """A system of bodies that can say which of them touch."""

    def touching(self) -> Sequence[Touch]:
        """Return the pairs that are in contact after the newest frame."""
        ...


class Collisions:
    """Watches the bodies of a future: in its first world with a command, in others without."""

    def __init__(self, future: Future) -> None:
        self._future = future
        self._systems = [s for s in future.engine.systems.values() if isinstance(s, Touching)]
        self._first: list[dict[frozenset[str], float]] = [{} for _ in range(future.engine.worlds)]

    @property
    def systems(self) -> set[str]:
        """Names of the systems of bodies."""
        return {n for n, each in self._future.engine.systems.items() if isinstance(each, Touching)}

    @property
    def watched(self) -> bool:
        """Whether there are bodies at all."""
        return bool(self._systems)

    def look(self) -> None:
        """Look at the newest frame."""
        now = self._future.time
        for system in self._systems:
            for touch in system.touching():
                if touch.a != touch.b:
                    self._first[touch.world].setdefault(frozenset((touch.a, touch.b)), now)

    def findings(self) -> list[Finding]:
        """Return the pairs that touch with the command alone or earlier, the earliest first.

        A collision that comes anyway excuses none that comes sooner.
        """
        told, *others = self._first
        found = []
        for pair, when in sorted(told.items(), key=lambda each: (each[1], sorted(each[0]))):
            late = when + self._future.engine.plan.frame
            if not others or any(not untold.get(pair, math.inf) <= late for untold in others):
                a, b = sorted(pair)
                found.append(
                    Finding(
                        kind="collision",
                        prim=a,
                        signal=b,
                        value=math.nan,
                        limit=math.nan,
                        unit="",
                        time=when,
                        message=f"{a} hits {b} after {when:.2f} s",
                    )
                )
        return found
