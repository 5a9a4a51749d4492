"""PointInstancers: instances where USD has them, also nested and inside models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom

from stagetwin.live import LAYER_NAMES, SessionLayers
from stagetwin.scene import Scene, SceneReader, convert_stage
from stagetwin.scene._instancers import Instances
from tests.stages.scene.zoo import drawn, drawn_in, places, stage_of, write_zoo

ROBOTS = "/World/Fleet/Robots"


@pytest.fixture
def zoo(tmp_path: Path) -> Usd.Stage:
    return Usd.Stage.Open(str(write_zoo(tmp_path)))


def instancer(scene: Scene, path: str) -> dict[str, Any]:
    (row,) = (row for row in scene.manifest["instancers"] if row["path"] == path)
    return row


def matrices(row: dict[str, Any]) -> np.ndarray:
    """Return the instances' matrices, as a viewer would put them together."""
    count = len(row["indices"])
    found = []
    for number in range(count):
        matrix = np.eye(4)
        x, y, z, w = (row["orientations"] or [0, 0, 0, 1] * count)[4 * number : 4 * number + 4]
        matrix[:3, :3] = np.diag(
            (row["scales"] or [1, 1, 1] * count)[3 * number : 3 * number + 3]
        ) @ np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
                [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
                [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        matrix[3, :3] = row["positions"][3 * number : 3 * number + 3]
        found.append(matrix)
    return np.array(found)


def test_instances_are_where_usd_has_them(zoo: Usd.Stage) -> None:
    scene = convert_stage(zoo)
    row = instancer(scene, ROBOTS)
    usd = UsdGeom.PointInstancer(zoo.GetPrimAtPath(ROBOTS)).ComputeInstanceTransformsAtTime(
        Usd.TimeCode.EarliestTime(),
        Usd.TimeCode.EarliestTime(),
        UsdGeom.PointInstancer.IncludeProtoXform,
        UsdGeom.PointInstancer.IgnoreMask,
    )
    for number, (matrix, expected) in enumerate(zip(matrices(row), usd, strict=True)):
        pieces = row["prototypes"][row["indices"][number]]
        place = np.array(pieces[0]["matrix"]).reshape(4, 4)
        np.testing.assert_allclose(place @ matrix, np.array(expected), atol=1e-3)
    assert row["ids"] == [7, 8, 9, 10]
    assert row["hidden"] == [1]
    assert scene.manifest["nodes"][row["node"]]["path"] == ROBOTS


def test_an_instancer_in_a_prototype_is_pieces(zoo: Usd.Stage) -> None:
    scene = convert_stage(zoo)
    box, rack = instancer(scene, ROBOTS)["prototypes"]
    assert len(box) == 1
    assert np.array(box[0]["matrix"]).reshape(4, 4)[3].tolist() == [0, 0, 0.5, 1]
    places_of_pieces = [np.array(piece["matrix"]).reshape(4, 4)[3, :3].tolist() for piece in rack]
    assert places_of_pieces == [[0, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert rack[1]["glb"] == rack[2]["glb"] != rack[0]["glb"]


def test_nothing_is_drawn_of_what_is_under_an_instancer(zoo: Usd.Stage) -> None:
    assert not any(path.startswith(ROBOTS) for path in drawn(convert_stage(zoo)))


def test_an_instancer_in_a_model_hangs_from_a_prim_in_its_glb(zoo: Usd.Stage) -> None:
    scene = convert_stage(zoo)
    row = instancer(scene, "/World/Cell/Arm/Bolts")
    node = scene.manifest["nodes"][row["node"]]
    assert scene.manifest["nodes"][node["parent"]]["path"] == "/World/Cell"
    assert node["under"] == "Arm"
    assert places(scene)[row["node"]][3].tolist() == [0, 3, 0, 1]
    paths = [row["path"] for row in scene.manifest["prims"]]
    assert paths.count("/World/Cell/Arm/Bolts") == 1


def test_bounds_of_the_scene_hold_every_instance_that_is_shown() -> None:
    stage = stage_of(
        """def Xform "World" {
        double3 xformOp:translate = (0, 0, 1)
        uniform token[] xformOpOrder = ["xformOp:translate"]
        def PointInstancer "P" {
            int[] protoIndices = [0, 0, 0, 9]
            int64[] invisibleIds = [1]
            point3f[] positions = [(0, 0, 0), (99, 0, 0), (5, 0, 0), (0, 99, 0)]
            rel prototypes = </World/P/Box>
            def Cube "Box" { } } }"""
    )
    scene = convert_stage(stage)
    assert scene.manifest["stage"]["bounds"] == [[-1, -1, 0], [6, 1, 2]]
    row = instancer(scene, "/World/P")
    assert row["hidden"] == [1, 3]
    assert row["bounds"] == [[[-1, -1, -1], [1, 1, 1]]]
    assert [problem.reason for problem in scene.problems] == ["1 protoIndices are not in [0, 1)"]


def test_inactive_instances_are_hidden() -> None:
    stage = stage_of(
        """def Xform "World" { def PointInstancer "P" {
        int[] protoIndices = [0, 0]
        point3f[] positions = [(0, 0, 0), (5, 0, 0)]
        rel prototypes = </World/P/Box>
        def Cube "Box" { } } }"""
    )
    UsdGeom.PointInstancer(stage.GetPrimAtPath("/World/P")).DeactivateId(0)
    assert instancer(convert_stage(stage), "/World/P")["hidden"] == [0]


def test_prototypes_may_be_overs_and_elsewhere() -> None:
    stage = stage_of(
        """def Xform "World" { def PointInstancer "P" {
        int[] protoIndices = [0]
        point3f[] positions = [(0, 0, 0)]
        rel prototypes = </Library/Box> } }
        over "Library" { token visibility = "invisible"
            def Xform "Box" { def Cube "Hull" { } } }"""
    )
    scene = convert_stage(stage)
    ((piece,),) = instancer(scene, "/World/P")["prototypes"]
    (shape,) = drawn_in(scene.glbs[piece["glb"]], np.eye(4), "/Library/Box")
    assert shape.path == "/Library/Box/Hull"
    assert drawn(scene) == {}


def test_a_hidden_prototype_draws_nothing() -> None:
    stage = stage_of(
        """def Xform "World" { def PointInstancer "P" {
        int[] protoIndices = [0]
        point3f[] positions = [(0, 0, 0)]
        rel prototypes = </World/P/Box>
        def Cube "Box" { token visibility = "invisible" } } }"""
    )
    assert instancer(convert_stage(stage), "/World/P")["prototypes"] == [[]]


def test_live_positions_make_no_epoch(zoo: Usd.Stage) -> None:
    layers = SessionLayers(zoo)
    live = [getattr(layers, name) for name in LAYER_NAMES]
    path = Sdf.Path(f"{ROBOTS}.positions")
    reader = SceneReader(zoo, [path], live)
    assert reader.advance(10.0)
    first = reader.scene
    Sdf.JustCreatePrimAttributeInLayer(layers.live, path, Sdf.ValueTypeNames.Point3fArray)
    layers.live.GetAttributeAtPath(path).default = [(9, 0, 0)] * 4
    assert not reader.busy
    zoo.GetPrimAtPath("/World/Pumps/A").SetMetadata("kind", "component")  # has it read again
    while reader.busy:
        reader.advance(10.0)
    assert reader.scene is first
    now = instancer(convert_stage(zoo, driven=[path], live=live), ROBOTS)
    assert now["positions"][:3] == [9, 0, 0]
    reader.close()


def test_matrices_without_orientation_and_scale() -> None:
    empty = np.zeros((0, 4))
    instances = Instances(
        np.zeros(2, np.int64),
        np.array([(1.0, 2.0, 3.0), (0, 0, 0)]),
        empty,
        empty[:, :3],
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
    )
    np.testing.assert_array_equal(instances.matrices()[1], np.eye(4))
    assert instances.matrices()[0, 3].tolist() == [1, 2, 3, 1]
