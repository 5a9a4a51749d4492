"""Units of FMUs as SI units in UCUM.

An FMU's unit has a base: value in SI = factor * value + offset, with exponents of SI units (FMI
2.0, section 2.2.2; FMI 3.0, section 2.4.4). Where only a name is given, it is read as tools write
it.
"""

from __future__ import annotations

from typing import Any

from stagetwin_sim.plant import Conversion, UnitsError, conversion

__all__ = ["si_unit"]

_NAMES = {
    "%": "%",
    "1/min": "1/min",
    "atm": "atm",
    "bar": "bar",
    "deg": "deg",
    "degC": "Cel",
    "degF": "[degF]",
    "h": "h",
    "kW": "kW",
    "kWh": "kW.h",
    "l": "L",
    "l/h": "L/h",
    "l/min": "L/min",
    "l/s": "L/s",
    "m^2": "m2",
    "m^3": "m3",
    "m3/h": "m3/h",
    "min": "min",
    "ohm": "Ohm",
    "rev/min": "1/min",
    "rpm": "1/min",
}
"""How tools write units, and how UCUM does."""

_SI = (
    *("1", "m", "kg", "s", "A", "K", "mol", "cd", "rad", "rad/s", "rad/s2", "m/s", "m/s2", "m2"),
    *("m3", "m3/s", "kg/s", "kg/m3", "Pa", "N", "J", "W", "V", "C", "Ohm", "F", "H", "T", "Wb"),
    *("W/K", "J/K", "J/kg", "J/(kg.K)", "W/(m.K)", "W/(m2.K)", "W/m2", "Pa.s", "kg.m2", "N/m"),
    *("mol/s", "1/s", "1/m", "1/K", "K/s", "K/W", "Pa/s", "lm", "lx"),
)

_EXPONENTS: dict[tuple[int, ...], str] = {
    (0, 0, 0, 0, 0, 0, 0, 0): "1",
    (1, 2, -2, 0, 0, 0, 0, 0): "J",
    (1, 2, -3, 0, 0, 0, 0, 0): "W",
    (1, 2, -3, -1, 0, 0, 0, 0): "V",
    (1, 2, -3, -2, 0, 0, 0, 0): "Ohm",
    (1, 1, -2, 0, 0, 0, 0, 0): "N",
    (1, -1, -2, 0, 0, 0, 0, 0): "Pa",
    (0, 3, -1, 0, 0, 0, 0, 0): "m3/s",
    (0, 1, -1, 0, 0, 0, 0, 0): "m/s",
    (0, 1, -2, 0, 0, 0, 0, 0): "m/s2",
    (1, 0, -1, 0, 0, 0, 0, 0): "kg/s",
    (1, -3, 0, 0, 0, 0, 0, 0): "kg/m3",
    (0, 0, 1, 1, 0, 0, 0, 0): "C",
    (0, 0, -1, 0, 0, 0, 0, 0): "1/s",
    (0, 0, -1, 0, 0, 0, 0, 1): "rad/s",
    (0, 0, -2, 0, 0, 0, 0, 1): "rad/s2",
}
"""Names of derived units by exponents of kg, m, s, A, K, mol, cd, rad."""

_BASES = ("kg", "m", "s", "A", "K", "mol", "cd", "rad")


def si_unit(name: str, base: Any = None, relative: bool = False) -> tuple[str, Conversion]:
    """Return the SI unit that numbers of a unit go over to, and how.

    Args:
        name: as the FMU has it.
        base: fmpy's BaseUnit, with exponents, factor and offset; None where there is none.
        relative: whether the number is a difference, which no offset applies to.

    Returns:
        UCUM, empty where the name says nothing; and SI = number * scale + offset.
    """
    if base is not None:
        exponents = tuple(int(getattr(base, unit)) for unit in _BASES)
        offset = 0.0 if relative else float(base.offset)
        return _spelt(exponents, name), Conversion(float(base.factor), offset)
    if not name:
        return "", Conversion()
    ucum = _NAMES.get(name, name.replace("^", "").replace("*", ".").replace(" ", ""))
    if ucum in ("N.m", "Hz", *_SI):
        return ucum, Conversion()
    for unit in _candidates(ucum):
        try:
            found = conversion(ucum, unit)
        except UnitsError:
            continue
        return unit, Conversion(found.scale, 0.0) if relative else found
    return "", Conversion()


def _candidates(ucum: str) -> tuple[str, ...]:
    """Return SI units, in the order in which they are tried."""
    turning = ucum.endswith(("/min", "/s")) and ucum.startswith("1/")
    torque = "N" in ucum and ucum.endswith("m")
    first = ("rad/s",) if turning else ("N.m",) if torque else ()
    return (*first, *_SI)


def _spelt(exponents: tuple[int, ...], name: str) -> str:
    if exponents == (1, 2, -2, 0, 0, 0, 0, 0) and "N" in name:
        return "N.m"
    known = _EXPONENTS.get(exponents)
    if known:
        return known
    pairs = zip(_BASES, exponents, strict=True)
    return ".".join(unit if power == 1 else f"{unit}{power}" for unit, power in pairs if power)
