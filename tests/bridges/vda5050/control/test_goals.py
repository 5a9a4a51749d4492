"""Goals on the command path: places by prim, and what is said beside a goal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Usd

from stagetwin.actuation import Fate
from stagetwin.bindings import CommandParameter
from stagetwin.commands import Place, PublishRequest
from stagetwin.commands._places import place_of
from stagetwin.guards import GuardStage
from stagetwin.maps import MapError, RoadMap, Station, author_map, read_map
from tests.bridges.vda5050.control.fleet_plant import value_of
from tests.bridges.vda5050.control.floor import grid, zone
from tests.stages.commands.desk import Desk
from tests.stages.plants import HEADER, asset, command, prim, stage_of, table_of, telemetry

FLOOR = msgspec.structs.replace(
    grid(),
    stations={
        "S": Station(id="S", x=3.0, y=0.0, kind="pick", nodes=("n10",)),
        "B": Station(id="B", x=3.0, y=4.5, nodes=("n11", "n12")),
    },
    zones={"F": zone("F", 6.0, 6.0, 2.0, authority="free")},
)
AMR = "/World/AMR1"
GOAL = f"{AMR}.goal"
PICK = f"{AMR}.pick"
PARAMETERS = """
token twin:command:pick:parameter:loadType = "EPAL" (allowedTokens = ["EPAL", "KLT"])
string twin:command:pick:parameter:loadId
double twin:command:pick:parameter:height (limits = {dictionary hard = {double minimum = 0
double maximum = 2.5}})
"""


def stage() -> Usd.Stage:
    """A plant with a vehicle that takes goals, loads at goals, and poses."""
    fleet = prim(
        "fleet",
        'uniform string twin:endpoint = "vda5050+mqtt://127.0.0.1:1/vda5050"\n'
        'uniform token twin:map = "floor"\n',
        type_name="TwinConnection",
    )
    fields: dict[str, Any] = {"approval": "none", "readback": value_of(AMR, "node")}
    amr = prim(
        "AMR1",
        asset("amr1", "twin", "fleet", ["operator"]),
        telemetry("node", "string", "KIT/0001", field="state.lastNodeId"),
        telemetry("loaded", "bool", "KIT/0001", field="loads.count"),
        command("goal", "string", "KIT/0001", field="order", **fields),
        command(
            "pick",
            "string",
            "KIT/0001",
            field="order.pick",
            approval="none",
            readback=value_of(AMR, "loaded"),
        ),
        PARAMETERS,
        command("pose", "double3", "KIT/0001", field="order", approval="none"),
        command("stop", "bool", "KIT/0001", field="cancelOrder", approval="none"),
    )
    made = stage_of(HEADER + prim("World", fleet, amr))
    author_map(made, "/World/Map", FLOOR)
    return made


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(stage(), tmp_path)
    made.feel(f"{AMR}.node", "n00")
    made.feel(f"{AMR}.loaded", False)
    yield made
    made.close()


@cache
def on_stage() -> RoadMap:
    """Return the map as it is read from the plant."""
    return read_map(stage())


def moved(name: str, x: float, y: float, theta: float = 0.0) -> dict[str, Any]:
    """Return where somebody put a station or node."""
    thing = on_stage().stations.get(name) or on_stage().nodes[name]
    return {"prim": thing.prim, "x": x, "y": y, "theta": theta}


def test_a_station_that_was_moved_is_a_goal_at_the_node_where_it_stands_now(desk: Desk) -> None:
    made = desk.publish(moved("S", 3.1, 3.1), target=GOAL)
    assert (made.state, made.value) == ("SENT", "n11")
    assert made.place == moved("S", 0, 0)["prim"]
    assert desk.wire.sent[-1].value == "n11"
    validated = next(m for m in made.history if m.state == "VALIDATED")
    assert "S at (3.10, 3.10): node 'n11', 0.14 m away" in validated.cause
    assert desk.target(GOAL).place == made.place
    desk.durable()
    entries = desk.ledger.entries(made.id)
    assert entries[0].body["value"] == moved("S", 3.1, 3.1), "what was asked for"
    again = desk.path.records.recorded(entries)
    assert again is not None
    assert (again.value, again.place, again.hash) == (made.value, made.place, made.hash)


def test_a_place_that_gives_way_and_comes_back_is_known_by_its_prim(desk: Desk) -> None:
    first = desk.publish(moved("S", 3.1, 3.1), target=GOAL)
    target = desk.target(GOAL)
    for y in (3.0, 3.1, 3.2):  # each asked for while the one before had not come into force
        value = ("n11", f"request {y}")
        desk.path.targets.set_desired(target, value, moved("B", 3.0, y)["prim"])
    assert target.place == moved("B", 0, 0)["prim"]
    desk.path.targets.set_desired(target, ("n11", first.id))
    assert target.place == first.place == moved("S", 0, 0)["prim"]
    for k in range(100):
        desk.path.targets.set_desired(target, ("n11", str(k)), "/World/Other")
    assert len(target.places) <= 16


def test_a_station_where_the_map_has_it_is_itself(desk: Desk) -> None:
    made = desk.publish(moved("S", 3.0, 0.0), target=GOAL)
    assert (made.state, made.value) == ("SENT", "S")
    same = PublishRequest(id=made.id, target=GOAL, value=moved("S", 3.0, 0.0), revision=made.base)
    assert desk.path.publish(same, "ann") is made, "the same request"


def test_a_place_on_no_node_is_refused_with_prim_address_and_what_is_allowed(desk: Desk) -> None:
    made = desk.publish(moved("S", 4.4, 3.0), target=GOAL)
    assert (made.state, made.code) == ("REJECTED", "range")
    for words in (
        f"{GOAL} (KIT/0001): {moved('S', 0, 0)['prim']} at (4.40, 3.00)",
        "the nearest is 'n11' at (3.00, 3.00), 1.40 m away; at most 0.3 m are allowed",
    ):
        assert words in made.cause
    assert desk.wire.sent == []
    assert desk.target(GOAL).desired == (None, "")


def test_a_station_beside_its_node_keeps_its_offset(desk: Desk) -> None:
    # B stands 1.5 m beside n11 and n12; now it is moved by one row of nodes to the right.
    assert desk.publish(moved("B", 6.0, 4.5), target=GOAL).value == "n21"
    with pytest.raises(MapError, match=r"served from \(4\.00, 3\.00\)"):
        place_of(on_stage(), Place(**moved("B", 4.0, 4.5)), pose=False)


def test_a_pose_is_the_nodes_with_the_prims_heading_and_itself_in_a_free_zone(desk: Desk) -> None:
    pose = f"{AMR}.pose"
    made = desk.publish(moved("S", 3.1, 3.1, 1.5), target=pose)
    assert made.value == [3.0, 3.0, 1.5]
    free = desk.publish({"prim": "/World/Marker", "x": 5.5, "y": 6.6, "theta": 0.1}, target=pose)
    assert free.value == [5.5, 6.6, 0.1]
    text = desk.publish({"prim": "/World/Marker", "x": 5.5, "y": 6.6}, target=GOAL)
    assert text.code == "range", "an id needs a node"


@pytest.mark.parametrize(
    "value",
    [
        {"prim": "/World/Map", "x": math.inf, "y": 0.0},
        {"prim": "/World/Map", "x": "3", "y": 0.0},
        {"x": 3.0, "y": 0.0},
        {"prim": "/World/Map", "x": 3.0, "y": 0.0, "z": 1.0},
    ],
)
def test_what_is_no_place_is_of_a_wrong_type(desk: Desk, value: dict[str, Any]) -> None:
    if value.get("x") == math.inf:
        assert Place.of(value) is None
        return
    assert desk.publish(value, target=GOAL).code == "type"


def test_a_place_is_nothing_to_a_command_of_another_kind(desk: Desk) -> None:
    assert desk.publish(moved("S", 3.0, 3.0), target=f"{AMR}.stop").code == "type"


@given(x=st.floats(-5, 20), y=st.floats(-5, 20), pose=st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_is_asked_for_is_a_node_within_its_deviation_or_nothing(
    x: float, y: float, pose: bool
) -> None:
    place = Place("/World/Marker", x, y)
    try:
        value, _ = place_of(FLOOR, place, pose=pose)
    except MapError:
        near = FLOOR.nearest(x, y)
        assert near is not None
        assert math.dist((near.x, near.y), (x, y)) > near.deviation
        return
    if pose:
        assert math.dist(value[:2], (x, y)) <= 0.3 or FLOOR.authority_at(x, y) == "free"
    else:
        node = FLOOR.nodes[value]
        assert math.dist((node.x, node.y), (x, y)) <= node.deviation


def test_parameters_are_held_to_type_tokens_and_limits_and_sent_with_the_plants_own(
    desk: Desk,
) -> None:
    made = desk.publish("S", target=PICK, parameters={"loadId": "L7", "height": 0.5})
    assert made.state == "SENT", made.cause
    sent = desk.wire.sent[-1]
    assert sent.parameters == {"loadType": "EPAL", "loadId": "L7", "height": 0.5}
    assert sent.target.parameters == ("height", "loadId", "loadType")
    desk.durable()
    again = desk.path.records.recorded(desk.ledger.entries(made.id))
    assert again is not None
    assert (again.parameters, again.hash) == (sent.parameters, made.hash)


def test_a_load_is_proven_by_the_load(desk: Desk) -> None:
    made = desk.sent("S", target=PICK, parameters={})
    desk.report(made, Fate.SENT, shows=(True, 1))
    desk.tick(0.1)
    assert made.state == "ACKNOWLEDGED"
    desk.feel(f"{AMR}.loaded", True)
    assert made.state == "VERIFIED"
    assert made.evidence is not None
    assert (made.evidence.before, made.evidence.value) == (False, True)


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ({"loadType": "BOX"}, "range", "'BOX' is none of 'EPAL', 'KLT'"),
        ({"height": 2.6}, "range", r"[0, 2.5] is allowed"),
        ({"height": "high"}, "type", "a double is allowed"),
        ({"colour": "red"}, "type", "no parameter 'colour'; it has height, loadId, loadType"),
    ],
)
def test_a_wrong_parameter_refuses_the_command(
    desk: Desk, said: dict[str, Any], code: str, words: str
) -> None:
    made = desk.publish("S", target=PICK, parameters=said)
    assert (made.state, made.code) == ("REJECTED", code)
    assert words in made.cause
    assert desk.wire.sent == []


def test_parameters_are_guards_and_part_of_what_is_approved(tmp_path: Path) -> None:
    plant = stage()
    before = GuardStage(plant.GetRootLayer()).hashes()[AMR]
    attr = plant.GetAttributeAtPath(f"{AMR}.twin:command:pick:parameter:loadType")
    attr.SetMetadata("allowedTokens", ["EPAL", "KLT", "BOX"])
    assert GuardStage(plant.GetRootLayer()).hashes()[AMR] != before
    with_one, with_other = (
        Desk(stage(), folder, approved=True) for folder in (tmp_path / "a", tmp_path / "b")
    )
    try:
        hashes = set[str]()
        for desk, load in ((with_one, "L1"), (with_other, "L2")):
            desk.feel(f"{AMR}.loaded", False)
            request = "01890000-0000-7000-8000-000000000000"
            made = desk.publish("S", target=PICK, parameters={"loadId": load}, id=request)
            hashes.add(made.hash)
        assert len(hashes) == 2
    finally:
        with_one.close()
        with_other.close()


def parameters_of(text: str) -> list[CommandParameter]:
    """Return the parameters of a plant's commands, with attributes as a stage may have them."""
    endpoint = 'uniform string twin:endpoint = "vda5050+mqtt://127.0.0.1:1/vda5050"'
    line = prim("fleet", endpoint, type_name="TwinConnection")
    pick = command("pick", "string", "KIT/0001", field="order.pick")
    amr = prim("AMR1", asset("amr1", "twin", "fleet", ["operator"]), pick, text)
    return [p for c in table_of(HEADER + prim("World", line, amr)).commands for p in c.parameters]


@pytest.mark.parametrize(
    "text",
    [
        "rel twin:command:pick:parameter:loadType",
        'token twin:command:pick:parameter:k = "x" (allowedTokens = ["a"])',
        "double twin:command:pick:parameter:k = 3 (limits = {dictionary hard = "
        "{double maximum = 2}})",
    ],
)
def test_a_parameter_that_cannot_be_sent_stops_the_command(text: str) -> None:
    assert parameters_of(text) == []
    good = parameters_of("int twin:command:pick:parameter:k = 3")
    assert [(p.name, p.type_name, p.default) for p in good] == [("k", "int", "3")]


def test_a_protocol_that_carries_no_parameters_takes_no_command_with_them() -> None:
    endpoint = 'uniform string twin:endpoint = "mqtt://127.0.0.1:1"'
    line = prim("line", endpoint, type_name="TwinConnection")
    speed = command("speed", "double", "pump/speed")
    more = "int twin:command:speed:parameter:k = 3"
    pump = prim("Pump", asset("pump", "twin", "line", ["operator"]), speed, more)
    table = table_of(HEADER + prim("World", line, pump))
    assert table.commands == []
    assert "parameter" in [problem.code for problem in table.problems]
