"""A fleet at work on lanes: nobody meets, deadlocks clear, runs repeat, and figures add up."""

from __future__ import annotations

import io
import itertools
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom
from rich.console import Console

from stagetwin.bindings import read_bindings
from stagetwin.fleets import VehicleType
from stagetwin.live import Placed, PredictedLayer
from stagetwin.maps import author_map
from stagetwin_sim._errors import TrafficError
from stagetwin_sim.engine import Engine
from stagetwin_sim.host._outgoing import Outgoing
from stagetwin_sim.plant import read_plant
from stagetwin_sim.traffic import (
    FleetOptions,
    FleetSimulation,
    LaneNet,
    Study,
    Variant,
    author_congestion,
    compare,
    draw_comparison,
    draw_fleet,
    read_study,
    report_of,
)
from stagetwin_sim.traffic._system import FleetSystem
from stagetwin_sim.traffic._tables import comparison_table, hint_of, is_sure
from tests.sim.traffic.scenes import DEADLOCKS, hall


@pytest.mark.parametrize("name", DEADLOCKS)
def test_deadlocks_clear_within_a_minute(name: str) -> None:
    """All are where they wanted to be within 60 s, and nobody has met anybody."""
    scene = DEADLOCKS[name]()
    fleet = FleetSimulation(scene.road_map, vehicles=len(scene.starts), starts=scene.starts, seed=3)
    fleet.run(0.4)
    for vehicle, goal in enumerate(scene.goals):
        if goal is not None:
            fleet.drivers.go(0, vehicle, goal)
    fleet.run(60)
    vehicles = fleet.records[0].vehicles
    there = [vehicles[v].node == goal for v, goal in enumerate(scene.goals) if goal is not None]
    assert all(there)
    record = fleet.records[0]
    assert record.deadlocks or record.yields
    assert all(deadlock.ended >= 0 for deadlock in record.deadlocks)
    assert fleet.motion.state.collisions.numpy().sum() == 0


def test_without_clearing_a_deadlock_stays_and_is_shown() -> None:
    scene = DEADLOCKS["swap of ends"]()
    options = FleetOptions(clear=False)
    fleet = FleetSimulation(scene.road_map, vehicles=2, starts=scene.starts, options=options)
    fleet.run(0.4)
    fleet.drivers.go(0, 0, "c")
    fleet.drivers.go(0, 1, "a")
    fleet.run(30)
    (deadlock,) = fleet.records[0].deadlocks
    assert deadlock.ended < 0
    assert deadlock.vehicles == [0, 1]
    assert report_of(fleet).figures["deadlocks"].mean == 1


def test_what_is_reserved_never_meets() -> None:
    """In every round, the cells on which vehicles may be meet those of nobody else."""
    options = FleetOptions(delay=0.4, loss=0.2, noise_position=0.01, slip=0.01)
    fleet = FleetSimulation(hall(), vehicles=8, worlds=2, options=options, seed=1)
    lanes, net = fleet.lanes, fleet.lanes.net
    for _ in range(250):
        fleet.run(0.4)
        for world in range(2):
            held: list[tuple[int, int]] = []
            for vehicle in range(8):
                route = lanes.route_of(world, vehicle)
                if route is not None:
                    low = int(lanes.column("low")[world, vehicle])
                    go = int(lanes.column("go")[world, vehicle])
                    held += [(vehicle, step.cell) for step in route.steps[low:go]]
            owner: dict[int, int] = {}
            for vehicle, cell in held:
                for other in net.meets[cell]:
                    assert owner.setdefault(other, vehicle) == vehicle or other not in {
                        c for v, c in held if v != vehicle
                    }
    state = fleet.motion.state
    assert state.overruns.numpy().sum() == 0
    assert state.collisions.numpy().sum() == 0
    assert report_of(fleet).lost_messages > 0
    assert all(record.done for record in fleet.records)


def test_the_same_seed_gives_the_same_run_and_a_saved_one_goes_on() -> None:
    options = FleetOptions(arrivals={"P1": 120.0}, people=2, noise_position=0.01)
    one = FleetSimulation(hall(), vehicles=5, options=options, seed=9)
    other = FleetSimulation(hall(), vehicles=5, worlds=2, options=options, seed=[9, 4])
    one.run(80)
    other.run(80)
    assert np.array_equal(one.poses(), other.poses())
    assert not np.array_equal(other.poses(0), other.poses(1))
    third = FleetSimulation(hall(), vehicles=5, options=options, seed=9)
    third.load(one.save())
    one.run(60)
    third.run(60)
    assert np.array_equal(one.poses(), third.poses())
    assert msgspec.msgpack.encode(one.records) == msgspec.msgpack.encode(third.records)


def test_low_batteries_are_charged_and_work_goes_on() -> None:
    options = FleetOptions(charge_first=0.31, charge_to=0.34)
    kind = VehicleType(battery=100.0)
    fleet = FleetSimulation(hall(), [kind], vehicles=3, options=options)
    fleet.run(400)
    report = report_of(fleet)
    assert report.figures["charging"].mean > 0
    assert report.figures["throughput"].mean > 0
    assert (fleet.motion.state.charge.numpy() > 0).all()
    shares = [report.figures[n].mean for n in ("driving", "waiting", "loading", "charging", "idle")]
    assert sum(shares) == pytest.approx(100)


def test_layouts_are_compared_seed_by_seed(tmp_path: Path) -> None:
    text = """
vehicles = 4
minutes = 3
worlds = 2
[[variant]]
name = "two more"
add_vehicles = 2
[[variant]]
name = "closed"
close = ["n1-p1"]
[[variant]]
name = "moved"
move_station = { D1 = "c1" }
"""
    path = tmp_path / "study.toml"
    path.write_text(text)
    study = read_study(path)
    found = compare(hall(), study)
    assert [row.variant.name for row in found.rows] == ["as it is", "two more", "closed", "moved"]
    assert found.rows[1].report.vehicles == 6
    for row in found.rows[1:]:
        difference = row.differences["throughput"]
        pairs = zip(
            row.report.figures["throughput"].values,
            found.rows[0].report.figures["throughput"].values,
            strict=True,
        )
        assert difference.mean == pytest.approx(np.mean([a - b for a, b in pairs]))
        assert difference.low <= difference.mean <= difference.high
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(comparison_table(found))
    shown = console.export_text()
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    for row in found.rows:
        assert f"{row.variant.name}  " in shown
    sure = any(is_sure(d) for row in found.rows[1:] for d in row.differences.values())
    assert sure or "more worlds (worlds = 8)" in hint_of(found)
    draw_comparison(found, tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").stat().st_size > 20_000


def test_more_worlds_are_asked_for_where_no_difference_is_sure() -> None:
    same = Study(vehicles=2, minutes=0.5, worlds=1, variant=(Variant(name="the same"),))
    assert "sure over 1 world: with more worlds (worlds = 8)" in hint_of(compare(hall(), same))
    assert hint_of(compare(hall(), msgspec.structs.replace(same, variant=()))) == ""


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        (Variant(name="x", move_station={"Q": "n1"}), "no station 'Q'"),
        (Variant(name="x", move_station={"P1": "q"}), "no node 'q'"),
        (Variant(name="x", close=("q",)), "no lane or node 'q'"),
        (Variant(name="x", add_vehicles=500), "has room for"),
        (Variant(name="x", options={"delay": -1}), "delay must be in"),
    ],
)
def test_what_cannot_be_is_refused(variant: Variant, said: str) -> None:
    with pytest.raises(TrafficError, match=said):
        compare(hall(), Study(vehicles=2, minutes=0.1, worlds=1, variant=(variant,)))


def test_waiting_is_named_drawn_and_authored(tmp_path: Path) -> None:
    stage = Usd.Stage.CreateInMemory()
    road_map = author_map(stage, "/Map", hall())
    options = FleetOptions(transfer_time=30)
    fleet = FleetSimulation(road_map, vehicles=8, options=options)
    fleet.run(240)
    report = report_of(fleet)
    assert sum(place.share for place in report.places) == pytest.approx(1)
    assert report.bottleneck.share > 0.1
    assert report.bottleneck.name in report.bottleneck.evidence
    draw_fleet(fleet, report, tmp_path / "fleet.png")
    assert (tmp_path / "fleet.png").stat().st_size > 20_000
    mesh = UsdGeom.Mesh(author_congestion(stage, fleet))
    faces = len(mesh.GetFaceVertexCountsAttr().Get())
    waiting = UsdGeom.PrimvarsAPI(mesh.GetPrim()).GetPrimvar("waiting")
    assert waiting.GetInterpolation() == UsdGeom.Tokens.uniform
    assert len(waiting.Get()) == faces > 10
    assert max(waiting.Get()) > 0


@pytest.mark.parametrize("up", ["Z", "Y"])
def test_a_fleet_on_the_stage_moves_its_prims(up: str) -> None:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    road_map = author_map(stage, "/World/Map", hall())
    scope = stage.DefinePrim("/World/Fleet", "Xform")
    scope.ApplyAPI("TwinAssetAPI")
    scope.ApplyAPI("TwinModelAPI", "traffic")
    scope.GetAttribute("twin:model:traffic:kind").Set("fleet")
    targets = scope.CreateRelationship("twin:model:traffic:vehicles")
    for k in range(3):
        prim = UsdGeom.Xform.Define(stage, f"/World/Fleet/V{k}")
        high = (0, 0, 20) if up == "Z" else (0, 20, 0)
        prim.AddTranslateOp().Set(high)
        targets.AddTarget(prim.GetPath())
    plant = read_plant(stage, read_bindings(stage))
    assert [str(problem) for problem in plant.problems] == []
    engine = Engine(plant.plan)
    (system,) = engine.systems.values()
    assert isinstance(system, FleetSystem)
    first = system.poses()
    saved = engine.save()
    engine.step(1200)
    moved = system.poses()
    far = np.linalg.norm((moved - first)[:, 12:15], axis=1)
    assert (far > 50).any(), "in centimetres"
    axis = 14 if up == "Z" else 13
    assert np.allclose(moved[:, axis], 20, atol=1e-3)
    places = system.fleet.poses()
    assert moved[0, 12] == pytest.approx(100 * places[0, 0], abs=1e-3)
    other = Engine(plant.plan)
    other.restore(saved)
    other.step(1200)
    (same,) = other.systems.values()
    assert isinstance(same, FleetSystem)
    assert np.array_equal(same.poses(), moved)
    assert road_map.prim == "/World/Map"


@pytest.mark.parametrize("up", ["Z", "Y"])
def test_instances_of_one_instancer_move_as_prims_would(up: str) -> None:
    """The same fleet as prims and as instances stands at the same places in the world."""
    worlds: list[np.ndarray] = []
    for instanced in (False, True):
        stage = Usd.Stage.CreateInMemory()
        UsdGeom.SetStageUpAxis(stage, up)
        UsdGeom.SetStageMetersPerUnit(stage, 0.01)
        author_map(stage, "/World/Map", hall())
        scope = UsdGeom.Xform.Define(stage, "/World/Fleet")
        scope.AddRotateZOp().Set(30.0)
        scope.AddTranslateOp().Set((50, 20, 0))
        prim = scope.GetPrim()
        prim.ApplyAPI("TwinAssetAPI")
        prim.ApplyAPI("TwinModelAPI", "traffic")
        prim.GetAttribute("twin:model:traffic:kind").Set("fleet")
        targets = prim.CreateRelationship("twin:model:traffic:vehicles")
        places = [(0, 0, 20), (100, 0, 20), (200, 0, 20)]
        carts = UsdGeom.PointInstancer()
        if instanced:
            carts = UsdGeom.PointInstancer.Define(stage, "/World/Fleet/Carts")
            carts.CreatePrototypesRel().AddTarget(
                UsdGeom.Cube.Define(stage, "/World/Fleet/Carts/Cart").GetPath()
            )
            carts.CreateProtoIndicesAttr([0, 0, 0])
            carts.CreatePositionsAttr(places)
            targets.AddTarget(carts.GetPath())
        else:
            for k, place in enumerate(places):
                cart = UsdGeom.Xform.Define(stage, f"/World/Fleet/V{k}")
                cart.AddTranslateOp().Set(place)
                targets.AddTarget(cart.GetPath())
        plant = read_plant(stage, read_bindings(stage))
        assert [str(problem) for problem in plant.problems] == []
        engine = Engine(plant.plan)
        engine.step(600)
        outgoing = Outgoing(plant, residuals=False)
        assert [pose.instance for pose in outgoing.poses] == ([0, 1, 2] if instanced else [-1] * 3)
        layer = Sdf.Layer.CreateAnonymous()
        stage.GetSessionLayer().subLayerPaths.append(layer.identifier)
        writer = PredictedLayer(stage, layer, ())
        writer.bind([], [Placed(p.prim, p.reset, p.instance) for p in outgoing.poses])
        assert writer.refused == {}
        assert writer.place(*outgoing.moved(engine)) == 3
        cache = UsdGeom.XformCache(0)
        if instanced:
            above = np.array(cache.GetLocalToWorldTransform(carts.GetPrim()))
            found = carts.ComputeInstanceTransformsAtTime(0, 0)
            worlds.append(np.stack([np.array(each) @ above for each in found]))
        else:
            of = [stage.GetPrimAtPath(f"/World/Fleet/V{k}") for k in range(3)]
            worlds.append(np.stack([np.array(cache.GetLocalToWorldTransform(p)) for p in of]))
    assert np.allclose(worlds[0][:, 3], worlds[1][:, 3], atol=0.01), "0.1 mm"
    assert np.allclose(worlds[0][:, :3], worlds[1][:, :3], atol=2e-3), "half precision"
    assert np.linalg.norm(np.diff(worlds[0][:, 3], axis=0), axis=1).min() > 50


def test_cells_meet_where_their_footprints_do() -> None:
    net = LaneNet(hall(), [VehicleType()])
    for cell, met in enumerate(net.meets):
        assert cell in met
        for other in met:
            assert cell in net.meets[other]
    lanes = net.of_lane["n1-p1", True], net.of_lane["n1-p1", False]
    assert set(lanes[0]) & set(net.meets[lanes[1][-1]])
    rests = {net.cells[c].lane for c, rest in enumerate(net.rests) if rest}
    assert "n1-p1" not in rests
    assert "n0-n1" in rests
    ways = itertools.pairwise(net.of_lane["n0-n1", True])
    assert all(math.isclose(net.cells[a].end, net.cells[b].begin) for a, b in ways)
