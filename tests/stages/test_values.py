"""Value types: whatever a wire carries becomes the attribute's exact value, or a WireError."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Gf, Sdf, Vt

from stagetwin._errors import WireError, WireRangeError, WireTypeError
from stagetwin.ports import ValueKind
from stagetwin.values import stage_value, value_type

INF = math.inf
ALL_NAMES = sorted(
    {
        *("double", "float", "half", "int", "uint", "int64", "uint64", "uchar", "bool"),
        *("string", "token", "asset", "timecode"),
        *(f"{t}{n}" for t in ("double", "float", "half", "int") for n in (2, 3, 4)),
        *("quatd", "quatf", "quath", "matrix2d", "matrix3d", "matrix4d", "frame4d"),
        *(f"{role}3{c}" for role in ("point", "normal", "vector", "color") for c in "dfh"),
        *(f"color4{c}" for c in "dfh"),
        *(f"texCoord{n}{c}" for n in "23" for c in "dfh"),
    }
)
EVERY_TYPE = [*ALL_NAMES, *(f"{name}[]" for name in ALL_NAMES)]

M4 = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]

CASES: list[tuple[str, Any, Any]] = [
    ("double", 1.5, 1.5),
    ("float", 0.25, 0.25),
    ("half", -2.5, -2.5),
    ("int", -7, -7),
    ("uint", 2**32 - 1, 2**32 - 1),
    ("int64", -(2**63), -(2**63)),
    ("uint64", 2**64 - 1, 2**64 - 1),
    ("uchar", 255, 255),
    ("bool", True, True),
    ("string", "grün", "grün"),
    ("token", "closed", "closed"),
    ("asset", "alarm.png", Sdf.AssetPath("alarm.png")),
    ("timecode", 12.0, 12.0),
    ("double2", [1, 2], Gf.Vec2d(1, 2)),
    ("float3", [1, 2, 3], Gf.Vec3f(1, 2, 3)),
    ("half4", [1, 2, 3, 4], Gf.Vec4h(1, 2, 3, 4)),
    ("int2", [-(2**31), 2**31 - 1], Gf.Vec2i(-(2**31), 2**31 - 1)),
    ("int3", {"x": 1, "y": 2, "z": 3}, Gf.Vec3i(1, 2, 3)),
    ("int4", [1, 2, 3, 4], Gf.Vec4i(1, 2, 3, 4)),
    ("point3f", {"x": 1, "y": 2, "z": 3, "frame": 0}, Gf.Vec3f(1, 2, 3)),
    ("normal3d", [0, 0, 1], Gf.Vec3d(0, 0, 1)),
    ("color4f", [1, 0.5, 0.25, 1], Gf.Vec4f(1, 0.5, 0.25, 1)),
    ("texCoord2h", [0.5, 1], Gf.Vec2h(0.5, 1)),
    ("quatd", [0, 0, 3, 4], Gf.Quatd(0.8, Gf.Vec3d(0, 0, 0.6))),
    ("quatf", {"x": 0, "y": 0, "z": 0, "w": 3}, Gf.Quatf(1)),
    ("quath", [0, 0, 0, -1], Gf.Quath(-1)),
    ("matrix2d", [1, 2, 3, 4], Gf.Matrix2d(1, 2, 3, 4)),
    # Their sum is beyond float64; they are not.
    ("matrix2d", [1e308, 1e308, 1.0, 0.0], Gf.Matrix2d(1e308, 1e308, 1, 0)),
    ("matrix3d", [[1, 2, 3], [4, 5, 6], [7, 8, 9]], Gf.Matrix3d(1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ("matrix4d", M4, Gf.Matrix4d(*M4)),
    ("frame4d", M4, Gf.Matrix4d(*M4)),
    ("double[]", [1, 2.5], Vt.DoubleArray([1, 2.5])),
    ("int[]", [], Vt.IntArray()),
    ("int64[]", [2**63 - 1], Vt.Int64Array([2**63 - 1])),
    ("uint64[]", [2**64 - 1], Vt.UInt64Array([2**64 - 1])),
    ("uchar[]", [0, 255], Vt.UCharArray([0, 255])),
    ("half[]", [1, 65504], Vt.HalfArray([1, 65504])),
    ("bool[]", [True, 0, 1.0], Vt.BoolArray([True, False, True])),
    ("string[]", ["a", ""], Vt.StringArray(["a", ""])),
    ("token[]", ["a"], Vt.TokenArray(["a"])),
    ("asset[]", ["a.png"], Sdf.AssetPathArray([Sdf.AssetPath("a.png")])),
    ("timecode[]", [1, 2], Sdf.TimeCodeArray([1, 2])),
    ("point3f[]", [[1, 2, 3], {"x": 4, "y": 5, "z": 6}], Vt.Vec3fArray([(1, 2, 3), (4, 5, 6)])),
    ("int2[]", [[1, 2]], Vt.Vec2iArray([(1, 2)])),
    ("quath[]", [[0, 0, 0, 1]], Vt.QuathArray([Gf.Quath(1)])),
    ("matrix4d[]", [M4], Vt.Matrix4dArray([Gf.Matrix4d(*M4)])),
]


def convert(
    name: str,
    wire: Any,
    scale: float = 1.0,
    offset: float = 0.0,
    low: float = -INF,
    high: float = INF,
) -> Any:
    found = value_type(name)
    assert found is not None
    return found.convert(wire, scale, offset, low, high)


@pytest.mark.parametrize(("name", "wire", "expected"), CASES, ids=[c[0] for c in CASES])
def test_a_wire_value_becomes_the_stage_value(name: str, wire: Any, expected: Any) -> None:
    got = convert(name, wire)
    assert got == expected
    assert type(got) is type(expected) or isinstance(expected, (int, float))


@pytest.mark.parametrize(("name", "wire", "expected"), CASES, ids=[c[0] for c in CASES])
def test_an_attribute_of_the_type_holds_the_converted_value(
    name: str, wire: Any, expected: Any
) -> None:
    """What conversion lets through, USD takes without changing it."""
    assert default_of(name, convert(name, wire)) == expected


def default_of(name: str, value: Any) -> Any:
    layer = Sdf.Layer.CreateAnonymous()
    spec = Sdf.AttributeSpec(Sdf.CreatePrimInLayer(layer, "/A"), "a", Sdf.ValueTypeNames.Find(name))
    spec.default = value
    return spec.default


def test_every_type_of_the_cases_and_of_the_list_is_known() -> None:
    assert {name for name, _, _ in CASES} <= set(EVERY_TYPE)
    assert [name for name in EVERY_TYPE if value_type(name) is None] == []


@pytest.mark.parametrize(
    "name", ["opaque", "group", "pathExpression", "", "no such type", "Double"]
)
def test_other_types_cannot_be_driven(name: str) -> None:
    assert value_type(name) is None


@pytest.mark.parametrize(
    ("name", "kind", "scalable"),
    [
        ("double", ValueKind.NUMBER, True),
        ("timecode", ValueKind.NUMBER, True),
        ("uchar", ValueKind.INTEGER, True),
        ("bool", ValueKind.BOOLEAN, False),
        ("token", ValueKind.TEXT, False),
        ("float3", ValueKind.COMPOSITE, True),
        ("color3f[]", ValueKind.COMPOSITE, True),
        ("int[]", ValueKind.COMPOSITE, True),
        ("bool[]", ValueKind.COMPOSITE, False),
        ("string[]", ValueKind.COMPOSITE, False),
        ("quatf", ValueKind.COMPOSITE, False),
        ("matrix4d", ValueKind.COMPOSITE, False),
    ],
)
def test_kinds_say_what_a_wire_must_carry(name: str, kind: ValueKind, scalable: bool) -> None:
    found = value_type(name)
    assert found is not None
    assert (found.kind, found.scalable) == (kind, scalable)
    assert found.kind.numeric == (kind in {"number", "integer", "boolean"})


@pytest.mark.parametrize(
    ("name", "wire", "error"),
    [
        ("double", "7", WireTypeError),
        ("double", True, WireTypeError),
        ("double", None, WireTypeError),
        ("double", [1.0], WireTypeError),
        ("double", math.nan, WireRangeError),
        ("double", INF, WireRangeError),
        ("double", 10**400, WireRangeError),
        ("float", 1e39, WireRangeError),
        ("half", 65505, WireRangeError),
        ("int", 2**31, WireRangeError),
        ("int", 1.5, WireTypeError),
        ("uint", -1, WireRangeError),
        ("int64", 2**63, WireRangeError),
        ("uint64", 2**64, WireRangeError),
        ("uchar", 256, WireRangeError),
        ("uchar", 10**400, WireRangeError),
        ("bool", 2, WireTypeError),
        ("bool", "true", WireTypeError),
        ("bool", [], WireTypeError),
        ("string", 3, WireTypeError),
        ("string", b"raw", WireTypeError),
        ("string", "a\x00b", WireTypeError),
        ("string", "\ud800", WireTypeError),
        ("token", "\udfff tail", WireTypeError),
        ("asset", "a\nb", WireTypeError),
        ("asset", "\x7f", WireTypeError),
        ("float3", [1, 2], WireTypeError),
        ("float3", [1, 2, 3, 4], WireTypeError),
        ("float3", "123", WireTypeError),
        ("float3", b"123", WireTypeError),
        ("float3", {"x": 1, "z": 3}, WireTypeError),
        ("float3", [1, "2", 3], WireTypeError),
        ("float3", [1, True, 3], WireTypeError),
        ("float3", [1, math.nan, 3], WireRangeError),
        ("float3", [1, 1e39, 3], WireRangeError),
        ("double3", [1, 10**400, 3], WireRangeError),
        ("half2", [1, 1e6], WireRangeError),
        ("int2", [1, 1.5], WireTypeError),
        ("int2", [1, 2**31], WireRangeError),
        ("quatf", [0, 0, 0, 0], WireRangeError),
        ("quatf", [0, 0, 1], WireTypeError),
        ("matrix4d", [1.0] * 15, WireTypeError),
        ("matrix4d", [1.0] * 15 + [True], WireTypeError),
        ("matrix4d", [1.0] * 15 + [math.nan], WireRangeError),
        ("matrix4d", [1.0] * 14 + [INF, -INF], WireRangeError),
        ("matrix4d", [[1.0] * 3] * 5, WireTypeError),
        ("double[]", 1.0, WireTypeError),
        ("double[]", "12", WireTypeError),
        ("double[]", {"0": 1}, WireTypeError),
        ("double[]", [1, None], WireTypeError),
        ("string[]", ["a", 1], WireTypeError),
        ("string[]", ["\ud800"], WireTypeError),
        ("asset[]", ["a\x01"], WireTypeError),
        ("int[]", [2**31], WireRangeError),
        ("point3f[]", [1, 2, 3], WireTypeError),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(
    name: str, wire: Any, error: type[WireError]
) -> None:
    with pytest.raises(error) as refused:
        convert(name, wire)
    assert len(str(refused.value)) > 10


@pytest.mark.parametrize(
    ("name", "axis"), [("double", ()), ("double2", (0.0,)), ("double[]", None)]
)
def test_a_scale_cannot_make_infinity(name: str, axis: tuple[float, ...] | None) -> None:
    wire: Any = [1e308] if axis is None else [1e308, *axis] if axis else 1e308
    with pytest.raises(WireRangeError):
        convert(name, wire, scale=1e10)


def test_a_scale_of_an_integer_beyond_floats_is_refused_not_raised() -> None:
    for name, wire in (("int64", 10**400), ("uint64[]", [10**400]), ("int2", [10**400, 1])):
        with pytest.raises(WireRangeError):
            convert(name, wire, scale=0.5)
    with pytest.raises(WireRangeError):
        convert("int64", 2**63 - 1, scale=1e300)


def test_scale_and_offset_apply_to_each_component() -> None:
    assert convert("float3", [1, 2, 3], scale=2, offset=1) == Gf.Vec3f(3, 5, 7)
    assert convert("int[]", [1, 2], scale=10, offset=-1) == Vt.IntArray([9, 19])


def test_an_integer_is_rounded_only_where_it_is_scaled() -> None:
    with pytest.raises(WireTypeError):
        convert("int", 0.3)
    assert convert("int", 15, scale=0.1) == 2
    assert convert("int2", [15, 24], scale=0.1) == Gf.Vec2i(2, 2)


def test_limits_hold_for_each_component() -> None:
    with pytest.raises(WireRangeError, match=r"11 is outside \[0, 10\]"):
        convert("float3", [1, 11, 3], low=0, high=10)
    with pytest.raises(WireRangeError):
        convert("double[]", [1, -0.5], low=0)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_int64_travels_exactly(wire: int) -> None:
    assert convert("int64", wire) == wire


@given(st.integers(0, 2**64 - 1))
def test_every_uint64_travels_exactly(wire: int) -> None:
    assert convert("uint64", wire) == wire
    assert convert("uint64[]", [wire])[0] == wire


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.tuples(FINITE, FINITE, FINITE, FINITE))
def test_a_quaternion_is_a_rotation_however_long_it_was_sent(wire: tuple[float, ...]) -> None:
    try:
        got = convert("quatd", list(wire))
    except WireRangeError:
        assert max(map(abs, wire)) < 1e-9
        return
    assert got.GetLength() == pytest.approx(1, abs=1e-9)
    x, y, z = got.GetImaginary()
    longest = max(range(4), key=lambda i: abs(wire[i]))
    assert math.copysign(1, (x, y, z, got.GetReal())[longest]) == math.copysign(1, wire[longest])


@given(st.lists(FINITE, min_size=16, max_size=16))
def test_nested_and_flat_matrices_are_the_same(wire: list[float]) -> None:
    rows = [wire[i : i + 4] for i in range(0, 16, 4)]
    assert convert("matrix4d", wire) == convert("matrix4d", rows)
    assert [n for row in convert("matrix4d", wire) for n in row] == wire


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from("xyzwab"), inner, max_size=4)
    ),
    max_leaves=16,
)
NUMBERS = st.lists(st.integers(-300, 300) | FINITE | st.booleans(), max_size=17)


@pytest.mark.parametrize("name", EVERY_TYPE)
@settings(max_examples=12)
@given(
    wire=JSON | NUMBERS | st.lists(NUMBERS, max_size=4),
    scale=st.sampled_from([1.0, 0.1, -1e300]),
    offset=st.sampled_from([0.0, 0.5]),
    bounds=st.sampled_from([(-INF, INF), (0.0, 100.0)]),
)
def test_any_wire_value_becomes_a_value_of_the_type_or_a_wire_error(
    name: str, wire: Any, scale: float, offset: float, bounds: tuple[float, float]
) -> None:
    try:
        got = convert(name, wire, scale, offset, *bounds)
    except WireError:
        return
    held = default_of(name, got)
    expected = type(Sdf.ValueTypeNames.Find(name).defaultValue)
    assert isinstance(held, expected)
    if not isinstance(got, (int, float)):
        assert type(got) is expected
        assert held == got


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("float3", [0.1, 0, 0], 0.1),
        ("half2", [0, 2051], 2051.0),
        ("half[]", [2051], 2051.0),
        ("float[]", [0, 0.1], 0.1),
        ("point3f[]", [[0, 0, 0], [0, 0, 0.1]], 0.1),
    ],
)
def test_a_setpoint_that_its_type_rounds_beyond_a_limit_is_refused(
    name: str, value: Any, limit: float
) -> None:
    with pytest.raises(WireRangeError, match="as the type rounds it"):
        stage_value(name, value, 0.0, limit)
    assert stage_value(name, value, 0.0, limit * 1.01) is not None
    assert convert(name, value, high=limit) is not None  # what was measured was within


def test_a_setpoint_that_its_type_rounds_beyond_its_own_components_limit_is_refused() -> None:
    with pytest.raises(WireRangeError, match="as the type rounds it"):
        stage_value("float3", [5, 0.1, 5], (0.0, 0.0, 0.0), (9.0, 0.1, 9.0))
    with pytest.raises(WireRangeError, match="as the type rounds it"):
        stage_value("float[]", [5, 0.1, 5], (0.0, 0.0, 0.0), (9.0, 0.1, 9.0))


def test_a_setpoint_in_words_is_an_allowed_one() -> None:
    assert stage_value("token", "on", tokens=("on", "off")) == "on"
    assert list(stage_value("token[]", ["on", "off"], tokens=("on", "off"))) == ["on", "off"]
    for name, value in (("token", "boom"), ("token[]", ["on", "boom"]), ("string", "")):
        with pytest.raises(WireRangeError, match="is none of 'on', 'off'"):
            stage_value(name, value, tokens=("on", "off"))
