"""Messages of vehicles that are wrong, forged or late: none releases more than it may."""

from __future__ import annotations

import time

import msgspec
import pytest

from stagetwin.fleets import VehicleType
from stagetwin.maps import Lane, Node, RoadMap
from stagetwin_bridges._errors import MessageError, OrderError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.mqtt._replies import HeardReply
from stagetwin_bridges.vda5050.control import Blind, EventKind, Limits
from stagetwin_bridges.vda5050.messages import Order, State
from stagetwin_bridges.vda5050.vehicle import make_factsheet
from tests.bridges.recording_sink import eventually
from tests.bridges.vda5050.control.conftest import MakeDesk, target
from tests.bridges.vda5050.control.floor import SPEED, Pair, grid, zone
from tests.bridges.vda5050.control.live import LiveVehicle
from tests.bridges.vda5050.control.test_control import limited, sheet_of

ROW = grid(8, 1, 3.0)
LONG = grid(10, 1, 3.0)
ID = "0198aaaa-0000-7000-8000-00000000000"


def shown(pair: Pair) -> State:
    """Return the newest state."""
    return [each for each in pair.up if isinstance(each, State)][-1]


def later(pair: Pair, **fields: object) -> State:
    """Return the newest state with other content, as the vehicle's next."""
    state = shown(pair)
    return msgspec.structs.replace(state, header_id=state.header_id + 1, **fields)


# -- whose word it is


def test_a_state_whose_header_names_another_vehicle_confirms_nothing() -> None:
    pair = Pair(ROW)
    pair.control.begin(f"{ID}1", "n70")
    forged = later(pair, manufacturer="Other", order_id=f"{ID}1")
    with pytest.raises(MessageError, match="its header says Other/0001"):
        pair.control.receive(forged)
    assert pair.control.order is not None
    assert not pair.control.order.confirmed


def test_an_update_that_is_not_ours_ends_the_order_here() -> None:
    pair = Pair(ROW, blind=Blind(4.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    pair.run(0.3, leave=False)
    (event,) = pair.control.receive(later(pair, order_update_id=4_000_000))
    assert event.kind is EventKind.DROPPED
    assert "update 4000000, the newest of ours is 0" in event.words
    pair.clock.advance(5.0)
    assert pair.control.outgoing(leave=True) == []


def test_a_state_from_the_far_future_mutes_a_vehicle_until_it_connects_anew_at_most() -> None:
    pair = Pair(ROW)
    pair.control.receive(
        msgspec.structs.replace(
            shown(pair), header_id=2**32 - 1, timestamp="9999-01-01T00:00:00.000Z"
        )
    )
    pair.run(40.0, leave=False)
    assert pair.control.mirror.odd > 0
    pair.control.forget()
    pair.vehicle.connect(pair.clock.wall())
    pair.run(1.0, leave=False)
    assert pair.control.mirror.absent() == ""
    # The retained word that comes again with our own connection is no new one of the vehicle's.
    before, word = shown(pair), [m for m in pair.up if m.topic == "connection"][-1]
    pair.control.forget()
    pair.control.receive(word)
    pair.control.receive(before)
    assert pair.control.mirror.state is None


def test_nothing_begins_by_a_state_of_long_ago() -> None:
    pair = Pair(ROW)
    pair.clock.advance(61.0)
    with pytest.raises(OrderError, match="its newest state is 61 s old"):
        pair.control.begin(f"{ID}1", "n70")
    pair.run(31.0, leave=False)
    assert pair.control.begin(f"{ID}1", "n70").order_id == f"{ID}1"


def test_a_vehicle_that_connected_anew_is_known_by_what_it_says_since() -> None:
    pair = Pair(ROW)
    word = [m for m in pair.up if m.topic == "connection"][-1]
    pair.control.receive(word)
    assert pair.control.mirror.absent() == "", "the same word again"
    pair.control.receive(msgspec.structs.replace(word, header_id=word.header_id + 1))
    assert "no state was heard" in pair.control.mirror.absent()


# -- how far blind


def hairpin() -> RoadMap:
    """A long lane that comes back to where it began, and two short ones."""
    places = {"a": (0.0, 0.0), "b": (0.0, 0.6), "c": (-3.0, 0.6), "d": (-6.0, 0.6)}
    lanes = {
        "a-b": Lane(id="a-b", start="a", end="b", path=((20.0, 0.0), (20.0, 0.6))),
        "b-c": Lane(id="b-c", start="b", end="c"),
        "c-d": Lane(id="c-d", start="c", end="d"),
    }
    nodes = {name: Node(id=name, x=x, y=y) for name, (x, y) in places.items()}
    return RoadMap(id="floor", nodes=nodes, lanes=lanes)


@pytest.mark.parametrize("told", [0.5, None])
def test_on_a_way_that_bends_back_nothing_is_released_by_a_place_beside_its_end(
    told: float | None,
) -> None:
    pair = Pair(hairpin(), start="a", blind=Blind(9.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "d"))
    pair.run(0.3, leave=False)
    place = shown(pair).mobile_robot_position
    assert place is not None
    near = msgspec.structs.replace(place, x=0.5, y=0.31)
    pair.control.receive(later(pair, mobile_robot_position=near, distance_since_last_node=told))
    pair.clock.advance(1.1)
    assert pair.control.outgoing(leave=True) == []
    assert pair.control.order is not None
    assert pair.control.order.released == 1


def test_a_place_beside_a_stop_that_was_not_passed_counts_for_nothing() -> None:
    pair = Pair(ROW, blind=Blind(4.0, 1e6))
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    pair.run(4.0)
    order = pair.control.order
    assert order is not None
    assert order.passed == 1
    released = order.released
    place = shown(pair).mobile_robot_position
    assert place is not None
    far = msgspec.structs.replace(place, x=5.9, y=0.0)
    pair.control.receive(
        later(
            pair,
            mobile_robot_position=far,
            distance_since_last_node=None,
            last_node_id="n00",
            last_node_sequence_id=0,
        )
    )
    pair.clock.advance(1.1)
    pair.control.outgoing(leave=True)
    assert order.released == released


def test_a_straight_way_through_a_free_zone_is_released_in_pieces() -> None:
    wide = msgspec.structs.replace(ROW, zones={"f": zone("f", 0.0, 0.0, 100.0, authority="free")})
    sheet = make_factsheet(VehicleType(speed=SPEED), "3.0.0", navigation="FREELY_NAVIGATING")
    pair = Pair(wide, factsheet=sheet, blind=Blind(5.0, 1e6))
    order = pair.control.begin(f"{ID}1", (30.0, 30.0, 0.0))
    ends = [n.node_position for n in order.nodes if n.released]
    assert len(ends) == 2
    assert ends[-1] is not None
    assert ends[-1].x ** 2 + ends[-1].y ** 2 <= 5.0**2
    pair.send(order)
    pair.run(60.0)
    assert pair.events[-1].kind is EventKind.FINISHED
    assert pair.place == pytest.approx((30.0, 30.0), abs=0.4)


# -- what would stay for ever


@pytest.mark.parametrize("lost", [False, True])
def test_an_order_that_ran_out_of_room_can_be_cancelled_and_another_begun(lost: bool) -> None:
    pair = Pair(ROW, factsheet=limited(sheet_of(), arrays={"order_nodes": 2}))
    pair.send(pair.control.begin(f"{ID}1", "n70"))
    pair.run(0.5, leave=False)
    if lost:
        pair.run(3.0, leave=False)
        (update,) = pair.control.outgoing(leave=True)
        assert isinstance(update, Order)
    pair.run(6.0, leave=False)
    assert pair.vehicle.last_node_id == "n10"
    pair.send(pair.control.instant("cancelOrder", f"{ID}2"))
    pair.run(2.0, leave=False)
    assert "DROPPED" in pair.kinds()
    pair.send(pair.control.begin(f"{ID}3", "n20"))
    pair.run(6.0)
    assert pair.vehicle.last_node_id == "n20"


def test_a_lane_without_length_makes_an_order_all_the_same() -> None:
    at = Node(id="n10", x=0.0, y=0.0)
    none = Lane(id="n00-n10", start="n00", end="n10", both=True, path=((0.0, 0.0), (0.0, 0.0)))
    odd = msgspec.structs.replace(
        ROW, nodes={**ROW.nodes, "n10": at}, lanes={**ROW.lanes, "n00-n10": none}
    )
    order = Pair(odd).control.begin(f"{ID}1", "n20")
    assert order.edges[0].trajectory is None


# -- the command client


def test_the_leave_of_one_order_is_none_for_another_of_the_same_vehicle(
    broker: LocalBroker, make_desk: MakeDesk
) -> None:
    with LiveVehicle(broker, LONG, speed=2.0) as amr:
        other = msgspec.structs.replace(target(), command="other")
        desk = make_desk(LONG, target(), other, blind=4)
        desk.ready()
        amr.deaf = 1000
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        first = desk.send(target(), "n90", expires=now + 1.0)
        eventually(lambda: desk.fates(first) == ["sent", "unknown"])
        amr.deaf = 0
        second = desk.send(other, "n90")
        desk._ids.remove(second)  # renewed is the first one alone
        eventually(lambda: "acknowledged" in desk.fates(second))
        time.sleep(2.5)
        count = len(amr.orders())
        time.sleep(3.0)
        assert len(amr.orders()) == count
        assert amr.place[0] < 20.0


def test_ids_that_are_too_short_end_no_connection(broker: LocalBroker, make_desk: MakeDesk) -> None:
    with LiveVehicle(broker, LONG) as amr:
        desk = make_desk(LONG)
        desk.ready()
        control = desk.commander._controls["KIT/0001"]
        sent = desk.send(target(), "n10")
        eventually(lambda: desk.noted(sent, "finished it"))
        control.mirror.limits = Limits(limited(sheet_of(), strings={"maximum_id_length": 4}))
        states = len(desk.said.states)
        unknown = msgspec.structs.replace(sent, id=f"{ID}9")
        desk.renew(unknown)
        eventually(lambda: f"{ID}9" in desk.commander._found)
        refused = desk.send(target(), "n20")
        eventually(lambda: desk.fates(refused) == ["withheld"])
        assert {str(state) for state, _ in desk.said.states[states:]} <= {"online"}
        assert amr.vehicle.last_node_id == "n10"


def test_what_cannot_be_made_for_whatever_reason_is_withheld(
    broker: LocalBroker, make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LiveVehicle(broker, LONG):
        desk = make_desk(LONG)
        desk.ready()
        control = desk.commander._controls["KIT/0001"]
        monkeypatch.setattr(control, "plan", lambda *_: 1 // 0)
        sent = desk.send(target(), "n10")
        eventually(lambda: desk.fates(sent) == ["withheld"])
        assert "cannot be made: ZeroDivisionError" in desk.reports(sent)[0].cause
        assert desk.online


def test_a_message_that_is_too_large_is_not_read(broker: LocalBroker, make_desk: MakeDesk) -> None:
    with LiveVehicle(broker, LONG) as amr:
        desk = make_desk(LONG, max_payload=20_000)
        desk.ready()
        control = desk.commander._controls["KIT/0001"]
        with amr.lock:
            state = amr.vehicle.outgoing(time.time() + 60.0)[-1]
        data = amr.codec.encode(msgspec.structs.replace(state, header_id=2**31), checked=False)
        topic = f"{amr.identity.root}/state"
        desk.commander._hear(HeardReply(topic=topic, payload=data + b" " * 20_000))
        assert control.mirror.state is None or control.mirror.state.header_id < 2**31
        desk.commander._hear(HeardReply(topic=topic, payload=data))
        assert control.mirror.state is not None


def test_after_a_state_that_cannot_be_read_nothing_is_known(
    broker: LocalBroker, make_desk: MakeDesk
) -> None:
    with LiveVehicle(broker, LONG) as amr:
        desk = make_desk(LONG)
        desk.ready()
        amr.mute = True
        time.sleep(0.3)
        topic = f"{amr.identity.root}/state"
        desk.commander._hear(HeardReply(topic=topic, payload=b'{"operatingMode": "ODD"}'))
        sent = desk.send(target(), "n10")
        eventually(lambda: desk.fates(sent) == ["withheld"])
        assert "no state was heard" in desk.reports(sent)[0].cause
