"""What a rehearsal found, and why."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Believed", "Finding", "Margin", "Outcome", "Verdict"]


class Outcome(enum.StrEnum):
    """What may be said of a command; only `held` lets it go on."""

    HELD = "held"
    VIOLATED = "violated"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a future breaks.

    Attributes:
        kind: `hard`, `soft`, `alarm`, `model`, `permissive` or `collision`.
        prim: whose.
        signal: `PRIM.NAME` of a signal, `PRIM.MODEL.PORT` of an output, or the other body.
        value: what it was when it first broke the limit; NaN of a collision.
        limit: what it may be [unit].
        unit: UCUM.
        time: when [s from now].
        message: all of it in words.
    """

    kind: str
    prim: str
    signal: str
    value: float
    limit: float
    unit: str
    time: float
    message: str


@dataclass(frozen=True, slots=True)
class Margin:
    """How near a signal came to a limit; negative is beyond it.

    Attributes:
        signal: see Finding.
        kind: of the limit.
        margin: [unit].
        unit: UCUM.
        time: when it was nearest [s from now].
    """

    signal: str
    kind: str
    margin: float
    unit: str
    time: float


@dataclass(frozen=True, slots=True)
class Believed:
    """A model that the command moves.

    Attributes:
        model: `PRIM.NAME`.
        kind: of it.
        fidelity: how far its figures may be trusted.
    """

    model: str
    kind: str
    fidelity: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a rehearsal found.

    Attributes:
        outcome: held, violated or inconclusive.
        cause: in words.
        command: `PRIM.NAME`.
        value: of the set-point.
        horizon, simulated: how far it should look, and looked [s].
        budget, spent: how long it might take, and took [s].
        frames: that were run.
        digest: of present, command and all that came of it: the same present gives the same.
        violations: that the command causes; the earliest first.
        warnings: soft limits and alarms that the command causes.
        already: what is broken without the command as well, no later and no less.
        margins: of the limits that refuse, the nearest first.
        believed: models that the command moves.
        silent: why rules of the stage did not act, by path.
        present: `time` [s, Unix], `stage` and `parameters` of the present.
    """

    outcome: Outcome
    cause: str
    command: str
    value: float
    horizon: float
    budget: float
    simulated: float = 0.0
    spent: float = 0.0
    frames: int = 0
    digest: str = ""
    violations: Sequence[Finding] = ()
    warnings: Sequence[Finding] = ()
    already: Sequence[Finding] = ()
    margins: Sequence[Margin] = ()
    believed: Sequence[Believed] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    present: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; NaN and infinities become None."""
        said = asdict(self)
        said["verdict"] = said.pop("outcome").value
        said["hash"] = said.pop("digest")
        plain: dict[str, Any] = _plain(said)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not -1e308 < value < 1e308:
        return None
    return value
