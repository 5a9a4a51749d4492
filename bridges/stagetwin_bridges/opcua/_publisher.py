"""Writes values into a server the way a device would."""

from __future__ import annotations

import asyncio
import datetime
import logging
import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from stagetwin import WireError
from stagetwin.ports import ConnectionSpec, Credential, Payload
from stagetwin_bridges._errors import (
    ConnectionConfigError,
    FieldError,
    NamespaceError,
    NotConnectedError,
    RealmError,
)
from stagetwin_bridges.opcua._address import Address
from stagetwin_bridges.opcua._command_data_types import NotCommandableError
from stagetwin_bridges.opcua._command_nodes import Nodes, Variable
from stagetwin_bridges.opcua._command_reader import Reader, name_of
from stagetwin_bridges.opcua._command_types import variant_of
from stagetwin_bridges.opcua._options import Endpoint
from stagetwin_bridges.opcua._session import close_client, open_client
from stagetwin_bridges.opcua._thread import LoopThread
from stagetwin_bridges.opcua._types import EPOCH

__all__ = ["OpcUaPublisher"]

logger = logging.getLogger(__name__)

_WINDOW: Final = 1000
"""Values that may wait for their answer."""
_BATCH: Final = 100
_TIMEOUT: Final = 10.0
_PAUSE: Final = 0.5
_STOP: Final = 3.0


@dataclass(slots=True)
class _Message:
    address: str
    value: Any
    time: float


class OpcUaPublisher:
    """`Publisher` of one OPC UA connection.

    Values keep the time at which they were taken, as source time, where the server lets a client
    set it. Several leave in one request, in order. A node that is not there, or does not take a
    value, stops no other: what it was sent counts as not acknowledged.
    """

    def __init__(
        self,
        connection: ConnectionSpec,
        endpoint: Endpoint,
        credential: Credential | None,
        timeout: float = _TIMEOUT,
    ) -> None:
        """Connect.

        Raises:
            RealmError: the connection leads to a plant.
            ConnectionConfigError: profile, options and credential do not fit together.
            NotConnectedError: the server did not accept within `timeout` [s], or refused.
        """
        if connection.realm == "plant":
            raise RealmError(
                f"{connection.prim}: nothing is published to a plant; allowed realms are "
                f"simulation and replay"
            )
        self._connection = connection
        self._endpoint = endpoint
        self._credential = credential
        self._timeout = timeout
        self._change = threading.Condition()
        self._waiting: deque[_Message] = deque()
        self._unanswered = 0
        self._denied = 0
        self._failure: Exception | None = None
        self._connected = threading.Event()
        # Of the thread alone:
        self._wake = asyncio.Event()
        self._known: dict[str, tuple[ua.NodeId, Variable] | None] = {}
        self._untimed: set[str] = set()
        self._warned: set[str] = set()
        self._thread = LoopThread(f"opcua-publisher-{connection.name}")
        self._thread.start(self._serve)
        self._connected.wait(timeout)
        if self._failure is not None or not self._connected.is_set():
            self.close()
            raise self._failure or NotConnectedError(
                f"{connection.prim}: no answer within {timeout:g} s"
            )

    # -- Publisher -------------------------------------------------------------------------------

    def publish(self, address: str, payload: Payload, *, time: float) -> None:
        """See Publisher. Waits while 1000 values are unanswered.

        Raises:
            FieldError: the payload is an object: a node takes one value.
            NotConnectedError: they stayed unanswered for ten seconds.
        """
        if isinstance(payload, Mapping):
            raise FieldError(
                f"address {address!r}: a node takes one value, got an object of {len(payload)}; "
                f"expected an address for each of them, such as one with {{column}}"
            )
        with self._change:
            room = self._change.wait_for(lambda: self._unanswered < _WINDOW, self._timeout)
            if not room or not self._thread.running:
                raise NotConnectedError(f"{self._connection.prim}: the server does not answer")
            self._waiting.append(_Message(address, payload, time))
            self._unanswered += 1
        self._thread.call(self._wake.set)

    def drain(self, timeout: float) -> int:
        """See Publisher. Values that the server refused are among those returned."""
        with self._change:
            self._change.wait_for(lambda: not self._unanswered, timeout)
            return self._unanswered + self._denied

    def close(self) -> None:
        """See Publisher."""
        self._thread.stop(_STOP)

    # -- on the thread ---------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            client: Client | None = None
            try:
                client = await open_client(
                    self._connection, self._endpoint, self._credential, name="publisher"
                )
                nodes = Nodes(Reader(client, self._endpoint.options.timeout))
                namespaces = await Reader(client, self._endpoint.options.timeout).namespaces()
                self._known.clear()
                self._connected.set()
                await self._send(client, nodes, namespaces)
            except (NotConnectedError, ConnectionConfigError) as error:
                if not self._connected.is_set():
                    self._failure = error
                    self._connected.set()
                    return
                logger.warning("%s: %s", self._connection.prim, error)
            except Exception as error:
                # asyncua raises what it happens to; what was not answered is written again.
                logger.warning("%s: connection lost: %s", self._connection.prim, error)
            finally:
                if client is not None:
                    await close_client(client)
            await asyncio.sleep(_PAUSE)

    async def _send(self, client: Client, nodes: Nodes, namespaces: Sequence[str]) -> None:
        while True:
            self._wake.clear()
            while self._waiting:
                with self._change:
                    some = [self._waiting[row] for row in range(min(_BATCH, len(self._waiting)))]
                await self._learn(some, nodes, namespaces)
                taken = await self._write(client, some)
                with self._change:
                    for _ in some:
                        self._waiting.popleft()
                    self._unanswered -= len(some)
                    self._denied += len(some) - taken
                    self._change.notify_all()
            await self._wake.wait()

    async def _learn(
        self, messages: Sequence[_Message], nodes: Nodes, namespaces: Sequence[str]
    ) -> None:
        """Find out the nodes and types of addresses that are met for the first time."""
        new: dict[str, ua.NodeId] = {}
        for address in {message.address for message in messages} - self._known.keys():
            self._known[address] = None
            try:
                new[address] = Address.parse(address).resolve(namespaces)
            except (FieldError, NamespaceError) as error:
                logger.warning("nothing is written: %s", error)
        found = await nodes.variables(list(new.values()))
        for (address, node), variable in zip(new.items(), found, strict=True):
            if isinstance(variable, NotCommandableError):
                logger.warning("nothing is written to %s: %s", address, variable)
            else:
                self._known[address] = (node, variable)

    async def _write(self, client: Client, messages: Sequence[_Message]) -> int:
        """Write values; return how many the server took."""
        wanted: list[tuple[_Message, ua.WriteValue]] = []
        for message in messages:
            try:
                if value := self._value(message):
                    wanted.append((message, value))
            except (WireError, KeyError) as error:
                self._warn(message.address, str(error))
        if not wanted:
            return 0
        results = await self._ask(client, [value for _, value in wanted])
        again: list[int] = []
        for row, ((message, value), result) in enumerate(zip(wanted, results, strict=True)):
            if result.value == StatusCodes.BadWriteNotSupported and value.Value.SourceTimestamp:
                self._untimed.add(message.address)
                value.Value = ua.DataValue(value.Value.Value, StatusCode=None)
                again.append(row)
        if again:
            # Such a server lets nobody say when a value was taken; it takes the value alone.
            for row, result in zip(
                again, await self._ask(client, [wanted[row][1] for row in again]), strict=True
            ):
                results[row] = result
        for (message, _), result in zip(wanted, results, strict=True):
            if result.is_bad():
                self._warn(message.address, name_of(result))
        return sum(not result.is_bad() for result in results)

    def _warn(self, address: str, why: str) -> None:
        """Say why a node does not take values, once."""
        if address not in self._warned:
            self._warned.add(address)
            logger.warning("not written to %s: %s", address, why)

    @staticmethod
    async def _ask(client: Client, values: list[ua.WriteValue]) -> list[ua.StatusCode]:
        parameters = ua.WriteParameters()
        parameters.NodesToWrite = values
        results = await client.uaclient.session.write(parameters)
        if len(results) != len(values):
            raise NotConnectedError(f"expected {len(values)} results of a Write")
        return results

    def _value(self, message: _Message) -> ua.WriteValue | None:
        known = self._known[message.address]
        if known is None:
            return None
        node, variable = known
        kind = variable.wire_type.variant or _kind_of(message.value)
        value = message.value
        if kind is ua.VariantType.Boolean and value in (0, 1):
            value = bool(value)
        elif kind is ua.VariantType.String and isinstance(value, (int, float)):
            value = str(value)
        array = isinstance(value, (list, tuple)) if variable.rank < -1 else variable.rank >= 0
        variant = variant_of(value, kind, array=array, enumeration=variable.wire_type.enumeration)
        wanted = ua.WriteValue()
        wanted.NodeId = node
        wanted.AttributeId = ua.UInt32(AttributeIds.Value)
        if message.address in self._untimed or not math.isfinite(message.time):
            wanted.Value = ua.DataValue(variant, StatusCode=None)
        else:
            taken: Any = EPOCH + datetime.timedelta(seconds=message.time)
            wanted.Value = ua.DataValue(variant, StatusCode=None, SourceTimestamp=taken)
        return wanted


def _kind_of(value: Any) -> ua.VariantType:
    """Return the type to write where the node takes any."""
    if isinstance(value, bool):
        return ua.VariantType.Boolean
    return ua.VariantType.String if isinstance(value, str) else ua.VariantType.Double
