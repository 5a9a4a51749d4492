"""Vehicles behind a real broker, each on a thread of its own, for tests of the way down."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from stagetwin.fleets import VehicleType
from stagetwin.maps import RoadMap
from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050.messages import (
    Codec,
    Identity,
    Message,
    is_retained,
    qos_of,
    topic_of,
)
from stagetwin_bridges.vda5050.vehicle import Vehicle, VehicleOptions, make_factsheet
from tests.bridges.vda5050.control.floor import Walkers

PERIOD = 0.04


class LiveVehicle:
    """A vehicle of ours with a client and a will of its own.

    Args:
        broker: where it connects.
        road_map: where it drives.
        serial: its serial number.
        version: of the standard.
        start: node it stands on.
        speed: [m/s].

    Attributes:
        vehicle, bodies: the vehicle and its body.
        heard: every message for it, in order.
        deaf: how many of the next orders it does not hear.
        mute: whether what it says is lost.
    """

    def __init__(
        self,
        broker: LocalBroker,
        road_map: RoadMap,
        serial: str = "0001",
        version: str = "3.0.0",
        start: str = "n00",
        speed: float = 8.0,
    ) -> None:
        self.identity = Identity("vda5050", version, "KIT", serial)
        self.codec = Codec(version)
        at = road_map.nodes[start]
        self.bodies = Walkers([(at.x, at.y, 0.0)], speed)
        self.vehicle = Vehicle(
            self.identity,
            make_factsheet(VehicleType(speed=speed), version),
            bodies=self.bodies,
            index=0,
            road_map=road_map,
            options=VehicleOptions(state_interval=1.0, visualization_interval=0.0),
        )
        self.heard: list[Message] = []
        self.deaf, self.mute = 0, False
        self.lock = threading.Lock()
        self._stopped = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        credential = broker.credential("device")
        self._client.username_pw_set(credential.username, credential.password.get_secret_value())
        will = self.vehicle.will(time.time())
        self._client.will_set(self._topic(will), self.codec.encode(will), qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_message = self._obey
        self._client.connect("127.0.0.1", broker.port)
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(10)
        self.vehicle.disconnect(time.time())
        for word in self.vehicle.outgoing(time.time()):
            data = self.codec.encode(word)
            kept = is_retained(word.topic)
            told = self._client.publish(self._topic(word), data, qos_of(word.topic), kept)
            if word.topic == "connection" and self._client.is_connected():
                told.wait_for_publish(5)
        self._client.disconnect()
        self._client.loop_stop()

    def _topic(self, message: Message) -> str:
        return topic_of(self.identity, message.topic)

    def _connected(self, client: Any, *_: Any) -> None:
        client.subscribe([(f"{self.identity.root}/{t}", 0) for t in self.codec.topics[:2]])
        if "responses" in self.codec.topics:
            client.subscribe([(f"{self.identity.root}/{t}", 0) for t in ("responses", "zoneSet")])
        with self.lock:
            self.vehicle.connect(time.time())

    def _obey(self, _client: Any, _data: Any, message: Any) -> None:
        try:
            asked = self.codec.decode(message.topic, message.payload)
        except MessageError as error:
            with self.lock:
                self.vehicle.refuse(message.topic.rpartition("/")[2], [str(error)], time.time())
            return
        with self.lock:
            self.heard.append(asked)
            if asked.topic == "order" and self.deaf > 0:
                self.deaf -= 1
                return
            self.vehicle.receive(asked, time.time())

    def _live(self) -> None:
        before = time.monotonic()
        while not self._stopped.wait(PERIOD):
            now = time.monotonic()
            with self.lock:
                self.bodies.step(now - before)
                before = now
                self.vehicle.step(time.time())
                words = self.vehicle.outgoing(time.time())
            for word in () if self.mute else words:
                data = self.codec.encode(word, checked=False)
                retained = is_retained(word.topic)
                self._client.publish(self._topic(word), data, qos_of(word.topic), retained)

    # -- for tests

    def orders(self) -> list[Any]:
        """Return the orders that came, in order."""
        with self.lock:
            return [message for message in self.heard if message.topic == "order"]

    @property
    def place(self) -> tuple[float, float]:
        """Where it is."""
        with self.lock:
            x, y, _ = self.bodies.poses()[0]
            return float(x), float(y)
