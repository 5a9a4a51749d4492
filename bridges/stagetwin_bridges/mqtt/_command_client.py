"""One connection of a command client: made, used by one thread, closed, and never used again.

A paho client keeps what it could not send and sends it after it has connected again. So each
connection has a client of its own, and commands do not pass through the client's queue at all:
they are written to its socket whole, or not.
"""

from __future__ import annotations

import enum
import logging
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from stagetwin_bridges.mqtt._causes import cause_of_end, cause_of_failure, cause_of_refusal
from stagetwin_bridges.mqtt._client import ClientSettings
from stagetwin_bridges.mqtt._dial import CalledOffError, dial
from stagetwin_bridges.mqtt._paho_buffered import realm_of
from stagetwin_bridges.mqtt._replies import HeardReply

__all__ = ["CommandClient", "Written"]

logger = logging.getLogger(__name__)

_SILENCE = 3.0
"""How long what was written may stay without an answer from the other side's network [s]."""
_ANSWER_TIMEOUT = 10.0
"""For the answers to CONNECT and SUBSCRIBE [s]."""
_HUNG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)
_ABORT = struct.pack("ii", 1, 0)


class Written(enum.Enum):
    """How much of a packet the kernel took: not one byte, perhaps a part, or all."""

    NOTHING = enum.auto()
    PART = enum.auto()
    ALL = enum.auto()


class _DialledClient(paho.Client):
    """A client on a socket of `dial`; where paho no longer asks for one, it connects by itself."""

    dial: Callable[[], socket.socket]

    def _create_socket(self) -> Any:
        return self.dial()


class CommandClient:
    """One connection to a broker.

    Args:
        settings: where to, and as whom.
        reply_topic: topic to subscribe to.
        wake: file descriptor that ends a wait when it becomes readable.
        called_off: whether to give up connecting.
        heard: told of every message on the reply topic.

    Attributes:
        granted: whether the subscription to the reply topic stands.
        cause: why the connection is not there, or ended.
        refused: whether that will not heal by itself.
    """

    def __init__(
        self,
        settings: ClientSettings,
        reply_topic: str,
        wake: int,
        called_off: Callable[[], bool],
        heard: Callable[[HeardReply], None],
    ) -> None:
        self._settings = settings
        self._reply_topic = reply_topic
        self._heard = heard
        self._wake = wake
        self._called_off = called_off
        self._online = False
        self._orderly = False
        self._written_at = self._began = time.monotonic()
        self._largest = 0
        self._sock: Any = None
        self._poller, self._probe = select.poll(), select.poll()
        self.granted = False
        self.cause = ""
        self.refused = False
        self._paho = self._make()

    def open(self) -> bool:
        """Connect and send CONNECT; return whether that went well, else `cause` says why not."""
        settings = self._settings
        try:
            self._paho.connect(
                settings.host,
                settings.port,
                settings.keepalive,
                clean_start=True if settings.version == "5" else paho.MQTT_CLEAN_START_FIRST_ONLY,
            )
        except CalledOffError as error:
            self.cause = str(error)
        except (OSError, ValueError) as error:
            self.cause, self.refused = cause_of_failure(
                error, settings.host, settings.port, settings.connect_timeout
            )
        self._began = time.monotonic()
        self._sock = self._paho.socket()
        if self._sock is None:
            return False
        self._poller.register(self._sock.fileno(), select.POLLIN)
        self._poller.register(self._wake, select.POLLIN)
        self._probe.register(self._sock.fileno(), select.POLLOUT | _HUNG_UP)
        return True

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._paho.socket() is not None

    def turn(self, timeout: float) -> bool:
        """Wait for input or a wake, handle the input, and return whether it was a wake.

        Args:
            timeout: longest wait [s].
        """
        client = self._paho
        if client.want_write():
            client.loop_write()
        pending = getattr(self._sock, "pending", lambda: 0)
        ready = dict(self._poller.poll(timeout * 1000))
        if self.alive and self._sock.fileno() in ready:
            client.loop_read()
            # What TLS has decrypted no longer shows on the socket.
            while self.alive and pending():
                client.loop_read()
        if client.want_write():
            client.loop_write()
        return self._wake in ready

    def keep(self) -> None:
        """Send a ping where one is due; about once a second."""
        self._paho.loop_misc()
        late = time.monotonic() - self._began > _ANSWER_TIMEOUT
        if late and self.alive and not self.granted and not self.cause:
            asked = "SUBSCRIBE" if self._online else "CONNECT"
            self.cause = f"no answer to {asked} within {_ANSWER_TIMEOUT:g} s"

    def obstacle(self, size: int) -> str:
        """Return why a packet of so many bytes cannot be written now; empty if it can."""
        if not (self.alive and self.granted) or self.cause:
            return self.cause or "the connection ended"
        if self._largest and size > self._largest:
            return f"{size} bytes are more than the broker takes ({self._largest})"
        if self._paho.want_write():
            return "the socket is not ready: something older waits to be written"
        ready = dict(self._probe.poll(0)).get(self._sock.fileno(), 0)
        if ready & _HUNG_UP:
            return "the broker closed the connection"
        return "" if ready & select.POLLOUT else "the socket is not ready: it would block"

    def write(self, packet: bytes) -> tuple[Written, str]:
        """Hand a packet to the kernel now, and return how much it took and why not all.

        After a part of a packet no other may follow: the connection is of no more use.
        """
        rest = memoryview(packet)
        encrypted = isinstance(self._sock, ssl.SSLSocket)
        self._written_at = time.monotonic()
        try:
            while rest:
                rest = rest[self._sock.send(rest) :]
        except OSError as error:
            whole = len(rest) == len(packet)
            if whole and isinstance(error, BlockingIOError):
                return Written.NOTHING, "the socket is not ready: it would block"
            self.cause = f"connection lost while writing: {error.strerror or error}"
            # TLS may have sent a piece of its record before it failed.
            return Written.NOTHING if whole and not encrypted else Written.PART, self.cause
        return Written.ALL, ""

    def close(self) -> None:
        """Say goodbye and close.

        Where something was written lately, or the connection failed, it is broken off instead, so
        that the kernel does not go on trying to deliver what nobody waits for any longer.
        """
        client = self._paho
        lately = time.monotonic() - self._written_at < _SILENCE
        if self.alive and self._online and not self.cause and not lately:
            self._orderly = True
            client.disconnect()
            client.loop_write()
        sock = client.socket()
        if sock is not None:
            self._on_socket_close(client, None, sock)
            sock.close()

    # -- paho's callbacks ------------------------------------------------------------------------

    def _make(self) -> paho.Client:
        settings = self._settings
        five = settings.version == "5"
        client = _DialledClient(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if five else True,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.dial = lambda: dial(
            settings.host,
            settings.port,
            settings.tls,
            settings.connect_timeout,
            self._wake,
            self._called_off,
        )
        if settings.username:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls is not None:
            client.tls_set_context(settings.tls)
        client.connect_timeout = settings.connect_timeout
        client.suppress_exceptions = True
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        return client

    def _on_socket_open(self, _client: Any, _data: Any, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Else the kernel repeats a command into a broken network for minutes, and delivers it
            # when the network is back.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_SILENCE * 1000))

    def _on_socket_close(self, _client: Any, _data: Any, sock: Any) -> None:
        if not self._orderly and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self.cause = cause_of_refusal(reason, self._settings.version)
            self.refused = True
            return
        self._online = True
        self._largest = getattr(more, "MaximumPacketSize", 0)
        wish: Any = {"qos": 0}
        if self._settings.version == "5":
            keep = SubscribeOptions.RETAIN_DO_NOT_SEND
            wish = {"options": SubscribeOptions(qos=0, retainHandling=keep)}
        client.subscribe(self._reply_topic, **wish)

    def _on_subscribe(
        self, _client: Any, _data: Any, _number: int, reasons: Any, _more: Any
    ) -> None:
        reason = reasons[0]
        if not reason.is_failure:
            self.granted = True
            return
        self.cause = (
            f"subscription to the reply topic {self._reply_topic} refused: {str(reason).lower()}"
        )
        self.refused = True

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: Any, _more: Any) -> None:
        if not self.cause:
            by_broker = flags.is_disconnect_packet_from_server
            self.cause, self.refused = cause_of_end(reason, by_broker, self._online)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        try:
            properties = message.properties
            self._heard(
                HeardReply(
                    topic=message.topic,
                    payload=bytes(message.payload),
                    correlation=getattr(properties, "CorrelationData", None),
                    retained=bool(message.retain),
                    realm=realm_of(properties),
                )
            )
        except Exception:
            # What a device sends must never end the connection.
            logger.exception("a message on the reply topic could not be handled")
