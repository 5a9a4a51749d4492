"""The predicted layer's writer: expected values and poses, and what it refuses to touch."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin import OwnershipError
from stagetwin.live import POSE_OP, Expected, Placed, PredictedLayer
from tests.stages.conftest import MakePlant
from tests.stages.plants import asset, command, full_path, plant, prim, telemetry
from tests.stages.simulation.modelled import model

FLOW = full_path("/Plant/P.flow")
PREDICTED = full_path("/Plant/P.flow", "predicted")
RESIDUAL = full_path("/Plant/P.flow", "residual")
OUT = "/Plant/P.twin:model:m:out:npsh"
TEXT = plant(
    prim(
        "P",
        asset("p"),
        telemetry("flow", "float", address="flow"),
        telemetry("count", "int", address="count"),
        telemetry("on", "bool", address="on"),
        telemetry("parts", "uint", address="parts"),
        telemetry("byte", "uchar", address="byte"),
        telemetry("long", "int64", address="long"),
        telemetry("rough", "half", address="rough"),
        telemetry("mode", "token", address="mode"),
        command("drive", readback=FLOW),
        model("m", writes=[FLOW]),
        "double plain = 7",
    ),
    prim("Box", "double3 xformOp:translate = (1, 2, 3)",
         'uniform token[] xformOpOrder = ["xformOp:translate"]', type_name="Cube"),
    prim("Live", telemetry("pose", "matrix4d", "pose", target="/Plant/Live.xformOp:transform"),
         "matrix4d xformOp:transform", 'uniform token[] xformOpOrder = ["xformOp:transform"]'),
    prim("Odd", type_name="Scope"),
)  # fmt: skip


def index(*positions: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(positions, np.int32)


def numbers(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values)


class Written:
    """A layer bound to some outputs and poses of the plant."""

    def __init__(self, live: MakePlant, *outputs: str, poses: tuple[Placed, ...] = ()) -> None:
        self.plant = live(TEXT)
        self.stage = self.plant.stage
        self.layer: PredictedLayer = self.plant.twin.predicted
        driven = [b.target for b in self.plant.twin.table.telemetry.values()]
        driven += [b.target for b in self.plant.twin.table.commands]
        self.layer.bind([Expected(path) for path in outputs], poses, driven)

    def get(self, path: str) -> object:
        return self.stage.GetAttributeAtPath(path).Get()


def test_values_are_written_in_the_type_of_their_signal(live: MakePlant) -> None:
    paths = [full_path(f"/Plant/P.{name}", "predicted") for name in ("flow", "count", "on")]
    w = Written(live, *paths, OUT, RESIDUAL)
    assert w.layer.refused == {}
    assert w.layer.write(index(0, 1, 2, 3, 4), numbers(1.5, 2.6, 1, 4, -0.5), 10.0) == 5
    assert [w.get(path) for path in (*paths, OUT, RESIDUAL)] == [1.5, 3, True, 4.0, -0.5]
    kinds = [w.stage.GetAttributeAtPath(path).GetTypeName() for path in paths]
    assert list(map(str, kinds)) == ["float", "int", "bool"]
    assert (w.layer.value(OUT), w.layer.time) == (4.0, 10.0)
    assert math.isnan(w.layer.value("/Plant/P.twin:model:m:out:other"))


@pytest.mark.parametrize(
    ("name", "within", "outside"),
    [
        ("count", (-(2.0**31), 2.0**31 - 1), (-(2.0**31) - 1, 2.0**31, 1e300)),
        ("parts", (0.0, 2.0**32 - 1), (-1.0, -5.0, 2.0**32)),
        ("byte", (0.0, 255.0), (-1.0, 256.0)),
        ("long", (-(2.0**63), 2.0**63 - 1024), (2.0**63, -(2.0**63) - 2048)),
        ("flow", (-3e38, 3e38), (4e38, -1e39)),
        ("rough", (-65504.0, 65504.0), (65520.0, -1e6)),
    ],
)
def test_what_a_type_cannot_hold_is_not_known(
    live: MakePlant, name: str, within: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    """A model's number must neither end the service nor land as another number."""
    path = full_path(f"/Plant/P.{name}", "predicted")
    w = Written(live, path, OUT)
    assert w.layer.refused == {}
    for good in within:
        w.layer.write(index(0, 1), numbers(good, 4), 1.0)
        assert w.get(path) == pytest.approx(good, rel=1e-3)
        for wrong in outside:
            w.layer.write(index(0, 1), numbers(wrong, 5), 2.0)
            assert (w.get(path), w.get(OUT)) == (None, 5.0)
            assert math.isnan(w.layer.value(path))
            w.layer.write(index(0), numbers(good), 3.0)
            assert w.layer.value(path) == good


def test_what_did_not_change_is_not_written_again(live: MakePlant) -> None:
    w = Written(live, PREDICTED, OUT)
    assert w.layer.write(index(0, 1), numbers(1, math.nan), 1.0) == 1
    assert w.layer.write(index(0, 1), numbers(1, math.nan), 2.0) == 0
    assert w.layer.write(index(0, 1), numbers(1, 5), 3.0) == 1
    assert w.layer.writes == 2


def test_the_unknown_hides_what_the_plant_says(live: MakePlant) -> None:
    w = Written(live, "/Plant/P.plain")
    assert w.get("/Plant/P.plain") is None  # nothing is known as yet
    w.layer.write(index(0), numbers(3), 1.0)
    assert w.get("/Plant/P.plain") == 3.0
    w.layer.write(index(0), numbers(math.inf), 2.0)
    assert w.get("/Plant/P.plain") is None
    w.layer.bind([])
    assert w.get("/Plant/P.plain") == 7.0


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (FLOW, "telemetry drives it"),
        ("/Plant/P.twin:command:drive:desired", "a command sets it"),
        ("/Plant/P.twin:level", "a twin's own properties"),
        ("/Plant/P.twin:telemetry:flow:quality", "a twin's own properties"),
        (full_path("/Plant/P.mode", "predicted"), "it is a token, no number"),
        ("/Plant/P.gone", "no such attribute"),
        ("/Plant/Gone.twin:model:m:out:x", "no prim"),
        ("/Plant/P", "no path of a property"),
        ("not a path", "no path of a property"),
    ],
)
def test_nothing_but_expected_values_is_ever_written(live: MakePlant, path: str, says: str) -> None:
    w = Written(live, path, PREDICTED)
    assert says in w.layer.refused[path]
    before = w.plant.twin.layers.predicted.ExportToString()
    assert w.layer.write(index(0), numbers(1), 1.0) == 0
    assert w.plant.twin.layers.predicted.ExportToString() == before
    assert w.layer.write(index(1), numbers(1), 1.0) == 1


def test_positions_that_are_not_there_do_not_count(live: MakePlant) -> None:
    w = Written(live, PREDICTED)
    assert w.layer.write(index(-1, 0, 1), numbers(8, 2, 9), 1.0) == 1
    assert w.get(PREDICTED) == 2.0
    assert w.layer.place(index(0), np.eye(4).reshape(1, 16)) == 0


def test_of_two_outputs_with_one_path_the_first_counts(live: MakePlant) -> None:
    w = Written(live, PREDICTED, PREDICTED)
    w.layer.write(index(0, 1), numbers(1, 2), 1.0)
    assert (w.get(PREDICTED), w.layer.value(PREDICTED)) == (1.0, 1.0)


def test_withdrawn_values_look_unknown_and_come_again(live: MakePlant) -> None:
    w = Written(live, PREDICTED)
    w.layer.write(index(0), numbers(1), 1.0)
    w.layer.withdraw()
    assert w.get(PREDICTED) is None
    assert math.isnan(w.layer.value(PREDICTED))
    assert math.isnan(w.layer.time)
    assert w.layer.write(index(0), numbers(1), 2.0) == 1
    assert w.get(PREDICTED) == 1.0


def test_specs_of_a_former_binding_go(live: MakePlant) -> None:
    w = Written(live, PREDICTED, OUT)
    w.layer.write(index(0, 1), numbers(1, 2), 1.0)
    w.layer.bind([Expected(OUT)])
    layer = w.plant.twin.layers.predicted
    assert not layer.GetAttributeAtPath(PREDICTED)
    assert layer.GetAttributeAtPath(OUT)
    w.layer.bind([])
    assert layer.empty


def test_another_thread_is_refused(live: MakePlant) -> None:
    w = Written(live, PREDICTED)
    raised: list[BaseException] = []

    def meddle() -> None:
        try:
            w.layer.write(index(0), numbers(1), 1.0)
        except OwnershipError as error:
            raised.append(error)

    thread = threading.Thread(target=meddle)
    thread.start()
    thread.join()
    assert len(raised) == 1


# -- poses


def place_of(stage: Usd.Stage, path: str) -> tuple[float, float, float]:
    matrix = UsdGeom.Xformable(stage.GetPrimAtPath(path)).ComputeLocalToWorldTransform(
        Usd.TimeCode.Default()
    )
    return tuple(matrix.ExtractTranslation())


def moved(x: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    matrix = np.eye(4)
    matrix[3, 0] = x
    return matrix.reshape(1, 16)


@pytest.mark.parametrize("reset", [True, False])
def test_a_prim_is_placed_by_its_own_op_and_given_back(live: MakePlant, reset: bool) -> None:
    w = Written(live, poses=(Placed("/Plant/Box", reset),))
    world = UsdGeom.Xformable(w.stage.GetPrimAtPath("/Plant"))
    world.AddTranslateOp().Set(Gf.Vec3d(100, 0, 0))
    assert place_of(w.stage, "/Plant/Box") == (101, 2, 3)  # the plant's, until a model speaks
    assert w.layer.place(index(0), moved(5)) == 1
    assert place_of(w.stage, "/Plant/Box") == ((5, 0, 0) if reset else (105, 0, 0))
    assert w.get(f"/Plant/Box.{POSE_OP}") is not None
    assert w.layer.place(index(0), moved(5 + 1e-12)) == 0
    assert w.layer.place(index(0), moved(6)) == 1
    w.layer.withdraw()
    assert place_of(w.stage, "/Plant/Box") == (101, 2, 3)
    assert w.layer.place(index(0), moved(6)) == 1
    assert w.layer.place(index(0), np.full((1, 16), math.nan)) == 0
    assert place_of(w.stage, "/Plant/Box") == (101, 2, 3)


def test_a_prim_that_telemetry_places_stays_with_it(live: MakePlant) -> None:
    w = Written(live, poses=(Placed("/Plant/Live"), Placed("/Plant/Odd"), Placed("/Plant/Gone")))
    assert "telemetry" in w.layer.refused["/Plant/Live"]
    assert "a Scope has no place" in w.layer.refused["/Plant/Odd"]
    assert "no prim" in w.layer.refused["/Plant/Gone"]
    assert w.layer.place(index(0, 1, 2), np.repeat(moved(5), 3, axis=0)) == 0
    assert w.plant.twin.layers.predicted.GetPrimAtPath("/Plant/Live") is None


def test_detaching_leaves_the_stage_as_it_was(live: MakePlant) -> None:
    w = Written(live, PREDICTED, OUT, poses=(Placed("/Plant/Box"),))
    root = w.stage.GetRootLayer().ExportToString()
    w.layer.write(index(0, 1), numbers(1, 2), 1.0)
    w.layer.place(index(0), moved(5))
    w.plant.twin.close()
    assert place_of(w.stage, "/Plant/Box") == (1, 2, 3)
    assert w.stage.GetRootLayer().ExportToString() == root
    assert not Sdf.Path(OUT) or not w.stage.GetAttributeAtPath(OUT)
