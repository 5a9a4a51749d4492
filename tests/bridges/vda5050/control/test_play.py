"""Both sides of the standard play against each other over a line that loses, repeats and delays."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin.fleets import VehicleType
from stagetwin.identifiers import uuid7
from stagetwin.maps import RoadMap
from stagetwin.maps.geometry import nearest_on
from stagetwin_bridges._errors import OrderError
from stagetwin_bridges.vda5050.control import Blind, EventKind, Phase
from stagetwin_bridges.vda5050.messages import Connection, Factsheet, Message, Order
from stagetwin_bridges.vda5050.vehicle import make_factsheet
from tests.bridges.vda5050.control.floor import SPEED, Pair, grid

FLOOR = grid(4, 3, 3.0)
STEP = 0.2
PLAYS = 60
LATEST = 2.0
"""Longer than any message is under way [s]."""
SHEETS = {
    version: make_factsheet(VehicleType(speed=SPEED), version) for version in ("2.1.0", "3.0.0")
}


class Line:
    """A line that loses, repeats and delays messages, each by its own dice."""

    def __init__(self, rng: random.Random, loss: float, repeat: float, delay: float) -> None:
        self._rng, self._loss, self._repeat, self._delay = rng, loss, repeat, delay
        self._under_way: list[tuple[float, int, Message]] = []
        self._count = 0

    def send(self, message: Message, now: float) -> None:
        """Take a message; what comes of it is up to the dice."""
        kept = isinstance(message, (Connection, Factsheet))
        copies = (
            1 if kept else (self._rng.random() >= self._loss) + (self._rng.random() < self._repeat)
        )
        for _ in range(copies):
            late = 0.0 if kept else self._rng.random() * self._delay
            self._count += 1
            self._under_way.append((now + late, self._count, message))

    def arrived(self, now: float) -> list[Message]:
        """Return what has arrived, in the order of arrival."""
        due = sorted(each[:2] for each in self._under_way if each[0] <= now)
        found = {each[:2]: each[2] for each in self._under_way}
        self._under_way = [each for each in self._under_way if each[0] > now]
        return [found[key] for key in due]


class Play(Pair):
    """A pair with two such lines between them, which checks what must always hold."""

    def __init__(self, seed: int, version: str, road_map: RoadMap = FLOOR, **fields: Any) -> None:
        self.rng = random.Random(seed)
        start = self.rng.choice(sorted(road_map.nodes))
        blind = Blind(self.rng.choice((2.0, 4.0, 7.0, 100.0)), self.rng.choice((3.0, 9.0, 1e6)))
        self.blind = blind
        super().__init__(road_map, version, start, blind=blind, factsheet=SHEETS[version], **fields)
        loss, repeat, delay = (self.rng.choice((0.0, 0.2, 0.4)) for _ in range(3))
        self.to_vehicle = Line(self.rng, loss, repeat, 4 * delay)
        self.to_control = Line(self.rng, loss, repeat, 4 * delay)
        self.released: dict[str, int] = {}

    def put(self, message: Message) -> None:
        """Send a message down the line."""
        if isinstance(message, Order):
            last = max(n.sequence_id for n in message.nodes if n.released)
            self.released[message.order_id] = max(self.released.get(message.order_id, 0), last)
        self.to_vehicle.send(message, self.clock.wall())

    def play(self, seconds: float, *, leave: bool = True) -> None:
        """Let time pass, and check after every step."""
        for _ in range(round(seconds / STEP)):
            self.clock.advance(STEP)
            now = self.clock.wall()
            self.bodies.step(STEP)
            for message in self.to_vehicle.arrived(now):
                self.vehicle.receive(message, now)
            self.vehicle.step(now)
            for message in self.vehicle.outgoing(now):
                self.to_control.send(message, now)
            for message in self.to_control.arrived(now):
                self.events += self.control.receive(message)
            for message in self.control.outgoing(leave=leave):
                self.put(message)
            self.check()

    def check(self) -> None:
        """What must hold in every state of both."""
        held = self.vehicle._parts.held
        if held is None:
            return
        base = self.released.get(held.order_id)
        assert base is not None, "the vehicle has an order that nobody sent"
        decision = held.decision
        assert decision.sequence_id <= base, "the vehicle's base is longer than what was released"
        state = self.control.mirror.state
        order = self.control.order
        if order is None or order.id != held.order_id:
            return
        assert order.plan.stops[decision.sequence_id // 2].id == decision.node_id
        assert 2 * order.released == base
        assert self.vehicle._parts.last_sequence_id <= base or state is None
        # Never off the way that was released.
        x, y = self.place
        ways = order.plan.ways[: order.released]
        off = min((nearest_on(way.points, x, y)[1] for way in ways), default=0.0)
        assert off <= 0.35, f"{off:.2f} m off what was released, which ends at {decision.node_id}"


def finished(play: Play, order_id: str) -> bool:
    """Tell whether control has said that an order ended."""
    return any(
        event.id == order_id
        and event.kind in (EventKind.FINISHED, EventKind.REFUSED, EventKind.DROPPED)
        for event in play.events
    )


def drive(play: Play, *, cancel: bool) -> None:
    """Send one order to a random place, and play until it ends.

    What is still on the line arrives first: a vehicle knows its last order alone, and would take an
    older one for new. One connection to one broker keeps the order of messages.
    """
    play.play(LATEST)
    order_id = uuid7()
    goal = play.rng.choice(sorted(FLOOR.nodes))
    for _ in range(5):
        with contextlib.suppress(OrderError):
            play.put(play.control.begin(order_id, goal))
            break
        play.play(31.0)  # a state was lost: the vehicle is idle and nobody knows yet
    if cancel:
        play.play(play.rng.random() * 8.0)
        play.put(play.control.cancel())
    for _ in range(60):
        if finished(play, order_id):
            break
        play.play(5.0)
        order = play.control.order
        if cancel and order is not None and order.phase is not Phase.OVER:
            play.put(play.control.cancel())
            if order.phase is Phase.OFFERED:
                play.control.give_up(order_id)
                break
    else:
        raise AssertionError(f"order {order_id} does not end: {play.events[-5:]}")
    if not cancel:
        last = play.events[-1]
        assert last.kind is EventKind.FINISHED, play.events[-3:]
        assert play.vehicle.last_node_id == goal
        assert abs(play.place[0] - FLOOR.nodes[goal].x) < 0.35


@pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])
def test_both_sides_agree_about_the_base_and_every_order_ends(version: str) -> None:
    for seed in range(PLAYS):
        play = Play(seed, version)
        for _ in range(3):
            drive(play, cancel=False)


@pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])
def test_orders_that_are_cancelled_end_too(version: str) -> None:
    for seed in range(PLAYS, PLAYS + 20):
        play = Play(seed, version)
        for _ in range(3):
            drive(play, cancel=play.rng.random() < 0.7)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), version=st.sampled_from(["2.1.0", "3.0.0"]), data=st.data())
def test_leave_that_comes_and_goes_never_lets_a_vehicle_past_its_base(
    seed: int, version: str, data: st.DataObject
) -> None:
    play = Play(seed, version)
    with contextlib.suppress(OrderError):
        play.put(play.control.begin(uuid7(), play.rng.choice(sorted(FLOOR.nodes))))
    for leave in data.draw(st.lists(st.booleans(), min_size=3, max_size=12)):
        before = dict(play.released)
        play.play(2.0, leave=leave)
        assert leave or play.released == before, "nothing is released without leave"
        order = play.control.order
        if leave and order is not None and order.running and play.rng.random() < 0.3:
            with contextlib.suppress(OrderError):
                play.put(play.control.replan(play.rng.choice(sorted(FLOOR.nodes))))


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.1.0", "3.0.0"])
def test_a_thousand_routes(version: str) -> None:
    for seed in range(1000, 1350):
        play = Play(seed, version)
        for _ in range(3):
            drive(play, cancel=play.rng.random() < 0.2)
