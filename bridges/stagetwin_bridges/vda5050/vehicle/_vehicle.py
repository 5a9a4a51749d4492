"""The vehicle's side of VDA 5050 as a state machine without I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stagetwin.fleets import Bodies
from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.vda5050.messages import (
    Connection,
    ConnectionWord,
    EmergencyStop,
    Factsheet,
    Headers,
    Identity,
    InstantActions,
    Message,
    OperatingMode,
    Order,
    Responses,
    ZoneSet,
    seconds_of,
)
from stagetwin_bridges.vda5050.vehicle._abilities import Abilities
from stagetwin_bridges.vda5050.vehicle._acceptance import judge
from stagetwin_bridges.vda5050.vehicle._chassis import Chassis
from stagetwin_bridges.vda5050.vehicle._clearing import step_clearing
from stagetwin_bridges.vda5050.vehicle._corridors import CorridorWatch
from stagetwin_bridges.vda5050.vehicle._device import Device, Progress, TimedDevice
from stagetwin_bridges.vda5050.vehicle._driver import Driver
from stagetwin_bridges.vda5050.vehicle._effects import take_zone_set
from stagetwin_bridges.vda5050.vehicle._execution import Execution
from stagetwin_bridges.vda5050.vehicle._faults import Faults
from stagetwin_bridges.vda5050.vehicle._instant import Instants
from stagetwin_bridges.vda5050.vehicle._maps import MapStore
from stagetwin_bridges.vda5050.vehicle._modes import Modes
from stagetwin_bridges.vda5050.vehicle._options import VehicleOptions
from stagetwin_bridges.vda5050.vehicle._parts import Parts
from stagetwin_bridges.vda5050.vehicle._performer import Performer
from stagetwin_bridges.vda5050.vehicle._report import Reporter
from stagetwin_bridges.vda5050.vehicle._requests import Requests
from stagetwin_bridges.vda5050.vehicle._rules import Cause, rules_of
from stagetwin_bridges.vda5050.vehicle._watch import ZoneWatch

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["Vehicle"]

_LONGEST = 30.0
"""Time within which a state must come (6.6) [s]."""
_EARLY = 1e-3


class Vehicle:
    """One vehicle as fleet control sees it, in either version; it drives a body of `bodies`.

    It never drives past the last released node; that its connection is lost changes nothing of
    what is released.

    Args:
        identity: who it is, and which version it speaks.
        factsheet: what it is and can do; its header is ignored.
        bodies: what drives.
        index: of its body.
        road_map: where nodes are and how lanes run that an order does not spell out.
        device: what does its actions; None takes their time and succeeds.
        options: see VehicleOptions.

    Raises:
        ValueError: there is no such body, or the operating mode is none of the version's.
    """

    def __init__(
        self,
        identity: Identity,
        factsheet: Factsheet,
        *,
        bodies: Bodies,
        index: int,
        road_map: RoadMap | None = None,
        device: Device | None = None,
        options: VehicleOptions | None = None,
    ) -> None:
        options = options or VehicleOptions()
        rules = rules_of(identity.version)
        size = factsheet.physical_parameters
        chassis = Chassis(bodies, index, size.length, size.width)
        map_id = road_map.id if road_map is not None else options.map_id
        version = road_map.version if road_map is not None else options.map_version
        self._now = 0.0
        self._headers = Headers(identity, lambda: self._now)
        parts = self._parts = Parts(
            rules=rules,
            sheet=factsheet,
            abilities=Abilities(factsheet, reverses=options.reverses),
            options=options,
            chassis=chassis,
            device=device or TimedDevice(),
            road_map=road_map,
            driver=Driver(
                chassis, margin=options.hold_margin, tolerance_theta=options.tolerance_theta
            ),
            faults=Faults(rules, options.notice_seconds),
            maps=MapStore(map_id, version),
            requests=Requests(options.request_retry),
            mode=options.mode,
            map_id=map_id,
        )
        parts.last_node_id = options.last_node_id
        if road_map is not None and not options.last_node_id:
            node = road_map.nearest(chassis.x, chassis.y, options.tolerance)
            parts.last_node_id = node.id if node is not None else ""
        navigation = factsheet.type_specification.navigation_types
        at_node = options.stops_at_nodes
        if at_node is None:
            at_node = "PHYSICAL_LINE_GUIDED" in navigation[:1]
        self._performer = Performer(parts)
        self._watch = ZoneWatch(parts, self._performer)
        self._corridors = CorridorWatch(parts)
        self._instants = Instants(parts, self._performer, at_node=at_node)
        self._modes = Modes(parts, self._performer)
        self._execution = Execution(parts, self._performer, self._watch)
        self._reporter = Reporter(parts)
        self._words: list[ConnectionWord] = []
        timing = factsheet.protocol_limits.timing
        self._least = max(timing.minimum_state_interval, 0.0)
        self._most = min(
            options.state_interval or timing.default_state_interval or _LONGEST, _LONGEST
        )
        shown = options.visualization_interval
        self._visual = timing.visualization_interval if shown is None else shown
        self._state_at = self._visual_due = self._called_at = -math.inf
        self._state_header = 0
        self._closing = self._low = False

    def __repr__(self) -> str:
        who = self._headers.identity
        return f"Vehicle({who.manufacturer}/{who.serial}, {who.version}, {self.mode})"

    # -- what it is ------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Who it is."""
        return self._headers.identity

    @property
    def idle(self) -> bool:
        """Whether it would take a new order (6.6.8)."""
        return self._parts.idle

    @property
    def mode(self) -> OperatingMode:
        """Operating mode that it reports."""
        return self._parts.mode

    @property
    def order_id(self) -> str:
        """Of the order that it has or had last; empty for none."""
        return self._parts.held.order_id if self._parts.held is not None else ""

    @property
    def last_node_id(self) -> str:
        """Of the node that it passed last; empty if it is not known."""
        return self._parts.last_node_id

    @property
    def hibernating(self) -> bool:
        """Whether it has gone silent."""
        return self._parts.hibernation == "on"

    @property
    def closing(self) -> bool:
        """Whether it was shut down and has said OFFLINE: its connection is to be ended."""
        return self._closing

    # -- its connection --------------------------------------------------------------------------

    def connect(self, now: float) -> None:
        """Say ONLINE next, and all that is to be known of it."""
        del now
        if not self.hibernating:
            self._words = ["ONLINE"]
            self._parts.state_asked = self._parts.factsheet_asked = True
        else:
            self._words = ["HIBERNATING"]

    def disconnect(self, now: float) -> None:
        """Say OFFLINE next."""
        del now
        self._words = ["OFFLINE"]

    def will(self, now: float) -> Connection:
        """Return the last will that the broker keeps: CONNECTION_BROKEN."""
        self._now = now
        return self._headers.stamp(Connection(connection_state="CONNECTION_BROKEN"))

    # -- messages in -----------------------------------------------------------------------------

    def receive(self, message: Message, now: float) -> None:
        """Take a message of fleet control's; messages of other kinds are ignored."""
        self._now = now
        if isinstance(message, InstantActions):
            slept = self.hibernating
            self._instants.take(message, now)
            if slept and not self.hibernating:
                self.connect(now)
        elif self.hibernating:
            return
        elif isinstance(message, Order):
            self._take_order(message, now)
        elif isinstance(message, Responses):
            self._take_responses(message, now)
        elif isinstance(message, ZoneSet):
            progress = Progress(status="FINISHED", zones=message.zone_set)
            take_zone_set(self._parts, progress, {"topic": "zoneSet"}, now)

    def refuse(
        self,
        topic: str,
        faults: Sequence[str],
        now: float,
        references: dict[str, str] | None = None,
    ) -> None:
        """Report a message that could not be read (6.1.4.1).

        Args:
            topic: last level of its topic.
            faults: what is wrong with it.
            now: [s, Unix].
            references: what could be read of it, such as `orderId`.
        """
        if not self.hibernating:
            self._now = now
            told = {"topic": topic, **(references or {})}
            self._parts.faults.report(Cause.MALFORMED, now, "; ".join(faults[:3]), told)

    # -- progress --------------------------------------------------------------------------------

    def step(self, now: float) -> None:
        """Look at the body and act; to be called after each step of the bodies."""
        self._now = now
        parts = self._parts
        parts.chassis.look()
        if parts.hibernation == "on":
            self._sleep(now)
            return
        if parts.requests:
            for request in parts.requests.expire(now):
                watch = self._corridors if request.kind == "CORRIDOR" else self._watch
                watch.lost(request, now)
        self._execution.progress(now)
        self._performer.step(now)
        self._watch.step(now)
        self._corridors.step(now)
        if parts.paused:
            self._instants.step()
        if parts.clearing is not None:
            step_clearing(parts, now)
        self._execution.drive(now)
        parts.faults.expire(now)
        self._modes.step()
        self._battery(now)
        self._reporter.look()

    def outgoing(self, now: float) -> list[Message]:
        """Return what is to be sent now, in its order, with headers."""
        self._now = now
        parts, stamp = self._parts, self._headers.stamp
        out: list[Message] = []
        while self._words:
            out.append(stamp(Connection(connection_state=self._words.pop(0))))
        if parts.hibernation == "on":
            return out
        if parts.factsheet_asked:
            parts.factsheet_asked = False
            out.append(stamp(parts.sheet))
        since = now - self._state_at
        # A state must come in time: the next call may be as far away as the last one.
        next_since, self._called_at = since + now - max(self._called_at, now - _LONGEST), now
        ending = parts.hibernation == "asked" or (parts.shutting_down and not self._closing)
        told = parts.dirty and since >= self._least
        if told or ending or parts.state_asked or next_since > self._most:
            parts.dirty = parts.state_asked = False
            self._state_at = now
            state = stamp(self._reporter.state(now))
            self._state_header = state.header_id
            out.append(state)
        if self._visual and now >= self._visual_due - _EARLY:
            # By the clock and not by the last one: a late call does not lower the rate.
            due = self._visual_due + self._visual
            self._visual_due = max(due, now) if due > now - self._visual else now + self._visual
            out.append(stamp(self._reporter.visualization(now, self._state_header)))
        if parts.hibernation == "asked":
            parts.hibernation = "on"
            out.append(stamp(Connection(connection_state="HIBERNATING")))
        elif ending:
            self._closing = True
            out.append(stamp(Connection(connection_state="OFFLINE")))
        return out

    # -- what people do at the vehicle -----------------------------------------------------------

    def set_mode(self, mode: OperatingMode, now: float) -> None:
        """Change the operating mode as a person at the vehicle does (6.6.6).

        MANUAL, STARTUP, SERVICE and TEACH_IN give the order up; they are reported once its actions
        are over.

        Raises:
            ValueError: the version has no such mode.
        """
        self._now = now
        self._modes.set(mode, now)

    def press(self, trigger: str, now: float) -> None:
        """Trigger actions that wait for this at the vehicle, such as `LOCAL`."""
        self._now = now
        self._parts.triggers.add(trigger)

    def stop_button(self, kind: EmergencyStop, now: float) -> None:
        """Set or, with NONE, acknowledge an emergency stop. A report, no safety function."""
        self._now = now
        if kind != self._parts.emergency:
            self._parts.emergency = kind
            self._parts.dirty = True

    def set_localized(self, localized: bool, now: float) -> None:
        """Say whether it knows where it is; while it does not, it stands (6.6.5.1, FATAL)."""
        self._now = now
        self._parts.localized = localized
        if localized:
            self._parts.faults.withdraw(Cause.NOT_LOCALIZED)
        else:
            self._parts.faults.report(Cause.NOT_LOCALIZED, now, "the vehicle is not localized")
        self._parts.dirty = True

    # -- parts -----------------------------------------------------------------------------------

    def _take_order(self, order: Order, now: float) -> None:
        verdict = judge(self._parts, order)
        if verdict.word == "new":
            self._execution.begin(order)
        elif verdict.word == "update":
            self._execution.extend(order)
        elif verdict.cause is not None:
            self._parts.faults.report(verdict.cause, now, verdict.why, verdict.references)
        self._parts.dirty = True

    def _take_responses(self, message: Responses, now: float) -> None:
        requests = self._parts.requests
        for response in message.responses:
            request = requests.get(response.request_id)
            if request is None:
                continue
            try:
                text = response.lease_expiry
                expiry = math.inf if text is None else seconds_of(text)
            except MessageError as error:
                # A lease whose end cannot be read permits nothing.
                self.refuse("responses", [str(error)], now, {"requestId": response.request_id})
                continue
            watch = self._corridors if request.kind == "CORRIDOR" else self._watch
            lost = requests.answer(
                response.request_id, response.grant_type, expiry, now, begun=watch.begun(request)
            )
            if lost is not None:
                watch.lost(lost, now)
            elif request.granted and request.kind != "CORRIDOR":
                self._watch.granted(request)

    def _sleep(self, now: float) -> None:
        """Wake at the time that was set, or where the battery demands it."""
        parts = self._parts
        low = parts.chassis.charge <= parts.options.critical_charge
        if low or (parts.wake_at is not None and now >= parts.wake_at):
            parts.hibernation, parts.wake_at = "", None
            self.connect(now)
            self._battery(now)

    def _battery(self, now: float) -> None:
        parts = self._parts
        charge = parts.chassis.charge
        if charge > parts.options.critical_charge:
            if self._low:
                self._low = False
                parts.faults.withdraw(Cause.BATTERY_LOW)
        elif not self._low:
            self._low = True
            why = f"the battery has {100 * charge:.1f} % left"
            parts.faults.report(Cause.BATTERY_LOW, now, why)
