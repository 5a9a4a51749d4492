"""Attribute values as plain data, as JSON text, and back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pxr import Gf, Sdf, Vt

from stagetwin import WireRangeError, WireTypeError
from stagetwin.values import json_text, plain, stage_value


@pytest.mark.parametrize(
    ("value", "as_plain"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2**63 - 1, 2**63 - 1),
        (0.5, 0.5),
        ("läuft", "läuft"),
        (Gf.Vec3f(1, 2, 3), [1.0, 2.0, 3.0]),
        (Gf.Vec2i(1, 2), [1, 2]),
        (Gf.Quatd(4, Gf.Vec3d(1, 2, 3)), [1.0, 2.0, 3.0, 4.0]),
        (Gf.Matrix2d(1, 2, 3, 4), [[1.0, 2.0], [3.0, 4.0]]),
        (Vt.DoubleArray([1, 2]), [1.0, 2.0]),
        (Vt.BoolArray([True, False]), [True, False]),
        (Vt.StringArray(["a", "b"]), ["a", "b"]),
        (Vt.Vec3fArray([Gf.Vec3f(1, 2, 3)]), [[1.0, 2.0, 3.0]]),
        (Sdf.AssetPath("a.usd"), "a.usd"),
    ],
    ids=repr,
)
def test_every_kind_of_attribute_value_is_plain_data(value: Any, as_plain: Any) -> None:
    found = plain(value)
    assert found == as_plain
    assert type(found) is type(as_plain)
    assert json.loads(json_text(found)) == as_plain


ROUND = [
    ("double", 0.1),
    ("float", 0.5),
    ("int", -7),
    ("int64", 2**63 - 1),
    ("uint64", 2**64 - 1),
    ("uchar", 255),
    ("bool", True),
    ("string", "läuft"),
    ("token", "open"),
    ("asset", "a.usd"),
    ("double3", [1.0, 2.0, 3.0]),
    ("int2", [1, 2]),
    ("quatd", [0.0, 0.0, 0.0, 1.0]),
    ("matrix2d", [[1.0, 2.0], [3.0, 4.0]]),
    ("double[]", [1.0, 2.0]),
    ("int[]", []),
    ("float3[]", [[1.0, 2.0, 3.0]]),
    ("point3f", [1.0, 2.0, 3.0]),
]


@pytest.mark.parametrize(("type_name", "value"), ROUND)
def test_plain_data_makes_the_value_it_came_from(type_name: str, value: Any) -> None:
    made = stage_value(type_name, value)
    assert plain(made) == value
    layer = Sdf.Layer.CreateAnonymous(".usda")
    spec = Sdf.CreatePrimInLayer(layer, "/P")
    attr = Sdf.AttributeSpec(spec, "a", Sdf.ValueTypeNames.Find(type_name))  # type: ignore[call-arg]
    attr.default = made
    assert plain(attr.default) == value


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("double", True),
        ("double", "5"),
        ("double", None),
        ("double", [5]),
        ("int", True),
        ("int", 1.5),
        ("bool", 1),
        ("bool", 0),
        ("bool", 1.0),
        ("bool", "true"),
        ("string", 5),
        ("string", True),
        ("string", "\ud800"),
        ("token", None),
        ("float3", [1, 2, True]),
        ("float3", "123"),
        ("double[]", "12"),
        ("opaque", 1),
        ("nothing", 1),
    ],
)
def test_nothing_is_coerced(type_name: str, value: Any) -> None:
    with pytest.raises(WireTypeError):
        stage_value(type_name, value)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("double", math.nan),
        ("double", math.inf),
        ("double", 10**400),
        ("float", 1e39),
        ("half", 70000.0),
        ("int", 2**31),
        ("uint", -1),
        ("uint64", 2**64),
        ("float3", [1, 2, math.inf]),
        ("quatf", [0, 0, 0, 0]),
    ],
)
def test_what_the_type_cannot_hold_is_out_of_range(type_name: str, value: Any) -> None:
    with pytest.raises(WireRangeError):
        stage_value(type_name, value)


def test_limits_hold_for_each_component() -> None:
    assert stage_value("double", 5, 0.0, 5.0) == 5.0
    with pytest.raises(WireRangeError, match=r"5.1 is outside \[0, 5\]"):
        stage_value("double", 5.1, 0.0, 5.0)
    with pytest.raises(WireRangeError, match=r"2 is outside \[0, 1\]"):
        stage_value("float2", [0, 2], (0.0, 0.0), (5.0, 1.0))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_one_text_stands_for_one_value(value: Any) -> None:
    text = json_text(value)
    assert json.loads(text) == value
    assert json_text(json.loads(text)) == text
    assert "\n" not in text


def test_the_order_of_keys_makes_no_other_text() -> None:
    assert json_text({"b": 1, "a": 2}) == json_text({"a": 2, "b": 1}) == '{"a":2,"b":1}'
    assert json_text(1) != json_text(1.0), "another content"
