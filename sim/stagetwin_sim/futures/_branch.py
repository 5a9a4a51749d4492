"""What one future does otherwise than the present goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stagetwin_sim.futures._forecast import Forecast, Setting

__all__ = ["Branch", "ParameterChange"]


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A model's parameter, or an input that is a constant, that a future has otherwise.

    Attributes:
        model: `PRIM.NAME`.
        name: of the parameter.
        value: in the kind's unit.
        factor: times what it is, where there is no value.
    """

    model: str
    name: str
    value: float | None = None
    factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One world.

    Attributes:
        name: of the future.
        settings: set-points.
        forecasts: by the path of the signal.
        parameters: that are otherwise.
        seed: of everything random; None is the present's.
    """

    name: str = ""
    settings: tuple[Setting, ...] = ()
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)
    parameters: tuple[ParameterChange, ...] = ()
    seed: int | None = None
