"""From a goal on the stage to a vehicle that stands there, through real processes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pxr import Gf, Usd

from stagetwin.drafts import Drafts
from stagetwin.maps import Station, read_map
from stagetwin.service import ControlClient
from stagetwin_bridges.broker import LocalBroker
from tests.bridges.plant_service import PlantService, wait_for
from tests.bridges.vda5050.control.fleet_plant import (
    AMR,
    GOAL,
    FleetLine,
    Gate,
    fleet_service,
    known,
    plant,
)
from tests.bridges.vda5050.control.floor import grid
from tests.bridges.vda5050.control.live import LiveVehicle
from tests.bridges.way_down.field import ended, publish, states, targets

FLOOR = grid(4, 3, 3.0)
LONG = grid(10, 1, 3.0)
WAY = ["REQUESTED", "VALIDATED", "REHEARSED", "APPROVED", "ARMED", "SENT"]

# An order goes on only while it is renewed, each second, and its vehicle drives meanwhile.
pytestmark = pytest.mark.alone


@pytest.fixture
def gate(broker: LocalBroker) -> Iterator[Gate]:
    """A gate, open."""
    made = Gate(broker, "3.0.0")
    made.set(True)
    yield made
    made.close()


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder that only its user may enter."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    return folder


def notes(service: PlantService, command_id: str) -> str:
    """Return what was noted of a command."""
    row = service.ask(op="command", id=command_id)["command"]
    return " | ".join(m["cause"] for m in row["history"] if m["state"] == "NOTE")


def test_a_goal_set_on_the_command_line_is_driven_to_and_verified_there(
    broker: LocalBroker, gate: Gate, private: Path
) -> None:
    stage = plant(private, FLOOR)
    line = FleetLine(broker, blind=7)
    with LiveVehicle(broker, FLOOR) as amr, fleet_service(stage, private, line) as service:
        known(service)
        asked = subprocess.run(
            [
                *(sys.executable, "-m", "stagetwin", "set", str(stage), GOAL, "P1"),
                *("--socket", str(service.socket)),
            ],
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert asked.returncode == 0, asked.stdout + asked.stderr + service.log
        assert "VERIFIED" in asked.stdout
        (row,) = service.ask(op="commands")["commands"]
        row = service.ask(op="command", id=row["id"])["command"]
        assert [s for s in states(row) if s != "NOTE"] == [*WAY, "ACKNOWLEDGED", "VERIFIED"]
        assert row["evidence"]["kind"] == "process"
        assert (row["evidence"]["before"], row["evidence"]["value"]) == ("n00", "n32")
        assert "released to" in notes(service, row["id"])
        assert math.dist(amr.place, (9.0, 6.0)) < 0.35
        assert {order.order_id for order in amr.orders()} == {row["id"]}
        assert len(amr.orders()) > 2


def test_a_station_that_is_moved_in_an_editor_becomes_an_order_once_it_is_published(
    broker: LocalBroker, gate: Gate, private: Path
) -> None:
    del gate
    stations = {"S": Station(id="S", x=3.0, y=0.0, kind="pick", nodes=("n10",))}
    stage = plant(private, msgspec.structs.replace(FLOOR, stations=stations))
    before = stage.read_bytes()
    mirror = Usd.Stage.Open(str(stage))
    road_map = read_map(mirror)
    where = road_map.stations["S"].prim
    with (
        LiveVehicle(broker, FLOOR) as amr,
        fleet_service(stage, private, FleetLine(broker)) as service,
    ):
        known(service)
        assert ended(service, publish(service, GOAL, "S")["id"])["state"] == "VERIFIED"
        drafts = Drafts(mirror, lambda: ControlClient(service.socket), targets_every=0.1)

        def edited(edit: Callable[[], object]) -> None:
            with Usd.EditContext(mirror, drafts.layer):
                edit()
            wait_for(lambda: drafts.poll() or [d.command for d in drafts.drafts] == [GOAL])

        def published() -> dict[str, Any]:
            row = drafts.publish(GOAL, "the rack was moved")
            wait_for(lambda: drafts.poll() or GOAL in drafts.published)
            wait_for(lambda: drafts.published[GOAL]["id"] == row or drafts.poll())
            return ended(service, row)

        try:
            wait_for(lambda: drafts.poll() or bool(drafts.targets))
            assert drafts.targets[GOAL]["goal"] == where
            place = mirror.GetAttributeAtPath(f"{where}.xformOp:translate")
            edited(lambda: place.Set(Gf.Vec3d(3.1, 3.0, 0.0)))
            (draft,) = drafts.drafts
            assert (draft.state, draft.value["prim"]) == ("held", where)
            assert len(service.ask(op="commands")["commands"]) == 1, "nothing was asked for"
            row = published()
            assert (row["state"], row["value"], row["place"]) == ("VERIFIED", "n11", where)
            assert "node 'n11', 0.10 m away" in row["history"][1]["cause"]
            assert math.dist(amr.place, (3.0, 3.0)) < 0.35
            # Nobody knows a node there; what stands as desired is still by the station's place.
            wait_for(lambda: drafts.poll() or drafts.targets[GOAL]["goal"] == where)
            wait_for(lambda: drafts.poll() or drafts.targets[GOAL]["revision"] == row["revision"])
            edited(lambda: place.Set(Gf.Vec3d(4.4, 3.0, 0.0)))
            row = published()
            assert (row["state"], row["code"]) == ("REJECTED", "range")
            assert f"{GOAL} (KIT/0001): {where} at (4.40, 3.00)" in row["cause"]
            assert "at most 0.3 m are allowed" in row["cause"]
            orders = len(amr.orders())
            rel = mirror.GetPrimAtPath(AMR).CreateRelationship
            node = road_map.nodes["n12"].prim
            edited(lambda: rel("twin:command:goal:place", False).SetTargets([node]))
            row = published()
            assert (row["state"], row["value"]) == ("VERIFIED", "n12")
            assert {o.order_id for o in amr.orders()[orders:]} == {row["id"]}
        finally:
            drafts.close()
    assert stage.read_bytes() == before, "no editor changes the map that guards"


def standing(amr: LiveVehicle) -> bool:
    """Tell whether a vehicle stands at the end of its base, away from where it began."""
    with amr.lock:
        held = amr.vehicle._parts.held
        at_end = held is not None and held.decision.node_id == amr.vehicle.last_node_id
        return at_end and not amr.bodies._moving[0] and amr.bodies.poses()[0, 0] > 0


def test_a_permissive_that_turns_false_stops_the_vehicle_at_its_decision_point(
    broker: LocalBroker, gate: Gate, private: Path
) -> None:
    stage = plant(private, LONG)
    line = FleetLine(broker, blind=4)
    with (
        LiveVehicle(broker, LONG, speed=4.0) as amr,
        fleet_service(stage, private, line) as service,
    ):
        known(service)
        asked = publish(service, GOAL, "n90")
        wait_for(lambda: "update 1" in notes(service, asked["id"]))
        gate.set(False)
        wait_for(lambda: "nothing more of it is released" in notes(service, asked["id"]))
        assert "open:value is false" in notes(service, asked["id"])
        wait_for(lambda: standing(amr))
        where = amr.place
        assert where[0] < 25.0
        gate.set(True)
        wait_for(lambda: "renewed: it may go on" in notes(service, asked["id"]))
        row = ended(service, asked["id"], 60)
        assert row["state"] == "VERIFIED"
        assert {order.order_id for order in amr.orders()} == {asked["id"]}


def test_the_stop_request_cancels_and_pauses_and_the_goal_is_failed(
    broker: LocalBroker, gate: Gate, private: Path
) -> None:
    stage = plant(private, LONG)
    line = FleetLine(broker, blind=8)
    with (
        LiveVehicle(broker, LONG, speed=2.0) as amr,
        fleet_service(stage, private, line) as service,
    ):
        known(service)
        asked = publish(service, GOAL, "n90")
        wait_for(
            lambda: "ACKNOWLEDGED" in states(service.ask(op="command", id=asked["id"])["command"])
        )
        stops = service.ask(op="halt", prim=AMR, reason="test")["commands"]
        assert sorted(each["target"] for each in stops) == [f"{AMR}.cancel", f"{AMR}.pause"]
        for each in stops:
            assert ended(service, each["id"])["state"] == "VERIFIED"
        row = ended(service, asked["id"])
        assert (row["state"], row["code"]) == ("FAILED", "refused")
        assert "gave it up: it was cancelled" in row["cause"]
        assert targets(service)[GOAL]["desired"] is None
        wait_for(lambda: amr.vehicle.idle)
        again = publish(service, GOAL, "n10")
        assert ended(service, again["id"])["code"] == "withheld", "it is paused"


def test_an_order_that_the_vehicle_cannot_take_is_failed_with_its_words(
    broker: LocalBroker, gate: Gate, private: Path
) -> None:
    del gate
    stage = plant(private, FLOOR)
    with (
        LiveVehicle(broker, FLOOR) as amr,
        fleet_service(stage, private, FleetLine(broker)) as service,
    ):
        known(service)
        row = ended(service, publish(service, GOAL, "nowhere")["id"])
        assert (row["state"], row["code"]) == ("FAILED", "withheld")
        assert "no node or station 'nowhere'" in row["cause"]
        amr.mute = True
        with amr.lock:
            amr.bodies.place(0, 6.0, 6.0, 0.0)
        wait_for(lambda: amr.vehicle._parts.chassis.x == 6.0)
        asked = publish(service, GOAL, "P1")
        wait_for(amr.orders)
        amr.mute = False
        row = ended(service, asked["id"])
        assert (row["state"], row["code"]) == ("FAILED", "refused")
        assert "START_NODE_OUT_OF_RANGE" in row["cause"]


def test_a_service_that_is_killed_and_starts_again_finds_its_order_and_releases_nothing(
    broker: LocalBroker, gate: Gate, private: Path
) -> None:
    del gate
    stage = plant(private, LONG)
    line = FleetLine(broker, blind=8)
    with LiveVehicle(broker, LONG, speed=4.0) as amr:
        service = fleet_service(stage, private, line)
        with service:
            known(service)
            asked = publish(service, GOAL, "n90")
            wait_for(lambda: "update 1" in notes(service, asked["id"]))
            service.kill()
        orders = len(amr.orders())
        with service:
            wait_for(lambda: "sent by a client before" in notes(service, asked["id"]))
            wait_for(lambda: standing(amr))
            assert amr.place[0] < 25.0
            row = service.ask(op="command", id=asked["id"])["command"]
            assert row["state"] == "ACKNOWLEDGED"
            assert {order.order_id for order in amr.orders()} == {asked["id"]}
            assert len(amr.orders()) <= orders + 1, "one may have been on its way"
            stop = publish(service, f"{AMR}.cancel", True)
            assert ended(service, stop["id"])["state"] == "VERIFIED"
            wait_for(lambda: amr.vehicle.idle)


@pytest.mark.slow
def test_a_broker_that_is_gone_for_a_while_during_an_order(
    broker: LocalBroker, gate: Gate, private: Path
) -> None:
    stage = plant(private, LONG, settleTime=60.0)
    line = FleetLine(broker, blind=4)
    with (
        LiveVehicle(broker, LONG, speed=4.0) as amr,
        fleet_service(stage, private, line) as service,
    ):
        known(service)
        asked = publish(service, GOAL, "n90")
        wait_for(lambda: "update 1" in notes(service, asked["id"]))
        broker.kill()
        wait_for(lambda: "nothing more of it is released" in notes(service, asked["id"]))
        wait_for(lambda: standing(amr))
        assert amr.place[0] < 25.0
        broker.restart()
        wait_for(lambda: gate.connected)
        gate.set(True)
        row = ended(service, asked["id"], 70)
        assert row["state"] == "VERIFIED"
        assert {order.order_id for order in amr.orders()} == {asked["id"]}
