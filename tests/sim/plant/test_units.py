"""Units: exact, by what they measure, and never by guess."""

from __future__ import annotations

import math

import pytest

from stagetwin_sim.plant import UnitsError, conversion
from stagetwin_sim.plant._units import coherent


@pytest.mark.parametrize(
    ("unit", "other", "value", "expected"),
    [
        ("Cel", "K", 20.0, 293.15),
        ("K", "Cel", 293.15, 20.0),
        ("[degF]", "K", 212.0, 373.15),
        ("bar", "Pa", 2.5, 250_000.0),
        ("m3/h", "m3/s", 36.0, 0.01),
        ("l/min", "m3/s", 60_000.0, 1.0),
        ("kW", "W", 1.5, 1500.0),
        ("%", "1", 45.0, 0.45),
        ("deg", "rad", 180.0, math.pi),
        ("mm/s", "m/s", 4.5, 0.0045),
        ("kW.h", "J", 1.0, 3.6e6),
        ("[pH]", "[pH]", 7.0, 7.0),
        ("", "1", 3.0, 3.0),
        ("{items}/s", "1/s", 3.0, 3.0),
    ],
)
def test_a_value_in_another_unit(unit: str, other: str, value: float, expected: float) -> None:
    assert conversion(unit, other)(value) == pytest.approx(expected, rel=4e-16)
    assert conversion(other, unit)(expected) == pytest.approx(value, rel=4e-16, abs=1e-12)


@pytest.mark.parametrize("unit", ["1/min", "{rev}/min", "/min"])
def test_a_rate_without_an_angle_counts_revolutions_where_an_angle_is_wanted(unit: str) -> None:
    assert conversion(unit, "rad/s")(3000.0) == pytest.approx(100 * math.pi, rel=1e-15)
    assert conversion("rad/s", unit)(100 * math.pi) == pytest.approx(3000.0, rel=1e-15)
    assert conversion(unit, "deg/s")(1.0) == pytest.approx(6.0, rel=1e-15)
    assert conversion(f"{unit}/s", "rad/s2")(400.0) == pytest.approx(400 * math.pi / 30, rel=1e-15)
    assert conversion(unit, "Hz")(60.0) == pytest.approx(1.0, rel=1e-15)


def test_scale_and_offset_are_the_nearest_floats() -> None:
    assert (conversion("Cel", "K").scale, conversion("Cel", "K").offset) == (1.0, 273.15)
    assert conversion("bar", "Pa").scale == 1e5
    assert conversion("m3/h", "m3/s").scale == 1 / 3600
    assert conversion("1/min", "rad/s").scale == 0.10471975511965977461542


@pytest.mark.parametrize(
    ("unit", "other"), [("bar", "K"), ("[pH]", "1"), ("rpm", "1/s"), ("m3/h", "kg/s"), ("dB", "K")]
)
def test_what_measures_something_else_is_refused(unit: str, other: str) -> None:
    with pytest.raises(UnitsError, match="cannot become"):
        conversion(unit, other)


@pytest.mark.parametrize("unit", ["bar", "m3/h", "Cel", "kW", "%", "N.m", "Ohm", "mS/cm", "deg"])
def test_the_coherent_unit_measures_the_same(unit: str) -> None:
    there, back = conversion(unit, coherent(unit)), conversion(coherent(unit), unit)
    assert back(there(3.0)) == pytest.approx(3.0, rel=1e-12)


def test_the_coherent_unit_of_turning_and_of_what_has_none() -> None:
    assert [coherent(u) for u in ("1/min", "kHz", "[pH]")] == ["rad/s", "Hz", "[pH]"]
