"""A device on a broker: one client, telemetry out, commands in, answers out."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from stagetwin.bindings import CommandBinding
from stagetwin.ports import Credential, Payload
from stagetwin_bridges._messages import Message, MessagePlan
from stagetwin_bridges.devices._controller import Controller
from stagetwin_bridges.devices._log import Answer
from stagetwin_bridges.devices._orders import Envelope, orders_of
from stagetwin_bridges.mqtt._client import REALM_PROPERTY, back_off, settings_of
from stagetwin_bridges.mqtt._options import Endpoint
from stagetwin_bridges.mqtt._times import TIME_UNITS

__all__ = ["MqttTransport"]

_log = logging.getLogger(__name__)

_WITH_WILL = 0x04
"""Reason code of a DISCONNECT after which the broker speaks the last will."""
_START = 10.0
"""How long `start` waits for the broker [s]; the client goes on trying."""


class MqttTransport:
    """`Transport` of one gateway on a broker.

    Args:
        controller: whose machines it serves.
        credential: what it presents to the broker.

    Raises:
        ConnectionConfigError: the endpoint or the credential is wrong.
    """

    protocol: ClassVar[str] = "mqtt"

    def __init__(self, controller: Controller, credential: Credential | None) -> None:
        self._controller = controller
        connection = controller.connection
        endpoint = Endpoint.parse(connection.endpoint)
        self._options = endpoint.options
        self._settings = settings_of(connection, endpoint, credential)
        self._five = self._options.version == "5"
        self._plan = MessagePlan(controller.bindings)
        self._rows: dict[str, list[int]] = {}
        for row, binding in enumerate(controller.bindings):
            self._rows.setdefault(binding.asset, []).append(row)
        self._plans = {
            asset: MessagePlan([controller.bindings[row] for row in rows])
            for asset, rows in self._rows.items()
        }
        self._topics: dict[str, list[CommandBinding]] = {}
        for command in controller.table.commands:
            self._topics.setdefault(command.address, []).append(command)
        self._availability = sorted({b.availability for b in controller.bindings} - {""})
        self._counters: dict[str, int] = {}
        self._orders: set[asyncio.Task[None]] = set()
        self._client: paho.Client | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._online = asyncio.Event()
        self._lost = asyncio.Event()
        self._mark = self._realm_mark()

    # -- the port

    @property
    def online(self) -> bool:
        """See Transport."""
        return self._online.is_set()

    async def start(self) -> None:
        """See Transport."""
        self._keeper = asyncio.create_task(self._keep(), name="mqtt device")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._online.wait(), _START)

    async def publish(self, values: Sequence[Any], *, seldom: bool) -> None:
        """See Transport."""
        if self.online:
            self._send(self._plan, values, seldom=seldom)

    async def stop(self) -> None:
        """See Transport. The broker speaks the last will: a device that goes is gone."""
        client, keeper = self._client, self._keeper
        self._keeper = None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        for order in self._orders:
            order.cancel()
        if self._orders:
            await asyncio.wait(self._orders)
        if client is not None and self.online:
            reason = ReasonCode(PacketTypes.DISCONNECT, identifier=_WITH_WILL)
            for topic in self._availability:
                client.publish(topic, b"offline", qos=0, retain=True)
            client.disconnect(reason if self._five else None)
            client.loop_write()
        self._drop(client)

    # -- the connection

    async def _keep(self) -> None:
        """Connect, and again whenever that is needed."""
        waits = back_off(0.2, 2.0)
        while True:
            self._lost.clear()
            self._client = client = self._make()
            try:
                # A loopback broker answers or refuses at once; the cycle waits that long.
                client.reconnect()
                async with asyncio.timeout(_START):
                    await self._first(self._online.wait(), self._lost.wait())
                while not self._lost.is_set():
                    client.loop_misc()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._lost.wait(), 1.0)
                waits = back_off(0.2, 2.0)
            except (OSError, TimeoutError) as error:
                _log.debug("%s: %s", self._settings.host, error)
            self._drop(client)
            await asyncio.sleep(next(waits))

    @staticmethod
    async def _first(*waits: Any) -> None:
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _make(self) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            protocol=paho.MQTTv5 if self._five else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        if settings.username:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls is not None:
            client.tls_set_context(settings.tls)
        if self._availability:
            client.will_set(self._availability[0], b"offline", qos=1, retain=True)
        client.connect_timeout = 2.0
        client.on_connect = self._on_connect
        client.on_disconnect = lambda *_: self._on_lost()
        client.on_message = self._on_message
        loop = asyncio.get_running_loop()
        client.on_socket_open = lambda _c, _d, sock: self._on_open(loop, client, sock)
        client.on_socket_close = lambda _c, _d, sock: _ignore(loop.remove_reader(sock))
        client.on_socket_register_write = lambda _c, _d, sock: loop.add_writer(
            sock, client.loop_write
        )
        client.on_socket_unregister_write = lambda _c, _d, sock: _ignore(loop.remove_writer(sock))
        client.connect_async(settings.host, settings.port, settings.keepalive)
        return client

    @staticmethod
    def _on_open(loop: asyncio.AbstractEventLoop, client: paho.Client, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop.add_reader(sock, client.loop_read)

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            _log.warning("the broker refuses this device: %s", reason)
            self._on_lost()
            return
        if self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
        for topic in self._availability:
            client.publish(topic, b"online", qos=0, retain=True)
        self._online.set()

    def _on_lost(self) -> None:
        self._online.clear()
        self._lost.set()

    def _drop(self, client: paho.Client | None) -> None:
        """Close a client's socket, whatever state it is in."""
        self._online.clear()
        sock = client.socket() if client is not None else None
        if sock is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(sock)
            loop.remove_writer(sock)
            sock.close()

    # -- telemetry

    def _send(self, plan: MessagePlan, values: Sequence[Any], *, seldom: bool) -> None:
        client = self._client
        now = time.time()
        for message in plan.messages(values, seldom=seldom):
            if client is not None:
                client.publish(
                    message.address, self._encoded(message, now), qos=0, properties=self._mark
                )

    def _encoded(self, message: Message, now: float) -> bytes:
        payload: Payload = message.payload
        if isinstance(payload, bytes):
            return payload
        if isinstance(payload, str):
            return payload.encode()
        if not isinstance(payload, Mapping):
            return msgspec.json.encode(payload)
        document = dict(payload)
        if self._options.time is not None:
            self._options.time.place(document, self._source_time(now))
        if self._options.sequence is not None:
            number = self._counters.get(message.address, 0) + 1
            self._counters[message.address] = number
            self._options.sequence.place(document, number)
        return msgspec.json.encode(document)

    def _source_time(self, now: float) -> float | int | str:
        unit = self._options.time_unit
        if unit == "iso":
            return datetime.datetime.fromtimestamp(now, datetime.UTC).isoformat()
        if unit == "relative":
            return time.monotonic()
        return now if unit == "s" else round(now / TIME_UNITS[unit])

    def _realm_mark(self) -> Properties | None:
        if not self._five:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = (REALM_PROPERTY, self._controller.connection.realm)
        return properties

    # -- commands

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        if message.retain:
            # Somebody's command from long ago, kept by the broker: never obeyed.
            _log.warning("a retained command on %s is not obeyed", message.topic)
            return
        task = asyncio.get_running_loop().create_task(
            self._take(message.topic, bytes(message.payload), _envelope(message.properties))
        )
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

    async def _take(self, topic: str, payload: bytes, envelope: Envelope) -> None:
        commands = self._topics.get(topic)
        if not commands:
            return
        orders, reply_to = orders_of(commands, payload, envelope, REALM_PROPERTY)
        for order in orders:
            answer = await self._controller.obey(order)
            if reply_to and not answer.silent:
                self._reply(reply_to, order.id, answer, envelope.correlation)
            asset = order.command.asset
            if answer.ok and self.online and (plan := self._plans.get(asset)) is not None:
                values = self._controller.values()
                self._send(plan, [values[row] for row in self._rows[asset]], seldom=True)

    def _reply(self, topic: str, order_id: str, answer: Answer, correlation: bytes) -> None:
        document: dict[str, Any] = {"id": order_id, "ok": answer.ok}
        if answer.cause:
            document["cause"] = answer.cause
        properties = None
        if self._five:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.UserProperty = (REALM_PROPERTY, self._controller.connection.realm)
            if correlation:
                properties.CorrelationData = correlation
        if self._client is not None and self.online:
            with contextlib.suppress(ValueError):
                # A topic that nobody can publish to is the asker's own mistake.
                self._client.publish(
                    topic, msgspec.json.encode(document), qos=0, properties=properties
                )


def _ignore(_answer: bool) -> None:
    """Drop an answer that paho's callbacks have no place for."""


def _envelope(properties: Any) -> Envelope:
    if properties is None:
        return Envelope()
    return Envelope(
        reply_to=getattr(properties, "ResponseTopic", ""),
        correlation=bytes(getattr(properties, "CorrelationData", b"")),
        properties=dict(getattr(properties, "UserProperty", ())),
    )
