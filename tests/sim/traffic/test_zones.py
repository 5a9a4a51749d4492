"""From zone to zone: gates of grids, and messages that are late or lost in every one of them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin.fleets import VehicleType
from stagetwin.maps import Lane, Node, RoadMap, Zone
from stagetwin_sim._errors import TrafficError
from stagetwin_sim.fleet import Lidar, LidarFan
from stagetwin_sim.traffic import FleetOptions, FleetSimulation, report_of
from stagetwin_sim.traffic._records import Phase
from tests.sim.traffic.scenes import grid_hall, works

LATE = FleetOptions(delay=0.6, loss=0.2, noise_position=0.01, slip=0.01)


def _with(road_map: RoadMap, **changes: Any) -> RoadMap:
    return msgspec.structs.replace(road_map, **changes)


def _bare(*, gates: int = 2) -> RoadMap:
    """Return the plant without stations: nobody goes anywhere but where he is sent."""
    return _with(works(gates=gates), stations={})


def _check_gates(fleet: FleetSimulation, world: int) -> None:
    """Whoever may drive on lanes at a gate has its cell on the grid, and nobody else."""
    lanes, net = fleet.lanes, fleet.lanes.net
    agents = fleet.grids["Grid"].agents
    now, at = agents.now.numpy()[world], agents.at.numpy()[world]
    here = at[at >= 0]
    assert len(set(here.tolist())) == len(here), "two on a cell of the grid"
    gates = fleet.drivers.gates
    for gate in gates.gates:
        zone, cell = gates.cells[gate]
        assert zone == "Grid"
        for vehicle in range(fleet.count):
            route = lanes.route_of(world, vehicle)
            if route is None or not lanes.column("driven")[world, vehicle]:
                continue
            low, go = (int(lanes.column(name)[world, vehicle]) for name in ("low", "go"))
            if any(net.of_node[gate] in net.meets[step.cell] for step in route.steps[low:go]):
                assert now[cell] == vehicle


@pytest.mark.parametrize(
    ("gates", "options"), [(2, FleetOptions()), (1, FleetOptions()), (1, LATE)]
)
def test_loads_cross_lanes_grid_and_bay(gates: int, options: FleetOptions) -> None:
    """Lifelong: nobody meets, nobody waits for ever, whichever zones a load goes between."""
    fleet = FleetSimulation(works(gates=gates), vehicles=8, worlds=3, options=options, seed=31)
    done = [0, 0, 0]
    for _ in range(4):
        for _ in range(38):
            fleet.run(4)
            for world in range(3):
                _check_gates(fleet, world)
        found = [len(record.done) for record in fleet.records]
        assert all(now > before for now, before in zip(found, done, strict=True)), "somebody jams"
        done = found
    kinds = {"P1": "lanes", "D1": "lanes", "GP": "grid", "GD": "grid", "Y": "free", "Z": "free"}
    crossed = {(kinds[t.source], kinds[t.target]) for r in fleet.records for t in r.done}
    assert len(crossed) == 9
    state = fleet.motion.state
    assert state.collisions.numpy().sum() == 0
    assert state.overruns.numpy().sum() == 0
    assert all(d.ended >= 0 for record in fleet.records for d in record.deadlocks[:-1])


def test_a_fleet_saved_at_a_gate_goes_on_as_it_did() -> None:
    one = FleetSimulation(works(gates=1), vehicles=8, options=LATE, seed=2)
    graph = one.grids["Grid"].graph
    for _ in range(900):
        one.run(0.4)
        if graph.lent.numpy().any():
            break
    assert graph.lent.numpy().any()
    other = FleetSimulation(works(gates=1), vehicles=8, options=LATE, seed=2)
    other.load(one.save())
    one.run(60)
    other.run(60)
    assert np.array_equal(one.poses(), other.poses())
    assert msgspec.msgpack.encode(one.records) == msgspec.msgpack.encode(other.records)


def test_who_stands_in_a_gate_makes_room_and_who_is_held_is_gone_round() -> None:
    fleet = FleetSimulation(_bare(gates=1), vehicles=2, starts=("m2", "z0"), seed=1)
    fleet.run(0.4)
    grid = fleet.grids["Grid"]
    gate = fleet.drivers.gates.cells["g1"][1]
    fleet.drivers.go(0, 1, "g1")
    fleet.run(15)
    assert int(grid.agents.at.numpy()[0, 1]) == gate
    fleet.drivers.go(0, 0, "z3")
    fleet.run(45)
    assert fleet.records[0].vehicles[0].node == "z3"
    # The other goes back to where it was sent; held in the straight way of the first, it is passed.
    fleet.run(15)
    assert int(grid.agents.at.numpy()[0, 1]) == gate
    fleet.drivers.go(0, 1, "z0")
    fleet.run(20)
    grid.hold(0, 1, True)
    fleet.drivers.go(0, 0, "gp")
    fleet.run(25)
    fleet.drivers.go(0, 0, "z1")
    fleet.run(25)
    assert fleet.records[0].vehicles[0].node == "z1"
    assert int(grid.agents.at.numpy()[0, 1]) == fleet.drivers.gates.cells["z0"][1]


def test_messages_are_late_and_lost_on_a_grid() -> None:
    prompt = FleetSimulation(grid_hall(), vehicles=6, worlds=2, seed=4)
    options = FleetOptions(delay=1.0, loss=0.3)
    late = FleetSimulation(grid_hall(), vehicles=6, worlds=2, options=options, seed=4)
    prompt.run(240)
    graph = late.grids["Grid"].graph
    behind = 0
    for _ in range(120):
        late.run(2)
        done, heard, told, go = (
            getattr(graph, name).numpy() for name in ("done", "heard", "told", "go")
        )
        assert (heard <= done).all()
        assert (done <= told).all()
        assert (told <= go).all()
        behind += int((heard < done).sum()) * int((told < go).sum())
    assert behind > 0
    tasks = [sum(len(r.done) for r in fleet.records) for fleet in (prompt, late)]
    assert tasks[0] > tasks[1] > 0, "messages only make it slower"
    assert report_of(late).lost_messages > report_of(prompt).lost_messages == 0
    assert late.motion.state.collisions.numpy().sum() == 0
    assert late.motion.state.overruns.numpy().sum() == 0


@pytest.mark.parametrize(("delay", "begins"), [(0.0, 0.4), (2.0, 2.0)])
def test_a_goal_in_a_free_zone_is_heard_late(delay: float, begins: float) -> None:
    options = FleetOptions(delay=delay)
    fleet = FleetSimulation(_bare(), vehicles=1, starts=("z",), options=options)
    fleet.run(0.4)
    begun, record = fleet.time, fleet.records[0].vehicles[0]
    fleet.drivers.go(0, 0, "y")
    while abs(float(fleet.motion.state.v.numpy()[0, 0])) < 0.01:
        fleet.run(0.2)
    assert begins - 0.45 <= fleet.time - begun <= begins + 0.45
    while not fleet.motion.state.arrived.numpy()[0, 0]:
        fleet.run(0.2)
    there = fleet.time
    while record.phase != Phase.REST:
        fleet.run(0.2)
    assert fleet.time - there >= delay - 0.45, "control hears of it late"


def test_nobody_ends_on_lanes_that_are_not_his() -> None:
    """A way out of a free zone that ends at its last node has that node first."""
    still = FleetOptions(clear=False)
    fleet = FleetSimulation(_bare(), vehicles=2, starts=("n4", "z"), options=still, seed=1)
    fleet.run(0.4)
    fleet.drivers.go(0, 1, "n4")
    fleet.run(20)
    assert fleet.poses()[1, 0] > 26, "somebody else rests there"
    fleet.drivers.go(0, 0, "c1")
    fleet.run(60)
    assert fleet.records[0].vehicles[1].node == "n4"
    assert int(fleet.lanes.column("rest")[0, 1]) == fleet.lanes.net.of_node["n4"]
    assert fleet.motion.state.collisions.numpy().sum() == 0


def test_work_is_done_after_making_room_for_somebody() -> None:
    """Who was sent out of the way and then got work is not sent on from its station."""
    fleet = FleetSimulation(works(), vehicles=1, starts=("n1",))
    record = fleet.records[0].vehicles[0]
    record.after, record.mark = 0, (-5, 0)
    fleet.run(120)
    assert record.after == -1
    assert fleet.records[0].done


def test_a_gate_off_the_middle_of_its_cell_is_refused() -> None:
    road_map = works()
    moved = msgspec.structs.replace(road_map.nodes["g1"], x=6.3)
    with pytest.raises(TrafficError, match=r"gate 'g1' .* middle of its cell, \(6.000, 8.700\)"):
        FleetSimulation(_with(road_map, nodes=road_map.nodes | {"g1": moved}), vehicles=2)


def test_a_lane_over_a_station_of_a_grid_is_refused() -> None:
    road_map = works()
    nodes = {"u": Node(id="u", x=3.0, y=14.3), "w": Node(id="w", x=20.0, y=14.3)}
    lane = Lane(id="u-w", start="u", end="w")
    wide = Zone(
        id="Aisle",
        polygon=((11.0, 13.8), (12.1, 13.8), (12.1, 14.8), (11.0, 14.8)),
        authority="lanes",
    )
    with pytest.raises(TrafficError, match=r"sweep the cell of node 'gp' of the grid zone 'Grid'"):
        FleetSimulation(
            _with(
                road_map,
                nodes=road_map.nodes | nodes,
                lanes=road_map.lanes | {"u-w": lane},
                zones=road_map.zones | {"Aisle": wide},
            ),
            vehicles=2,
        )


def test_cells_that_lanes_sweep_are_no_longer_the_grids() -> None:
    road_map = works()
    nodes = {"u": Node(id="u", x=3.0, y=7.6), "w": Node(id="w", x=20.0, y=7.6)}
    lanes = {"u-w": Lane(id="u-w", start="u", end="w")}
    kept = {"m1-g1", "g2-x"}
    both = _with(
        road_map,
        nodes={n: v for n, v in road_map.nodes.items() if n not in {"g1", "g2"}} | nodes,
        lanes={n: v for n, v in road_map.lanes.items() if n not in kept} | lanes,
    )
    grid = FleetSimulation(both, vehicles=2, starts=("p1", "z0")).grids["Grid"].grid
    assert not grid.free[0].any(), "the lane along its edge takes the row"
    assert grid.free[1:].all()


_SPEEDS = st.floats(0.2, 3.0)


@settings(max_examples=6)
@given(
    kind=st.builds(
        VehicleType,
        speed=_SPEEDS,
        reverse_speed=st.floats(0.0, 1.0),
        acceleration=_SPEEDS,
        deceleration=_SPEEDS,
        rotation_speed=_SPEEDS,
        rotation_acceleration=_SPEEDS,
    ),
    seed=st.integers(0, 2**20),
)
def test_no_vehicle_at_work_goes_beyond_its_limits(kind: VehicleType, seed: int) -> None:
    """Speeds and accelerations of any type, loaded or not, in every zone and at every step."""
    fleet = FleetSimulation(works(), [kind], vehicles=6, options=LATE, seed=seed)
    state, step = fleet.motion.state, fleet.options.step
    v, omega = state.v.numpy().copy(), state.omega.numpy().copy()
    for _ in range(500):
        fleet.advance(1)
        faster, turning = state.v.numpy(), state.omega.numpy()
        assert faster.max() <= kind.speed * (1 + 1e-5)
        assert -faster.min() <= kind.reverse_speed * (1 + 1e-5)
        assert np.abs(turning).max() <= kind.rotation_speed * (1 + 1e-5)
        gained = (np.abs(faster) - np.abs(v)) / step
        assert gained.max() <= kind.acceleration * (1 + 1e-3) + 1e-4
        assert -gained.min() <= kind.deceleration * (1 + 1e-3) + 1e-4
        spun = np.abs(turning - omega).max() / step
        assert spun <= kind.rotation_acceleration * (1 + 1e-3) + 1e-4
        v, omega = faster.copy(), turning.copy()
    assert state.overruns.numpy().sum() == 0


def test_a_lidar_looks_round_on_every_vehicle_at_work() -> None:
    fleet = FleetSimulation(_bare(), vehicles=2, starts=("n1", "n2"))
    fan = LidarFan(fleet.motion, Lidar(rays=8, far=12.0))
    fleet.run(1)
    fan.launch()
    ranges, hits = fan.ranges.numpy()[0], fan.hits.numpy()[0]
    assert sorted(set(hits.ravel().tolist())) == [-1, 0, 1]
    assert ranges[0].min() == pytest.approx(6.0 - 0.3, abs=0.02), "it looks at its side"
