"""Drafts of places: a station that is moved, another that is named, a marker that is dragged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin._errors import CommandError
from stagetwin.drafts import Drafts, DraftState
from stagetwin.drafts._places import _in_frame
from stagetwin.maps import Lane, MapFrame, Node, RoadMap, Station, author_map, read_map
from stagetwin.service import ControlClient
from tests.stages.command_service import CommandService, target
from tests.stages.plants import HEADER, command, prim, stage_of
from tests.stages.test_drafts import Desk as DraftDesk

A, B, M = "/World/A.goal", "/World/B.goal", "/World/M.goal"
MAP = "/World/Floor/Map"
MARKER = "/World/Marker"
FLOOR = RoadMap(
    id="floor",
    nodes={name: Node(id=name, x=x, y=0.0) for name, x in (("n1", 0.0), ("n2", 3.0))},
    lanes={"l": Lane(id="l", start="n1", end="n2", both=True)},
    stations={
        name: Station(id=name, x=x, y=0.0, nodes=(node,))
        for name, x, node in (("S", 3.0, "n2"), ("T", 0.0, "n1"))
    },
)


def mirror() -> Usd.Stage:
    """A stage with a map below a hall, two vehicles, and one with a marker for its goal."""
    rel = f"rel twin:command:goal:place = <{MARKER}>"
    bodies = [
        prim("Floor"),
        prim("A", command("goal", "string")),
        prim("B", command("goal", "string")),
        prim("M", command("goal", "string"), rel),
        prim(
            "Marker",
            "double3 xformOp:translate = (1, 2, 0)\n"
            'uniform token[] xformOpOrder = ["xformOp:translate"]',
        ),
    ]
    made = stage_of(HEADER + prim("World", *bodies))
    author_map(made, MAP, FLOOR)
    return made


class Desk(DraftDesk):
    """An editor of a plant with vehicles."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.stage = mirror()
        self.drafts.close()
        self.drafts = Drafts(
            self.stage, lambda: ControlClient(folder / "s.sock", timeout=20), clock=self.clock
        )
        self.stage.SetEditTarget(self.stage.GetEditTargetForLocalLayer(self.drafts.layer))
        self.until(lambda: not self.drafts.fault)

    def serve(self) -> CommandService:
        place: dict[str, Any] = {"type_name": "string", "map": MAP, "desired": "S"}
        rows = [
            target(A, goal=station("S"), publish="settled", **place),
            target(B, goal=station("S"), **place),
            target(M, goal="", publish="settled", **place),
        ]
        return CommandService(self.folder / "s.sock", rows)

    def put(self, path: str, x: float, y: float) -> None:
        """Drag a prim as an editor does."""
        self.stage.GetAttributeAtPath(f"{path}.xformOp:translate").Set(Gf.Vec3d(x, y, 0))
        self.drafts.poll()

    def name(self, vehicle: str, path: str) -> None:
        """Name another place for a vehicle."""
        prim = self.stage.GetPrimAtPath(vehicle)
        prim.CreateRelationship("twin:command:goal:place", custom=False).SetTargets([path])
        self.drafts.poll()

    def causes(self) -> dict[str, str]:
        return {draft.command: draft.cause for draft in self.drafts.drafts}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@cache
def station(name: str) -> str:
    """Return the path of a station."""
    return read_map(mirror()).stations[name].prim


def test_a_station_that_is_moved_is_a_draft_of_every_vehicle_that_goes_there(desk: Desk) -> None:
    desk.put(station("S"), 2.0, 1.0)
    desk.rest(60)
    assert desk.states() == {A: DraftState.HELD, B: DraftState.HELD}, "whatever may settle"
    assert all("several commands" in cause for cause in desk.causes().values())
    (value, other) = (draft.value for draft in desk.drafts.drafts)
    assert value == other == {"prim": station("S"), "x": 2.0, "y": 1.0, "theta": 0.0}
    with pytest.raises(CommandError, match=r"publish each: /World/A\.goal, /World/B\.goal"):
        desk.drafts.publish(f"{station('S')}.xformOp:translate")
    desk.drafts.publish(B, "it was moved")
    desk.until(lambda: desk.published())
    assert desk.published() == [(B, value, 7, "explicit")]
    desk.until(lambda: A in desk.states() and B not in desk.states())


def test_a_station_of_one_vehicle_waits_for_a_person_too(desk: Desk) -> None:
    desk.service.targets[B]["goal"] = ""
    desk.until(lambda: desk.drafts.targets[B]["goal"] == "", 1.0)
    desk.put(station("S"), 2.0, 1.0)
    desk.rest(60)
    assert desk.states() == {A: DraftState.HELD}
    assert "a station or node was moved" in desk.causes()[A]
    assert desk.published() == []


def test_what_is_taken_back_is_no_draft(desk: Desk) -> None:
    path = f"{station('S')}.xformOp:translate"
    desk.put(station("S"), 2.0, 1.0)
    desk.drafts.discard(path)
    desk.drafts.poll()
    assert desk.drafts.drafts == []
    desk.name("/World/A", station("T"))
    assert desk.states() == {A: DraftState.RESTING}
    desk.drafts.discard("/World/A.twin:command:goal:place")
    desk.drafts.poll()
    assert desk.drafts.drafts == []


def test_another_station_that_is_named_is_a_draft_as_an_edit_of_desired_is(desk: Desk) -> None:
    desk.name("/World/A", station("T"))
    desk.name("/World/B", station("T"))
    assert desk.states() == {A: DraftState.RESTING, B: DraftState.HELD}
    desk.rest(1.1)
    desk.until(lambda: A not in desk.states())
    place = {"prim": station("T"), "x": 0.0, "y": 0.0, "theta": 0.0}
    assert desk.published() == [(A, place, 7, "settled")]
    # Of the station that it left it is told no more.
    desk.put(station("S"), 2.0, 1.0)
    assert desk.causes().keys() == {B}
    assert [d.value["prim"] for d in desk.drafts.drafts] == [station("T")]


def test_a_marker_that_rests_is_published_where_the_plant_says_so(desk: Desk) -> None:
    for step in range(5):
        desk.put(MARKER, 2.0 + step / 10, 0.5)
        desk.rest(0.2)
    desk.rest(1.0)
    desk.until(lambda: not desk.drafts.drafts)
    place = {"prim": MARKER, "x": 2.4, "y": 0.5, "theta": 0.0}
    assert desk.published() == [(M, place, 7, "settled")]
    desk.put(MARKER, 2.0, 0.5)
    desk.rest(60)
    assert desk.states() == {M: DraftState.HELD}, "it was there before: an undo"


def test_a_hall_that_is_moved_with_its_map_moves_nothing_on_it(desk: Desk) -> None:
    floor = desk.stage.GetPrimAtPath("/World/Floor")
    attr = floor.CreateAttribute("xformOp:translate", Sdf.ValueTypeNames.Double3)
    order = floor.CreateAttribute("xformOpOrder", Sdf.ValueTypeNames.TokenArray)
    order.Set(["xformOp:translate"])
    attr.Set(Gf.Vec3d(5, 0, 0))
    desk.drafts.poll()
    assert desk.drafts.drafts == []


def test_what_has_no_place_cannot_be_published(desk: Desk) -> None:
    desk.name("/World/A", "/World/Nowhere")
    assert "has no place that /World/A.goal could ask for" in desk.causes()[A]
    assert desk.drafts.drafts[0].value == {"prim": "/World/Nowhere"}
    with pytest.raises(CommandError, match="is not published: /World/Nowhere"):
        desk.drafts.publish(A)
    assert desk.published() == []


def test_parameters_of_a_draft_go_with_it(desk: Desk) -> None:
    prim_ = desk.stage.GetPrimAtPath("/World/B")
    name = "twin:command:goal:parameter:loadId"
    prim_.CreateAttribute(name, Sdf.ValueTypeNames.String, custom=False).Set("L7")
    desk.drafts.poll()
    assert desk.drafts.drafts == [], "what is said beside a value is no request of its own"
    assert desk.stage.GetAttributeAtPath("/World/B.twin:command:goal:desired").Set("T")
    desk.drafts.publish(B)
    desk.until(lambda: desk.published())
    (request,) = desk.service.requests("publish")
    assert (request["value"], request["parameters"]) == ("T", {"loadId": "L7"})


def test_parameters_that_were_changed_after_a_try_that_failed_are_what_is_sent(desk: Desk) -> None:
    prim_ = desk.stage.GetPrimAtPath("/World/B")
    said = prim_.CreateAttribute(
        "twin:command:goal:parameter:loadId", Sdf.ValueTypeNames.String, custom=False
    )
    said.Set("L7")
    assert desk.stage.GetAttributeAtPath("/World/B.twin:command:goal:desired").Set("T")
    desk.drafts.poll()
    desk.service.close()
    first = desk.drafts.publish(B)
    desk.until(lambda: desk.states() == {B: DraftState.HELD}, 0.2)
    said.Set("L8")
    desk.service = desk.serve()
    desk.until(lambda: not desk.drafts.fault, 0.2)
    second = desk.drafts.publish(B)
    desk.until(lambda: not desk.drafts.drafts)
    (request,) = desk.service.requests("publish")
    assert request["parameters"] == {"loadId": "L8"}
    assert request["id"] == second != first


@pytest.mark.parametrize("up", ["Y", "Z"])
@given(
    turn=st.tuples(*[st.floats(-180, 180)] * 2),
    move=st.tuples(*[st.floats(-50, 50)] * 3),
    scale=st.floats(0.1, 10.0),
    unit=st.sampled_from([1.0, 0.01]),
)
@settings(max_examples=30, deadline=None)
def test_a_place_is_where_the_map_has_it(
    up: str,
    turn: tuple[float, float],
    move: tuple[float, float, float],
    scale: float,
    unit: float,
) -> None:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    for path in ("/Floor", "/Floor/Marker"):
        form = UsdGeom.Xform.Define(stage, path)
        form.AddTranslateOp().Set(Gf.Vec3d(*move))
        (form.AddRotateYOp if up == "Y" else form.AddRotateZOp)().Set(turn[path != "/Floor"])
        if path == "/Floor":
            form.AddScaleOp().Set(Gf.Vec3f(scale))
    floor, marker = (stage.GetPrimAtPath(path) for path in ("/Floor", "/Floor/Marker"))
    frame = MapFrame(floor)
    x, y, _ = frame.flat(frame.relative(marker).ExtractTranslation())
    found = _in_frame(marker, floor)
    assert found[:2] == pytest.approx((x, y), abs=1e-6)
    assert math.cos(found[2] - frame.yaw(marker)) == pytest.approx(1.0)
