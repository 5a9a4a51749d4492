"""Sends a vehicle's states the way the vehicle would: for replay, and for simulated signals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from stagetwin.ports import ConnectionSpec, Payload
from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.mqtt import MqttPublisher
from stagetwin_bridges.mqtt._bridge import MakeClient
from stagetwin_bridges.mqtt._client import ClientSettings
from stagetwin_bridges.vda5050.messages import (
    MESSAGES,
    Codec,
    Connection,
    Headers,
    Identity,
    PowerSupply,
    SafetyState,
    State,
    is_retained,
    qos_of,
    topic_of,
)
from stagetwin_bridges.vda5050.telemetry._dialect import identity_of
from stagetwin_bridges.vda5050.telemetry._fields import COMPUTED, TOPICS
from stagetwin_bridges.vda5050.telemetry._options import FleetEndpoint

__all__ = ["FleetPublisher"]

_IDLE: Final = State(
    order_id="",
    order_update_id=0,
    last_node_id="",
    last_node_sequence_id=0,
    node_states=(),
    edge_states=(),
    driving=False,
    action_states=(),
    instant_action_states=(),
    power_supply=PowerSupply(state_of_charge=100.0, charging=False),
    operating_mode="AUTOMATIC",
    errors=(),
    safety_state=SafetyState(active_emergency_stop="NONE", field_violation=False),
)
"""What a vehicle says of itself as long as nothing else is said of it."""

_NOWHERE: Final = {"x": 0.0, "y": 0.0, "theta": 0.0, "mapId": "map", "localized": True}


class _Vehicle:
    """What was said of one vehicle so far: documents by topic, in the words of 3.0."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.time = 0.0
        self.headers = Headers(identity, lambda: self.time)
        self.said: dict[str, dict[str, Any]] = {"state": msgspec.to_builtins(_IDLE)}
        self.word = ""


class FleetPublisher:
    """`Publisher` of the vehicles of one connection.

    A payload is an object as bindings name their fields: `{"state": {...}}` by topics, and `pose`,
    `position`, `point`, `orientation`, `map` and `online`. What is not said keeps what was said
    last, at first that of an idle vehicle. Every vehicle is announced as ONLINE before its first
    message, and as OFFLINE by `close`.
    """

    def __init__(
        self,
        connection: ConnectionSpec,
        endpoint: FleetEndpoint,
        settings: ClientSettings,
        make_client: MakeClient,
    ) -> None:
        """Connect.

        Raises:
            RealmError: the connection leads to a plant.
            NotConnectedError: the broker did not accept, or refused.
        """
        self._interface = endpoint.interface
        self._codec = Codec(endpoint.options.version)
        self._vehicles: dict[str, _Vehicle] = {}
        self._wire = MqttPublisher(connection, endpoint.broker.options, settings, make_client)

    def publish(self, address: str, payload: Payload, *, time: float) -> None:
        """See Publisher.

        Raises:
            MessageError: the address is no vehicle, the payload no object of known fields, or the
                message would break the standard; names the field and what is allowed.
            NotConnectedError: too many messages waited for the broker, for too long.
        """
        if not isinstance(payload, Mapping):
            raise MessageError(
                f"{address}: expected an object of fields, got a {type(payload).__name__}"
            )
        vehicle = self._vehicles.get(address)
        if vehicle is None:
            identity = identity_of(self._interface, self._codec.version, address)
            vehicle = self._vehicles[address] = _Vehicle(identity)
        vehicle.time = time
        changed = _take(vehicle, payload)
        if vehicle.word in ("", "OFFLINE") and "connection" not in changed:
            changed.insert(0, "connection")
            vehicle.said["connection"] = {"connectionState": "ONLINE"}
        for topic in changed:
            self._send(vehicle, topic)

    def drain(self, timeout: float) -> int:
        """See Publisher."""
        return self._wire.drain(timeout)

    def close(self) -> None:
        """See Publisher."""
        for vehicle in self._vehicles.values():
            if vehicle.word != "OFFLINE":
                vehicle.said["connection"] = {"connectionState": "OFFLINE"}
                self._send(vehicle, Connection.topic)
        self._wire.drain(_GOODBYE)
        self._wire.close()

    def _send(self, vehicle: _Vehicle, topic: str) -> None:
        document = vehicle.said[topic]
        if topic == "visualization":
            document.setdefault("referenceStateHeaderId", 0)
        try:
            message = msgspec.convert(document, MESSAGES[topic])
        except msgspec.ValidationError as error:
            raise MessageError(f"{vehicle.identity.name}, {topic}: {error}") from None
        if isinstance(message, Connection):
            vehicle.word = message.connection_state
        data = self._codec.encode(vehicle.headers.stamp(message))
        whole = topic_of(vehicle.identity, topic)
        self._wire.send(whole, data, qos=qos_of(topic), retain=is_retained(topic))


_GOODBYE: Final = 2.0
"""How long `close` waits for its last messages [s]."""


def _take(vehicle: _Vehicle, payload: Mapping[str, Any]) -> list[str]:
    """Take what a payload says; return the topics that it changes.

    Raises:
        MessageError: a field that nobody can send.
    """
    changed: list[str] = []
    place: dict[str, Any] = {}
    for name, value in payload.items():
        if name in TOPICS and isinstance(value, Mapping):
            _merge(vehicle.said.setdefault(name, {}), value)
            changed.append(name)
        elif name in _PLACES:
            place.update(_PLACES[name](value))
        elif name == "online":
            word = "ONLINE" if value else "OFFLINE"
            vehicle.said["connection"] = {"connectionState": word}
            changed.append("connection")
        elif name not in _TOLD_ONLY:
            fields = ", ".join((*TOPICS, *_PLACES, "online"))
            raise MessageError(
                f"{vehicle.identity.name}: nothing sends {name!r}; allowed are {fields}"
            )
    if place:
        for topic in ("visualization", "state"):
            if topic == "state" or topic in changed:
                here = vehicle.said[topic].setdefault("mobileRobotPosition", dict(_NOWHERE))
                here.update(place)
        changed.append("state")
    return sorted(set(changed), key=_ORDER.index)


_ORDER: Final = ("connection", "factsheet", "state", "visualization")


def _merge(document: dict[str, Any], news: Mapping[str, Any]) -> None:
    for name, value in news.items():
        if isinstance(value, Mapping):
            _merge(document.setdefault(name, {}), value)
        else:
            document[name] = value


def _from_pose(value: Any) -> dict[str, Any]:
    flat = [number for row in value for number in row] if len(value) == 4 else list(value)
    return {"x": flat[12], "y": flat[13], "theta": math.atan2(flat[1], flat[0])}


_TOLD_ONLY: Final = {name.partition(".")[0] for name in (*COMPUTED, "action.")}
"""Counts and the like, which a vehicle does not send as such: they are passed over."""
_PLACES: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "pose": _from_pose,
    "position": lambda value: {"x": value[0], "y": value[1], "theta": value[2]},
    "point": lambda value: {"x": value[0], "y": value[1]},
    "orientation": lambda value: {"theta": 2 * math.atan2(value[2], value[3])},
    "map": lambda value: {"mapId": value},
}
"""From what a binding reads back to what a vehicle sends."""
