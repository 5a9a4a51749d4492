"""Keeps a session of a command client, and says how it stands."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Callable, Sequence

from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaError

from stagetwin.actuation import CommandTarget
from stagetwin.ports import ConnectionSpec, ConnectionState, Credential
from stagetwin_bridges._errors import ConnectionConfigError, RefusedError
from stagetwin_bridges.opcua._command_session import CommandSession, cause_of
from stagetwin_bridges.opcua._options import Endpoint
from stagetwin_bridges.opcua._session import close_client, open_client

__all__ = ["CommandLink"]

_PROBE_INTERVAL = 1.0
_HEALTHY = 5.0
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0


class CommandLink:
    """Connects, watches, and connects anew; lives on one event loop.

    Each connection is made by a new client, which neither reconnects nor repeats.

    Attributes:
        session: the session that stands, or None.
        targets: what may be commanded.
        online: whether commands are taken.
        cause: why they are not.
    """

    def __init__(
        self,
        connection: ConnectionSpec,
        endpoint: Endpoint,
        credential: Credential | None,
        targets: Sequence[CommandTarget],
        open_session: Callable[[Client], CommandSession],
        tell: Callable[[ConnectionState, str], None],
    ) -> None:
        """Prepare; nothing happens before `serve`.

        Args:
            connection: as the stage declares it.
            endpoint: its endpoint, parsed.
            credential: for the server; None is anonymous.
            targets: what may be commanded.
            open_session: makes a session of a connected client.
            tell: told every state, and each second that it still stands.
        """
        self.session: CommandSession | None = None
        # In their order, and found without a search.
        self.targets = dict.fromkeys(targets)
        self.online = False
        self.cause = "not started"
        self._connection = connection
        self._endpoint = endpoint
        self._credential = credential
        self._open_session = open_session
        self._tell_state = tell

    async def serve(self) -> None:
        """Go on until cancelled."""
        delay = _FIRST_DELAY
        self.cause = ""
        try:
            while True:
                self._tell(ConnectionState.CONNECTING, self.cause)
                state, lived = await self._connected()
                self._tell(state, self.cause)
                if lived:
                    delay = _FIRST_DELAY
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311
                delay = min(delay * 2, _LONGEST_DELAY)
        finally:
            self._tell(ConnectionState.OFFLINE, "stopped")

    async def _connected(self) -> tuple[ConnectionState, bool]:
        """Live through one connection; return the state after it, and whether it was healthy."""
        client: Client | None = None
        session: CommandSession | None = None
        online = math.inf
        state = ConnectionState.OFFLINE
        loop = asyncio.get_running_loop()
        try:
            client = await open_client(
                self._connection, self._endpoint, self._credential, name="commands"
            )
            session = self._open_session(client)
            bound = self.targets
            await session.begin(tuple(bound))
            self.session = session
            if self.targets is not bound:
                await session.bind(tuple(self.targets))
            self._tell(ConnectionState.ONLINE, self._shortfall())
            online = loop.time()
            self.cause = await self._watch(session)
        except (ConnectionConfigError, RefusedError) as error:
            state, self.cause = ConnectionState.FAILED, str(error)
        except Exception as error:
            # asyncua raises what it happens to on what a server sends; the next try is a new one.
            self.cause = cause_of(error)
        finally:
            self.session = None
            self.online = False
            await self._let_go(client, session)
        return state, loop.time() - online > _HEALTHY

    async def _watch(self, session: CommandSession) -> str:
        """Return why a connection is given up, when that has come."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(session.wire.lost.wait(), _PROBE_INTERVAL)
            if session.wire.lost.is_set():
                return "connection lost"
            try:
                trouble = await session.probe()
            except TimeoutError:
                trouble = "the server does not answer"
                # One that does a thing at a time still owes an answer, which has a time of its own.
                if not session.under_way:
                    return trouble
            except (UaError, OSError) as error:
                return cause_of(error)
            if trouble:
                self._tell(ConnectionState.OFFLINE, trouble)
            else:
                self._tell(ConnectionState.ONLINE, self._shortfall())

    async def _let_go(self, client: Client | None, session: CommandSession | None) -> None:
        if session is not None:
            await session.close()
        if client is None:
            return
        if session is not None and session.wire.obstacle():
            session.wire.reset()
        await close_client(client)

    def _shortfall(self) -> str:
        """Return which targets cannot be commanded; empty if all can."""
        if self.session is None:
            return ""
        unready = self.session.unready(self.targets)
        if not unready:
            return ""
        return f"{len(unready)} of {len(self.targets)} targets take no commands: {unready[0]}"

    async def rebind(self, session: CommandSession) -> None:
        """Prepare the targets as they are now."""
        try:
            await session.bind(tuple(self.targets))
        except (UaError, OSError):
            return  # The next look at the server's health says so.
        if session is self.session and self.online:
            self._tell(ConnectionState.ONLINE, self._shortfall())

    def _tell(self, state: ConnectionState, cause: str) -> None:
        self.online = state is ConnectionState.ONLINE
        if not self.online:
            self.cause = cause
        self._tell_state(state, cause)
