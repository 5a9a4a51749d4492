"""What tests of the command client need: a sink, a device that answers, what a proxy saw."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stagetwin.actuation import CommandTarget, Fate, Reading, Report, Transmission
from stagetwin.clock import WallClock
from stagetwin.ports import ConnectionState
from stagetwin_bridges.broker import LocalBroker, Role
from stagetwin_bridges.mqtt._commander import MqttCommander
from tests.bridges.recording_sink import eventually
from tests.bridges.tcp_proxy import TcpProxy

__all__ = [
    "ASSET",
    "BROKERS",
    "CLOCK",
    "ActuatedDevice",
    "CommandRecorder",
    "Heard",
    "MakeCommander",
    "Packet",
    "Reply",
    "accept",
    "command",
    "packets",
    "published",
    "sessions",
    "target",
]


ASSET = "/World/Pump"
CLOCK = WallClock()
BROKERS = [("mosquitto", "5"), ("mosquitto", "3.1.1"), ("nats", "3.1.1")]
_tokens = itertools.count(1)

MakeCommander = Callable[..., MqttCommander]


def target(address: str, field: str = "v", encoding: str = "auto", **more: Any) -> CommandTarget:
    """Return a target of the pump; its command is named as its topic."""
    return CommandTarget(
        prim=ASSET, command=address, address=address, field=field, encoding=encoding, **more
    )


def command(to: CommandTarget, value: Any = 1.0, **given: Any) -> Transmission:
    """Return a command that may leave now and lives for ten seconds."""
    now = CLOCK.steady()
    fields: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "asset": ASSET,
        "guard": "g",
        "token": (1, next(_tokens)),
        "deadline": now + 5.0,
        "expires": now + 10.0,
    }
    return Transmission(target=to, value=value, **(fields | given))


class CommandRecorder:
    """`CommandSink` that keeps everything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reports: list[Report] = []
        self.states: list[tuple[ConnectionState, str]] = []
        self.readings: list[Reading] = []

    def state(self, state: ConnectionState, cause: str = "") -> None:
        with self._lock:
            self.states.append((state, cause))

    def report(self, report: Report) -> None:
        with self._lock:
            self.reports.append(report)

    def reading(self, reading: Reading) -> None:
        with self._lock:
            self.readings.append(reading)

    @property
    def current(self) -> tuple[ConnectionState, str]:
        """The newest state and its cause."""
        with self._lock:
            return self.states[-1] if self.states else (ConnectionState.OFFLINE, "")

    def is_in(self, state: ConnectionState) -> bool:
        """Whether the newest state is this one."""
        return self.current[0] is state

    def of(self, number: str) -> list[Report]:
        """Reports of a command, in order."""
        with self._lock:
            return [report for report in self.reports if report.id == number]

    def fates(self, number: str) -> list[Fate]:
        """Fates of a command, in order."""
        return [report.fate for report in self.of(number)]

    def settled(self, number: str) -> Report:
        """Wait for the last report of a command."""
        report: Report = eventually(lambda: next((r for r in self.of(number) if r.final), None))
        return report


class Heard(NamedTuple):
    """A message as a plain client saw it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: dict[str, Any]

    @property
    def document(self) -> Any:
        return msgspec.json.decode(self.payload)


class Reply(NamedTuple):
    """What a device answers."""

    topic: str
    payload: bytes
    correlation: bytes | None = None
    realm: str = ""
    retain: bool = False


Answer = Callable[[Heard], Sequence[Reply]]


def accept(heard: Heard) -> Sequence[Reply]:
    """Accept every JSON command."""
    if not heard.payload.startswith(b"{"):
        return ()
    document = heard.document
    payload = msgspec.json.encode({"id": document["id"], "ok": True})
    return [Reply(document["reply_to"], payload)]


def _seen(message: Any) -> Heard:
    given = getattr(message, "properties", None)
    return Heard(
        message.topic,
        bytes(message.payload),
        message.qos,
        bool(message.retain),
        given.json() | {"CorrelationData": getattr(given, "CorrelationData", None)}
        if given
        else {},
    )


class ActuatedDevice:
    """A plain client that keeps what it hears and answers it.

    Args:
        broker: where to.
        topic: filter to subscribe to.
        answer: what to say to a message.
        role: as whom.
    """

    def __init__(
        self,
        broker: LocalBroker,
        topic: str,
        answer: Answer = lambda _: (),
        role: Role = "device",
    ) -> None:
        self.heard: list[Heard] = []
        self.answer = answer
        self._five = broker.kind == "mosquitto"
        self._subscribed = threading.Event()
        version = paho.MQTTv5 if self._five else paho.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
        credential = broker.credential(role)
        self._client.username_pw_set(credential.username, credential.password.get_secret_value())
        if credential.ca_file:
            self._client.tls_set(credential.ca_file)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        eventually(self._client.is_connected)
        self._topic = topic
        self.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def settle(self) -> None:
        """Wait until the broker has dealt with all that was sent, by asking it something more."""
        self._subscribed.clear()
        self._client.subscribe(self._topic)
        assert self._subscribed.wait(10)

    def send(self, reply: Reply) -> None:
        """Publish."""
        properties: Any = None
        if self._five and (reply.correlation is not None or reply.realm):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if reply.correlation is not None:
                properties.CorrelationData = reply.correlation
            if reply.realm:
                properties.UserProperty = ("stagetwin-realm", reply.realm)
        self._client.publish(reply.topic, reply.payload, 0, reply.retain, properties)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        heard = _seen(message)
        self.heard.append(heard)
        for reply in self.answer(heard):
            self.send(reply)


class Packet(NamedTuple):
    """An MQTT packet: its first byte, and what follows the length."""

    first: int
    body: bytes


def packets(data: bytes) -> Iterator[Packet]:
    """Yield the packets of a byte stream; what is not complete is left out."""
    at = 0
    while at + 2 <= len(data):
        first, length, shift, at = data[at], 0, 0, at + 1
        while True:
            if at >= len(data):
                return
            byte = data[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if at + length > len(data):
            return
        yield Packet(first, data[at : at + length])
        at += length


def sessions(proxy: TcpProxy) -> list[list[Packet]]:
    """Return what clients sent through a proxy, by connection."""
    return [list(packets(proxy.sent("to_server", n))) for n in range(proxy.connections)]


def published(proxy: TcpProxy) -> list[Packet]:
    """Return the PUBLISH packets that clients sent through a proxy, over all connections."""
    return [each for one in sessions(proxy) for each in one if each.first & 0xF0 == 0x30]
