"""A running OPC UA connection: monitored items in, samples out."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator, Sequence
from typing import Final

from asyncua.client.client import Client

from stagetwin.ports import (
    ChannelSpec,
    ConnectionSpec,
    ConnectionState,
    Credential,
    Reject,
    Sink,
)
from stagetwin_bridges._errors import ConnectionConfigError, FieldError, RefusedError
from stagetwin_bridges._sinks import SafeSink
from stagetwin_bridges.fields import FieldPath
from stagetwin_bridges.opcua._address import Address
from stagetwin_bridges.opcua._options import Endpoint
from stagetwin_bridges.opcua._rows import Rows
from stagetwin_bridges.opcua._session import close_client, open_client
from stagetwin_bridges.opcua._subscription import Session
from stagetwin_bridges.opcua._thread import LoopThread

__all__ = ["OpcUaBridge", "channel_problems"]

logger = logging.getLogger(__name__)

_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0
_HEALTHY: Final = 5.0
"""A session that lasted so long was no failed attempt [s]."""
_LOOK: Final = 0.25
_TELL: Final = 1.0
_VOUCH: Final = 5.0
_RETRY: Final = 30.0
_STOP: Final = 3.0
_NAMED: Final = 3


def channel_problems(channel: ChannelSpec) -> list[str]:
    """Return what is wrong with a channel's address, field and encoding."""
    problems: list[str] = []
    try:
        Address.parse(channel.address)
    except FieldError as error:
        problems.append(str(error))
    try:
        steps = FieldPath.parse(channel.field).steps if channel.field else ()
    except FieldError as error:
        problems.append(str(error))
    else:
        if not all(isinstance(step, int) for step in steps[:1]):
            problems.append(
                f"field {channel.field!r}: expected nothing, or an index into an array such as [2]"
            )
    if channel.encoding != "auto":
        problems.append(
            f"encoding {channel.encoding!r}: OPC UA says the type of every value; allowed: auto"
        )
    if channel.availability:
        problems.append("availability: a subscription says by itself that the server lives")
    return problems


def back_off() -> Iterator[float]:
    """Yield waiting times [s]: doubling, each shortened at random so that clients spread out."""
    wait = _FIRST_DELAY
    while True:
        yield wait * random.uniform(0.5, 1.0)  # noqa: S311
        wait = min(wait * 2, _LONGEST_DELAY)


class OpcUaBridge:
    """`Bridge` of one OPC UA connection, and the `Output` of its session.

    Each connection is made by a new client with new subscriptions. Whether it stands is judged by
    what the server publishes: data, or word that there is none. Values that changed while it did
    not stand are recorded as `rejected(Reject.LOST, 0, ...)`: a gap whose size is unknown.
    """

    def __init__(
        self,
        connection: ConnectionSpec,
        endpoint: Endpoint,
        channels: Sequence[ChannelSpec],
        sink: Sink,
        credential: Credential | None,
    ) -> None:
        """Prepare; nothing happens before `start`."""
        self._connection = connection
        self._endpoint = endpoint
        self._sink = SafeSink(sink)
        self._credential = credential
        self._channels = self._sound(channels)
        self._thread = LoopThread(f"opcua-{connection.name}")
        # Of that thread alone:
        self._session: Session | None = None
        self._rebound = asyncio.Event()
        self._lost_at: float | None = None
        self._cause = ""

    # -- Bridge ----------------------------------------------------------------------------------

    def start(self) -> None:
        """See Bridge."""
        self._thread.start(self._serve)

    def rebind(self, channels: Sequence[ChannelSpec]) -> None:
        """See Bridge. Only the difference is watched and unwatched, in the background."""
        sound = self._sound(channels)
        if not self._thread.call(self._take, sound):
            self._channels = sound

    def stop(self) -> None:
        """See Bridge. Takes 3 s at most, whatever the server does."""
        self._thread.stop(_STOP)

    def _sound(self, channels: Sequence[ChannelSpec]) -> tuple[ChannelSpec, ...]:
        sound: list[ChannelSpec] = []
        for channel in channels:
            if problems := channel_problems(channel):
                text = "; ".join(problems)
                logger.warning("%s, %s: %s", channel.prim, channel.signal, text)
                self.refuse(channel, Reject.UNBOUND, text)
            else:
                sound.append(channel)
        return tuple(sound)

    # -- on the loop's thread --------------------------------------------------------------------

    def _take(self, channels: tuple[ChannelSpec, ...]) -> None:
        self._channels = channels
        self._rebound.set()

    async def _serve(self) -> None:
        delays = back_off()
        try:
            while True:
                self._sink.state(ConnectionState.CONNECTING, self._cause)
                state, cause, lived = await self._live()
                self._cause = cause
                self._sink.state(state, cause)
                if lived > _HEALTHY:
                    delays = back_off()
                await asyncio.sleep(next(delays))
        finally:
            self._sink.state(ConnectionState.OFFLINE, "stopped")

    async def _live(self) -> tuple[ConnectionState, str, float]:
        """Live through one connection; return the state after it, its cause, and how long."""
        client: Client | None = None
        loop = asyncio.get_running_loop()
        since: float | None = None
        state = ConnectionState.OFFLINE
        try:
            client = await open_client(
                self._connection, self._endpoint, self._credential, name="telemetry"
            )
            session = Session(client, self._endpoint.options, self)
            self._rebound.clear()
            await session.begin(self._channels)
            since = loop.time()
            self._begin(session)
            cause = await self._watch(session)
        except (ConnectionConfigError, RefusedError) as error:
            state, cause = ConnectionState.FAILED, str(error)
        except TimeoutError:
            cause = f"no answer from {self._endpoint.where} in time"
        except Exception as error:
            # asyncua raises what it happens to on what a server sends; the next try is a new one.
            cause = " ".join(str(error).split()) or type(error).__name__
        finally:
            if since is not None and self._lost_at is None:
                self._lost_at = time.monotonic()
            if self._session is not None:
                self._session.publishing.end("closed")
                self._session = None
            if client is not None:
                await close_client(client)
        return state, cause, loop.time() - since if since is not None else 0.0

    def _begin(self, session: Session) -> None:
        if self._lost_at is not None:
            gap = time.monotonic() - self._lost_at
            self._lost_at = None
            self.count(
                Reject.LOST, 0, f"not connected for {gap:.1f} s: unknown how many were missed"
            )
        self._session = session
        self._sink.vouch([channel.index for channel in session.unwatched], False)
        self._sink.state(ConnectionState.ONLINE, self._shortfall())
        self._sink.vouch(session.watched, True)

    async def _watch(self, session: Session) -> str:
        """Return why a session is given up, when that has come."""
        publishing, loop = session.publishing, asyncio.get_running_loop()
        told = vouched = tried = loop.time()
        rebound = asyncio.ensure_future(self._rebound.wait())
        try:
            while True:
                await asyncio.wait(
                    (publishing.ended, rebound), timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED
                )
                if publishing.ended.done():
                    return publishing.ended.result()
                if silence := publishing.silent():
                    return silence
                now = loop.time()
                if rebound.done():
                    self._rebound.clear()
                    rebound = asyncio.ensure_future(self._rebound.wait())
                    await session.bind(self._channels)
                    vouched = told = -_RETRY
                if session.bad and now - tried > _RETRY:
                    tried = now
                    await session.try_again()
                    vouched = told = -_RETRY
                if now - vouched > _VOUCH:
                    vouched = now
                    self._sink.vouch([channel.index for channel in session.unwatched], False)
                    self._sink.vouch(session.watched, True)
                if now - told > _TELL and (told < 0 or publishing.heard > told):
                    told = now
                    self._sink.state(ConnectionState.ONLINE, self._shortfall())
        finally:
            rebound.cancel()

    # -- Output ----------------------------------------------------------------------------------

    def refuse(self, channel: ChannelSpec, reason: Reject, text: str) -> None:
        """See Output."""
        where = f" field {channel.field}" if channel.field else ""
        self.count(
            reason, 1, f"{channel.prim}, {channel.signal} at {channel.address}{where}: {text}"
        )

    def count(self, reason: Reject, count: int, text: str) -> None:
        """See Output."""
        self._sink.rejected(reason, count, text)

    def hand_over(self, rows: Rows) -> None:
        """See Output."""
        if (batch := rows.take(time.time())) is not None:
            self._sink.samples(batch)

    def _shortfall(self) -> str:
        """Return what is not as it should be though the connection stands."""
        if self._session is None or not self._session.bad:
            return ""
        bad = self._session.bad
        some = ", ".join(f"{address} ({why})" for address, why in list(bad.items())[:_NAMED])
        return f"{len(bad)} of {len({c.address for c in self._channels})} nodes not bound: {some}"
