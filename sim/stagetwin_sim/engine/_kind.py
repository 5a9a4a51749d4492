"""What a kind of model is: two Warp functions, and what their vectors mean.

A kind is written once and serves every instance on a stage, every fork of it, its observer and its
calibration, for all of them call the same two functions:

    advance(x, u, p, w, dt) -> x      states one step on
    observe(x, u, p) -> y             outputs

`x`, `u`, `p`, `w` and `y` are Warp vectors of float64 with one entry for each state, input,
parameter, standard normal draw and output, in the order in which the kind declares them; an empty
one has a single entry that means nothing. `dt` is a wp.float64 [s].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import ModelError

__all__ = ["Floats", "Kind", "Parameter", "Port", "StartValues", "StateVariable"]

Floats = npt.NDArray[np.float64]

StartValues = Callable[[Mapping[str, Floats], Mapping[str, Floats]], Mapping[str, Floats]]
"""Takes parameters and inputs, each shape (count,), to the states that they begin with."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a kind.

    Attributes:
        name: as signals are named.
        unit: UCUM.
        value: what an input is while nothing says otherwise, and an output before the first step.
        doc: what it is.
        low, high: what an output may be [unit]; a rehearsal refuses a command that takes it beyond.
    """

    name: str
    unit: str
    value: float = 0.0
    doc: str = ""
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class Parameter:
    """One constant of an instance.

    Attributes:
        name: as in `param:<name>` on the stage.
        unit: UCUM.
        value: what it is where the stage does not say.
        minimum, maximum: what it may be [unit].
        doc: what it is.
    """

    name: str
    unit: str
    value: float
    minimum: float = -math.inf
    maximum: float = math.inf
    doc: str = ""


@dataclass(frozen=True, slots=True)
class StateVariable:
    """One number that an instance remembers.

    Attributes:
        name: what it is called.
        unit: UCUM.
        value: what it begins with, where the kind has no `start`.
        doc: what it is.
        minimum, maximum: what an observer may correct it to [unit].
        noise: standard deviation of what disturbs it in a second [unit/sqrt(s)], for observers; NaN
            lets them choose.
    """

    name: str
    unit: str
    value: float = 0.0
    doc: str = ""
    minimum: float = -math.inf
    maximum: float = math.inf
    noise: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of model, as an entry point in the group `stagetwin.models` offers it.

    Attributes:
        name: the entry point's name.
        doc: what it models, in one line.
        source: where the formulas are from.
        inputs, outputs, parameters, states: what the vectors mean.
        draws: standard normal draws that each step takes.
        rate: steps a second [Hz]; a divisor or a multiple of the engine's frames.
        advance: the Warp function that moves states on; None for a kind without states.
        observe: the Warp function of the outputs.
        start: takes parameters and inputs to first states; None for those declared.
        differentiable: whether both functions have gradients that mean something.
        fidelity: how far its figures may be trusted before calibration.
        phase: when in a frame its turn is: `control`, `electrical`, `hydraulic`, `process`,
            `bodies`, `external` or `monitor`, in this order.
    """

    name: str
    doc: str
    source: str
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    states: tuple[StateVariable, ...] = ()
    draws: int = 0
    rate: float = 20.0
    advance: Callable[..., Any] | None = None
    observe: Callable[..., Any] | None = None
    start: StartValues | None = None
    differentiable: bool = True
    fidelity: str = "engineering"
    phase: str = "process"

    def __post_init__(self) -> None:
        for what in ("inputs", "outputs", "parameters", "states"):
            names = [each.name for each in getattr(self, what)]
            if doubled := sorted({n for n in names if names.count(n) > 1}):
                raise ModelError(f"{self.name}: {what} named twice: {', '.join(doubled)}")
        if self.states and self.advance is None:
            raise ModelError(f"{self.name} has states and no function that moves them on")
        if self.outputs and self.observe is None:
            raise ModelError(f"{self.name} has outputs and no function that gives them")
        if not 0 < self.rate < math.inf:
            raise ModelError(f"{self.name}: rate must be positive and finite, got {self.rate} Hz")

    def parameter_values(self, given: Mapping[str, float], place: str) -> list[float]:
        """Return the parameters of one instance, in order.

        Args:
            given: what the stage says, by name.
            place: path of the prim, for errors.

        Raises:
            ModelError: one is unknown, or out of its range.
        """
        known = {parameter.name for parameter in self.parameters}
        if unknown := sorted(given.keys() - known):
            allowed = ", ".join(sorted(known)) or "none"
            raise ModelError(
                f"{place}: a {self.name} has no parameter {', '.join(unknown)}; it has {allowed}"
            )
        return [self._checked(p, given.get(p.name, p.value), place) for p in self.parameters]

    def _checked(self, parameter: Parameter, value: float, place: str) -> float:
        if not parameter.minimum <= value <= parameter.maximum:  # also refuses NaN
            raise ModelError(
                f"{place}: param:{parameter.name} must be in [{parameter.minimum:g}, "
                f"{parameter.maximum:g}] {parameter.unit}, got {value:g}"
            )
        return float(value)

    def first_states(self, parameters: Floats, inputs: Floats) -> Floats:
        """Return the states that instances begin with, shape (state_count, count).

        Args:
            parameters: shape (parameter_count, count).
            inputs: shape (input_count, count).
        """
        count = parameters.shape[1]
        states = np.empty((len(self.states), count))
        said: Mapping[str, Any] = {}
        if self.start is not None:
            named = {p.name: parameters[i] for i, p in enumerate(self.parameters)}
            fed = {p.name: inputs[i] for i, p in enumerate(self.inputs)}
            said = self.start(named, fed)
        for i, state in enumerate(self.states):
            states[i] = said.get(state.name, state.value)
        return states
