"""One virtual vehicle: the state machine, and its own connection."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.mqtt._client import back_off
from stagetwin_bridges.vda5050.messages import (
    Codec,
    Identity,
    InstantActions,
    Order,
    Responses,
    ZoneSet,
    is_retained,
    qos_of,
    topic_of,
)
from stagetwin_bridges.vda5050.vehicle import Vehicle
from stagetwin_bridges.vda5050.virtual._link import Link, LinkSettings

__all__ = ["Counts", "Member", "Place"]

logger = logging.getLogger(__name__)

_SHARED = (Order, InstantActions, ZoneSet, Responses)
_CHECKED = 1000
"""One message in so many of a vehicle is held against the schema, and the first of each topic."""


@dataclass(slots=True)
class Counts:
    """What a virtual fleet sent and heard.

    Attributes:
        sent: messages, by topic.
        sent_bytes: of all packets.
        heard: messages of fleet control.
        orders: orders and updates among them.
        malformed: of those, could not be read.
        connections: that the broker took.
        losses: of connections that were not ended on purpose.
        lost: cause of the newest loss.
        refused: of a broker that does not take them; the newest cause.
        unread: messages that were dropped since the broker does not read.
        late: steps that began more than one step too late.
        failures: what a vehicle could not do or say, for an error of its own.
        failed: the newest of them.
    """

    sent: dict[str, int]
    sent_bytes: int = 0
    heard: int = 0
    orders: int = 0
    malformed: int = 0
    connections: int = 0
    losses: int = 0
    lost: str = ""
    refused: str = ""
    unread: int = 0
    late: int = 0
    failures: int = 0
    failed: str = ""

    @property
    def messages(self) -> int:
        """Messages sent in all."""
        return sum(self.sent.values())


@dataclass(frozen=True, slots=True)
class Place:
    """Where vehicles connect to.

    Attributes:
        host, port: of the broker.
        tls: context of an encrypted connection; None for a plain one.
        username, password: of its account.
        keepalive: [s].
        timeout: for connecting [s].
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    username: str
    password: str
    keepalive: int
    timeout: float

    def __repr__(self) -> str:
        return f"Place({self.host}:{self.port})"


class Member:
    """A vehicle with a connection of its own."""

    def __init__(self, vehicle: Vehicle, codec: Codec, place: Place, counts: Counts) -> None:
        self.vehicle = vehicle
        self.wanted = True
        self._codec = codec
        self._place = place
        self._counts = counts
        self._link: Link | None = None
        self._former: list[Link] = []
        self._changed = asyncio.Event()
        self._number = 0
        self._seen: set[str] = set()
        self._troubled = False
        who = vehicle.identity
        self._topics = {name: topic_of(who, name) for name in codec.topics}
        self._settings = LinkSettings(
            client_id=f"{who.manufacturer}-{who.serial}"[:65_535],
            keepalive=place.keepalive,
            filters=tuple(
                self._topics[kind.topic] for kind in _SHARED if kind.topic in self._topics
            ),
            username=place.username,
            password=place.password,
        )

    @property
    def identity(self) -> Identity:
        """Who it is."""
        return self.vehicle.identity

    @property
    def up(self) -> bool:
        """Whether the broker has taken it."""
        return self._link is not None and self._link.up

    async def keep(self, gate: asyncio.Semaphore, sleep: Callable[[float], Any]) -> None:
        """Keep it connected as long as that is wanted; until cancelled.

        Args:
            gate: bounds how many connect at once: a broker takes a few at a time.
            sleep: how to wait [s].
        """
        waits = back_off()
        while True:
            self._changed.clear()
            if self.wanted and self._link is None:
                async with gate:
                    taken = await self._connect()
                if taken:
                    waits = back_off()
                else:
                    await sleep(next(waits))
                    continue
            await self._changed.wait()
            if self.wanted and self._link is None:
                await sleep(next(waits))

    def step(self, now: float) -> None:
        """Let the vehicle act, and send what it says; what fails in it is no matter of others."""
        try:
            self._step(now)
        except Exception as error:
            self._failed(error)

    def _step(self, now: float) -> None:
        self.vehicle.step(now)
        link = self._link
        out = self.vehicle.outgoing(now)
        if link is None or not link.up:
            return
        if out:
            packets = []
            for message in out:
                topic = message.topic
                self._number += 1
                checked = topic not in self._seen or self._number % _CHECKED == 0
                self._seen.add(topic)
                try:
                    data = self._codec.encode(message, checked=checked)
                except MessageError as error:
                    self._failed(error)
                    continue
                packets.append((self._topics[topic], data, qos_of(topic), is_retained(topic)))
                self._counts.sent[topic] = self._counts.sent.get(topic, 0) + 1
            self._counts.sent_bytes += link.publish(packets)
        if self.vehicle.closing:
            self.leave()

    def tend(self) -> None:
        """Keep the connection alive."""
        if self._link is not None:
            self._link.tend()

    def cut(self) -> None:
        """Cut the socket, and stay away: the broker publishes the will."""
        self.wanted = False
        if self._link is not None:
            link, self._link = self._link, None
            link.cut()
            self._keep_open(link)

    def leave(self) -> None:
        """Disconnect in order."""
        self.wanted = False
        if self._link is not None:
            link, self._link = self._link, None
            link.close()
            self._keep_open(link)

    def come_back(self) -> None:
        """Connect again."""
        self.wanted = True
        self._changed.set()

    def say_goodbye(self, now: float) -> None:
        """Say OFFLINE and disconnect."""
        self.vehicle.disconnect(now)
        self.step(now)
        self.leave()

    def abandon(self) -> None:
        """Cut what is still closing."""
        for link in self._former:
            link.cut()

    @property
    def closing(self) -> bool:
        """Whether a socket that was left is still open."""
        return any(link.open for link in self._former)

    # -- parts -----------------------------------------------------------------------------------

    async def _connect(self) -> bool:
        loop = asyncio.get_running_loop()
        place, now = self._place, time.time()
        taken: asyncio.Future[bool] = loop.create_future()

        def ready() -> None:
            self._counts.connections += 1
            if self.wanted:
                # At once: the next step must find the link that it speaks over.
                self._link = link
                self.vehicle.connect(time.time())
            if not taken.done():
                taken.set_result(True)

        def lost(cause: str) -> None:
            if not taken.done():
                self._counts.refused = cause
                taken.set_result(False)
            elif self._link is link:
                self._counts.losses += 1
                self._counts.lost = cause
                self._link = None
            self._changed.set()

        will = (self._topics["connection"], self._codec.encode(self.vehicle.will(now)))
        link = Link(self._settings, will, ready, self._heard, lost, loop.time)
        good = False
        try:
            async with asyncio.timeout(place.timeout):
                await loop.create_connection(
                    lambda: link,
                    place.host,
                    place.port,
                    ssl=place.tls,
                    server_hostname=place.host if place.tls is not None else None,
                )
                good = await taken
        except (OSError, TimeoutError) as error:
            self._counts.refused = str(error) or "the broker does not answer in time"
        finally:
            # The fleet may end in the middle of it.
            good = good and self._link is link
            if not good:
                link.cut()
                self._keep_open(link)
                # Its end is not news any more.
                taken.cancel()
        return good

    def _keep_open(self, link: Link) -> None:
        """Remember a link that is over until its socket is closed."""
        self._former = [each for each in self._former if each.open]
        self._former.append(link)

    def _heard(self, topic: str, payload: bytes) -> None:
        now = time.time()
        name = topic.rpartition("/")[2]
        self._counts.heard += 1
        self._counts.orders += name == Order.topic
        try:
            message = self._codec.decode(name, payload)
        except MessageError as error:
            self._counts.malformed += 1
            self.vehicle.refuse(name, [str(error)], now, _readable(payload))
            return
        try:
            self.vehicle.receive(message, now)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Count a failure; the first of a vehicle is told in full."""
        self._counts.failures += 1
        self._counts.failed = f"{self.identity.name}: {error!r}"
        if not self._troubled:
            self._troubled = True
            logger.error("virtual vehicle %s failed", self.identity.name, exc_info=error)


def _readable(payload: bytes) -> dict[str, str]:
    """Return what of a malformed message can be referred to (6.6.5.2)."""
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    names = ("headerId", "orderId", "orderUpdateId")
    return {n: str(document[n]) for n in names if isinstance(document.get(n), (str, int))}
