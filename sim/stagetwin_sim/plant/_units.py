"""Conversion between UCUM units: exact, as a scale and an offset.

A rate without an angle in it (`1/min`, `Hz`, `1/min/s`) that meets one with an angle (`rad/s`)
counts revolutions: the rotational frequency n of ISO 80000-3:2019, item 3-17, with w = 2 pi n (item
3-12). Everywhere else an angle is a number, and 1 rad is 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from stagetwin_sim._errors import ModelError

__all__ = ["ANY", "Conversion", "UnitsError", "coherent", "conversion"]

ANY = "*"
"""Unit of a port that takes the unit of what it is joined to."""

_BASE = {
    "meter": "m", "kilogram": "kg", "gram": "g", "second": "s", "ampere": "A", "kelvin": "K",
    "mole": "mol", "candela": "cd", "radian": "rad",
}  # fmt: skip
_REVOLUTION = 2 * Decimal("3.14159265358979323846264338327950288")
_ANGLE = re.compile(r"(?<![A-Za-z\[_])(u|m)?(rad|deg|gon|circ)(?![A-Za-z\]_])|'")
_NOTE = re.compile(r"\{[^}]*\}")


class UnitsError(ModelError):
    """Two units measure different things, or one is no UCUM unit."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """`to = from * scale + offset`."""

    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, value: float) -> float:
        """Return a value in the other unit."""
        return value * self.scale + self.offset


@cache
def conversion(unit: str, other: str) -> Conversion:
    """Return what takes numbers in one UCUM unit to another.

    Args:
        unit: of what there is; empty is `1`.
        other: of what is wanted; ANY takes the number as it is.

    Raises:
        UnitsError: they measure different things, or one is unknown or no linear scale.
    """
    unit, other = _plain(unit), _plain(other)
    if unit == other or ANY in (unit, other):
        return Conversion()
    scale, offset = _linear(unit, other)
    turning = _turning(other) - _turning(unit)
    if turning:
        scale *= _REVOLUTION**turning
    return Conversion(float(scale), float(offset))


@cache
def coherent(unit: str) -> str:
    """Return the coherent SI unit of what a UCUM unit measures, in UCUM.

    A unit without one, as `[pH]`, is returned as it is. Revolutions (`1/min`) become rad/s, and
    frequencies (`kHz`) Hz.
    """
    registry = _registry()
    try:
        _, base = registry.from_ucum(_plain(unit)).to_base_units().to_tuple()
        powers = sorted((_BASE[name], int(power)) for name, power in base)
    except Exception:  # the errors of pint and lark share no base but Exception
        return _plain(unit)
    if powers == [("s", -1)]:
        return "Hz" if _plain(unit).endswith("Hz") else "rad/s"
    return ".".join(symbol if power == 1 else f"{symbol}{power}" for symbol, power in powers) or "1"


def _plain(unit: str) -> str:
    """Return a unit without annotations: `{rev}/min` is `1/min`."""
    bare = _NOTE.sub("", unit.strip())
    return f"1{bare}" if bare.startswith("/") else bare or "1"


def _linear(unit: str, other: str) -> tuple[Decimal, Decimal]:
    registry = _registry()
    try:
        source, target = (registry.from_ucum(u).units for u in (unit, other))
        first, second = (registry.Quantity(Decimal(n), source).to(target).magnitude for n in (0, 1))
    except Exception as error:  # the errors of pint and lark share no base but Exception
        raise UnitsError(f"{unit!r} cannot become {other!r}") from error
    return Decimal(second) - Decimal(first), Decimal(first)


def _turning(unit: str) -> int:
    """Return whether a unit is a rate with an angle in it (1), or not (0)."""
    return int(_rate(unit) and _ANGLE.search(unit) is not None)


@cache
def _rate(unit: str) -> bool:
    """Return whether a unit is one over a time, or over a power of it."""
    powers = dict(_registry().from_ucum(unit).dimensionality)
    return powers.keys() == {"[time]"} and powers["[time]"] < 0


@cache
def _registry() -> Any:
    # Loaded on first use: it costs 0.4 s.
    import ucumvert

    exact: Any = Decimal
    return ucumvert.PintUcumRegistry(non_int_type=exact)
