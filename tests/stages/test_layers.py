"""Session layers: one per origin, in an order that hides nothing, gone without a trace."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from pxr import Sdf, Usd

from stagetwin._errors import ConnectionConfigError, StageError
from stagetwin.live import LAYER_NAMES, SessionLayers
from stagetwin.twin import Twin, open_stage
from tests.stages.conftest import MakePlant
from tests.stages.plants import full_path, plant, prim, stage_of, telemetry

TEXT = plant(prim("P1", telemetry("flow", address="flow")))
FLOW = full_path("/Plant/P1.flow")


def test_layers_stand_in_their_order_below_the_session() -> None:
    stage = stage_of(TEXT)
    layers = SessionLayers(stage)
    assert LAYER_NAMES == ("review", "desired", "state", "history", "predicted", "live")
    expected = [getattr(layers, name).identifier for name in LAYER_NAMES]
    assert list(stage.GetSessionLayer().subLayerPaths) == expected
    assert all(getattr(layers, name).anonymous for name in LAYER_NAMES)


@pytest.mark.parametrize(("stronger", "weaker"), list(pairwise(LAYER_NAMES)))
def test_a_stronger_layers_opinion_shows(stronger: str, weaker: str) -> None:
    stage = stage_of(TEXT)
    layers = SessionLayers(stage)
    for value, name in enumerate((stronger, weaker)):
        with Usd.EditContext(stage, getattr(layers, name)):
            stage.GetAttributeAtPath(FLOW).Set(float(value))
    assert stage.GetAttributeAtPath(FLOW).Get() == 0.0


def test_all_of_them_are_stronger_than_the_plant() -> None:
    stage = stage_of(TEXT)
    stage.GetAttributeAtPath(FLOW).Set(1.0)
    layers = SessionLayers(stage)
    with Usd.EditContext(stage, layers.live):
        stage.GetAttributeAtPath(FLOW).Set(2.0)
    assert stage.GetAttributeAtPath(FLOW).Get() == 2.0


@pytest.mark.parametrize("rate", [24.0, 60.0, 1.0])
def test_history_counts_time_codes_as_the_plant_does(live: MakePlant, rate: float) -> None:
    """A value at a time comes from history, a value without one from live."""
    stage = stage_of(TEXT)
    stage.SetTimeCodesPerSecond(rate)
    twin = live(stage)
    assert twin.twin.layers.history.timeCodesPerSecond == rate
    with Usd.EditContext(stage, twin.twin.layers.history):
        attr = stage.GetAttributeAtPath(FLOW)
        attr.Set(10.0, 1 * rate)
        attr.Set(20.0, 2 * rate)
    twin.tell("flow", 99.0)
    assert attr.Get() == 99.0
    assert attr.Get(1 * rate) == 10.0
    assert attr.Get(1.5 * rate) == 15.0


def test_closing_leaves_the_stage_as_it_was_found() -> None:
    stage = stage_of(TEXT)
    own = Sdf.Layer.CreateAnonymous("mine.usda")
    stage.GetSessionLayer().subLayerPaths.append(own.identifier)
    stage.GetSessionLayer().SetPermissionToEdit(True)
    with Usd.EditContext(stage, own):
        stage.GetAttributeAtPath(FLOW).Set(3.0)
    before = stage.Flatten(addSourceFileComment=False).ExportToString()
    session = stage.GetSessionLayer().ExportToString()
    root = stage.GetRootLayer().ExportToString()
    twin = Twin(stage)
    twin.refresh_health()
    assert stage.GetPrimAtPath("/StageTwin/Health")
    twin.close()
    assert stage.Flatten(addSourceFileComment=False).ExportToString() == before
    assert stage.GetSessionLayer().ExportToString() == session
    assert stage.GetRootLayer().ExportToString() == root
    assert list(stage.GetSessionLayer().subLayerPaths) == [own.identifier]


def test_one_stage_may_be_made_live_again() -> None:
    stage = stage_of(TEXT)
    for _ in range(2):
        twin = Twin(stage)
        assert len(twin.table.telemetry) == 1
        twin.close()
    assert list(stage.GetSessionLayer().subLayerPaths) == []


def test_a_stage_is_opened_with_its_sidecars_strongest_first(tmp_path: Path) -> None:
    (tmp_path / "plant.usda").write_text(TEXT)
    for name, address in (("weak", "from/weak"), ("strong", "from/strong")):
        (tmp_path / f"{name}.usda").write_text(
            '#usda 1.0\nover "Plant" {\n over "P1" {\n'
            f'  uniform string twin:telemetry:flow:address = "{address}"\n }}\n}}\n'
        )
    sidecars = [tmp_path / "strong.usda", tmp_path / "weak.usda"]
    stage = open_stage(tmp_path / "plant.usda", sidecars)
    assert stage.GetAttributeAtPath(full_path("/Plant/P1.flow", "address")).Get() == "from/strong"
    assert Usd.Stage.Open(str(tmp_path / "plant.usda")).GetRootLayer().dirty is False


@pytest.mark.parametrize("content", [None, "", "no usd at all", "#usda 1.0\ndef {"])
def test_what_cannot_be_opened_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "broken.usda"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StageError, match=r"broken\.usda"):
        open_stage(path)
    good = tmp_path / "plant.usda"
    good.write_text(TEXT)
    with pytest.raises(StageError, match=r"broken\.usda"):
        open_stage(good, [path])


def test_an_endpoint_of_this_host_replaces_the_stages(tmp_path: Path) -> None:
    path = tmp_path / "plant.usda"
    path.write_text(TEXT.replace("soft://line", "soft://line?depth=3"))
    stage = open_stage(path, endpoints={"line": "soft://here"})
    assert stage.GetAttributeAtPath("/line.twin:endpoint").Get() == "soft://here?depth=3"
    stage = open_stage(path, endpoints={"line": "soft://here?x=1"})
    assert stage.GetAttributeAtPath("/line.twin:endpoint").Get() == "soft://here?x=1"
    with pytest.raises(ConnectionConfigError, match=r"nobody.*line"):
        open_stage(path, endpoints={"nobody": "soft://x"})
