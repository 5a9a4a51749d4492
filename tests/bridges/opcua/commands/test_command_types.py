"""The exact type of what is written: held exactly, or refused."""

from __future__ import annotations

import datetime
import math
import struct
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import variant_from_binary, variant_to_binary
from hypothesis import given
from hypothesis import strategies as st

from stagetwin import WireError, WireRangeError, WireTypeError
from stagetwin.actuation import CommandTarget
from stagetwin_bridges.opcua._command_check import check_command
from stagetwin_bridges.opcua._command_types import COMMAND_TYPES, variant_of

KINDS = ua.VariantType
RANGES = {
    KINDS.SByte: (-128, 127),
    KINDS.Byte: (0, 255),
    KINDS.Int16: (-32768, 32767),
    KINDS.UInt16: (0, 65535),
    KINDS.Int32: (-(2**31), 2**31 - 1),
    KINDS.UInt32: (0, 2**32 - 1),
    KINDS.Int64: (-(2**63), 2**63 - 1),
    KINDS.UInt64: (0, 2**64 - 1),
}


def carried(variant: ua.Variant) -> ua.Variant:
    """Return a Variant as it arrives at the other end."""
    arrived: ua.Variant = variant_from_binary(ua.utils.Buffer(variant_to_binary(variant)))
    return arrived


@given(st.sampled_from(sorted(RANGES)), st.integers(-(2**65), 2**65))
def test_an_integer_arrives_as_it_was_or_not_at_all(kind: ua.VariantType, value: int) -> None:
    low, high = RANGES[kind]
    if low <= value <= high:
        arrived = carried(variant_of(value, kind))
        assert (arrived.Value, arrived.VariantType) == (value, kind)
    else:
        with pytest.raises(WireRangeError, match=f"expected {low} to {high} for {kind.name}"):
            variant_of(value, kind)


@given(st.sampled_from(sorted(RANGES)), st.floats())
def test_a_fraction_is_no_integer(kind: ua.VariantType, value: float) -> None:
    low, high = RANGES[kind]
    if math.isfinite(value) and value == int(value) and low <= int(value) <= high:
        assert carried(variant_of(value, kind)).Value == value
    else:
        with pytest.raises(WireRangeError):
            variant_of(value, kind)


@given(st.floats() | st.integers())
def test_a_double_arrives_bit_for_bit(value: float) -> None:
    try:
        variant = variant_of(value, KINDS.Double)
    except WireRangeError:
        exact = isinstance(value, float) and math.isfinite(value)
        assert not exact
        return
    arrived = carried(variant)
    assert arrived.VariantType is KINDS.Double
    assert arrived.Value == value
    assert struct.pack("<d", arrived.Value) == struct.pack("<d", float(value))


@given(st.floats() | st.integers())
def test_a_float_arrives_as_the_nearest_there_is(value: float) -> None:
    try:
        variant = variant_of(value, KINDS.Float)
    except WireRangeError:
        return
    arrived = carried(variant)
    assert arrived.Value == variant.Value
    if isinstance(value, int):
        assert arrived.Value == value
    elif value:
        assert abs(arrived.Value - value) <= max(abs(value) * 2**-24, 2**-150)


@given(st.text())
def test_text_arrives_as_it_was_or_not_at_all(value: str) -> None:
    try:
        variant = variant_of(value, KINDS.String)
    except WireTypeError:
        assert "\x00" in value
        return
    assert carried(variant).Value == value


@given(
    st.datetimes(
        min_value=datetime.datetime(1602, 1, 1),
        max_value=datetime.datetime(9998, 1, 1),
        timezones=st.just(datetime.UTC),
    )
)
def test_a_moment_arrives_to_the_microsecond(value: datetime.datetime) -> None:
    arrived = carried(variant_of(value.isoformat(), KINDS.DateTime))
    assert (arrived.Value, arrived.VariantType) == (value, KINDS.DateTime)


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_an_array_arrives_as_one_even_if_it_is_empty(value: list[int]) -> None:
    arrived = carried(variant_of(value, KINDS.Int32, array=True))
    assert arrived.is_array
    assert list(arrived.Value or []) == value


@given(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
    ),
    st.sampled_from(COMMAND_TYPES),
    st.booleans(),
)
def test_nothing_is_coerced(value: Any, kind: ua.VariantType, array: bool) -> None:
    try:
        variant = variant_of(value, kind, array=array)
    except WireError:
        return
    assert variant.VariantType is kind
    for given_item, item in zip(
        value if array else [value], variant.Value if array else [variant.Value], strict=True
    ):
        if kind is KINDS.Boolean:
            assert item is given_item
        elif kind is KINDS.String:
            assert item == given_item
        elif kind in RANGES:
            assert not isinstance(given_item, (bool, str))
            assert item == given_item


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (True, KINDS.Int32, "expected a number for Int32, got a Boolean true"),
        ("1", KINDS.Double, "expected a number for Double, got a String '1'"),
        (1, KINDS.Boolean, "expected a Boolean, got an integer 1"),
        (1.0, KINDS.String, "expected text for String, got 1.0"),
        ("\ud800", KINDS.String, "half a surrogate pair"),
        ("a\x00", KINDS.LocalizedText, "NUL"),
        ("2026-11-21T10:00:00", KINDS.DateTime, "ISO 8601 with a zone"),
        ("now", KINDS.DateTime, "ISO 8601 with a zone"),
        (True, KINDS.DateTime, "seconds since 1970"),
        (None, KINDS.Double, r"got nothing \(null\)"),
        (1.0, KINDS.ByteString, "expected a node of type Boolean, SByte.*, got ByteString"),
    ],
)
def test_another_type_is_refused_with_both(value: Any, kind: ua.VariantType, said: str) -> None:
    with pytest.raises(WireTypeError, match=said):
        variant_of(value, kind)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1e39, KINDS.Float),
        (1e-60, KINDS.Float),
        (2**24 + 1, KINDS.Float),
        (2**53 + 1, KINDS.Double),
        (10**400, KINDS.Double),
        (math.nan, KINDS.Double),
        (1e300, KINDS.DateTime),
        ("0001-01-01T00:00:00+10:00", KINDS.DateTime),
    ],
)
def test_what_the_type_cannot_hold_is_refused(value: Any, kind: ua.VariantType) -> None:
    with pytest.raises(WireRangeError, match="expected"):
        variant_of(value, kind)


def test_an_enumeration_takes_its_numbers_and_names() -> None:
    modes = {0: "Off", 5: "Auto"}
    for value in ("Auto", 5, 5.0):
        variant = variant_of(value, KINDS.Int32, enumeration=modes)
        assert (variant.Value, variant.VariantType) == (5, KINDS.Int32)
    for wrong in (1, "auto", True, False, 0.5):
        with pytest.raises(WireRangeError, match=r"expected one of Off \(0\), Auto \(5\)"):
            variant_of(wrong, KINDS.Int32, enumeration=modes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"wire_type": "UInt16"}, ""),
        ({"operation": "method", "address": "ns=2;s=Pump ns=2;s=Set"}, ""),
        ({"operation": "publish"}, "carries write and method"),
        ({"operation": "method"}, "one space"),
        ({"address": "plant/pump"}, "expected a NodeId"),
        ({"field": "[2]"}, "written as a whole"),
        ({"encoding": "json"}, "expected auto"),
        ({"wire_type": "uint16"}, "expected auto or one of Boolean, SByte"),
        ({"wire_type": "ByteString"}, "expected auto or one of Boolean, SByte"),
    ],
)
def test_a_target_is_checked_before_a_server_is_asked(changes: dict[str, str], said: str) -> None:
    known = {"prim": "/World/Pump", "command": "speed", "address": "ns=2;s=Speed", **changes}
    problems = check_command(CommandTarget(**known))  # type: ignore[arg-type]
    assert len(problems) == bool(said)
    assert said in "".join(problems)
