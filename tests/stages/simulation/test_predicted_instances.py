"""Instances of a PointInstancer that a model places: two arrays in the predicted layer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pxr import Gf, Usd, UsdGeom

from stagetwin.gateway import wire
from stagetwin.live import Placed, PredictedLayer
from stagetwin.live._instances import quaternions_of
from stagetwin.service._feed import Feed
from tests.stages.conftest import MakePlant
from tests.stages.plants import plant, prim, telemetry

FLEET = "/Plant/Fleet"
TEXT = plant(
    prim(
        "Fleet",
        "int[] protoIndices = [0, 0, 0]",
        "point3f[] positions = [(1, 0, 0), (2, 0, 0), (3, 0, 0)]",
        "quath[] orientations = [(1, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1)]",
        "rel prototypes = </Plant/Fleet/Cart>",
        prim("Cart", type_name="Cube"),
        type_name="PointInstancer",
    ),
    prim(
        "Live",
        telemetry("places", "point3f", "places[*]", target="/Plant/Live.positions"),
        "int[] protoIndices = [0]",
        "point3f[] positions = [(1, 0, 0)]",
        type_name="PointInstancer",
    ),
    prim(
        "Fine",
        "int[] protoIndices = [0]",
        "quatf[] orientationsf = [(1, 0, 0, 0)]",
        type_name="PointInstancer",
    ),
    prim("Box", type_name="Cube"),
)


def _index(*positions: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(positions, np.int32)


def _turned(x: float, degrees: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    matrix = Gf.Matrix4d(1).SetRotate(Gf.Rotation(Gf.Vec3d(0, 0, 1), degrees))
    matrix.SetTranslateOnly(Gf.Vec3d(x, 5, 0))
    return np.array(matrix).reshape(1, 16)


def _places(stage: Usd.Stage) -> list[float]:
    return [
        round(p[0], 3) for p in UsdGeom.PointInstancer.Get(stage, FLEET).GetPositionsAttr().Get()
    ]


def _bound(live: MakePlant, *instances: int) -> tuple[PredictedLayer, Usd.Stage]:
    made = live(TEXT)
    layer: PredictedLayer = made.twin.predicted
    layer.bind([], [Placed(FLEET, instance=i) for i in instances])
    assert layer.refused == {}
    return layer, made.stage


def test_a_place_that_no_array_holds_is_not_known(live: MakePlant) -> None:
    layer, stage = _bound(live, 2, 0)
    layer.place(_index(0, 1), np.concatenate([_turned(30, 0), _turned(1e300, 0)]))
    assert _places(stage) == [1, 2, 30]


def test_instances_are_written_as_arrays_and_given_back(live: MakePlant) -> None:
    layer, stage = _bound(live, 2, 0)
    assert _places(stage) == [1, 2, 3]
    assert layer.place(_index(0), _turned(30, 90)) == 1
    assert _places(stage) == [1, 2, 30], "the others stay where the plant has them"
    turn = UsdGeom.PointInstancer.Get(stage, FLEET).GetOrientationsAttr().Get()[2]
    assert turn.GetReal() == pytest.approx(math.sqrt(0.5), abs=1e-3)
    assert turn.GetImaginary()[2] == pytest.approx(math.sqrt(0.5), abs=1e-3)
    before = layer.writes
    assert layer.place(_index(0, 1), np.concatenate([_turned(31, 0), _turned(11, 0)])) == 2
    assert _places(stage) == [11, 2, 31]
    assert layer.writes == before + 2, "two arrays for any number of instances"
    assert layer.place(_index(0, 1), np.concatenate([_turned(31, 0), _turned(11, 0)])) == 0
    layer.place(_index(1), np.full((1, 16), math.nan))
    assert _places(stage) == [1, 2, 31]
    layer.withdraw()
    assert _places(stage) == [1, 2, 3]
    assert layer.place(_index(1), _turned(12, 0)) == 1
    layer.bind([], [Placed(FLEET, instance=1)])
    assert _places(stage) == [1, 2, 3]
    layer.bind([], [])
    assert _places(stage) == [1, 2, 3]
    assert stage.GetPropertyAtPath(f"{FLEET}.positions")


@pytest.mark.parametrize(
    ("pose", "said"),
    [
        (Placed(FLEET, instance=3), "it has 3 instances, got number 3"),
        (Placed("/Plant/Box", instance=0), "a Cube has no instances"),
        (Placed("/Plant/Gone", instance=0), "there is no prim"),
        (Placed("/Plant/Live", instance=0), "telemetry drives its instances"),
        (Placed("/Plant/Fine", instance=0), "orientationsf would hide"),
    ],
)
def test_what_has_no_such_instance_is_refused(live: MakePlant, pose: Placed, said: str) -> None:
    made = live(TEXT)
    layer: PredictedLayer = made.twin.predicted
    driven = [binding.target for binding in made.twin.table.telemetry.values()]
    driven.append("/Plant/Live.positions")
    layer.bind([], [pose, Placed("/Plant/Fleet", instance=1)], driven)
    assert said in layer.refused[pose.prim]
    layer.place(_index(0, 1), np.concatenate([_turned(9, 0), _turned(8, 0)]))
    if pose.prim != FLEET:
        assert _places(made.stage) == [1, 8, 3], "the rest go on"


def test_a_gateway_is_told_where_instances_are(live: MakePlant) -> None:
    made = live(TEXT)
    layer: PredictedLayer = made.twin.predicted
    layer.bind([], [Placed(FLEET, instance=1), Placed("/Plant/Box")])
    feed = Feed(made.twin)
    table = feed.bind(1)
    (number,) = (i for i, each in enumerate(table.instancers) if each["path"] == FLEET)
    assert [row["path"] for row in table.channels if row.get("expected")] == [
        "/Plant/Box.xformOp:transform:predicted"
    ]
    feed.want(True, True)
    feed.state()
    layer.place(_index(0), _turned(20, 0))
    assert feed.stirred
    state = feed.state()
    told = np.frombuffer(state.instances[number], np.float32).reshape(3, 7)
    assert told[:, 0].tolist() == [1, 20, 3]
    assert not feed.stirred
    assert isinstance(state, wire.State)


@given(
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: math.hypot(*v) > 0.1),
    st.floats(-360, 360),
    st.floats(0.01, 100),
)
def test_rotations_are_those_of_the_matrices(
    axis: tuple[float, float, float], degrees: float, scale: float
) -> None:
    rotation = Gf.Rotation(Gf.Vec3d(*axis), degrees)
    matrix = Gf.Matrix4d(1).SetScale(scale) * Gf.Matrix4d(1).SetRotate(rotation)
    (found,) = quaternions_of(np.array(matrix).reshape(1, 16)).tolist()
    exact = rotation.GetQuat().GetNormalized()
    imaginary = exact.GetImaginary()
    wanted = np.array([imaginary[0], imaginary[1], imaginary[2], exact.GetReal()])
    assert abs(abs(float(wanted @ np.array(found))) - 1) < 1e-9
