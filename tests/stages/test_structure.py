"""Structural edits while running: picked up without a restart, and no neighbour notices."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pxr import Gf, Sdf, Tf, Usd, UsdGeom

from stagetwin import StageError
from stagetwin.ports import ConnectionState
from tests.stages.conftest import MakePlant
from tests.stages.plants import (
    HEADER,
    Plant,
    asset,
    connection,
    full_path,
    plant,
    prim,
    stage_of,
    telemetry,
)

FLOW = "twin:telemetry:flow:"


def pump(name: str, *extra: str, type_name: str = "double", meta: str = "") -> str:
    signal = telemetry("flow", type_name, "{prim.name}/flow")
    return prim(name, asset(), signal, *extra, meta=meta)


@pytest.fixture
def two(live: MakePlant) -> Plant:
    twin = live(plant(pump("P1"), pump("P2")))
    twin.send("P1/flow", 1.0)
    twin.tell("P2/flow", 2.0)
    return twin


def author(twin: Plant, text: str, under: str = "/Plant") -> None:
    """Add the prims of usda text below a prim of the root layer."""
    layer = Sdf.Layer.CreateAnonymous()
    layer.ImportFromString(HEADER + text)
    with Sdf.ChangeBlock():
        for spec in layer.rootPrims:
            target = Sdf.Path(under).AppendChild(spec.name)
            Sdf.CopySpec(layer, spec.path, twin.stage.GetRootLayer(), target)


def untouched(twin: Plant) -> None:
    """The neighbour's value, quality and channel are what they were."""
    assert (twin.get("/Plant/P2.flow"), twin.quality("/Plant/P2.flow")) == (2.0, "good")
    twin.tell("P2/flow", 2.5)
    assert twin.get("/Plant/P2.flow") == 2.5


def test_nothing_is_read_again_while_only_values_change(two: Plant) -> None:
    assert two.twin.sync_structure() is False
    two.tell("P1/flow", 9.0)
    two.twin.connection("line", ConnectionState.ONLINE, "", 5.0)
    two.twin.refresh_health()
    assert two.twin.sync_structure() is False


def test_a_prim_added_comes_alive(two: Plant) -> None:
    before = dict(two.twin.table.telemetry)
    author(two, pump("P3"))
    assert two.twin.sync_structure() is True
    assert before.items() <= two.twin.table.telemetry.items()
    assert two.quality("/Plant/P3.flow") == "stale"
    two.tell("P3/flow", 3.0)
    assert (two.get("/Plant/P3.flow"), two.quality("/Plant/P3.flow")) == (3.0, "good")
    untouched(two)


def test_a_prim_removed_leaves_nothing_behind(two: Plant) -> None:
    two.stage.RemovePrim("/Plant/P1")
    two.send("P1/flow", 7.0)
    assert two.twin.sync_structure() is True
    two.tick()
    assert [b.prim for b in two.twin.table.telemetry.values()] == ["/Plant/P2"]
    assert not two.twin.layers.live.GetPrimAtPath("/Plant/P1")
    assert not two.stage.GetPrimAtPath("/Plant/P1")
    assert two.twin.hub.fates.balanced()
    assert two.twin.hub.rejections.counts() == {("", "retired"): 1}
    untouched(two)


def test_a_changed_address_is_another_channel_and_forgets_the_old_value(two: Plant) -> None:
    two.attr(full_path("/Plant/P1.flow", "address")).Set("elsewhere")
    two.twin.sync_structure()
    two.tick()
    assert (two.get("/Plant/P1.flow"), two.quality("/Plant/P1.flow")) == (None, "stale")
    assert two.get("/Plant/P1." + FLOW + "time") is None
    two.tell("P1/flow", 9.0)
    assert two.get("/Plant/P1.flow") is None
    two.tell("elsewhere", 4.0)
    assert (two.get("/Plant/P1.flow"), two.quality("/Plant/P1.flow")) == (4.0, "good")
    untouched(two)


def test_a_sample_of_the_old_address_on_its_way_does_not_reach_the_new_one(two: Plant) -> None:
    two.send("P1/flow", 66.0)
    two.attr(full_path("/Plant/P1.flow", "address")).Set("elsewhere")
    two.twin.sync_structure()
    two.tick()
    assert two.get("/Plant/P1.flow") is None
    assert two.twin.hub.rejections.counts() == {("", "retired"): 1}


def test_a_changed_limit_counts_from_then_on_and_keeps_the_value(two: Plant) -> None:
    attr = two.attr(full_path("/Plant/P1.flow"))
    spec = two.stage.GetRootLayer().GetAttributeAtPath(attr.GetPath())
    spec.SetInfo("limits", {"hard": {"maximum": 5.0}})
    two.twin.sync_structure()
    two.tick()
    assert (two.get("/Plant/P1.flow"), two.quality("/Plant/P1.flow")) == (1.0, "good")
    two.tell("P1/flow", 6.0)
    assert (two.get("/Plant/P1.flow"), two.quality("/Plant/P1.flow")) == (1.0, "bad")
    untouched(two)


def test_a_binding_that_breaks_is_reported_and_one_mended_runs_again(two: Plant) -> None:
    unit = two.stage.GetPrimAtPath("/Plant/P1").CreateAttribute(
        FLOW + "unit", Sdf.ValueTypeNames.String
    )
    unit.Set("furlongs!")
    two.twin.sync_structure()
    assert two.codes() == ["unit"]
    two.tell("P1/flow", 9.0)
    untouched(two)
    unit.Set("m3/h")
    two.twin.sync_structure()
    two.tell("P1/flow", 9.5)
    assert (two.codes(), two.get("/Plant/P1.flow")) == ([], 9.5)


def test_a_value_attribute_that_is_removed_is_missed(two: Plant) -> None:
    """The live layer's own spec must not stand in for what the plant no longer says."""
    layer = two.stage.GetRootLayer()
    spec = layer.GetPrimAtPath("/Plant/P1")
    spec.RemoveProperty(spec.properties[FLOW + "value"])
    two.twin.sync_structure()
    assert two.codes() == ["no-value"]
    assert not two.attr(full_path("/Plant/P1.flow"))
    untouched(two)


def test_a_value_attribute_of_another_type_is_driven_as_that(two: Plant) -> None:
    layer = two.stage.GetRootLayer()
    spec = layer.GetPrimAtPath("/Plant/P1")
    with Sdf.ChangeBlock():
        spec.RemoveProperty(spec.properties[FLOW + "value"])
    Sdf.AttributeSpec(spec, FLOW + "value", Sdf.ValueTypeNames.Float3)
    two.twin.sync_structure()
    assert two.codes() == []
    assert two.attr(full_path("/Plant/P1.flow")).GetTypeName() == "float3"
    two.tell("P1/flow", [1, 2, 3])
    assert two.get("/Plant/P1.flow") == Gf.Vec3f(1, 2, 3)
    untouched(two)


def variants(tmp_path: Path) -> Usd.Stage:
    """A prim whose variant swaps the whole asset: other signals, another type of one."""
    for name, body in (
        ("old", [telemetry("flow", "double", "x/flow"), telemetry("age", address="x/age")]),
        ("new", [telemetry("flow", "float", "x/flow"), telemetry("vib", "float3", "x/vib")]),
    ):
        (tmp_path / f"{name}.usda").write_text(
            HEADER.replace('"Z"', '"Z"\n    defaultPrim = "Pump"') + prim("Pump", asset(), *body)
        )
    text = plant(
        prim(
            "P1",
            """
            variantSet "make" = {
                "new" ( prepend references = @new.usda@ ) {
                }
                "old" ( prepend references = @old.usda@ ) {
                }
            }""",
            meta='variants = { string make = "old" }\nprepend variantSets = "make"',
        ),
        pump("P2"),
    )
    return stage_of(text, tmp_path / "plant.usda")


def test_a_variant_swaps_the_asset_and_back(live: MakePlant, tmp_path: Path) -> None:
    twin = live(variants(tmp_path))
    for address, value in (("x/flow", 1.0), ("x/age", 5.0), ("P2/flow", 2.0)):
        twin.send(address, value)
    twin.tick()
    choice = twin.stage.GetPrimAtPath("/Plant/P1").GetVariantSets().GetVariantSet("make")

    choice.SetVariantSelection("new")
    assert twin.twin.sync_structure() is True
    twin.tick()
    assert twin.codes() == []
    signals = [b.signal for b in twin.twin.table.telemetry.values() if b.prim == "/Plant/P1"]
    assert sorted(signals) == ["flow", "vib"]
    assert not twin.attr(full_path("/Plant/P1.age"))
    assert twin.attr(full_path("/Plant/P1.flow")).GetTypeName() == "float"
    twin.send("x/vib", [1, 2, 3])
    twin.tell("x/flow", 1.5)
    assert twin.get("/Plant/P1.vib") == Gf.Vec3f(1, 2, 3)
    assert twin.get("/Plant/P1.flow") == 1.5

    choice.SetVariantSelection("old")
    twin.twin.sync_structure()
    twin.tick()
    assert twin.get("/Plant/P1.age") == 5.0, "a channel that comes back has a past to show"
    assert not twin.attr(full_path("/Plant/P1.vib"))
    twin.tell("x/age", 6.0)
    assert twin.get("/Plant/P1.age") == 6.0
    untouched(twin)


def test_deactivating_a_prim_ends_its_signals_and_activating_brings_them_back(two: Plant) -> None:
    target = two.stage.GetPrimAtPath("/Plant/P1")
    target.SetActive(False)
    two.twin.sync_structure()
    assert [b.prim for b in two.twin.table.telemetry.values()] == ["/Plant/P2"]
    two.tick()
    target.SetActive(True)
    two.twin.sync_structure()
    two.tick()
    assert (two.get("/Plant/P1.flow"), two.quality("/Plant/P1.flow")) == (1.0, "good")
    untouched(two)


def test_a_fleet_may_grow_and_shrink(live: MakePlant) -> None:
    fleet = """
def PointInstancer "Fleet" (
    prepend apiSchemas = ["TwinTelemetryAPI:pos"]
)
{
    int[] protoIndices = [0, 0, 0]
    point3f[] positions = [(0,0,0), (0,0,0), (0,0,0)]
    rel prototypes = <Robot>
    uniform string twin:telemetry:pos:address = "amr/{instance}"
    rel twin:telemetry:pos:target = <.positions>
    def Cube "Robot" {
    }
}
"""
    twin = live(plant(fleet))
    for i in range(3):
        twin.send(f"amr/{i}", [i, 0, 0])
    twin.tick()
    instancer = UsdGeom.PointInstancer(twin.stage.GetPrimAtPath("/Plant/Fleet"))
    for count in (2, 4):
        with Sdf.ChangeBlock():
            instancer.GetProtoIndicesAttr().Set([0] * count)
            instancer.GetPositionsAttr().Set([Gf.Vec3f(0)] * count)
        twin.twin.sync_structure()
        for i in range(count):
            twin.send(f"amr/{i}", [i + 10, 0, 0])
        twin.tick()
        time = Usd.TimeCode.Default()
        poses = instancer.ComputeInstanceTransformsAtTime(time, time)
        assert [pose.ExtractTranslation()[0] for pose in poses] == [i + 10 for i in range(count)]
        assert twin.codes() == []


@pytest.fixture
def on_disk(live: MakePlant, tmp_path: Path) -> tuple[Plant, Path]:
    path = tmp_path / "plant.usda"
    twin = live(stage_of(plant(pump("P1"), pump("P2")), path))
    twin.send("P1/flow", 1.0)
    twin.tell("P2/flow", 2.0)
    return twin, path


def rewrite(path: Path, text: str) -> None:
    """Write a file so that its time stamp differs, however coarse the clock of the disk."""
    path.write_text(text)
    stamp = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(stamp, stamp))


def test_a_file_edited_on_disk_is_read_again(on_disk: tuple[Plant, Path]) -> None:
    twin, path = on_disk
    rewrite(path, plant(pump("P1"), pump("P2"), pump("P3")))
    assert twin.twin.sync_structure() is True
    twin.tell("P3/flow", 3.0)
    assert [twin.get(f"/Plant/P{i}.flow") for i in (1, 2, 3)] == [1.0, 2.0, 3.0]
    untouched(twin)


def test_a_half_written_file_leaves_the_last_good_state(
    on_disk: tuple[Plant, Path], caplog: pytest.LogCaptureFixture
) -> None:
    twin, path = on_disk
    whole = plant(pump("P1"), pump("P2"), pump("P3"))
    for part in (whole[: len(whole) // 2], ""):
        rewrite(path, part)
        twin.twin.sync_structure()
        twin.tick()
        assert twin.stage.GetPrimAtPath("/Plant/P2").IsDefined()
        untouched(twin)
        twin.tell("P2/flow", 2.0)
    assert "its last good state stays" in caplog.text
    path.write_text(whole)
    assert twin.twin.sync_structure() is True
    twin.tell("P3/flow", 3.0)
    assert twin.get("/Plant/P3.flow") == 3.0


def test_a_file_that_vanishes_and_comes_back(on_disk: tuple[Plant, Path]) -> None:
    twin, path = on_disk
    path.unlink()
    assert twin.twin.sync_structure() is False
    untouched(twin)
    rewrite(path, plant(pump("P2"), pump("P4")))
    assert twin.twin.sync_structure() is True
    twin.tell("P4/flow", 4.0)
    assert twin.get("/Plant/P4.flow") == 4.0


def test_a_file_with_unsaved_edits_here_is_not_overwritten(
    on_disk: tuple[Plant, Path], caplog: pytest.LogCaptureFixture
) -> None:
    twin, path = on_disk
    author(twin, pump("P5"))
    rewrite(path, plant(pump("P1")))
    twin.twin.sync_structure()
    assert "unsaved edits" in caplog.text
    assert twin.stage.GetPrimAtPath("/Plant/P5")
    twin.tell("P5/flow", 5.0)
    assert twin.get("/Plant/P5.flow") == 5.0


def test_a_session_edit_is_picked_up_too(two: Plant) -> None:
    with Usd.EditContext(two.stage, two.stage.GetSessionLayer()):
        two.attr(full_path("/Plant/P1.flow", "address")).Set("elsewhere")
    assert two.twin.sync_structure() is True
    two.tell("elsewhere", 8.0)
    assert two.get("/Plant/P1.flow") == 8.0


def test_rebinding_resyncs_nothing_but_what_changed(two: Plant) -> None:
    resynced: set[str] = set()

    def hear(notice: Usd.Notice.ObjectsChanged, _stage: Usd.Stage) -> None:
        resynced.update(str(path) for path in notice.GetResyncedPaths())

    listener = Tf.Notice.Register(Usd.Notice.ObjectsChanged, hear, two.stage)
    author(two, pump("P3"))
    two.twin.sync_structure()
    two.tick()
    listener.Revoke()
    assert not [path for path in resynced if path.startswith(("/Plant/P1", "/Plant/P2"))]
    assert "/" not in resynced
    assert "/Plant" not in resynced


def test_a_new_connection_is_known_and_its_state_shown(live: MakePlant) -> None:
    twin = live(plant(pump("P1")))
    author(twin, connection("second"), under="/")
    author(
        twin, prim("P9", asset(connection="second"), telemetry("flow", address="nine")), "/Plant"
    )
    twin.twin.sync_structure()
    twin.tell("nine", 9.0, line="second")
    assert twin.get("/Plant/P9.flow") == 9.0
    twin.twin.connection("second", ConnectionState.ONLINE, "", 17.0)
    assert twin.get("/second.twin:state") == "online"
    assert twin.get("/second.twin:lastSeen") == 17.0
    twin.twin.connection("second", ConnectionState.FAILED, "refused", float("nan"))
    assert (twin.get("/second.twin:state"), twin.get("/second.twin:cause")) == ("failed", "refused")
    assert twin.get("/second.twin:lastSeen") == 17.0
    twin.twin.connection("nobody", ConnectionState.ONLINE, "", 1.0)


CALLS: list[Callable[[Plant], object]] = [
    lambda twin: twin.twin.tick(),
    lambda twin: twin.twin.sync_structure(),
    lambda twin: twin.twin.refresh_health(),
    lambda twin: twin.twin.connection("line", ConnectionState.ONLINE, "", 1.0),
]


def test_samples_may_come_from_another_thread(two: Plant) -> None:
    thread = threading.Thread(target=two.send, args=("P1/flow", 42.0))
    thread.start()
    thread.join()
    two.tick()
    assert two.get("/Plant/P1.flow") == 42.0


def finish(twin: Plant) -> int:
    """Go on with a reading in the smallest steps, ticking in between; return their number."""
    steps = 1
    while not twin.twin.sync_structure(0):
        twin.tick()
        steps += 1
        assert steps < 1000
    return steps


def test_an_edit_is_read_in_steps_while_what_was_bound_stays_live(
    on_disk: tuple[Plant, Path],
) -> None:
    twin, path = on_disk
    rewrite(path, plant(*(pump(f"P{i}") for i in range(1, 60))))
    assert twin.twin.sync_structure(0) is False
    assert twin.twin.reading
    twin.tell("P1/flow", 11.0)
    assert twin.get("/Plant/P1.flow") == 11.0
    assert finish(twin) > 2
    assert not twin.twin.reading
    twin.tell("P59/flow", 59.0)
    assert twin.get("/Plant/P59.flow") == 59.0
    assert twin.get("/Plant/P1.flow") == 11.0


def test_an_edit_in_the_middle_of_a_reading_begins_it_anew(on_disk: tuple[Plant, Path]) -> None:
    twin, path = on_disk
    rewrite(path, plant(*(pump(f"P{i}") for i in range(1, 60))))
    assert twin.twin.sync_structure(0) is False
    prim = twin.stage.GetPrimAtPath("/Plant/P2")
    prim.GetAttribute("twin:telemetry:flow:address").Set("elsewhere")
    finish(twin)
    twin.tell("elsewhere", 7.0)
    assert twin.get("/Plant/P2.flow") == 7.0
    assert len(twin.twin.table.telemetry) == 59


def test_a_reading_that_fails_never_passes_for_a_complete_one(
    on_disk: tuple[Plant, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    twin, path = on_disk
    rewrite(path, plant(*(pump(f"P{i}") for i in range(1, 60))))
    assert twin.twin.sync_structure(0) is False
    with monkeypatch.context() as patch:
        patch.setattr(
            "stagetwin.bindings._read.BindingReading._guarded",
            lambda *_: (_ for _ in ()).throw(StageError("the stage is gone")),
        )
        with pytest.raises(StageError):
            twin.twin.sync_structure()
    assert twin.twin.sync_structure() is False
    assert len(twin.twin.table.telemetry) == 2
    untouched(twin)
    rewrite(path, plant(pump("P1"), pump("P2"), pump("P3")))
    assert twin.twin.sync_structure() is True
    assert len(twin.twin.table.telemetry) == 3


def test_a_connection_that_went_and_came_back_is_not_online_by_memory(two: Plant) -> None:
    two.twin.connection("line", ConnectionState.ONLINE, "", 5.0)
    path = two.twin.table.connections["line"].prim
    layer = two.stage.GetRootLayer()
    kept = Sdf.Layer.CreateAnonymous()
    Sdf.CreatePrimInLayer(kept, "/kept")
    Sdf.CopySpec(layer, path, kept, "/kept/line")
    edit = Sdf.BatchNamespaceEdit()
    edit.Add(path, Sdf.Path.emptyPath)
    assert layer.Apply(edit)
    two.twin.sync_structure()
    Sdf.CopySpec(kept, "/kept/line", layer, path)
    two.twin.sync_structure()
    state = two.stage.GetPrimAtPath(path).GetAttribute("twin:state").Get()
    assert state == "offline"
