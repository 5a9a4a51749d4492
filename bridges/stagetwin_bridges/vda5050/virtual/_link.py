"""One vehicle's own connection to the broker: its session, its will, its subscriptions."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from stagetwin_bridges.vda5050.virtual._packets import (
    CONNACK,
    DISCONNECT,
    PINGREQ,
    PUBLISH,
    RETAINED,
    SUBACK,
    PacketError,
    PacketReader,
    connect_packet,
    puback_packet,
    publish_packet,
    published,
    subscribe_packet,
    topic_bytes,
)

__all__ = ["Link", "LinkSettings"]

_REFUSALS: Final = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not allow this client id",
    3: "it is not available",
    4: "user name or password is malformed",
    5: "not authorised",
}
_MOST_PENDING = 4 << 20
"""What may wait in one connection's buffer; more means that nobody reads [bytes]."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How a vehicle connects.

    Attributes:
        client_id: unique at the broker.
        keepalive: [s].
        username, password: of the broker's account.
        filters: topics that it hears.
    """

    client_id: str
    keepalive: int
    filters: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)


class Link(asyncio.Protocol):
    """A connection; once it is lost, another one takes its place.

    Args:
        settings: how to connect.
        will: topic and payload of the last will.
        ready: called once the broker took connection and subscriptions.
        heard: called with topic and payload of what arrives.
        lost: called once, with the cause; empty if it was closed on purpose.
        clock: monotonic time [s].
    """

    def __init__(
        self,
        settings: LinkSettings,
        will: tuple[str, bytes],
        ready: Callable[[], None],
        heard: Callable[[str, bytes], None],
        lost: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._will = will
        self._ready = ready
        self._heard = heard
        self._lost = lost
        self._clock = clock
        self._reader = PacketReader()
        self._transport: asyncio.Transport | None = None
        self._topics: dict[str, bytes] = {}
        self._packet_id = 1
        self._spoke = self._listened = clock()
        self._unanswered = 0
        self._over = False
        self.up = False
        self.unread = 0

    def publish(self, messages: Sequence[tuple[str, bytes, int, bool]]) -> int:
        """Send messages in one write: topic, payload, QoS, retain; return the bytes."""
        transport = self._transport
        if transport is None or not self.up:
            return 0
        if transport.get_write_buffer_size() > _MOST_PENDING:
            self.unread += len(messages)
            return 0
        out = []
        for topic, payload, qos, retain in messages:
            name = self._topics.get(topic)
            if name is None:
                name = self._topics[topic] = topic_bytes(topic)
            number = 0
            if qos:
                self._packet_id = number = self._packet_id % 0xFFFF + 1
            out.append(publish_packet(name, payload, packet_id=number, retain=retain))
        data = out[0] if len(out) == 1 else b"".join(out)
        transport.write(data)
        self._spoke = self._clock()
        return len(data)

    def tend(self) -> None:
        """Keep it alive; to be called about once a second."""
        transport, now = self._transport, self._clock()
        if transport is None or not self.up:
            return
        keepalive = self._settings.keepalive
        if self._unanswered:
            # Calls are counted and not seconds: a process that stood still has not listened.
            self._unanswered += 1
            if self._unanswered > keepalive:
                self._end("the broker does not answer")
        elif max(now - self._spoke, now - self._listened) > keepalive / 2:
            transport.write(PINGREQ)
            self._spoke, self._unanswered = now, 1

    def close(self) -> None:
        """Disconnect in order: the broker forgets the will."""
        if self._transport is not None:
            self._over = True
            if self.up:
                self._transport.write(DISCONNECT)
            self._transport.close()
            self.up = False

    def cut(self) -> None:
        """Cut the socket: the broker publishes the will."""
        if self._transport is not None:
            self._transport.abort()
            self.up = False

    @property
    def open(self) -> bool:
        """Whether there is still a socket, perhaps with something to write."""
        return self._transport is not None

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the broker to take the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        settings = self._settings
        transport.write(
            connect_packet(
                settings.client_id,
                settings.keepalive,
                self._will,
                settings.username,
                settings.password,
            )
        )

    def data_received(self, data: bytes) -> None:
        """Take packets."""
        self._listened, self._unanswered = self._clock(), 0
        try:
            for first, body in self._reader.feed(data):
                self._take(first, body)
        except PacketError as error:
            self._end(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell once."""
        self.up, self._transport = False, None
        if not self._over:
            self._over = True
            self._lost(str(exc) if exc is not None else "the broker closed the connection")

    # -- parts -----------------------------------------------------------------------------------

    def _take(self, first: int, body: bytes) -> None:
        kind = first & 0xF0
        if kind == PUBLISH:
            topic, number, payload = published(first, body)
            if number and self._transport is not None:
                self._transport.write(puback_packet(number))
            if not first & RETAINED:
                # What a broker keeps is of a time that nobody knows: no order for now.
                self._heard(topic, payload)
        elif kind == CONNACK:
            code = body[1] if len(body) > 1 else 3
            if code:
                self._end(f"the broker refuses: {_REFUSALS.get(code, f'code {code}')}")
            elif self._transport is not None:
                self._transport.write(subscribe_packet(1, self._settings.filters))
        elif kind == SUBACK:
            if b"\x80" in body[struct.calcsize("!H") :]:
                self._end("the broker refuses a subscription")
            else:
                self.up = True
                self._ready()

    def _end(self, cause: str) -> None:
        if not self._over:
            self._over = True
            self.cut()
            self._lost(cause)
