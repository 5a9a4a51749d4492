"""Orders of ours, and a vehicle of somebody else's on the same broker."""

from __future__ import annotations

import json
import math
import time

from vda5050.domain.order.validation import order_structure_errors
from vda5050.model.order import Order as ForeignOrder

from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050.messages import Codec
from tests.bridges.recording_sink import eventually
from tests.bridges.vda5050.control.conftest import MakeDesk, target
from tests.bridges.vda5050.control.floor import grid
from tests.bridges.vda5050.control.foreign import ForeignVehicle

FLOOR = grid(4, 3, 3.0)
WHERE = {"address": "SDK/F1"}
CODEC = Codec("2.1.0")


def test_a_vehicle_of_the_sdk_is_driven_from_node_to_node_and_refuses_in_its_own_words(
    broker: LocalBroker, make_desk: MakeDesk
) -> None:
    with ForeignVehicle(broker, FLOOR) as agv:
        goal, cancel = target(**WHERE), target("cancelOrder", **WHERE)
        desk = make_desk(FLOOR, goal, cancel, version="2.1.0", blind=4, interface="uagv")
        desk.ready("SDK/F1")
        sent = desk.send(goal, "P1")
        eventually(lambda: desk.noted(sent, "finished it: at n32"), 30)
        assert desk.fates(sent) == ["sent", "acknowledged"]
        assert math.dist(agv.place, (9.0, 6.0)) < 0.31
        orders = agv.heard("/order")
        assert len(orders) >= 5
        for data in orders:
            assert CODEC.faults("order", data) == []
            document = json.loads(data)
            assert order_structure_errors(ForeignOrder.model_validate(document)) == []
        agv.carry_map("another")
        again = desk.send(goal, "n00")
        eventually(lambda: desk.fates(again) == ["sent", "refused"])
        assert "maps not available on the vehicle: floor" in desk.reports(again)[-1].cause
        agv.carry_map("floor")
        back = desk.send(goal, "n00")
        eventually(lambda: desk.noted(back, "finished it: at n00"), 30)
        assert math.dist(agv.place, (0.0, 0.0)) < 0.31
        stop = desk.send(cancel, True)
        eventually(lambda: desk.fates(stop))
        assert all(CODEC.faults("instantActions", d) == [] for d in agv.heard("/instantActions"))


def test_without_renewal_a_vehicle_of_the_sdk_stays_at_its_last_released_node(
    broker: LocalBroker, make_desk: MakeDesk
) -> None:
    with ForeignVehicle(broker, FLOOR, pace=0.25) as agv:
        goal = target(**WHERE)
        desk = make_desk(FLOOR, goal, version="2.1.0", blind=4, interface="uagv")
        desk.ready("SDK/F1")
        desk.renewing = False
        sent = desk.send(goal, "n30")
        eventually(lambda: desk.fates(sent) == ["sent", "acknowledged"])
        order = desk.commander._controls["SDK/F1"].order
        assert order is not None

        def at_the_end() -> bool:
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            stop = order.plan.stops[order.released]
            there = math.dist(agv.place, (stop.x, stop.y)) < 0.31
            return there and now > desk.commander._followed[sent.id].until

        eventually(at_the_end)
        count = len(agv.heard("/order"))
        assert order.released < order.plan.last
        desk.renewing = True
        eventually(lambda: desk.noted(sent, "finished it"), 30)
        assert len(agv.heard("/order")) > count
