"""Virtual fleets behind a real broker: participants with wills of their own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from stagetwin.fleets import VehicleType, find_bodies
from stagetwin.ports import ConnectionSpec, Realm
from stagetwin_bridges._errors import ConnectionConfigError, NotConnectedError, RealmError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050.messages import Codec, Headers, Identity, Order
from stagetwin_bridges.vda5050.vehicle import Vehicle
from stagetwin_bridges.vda5050.virtual import Pace, VirtualFleet, allow_open_files
from tests.bridges.recording_sink import eventually
from tests.bridges.vda5050.vehicle.stand import action, order
from tests.bridges.vda5050.vehicle.straight_bodies import make
from tests.bridges.vda5050.virtual.fleet_control import FleetControl

_FAST = VehicleType(speed=2.0, acceleration=2.0, deceleration=2.0)


def connection(
    broker: LocalBroker,
    root: str,
    version: str = "3.0",
    realm: Realm = "simulation",
    credential: str = "device",
) -> ConnectionSpec:
    """Return the connection of a fleet at a broker of this host."""
    return ConnectionSpec(
        name="fleet",
        prim="/World/fleet",
        endpoint=f"vda5050+mqtt://127.0.0.1:{broker.port}/{root}?version={version}",
        realm=realm,
        credential=credential,
    )


def rows(count: int) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Return names and poses of vehicles that stand side by side, each with a lane of its own."""
    names = [f"KIT/{k:04d}" for k in range(count)]
    poses = np.zeros((count, 3))
    poses[:, 1] = 2.0 * np.arange(count)
    return names, poses


def way(y: float, name: str = "o", length: float = 2.0) -> Order:
    """Return an order along a lane, with something to do at its end."""
    return order(
        [("a", 0.0, y), ("b", length, y)],
        name=name,
        nodes={1: [action("detectObject", "look", "HARD")]},
        map_id="map",
    )


def finished(control: FleetControl, names: list[str], name: str = "o") -> bool:
    for each in names:
        state = control.states.get(each)
        if state is None or state.order_id != name or state.node_states or state.edge_states:
            return False
        if any(a.action_status != "FINISHED" for a in state.action_states):
            return False
    return True


def drive_and_lose_one(broker: LocalBroker, root: str, count: int, seconds: float) -> None:
    """All come online, all finish their orders, one is killed: its will alone is published."""
    names, poses = rows(count)
    pace = Pace(step=0.2, visualization_interval=0.0, state_interval=5.0)
    with (
        FleetControl(broker, root, "3.0.0") as control,
        VirtualFleet(
            connection(broker, root),
            names,
            poses,
            [_FAST],
            credential=broker.credential("device"),
            bodies="simulated",
            pace=pace,
        ) as fleet,
    ):
        control.until(lambda: all(control.word(n) == "ONLINE" for n in names), seconds)
        control.until(lambda: len(control.states) == count, seconds)
        assert fleet.online == count
        for k, name in enumerate(names):
            control.send(name, way(2.0 * k))
        control.until(lambda: finished(control, names), seconds)
        assert {s.last_node_id for s in control.states.values()} == {"b"}
        lost = names[count // 2]
        fleet.kill(lost)
        control.until(lambda: control.word(lost) == "CONNECTION_BROKEN", seconds)
        assert [n for n in names if control.word(n) != "ONLINE"] == [lost]
        fleet.revive(lost)
        control.until(lambda: control.word(lost) == "ONLINE", seconds)
        assert fleet.counts.losses == 0
        fleet.stop()
        control.until(lambda: all(control.word(n) == "OFFLINE" for n in names), seconds)
        assert control.faults == []
        assert {tuple(control.words[n]) for n in names if n != lost} == {("ONLINE", "OFFLINE")}


def test_250_vehicles_drive_and_one_is_lost(shared_broker: LocalBroker, root: str) -> None:
    allow_open_files(600)
    drive_and_lose_one(shared_broker, root, 250, 90.0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_2500_vehicles_drive_and_one_is_lost(root: str) -> None:
    if allow_open_files(2 * 2500) < 2700:
        pytest.skip("this user may not open 2,700 files")
    with LocalBroker("mosquitto") as broker:
        drive_and_lose_one(broker, root, 2500, 400.0)


@pytest.fixture
def control(shared_broker: LocalBroker, root: str) -> Iterator[FleetControl]:
    with FleetControl(shared_broker, root, "3.0.0") as found:
        yield found


def small(broker: LocalBroker, root: str, count: int = 2, version: str = "3.0") -> VirtualFleet:
    names, poses = rows(count)
    return VirtualFleet(
        connection(broker, root, version),
        names,
        poses,
        [_FAST],
        credential=broker.credential("device"),
        bodies=make,
        pace=Pace(step=0.05, slices=2, state_interval=1.0, visualization_interval=0.1),
    )


def test_it_speaks_at_its_pace(
    shared_broker: LocalBroker, root: str, control: FleetControl
) -> None:
    with small(shared_broker, root) as fleet:
        control.until(lambda: control.heard.get("visualization", 0) >= 20, 30.0)
        # Where steps come late, each brings both: the pace itself is the vehicle's, by its clock.
        assert fleet.counts.late or control.heard["state"] < control.heard["visualization"]
        assert control.heard["factsheet"] == 2
        assert fleet.counts.messages >= 24
    assert control.faults == []


def test_hibernation_is_said_and_ended(
    shared_broker: LocalBroker, root: str, control: FleetControl
) -> None:
    with small(shared_broker, root) as fleet:
        name = fleet.names[0]
        control.until(lambda: control.word(name) == "ONLINE", 30.0)
        fleet.hibernate(name)
        control.until(lambda: control.word(name) == "HIBERNATING", 30.0)
        assert fleet.ask(name, lambda vehicle: vehicle.hibernating)
        fleet.wake(name)
        control.until(lambda: control.words[name] == ["ONLINE", "HIBERNATING", "ONLINE"], 30.0)


def test_a_killed_vehicle_drives_on_to_the_last_released_node(
    shared_broker: LocalBroker, root: str, control: FleetControl
) -> None:
    with small(shared_broker, root) as fleet:
        name = fleet.names[0]
        control.until(lambda: name in control.states, 30.0)
        message = order([("a", 0.0, 0.0), ("b", 2.0, 0.0), ("c", 4.0, 0.0)], released=2)
        control.send(name, message)
        control.until(lambda: control.states[name].order_id == "o", 30.0)
        fleet.kill(name)
        control.until(lambda: fleet.ask(name, lambda vehicle: vehicle.last_node_id) == "b", 30.0)
        assert control.word(name) == "CONNECTION_BROKEN"
        fleet.revive(name)
        control.until(lambda: control.states[name].last_node_id == "b", 30.0)
        assert [n.node_id for n in control.states[name].node_states] == ["c"]


def test_it_comes_back_after_the_broker_fell() -> None:
    with LocalBroker("mosquitto") as broker, small(broker, "v") as fleet:
        with FleetControl(broker, "v", "3.0.0") as control:
            control.until(lambda: fleet.online == 2, 30.0)
        broker.kill()
        broker.restart()
        with FleetControl(broker, "v", "3.0.0") as control:
            control.until(lambda: all(control.word(n) == "ONLINE" for n in fleet.names), 60.0)
        assert fleet.counts.losses == 2


def test_2_1_speaks_in_its_own_words(shared_broker: LocalBroker, root: str) -> None:
    with (
        FleetControl(shared_broker, root, "2.1.0") as control,
        small(shared_broker, root, 1, "2.1") as fleet,
    ):
        name = fleet.names[0]
        control.until(lambda: name in control.states, 30.0)
        control.send(name, way(0.0))
        control.until(lambda: finished(control, [name]), 30.0)
        assert control.faults == []


def test_what_cannot_be_read_is_reported(
    shared_broker: LocalBroker, root: str, control: FleetControl
) -> None:
    with small(shared_broker, root) as fleet:
        name = fleet.names[0]
        control.until(lambda: name in control.states, 30.0)
        control._client.publish(f"{root}/v3/{name}/order", b'{"orderId": "x", "headerId": 3}')
        control.until(lambda: bool(control.states[name].errors), 30.0)
        found = control.states[name].errors[0]
        assert found.error_type == "VALIDATION_FAILURE"
        told = {r.reference_key: r.reference_value for r in found.error_references or ()}
        assert told == {"topic": "order", "headerId": "3", "orderId": "x"}
        assert control.states[fleet.names[1]].errors == ()


@pytest.mark.parametrize("realm", ["plant", "replay"])
def test_it_belongs_to_a_simulation(
    shared_broker: LocalBroker, root: str, realm: Literal["plant", "replay"]
) -> None:
    names, poses = rows(1)
    with pytest.raises(RealmError, match="'simulation'"):
        VirtualFleet(connection(shared_broker, root, realm=realm), names, poses, bodies=make)


def test_what_is_wrong_is_said(shared_broker: LocalBroker, root: str) -> None:
    names, poses = rows(2)
    where = connection(shared_broker, root, credential="")
    with pytest.raises(ValueError, match="expected the shape"):
        VirtualFleet(where, names, poses[:1], bodies=make)
    with pytest.raises(ValueError, match="given twice"):
        VirtualFleet(where, [names[0]] * 2, poses, bodies=make)
    with pytest.raises(ValueError, match="expected 1 or 2"):
        VirtualFleet(where, names, poses, [_FAST] * 3, bodies=make)
    far = msgspec.structs.replace(where, endpoint="vda5050+mqtt://192.0.2.1/uagv")
    with pytest.raises(ConnectionConfigError, match="strict"):
        VirtualFleet(far, names, poses, bodies=make)
    fleet = VirtualFleet(where, names, poses, bodies=make)
    with pytest.raises(NotConnectedError):
        fleet.kill(names[0])


def test_who_can_reverse_is_told_to_by_type_and_body(shared_broker: LocalBroker, root: str) -> None:
    names, poses = rows(2)
    where = connection(shared_broker, root, credential="")
    kinds = [VehicleType(reverse_speed=0.3), VehicleType(reverse_speed=0.0)]

    class Forward:
        """Bodies of a third party, which know nothing of backward legs."""

        def __init__(self, *given: Any, **more: Any) -> None:
            self._bodies = make(*given, **more)

        def __getattr__(self, name: str) -> Any:
            if name == "reverses":
                raise AttributeError(name)
            return getattr(self._bodies, name)

    def reverses(bodies: Any) -> list[bool]:
        fleet = VirtualFleet(where, names, poses, kinds, bodies=bodies)
        return [v._parts.options.reverses for v in fleet.vehicles.values()]

    assert reverses(make) == [True, False]
    assert reverses(Forward) == [False, False]


def test_a_refusal_is_told(shared_broker: LocalBroker, root: str) -> None:
    """The broker takes nobody without a password."""
    names, poses = rows(1)
    where = connection(shared_broker, root, credential="")
    with VirtualFleet(where, names, poses, bodies=make) as fleet:
        with FleetControl(shared_broker, root, "3.0.0") as control:
            control.until(lambda: bool(fleet.counts.refused), 30.0)
        assert "refuses" in fleet.counts.refused
        assert fleet.online == 0


def test_many_files_can_be_opened() -> None:
    limit = allow_open_files(64)
    assert limit >= 64
    with socket.socket() as sock:
        assert sock.fileno() < limit
    shown = subprocess.run(["sh", "-c", "ulimit -n"], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() in (str(limit), "unlimited")


def test_the_real_bodies_are_there() -> None:
    assert callable(find_bodies("simulated"))


def test_what_fails_in_one_vehicle_ends_no_other(shared_broker: LocalBroker, root: str) -> None:
    names, _ = rows(2)
    with small(shared_broker, root) as fleet:
        eventually(lambda: fleet.online == 2)

        def spoil(vehicle: Vehicle) -> None:
            vehicle.step = lambda now: 1 // 0  # type: ignore[method-assign,assignment]

        fleet.ask(names[0], spoil)
        eventually(lambda: fleet.counts.failures > 3)
        assert fleet.counts.failed.startswith(f"{names[0]}: ZeroDivisionError")
        before = fleet.counts.sent["visualization"]
        eventually(lambda: fleet.counts.sent["visualization"] > before + 3)
        assert fleet.online == 2


def test_what_a_broker_kept_is_no_order_for_now(shared_broker: LocalBroker, root: str) -> None:
    names, _ = rows(1)
    headers = Headers(Identity(root, "3.0.0", *names[0].split("/")))
    topic = f"{root}/v3/{names[0]}/order"
    kept, fresh = (headers.stamp(way(0.0, name=name)) for name in ("kept", "fresh"))
    codec = Codec("3.0.0")
    with FleetControl(shared_broker, root, "3.0.0") as control:
        # The broker has it before a vehicle subscribes.
        control._client.publish(topic, codec.encode(kept), 1, retain=True).wait_for_publish(30.0)
        try:
            with small(shared_broker, root, 1) as fleet:
                eventually(lambda: fleet.online == 1)
                eventually(lambda: fleet.counts.sent.get("state", 0) > 1)
                assert fleet.ask(names[0], lambda vehicle: vehicle.order_id) == ""
                control._client.publish(topic, codec.encode(fresh))
                eventually(lambda: fleet.ask(names[0], lambda v: v.order_id) == "fresh")
        finally:
            control._client.publish(topic, b"", retain=True)
