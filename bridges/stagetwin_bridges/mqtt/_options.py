"""An MQTT endpoint: its URI, parsed once into a frozen model.

mqtts://broker.plant:8883?version=5&qos=1&subscribe=plant1/#&time=ts&time_unit=ms
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from stagetwin.ports import ConnectionSpec
from stagetwin_bridges._endpoints import is_loopback, masked, query_options, said, split
from stagetwin_bridges._errors import ConnectionConfigError, FieldError
from stagetwin_bridges.fields import FieldPath
from stagetwin_bridges.mqtt._topics import filter_problem, is_wildcard

__all__ = ["Endpoint", "LossClass", "MqttOptions", "security_problems"]

LossClass = Literal["countable", "detectable", "unaccountable"]
TimeUnit = Literal["s", "ms", "us", "ns", "iso", "relative"]

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_PRESETS: dict[str, dict[str, str]] = {
    # What NVIDIA's iot-samples publish: topic iot/<device>, one object with `_ts` in seconds
    # since the start, and a key for every signal.
    "iot-samples": {
        "address": "iot/{prim.name}",
        "field": "{signal}",
        "time": "_ts",
        "time_unit": "relative",
    },
}


def _path(value: Any) -> FieldPath | None:
    if isinstance(value, str):
        try:
            return FieldPath.parse(value) if value else None
        except FieldError as error:
            raise ValueError(str(error)) from None
    if value is None or isinstance(value, FieldPath):
        return value
    raise ValueError("expected a field path")


OptionalPath = Annotated[FieldPath | None, BeforeValidator(_path)]


class MqttOptions(BaseModel):
    """Options in the query of an MQTT endpoint.

    Attributes:
        version: MQTT version, 5 or 3.1.1.
        qos: highest quality of service asked for. 1 by default: the broker delivers with the lower
            of this and the publisher's, so 1 costs nothing where devices publish with 0, and where
            they publish with 1 the last value before a quiet time is not lost.
        client_id: empty makes up a new one at every start.
        keepalive: a ping is sent after this long without traffic [s].
        clean: whether the broker forgets the session when the connection ends.
        subscribe: topic filters to subscribe to in place of one per address.
        address, field: templates for bindings that have none.
        availability: template of the topic where a device's state (its last will) is published.
        time: path of the source time in a JSON payload.
        time_unit: seconds, milliseconds, microseconds or nanoseconds since 1970 (s, ms, us, ns), an
            ISO 8601 text (iso; UTC where it names no zone), or seconds since the source's own start
            (relative).
        sequence: path of a counter, one per topic, that the source raises by one in each message.
        reply: template of the topic where devices reply to commands; `{client_id}` stands for the
            command client's made-up id.
        max_payload: a message with more is refused before anything of it is read [bytes].
        preset: names a set of defaults: `iot-samples`.
        client: client library that does the talking.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    version: Literal["5", "3.1.1"] = "5"
    qos: Annotated[int, Field(ge=0, le=1)] = 1
    client_id: Annotated[str, Field(max_length=65_535)] = ""
    keepalive: Annotated[int, Field(ge=1, le=65_535)] = 10
    clean: bool = True
    subscribe: tuple[str, ...] = ()
    address: str = ""
    field: str = ""
    availability: str = ""
    time: OptionalPath = None
    time_unit: TimeUnit = "s"
    sequence: OptionalPath = None
    reply: str = "stagetwin/reply/{client_id}"
    max_payload: Annotated[int, Field(ge=1, le=268_435_455)] = 1_048_576
    preset: Literal["", "iot-samples"] = ""
    client: Literal["paho"] = "paho"

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: dict[str, Any]) -> dict[str, Any]:
        preset = _PRESETS.get(str(given.get("preset", "")), {})
        return {**preset, **given}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.clean and not self.client_id:
            raise ValueError("clean=false needs a client_id: the broker keeps the session under it")
        for topic in self.subscribe:
            if problem := filter_problem(topic):
                raise ValueError(f"subscribe: {problem}")
        topic = self.reply_topic("id")
        problem = filter_problem(topic)
        if not problem and (is_wildcard(topic) or topic.startswith("$")):
            problem = f"address {self.reply!r}: expected one topic, no wildcard and no '$' first"
        if not problem and ("{" in topic or "}" in topic):
            problem = f"address {self.reply!r}: the only placeholder is {{client_id}}"
        if problem:
            raise ValueError(f"reply: {problem}")
        return self

    def reply_topic(self, client_id: str) -> str:
        """Return the topic where devices reply to the commands of a client."""
        return self.reply.replace("{client_id}", client_id)

    @property
    def loss_class(self) -> LossClass:
        """What can be said about messages that never arrive.

        `countable`: the payload's own sequence tells how many. `detectable`: the broker keeps the
        session, and says so when it could not; a gap is recorded with its size unknown.
        `unaccountable`: nothing can be said while the connection stands (QoS 0 drops silently, and
        a clean session forgets); every reconnection is recorded as a gap of unknown size.
        """
        if self.sequence is not None:
            return "countable"
        return "detectable" if self.qos == 1 and not self.clean else "unaccountable"


class Endpoint(BaseModel):
    """Where a broker listens.

    Attributes:
        host: name or address.
        port: TCP port.
        tls: whether the connection is encrypted and the broker's name verified.
        options: the query.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)]
    tls: bool
    options: MqttOptions

    @classmethod
    def parse(cls, uri: str) -> Endpoint:
        """Parse an endpoint URI.

        Raises:
            ConnectionConfigError: names what is wrong and what is allowed.
        """
        parts = split(uri, _PORTS, "mqtt or mqtts")
        if parts.path.strip("/"):
            raise ConnectionConfigError(
                f"endpoint {masked(uri)!r}: expected nothing between the port and the query; "
                f"topics are the signals' addresses"
            )
        try:
            return cls(
                host=parts.host,
                port=parts.port or _PORTS[parts.scheme],
                tls=parts.scheme == "mqtts",
                options=MqttOptions.model_validate(query_options(parts.query, "subscribe")),
            )
        except ValidationError as error:
            shown = masked(uri, MqttOptions.model_fields)
            raise ConnectionConfigError(f"endpoint {shown!r}: {said(error, MqttOptions)}") from None

    @property
    def broker(self) -> Endpoint:
        """Itself: protocols on top of MQTT have endpoints of their own that lead to one."""
        return self

    @property
    def loopback(self) -> bool:
        """Whether nothing leaves this host."""
        return is_loopback(self.host)


def security_problems(
    connection: ConnectionSpec, endpoint: Endpoint, encrypted: str = "mqtts"
) -> list[str]:
    """Return why an endpoint falls short of its connection's security profile.

    Args:
        connection: whose profile it is.
        endpoint: where it leads.
        encrypted: scheme to name as the remedy.
    """
    profile = connection.security_profile
    if profile not in ("strict", "none"):
        return [f"security profile {profile!r} is none of MQTT's; allowed: strict, none"]
    if profile == "strict" and not endpoint.tls and not endpoint.loopback:
        return [
            f"security profile 'strict' demands {encrypted} to {endpoint.host}; allowed without "
            f"encryption: a loopback address, or the profile 'none'"
        ]
    return []
