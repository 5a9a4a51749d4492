"""A small fleet control for tests: one MQTT client that hears all vehicles and speaks to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from stagetwin.ports import Credential
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050.messages import (
    Codec,
    Connection,
    Headers,
    Identity,
    Message,
    State,
    topic_of,
)


class FleetControl:
    """Keeps the newest state, connection word and count of messages of each vehicle."""

    def __init__(
        self,
        broker: LocalBroker,
        interface: str,
        version: str,
        credential: Credential | None = None,
    ) -> None:
        self.interface = interface
        self.version = version
        self.codec = Codec(version)
        self.states: dict[str, State] = {}
        self.words: dict[str, list[str]] = {}
        self.heard: dict[str, int] = {}
        self.faults: list[str] = []
        self._check = set[tuple[str, str]]()
        self._news = threading.Condition()
        self._headers: dict[str, Headers] = {}
        credential = credential or broker.credential("device")
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        password = credential.password
        assert password is not None
        self._client.username_pw_set(credential.username, password.get_secret_value())
        if credential.ca_file:
            own = (credential.cert_file or None, credential.key_file or None)
            self._client.tls_set(credential.ca_file, *own)
        self._client.on_connect = self._connected
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", broker.port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self.until(lambda: self._client.is_connected(), 10.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def identity(self, name: str) -> Identity:
        manufacturer, _, serial = name.partition("/")
        return Identity(self.interface, self.version, manufacturer, serial)

    def send(self, name: str, message: Message) -> None:
        """Send to one vehicle."""
        who = self.identity(name)
        headers = self._headers.setdefault(name, Headers(who))
        data = self.codec.encode(headers.stamp(message))
        self._client.publish(topic_of(who, message.topic), data)

    def until(self, holds: Callable[[], bool], seconds: float) -> None:
        """Wait until something holds, looked at whenever something arrives."""
        end = time.monotonic() + seconds
        with self._news:
            while not holds():
                left = end - time.monotonic()
                assert left > 0, "it never came"
                self._news.wait(min(left, 0.2))

    def word(self, name: str) -> str:
        """Return the newest connection state of a vehicle."""
        return (self.words.get(name) or [""])[-1]

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe(f"{self.interface}/#", qos=1)

    def _take(self, _: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
        _, _, manufacturer, serial, topic = message.topic.split("/")
        name = f"{manufacturer}/{serial}"
        if topic in ("order", "instantActions", "zoneSet", "responses"):
            return
        if (name, topic) not in self._check:
            self._check.add((name, topic))
            self.faults += self.codec.faults(topic, message.payload)
        decoded = self.codec.decode(topic, message.payload)
        with self._news:
            self.heard[topic] = self.heard.get(topic, 0) + 1
            if isinstance(decoded, State):
                self.states[name] = decoded
            elif isinstance(decoded, Connection):
                self.words.setdefault(name, []).append(decoded.connection_state)
            self._news.notify_all()
