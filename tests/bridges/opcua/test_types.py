"""Values of nodes as samples carry them."""

from __future__ import annotations

import datetime
import math
import uuid
from typing import Any

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from stagetwin import WireError, WireRangeError, WireTypeError
from stagetwin.ports import ValueKind
from stagetwin_bridges.opcua._types import value_at, wire_value

NUMBER, INTEGER, BOOLEAN = ValueKind.NUMBER, ValueKind.INTEGER, ValueKind.BOOLEAN
TEXT, COMPOSITE = ValueKind.TEXT, ValueKind.COMPOSITE
MODES = {0: "Off", 1: "Auto"}
MOMENT = datetime.datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1.5, NUMBER, 1.5),
        (3, NUMBER, 3),
        (2**63, INTEGER, 2**63),
        (True, BOOLEAN, True),
        (1, BOOLEAN, True),
        (MOMENT, NUMBER, 1_700_000_000.5),
        (MOMENT.replace(tzinfo=None), NUMBER, 1_700_000_000.5),
        (MOMENT, TEXT, "2023-11-14T22:13:20.500000Z"),
        (1, INTEGER, 1),
        (1, TEXT, "Auto"),
        (ua.ServerState.Failed, TEXT, "Failed"),
        (ua.ServerState.Failed, INTEGER, 1),
        (ua.StatusCode(ua.UInt32(0x80740000)), NUMBER, 0x80740000),
        (ua.StatusCode(ua.UInt32(0x80740000)), TEXT, "BadTypeMismatch"),
        ("x", TEXT, "x"),
        (ua.LocalizedText("warm", "en"), TEXT, "warm"),
        (ua.LocalizedText(), TEXT, ""),
        (ua.QualifiedName("Pump", 2), TEXT, "Pump"),
        (ua.NodeId("Pump", 2), TEXT, "ns=2;s=Pump"),
        (uuid.UUID(int=1), TEXT, "00000000-0000-0000-0000-000000000001"),
        (b"\x01\x02", TEXT, "AQI="),
        (b"\x01\x02", COMPOSITE, [1, 2]),
        ([1.0, 2.0], COMPOSITE, [1.0, 2.0]),
        ([[1, 2], [3, 4]], COMPOSITE, [[1, 2], [3, 4]]),
        ([ua.LocalizedText("a")], COMPOSITE, ["a"]),
        (ua.ThreeDVector(1.0, 2.0, 3.0), COMPOSITE, [1.0, 2.0, 3.0]),
        (ua.Range(0.0, 5.0), COMPOSITE, {"Low": 0.0, "High": 5.0}),
        (ua.Variant(2.5, ua.VariantType.Double), NUMBER, 2.5),
    ],
)
def test_a_value_travels_as_its_channel_takes_it(
    value: Any, kind: ValueKind, expected: Any
) -> None:
    names = MODES if value == 1 and kind is TEXT and type(value) is int else None
    carried = wire_value(value, kind, names)
    assert carried == expected
    assert type(carried) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ("5", NUMBER, "expected a number, got a String '5'"),
        (True, NUMBER, "expected a number, got a Boolean true"),
        (None, NUMBER, r"expected a number, got nothing \(null\)"),
        (b"\x01", NUMBER, "expected a number, got a ByteString"),
        ([1.0], NUMBER, "expected a number, got an array"),
        (2, BOOLEAN, "expected a Boolean, got an integer 2"),
        (1.0, BOOLEAN, "expected a Boolean, got 1.0"),
        (1.0, TEXT, "expected text, got 1.0"),
        (3, TEXT, r"expected one of Off \(0\), Auto \(1\), got 3"),
        (1.0, COMPOSITE, "expected an array or a structure, got 1.0"),
        (None, COMPOSITE, "expected an array or a structure, got nothing"),
        (ua.ExtensionObject(ua.NodeId(7, 2), b""), COMPOSITE, "one that is not decoded"),
    ],
)
def test_a_value_of_another_type_is_refused_with_both(
    value: Any, kind: ValueKind, said: str
) -> None:
    with pytest.raises(WireTypeError, match=said):
        wire_value(value, kind, MODES if value == 3 else None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    for kind, given_value in ((NUMBER, value), (COMPOSITE, [1.0, value])):
        with pytest.raises(WireRangeError, match="finite"):
            wire_value(given_value, kind)


def test_a_field_picks_from_arrays_and_structures() -> None:
    assert value_at([1.0, 2.0, 3.0], "[2]") == 3.0
    assert value_at(ua.Range(0.0, 5.0), "High") == 5.0
    assert value_at(7, "") == 7
    with pytest.raises(WireTypeError, match=r"expected a value at \[3\], got an array"):
        value_at([1.0], "[3]")


_SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.datetimes(),
    st.uuids(),
    st.builds(ua.LocalizedText, st.text()),
    st.builds(ua.StatusCode, st.integers(0, 2**32 - 1).map(ua.UInt32)),
)


@given(
    st.recursive(_SCALARS, lambda items: st.lists(items, max_size=4)), st.sampled_from(ValueKind)
)
def test_every_value_is_carried_plainly_or_refused(value: Any, kind: ValueKind) -> None:
    try:
        carried = wire_value(value, kind)
    except WireError:
        return
    expected = {
        NUMBER: (int, float),
        INTEGER: (int, float),
        BOOLEAN: bool,
        TEXT: str,
        COMPOSITE: (list, dict),
    }
    assert isinstance(carried, expected[kind])
    assert kind is BOOLEAN or not isinstance(carried, bool)
