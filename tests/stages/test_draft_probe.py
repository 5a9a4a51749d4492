"""The probe: every edit of a command in the draft layer, and nothing that only looks like one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Gf, Sdf, Usd

from stagetwin import OwnershipError
from stagetwin.drafts import DraftProbe, Edit, Ignored, Reason, commanded_properties, desired_of
from tests.stages.plants import command, plant, prim, stage_of, telemetry

P1, P2 = "/Plant/P1.speed", "/Plant/P2.speed"
PLANT = plant(
    prim("P1", command("speed"), command("mode", "token"), command("pose", "double3")),
    prim("P2", command("speed"), telemetry("flow", address="flow")),
)


class Mirror:
    """A stage with a draft layer on top, and a probe on that."""

    def __init__(self, layer: Sdf.Layer | None = None, **options: object) -> None:
        self.stage = stage_of(PLANT)
        self.layer = layer or Sdf.Layer.CreateAnonymous("draft.usda")
        self.stage.GetSessionLayer().subLayerPaths.insert(0, self.layer.identifier)
        self.stage.SetEditTarget(self.stage.GetEditTargetForLocalLayer(self.layer))
        self.probe = DraftProbe(self.layer, **options)  # type: ignore[arg-type]

    def attr(self, name: str) -> Usd.Attribute:
        return self.stage.GetAttributeAtPath(desired_of(name))

    def set(self, name: str, value: object) -> None:
        assert self.attr(name).Set(value)

    def spec(self, name: str) -> Sdf.AttributeSpec:
        return self.layer.GetAttributeAtPath(desired_of(name))

    def taken(self) -> list[tuple[object, ...]]:
        """Return what was taken as (command, old, new) and the reason if it was ignored."""
        return [
            (each.command, each.old, each.new, *((each.reason,) if hasattr(each, "reason") else ()))
            for each in self.probe.take()
        ]


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    made = Mirror()
    yield made
    made.probe.close()


def test_an_edit_is_seen_with_its_old_and_new_value(mirror: Mirror) -> None:
    mirror.set(P1, 1300.0)
    mirror.set(P1, 1400.0)
    path = desired_of(P1)
    assert mirror.probe.take() == [
        Edit(path, P1, None, 1300.0, first=True),
        Edit(path, P1, 1300.0, 1400.0),
    ]
    assert mirror.probe.take() == []


def test_an_edit_is_seen_however_it_was_made(mirror: Mirror) -> None:
    mirror.set("/Plant/P1.mode", "auto")
    mirror.set("/Plant/P1.pose", Gf.Vec3d(1, 2, 3))
    mirror.set(P1, 1.0)
    mirror.spec(P1).default = 2.0
    mirror.layer.SetTimeSample(desired_of(P1), 1.0, 99.0)
    with Sdf.ChangeBlock():
        mirror.spec(P1).default = 3.0
        mirror.spec(P1).default = 4.0
    with Sdf.ChangeBlock():
        Sdf.JustCreatePrimAttributeInLayer(mirror.layer, desired_of(P2), Sdf.ValueTypeNames.Double)
        mirror.spec(P2).default = 5.0
    assert mirror.taken() == [
        ("/Plant/P1.mode", None, "auto"),
        ("/Plant/P1.pose", None, Gf.Vec3d(1, 2, 3)),
        (P1, None, 1.0),
        (P1, 1.0, 2.0),
        (P1, 2.0, 4.0),
        (P2, None, 5.0),
    ]


def test_what_is_no_command_is_not_seen(mirror: Mirror) -> None:
    flow = mirror.stage.GetAttributeAtPath("/Plant/P2.twin:telemetry:flow:value")
    flow.Set(3.0)
    with Sdf.ChangeBlock():
        for name in ("twin:command:desired", "desired"):
            spec = Sdf.JustCreatePrimAttributeInLayer(
                mirror.layer, f"/Plant/P1.{name}", Sdf.ValueTypeNames.Double
            )
            assert spec
    mirror.stage.GetPrimAtPath("/Plant/P1").SetActive(False)
    mirror.layer.comment = "mine"
    assert mirror.taken() == []


def test_another_property_is_watched_where_a_command_drives_it() -> None:
    text = plant(
        prim("P1", command("open", "bool", target="/Plant/P1.visible"), "custom bool visible")
    )
    stage = stage_of(text)
    assert commanded_properties(stage) == {"/Plant/P1.visible": "/Plant/P1.open"}
    layer = Sdf.Layer.CreateAnonymous()
    stage.GetSessionLayer().subLayerPaths.insert(0, layer.identifier)
    stage.SetEditTarget(stage.GetEditTargetForLocalLayer(layer))
    probe = DraftProbe(layer, commanded_properties(stage))
    stage.GetAttributeAtPath("/Plant/P1.visible").Set(True)
    assert probe.take() == [Edit("/Plant/P1.visible", "/Plant/P1.open", None, True, first=True)]
    probe.close()


def test_the_same_value_again_is_nothing_not_even_nan(mirror: Mirror) -> None:
    mirror.set(P1, float("nan"))
    assert len(mirror.probe.take()) == 1
    mirror.set(P1, float("nan"))
    assert mirror.probe.take() == []


def test_opening_is_no_edit(tmp_path: Path) -> None:
    first = Mirror()
    first.set(P1, 1300.0)
    first.set(P2, 1400.0)
    first.probe.close()
    second = Mirror(first.layer)
    assert second.taken() == []
    assert [(each.command, each.new, each.reason) for each in second.probe.opened()] == [
        (P1, 1300.0, Reason.OPENED),
        (P2, 1400.0, Reason.OPENED),
    ]
    second.set(P1, 1500.0)
    assert second.taken() == [(P1, 1300.0, 1500.0)]
    second.set(P1, 1300.0)
    assert second.taken() == [(P1, 1500.0, 1300.0, Reason.UNDONE)]
    second.probe.close()


def test_a_stage_cached_under_the_layer_is_left_alone() -> None:
    layer = Sdf.Layer.CreateAnonymous("draft.usda")
    cache = Usd.StageCache()
    with Usd.StageCacheContext(cache):
        probe = DraftProbe(layer)
    assert cache.IsEmpty()
    probe.close()


def test_a_reload_is_no_edit(tmp_path: Path) -> None:
    path = tmp_path / "draft.usda"
    path.write_text("#usda 1.0\n")
    mirror = Mirror(Sdf.Layer.FindOrOpen(str(path)))
    mirror.set(P1, 1300.0)
    mirror.layer.Save()
    assert len(mirror.taken()) == 1
    path.write_text(path.read_text().replace("1300", "1350"))
    mirror.layer.Reload(force=True)
    assert mirror.taken() == [(P1, 1300.0, 1350.0, Reason.RELOADED)]
    mirror.set(P1, 1360.0)
    assert mirror.taken() == [(P1, 1350.0, 1360.0)]
    # Thrown away by a reload, in one step with an edit.
    with Sdf.ChangeBlock():
        mirror.layer.Reload(force=True)
        mirror.spec(P1).default = 1370.0
    assert [each[-1] for each in mirror.taken()] == [Reason.RELOADED]
    mirror.layer.Reload(force=True)
    assert [each[-1] for each in mirror.taken()] == [Reason.RELOADED]
    mirror.probe.close()


def test_replaced_content_is_no_edit(mirror: Mirror) -> None:
    mirror.set(P1, 1.0)
    mirror.set(P2, 2.0)
    mirror.probe.take()
    other = Sdf.Layer.CreateAnonymous()
    other.TransferContent(mirror.layer)
    for name in (P1, P2):
        other.GetAttributeAtPath(desired_of(name)).default = 50.0
    mirror.layer.TransferContent(other)
    assert mirror.taken() == [(P1, 1.0, 50.0, Reason.MERGED), (P2, 2.0, 50.0, Reason.MERGED)]
    mirror.layer.Clear()
    assert {each[-1] for each in mirror.taken()} == {Reason.CLEARED}


def test_clearing_and_blocking_are_no_edits(mirror: Mirror) -> None:
    mirror.set(P1, 1.0)
    mirror.set(P2, 2.0)
    mirror.probe.take()
    mirror.attr(P1).Clear()
    mirror.attr(P2).Block()
    assert mirror.taken() == [(P1, 1.0, None, Reason.CLEARED), (P2, 2.0, None, Reason.CLEARED)]
    mirror.set(P2, 3.0)
    mirror.stage.RemovePrim("/Plant/P2")
    assert mirror.taken() == [(P2, None, 3.0), (P2, 3.0, None, Reason.CLEARED)]


def test_muting_is_no_edit(mirror: Mirror) -> None:
    mirror.set(P1, 1.0)
    mirror.probe.take()
    mirror.stage.MuteLayer(mirror.layer.identifier)
    mirror.stage.UnmuteLayer(mirror.layer.identifier)
    assert mirror.taken() == []
    mirror.layer.SetMuted(True)
    mirror.layer.SetMuted(False)
    assert all(len(each) == 4 for each in mirror.taken())


def test_variants_are_no_edits(mirror: Mirror) -> None:
    mirror.set(P1, 1.0)
    mirror.probe.take()
    variants = mirror.stage.GetPrimAtPath("/Plant/P1").GetVariantSets().AddVariantSet("mode")
    for name in ("slow", "fast"):
        variants.AddVariant(name)
        variants.SetVariantSelection(name)
        with variants.GetVariantEditContext():
            mirror.set(P1, float(len(name)))
    variants.SetVariantSelection("slow")
    assert mirror.taken() == []
    with Sdf.ChangeBlock():
        mirror.layer.GetPrimAtPath("/Plant/P1").variantSelections["mode"] = "fast"
        mirror.spec(P1).default = 7.0
    assert mirror.taken() == [(P1, 1.0, 7.0, Reason.VARIANT)]


def test_a_reference_in_the_draft_is_no_edit(mirror: Mirror) -> None:
    other = Sdf.Layer.CreateAnonymous()
    spec = Sdf.JustCreatePrimAttributeInLayer(
        other, "/P.twin:command:speed:desired", Sdf.ValueTypeNames.Double
    )
    assert spec
    other.GetAttributeAtPath("/P.twin:command:speed:desired").default = 9.0
    mirror.stage.GetPrimAtPath("/Plant/P1").GetReferences().AddReference(other.identifier, "/P")
    assert mirror.attr(P1).Get() == 9.0
    assert mirror.taken() == []


def test_undo_and_redo_are_no_edits(mirror: Mirror) -> None:
    for value in (1.0, 2.0, 3.0):
        mirror.set(P1, value)
    mirror.probe.take()
    for value in (2.0, 1.0, 2.0, 3.0):
        mirror.set(P1, value)
    assert {each[-1] for each in mirror.taken()} == {Reason.UNDONE}
    mirror.set(P1, 4.0)
    assert mirror.taken() == [(P1, 3.0, 4.0)]


def test_a_value_that_came_and_went_unseen_is_still_an_undo(mirror: Mirror) -> None:
    mirror.set(P1, 1.0)
    mirror.set(P1, 2.0)
    mirror.set(P1, 3.0)
    mirror.probe.take()
    mirror.set(P1, 2.0)
    assert mirror.taken() == [(P1, 3.0, 2.0, Reason.UNDONE)]


def test_a_value_set_back_to_what_lies_beneath_is_an_undo() -> None:
    asked = []

    def beneath(path: str) -> float:
        asked.append(path)
        return 1200.0

    mirror = Mirror(beneath=beneath)
    mirror.set(P1, 1300.0)
    mirror.set(P1, 1200.0)
    assert mirror.taken() == [(P1, None, 1300.0), (P1, 1300.0, 1200.0, Reason.UNDONE)]
    assert asked == [desired_of(P1)]
    # After a paste and after a clear as well.
    mirror.attr(P1).Clear()
    mirror.set(P2, 5.0)
    mirror.probe.take()
    with Sdf.ChangeBlock():
        mirror.spec(P1).default = 8.0
        mirror.spec(P2).default = 8.0
    mirror.set(P1, 1200.0)
    mirror.set(P2, 1200.0)
    assert [each[3:] for each in mirror.taken()] == [
        (Reason.MERGED,),
        (Reason.MERGED,),
        (Reason.UNDONE,),
        (Reason.UNDONE,),
    ]
    mirror.probe.close()


def test_a_paste_is_no_edit(mirror: Mirror) -> None:
    source = Sdf.Layer.CreateAnonymous()
    for name in ("speed", "level"):
        path = f"/A.twin:command:{name}:desired"
        assert Sdf.JustCreatePrimAttributeInLayer(source, path, Sdf.ValueTypeNames.Double)
        source.GetAttributeAtPath(path).default = 5.0
    Sdf.CreatePrimInLayer(mirror.layer, "/Plant")
    Sdf.CopySpec(source, "/A", mirror.layer, "/Plant/P2")
    assert {each[-1] for each in mirror.taken()} == {Reason.MERGED}
    rename = Sdf.BatchNamespaceEdit()
    rename.Add("/Plant/P2", "/Plant/P3")
    assert mirror.layer.Apply(rename)
    assert {each[-1] for each in mirror.taken()} == {Reason.MERGED, Reason.CLEARED}


def test_too_many_changes_at_once_are_told_and_publish_nothing(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stagetwin.drafts._probe.NOTICE_LIMIT", 3)
    for value in range(10):
        mirror.set(P1, float(value))
    assert mirror.taken()[-1][2:] == (9.0, Reason.MISSED)
    assert mirror.taken() == []


def test_past_its_memory_an_attribute_publishes_nothing(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stagetwin.drafts._probe.HISTORY_LIMIT", 3)
    for value in range(5):
        mirror.set(P1, float(value))
    reasons = [each[3:] for each in mirror.taken()]
    assert reasons == [(), (), (), (Reason.MISSED,), (Reason.MISSED,)]


def test_the_probe_sees_no_telemetry(mirror: Mirror) -> None:
    live = Sdf.Layer.CreateAnonymous("live.usda")
    mirror.stage.GetSessionLayer().subLayerPaths.append(live.identifier)
    path = Sdf.Path("/Plant/P2.twin:telemetry:flow:value")
    desired = Sdf.Path(desired_of(P2))
    for each in (path, desired):
        assert Sdf.JustCreatePrimAttributeInLayer(live, each, Sdf.ValueTypeNames.Double)
    flow, other = live.GetAttributeAtPath(path), live.GetAttributeAtPath(desired)
    mirror.set(P1, 1.0)
    for value in range(5000):
        flow.default = other.default = float(value)
    mirror.set(P1, 2.0)
    assert len(mirror.probe._changes) <= 4  # what was edited, nothing of what was measured
    assert mirror.taken() == [(P1, None, 1.0), (P1, 1.0, 2.0)]


def test_a_listener_raises_nothing_into_the_writer() -> None:
    wrong = [False]

    def watched(_path: str) -> str:
        if wrong[0]:
            raise RuntimeError("a fault of the viewer's")
        return ""

    mirror = Mirror(watched=watched)
    wrong[0] = True
    mirror.set(P1, 1.0)
    assert mirror.attr(P1).Get() == 1.0
    wrong[0] = False
    assert mirror.taken() == [(P1, None, 1.0, Reason.MISSED)]
    mirror.probe.close()


def test_a_closed_probe_listens_no_more(mirror: Mirror) -> None:
    mirror.probe.close()
    mirror.set(P1, 1.0)
    assert mirror.taken() == []


def test_only_its_thread_may_take(mirror: Mirror) -> None:
    raised: list[Exception] = []

    def take() -> None:
        try:
            mirror.probe.take()
        except OwnershipError as error:
            raised.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert len(raised) == 1


VALUES = st.sampled_from([None, 1.0, 2.0, 3.0, 4.0])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from([P1, P2]), VALUES),
        st.tuples(st.just("both"), VALUES, VALUES),
        st.tuples(st.just("take"), st.none(), st.none()),
    ),
    max_size=25,
)


def expected(steps: list[tuple[str, object, object]]) -> list[tuple[object, ...]]:
    """Say what must be told, by the rules alone."""
    now: dict[object, object] = {P1: None, P2: None}
    had: dict[object, set[object]] = {P1: set(), P2: set()}
    told: list[tuple[object, ...]] = []
    for kind, first, second in steps:
        if kind == "take":
            continue
        news = {first: second} if kind == "set" else {P1: first, P2: second}
        changed = [(name, value) for name, value in news.items() if now[name] != value]
        for name, value in changed:
            if value is None:
                reason: tuple[object, ...] = (Reason.CLEARED,)
            elif len(changed) > 1:
                reason = (Reason.MERGED,)
            else:
                reason = (Reason.UNDONE,) if value in had[name] else ()
            told.append((name, now[name], value, *reason))
            now[name] = value
            if value is not None:
                had[name].add(value)
    return told


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_rules_hold_whenever_it_is_looked_at(steps: list[tuple[str, object, object]]) -> None:
    mirror = Mirror()
    for name in (P1, P2):
        assert Sdf.JustCreatePrimAttributeInLayer(
            mirror.layer, desired_of(name), Sdf.ValueTypeNames.Double
        )
    told: list[tuple[object, ...]] = []

    def give(name: object, value: object) -> None:
        spec = mirror.spec(str(name))
        if value is None:
            spec.ClearDefaultValue()
        else:
            spec.default = value

    for kind, first, second in steps:
        if kind == "set":
            give(first, second)
        elif kind == "both":
            with Sdf.ChangeBlock():
                give(P1, first)
                give(P2, second)
        else:
            told += mirror.taken()
    told += mirror.taken()
    mirror.probe.close()
    assert sorted(map(repr, told)) == sorted(map(repr, expected(steps)))


def test_what_it_tells_are_edits_and_ignored(mirror: Mirror) -> None:
    mirror.set(P1, 1.0)
    mirror.attr(P1).Clear()
    first, second = mirror.probe.take()
    assert isinstance(first, Edit)
    assert isinstance(second, Ignored)
    assert str(second.reason) == "the opinion was cleared"
