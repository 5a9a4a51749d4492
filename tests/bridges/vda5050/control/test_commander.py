"""The command client of a fleet over a real broker, with vehicles of ours behind it."""

from __future__ import annotations

import math
import time

import msgspec
import pytest

from stagetwin.identifiers import uuid7
from stagetwin.ports import ValueKind
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050.messages import topic_of
from tests.bridges.recording_sink import eventually
from tests.bridges.vda5050.control.conftest import ASSET, MakeDesk, target
from tests.bridges.vda5050.control.floor import grid, zone
from tests.bridges.vda5050.control.live import LiveVehicle

FLOOR = grid(4, 3, 3.0)
VERSIONS = ("2.1.0", "3.0.0")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_goal_becomes_an_order_that_is_released_as_the_vehicle_drives(
    broker: LocalBroker, make_desk: MakeDesk, version: str
) -> None:
    with LiveVehicle(broker, FLOOR, version=version) as amr:
        desk = make_desk(FLOOR, version=version, blind=4)
        desk.ready()
        sent = desk.send(target(), "P1")
        eventually(lambda: desk.noted(sent, "finished it: at n32"))
        assert desk.fates(sent) == ["sent", "acknowledged"]
        first = desk.reports(sent)[0]
        assert first.shows == ("n32",)
        assert "5 edges, 15.0 m, released to" in first.cause
        assert math.dist(amr.place, (9.0, 6.0)) < 0.35
        orders = amr.orders()
        assert {order.order_id for order in orders} == {sent.id}
        assert [order.order_update_id for order in orders] == sorted(
            order.order_update_id for order in orders
        )
        assert sum(node.released for node in orders[0].nodes) == 2
        assert len(orders[0].nodes) == 6


LONG = grid(10, 1, 3.0)
GOAL = "n90"


def still(amr: LiveVehicle) -> bool:
    """Tell whether a vehicle stands, with nothing of its base left to drive."""
    with amr.lock:
        held = amr.vehicle._parts.held
        done = held is not None and held.decision.node_id == amr.vehicle.last_node_id
        return done and not amr.bodies._moving[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_order_that_was_not_heard_is_repeated_as_it_is_until_a_state_shows_it(
    broker: LocalBroker, make_desk: MakeDesk, version: str
) -> None:
    with LiveVehicle(broker, FLOOR, version=version) as amr:
        desk = make_desk(FLOOR, version=version, blind=100, blind_time=1000)
        desk.ready()
        amr.deaf = 2
        sent = desk.send(target(), "n20")
        eventually(lambda: desk.noted(sent, "finished it"))
        assert desk.fates(sent) == ["sent", "acknowledged"]
        assert "after 2 repetitions" in desk.reports(sent)[1].cause
        bare = [msgspec.structs.replace(order, header_id=0, timestamp="") for order in amr.orders()]
        assert len(bare) == 3
        assert bare[0] == bare[1] == bare[2]
        assert [order.header_id for order in amr.orders()] == [0, 1, 2]


def test_what_nobody_confirms_is_given_up_when_its_time_is_over(
    broker: LocalBroker, make_desk: MakeDesk
) -> None:
    with LiveVehicle(broker, FLOOR) as amr:
        desk = make_desk(FLOOR)
        desk.ready()
        amr.deaf = 1000
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        sent = desk.send(target(), "n20", expires=now + 2.5)
        eventually(lambda: desk.fates(sent) == ["sent", "unknown"])
        assert "time to live" in desk.reports(sent)[-1].cause
        count = len(amr.orders())
        assert 2 <= count <= 4
        amr.deaf = 0
        other = desk.send(target(), "n10")
        eventually(lambda: desk.noted(other, "finished it"))
        assert {o.order_id for o in amr.orders()[count:]} == {other.id}, "never sent again"


@pytest.mark.parametrize("version", VERSIONS)
def test_without_renewal_the_vehicle_stops_at_its_decision_point_and_goes_on_with_it(
    broker: LocalBroker, make_desk: MakeDesk, version: str
) -> None:
    with LiveVehicle(broker, LONG, version=version, speed=6.0) as amr:
        desk = make_desk(LONG, version=version, blind=4)
        desk.ready()
        desk.renewing = False
        sent = desk.send(target(), GOAL)
        eventually(lambda: still(amr) and amr.place[0] > 0, 30)
        where, orders = amr.place, len(amr.orders())
        assert 3.0 <= where[0] < 24.0
        assert abs(where[0] / 3.0 - round(where[0] / 3.0)) < 0.12, "at a node"
        # Two more seconds of nothing: the loop of the commander turned many times.
        desk.renew(sent, guard="another")
        desk.renew(sent, until=time.clock_gettime(time.CLOCK_BOOTTIME) + 3600.0)
        eventually(lambda: not desk.commander._renewed)
        assert (amr.place, len(amr.orders())) == (where, orders)
        desk.renewing = True
        eventually(lambda: desk.noted(sent, "finished it"), 40)
        assert amr.place[0] > 26.0


def test_changed_guards_release_nothing_more(broker: LocalBroker, make_desk: MakeDesk) -> None:
    with LiveVehicle(broker, LONG, speed=6.0) as amr:
        desk = make_desk(LONG, blind=4)
        desk.ready()
        sent = desk.send(target(), GOAL)
        eventually(lambda: desk.noted(sent, "update 1"))
        desk.commander.authorise({ASSET: "other"})
        eventually(lambda: still(amr), 30)
        assert amr.place[0] < 24.0
        late = desk.send(target(), "n00")
        eventually(lambda: desk.fates(late))
        assert desk.fates(late) == ["withheld"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_goes_leaves_the_vehicle_at_its_last_released_node(
    broker: LocalBroker, make_desk: MakeDesk, version: str
) -> None:
    with LiveVehicle(broker, LONG, version=version, speed=6.0) as amr:
        desk = make_desk(LONG, version=version, blind=4)
        desk.ready()
        sent = desk.send(target(), GOAL)
        eventually(lambda: desk.noted(sent, "update 1"))
        broker.kill()
        order = desk.commander._controls["KIT/0001"].order
        eventually(lambda: not desk.online)
        assert order is not None
        released = order.plan.stops[order.released].x
        eventually(lambda: still(amr), 30)
        assert amr.place[0] <= released + 0.35
        late = desk.send(target("cancelOrder"), True)
        assert desk.fates(late) == ["withheld"]
        broker.restart()
        eventually(lambda: desk.noted(sent, "finished it"), 60)
        assert desk.fates(sent) == ["sent", "acknowledged"]
        assert {order.order_id for order in amr.orders()} == {sent.id}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cancelled_order_is_given_up_and_never_extended(
    broker: LocalBroker, make_desk: MakeDesk, version: str
) -> None:
    with LiveVehicle(broker, LONG, version=version, speed=6.0) as amr:
        desk = make_desk(LONG, target(), target("cancelOrder"), version=version, blind=8)
        desk.ready()
        sent = desk.send(target(), GOAL)
        eventually(lambda: amr.place[0] > 1.0)
        refused = desk.send(target(), "n00")
        eventually(lambda: desk.fates(refused))
        assert desk.fates(refused) == ["withheld"]
        assert f"order {sent.id} is active, of ours" in desk.reports(refused)[0].cause
        stop = desk.send(target("cancelOrder"), True)
        eventually(lambda: len(desk.fates(stop)) == 2 and len(desk.fates(sent)) == 3)
        assert desk.fates(stop) == ["sent", "acknowledged"]
        assert desk.reports(stop)[0].shows == (False,)
        assert desk.fates(sent) == ["sent", "acknowledged", "refused"]
        assert "cancelled" in desk.reports(sent)[-1].cause
        eventually(lambda: amr.vehicle.idle)
        count = len(amr.orders())
        back = desk.send(target(), "n00")
        eventually(lambda: desk.noted(back, "finished it"), 30)
        assert {order.order_id for order in amr.orders()[count:]} == {back.id}
        # Between two nodes: the new order begins where the vehicle stood.
        assert math.dist(amr.place, (0.0, 0.0)) < 0.35


@pytest.mark.parametrize("version", VERSIONS)
def test_two_services_never_command_one_vehicle_at_once(
    broker: LocalBroker, make_desk: MakeDesk, version: str
) -> None:
    with LiveVehicle(broker, LONG, version=version, speed=1.0):
        one = make_desk(LONG, version=version, blind=8)
        two = make_desk(LONG, version=version, blind=8)
        one.ready()
        two.ready()
        first = one.send(target(), GOAL)
        eventually(lambda: one.fates(first) == ["sent", "acknowledged"])

        def seen() -> bool:
            state = two.commander._controls["KIT/0001"].mirror.state
            return state is not None and state.order_id == first.id

        eventually(seen)
        second = two.send(target(), "n10")
        eventually(lambda: two.fates(second))
        assert two.fates(second) == ["withheld"]
        assert f"order {first.id} is active, not ours" in two.reports(second)[0].cause


def test_an_order_that_the_vehicle_refuses_is_refused_with_its_words(
    broker: LocalBroker, make_desk: MakeDesk
) -> None:
    other = msgspec.structs.replace(FLOOR, version="2")
    with LiveVehicle(broker, FLOOR) as amr:
        desk = make_desk(other)
        desk.ready()
        with amr.lock:
            amr.mute = True
            # The vehicle drives on by hand, and nobody hears of it.
            amr.bodies.place(0, 6.0, 6.0, 0.0)
        eventually(lambda: amr.vehicle._parts.chassis.x == 6.0)
        sent = desk.send(target(), "n10")
        eventually(lambda: amr.orders())
        amr.mute = False
        eventually(lambda: desk.fates(sent) == ["sent", "refused"])
        assert "START_NODE_OUT_OF_RANGE" in desk.reports(sent)[-1].cause


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_after_a_restart_finds_its_order_by_its_id_and_releases_nothing(
    broker: LocalBroker, make_desk: MakeDesk, version: str
) -> None:
    with LiveVehicle(broker, LONG, version=version, speed=6.0) as amr:
        desk = make_desk(LONG, version=version, blind=4)
        desk.ready()
        sent = desk.send(target(), GOAL)
        eventually(lambda: desk.noted(sent, "update 1"))
        desk.close()
        again = make_desk(LONG, version=version, blind=4)
        again.ready()
        again._ids.append(sent)
        eventually(lambda: again.fates(sent) == ["acknowledged"])
        assert again.noted(sent, "sent by a client before, nothing more of it is released")
        eventually(lambda: still(amr), 30)
        assert amr.place[0] < 24.0
        unknown = msgspec.structs.replace(sent, id=uuid7())
        again.renew(unknown)
        eventually(lambda: not again.commander._renewed)
        assert again.reports(unknown) == []


def test_what_is_not_known_or_not_fit_is_not_sent_on_its_way(
    broker: LocalBroker, make_desk: MakeDesk
) -> None:
    desk = make_desk(FLOOR, target(), target("instantAction.startCharging"))
    eventually(lambda: desk.online)

    def refused(to: object, value: object) -> str:
        sent = desk.send(to, value)  # type: ignore[arg-type]
        eventually(lambda: desk.fates(sent))
        assert desk.fates(sent) == ["withheld"], desk.reports(sent)
        return desk.reports(sent)[0].cause

    assert "has said nothing" in refused(target(), "n10")
    with LiveVehicle(broker, FLOOR) as amr:
        desk.ready()
        assert "no node or station 'nowhere'" in refused(target(), "nowhere")
        assert "not a target" in refused(target("instantAction.stopCharging"), True)
        assert "only true" in refused(target("instantAction.startCharging"), False)
        control = desk.commander._controls["KIT/0001"]

        def mode(word: str) -> None:
            with amr.lock:
                amr.vehicle.set_mode(word, time.time())  # type: ignore[arg-type]
            eventually(lambda: control.mirror.state.operating_mode == word)  # type: ignore[union-attr]

        mode("MANUAL")
        assert "operating mode is MANUAL" in refused(target(), "n10")
        assert "operating mode is MANUAL" in refused(target("instantAction.startCharging"), True)
        mode("AUTOMATIC")
        with amr.lock:
            amr.vehicle.stop_button("MANUAL", time.time())
        eventually(lambda: control.mirror.unfit(levels=()).startswith("its emergency stop"))
        assert "emergency stop is MANUAL" in refused(target(), "n10")
    eventually(lambda: control.mirror.connection != "ONLINE")
    assert "its connection is OFFLINE" in refused(target(), "n10")


@pytest.mark.parametrize("version", VERSIONS)
def test_instant_actions_are_sent_once_and_followed(
    broker: LocalBroker, make_desk: MakeDesk, version: str
) -> None:
    kinds = ("instantAction.startPause", "instantAction.stopPause", "instantAction.dance")
    with LiveVehicle(broker, FLOOR, version=version) as amr:
        desk = make_desk(FLOOR, *map(target, (*kinds, "pause")), version=version)
        desk.ready()
        control = desk.commander._controls["KIT/0001"]
        eventually(lambda: control.mirror.limits.factsheet is not None)
        for kind, paused in zip(kinds[:2], (True, False), strict=True):
            sent = desk.send(target(kind), True)
            eventually(lambda sent=sent: desk.noted(sent, "finished it"))
            assert desk.fates(sent) == ["sent", "acknowledged"]
            assert desk.reports(sent)[0].shows == (paused,)
            assert control.mirror.state is not None
            assert control.mirror.state.paused is paused
        # A switch says both with one field; what a policy holds, it releases by the same command.
        for paused in (True, False):
            sent = desk.send(target("pause"), paused)
            eventually(lambda sent=sent: desk.noted(sent, "finished it"))
            assert desk.reports(sent)[0].shows == (paused,)
            assert control.mirror.state.paused is paused
        strange = desk.send(target(kinds[2]), True)
        eventually(lambda: desk.fates(strange))
        assert "is none of the vehicle's" in desk.reports(strange)[0].cause
        actions = [m for m in amr.heard if m.topic == "instantActions"]
        said = [m.actions[0].action_type for m in actions]  # type: ignore[attr-defined]
        assert said == 2 * ["startPause", "stopPause"]


def test_a_vehicle_that_says_nothing_more_is_not_released_beyond_the_blind_distance(
    broker: LocalBroker, make_desk: MakeDesk
) -> None:
    with LiveVehicle(broker, LONG, speed=6.0) as amr:
        desk = make_desk(LONG, blind=7)
        desk.ready()
        sent = desk.send(target(), GOAL)
        eventually(lambda: desk.noted(sent, "update 1"))
        amr.mute = True
        control = desk.commander._controls["KIT/0001"]
        eventually(lambda: still(amr), 30)
        state = control.mirror.state
        assert state is not None
        assert state.mobile_robot_position is not None
        assert amr.place[0] - state.mobile_robot_position.x <= 7.0 + 0.35
        assert amr.place[0] < 24.0
        amr.mute = False
        eventually(lambda: desk.noted(sent, "finished it"), 30)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_goal_marker_becomes_an_order_to_the_node_near_it(
    broker: LocalBroker, make_desk: MakeDesk, version: str
) -> None:
    marker = target(type_name="double3", kind=ValueKind.COMPOSITE)
    with LiveVehicle(broker, FLOOR, version=version):
        desk = make_desk(FLOOR, marker, version=version, snap=0.5)
        desk.ready()
        far = desk.send(marker, [4.5, 0.0, 0.0])
        eventually(lambda: desk.fates(far) == ["withheld"])
        assert "1.50 m away; at most 0.5 m" in desk.reports(far)[0].cause
        sent = desk.send(marker, [3.2, 0.1, 1.5])
        eventually(lambda: desk.noted(sent, "finished it: at n10"))
        assert desk.reports(sent)[0].shows == ("n10", [3.0, 0.0, 1.5])


def test_a_zone_set_a_load_and_a_vehicle_that_stands_still(
    broker: LocalBroker, make_desk: MakeDesk
) -> None:
    floor = msgspec.structs.replace(
        FLOOR, zones={"X": zone("X", 3.0, 6.0, type="SPEED_LIMIT", maximum_speed=0.9)}
    )
    pick = target("order.pick", kind=ValueKind.TEXT, type_name="string", parameters=("loadId",))
    zones = target("zoneSet")
    with LiveVehicle(broker, FLOOR, speed=4.0) as amr:
        desk = make_desk(floor, pick, zones, blind=100, blind_time=1000, standstill=0.5)
        desk.ready()
        brought = desk.send(zones, True)
        eventually(lambda: "acknowledged" in desk.fates(brought), 30)
        with amr.lock:
            amr.bodies.stop(0, keep=True)
        sent = desk.send(pick, "n10", parameters={"loadId": "L7"})
        eventually(lambda: desk.noted(sent, "the vehicle stands at n00"), 30)
        with amr.lock:
            amr.bodies.resume(0)
        eventually(lambda: desk.noted(sent, "finished it: at n10"), 30)
        assert desk.noted(sent, "it drives on")
        assert desk.fates(sent) == ["sent", "acknowledged"]
        assert desk.reports(sent)[0].shows[0] is True


def test_a_vehicle_that_says_nonsense_without_end_is_logged_once_in_a_while(
    broker: LocalBroker, make_desk: MakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    with LiveVehicle(broker, FLOOR) as amr:
        desk = make_desk(FLOOR)
        desk.ready()
        topic = topic_of(amr.identity, "state")
        for _ in range(200):
            amr._client.publish(topic, b"{nonsense", 0)
        eventually(lambda: desk.commander._warned.get(topic, (0.0, 0))[1] >= 199)
    said = [record for record in caplog.records if topic in record.getMessage()]
    assert len(said) == 1
