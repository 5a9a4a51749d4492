"""Ranges of randomised physics, from what telemetry could tell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Self

from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments._config import Parameter
from stagetwin_sim.environments._terms import Distribution, Randomization, Range

__all__ = ["CalibratedRange", "Ranges"]


class CalibratedRange(NamedTuple):
    """The interval that a fit gave a parameter.

    Attributes:
        low, high: of the 95 % interval [unit].
        unit: UCUM; empty where the set does not say.
    """

    low: float
    high: float
    unit: str


@dataclass(frozen=True)
class Ranges(Mapping[str, CalibratedRange]):
    """What fits know of parameters, by `PRIM.MODEL:PARAMETER`.

    Attributes:
        known: intervals.
        source: where they are from.
    """

    known: Mapping[str, CalibratedRange]
    source: str = ""

    @classmethod
    def from_parameter_set(cls, layer: Path | str) -> Self:
        """Read the intervals of a set of parameters that a calibration wrote.

        A parameter without a finite interval is left out: the data could not tell it.

        Raises:
            CalibrationError: the layer is no set of parameters.
        """
        from stagetwin_sim.calibration import read_parameter_set

        said = read_parameter_set(Path(layer))
        known = {
            f"{place}:{name}": CalibratedRange(value.low, value.high, value.unit)
            for place, parameters in said.values.items()
            for name, value in parameters.items()
            if math.isfinite(value.low) and math.isfinite(value.high) and value.low <= value.high
        }
        return cls(known, f"{layer}, version {said.version}")

    def __getitem__(self, key: str) -> CalibratedRange:
        return self.known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)

    def randomization(
        self,
        parameter: Parameter,
        *keys: str,
        distribution: Distribution = "normal",
        mode: Literal["startup", "reset"] = "reset",
    ) -> Randomization:
        """Return how a parameter of a task is drawn: within all that was fitted for it.

        Args:
            parameter: of the task's physics; intervals are converted to its unit.
            keys: `PRIM.MODEL:PARAMETER`; of several (a fleet's vehicles) the range holds them all.
            distribution: see Range; a 95 % interval is two standard deviations to each side.
            mode: when it is drawn.

        Raises:
            TaskError: nothing is known of a key, its unit is another quantity's, or the interval
                has what the parameter cannot be.
        """
        from stagetwin_sim.plant import UnitsError, conversion

        if not keys:
            raise TaskError(f"{parameter.name}: name what it is fitted as")
        ends: list[float] = []
        for key in keys:
            if key not in self.known:
                names = ", ".join(self.known) or "nothing"
                raise TaskError(
                    f"{parameter.name}: no interval of {key}; {self.source} has {names}"
                )
            fitted = self.known[key]
            try:
                to = conversion(fitted.unit or parameter.unit, parameter.unit)
            except UnitsError as error:
                raise TaskError(f"{parameter.name}: {key} is in {fitted.unit}: {error}") from error
            ends += [to(fitted.low), to(fitted.high)]
        low, high = min(ends), max(ends)
        if not parameter.low <= low <= high <= parameter.high:
            raise TaskError(
                f"{parameter.name}: it can be within [{parameter.low:g}, {parameter.high:g}] "
                f"{parameter.unit}, and {', '.join(keys)} were fitted to [{low:g}, {high:g}]"
            )
        return Randomization(
            parameter=parameter.name, range=Range(low, high, distribution), mode=mode
        )
