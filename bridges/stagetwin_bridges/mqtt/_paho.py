"""The adapter on paho-mqtt: one thread that connects, reads, writes and connects again."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from stagetwin_bridges._errors import NotConnectedError
from stagetwin_bridges.mqtt._causes import cause_of_end, cause_of_failure, cause_of_refusal
from stagetwin_bridges.mqtt._client import REALM_PROPERTY, ClientSettings, Receiver, back_off
from stagetwin_bridges.mqtt._paho_buffered import BufferedClient, buffered_client, realm_of
from stagetwin_bridges.mqtt._waker import Waker
from stagetwin_bridges.mqtt._window import Window

__all__ = ["PahoClient"]

logger = logging.getLogger(__name__)

_FILTERS_PER_PACKET = 100
_UNACKNOWLEDGED = 1000
"""Published messages that may wait for their acknowledgement."""
_IN_FLIGHT = 100
_SESSION_EXPIRY = 3600
"""How long the broker keeps a session that is not clean [s]."""
_CONNACK_TIMEOUT = 10.0
_TICK = 1.0
_STEADY = 10.0
"""A connection that stood this long [s] lets the waiting times begin anew."""


class PahoClient:
    """`Client` on paho-mqtt."""

    def __init__(self, settings: ClientSettings, receiver: Receiver) -> None:
        self._settings = settings
        self._receiver = receiver
        self._lock = threading.Lock()
        self._window = Window(_UNACKNOWLEDGED)
        self._asked: dict[int, Sequence[str]] = {}
        self._cause = ""
        self._refused = False
        self._online = False
        self._closing = False
        self._batch: list[tuple[bytes, bytes, int, str]] = []
        self._thread: threading.Thread | None = None
        self._waker = Waker()
        self._paho = self._make()

    # -- the port --------------------------------------------------------------------------------

    def start(self) -> None:
        """See Client."""
        name = f"mqtt {self._settings.host}:{self._settings.port}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def subscribe(self, filters: Sequence[str]) -> None:
        """See Client."""
        for some in _slices(filters):
            asked = [(topic, self._wish()) for topic in some]
            with self._lock:
                _, number = self._paho.subscribe(asked)
                if number is not None:
                    self._asked[number] = some

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """See Client."""
        for some in _slices(filters):
            self._paho.unsubscribe(list(some))

    def publish(
        self,
        topic: str,
        payload: bytes,
        realm: str,
        timeout: float,
        *,
        qos: int | None = None,
        retain: bool = False,
    ) -> None:
        """See Client.

        Raises:
            NotConnectedError: too many messages waited for the broker, for too long.
        """
        if not self._window.enter(timeout):
            raise NotConnectedError(
                f"{_UNACKNOWLEDGED} messages wait for an acknowledgement since {timeout:g} s"
                + (f": {self._cause}" if self._cause else "")
            )
        level = self._settings.qos if qos is None else qos
        info = self._paho.publish(
            topic, payload, qos=level, retain=retain, properties=self._mark(realm)
        )
        if info.rc == paho.MQTT_ERR_QUEUE_SIZE or (info.rc and not level):
            self._window.settle(denied=True)

    def drain(self, timeout: float) -> int:
        """See Client."""
        return self._window.drain(timeout)

    def close(self) -> None:
        """See Client. A connection attempt under way ends by its own timeout first."""
        self._closing = True
        self._waker.wake()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()
        if not (self._thread and self._thread.is_alive()):
            self._waker.close()

    # -- paho's callbacks ------------------------------------------------------------------------

    def _make(self) -> paho.Client:
        settings = self._settings
        kind = buffered_client()
        if kind is None:
            logger.warning("this paho-mqtt is not known inside out: reading packet by packet")
        five = settings.version == "5"
        client = (kind or paho.Client)(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if five else settings.clean,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        if isinstance(client, BufferedClient):
            client.read_realm = settings.read_realm
            client.batch = self._batch
        if settings.username:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls is not None:
            client.tls_set_context(settings.tls)
        client.connect_timeout = settings.connect_timeout
        client.max_inflight_messages_set(_IN_FLIGHT)
        client.suppress_exceptions = True
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_socket_open = self._on_socket_open
        # With this set, paho leaves all writing to our thread: two writers would mix packets.
        client.on_socket_register_write = self._on_want_write
        properties = None
        if five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 0 if settings.clean else _SESSION_EXPIRY
        client.connect_async(
            settings.host,
            settings.port,
            settings.keepalive,
            clean_start=settings.clean if five else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
        )
        return client

    def _on_socket_open(self, _client: Any, _data: Any, sock: Any) -> None:
        # Else an acknowledgement waits for the peer's delayed one: 40 ms each way.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_want_write(self, *_: Any) -> None:
        if threading.current_thread() is not self._thread:
            self._waker.wake()

    def _on_connect(self, client: Any, _data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._cause = cause_of_refusal(reason, self._settings.version)
            self._refused = True
            return
        # The broker's own limit; paho's setter refuses to change it on an open connection.
        most = min(_IN_FLIGHT, getattr(more, "ReceiveMaximum", _IN_FLIGHT))
        client._max_inflight_messages = most  # noqa: SLF001
        self._online = True
        self._cause = ""
        self._receiver.connected(bool(flags.session_present))

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: Any, _more: Any) -> None:
        if not self._settings.qos:
            self._window.give_up()
        if not self._cause:
            by_broker = flags.is_disconnect_packet_from_server
            self._cause, self._refused = cause_of_end(reason, by_broker, self._online)

    def _on_subscribe(
        self, _client: Any, _data: Any, number: int, reasons: Any, _more: Any
    ) -> None:
        with self._lock:
            filters = self._asked.pop(number, ())
            answered = not self._asked
        refused: dict[str, list[str]] = {}
        for topic, reason in zip(filters, reasons, strict=False):
            if reason.is_failure:
                refused.setdefault(str(reason).lower(), []).append(topic)
        for cause, some in refused.items():
            self._receiver.refused(some, cause)
        if answered:
            self._receiver.subscribed()

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        flags = message.qos << 1 | bool(message.retain) | (8 if message.dup else 0)
        realm = realm_of(message.properties) if self._settings.read_realm else ""
        try:
            topic = message.topic.encode()
        except UnicodeDecodeError:
            topic = b"\xff"
        self._batch.append((topic, bytes(message.payload), flags, realm))

    def _on_publish(self, _client: Any, _data: Any, _number: int, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            logger.warning("the broker refused a message: %s", reason)
        self._window.settle(denied=reason.is_failure)

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        waits, settings = back_off(), self._settings
        while not self._closing:
            self._cause, self._refused, self._online = "", False, False
            self._asked.clear()
            self._receiver.connecting()
            began = time.monotonic()
            try:
                self._paho.reconnect()
                self._serve()
            except (OSError, ValueError) as error:
                self._cause, self._refused = cause_of_failure(
                    error, settings.host, settings.port, settings.connect_timeout
                )
            except Exception as error:
                # Whatever it is, the twin must come back: said loudly, and tried again.
                logger.exception("mqtt client failed")
                self._cause, self._refused = f"client failed: {error!r}", True
            self._drop_socket()
            self._online = False
            if self._closing:
                break
            self._receiver.lost(self._cause or "connection lost", self._refused)
            if time.monotonic() - began >= _STEADY:
                waits = back_off()
            self._waker.wait(next(waits), lambda: self._closing)

    def _serve(self) -> None:
        """Read and write until the connection ends or `close` is called."""
        client, receiver = self._paho, self._receiver
        sock = client.socket()
        if sock is None:
            return
        pending = getattr(sock, "pending", lambda: 0)
        both, wake = select.poll(), select.poll()
        both.register(sock.fileno(), select.POLLIN)
        for poller in (both, wake):
            poller.register(self._waker.fileno(), select.POLLIN)
        socket_fd, wake_fd = sock.fileno(), self._waker.fileno()
        writing = False
        buffered, acknowledged = isinstance(client, BufferedClient), False
        hold: float | None = None
        began = tick = time.monotonic()
        while client.socket() is not None and not self._closing:
            if client.want_write():
                client.loop_write()
                if client.socket() is None:
                    break
            if writing != client.want_write():
                writing = not writing
                both.modify(socket_fd, select.POLLIN | (select.POLLOUT if writing else 0))
            if hold is not None and buffered and not acknowledged:
                # Messages come faster than they are handed over: let them pile up in the kernel
                # meanwhile and take them at once. With QoS 1 the broker would wait for our
                # acknowledgements, so there we read on.
                ready = dict(wake.poll(hold * 1000))
                if wake_fd not in ready:
                    ready = dict(both.poll(0))
            elif pending():
                ready = {socket_fd: select.POLLIN}
            else:
                ready = dict(both.poll(1000 * min(_TICK if hold is None else hold, _TICK)))
            if wake_fd in ready:
                self._waker.drain()
            if ready.get(socket_fd, 0) & ~select.POLLOUT:
                client.loop_read()
                if self._batch:
                    acknowledged = bool(self._batch[-1][2] & 0x06)
                    receiver.messages(self._batch)
                    self._batch.clear()
            hold = receiver.drained()
            now = time.monotonic()
            if now - tick >= _TICK:
                tick = now
                client.loop_misc()
                if self._online:
                    receiver.alive()
                elif now - began > _CONNACK_TIMEOUT:
                    self._cause = f"no answer to CONNECT within {_CONNACK_TIMEOUT:g} s"
                    return

    def _drop_socket(self) -> None:
        """Say goodbye if the other side still listens, and close."""
        sock = self._paho.socket()
        if sock is None:
            return
        self._paho.disconnect()
        self._paho.loop_write()
        sock.close()

    # -- small parts -----------------------------------------------------------------------------

    def _wish(self) -> Any:
        if self._settings.version != "5":
            return self._settings.qos
        # Retained messages come for new subscriptions only, not when a session goes on.
        return SubscribeOptions(
            qos=self._settings.qos, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        )

    def _mark(self, realm: str) -> Properties | None:
        if self._settings.version != "5" or not realm:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = (REALM_PROPERTY, realm)
        return properties


def _slices(filters: Sequence[str]) -> list[Sequence[str]]:
    return [
        filters[at : at + _FILTERS_PER_PACKET] for at in range(0, len(filters), _FILTERS_PER_PACKET)
    ]
