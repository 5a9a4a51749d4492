"""Fleet control's side of one vehicle, free of I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from stagetwin.clock import Clock, WallClock
from stagetwin.identifiers import uuid7
from stagetwin.maps import MapError, NoRouteError, RoadMap, Route
from stagetwin_bridges._errors import MessageError, OrderError
from stagetwin_bridges.vda5050.control._blind import Blind
from stagetwin_bridges.vda5050.control._instants import Instants
from stagetwin_bridges.vda5050.control._mirror import (
    COMMANDED,
    STOPS_ALL,
    STOPS_ORDER,
    Mirror,
    is_idle,
)
from stagetwin_bridges.vda5050.control._order import ActiveOrder, Event, Phase
from stagetwin_bridges.vda5050.control._places import Pose, plan_to, surely_driven
from stagetwin_bridges.vda5050.control._plan import Plan, plan_of
from stagetwin_bridges.vda5050.control._releases import Releases
from stagetwin_bridges.vda5050.control._zone_sets import Transfer
from stagetwin_bridges.vda5050.messages import (
    Action,
    ActionParameter,
    Codec,
    Headers,
    Identity,
    InstantActions,
    Message,
    Order,
    Responses,
    ZoneContents,
    ZoneSet,
)

__all__ = ["Control"]

M = TypeVar("M", bound=Message)

REPEAT: Final = 1.0
"""Time between two transmissions of an order that no state confirms [s]."""


MOST_NODES: Final = 60
"""Nodes of one message, whatever the vehicle takes: it is written whole, or not at all."""


class Control:
    """Mirrors one vehicle, and gives it orders; both versions of the standard.

    Whoever holds it brings its messages in by `receive`, sends what the methods return, and sends
    what `outgoing` returns, several times a second. Used by one thread.

    Attributes:
        identity: the vehicle.
        codec: of its version.
        mirror: what is known of it.
        order: the newest order of ours; None before the first.
    """

    def __init__(
        self,
        identity: Identity,
        road_map: RoadMap | None,
        *,
        blind: Blind | None = None,
        snap: float = 2.0,
        releases: Releases | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Begin, with nothing known.

        Args:
            identity: the vehicle, and the version that it speaks.
            road_map: where it drives; None takes no orders by goal.
            blind: the longest way that it may drive blind.
            snap: how far from a goal pose the node may lie that is taken for it [m].
            releases: who may enter which zone, shared by all vehicles of the map; made where
                there is none.
            clock: of everything that waits.
        """
        self.identity, self.codec = identity, Codec(identity.version)
        self.mirror = Mirror()
        self.order: ActiveOrder | None = None
        self._map, self._snap = road_map, snap
        self._blind = blind if blind is not None else Blind()
        self._clock = clock if clock is not None else WallClock()
        if releases is None and road_map is not None:
            releases = Releases(road_map, clock=self._clock)
        self._releases = releases
        self._headers = Headers(identity, self._clock.wall)
        self._instants = Instants()
        self._transfer: Transfer | None = None
        self._sent = float("-inf")

    # -- from the vehicle ------------------------------------------------------------------------

    def receive(self, message: Message) -> list[Event]:
        """Take a message of the vehicle; return what became known.

        Raises:
            MessageError: its header names another vehicle.
        """
        said = f"{message.manufacturer}/{message.serial_number}"
        if said not in (self.identity.name, "/"):
            raise MessageError(f"{message.topic} of {self.identity.name}: its header says {said}")
        if not self.mirror.receive(message, self._clock.steady()):
            return []
        if self._releases is not None and self.mirror.connection != "ONLINE":
            self._releases.absent(self.identity.name)
        state = self.mirror.state
        if state is None or message is not state:
            return []
        if self._releases is not None:
            self._releases.receive(self.identity.name, state, self.mirror.reach)
        events = self.order.receive(self.mirror) if self.order is not None else []
        return events + self._instants.receive(self.mirror)

    def forget(self) -> None:
        """Take note that our own link to the broker broke."""
        self.mirror.forget()
        if self._releases is not None:
            self._releases.absent(self.identity.name)

    # -- orders ----------------------------------------------------------------------------------

    def plan(self, goal: str | Pose | Route, start_id: str) -> Plan:
        """Return the plan to a goal from where the vehicle stands.

        Args:
            goal: id of a station or node, a pose (x, y [m], theta [rad]), or a route.
            start_id: id of a node that is made where the vehicle stands between two.

        Raises:
            OrderError: there is no way, or the vehicle is not on the map.
        """
        state = self.mirror.state
        if self._map is None:
            raise self._error("the connection names no map, so there are no goals")
        limits = self.mirror.limits
        if isinstance(goal, Route):
            return plan_of(self._map, goal, speed=limits.speed)
        if state is None:
            raise self._error(self.mirror.absent())
        try:
            longest = min(self._blind.distance, self._blind.seconds * limits.speed)
            return plan_to(
                self._map, state, goal, limits, snap=self._snap, start_id=start_id, longest=longest
            )
        except OrderError as error:
            raise self._error(str(error)) from None

    def begin(
        self,
        order_id: str,
        goal: str | Pose | Route | Plan,
        actions: Mapping[int, Sequence[Action]] | None = None,
    ) -> Order:
        """Begin an order, and return its first message: base and horizon.

        Args:
            order_id: unique for ever.
            goal: see `plan`.
            actions: by sequence id: 0 at the first node, 1 on the first edge; -1 at the goal.

        Raises:
            OrderError: the vehicle cannot be given an order now, or not this one.
        """
        now, mirror = self._clock.steady(), self.mirror
        why = mirror.unfit(levels=STOPS_ALL) or mirror.aged(now)
        if why := why or self._instants.placing(mirror, now):
            raise self._error(why)
        self._refuse_other()
        plan = goal if isinstance(goal, Plan) else self.plan(goal, _start_id(order_id))
        plan = plan.with_actions(actions or {})
        room = self._room()
        if room < min(2, len(plan.stops)):
            raise self._error(f"it takes {room} nodes of an order, a way has two")
        released = min(self._reach(plan, 0), room - 1)
        order = ActiveOrder(order_id, plan, released, room, drawn=self.mirror.limits.draws)
        self._check(order.message)
        self.order = order
        return self._send_order()

    def replan(self, goal: str | Route) -> Order:
        """Change the horizon: return the update with another way from the end of the base on.

        Raises:
            OrderError: no order can be updated now, or there is no way.
        """
        order = self._running()
        base = order.plan.stops[order.released]
        if self._map is None or base.id not in self._map.nodes:
            raise self._error(f"node {base.id!r} at the end of the base is not on the map")
        if not isinstance(goal, Route):
            limits = self.mirror.limits
            try:
                goal = self._map.route(
                    base.id, goal, speed=limits.speed, vehicle_type=limits.type_name
                )
            except (MapError, NoRouteError) as error:
                raise self._error(str(error)) from None
        kept = order.released
        tail = plan_of(self._map, goal, speed=self.mirror.limits.speed)
        plan = Plan(
            order.plan.map_id,
            order.plan.stops[: kept + 1] + tail.stops[1:],
            order.plan.ways[:kept] + tail.ways,
        )
        reach = min(self._reach(plan, order.passed), kept + self._room(kept - order.passed) - 1)
        return self._update(order, max(reach, kept), plan)

    def give_up(self, order_id: str) -> None:
        """Repeat an unconfirmed order no more; it may have arrived all the same."""
        if self.order is not None and self.order.id == order_id:
            self.order.given_up = True

    def withdraw(self, order_id: str) -> None:
        """Forget an order that was begun and never left."""
        if self.order is not None and self.order.id == order_id:
            self.order = None

    def cancel(self, action_id: str = "") -> InstantActions:
        """Return the action that cancels the vehicle's order; ours is never extended again.

        It is sent whatever is known of the vehicle's errors: it only stops.
        """
        order, parameters = self.order, dict[str, str]()
        if order is not None and order.phase is not Phase.OVER:
            order.cancelling = True
            if self.codec.version != "2.1.0":
                parameters["orderId"] = order.id
        return self._instant("cancelOrder", action_id, parameters)

    # -- instant actions and zone sets -----------------------------------------------------------

    def instant(
        self, action_type: str, action_id: str = "", parameters: Mapping[str, object] | None = None
    ) -> InstantActions:
        """Return the message of one instant action, which is followed to its end.

        Raises:
            OrderError: the vehicle is not there, not in automatic mode, or cannot do it.
        """
        stops = action_type in ("cancelOrder", "startPause")
        # To stop is tried whatever is known; where a person is in control it is not asked for.
        if not stops and (why := self.mirror.absent()):
            raise self._error(why)
        mode = self.mirror.state.operating_mode if self.mirror.state is not None else "AUTOMATIC"
        if mode not in COMMANDED and (action_type, mode) != ("cancelOrder", "INTERVENED"):
            raise self._error(f"its operating mode is {mode}")
        if action_type == "cancelOrder":
            return self.cancel(action_id)
        return self._instant(action_type, action_id, dict(parameters or {}))

    def ask(self, action_type: str) -> InstantActions:
        """Return the action that asks for a `stateRequest` or a `factsheetRequest`."""
        action = Action(action_type=action_type, action_id=uuid7(), blocking_type="NONE")
        return self._headers.stamp(InstantActions(actions=(action,)))

    def _instant(
        self, action_type: str, action_id: str, parameters: Mapping[str, object]
    ) -> InstantActions:
        action = Action(
            action_type=action_type,
            action_id=action_id or uuid7(),
            blocking_type="NONE",
            action_parameters=tuple(
                ActionParameter(key=key, value=value) for key, value in parameters.items()
            )
            or None,
        )
        if faults := self.mirror.limits.instant_faults((action,)):
            raise self._error("; ".join(faults))
        self._instants.expect(action.action_id, action_type, self._clock.steady())
        return self._headers.stamp(InstantActions(actions=(action,)))

    def transfer(self, contents: ZoneContents) -> Transfer:
        """Begin to bring a zone set to the vehicle (3.0 alone); `transfers` does the rest.

        Raises:
            OrderError: its version has no zone sets, or it supports them not.
        """
        if "zoneSet" not in self.codec.topics:
            raise self._error(f"version {self.codec.version} has no zone sets")
        transfer = Transfer(contents)
        transfer.check(self.mirror)
        self._transfer = transfer
        return transfer

    # -- what is due -----------------------------------------------------------------------------

    def outgoing(self, *, leave: bool) -> list[Message]:
        """Return what is to be sent now: repeats, extensions, answers to requests.

        Args:
            leave: whether the order may go on. Without it nothing is repeated, released or
                permitted.
        """
        now = self._clock.steady()
        found: list[Message] = []
        if self.mirror.absent():
            return found
        order = self.order
        if leave and order is not None and order.phase is not Phase.OVER and not order.cancelling:
            found += self._order_due(order, now)
        found += self._answers(leave=leave)
        return found

    def transfers(self) -> list[Message]:
        """Return what the zone set that was begun asks for now, by a leave of its own."""
        transfer = self._transfer
        if transfer is None or self.mirror.absent():
            return []
        step = transfer.step(self.mirror)
        if step == "send":
            return [self._headers.stamp(ZoneSet(zone_set=transfer.contents))]
        if step == "enable":
            parameters = {"zoneSetId": transfer.contents.zone_set_id}
            message = self.instant("enableZoneSet", "", parameters)
            transfer.action_id = message.actions[0].action_id
            return [message]
        return []

    def _order_due(self, order: ActiveOrder, now: float) -> list[Message]:
        if now - self._sent < max(self.mirror.limits.order_interval, 0.0):
            return []
        if not order.confirmed:
            if order.given_up or now - self._sent < REPEAT:
                return []
            order.repeats += 1
            return [self._send_order()]
        room = self._room(order.released - order.passed)
        if order.released >= order.plan.last or room < 2 or self.mirror.unfit(levels=STOPS_ORDER):
            return []
        reach = min(self._reach(order.plan, order.passed), order.released + room - 1)
        return [self._update(order, reach)] if reach > order.released else []

    def _answers(self, *, leave: bool) -> list[Message]:
        if self._releases is None or "responses" not in self.codec.topics:
            return []
        base = self.order.edges_ahead if self.order is not None else frozenset()
        answers = self._releases.answers(self.identity.name, base, leave=leave)
        return [self._headers.stamp(Responses(responses=tuple(answers)))] if answers else []

    # -- parts -----------------------------------------------------------------------------------

    def _refuse_other(self) -> None:
        """Raise OrderError where the vehicle has an order, ours or anybody's."""
        state, order = self.mirror.state, self.order
        if state is not None and not is_idle(state):
            ours = order is not None and order.id == state.order_id
            whose = "of ours" if ours else "not ours"
            name = state.order_id or "without an id"
            raise self._error(f"order {name} is active, {whose}; cancel it first")
        if order is not None and order.phase is not Phase.OVER and not order.given_up:
            raise self._error(f"order {order.id} is active, of ours; cancel it first")

    def _reach(self, plan: Plan, passed: int) -> int:
        state = self.mirror.state
        driven = surely_driven(plan, passed, state) if state is not None else 0.0
        ahead = passed + self.mirror.limits.ahead
        return min(plan.reach(passed, driven, self._blind), max(ahead, passed))

    def _room(self, ahead: int = 0) -> int:
        """Return how many nodes a message may have that begins so many behind the last passed."""
        return min(self.mirror.limits.nodes, MOST_NODES, self.mirror.limits.ahead - ahead + 1)

    def _running(self) -> ActiveOrder:
        if self.order is None or not self.order.running:
            raise self._error("it has no order of ours that can be updated now")
        return self.order

    def _update(self, order: ActiveOrder, released: int, plan: Plan | None = None) -> Order:
        order.extend(released, self._room(order.released - order.passed), plan)
        self._check(order.message)
        return self._send_order()

    def _check(self, message: Order) -> None:
        if faults := self.mirror.limits.order_faults(message):
            raise self._error("; ".join(faults))

    def _send_order(self) -> Order:
        assert self.order is not None
        self._sent = self._clock.steady()
        return self._headers.stamp(self.order.message)

    def _error(self, what: str) -> OrderError:
        return OrderError(f"vehicle {self.identity.name}: {what}")


def _start_id(order_id: str) -> str:
    """Return the id of a node that is made for one order: digits alone if its order's are."""
    return order_id[-8:]
