"""Mirrors on stages of all kinds: what cannot be shown is named, and detaching restores."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Sdf, Tf, Usd, UsdGeom

from stagetwin import FrameError, OwnershipError, SyncError
from stagetwin.signals import Quality
from stagetwin.sync import Frame, Mirror, Section, SectionKind, encode_frame
from tests.stages.plants import full_path, plant, prim, stage_of, telemetry
from tests.stages.sync.boards import board_of, put, row
from tests.stages.sync.pair import Pair
from tests.stages.sync.test_mirror import FLEET

MakePair = Callable[..., Pair]
FLOW = full_path("/Plant/P1.flow")
SECOND = prim("P2", telemetry("flow", address="P2"))


@pytest.fixture
def pair() -> Iterator[MakePair]:
    made: list[Pair] = []

    def make(text: str, mirrored: str | None = None) -> Pair:
        made.append(Pair(text, mirrored))
        return made[-1]

    yield make
    for each in made:
        each.close()


def pumps(*names: str) -> str:
    return plant(*(prim(name, telemetry("flow", address=name)) for name in names))


# -- what is left


def test_detaching_leaves_the_stage_byte_for_byte(pair: MakePair) -> None:
    stage = stage_of(pumps("P1"))
    session = stage.GetSessionLayer()
    other = Sdf.Layer.CreateAnonymous("mine.usda")
    session.subLayerPaths.append(other.identifier)
    stage.GetAttributeAtPath(FLOW).Set(3.0)
    stage.SetEditTarget(session)
    stage.GetPrimAtPath("/Plant").SetMetadata("comment", "as it was")
    before = (session.ExportToString(), stage.ExportToString(), stage.GetEditTarget())
    mirror = Mirror(stage)
    assert list(session.subLayerPaths) == [mirror.layer.identifier, other.identifier]
    board = board_of(row("/Plant/P1.flow"))
    mirror.channels(json.loads(board.message(board.select())))
    put(board, 2, {0: 9.0})
    mirror.apply(board.encoded(board.select(), 0))
    mirror.event({"op": "connections", "connections": {"line": {"state": "online", "cause": ""}}})
    assert stage.GetAttributeAtPath(FLOW).Get() == 9.0
    assert stage.GetAttributeAtPath("/line.twin:state").Get() == "online"
    mirror.detach()
    mirror.detach()
    assert (session.ExportToString(), stage.ExportToString(), stage.GetEditTarget()) == before


def test_the_plant_is_never_written(pair: MakePair) -> None:
    two = pair(pumps("P1"))
    root = two.stage.GetRootLayer().ExportToString()
    two.plant.tell("P1", 5.0)
    two.deliver()
    assert two.stage.GetAttributeAtPath(FLOW).Get() == 5.0
    assert two.stage.GetRootLayer().ExportToString() == root


def test_only_the_thread_of_the_stage_may_touch_it(pair: MakePair) -> None:
    two = pair(pumps("P1"))
    two.plant.tell("P1", 5.0)
    data = two.board.encoded(two.selection, 0)
    raised: list[Exception] = []

    def work() -> None:
        for call in (
            lambda: two.mirror.apply(data),
            lambda: two.mirror.channels({}),
            lambda: two.mirror.event({}),
            lambda: two.mirror.targets([]),
            two.mirror.forget,
            two.mirror.doubt,
            two.mirror.detach,
            two.mirror.rebind,
        ):
            with pytest.raises(OwnershipError) as error:
                call()
            raised.append(error.value)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(raised) == 8
    assert two.stage.GetAttributeAtPath(FLOW).Get() is None


def test_one_frame_is_one_block_of_sixty_at_most_and_never_a_resync(pair: MakePair) -> None:
    names = [f"P{i}" for i in range(130)]
    two = pair(pumps(*names))
    notices: list[tuple[int, int]] = []

    def heard(notice: Usd.Notice.ObjectsChanged, _: Usd.Stage) -> None:
        changed = len(notice.GetChangedInfoOnlyPaths())
        notices.append((changed, len(notice.GetResyncedPaths())))

    listener = Tf.Notice.Register(Usd.Notice.ObjectsChanged, heard, two.stage)
    for name in names:
        two.plant.send(name, 1.0)
    two.plant.tick()
    assert two.deliver() == 130
    listener.Revoke()
    assert max(changed for changed, _ in notices) == 60
    assert sum(resynced for _, resynced in notices) == 0


# -- what cannot be shown


def test_channels_that_this_stage_cannot_show_are_named_and_the_others_follow(
    pair: MakePair,
) -> None:
    mirrored = plant(
        prim("P1", telemetry("flow", address="P1")),
        prim("P2", telemetry("flow", "float", address="P2")),
        prim("P4", "custom double other"),
    )
    two = pair(pumps("P1", "P2", "P3", "P4"), mirrored)
    problems = two.mirror.problems
    assert sorted(problems) == ["/Plant/P2.flow", "/Plant/P3.flow", "/Plant/P4.flow"]
    assert problems["/Plant/P2.flow"].endswith("value is a float here, not a double")
    assert problems["/Plant/P3.flow"] == "this stage has no prim /Plant/P3"
    assert "has no attribute /Plant/P4.twin:telemetry:flow:value" in problems["/Plant/P4.flow"]
    for name in ("P1", "P2", "P3", "P4"):
        two.plant.send(name, 2.0)
    two.plant.tick()
    two.deliver()
    assert two.stage.GetAttributeAtPath(FLOW).Get() == 2.0
    assert two.stage.GetAttributeAtPath(full_path("/Plant/P2.flow")).Get() is None
    assert two.stage.GetAttributeAtPath(full_path("/Plant/P2.flow", "quality")).Get() == "good"
    assert not two.stage.GetPrimAtPath("/Plant/P3")


def test_what_is_below_an_instance_is_named() -> None:
    text = plant(
        prim("Model", prim("Part", telemetry("flow", address="a")), specifier="class"),
        prim("Copy", meta="inherits = </Plant/Model>\ninstanceable = true"),
    )
    stage = stage_of(text)
    mirror = Mirror(stage)
    board = board_of(row("/Plant/Copy/Part.flow"), row("/not a path.x"))
    mirror.channels(json.loads(board.message(board.select())))
    assert "below an instance root" in mirror.problems["/Plant/Copy/Part.flow"]
    assert "/not a path.x" in mirror.problems
    mirror.detach()


def test_prims_that_come_and_go_are_followed(pair: MakePair) -> None:
    two = pair(plant(prim("P1", telemetry("flow", address="P1")), prim("Hall", SECOND)))
    for name in ("P1", "P2"):
        two.plant.send(name, 4.0)
    two.plant.tick()
    two.deliver()
    assert not two.mirror.outdated()
    hall = two.stage.GetPrimAtPath("/Plant/Hall")
    hall.SetActive(False)
    assert two.mirror.outdated()
    two.mirror.rebind()
    assert two.mirror.needs_resync
    gone = {"/Plant/Hall/P2.flow": "this stage has no prim /Plant/Hall/P2"}
    assert two.mirror.problems == gone
    two.deliver(0)
    assert two.stage.GetAttributeAtPath(FLOW).Get() == 4.0
    hall.SetActive(True)
    assert two.mirror.outdated()
    two.mirror.rebind()
    two.deliver(0)
    assert two.stage.GetAttributeAtPath(full_path("/Plant/Hall/P2.flow")).Get() == 4.0
    assert two.mirror.problems == {}


def test_a_table_that_is_malformed_changes_nothing(pair: MakePair) -> None:
    two = pair(pumps("P1"))
    two.plant.tell("P1", 5.0)
    two.deliver()
    for wrong in ({}, {"table": 1, "channels": [{"path": "/A.x"}]}, {"table": 1, "channels": 5}):
        with pytest.raises(SyncError, match="malformed"):
            two.mirror.channels(wrong)
    assert two.stage.GetAttributeAtPath(FLOW).Get() == 5.0
    two.plant.tell("P1", 6.0)
    two.deliver()
    assert two.stage.GetAttributeAtPath(FLOW).Get() == 6.0


def frame_of(table: int, *sections: Section) -> bytes:
    return encode_frame(Frame(table, 0, 9, 0, 1.0, sections))


def test_a_frame_that_does_not_fit_its_table_is_refused_whole(pair: MakePair) -> None:
    two = pair(plant(prim("P1", telemetry("flow", address="a"), telemetry("mode", "token", "b"))))
    number = two.selection.number
    good = Section(SectionKind.FLOAT64, np.array([0]), np.array([8.0]))
    for wrong in (
        Section(SectionKind.FLOAT64, np.array([7]), np.array([1.0])),
        Section(SectionKind.FLOAT32, np.array([0]), np.array([1.0])),
        Section(SectionKind.FLOAT64, np.array([0]), np.array([[1.0, 2.0]])),
        Section(SectionKind.FLOAT64, np.array([1]), np.array([1.0])),
        Section(SectionKind.JSON, np.array([0]), ["a"]),
    ):
        with pytest.raises(FrameError):
            two.mirror.apply(frame_of(number, good, wrong))
    assert two.stage.GetAttributeAtPath(FLOW).Get() is None
    assert (two.mirror.torn, two.mirror.applied) == (5, 0)
    two.mirror.apply(frame_of(number, good))
    assert two.stage.GetAttributeAtPath(FLOW).Get() == 8.0


def test_a_value_of_another_shape_is_named_and_the_others_are_written() -> None:
    stage = stage_of(
        plant(
            prim("P1", telemetry("v", "double[]", "a"), telemetry("t", "token", "b")),
            prim("P2", telemetry("v", "double[]", "c"), telemetry("n", "uchar", "d")),
            prim("P3", telemetry("n", "uchar", "e")),
        )
    )
    mirror = Mirror(stage)
    board = board_of(
        row("/Plant/P1.v", "double[]"),
        row("/Plant/P1.t", "token"),
        row("/Plant/P2.v", "double[]"),
        row("/Plant/P2.n", "uchar"),
        row("/Plant/P3.n", "uchar"),
    )
    mirror.channels(json.loads(board.message(board.select())))
    put(board, 2, {0: ["x"], 1: [1], 2: [1.5, 2.5], 3: 7, 4: 300})
    mirror.apply(board.encoded(board.select(), 0))
    wrong = sorted(mirror.problems)
    assert wrong == ["/Plant/P1.t", "/Plant/P1.v", "/Plant/P3.n"]
    assert list(stage.GetAttributeAtPath(full_path("/Plant/P2.v")).Get()) == [1.5, 2.5]
    assert stage.GetAttributeAtPath(full_path("/Plant/P2.n")).Get() == 7
    mirror.detach()


# -- arrays, alternatives, doubt


def test_the_array_of_an_instancer_has_its_full_length(pair: MakePair) -> None:
    two = pair(plant(prim("P1", prim("Ball", type_name="Sphere")), FLEET))
    two.plant.tell("fleet/9/at", [1.5, 2.5, 3.5])
    two.plant.tell("fleet/10/turn", [0, 0, 1, 0])
    two.deliver()
    fleet = UsdGeom.PointInstancer.Get(two.stage, "/Plant/Fleet")
    assert [tuple(p) for p in fleet.GetPositionsAttr().Get()] == [
        (0, 0, 0),
        (1, 0, 0),
        (1.5, 2.5, 3.5),
        (0, 0, 0),
        (0, 0, 0),
    ]
    assert list(fleet.GetOrientationsAttr().Get()) == [
        *[Gf.Quath(1)] * 3,
        Gf.Quath(0, 0, 0, 1),
        Gf.Quath(1),
    ]
    assert len(fleet.ComputeInstanceTransformsAtTime(*[Usd.TimeCode.Default()] * 2)) == 5
    table = two.mirror.table
    assert table is not None
    numbers = {table.path(i): i for i in range(len(table.rows))}
    assert two.mirror.reading(numbers["/Plant/Fleet.position[2]"]).value == [1.5, 2.5, 3.5]


def test_the_best_of_several_signals_drives_a_property(pair: MakePair) -> None:
    drives = {"target": "/Plant/P1.level", "redundancyGroup": "g"}
    two = pair(
        plant(
            prim(
                "P1",
                telemetry("a", address="a", **drives),
                telemetry("b", address="b", **drives),
                "custom double level",
            )
        )
    )

    def level() -> tuple[Any, Any]:
        two.deliver()
        there = two.plant.attr("/Plant/P1.level").Get()
        return there, two.stage.GetAttributeAtPath("/Plant/P1.level").Get()

    two.plant.tell("b", 2.0)
    assert level() == (2.0, 2.0)
    two.plant.tell("a", 1.0)
    assert level() == (1.0, 1.0)
    two.plant.tell("b", 3.0)
    assert level() == (1.0, 1.0)
    two.plant.tell("a", 9.0, status=0x80000000)
    assert level() == (3.0, 3.0)
    two.mirror.rebind()
    two.deliver(0)
    assert level() == (3.0, 3.0)


def test_what_is_not_heard_of_is_shown_as_stale_and_as_it_was_again(pair: MakePair) -> None:
    two = pair(pumps("P1", "P2"))
    two.plant.tell("P1", 1.0)
    two.plant.tell("P2", 1.0, status=0x40000000)
    two.deliver()

    def qualities() -> list[str]:
        paths = [full_path(f"/Plant/{name}.flow", "quality") for name in ("P1", "P2")]
        return [two.stage.GetAttributeAtPath(path).Get() for path in paths]

    assert qualities() == ["good", "uncertain"]
    two.mirror.doubt()
    assert qualities() == ["stale", "stale"]
    assert two.mirror.reading(0).quality is Quality.STALE
    two.mirror.doubt(False)
    assert qualities() == ["good", "uncertain"]
    two.mirror.doubt()
    two.plant.tell("P1", 2.0)
    two.deliver()
    assert qualities() == ["good", "uncertain"]
    reading = two.mirror.reading(0)
    assert (reading.value, reading.quality, reading.status) == (2.0, Quality.GOOD, 0)
    assert math.isfinite(reading.time)


def test_without_a_table_there_is_nothing_to_read_and_frames_are_ignored() -> None:
    stage = stage_of(pumps("P1"))
    mirror = Mirror(stage)
    with pytest.raises(SyncError, match="no table"):
        mirror.reading(0)
    assert mirror.apply(frame_of(5)) == 0
    mirror.channels({"op": "channels", "table": 5, "resumed": True})
    assert (mirror.ignored, mirror.needs_resync) == (1, True)
    mirror.doubt()
    mirror.rebind()
    assert not mirror.outdated()
    mirror.detach()
