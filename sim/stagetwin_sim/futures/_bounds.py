"""How much of the future may be asked for at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from stagetwin_sim._errors import CancelledError, ScenarioError
from stagetwin_sim.futures._scenario import Over, Scenario

__all__ = ["Bounds", "count_of", "wanted"]


@dataclass(slots=True, kw_only=True)
class Bounds:
    """What one question may ask for, and what it has run so far.

    As made, they are those of somebody at the machine itself, who may stop it at any time.

    Attributes:
        horizon: of each future [s].
        worlds: futures of a scenario, and points of a search.
        frames: of all futures together, those of a search among them.
        memory: that a scenario may name [MiB].
        numbers: in the traces of an answer.
        layouts: other stages that are read.
        ran: frames that were run.
    """

    horizon: float = 1e9
    worlds: int = 1_000_000
    frames: float = math.inf
    memory: float = math.inf
    numbers: float = math.inf
    layouts: float = math.inf
    ran: int = 0

    @classmethod
    def of_wire(cls) -> Bounds:
        """Return what may be asked for over a wire: docs/whatif.md gives the reasons."""
        return cls(
            horizon=7 * 86_400.0,
            worlds=4096,
            frames=100_000_000,
            memory=1024.0,
            numbers=2_000_000,
            layouts=16,
        )

    def check(self, scenario: Scenario) -> None:
        """Look at a scenario before anything of it is made.

        Raises:
            ScenarioError: it asks for more than may be.
        """
        _within("horizon", scenario.horizon, self.horizon, "s")
        _within("memory", scenario.memory, self.memory, "MiB")
        layouts = {f.layout.model_dump_json() for f in scenario.future if f.layout is not None}
        _within("other layouts", len(layouts), self.layouts)
        futures = sum(future.repeat for future in scenario.future)
        for sweep in scenario.sweep:
            futures += count_of(sweep.over) if sweep.kind == "grid" else sweep.samples
        _within("futures", futures, self.worlds)
        if (asked := scenario.optimise) is not None:
            points = count_of(asked.over) if asked.method == "grid" else asked.samples
            _within("points of optimise", points, self.worlds)

    def run(self, worlds: int, frames: int) -> None:
        """Take note of futures that are about to be run.

        Raises:
            ScenarioError: with them it would be more than may be.
        """
        if self.ran + worlds * frames > self.frames:
            raise ScenarioError(
                f"{worlds} futures of {frames} frames on top of {self.ran} frames are more than "
                f"the {self.frames:.0f} that one question may run: ask for fewer futures, or a "
                "shorter horizon"
            )
        self.ran += worlds * frames

    def traced(self, numbers: int) -> None:
        """Raise ScenarioError unless an answer may hold so many numbers of traces."""
        if numbers > self.numbers:
            raise ScenarioError(
                f"traces of {numbers} numbers are more than the {self.numbers:.0f} that an answer "
                "holds: make sample longer or name fewer traces"
            )


def count_of(over: list[Over]) -> int:
    """Return how many combinations a grid has."""
    return math.prod(each.count if each.values is None else len(each.values) for each in over)


def wanted(cancelled: Callable[[], bool] | None) -> None:
    """Raise CancelledError if nobody waits any more."""
    if cancelled is not None and cancelled():
        raise CancelledError("cancelled before its futures ran")


def _within(what: str, got: float, most: float, unit: str = "") -> None:
    if got > most:
        raise ScenarioError(f"{what}: at most {most:.7g} {unit}".rstrip() + f", got {got:.7g}")
