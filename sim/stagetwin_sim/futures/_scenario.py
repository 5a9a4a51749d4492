"""Scenario files: what is asked of the future, in TOML."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stagetwin_sim._errors import ScenarioError

__all__ = [
    "Constraint",
    "Cost",
    "ForecastOf",
    "FutureOf",
    "Layout",
    "Measure",
    "Optimise",
    "Over",
    "ParameterOf",
    "Scenario",
    "SetPoint",
    "Sweep",
    "read_scenario",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=200)]

_NEEDS = {
    "hold": (),
    "value": ("value",),
    "ramp": ("to", "over"),
    "profile": ("points",),
    "sine": ("amplitude", "period"),
    "recording": ("file", "column"),
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ForecastOf(_Part):
    """How a signal goes on. Each kind takes its own fields; see docs/whatif.md."""

    signal: Name
    kind: Literal["hold", "value", "ramp", "profile", "sine", "recording"]
    value: Finite | None = None
    to: Finite | None = None
    over: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    at: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    points: list[tuple[Finite, Finite]] | None = None
    stepped: bool = False
    mean: Finite | None = None
    amplitude: Finite | None = None
    period: Positive | None = None
    phase: Finite = 0.0
    file: str | None = None
    column: str | None = None
    time: str = ""
    begin: Finite = 0.0

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> ForecastOf:
        missing = [name for name in _NEEDS[self.kind] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a forecast of kind {self.kind} needs {', '.join(missing)}")
        return self


class SetPoint(_Part):
    """A set-point that a command is given."""

    command: Name
    value: Finite | bool
    at: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class ParameterOf(_Part):
    """A model's parameter or constant input that is otherwise."""

    model: Name
    parameter: Name
    value: Finite | None = None
    factor: Finite | None = None

    @model_validator(mode="after")
    def _says_one(self) -> ParameterOf:
        if (self.value is None) == (self.factor is None):
            raise ValueError("give either value or factor")
        return self


class Layout(_Part):
    """Another plant: layers over it, and variants chosen in it."""

    layers: list[str] = []
    variants: dict[str, dict[str, str]] = {}


class FutureOf(_Part):
    """One future; `repeat` runs it with as many seeds."""

    name: Name
    set: list[SetPoint] = []
    parameter: list[ParameterOf] = []
    forecast: list[ForecastOf] = []
    layout: Layout | None = None
    repeat: Annotated[int, Field(ge=1, le=100_000)] = 1


class Over(_Part):
    """What is varied: a set-point, a signal's value, or a parameter."""

    command: str = ""
    signal: str = ""
    model: str = ""
    parameter: str = ""
    values: list[Finite] | None = None
    low: Finite | None = None
    high: Finite | None = None
    count: Annotated[int, Field(ge=1, le=10_000)] = 5

    @model_validator(mode="after")
    def _is_one_thing(self) -> Over:
        if sum(bool(each) for each in (self.command, self.signal, self.model)) != 1:
            raise ValueError("give one of command, signal, or model with parameter")
        if bool(self.model) != bool(self.parameter):
            raise ValueError("model and parameter go together")
        if self.values is None and (self.low is None or self.high is None):
            raise ValueError("give values, or low and high")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be under high, got {self.low:g} and {self.high:g}")
        return self

    @property
    def label(self) -> str:
        """What it varies, in short."""
        return (self.command or self.signal or f"{self.model}.{self.parameter}").rpartition("/")[2]


class Sweep(_Part):
    """Futures that differ in some numbers, from a named future or from the present."""

    name: Name
    kind: Literal["grid", "random"] = "grid"
    over: Annotated[list[Over], Field(min_length=1, max_length=64)]
    samples: Annotated[int, Field(ge=1, le=100_000)] = 16
    seed: int = 0
    future: str = ""


class Measure(_Part):
    """One number made of a signal over a future."""

    name: Name
    signal: Name
    kind: Literal[
        "min",
        "max",
        "mean",
        "final",
        "integral",
        "above",
        "below",
        "first-above",
        "first-below",
    ]
    limit: Finite | None = None

    @model_validator(mode="after")
    def _has_its_limit(self) -> Measure:
        if ("above" in self.kind or "below" in self.kind) != (self.limit is not None):
            needs = "needs a" if self.limit is None else "takes no"
            raise ValueError(f"a measure of kind {self.kind} {needs} limit")
        return self


class Cost(_Part):
    """One number made of measures."""

    name: Name
    expression: Name


class Constraint(_Part):
    """What a measure or cost may be at a set-point that is sought."""

    measure: Name
    most: Finite | None = None
    least: Finite | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Constraint:
        if self.most is None and self.least is None:
            raise ValueError("give most, least, or both")
        return self


class Optimise(_Part):
    """Set-points that are sought."""

    goal: Name
    method: Literal["grid", "random", "gradient"] = "gradient"
    over: Annotated[list[Over], Field(min_length=1, max_length=64)]
    constraint: list[Constraint] = []
    future: str = ""
    samples: Annotated[int, Field(ge=1, le=100_000)] = 64
    seed: int = 0

    @model_validator(mode="after")
    def _has_bounds(self) -> Optimise:
        for over in self.over:
            if over.low is None or over.high is None:
                raise ValueError(f"{over.label}: what is sought has low and high")
        return self


class Scenario(_Part):
    """What is asked of the future; docs/whatif.md tells each field."""

    name: Name
    horizon: Positive
    sample: Positive = 1.0
    seed: int = 0
    memory: Positive = 1024.0
    approve_rules: bool = False
    forecast: list[ForecastOf] = []
    future: list[FutureOf] = []
    sweep: list[Sweep] = []
    measure: list[Measure] = []
    cost: list[Cost] = []
    trace: list[Name] = []
    optimise: Optimise | None = None

    @model_validator(mode="after")
    def _names_are_unique(self) -> Scenario:
        measured = [*(m.name for m in self.measure), *(c.name for c in self.cost)]
        futures = [f.name for f in self.future]
        for what, names in (("future", futures), ("measure or cost", measured)):
            if doubled := sorted(name for name, n in Counter(names).items() if n > 1):
                raise ValueError(f"two of one name among {what}s: {', '.join(doubled)}")
        return self

    @classmethod
    def of(cls, given: dict[str, Any], place: str = "scenario") -> Scenario:
        """Return a scenario from plain data.

        Raises:
            ScenarioError: something is missing, unknown or out of range; names the place.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            said = [
                f"{_place(fault['loc'])}: {_words(fault['msg'])}" for fault in error.errors()[:5]
            ]
            raise ScenarioError(f"{place}: {'; '.join(said)}") from None


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        ScenarioError: it cannot be read, is no TOML, or asks for what may not be.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from None
    return Scenario.of(given, str(path))


def _place(parts: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.lstrip(".") or "the whole"


def _words(message: str) -> str:
    """Return a message without the library's own words for our checks."""
    return message.removeprefix("Value error, ")
