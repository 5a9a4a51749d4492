"""What changes in a stage changes in its scene, and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pxr import Sdf, Usd, UsdGeom, Vt

from stagetwin import OwnershipError
from stagetwin._data import factory_folder
from stagetwin.live import LAYER_NAMES, SessionLayers
from stagetwin.opening import open_stage
from stagetwin.scene import Scene, SceneReader, convert_stage, moving_prims
from stagetwin.scene._beside import LARGE
from stagetwin.scene._keys import ModelKeys
from tests.stages.scene.zoo import drawn, hashes, inside, stage_of, write_zoo

SPIN = Sdf.Path("/World/Pumps/A/Shaft.xformOp:rotateZ:spin")


class Plant:
    """A zoo with live layers, and its reader."""

    def __init__(self, folder: Path) -> None:
        self.stage = Usd.Stage.Open(str(write_zoo(folder)))
        self.layers = SessionLayers(self.stage)
        self.live = [getattr(self.layers, name) for name in LAYER_NAMES]
        self.reader = SceneReader(self.stage, [SPIN], self.live)

    def read(self, budget: float = 10.0) -> Scene:
        """Read what there is to read."""
        while self.reader.busy:
            self.reader.advance(budget)
        assert self.reader.scene is not None
        return self.reader.scene

    def whole(self) -> Scene:
        """Convert all of it anew."""
        return convert_stage(self.stage, driven=[SPIN], live=self.live)

    def spin(self, value: float) -> None:
        """Write a live value."""
        spec = self.layers.live.GetAttributeAtPath(SPIN)
        if spec is None:
            Sdf.JustCreatePrimAttributeInLayer(self.layers.live, SPIN, Sdf.ValueTypeNames.Double)
            spec = self.layers.live.GetAttributeAtPath(SPIN)
        spec.default = value


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    plant = Plant(tmp_path)
    yield plant
    plant.reader.close()


def same(one: Scene, other: Scene) -> None:
    """Assert that two scenes are the same but for their epoch."""
    assert {**one.manifest, "epoch": 0} == {**other.manifest, "epoch": 0}
    assert one.glbs == other.glbs


def test_a_variant_switch_changes_exactly_one_hash(plant: Plant) -> None:
    before = plant.read()
    variants = plant.stage.GetPrimAtPath("/World/Pumps/B").GetVariantSet("state")
    variants.SetVariantSelection("stopped")
    after = plant.read()
    changed = {p for p, glb in hashes(after).items() if glb != hashes(before)[p]}
    assert changed == {"/World/Pumps/B"}
    assert len(after.glbs.keys() - before.glbs.keys()) == 1
    assert after.epoch == before.epoch + 1
    assert plant.reader.converted < 10
    same(after, plant.whole())


def test_back_again_is_the_same_glb(plant: Plant) -> None:
    before = plant.read()
    variants = plant.stage.GetPrimAtPath("/World/Pumps/D").GetVariantSet("state")
    variants.SetVariantSelection("stopped")
    plant.read()
    variants.SetVariantSelection("running")
    assert hashes(plant.read()) == hashes(before)


def test_prims_added_removed_and_moved(plant: Plant) -> None:
    before = plant.read()
    stage = plant.stage
    UsdGeom.Cube.Define(stage, "/World/Gprims/New")
    added = plant.read()
    assert "/World/Gprims/New" in drawn(added)
    same(added, plant.whole())
    stage.RemovePrim("/World/Gprims/New")
    removed = plant.read()
    assert hashes(removed) == hashes(before)
    same(removed, plant.whole())
    stage.GetPrimAtPath("/World/Pumps/A").GetAttribute("xformOp:translate").Set((1, 2, 3))
    moved = plant.read()
    assert moved.glbs.keys() == before.glbs.keys()
    assert plant.reader.converted == 0, "a model that only moved was converted again"
    same(moved, plant.whole())
    stage.GetPrimAtPath("/World/Pumps/B/Body").GetAttribute("radius").Set(0.75)
    same(plant.read(), plant.whole())
    stage.GetPrimAtPath("/World/Pumps").SetActive(False)
    gone = plant.read()
    assert not any(path.startswith("/World/Pumps") for path in hashes(gone))
    same(gone, plant.whole())


def test_deinstancing_keeps_the_content(plant: Plant) -> None:
    before = plant.read()
    plant.stage.GetPrimAtPath("/World/Pumps/C").SetInstanceable(False)
    after = plant.read()
    assert hashes(after) == hashes(before)
    rows = {node["path"]: node["instance"] for node in after.manifest["nodes"]}
    assert rows["/World/Pumps/C"] is False
    assert after.epoch == before.epoch + 1
    assert drawn(after).keys() == drawn(before).keys()
    same(after, plant.whole())


def test_an_edit_of_an_asset_reaches_instances_and_references(plant: Plant) -> None:
    before = plant.read()
    layer = Sdf.Layer.Find(str(Path(plant.stage.GetRootLayer().realPath).parent / "pump.usda"))
    layer.GetAttributeAtPath("/Pump/Body.radius").default = 0.9
    after = plant.read()
    paths = [f"/World/Pumps/{name}" for name in "ABCD"]
    assert all(hashes(after)[path] != hashes(before)[path] for path in paths)
    assert len({hashes(after)[path] for path in paths}) == 1
    same(after, plant.whole())


def test_an_edit_of_a_material_outside_reaches_its_models(plant: Plant) -> None:
    stage = plant.stage
    stage.GetPrimAtPath("/World/Pumps/A/Body").ApplyAPI("MaterialBindingAPI")
    binding = stage.GetPrimAtPath("/World/Pumps/A/Body").CreateRelationship("material:binding")
    binding.SetTargets(["/World/Looks/Steel"])
    before = plant.read()
    assert drawn(before)["/World/Pumps/A/Body"].material()["name"] == "Steel"
    color = stage.GetPrimAtPath("/World/Looks/Steel/Surface").GetAttribute("inputs:diffuseColor")
    color.Set((1, 0, 0))
    after = plant.read()
    pbr = drawn(after)["/World/Pumps/A/Body"].material()["pbrMetallicRoughness"]
    assert pbr["baseColorFactor"] == [1, 0, 0, 1]
    same(after, plant.whole())


def test_what_is_inherited_from_above_reaches_models(plant: Plant) -> None:
    plant.read()
    pumps = UsdGeom.PrimvarsAPI(plant.stage.GetPrimAtPath("/World/Pumps"))
    color = pumps.CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray)
    color.Set([(0.25, 0.25, 0.5)])
    after = plant.read()
    pbr = drawn(after)["/World/Pumps/C/Body"].material()["pbrMetallicRoughness"]
    assert pbr["baseColorFactor"] == [0.25, 0.25, 0.5, 1]
    same(after, plant.whole())


def test_live_values_make_no_epoch_and_are_in_no_glb(plant: Plant) -> None:
    before = plant.read()
    assert moving_prims([SPIN]) == [SPIN.GetPrimPath()]
    (row,) = before.manifest["movers"]
    assert row["path"] == "/World/Pumps/A/Shaft"
    plant.spin(90.0)
    assert plant.reader.busy is False
    assert plant.reader.advance() is False
    now = plant.whole()
    assert now.glbs == before.glbs
    design = inside(now, hashes(now)["/World/Pumps/A"] or "", "Shaft")
    np.testing.assert_allclose(design[0, :2], [np.cos(np.pi / 12), np.sin(np.pi / 12)])
    (row,) = now.manifest["movers"]
    np.testing.assert_allclose(row["matrix"][:2], [0, 1], atol=1e-12)


def test_live_values_between_other_edits_are_not_taken_for_one(plant: Plant) -> None:
    before = plant.read()
    plant.spin(10.0)
    plant.read()
    with Sdf.ChangeBlock():
        plant.spin(20.0)
        spec = Sdf.CreatePrimInLayer(plant.stage.GetRootLayer(), "/World/Pumps/A")
        spec.SetInfo("comment", "nothing to see")
    after = plant.read()
    assert after is before, "a comment made an epoch"


def test_a_property_that_is_driven_from_now_on(plant: Plant) -> None:
    before = plant.read()
    plant.reader.drive([])
    after = plant.read()
    assert after.manifest["movers"] == []
    assert hashes(after) == hashes(before)
    assert after.epoch == before.epoch + 1


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.integers(0, 40), max_size=30), edit=st.integers(0, 30))
def test_in_slices_is_as_in_one_go(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], edit: int
) -> None:
    """However a reading is cut up, and wherever the stage is edited in the middle of it."""
    plant = Plant(tmp_path_factory.mktemp("zoo"))
    for number, count in enumerate(steps):
        plant.reader.advance(0.0)
        for _ in range(count):
            plant.reader.advance(0.0)
        if number == edit:
            pump = plant.stage.GetPrimAtPath("/World/Pumps/B")
            pump.GetVariantSet("state").SetVariantSelection("stopped")
            plant.stage.RemovePrim("/World/Pumps/A")
            UsdGeom.Sphere.Define(plant.stage, "/World/Late")
    same(plant.read(0.0), plant.whole())
    plant.reader.close()


def test_a_large_mesh_is_worked_on_beside_and_may_change_meanwhile() -> None:
    stage = stage_of('def Xform "World" { def Mesh "Sheet" { } }')
    sheet = UsdGeom.Mesh(stage.GetPrimAtPath("/World/Sheet"))

    def cover(size: int) -> None:
        x, y = np.meshgrid(np.arange(size + 1), np.arange(size + 1))
        points = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3).astype(np.float32)
        corner = np.arange((size + 1) ** 2).reshape(size + 1, size + 1)[:-1, :-1].reshape(-1)
        faces = np.stack([corner, corner + 1, corner + size + 2, corner + size + 1], axis=1)
        with Sdf.ChangeBlock():
            sheet.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(points))
            counts = np.full(size * size, 4, np.int32)
            sheet.GetFaceVertexCountsAttr().Set(Vt.IntArray.FromNumpy(counts))
            flat = faces.astype(np.int32).reshape(-1)
            sheet.GetFaceVertexIndicesAttr().Set(Vt.IntArray.FromNumpy(flat))

    cover(80)
    assert LARGE < 80 * 80 * 4
    reader = SceneReader(stage)
    for _ in range(3):
        reader.advance(0.0)
    cover(90)
    while reader.busy:
        reader.advance(0.0)
    assert reader.scene is not None
    assert len(drawn(reader.scene)["/World/Sheet"].triangles()) == 2 * 90 * 90
    same(reader.scene, convert_stage(stage))
    reader.close()


LINE = """
def Xform "World" {
    def Xform "Line1" ( prepend references = </Line> ) { }
    def Xform "Line2" ( prepend references = </Line> ) {
        over "Paint" { over "Block" { double size = 5 } }
        over "Pumps" { color3f[] primvars:displayColor = [(1, 0, 0)] }
        over "Valves" { over "V2" { over "Body" { double radius = 7 } } } }
    def Xform "Line3" ( prepend references = </Line> ) { uniform token purpose = "proxy" }
}
class "Line" {
    class "Paint" { def Cube "Block" { double size = 2 } }
    def Xform "Pumps" {
        def Xform "P1" ( kind = "component"; prepend references = </Pump> ) { }
        def Xform "P2" ( kind = "component"; prepend references = </Pump> ) { } }
    def Xform "Valves" {
        def Xform "V1" ( kind = "component"; prepend references = </Pump> ) { }
        def Xform "V2" ( kind = "component"; prepend references = </Pump> ) { } }
    def Xform "Marks" {
        def Xform "M1" ( kind = "component" ) {
            def Xform "Inner" ( prepend inherits = </Line/Paint> ) { } } }
}
class "Pump" { def Cylinder "Body" { double radius = 1 } }
"""


def test_what_is_taken_for_the_same_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes beside an ancestor, colours and purposes from above, and specs inside."""
    stage = stage_of(LINE)
    scene = convert_stage(stage)
    monkeypatch.setattr(ModelKeys, "key", lambda *_: None)
    same(scene, convert_stage(stage))
    found = drawn(scene)
    sizes = [found[f"/World/Line{n}/Marks/M1/Inner/Block"].positions.max() for n in (1, 2, 3)]
    assert sizes == [1, 2.5, 1]
    radii = [found[f"/World/Line{n}/Valves/V2/Body"].positions.max() for n in (1, 2, 3)]
    assert radii == [1, 7, 1]
    red = found["/World/Line2/Pumps/P1/Body"].material()["pbrMetallicRoughness"]
    assert red["baseColorFactor"] == [1, 0, 0, 1]
    assert found["/World/Line3/Pumps/P1/Body"].extras["purpose"] == "proxy"


def test_models_of_the_plant_that_are_taken_for_the_same_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = open_stage(factory_folder() / "factory.usda")
    scene = convert_stage(stage)
    monkeypatch.setattr(ModelKeys, "key", lambda *_: None)
    same(scene, convert_stage(stage))


def test_loading_and_muting_are_noticed(plant: Plant) -> None:
    before = plant.read()
    other = stage_of('over "World" { def Cube "Extra" { } }').GetRootLayer()
    plant.stage.GetRootLayer().subLayerPaths.append(other.identifier)
    assert "/World/Extra" in drawn(plant.read())
    plant.stage.MuteLayer(other.identifier)
    assert drawn(plant.read()).keys() == drawn(before).keys()


def test_another_thread_may_not_read(plant: Plant) -> None:
    caught: list[BaseException] = []

    def read() -> None:
        try:
            plant.reader.advance()
        except OwnershipError as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert len(caught) == 1


def test_a_prim_of_the_live_layers_alone_is_no_part_of_the_scene(plant: Plant) -> None:
    Sdf.CreatePrimInLayer(plant.layers.review, "/Review/Topic_1").specifier = Sdf.SpecifierDef
    Sdf.CreatePrimInLayer(plant.layers.review, "/Review").specifier = Sdf.SpecifierDef
    scene = plant.whole()
    assert not any(row["path"].startswith("/Review") for row in scene.manifest["prims"])


def test_a_stage_without_kinds_is_cut_below_its_default_prim() -> None:
    stage = stage_of(
        """
        def Xform "World" {
            def Xform "A" { def Cube "One" { } }
            def Xform "B" { def Cube "Two" { } }
        }
        """
    )
    scene = convert_stage(stage)
    assert list(hashes(scene)) == ["/World", "/World/A", "/World/B"]
    assert hashes(scene)["/World"] is None
    assert len(scene.glbs) == 2
