"""Where a machine can fail: ports of its models, and of what has no model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Weakness", "port_range"]

_RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("pump", "wear"): (0.0, 0.95),
    ("pump", "leak"): (0.0, 1.0),
    ("pump", "blockage"): (0.0, 0.99),
    ("pipe", "blockage"): (0.0, 0.999),
    ("pipe", "leak"): (0.0, 1.0),
    ("valve", "stuck"): (0.0, 1.0),
    ("valve", "leak"): (0.0, 1.0),
    ("tank", "leak"): (0.0, 1.0),
    ("conveyor", "blocked"): (0.0, 1.0),
}
"""Of the ports of the kinds that are here, by kind and port [the port's unit]."""

_USUAL: dict[str, tuple[float, float]] = {
    "wear": (0.0, 1.0),
    "leak": (0.0, math.inf),
    "blockage": (0.0, 1.0),
    "stuck": (0.0, 1.0),
    "blocked": (0.0, 1.0),
}
"""Of ports of these names, whatever the kind."""


def port_range(kind: str, port: str, low: float, high: float) -> tuple[float, float]:
    """Return what a port of a kind of model may be.

    Args:
        kind: of the model.
        port: name of the input.
        low, high: what the kind itself says.
    """
    if math.isfinite(low) or math.isfinite(high):
        return low, high
    return _RANGES.get((kind, port)) or _USUAL.get(port, (low, high))


@dataclass(frozen=True, slots=True, eq=False)
class Weakness:
    """One place where the process can fail.

    Attributes:
        prim: path of the prim.
        asset: path of the machine.
        model: name of the model; empty for the machine's own physics.
        port: what may fail: the name of the kind of fault.
        unit: UCUM, of its amount.
        low, high: what the amount may be [unit].
        sound: what it is without a fault [unit].
        strike: takes the value in force [unit].
    """

    prim: str
    asset: str
    model: str
    port: str
    unit: str
    low: float
    high: float
    sound: float
    strike: Callable[[float], None]
