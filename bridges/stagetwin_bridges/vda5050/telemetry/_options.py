"""A VDA 5050 endpoint: its URI, parsed once into a frozen model.

vda5050+mqtts://broker.plant:8883/vda5050?version=3.0&sample=100
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from stagetwin_bridges._endpoints import masked, query_options, said, split
from stagetwin_bridges._errors import ConnectionConfigError, MessageError
from stagetwin_bridges.fields import FieldPath
from stagetwin_bridges.mqtt._options import Endpoint, MqttOptions
from stagetwin_bridges.mqtt._topics import filter_problem
from stagetwin_bridges.vda5050.messages import Identity, version_of

__all__ = ["FleetEndpoint", "FleetOptions"]

_PORTS = {"vda5050+mqtt": 1883, "vda5050+mqtts": 8883}


def _version(text: str) -> str:
    try:
        return version_of(text)
    except MessageError as error:
        raise ValueError(str(error)) from None


def _filters(topics: tuple[str, ...]) -> tuple[str, ...]:
    for topic in topics:
        if problem := filter_problem(topic):
            raise ValueError(problem)
    return topics


class FleetOptions(BaseModel):
    """Options in the query of a VDA 5050 endpoint.

    Attributes:
        version: of the standard that the vehicles speak, 2.1 or 3.0.
        sample: the first message of every vehicle on every topic is held against the schema, and
            then one of so many; 0 is the first alone.
        address, field: templates for bindings that have none.
        subscribe: topic filters in place of one for each topic of each vehicle.
        mqtt: MQTT version, 5 or 3.1.1.
        client_id: empty makes up a new one at every start.
        keepalive: a ping is sent after this long without traffic [s].
        max_payload: a message with more is refused before anything of it is read [bytes].
        blind: the longest way that a vehicle is released beyond where it said it is [m].
        blind_time: the same at the speed that is allowed on it [s].
        snap: how far from a goal pose the node may lie that is taken for it [m].
        standstill: a vehicle with an order that stands for so long is noted [s].
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Annotated[str, AfterValidator(_version)] = "3.0.0"
    sample: Annotated[int, Field(ge=0)] = 100
    address: str = ""
    field: str = ""
    subscribe: Annotated[tuple[str, ...], AfterValidator(_filters)] = ()
    mqtt: Literal["5", "3.1.1"] = "5"
    client_id: Annotated[str, Field(max_length=65_535)] = ""
    keepalive: Annotated[int, Field(ge=1, le=65_535)] = 10
    max_payload: Annotated[int, Field(ge=1, le=268_435_455)] = 1_048_576
    blind: Annotated[float, Field(gt=0)] = 10.0
    blind_time: Annotated[float, Field(gt=0)] = 15.0
    snap: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0
    standstill: Annotated[float, Field(gt=0)] = 10.0


class FleetEndpoint(BaseModel):
    """Where the broker of a fleet listens, and what is spoken there.

    Attributes:
        host: name or address.
        port: TCP port.
        tls: whether the connection is encrypted and the broker's name verified.
        interface: first level of the topics, from the URI's path.
        options: the query.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)]
    tls: bool
    interface: str
    options: FleetOptions

    @classmethod
    def parse(cls, uri: str) -> FleetEndpoint:
        """Parse an endpoint URI.

        Raises:
            ConnectionConfigError: names what is wrong and what is allowed.
        """
        parts = split(uri, _PORTS, "vda5050+mqtt or vda5050+mqtts")
        shown = masked(uri, FleetOptions.model_fields)
        interface = parts.path.strip("/")
        try:
            Identity(interface, "3.0.0", "any", "any")
        except MessageError as error:
            raise ConnectionConfigError(
                f"endpoint {shown!r}: expected the interface name after the port, such as "
                f"/vda5050: {error}"
            ) from None
        try:
            return cls(
                host=parts.host,
                port=parts.port or _PORTS[parts.scheme],
                tls=parts.scheme == "vda5050+mqtts",
                interface=interface,
                options=FleetOptions.model_validate(query_options(parts.query, "subscribe")),
            )
        except ValidationError as error:
            raise ConnectionConfigError(
                f"endpoint {shown!r}: {said(error, FleetOptions)}"
            ) from None

    @property
    def broker(self) -> Endpoint:
        """The same as the MQTT bridge knows it.

        The sequence is the header's counter, so that gaps are counted and a reconnection is none of
        unknown size. QoS 1 is the highest asked for: the standard has 1 for `connection` alone, and
        a broker delivers with the publisher's where that is lower.
        """
        options: dict[str, Any] = {
            "version": self.options.mqtt,
            "client_id": self.options.client_id,
            "keepalive": self.options.keepalive,
            "max_payload": self.options.max_payload,
            "subscribe": self.options.subscribe,
            "time": FieldPath(("timestamp",)),
            "time_unit": "iso",
            "sequence": FieldPath(("headerId",)),
        }
        return Endpoint(
            host=self.host, port=self.port, tls=self.tls, options=MqttOptions(**options)
        )
