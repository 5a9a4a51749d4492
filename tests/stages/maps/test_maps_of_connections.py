"""A connection's map: in its specification, and among the guards of what is commanded over it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pxr import Gf, Usd

from stagetwin.bindings import Problem, read_bindings
from stagetwin.guards import GuardBook, guard_hashes
from stagetwin.maps import RoadMap, author_map, read_map
from tests.stages.conftest import MakePlant
from tests.stages.maps.floors import changed, square
from tests.stages.plants import asset, command, connection, plant, prim, stage_of, telemetry

FLEET = plant(
    prim(
        "V1",
        asset("V-1", level="twin", connection="fleet"),
        telemetry("at", "string", "at"),
        command("goal", "string", "goal", readback="/Plant/V1.twin:telemetry:at:value"),
    ),
    prim(
        "P1",
        asset("P-1", level="twin"),
        telemetry("rpm", address="rpm"),
        command("speed", readback="/Plant/P1.twin:telemetry:rpm:value"),
    ),
)


def fleet(map_id: str, road_map: RoadMap | None = None) -> Usd.Stage:
    """A stage whose connection `fleet` names a map."""
    named = connection("fleet").replace("\n}\n", f'\nuniform token twin:map = "{map_id}"\n}}\n', 1)
    stage = stage_of(FLEET + named + prim("Belt"))
    if road_map is not None:
        author_map(stage, "/Map", road_map)
    return stage


def problems(stage: Usd.Stage) -> list[Problem]:
    return [p for p in read_bindings(stage).problems if p.severity == "error"]


def test_a_connection_carries_its_map() -> None:
    stage = fleet("square", square())
    table = read_bindings(stage)
    assert RoadMap.decode(table.connections["fleet"].map) == read_map(stage)
    assert table.connections["line"].map == ""
    assert problems(stage) == []


@pytest.mark.parametrize("road_map", [None, square()])
def test_a_map_that_is_not_there_is_reported_with_those_that_are(road_map: RoadMap | None) -> None:
    stage = fleet("cellar", road_map)
    assert read_bindings(stage).connections["fleet"].map == ""
    (problem,) = problems(stage)
    assert (problem.prim, problem.code) == ("/fleet", "map-unknown")
    assert "'cellar'" in problem.message
    assert ("'square'" if road_map else "none") in problem.message


def test_nobody_drives_by_a_map_that_lacks_what_forbids() -> None:
    stage = fleet("square", changed(square(), "zones", "hall", authority="orca"))
    table = read_bindings(stage)
    assert table.connections["fleet"].map == ""
    found = {(p.prim, p.code) for p in problems(stage)}
    assert found == {("/Map/Zones/hall", "map-authority"), ("/fleet", "map-unusable")}


def test_a_lane_that_cannot_be_read_is_left_out_and_the_rest_is_driven() -> None:
    stage = fleet("square", square())
    stage.GetRelationshipAtPath("/Map/Lanes/ab.twin:lane:end").SetTargets(["/Map"])
    carried = RoadMap.decode(read_bindings(stage).connections["fleet"].map)
    assert sorted(carried.lanes) == ["ac", "bc", "cd", "da"]
    assert [(p.prim, p.code) for p in problems(stage)] == [("/Map/Lanes/ab", "map-dangling")]


def test_a_moved_station_changes_the_guards_of_those_who_drive_there() -> None:
    stage = fleet("square", square())
    before = guard_hashes(read_bindings(stage))
    again = guard_hashes(read_bindings(stage))
    assert before == again
    stage.GetAttributeAtPath("/Map/Stations/S.xformOp:translate").Set(Gf.Vec3d(10, 11.5, 0))
    after = guard_hashes(read_bindings(stage))
    assert {path for path in before if before[path] != after[path]} == {"/Plant/V1"}


def test_a_service_runs_who_drives_by_a_moved_station_as_a_shadow(
    live: MakePlant, tmp_path: Path
) -> None:
    stage = fleet("square", square())
    book = GuardBook(tmp_path / "guards.json")
    book.approve(guard_hashes(read_bindings(stage)), "ann", 0.0)
    running = live(stage, book)
    assert running.twin.demoted == {}
    stage.GetAttributeAtPath("/Map/Stations/S.xformOp:translate").Set(Gf.Vec3d(10, 11.5, 0))
    assert running.twin.sync_structure()
    assert running.twin.demoted == {"/Plant/V1": "its guards changed since ann approved them"}
    moved = RoadMap.decode(running.twin.table.connections["fleet"].map)
    assert moved.stations["S"].y == 11.5


def test_an_edit_in_a_session_moves_no_station_of_the_map_in_force(
    live: MakePlant, tmp_path: Path
) -> None:
    stage = fleet("square", square())
    book = GuardBook(tmp_path / "guards.json")
    book.approve(guard_hashes(read_bindings(stage)), "ann", 0.0)
    running = live(stage, book)
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        stage.GetAttributeAtPath("/Map/Stations/S.xformOp:translate").Set(Gf.Vec3d(0, 0, 0))
    running.twin.sync_structure()
    assert running.twin.guarded is not None
    in_force = RoadMap.decode(running.twin.guarded.connections["fleet"].map)
    assert in_force.stations["S"].y == 11.0
    assert running.twin.demoted == {}
