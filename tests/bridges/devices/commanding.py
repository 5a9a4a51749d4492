"""A commander of the tests: plain paho, keeps telemetry and answers in order of arrival."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stagetwin_bridges.broker import LocalBroker
from tests.bridges.recording_sink import eventually

__all__ = ["Heard", "TestCommander"]

REPLIES = "stagetwin/reply/test"


class Heard(NamedTuple):
    """One message."""

    topic: str
    value: Any
    correlation: bytes
    user: dict[str, str]


class TestCommander:
    """A connected client that hears everything and may command."""

    __test__ = False

    def __init__(self, broker: LocalBroker) -> None:
        self._lock = threading.Lock()
        self._heard: list[Heard] = []
        self._subscribed = threading.Event()
        five = broker.kind == "mosquitto"
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5 if five else paho.MQTTv311
        )
        credential = broker.credential("device")
        self._client.username_pw_set(credential.username, credential.password.get_secret_value())
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        eventually(self._client.is_connected)
        self._client.subscribe("#")
        assert self._subscribed.wait(10)

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

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        more = message.properties
        try:
            value = json.loads(message.payload)
        except ValueError:
            value = message.payload.decode()
        heard = Heard(
            message.topic,
            value,
            bytes(getattr(more, "CorrelationData", b"")),
            dict(getattr(more, "UserProperty", ())),
        )
        with self._lock:
            self._heard.append(heard)

    @property
    def heard(self) -> list[Heard]:
        """Everything so far, without the commands."""
        with self._lock:
            return [each for each in self._heard if "/cmd/" not in each.topic]

    def forget(self) -> None:
        with self._lock:
            self._heard.clear()

    def of(self, topic: str) -> list[Any]:
        """Values of a topic, oldest first."""
        return [each.value for each in self.heard if each.topic == topic]

    def wait_for(self, topic: str, fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the first value of a topic that fits, from now on."""
        seen = len(self.of(topic))

        def found() -> list[Any]:
            return [[v] for v in self.of(topic)[seen:] if fits(v)]

        return eventually(found, 20)[0][0]

    def send(self, topic: str, payload: Any, *, retain: bool = False, **properties: Any) -> None:
        """Publish; bytes and text go as they are."""
        more: Any = None
        if properties:
            more = Properties(PacketTypes.PUBLISH)
            for name, value in properties.items():
                setattr(more, name, value)
        raw = payload if isinstance(payload, (bytes, str)) else json.dumps(payload)
        self._client.publish(topic, raw, qos=1, retain=retain, properties=more)

    def order(self, topic: str, value: Any, order_id: str, **more: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        name = more.pop("field", "value")
        document = {name: value, "id": order_id, "reply_to": REPLIES, **more}
        self.send(topic, document)
        return self.answer(order_id)

    def answer(self, order_id: str, count: int = 1) -> dict[str, Any]:
        """Return the newest answer to an id, when so many have come."""

        def answers() -> list[dict[str, Any]]:
            found = [v for v in self.of(REPLIES) if v["id"] == order_id]
            return found if len(found) >= count else []

        return eventually(answers, 20)[-1]
