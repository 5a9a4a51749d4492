"""A device: publishes any bytes, retained or not, with a last will; plain paho."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stagetwin_bridges.broker import LocalBroker
from tests.bridges.recording_sink import eventually

__all__ = ["Device"]


class Device:
    """A connected client that may write.

    Args:
        broker: where to.
        will: topic and payload that the broker publishes, retained, when the device vanishes.
    """

    def __init__(self, broker: LocalBroker, will: tuple[str, bytes] | None = None) -> None:
        version = paho.MQTTv5 if broker.kind == "mosquitto" else paho.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
        credential = broker.credential("publisher")
        self._client.username_pw_set(credential.username, credential.password.get_secret_value())
        if will:
            self._client.will_set(*will, qos=1, retain=True)
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
        self.close()

    def send(
        self,
        topic: str,
        payload: bytes | str,
        *,
        qos: int = 1,
        retain: bool = False,
        realm: str = "",
        more: int = 0,
    ) -> None:
        """Publish; `more` adds that many bytes of properties."""
        properties: Any = None
        if realm or more:
            properties = Properties(PacketTypes.PUBLISH)
            if more:
                properties.UserProperty = ("filler", "x" * more)
            if realm:
                properties.UserProperty = ("stagetwin-realm", realm)
        self._last = self._client.publish(topic, payload, qos, retain, properties)

    def settle(self) -> None:
        """Wait until the broker has what was sent last."""
        self._last.wait_for_publish(10)

    def vanish(self) -> None:
        """Break the connection without a word, so that the broker speaks the last will."""
        self._client.loop_stop()
        sock = self._client.socket()
        assert sock is not None
        sock.close()

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
