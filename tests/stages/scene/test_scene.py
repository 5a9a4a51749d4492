"""The zoo and the example plant as GLB: bounds are USD's, Khronos' validator finds no fault."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from stagetwin._data import factory_folder
from stagetwin.opening import open_stage
from stagetwin.scene import Scene, convert_stage, export_glb
from stagetwin.scene._gprims import GPRIMS
from tests.stages.scene.zoo import (
    VALIDATOR,
    corners,
    drawn,
    drawn_in,
    hashes,
    validate,
    write_zoo,
)

EXACT = GPRIMS | {"Mesh", "Points"}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Usd.Stage:
    return Usd.Stage.Open(str(write_zoo(tmp_path_factory.mktemp("zoo"))))


@pytest.fixture(scope="module")
def zoo_scene(zoo: Usd.Stage) -> Scene:
    return convert_stage(zoo)


@pytest.fixture(scope="module")
def factory() -> Usd.Stage:
    return open_stage(factory_folder() / "factory.usda")


@pytest.fixture(scope="module")
def factory_scene(factory: Usd.Stage) -> Scene:
    return convert_stage(factory)


def shapes_of(stage: Usd.Stage) -> list[Usd.Prim]:
    """Shapes whose extent is exactly that of what is drawn, outside of instancers."""
    found = []
    prims = iter(Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()))
    for prim in prims:
        if prim.GetTypeName() == "PointInstancer":
            prims.PruneChildren()
        elif prim.GetTypeName() in EXACT:
            mesh = UsdGeom.Mesh(prim)
            if not mesh or mesh.GetSubdivisionSchemeAttr().Get() == "none":
                found.append(prim)
    return found


def assert_bounds_are_usds(stage: Usd.Stage, scene: Scene) -> int:
    time = Usd.TimeCode.EarliestTime()
    cache = UsdGeom.XformCache(time)
    found = drawn(scene)
    prims = shapes_of(stage)
    for prim in prims:
        shape = found[str(prim.GetPath())]
        low, high = UsdGeom.Boundable.ComputeExtentFromPlugins(UsdGeom.Boundable(prim), time)
        if prim.GetTypeName() == "Points":
            points = np.array(UsdGeom.Points(prim).GetPointsAttr().Get(time))
            low, high = points.min(axis=0), points.max(axis=0)
        expected = corners(low, high, np.array(cache.GetLocalToWorldTransform(prim)))
        here = corners(shape.positions.min(axis=0), shape.positions.max(axis=0), shape.world)
        size = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(here, expected, atol=3e-7 * size, err_msg=str(prim.GetPath()))
    return len(prims)


def test_bounds_of_the_zoo_are_usds(zoo: Usd.Stage, zoo_scene: Scene) -> None:
    assert assert_bounds_are_usds(zoo, zoo_scene) > 40


def test_bounds_of_the_plant_are_usds(factory: Usd.Stage, factory_scene: Scene) -> None:
    assert assert_bounds_are_usds(factory, factory_scene) > 1_000
    assert factory_scene.problems == ()


def test_triangles_look_where_their_normals_do(zoo_scene: Scene) -> None:
    for shape in drawn(zoo_scene).values():
        for row in shape.primitives:
            if row["mode"] != 4:
                continue
            corner = shape.array(row["indices"]).reshape(-1, 3)
            a, b, c = (shape.positions[corner[:, i]] for i in range(3))
            facing = np.cross(b - a, c - a)
            normals = shape.array(row["attributes"]["NORMAL"])[corner].mean(axis=1)
            assert (np.einsum("ix,ix->i", facing, normals) > 0).all(), shape.path


@pytest.mark.skipif(
    os.environ.get("CI") != "true"
    and (shutil.which("node") is None or not (VALIDATOR / "node_modules").is_dir()),
    reason="the Khronos validator is missing: .ci/system-parts gltf",
)
def test_khronos_validator_finds_no_fault(
    zoo_scene: Scene, factory_scene: Scene, tmp_path: Path
) -> None:
    contents = {**zoo_scene.glbs, **factory_scene.glbs}
    contents["zoo"] = export_glb(zoo_scene)
    contents["factory"] = export_glb(factory_scene)
    reports = validate(contents, tmp_path)
    assert len(reports) == len(contents)
    assert [report["path"] for report in reports if report["numErrors"]] == []
    warnings = {m["code"] for r in reports for m in r["messages"] if m["severity"] == 1}
    # Tangents are left to the viewer, which every viewer computes alike enough.
    assert warnings <= {"MESH_PRIMITIVE_GENERATED_TANGENT_SPACE"}


def test_an_export_draws_what_the_scene_draws(zoo: Usd.Stage, zoo_scene: Scene) -> None:
    whole = list(drawn_in(export_glb(zoo_scene), np.eye(4), ""))
    low = np.min([corners(*_box(shape.positions), shape.world)[0] for shape in whole], axis=0)
    high = np.max([corners(*_box(shape.positions), shape.world)[1] for shape in whole], axis=0)
    bounds = zoo_scene.manifest["stage"]["bounds"]
    # Y up: what was z is y now, and what was y is -z.
    expected = [
        [bounds[0][0], bounds[0][2], -bounds[1][1]],
        [bounds[1][0], bounds[1][2], -bounds[0][1]],
    ]
    np.testing.assert_allclose([low, high], expected, rtol=1e-6, atol=1e-4)
    names = [shape.path for shape in whole]
    assert "//World/Shown/Render" in names
    assert not any(path.endswith(("Hidden", "Guide", "Proxy")) for path in names)


def _box(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return positions.min(axis=0), positions.max(axis=0)


def test_equal_models_are_one_glb_wherever_they_are(zoo_scene: Scene) -> None:
    glbs = {
        path: glb for path, glb in hashes(zoo_scene).items() if path.startswith("/World/Pumps/")
    }
    assert len(glbs) == 4
    assert len(set(glbs.values())) == 1
    kinds = {node["path"]: node["instance"] for node in zoo_scene.manifest["nodes"]}
    assert [kinds[f"/World/Pumps/{name}"] for name in "ABCD"] == [False, False, True, True]


def test_hashes_are_the_same_in_every_process(zoo: Usd.Stage, zoo_scene: Scene) -> None:
    script = (
        "import sys; from pxr import Usd; from stagetwin.scene import convert_stage\n"
        "print(*sorted(convert_stage(Usd.Stage.Open(sys.argv[1])).glbs))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, zoo.GetRootLayer().realPath],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert done.stdout.split() == sorted(zoo_scene.glbs)


def test_purpose_and_visibility_are_told(zoo_scene: Scene) -> None:
    found = drawn(zoo_scene)
    extras = {name: found[f"/World/Shown/{name}"].extras for name in ("Hidden", "Guide", "Proxy")}
    assert extras["Hidden"]["hidden"] is True
    assert extras["Guide"]["purpose"] == "guide"
    assert extras["Proxy"]["purpose"] == "proxy"
    rows = {row["path"]: row for row in zoo_scene.manifest["prims"]}
    assert rows["/World/Shown/Hidden"]["visible"] is False
    assert rows["/World/Shown/Guide"]["visible"] is True
    assert "/World/Looks/Steel" not in rows


def test_a_camera_looks_down_its_z_axis(zoo_scene: Scene) -> None:
    (camera,) = zoo_scene.manifest["cameras"]
    assert camera["path"] == "/World/Eye"
    assert camera["position"] == [0, 0, 10]
    assert camera["target"] == [0, 0, 5]
    assert camera["up"] == [0, 1, 0]
    assert camera["fov"] == pytest.approx(53.130, abs=1e-3)


def test_vertices_far_from_their_origin_are_moved_to_it(zoo_scene: Scene) -> None:
    shape = drawn(zoo_scene)["/World/Places/FarPoints"]
    assert np.abs(shape.attribute("POSITION")).max() <= 1
    assert shape.positions.max() == 10001
