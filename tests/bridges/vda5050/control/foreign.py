"""Vehicles of somebody else's: the fake AGV of `vda5050-sdk` (2.1) behind a real broker."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from vda5050.client.agv.executor import OrderExecutor
from vda5050.config import VehicleConfig
from vda5050.model.enums import MapStatus
from vda5050.model.order import Node, Order
from vda5050.model.state import Map
from vda5050.testing.fake_agv import FakeAgv

from stagetwin.maps import RoadMap
from stagetwin_bridges.broker import LocalBroker

Handler = Callable[[str, bytes], Awaitable[None]]


class PahoTransport:
    """The sdk's transport port on paho: one message after the other on each topic."""

    def __init__(self, broker: LocalBroker) -> None:
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._queues: dict[str, asyncio.Queue[bytes]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self.heard: list[tuple[str, bytes]] = []
        self.said: list[tuple[str, bytes]] = []
        self._client.on_message = self._take

    def attach(self, _: Any) -> PahoTransport:
        """Stand in for the sdk's own broker, which hands out transports."""
        return self

    async def connect(self, *, will: Any = None) -> None:
        credential = self._broker.credential("device")
        self._client.username_pw_set(credential.username, credential.password.get_secret_value())
        if will is not None:
            self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._client.connect("127.0.0.1", self._broker.port)
        self._client.loop_start()

    async def disconnect(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._client.disconnect()
        self._client.loop_stop()

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> None:
        self.said.append((topic, payload))
        self._client.publish(topic, payload, qos, retain)

    async def subscribe(self, topic: str, handler: Handler, *, qos: int = 0) -> None:
        queue = self._queues[topic] = asyncio.Queue()
        self._tasks.append(self._loop.create_task(self._serve(topic, queue, handler)))
        self._client.subscribe(topic, qos)

    async def _serve(self, topic: str, queue: asyncio.Queue[bytes], handler: Handler) -> None:
        while True:
            await handler(topic, await queue.get())

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        self.heard.append((message.topic, bytes(message.payload)))
        queue = self._queues[message.topic]
        self._loop.call_soon_threadsafe(queue.put_nowait, bytes(message.payload))


class _Driving(OrderExecutor):
    """Drives to a node in a straight line; without this it would never arrive."""

    pace = 0.02

    async def visit_node(self, node: Node) -> None:
        at = self._publisher.agv_position
        assert at is not None
        assert node.node_position is not None
        far = math.dist((at.x, at.y), (node.node_position.x, node.node_position.y))
        steps = max(round(far / 0.5), 1)
        for i in range(1, steps + 1):
            await asyncio.sleep(self.pace)
            self._publisher.update_position(
                x=at.x + (node.node_position.x - at.x) * i / steps,
                y=at.y + (node.node_position.y - at.y) * i / steps,
                theta=node.node_position.theta or 0.0,
                map_id=node.node_position.map_id,
            )


class _DrivingAgv(FakeAgv):
    pace = 0.02

    async def _handle_order(self, order: Order) -> None:
        driving = _Driving(self.client.publisher)
        driving.pace = self.pace
        await driving.run(order)


class ForeignVehicle:
    """One of them, on a loop and a thread of its own.

    Args:
        broker: where it connects.
        road_map: where it drives.
        serial: its serial number; its manufacturer is `SDK`.
        start: node it stands on.
        pace: how long it takes for half a metre [s].
    """

    def __init__(
        self,
        broker: LocalBroker,
        road_map: RoadMap,
        serial: str = "F1",
        start: str = "n00",
        pace: float = 0.02,
    ) -> None:
        self._pace = pace
        self._broker, self._map, self._serial, self._start = broker, road_map, serial, start
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), daemon=True)

    async def _live(self) -> None:
        at = self._map.nodes[self._start]
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._transport = PahoTransport(self._broker)
        config = VehicleConfig(
            manufacturer="SDK", serial_number=self._serial, state_interval=1.0, arrival_timeout=2.0
        )
        agv = _DrivingAgv(
            config,
            self._transport,
            initial_node_id=at.id,
            start_x=at.x,
            start_y=at.y,
            start_map_id=self._map.id,
        )
        agv.pace = self._pace
        await agv.start()
        self._agv = agv
        self._ready.set()
        await self._stop.wait()
        await agv.stop()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def heard(self, topic: str) -> list[bytes]:
        """Return what came for it on a topic."""
        return [data for where, data in list(self._transport.heard) if where.endswith(topic)]

    def carry_map(self, map_id: str) -> None:
        """Let it have another map than it had."""
        entry = Map(map_id=map_id, map_version="1", map_status=MapStatus.ENABLED)
        self._loop.call_soon_threadsafe(self._agv.client.publisher.set_maps, [entry])

    @property
    def place(self) -> tuple[float, float]:
        """Where it believes to be."""
        at = self._agv.client.publisher.agv_position
        assert at is not None
        return at.x, at.y
