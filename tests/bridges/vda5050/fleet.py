"""Vehicles for the tests of the bridge: each a client with a will, speaking one version."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from stagetwin.ports import ChannelSpec, ConnectionSpec, Realm, ValueKind
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050.messages import (
    Codec,
    Connection,
    Headers,
    Identity,
    Message,
    is_retained,
    qos_of,
    topic_of,
)
from tests.bridges.recording_sink import eventually

__all__ = ["Speaker", "bound", "fleet_connection"]


class Speaker:
    """A vehicle's mouth: says what it is told to, as a participant of its own."""

    def __init__(
        self, broker: LocalBroker, serial: str, version: str = "3.0", interface: str = "vda5050"
    ) -> None:
        self.identity = Identity(interface, version, "KIT", serial)
        self.codec = Codec(version)
        self.headers = Headers(self.identity)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        credential = broker.credential("publisher")
        self._client.username_pw_set(credential.username, credential.password.get_secret_value())
        will = self.headers.stamp(Connection(connection_state="CONNECTION_BROKEN"))
        self._client.will_set(
            topic_of(self.identity, will.topic), self.codec.encode(will), qos=1, retain=True
        )
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        eventually(self._client.is_connected)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, message: Message, *, stamped: bool = False) -> Message:
        """Send a message as the standard asks; return it with its header."""
        if not stamped:
            message = self.headers.stamp(message)
        self.send(message.topic, self.codec.encode(message))
        return message

    def send(self, topic: str, payload: bytes, *, retain: bool | None = None) -> None:
        """Send anything on one of its topics; what is retained, the broker has on return."""
        whole = topic_of(self.identity, topic)
        kept = is_retained(topic) if retain is None else retain
        # Who subscribes after a retained message must find it kept, and not get it live.
        said = self._client.publish(whole, payload, qos=1 if kept else qos_of(topic), retain=kept)
        if kept:
            said.wait_for_publish(10)
            assert said.is_published()

    def vanish(self) -> None:
        """Break off without a goodbye: the broker publishes the will."""
        sock = self._client.socket()
        assert sock is not None
        self._client.on_disconnect = lambda client, *_: client.loop_stop()
        self._client.reconnect_delay_set(60, 60)
        sock.shutdown(socket.SHUT_RDWR)


def fleet_connection(
    broker: LocalBroker,
    query: str = "version=3.0",
    realm: Realm = "simulation",
    root: str = "vda5050",
) -> ConnectionSpec:
    """Return a connection of a stage to a fleet."""
    scheme = "vda5050+mqtts" if "mqtts" in broker.endpoint() else "vda5050+mqtt"
    mqtt = "&mqtt=3.1.1" if broker.kind == "nats" else ""
    return ConnectionSpec(
        name="fleet",
        prim="/World/fleet",
        endpoint=f"{scheme}://127.0.0.1:{broker.port}/{root}?{query}{mqtt}",
        realm=realm,
    )


def bound(index: int, field: str, kind: ValueKind = ValueKind.NUMBER, **more: Any) -> ChannelSpec:
    """Return a channel of vehicle KIT/0001, or of `address`."""
    given = {"prim": "/World/AMR", "signal": f"s{index}", "address": "KIT/0001", **more}
    return ChannelSpec(index=index, field=field, kind=kind, **given)
