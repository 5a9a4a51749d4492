"""What one session watches: its subscriptions, and the monitored items in them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from stagetwin.ports import ChannelSpec, Reject, ValueKind
from stagetwin_bridges._errors import FieldError, NamespaceError
from stagetwin_bridges.opcua._address import Address
from stagetwin_bridges.opcua._command_data_types import DataTypes, NotCommandableError
from stagetwin_bridges.opcua._command_reader import attribute, name_of
from stagetwin_bridges.opcua._notification import Decoder, Published
from stagetwin_bridges.opcua._options import OpcUaOptions
from stagetwin_bridges.opcua._publishing import Publishing
from stagetwin_bridges.opcua._requests import Requests, is_too_much, reason_of
from stagetwin_bridges.opcua._rows import NAN, Rows
from stagetwin_bridges.opcua._table import Item, Table, by_address, deliver
from stagetwin_bridges.opcua._types import EPOCH

__all__ = ["Output", "Session"]

_READ: Final = 100
"""Nodes in one Read."""
_MARGIN: Final = 2.0
"""Silence beyond the keep-alive time that is not held against a server [s]."""


def _unix(moment: datetime.datetime) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return (aware - EPOCH) / datetime.timedelta(seconds=1)


class Output(Protocol):
    """Whom a session tells."""

    def refuse(self, channel: ChannelSpec, reason: Reject, text: str) -> None:
        """Count one value that a channel could not take."""

    def count(self, reason: Reject, count: int, text: str) -> None:
        """Count what cannot be laid at the door of one channel."""

    def hand_over(self, rows: Rows) -> None:
        """Deliver what was decoded."""


class Session:
    """Watches the nodes of some channels through one connected client.

    Attributes:
        publishing: its publish requests.
        bad: why nodes are not watched, by address.
    """

    def __init__(self, client: Client, options: OpcUaOptions, output: Output) -> None:
        """Prepare; `begin` subscribes.

        Raises:
            NotConnectedError: the connection has gone already.
        """
        self.bad: dict[str, str] = {}
        self._output = output
        self._rows = Rows()
        self._table = Table()
        self._items: dict[str, Item] = {}
        self._channels: dict[str, tuple[ChannelSpec, ...]] = {}
        self._requests = Requests(client, options)
        self._types = DataTypes(self._requests.reader)
        self._namespaces: list[str] = []
        self._sizes: dict[int, int] = {}
        self._newest = 0
        decoder = Decoder(self._table, self._rows, output.refuse)
        self.publishing = Publishing(client, decoder, self._on_published)

    # -- what is watched -------------------------------------------------------------------------

    @property
    def watched(self) -> list[int]:
        """Indices of the channels whose nodes are watched."""
        return [c.index for item in self._items.values() for c in item.channels]

    @property
    def unwatched(self) -> list[ChannelSpec]:
        """The channels whose nodes cannot be watched now."""
        return [c for address in self.bad for c in self._channels.get(address, ())]

    async def begin(self, channels: Sequence[ChannelSpec]) -> None:
        """Read what the server allows, subscribe, and watch the nodes of these channels.

        Raises:
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        self._namespaces = await self._requests.reader.namespaces()
        await self._requests.learn_limits()
        await self._subscribe()
        await self.bind(channels)

    async def bind(self, channels: Sequence[ChannelSpec]) -> None:
        """Watch the nodes of these channels instead; what stays is not interrupted.

        Raises:
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        self._channels = wanted = by_address(channels)
        self.bad = {address: why for address, why in self.bad.items() if address in wanted}
        gone = [item for address, item in self._items.items() if address not in wanted]
        for item in gone:
            del self._items[item.address]
            self._table.drop(item)
        prime: list[tuple[Item, list[ChannelSpec]]] = []
        for address, item in self._items.items():
            if new := [channel for channel in wanted[address] if channel not in item.channels]:
                prime.append((item, new))
        await self._name_numbers(
            [
                item
                for item, new in prime
                if not item.textual and any(c.kind is ValueKind.TEXT for c in new)
            ]
        )
        for address, item in self._items.items():
            self._table.route(item, wanted[address])
        await self._unwatch(gone)
        await self._prime(prime)
        await self._watch([a for a in wanted if a not in self._items and a not in self.bad])

    async def try_again(self) -> None:
        """Try to watch the nodes that could not be.

        Raises:
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        self._namespaces = await self._requests.reader.namespaces()
        await self._watch(list(self.bad))

    async def _watch(self, addresses: Iterable[str]) -> None:
        items: list[Item] = []
        for address in addresses:
            try:
                node = Address.parse(address).resolve(self._namespaces)
            except (FieldError, NamespaceError) as error:
                self._fail(address, str(error))
                continue
            # From its making on, whatever comes of it finds its way.
            item = self._table.make(address, self._channels.get(address, ()))
            item.node = node
            items.append(item)
        await self._name_numbers([item for item in items if item.textual])
        while items:
            chunk = self._requests.chunk
            items = await self._create(items[:chunk]) + items[chunk:]

    def _fail(self, address: str, why: str) -> None:
        if self.bad.get(address) != why:
            self.bad[address] = why
            for channel in self._channels.get(address, ()):
                self._output.refuse(channel, Reject.UNBOUND, why)

    async def _name_numbers(self, items: Sequence[Item]) -> None:
        """Learn the names of the numbers where text is wanted of an enumeration."""
        for start in range(0, len(items), _READ):
            some = items[start : start + _READ]
            asked = [(i.node, AttributeIds.DataType) for i in some if i.node is not None]
            for item, result in zip(some, await self._requests.read(asked), strict=True):
                data_type = attribute(result) if result is not None else None
                if not isinstance(data_type, ua.NodeId):
                    continue
                try:
                    item.enumeration = (await self._types.wire_type(data_type)).enumeration
                except (NotCommandableError, UaStatusCodeError):
                    # Values come all the same; those that have no name say so.
                    continue

    # -- requests --------------------------------------------------------------------------------

    async def _subscribe(self) -> None:
        granted = await self._requests.subscribe()
        self._newest, self._sizes[granted.number] = granted.number, 0
        self.publishing.add(granted.number, granted.quiet + max(_MARGIN, granted.quiet / 2))

    async def _create(self, items: list[Item]) -> list[Item]:
        """Watch items in one request; return those that are to be tried in another."""
        subscription = self._newest
        try:
            results = await self._requests.create(subscription, items)
        except UaStatusCodeError as error:
            why = reason_of(error)
            if len(items) == 1:
                self._table.drop(items[0])
                self._fail(items[0].address, why)
                return []
            # Too much at once, or one among them that the server chokes on.
            half = len(items) // 2
            if is_too_much(error):
                self._requests.chunk = half
            return await self._create(items[:half]) + await self._create(items[half:])
        again: list[Item] = []
        for item, result in zip(items, results, strict=True):
            if not result.StatusCode.is_bad():
                item.subscription, item.server_id = subscription, int(result.MonitoredItemId)
                self._items[item.address] = item
                self.bad.pop(item.address, None)
                self._sizes[subscription] += 1
            elif (
                result.StatusCode.value == StatusCodes.BadTooManyMonitoredItems
                and self._sizes[subscription]
            ):
                again.append(item)
            else:
                self._table.drop(item)
                self._fail(item.address, name_of(result.StatusCode))
        if again:
            try:
                await self._subscribe()
            except UaStatusCodeError as error:
                why = reason_of(error)
                for item in again:
                    self._table.drop(item)
                    self._fail(item.address, why)
                return []
        return again

    async def _unwatch(self, items: Sequence[Item]) -> None:
        by_subscription: dict[int, list[int]] = {}
        for item in items:
            by_subscription.setdefault(item.subscription, []).append(item.server_id)
        for subscription, ids in by_subscription.items():
            await self._requests.delete(subscription, ids)
            self._sizes[subscription] -= len(ids)

    async def _prime(self, wanted: Sequence[tuple[Item, list[ChannelSpec]]]) -> None:
        """Give new channels of nodes that are watched already the value that was sent before."""
        for start in range(0, len(wanted), _READ):
            some = wanted[start : start + _READ]
            asked = [(i.node, AttributeIds.Value) for i, _ in some if i.node is not None]
            for (item, channels), got in zip(some, await self._requests.read(asked), strict=True):
                if got is None:
                    continue
                status = got.StatusCode.value if got.StatusCode is not None else 0
                moments = (got.SourceTimestamp, got.ServerTimestamp)
                source, server = (NAN if m is None else _unix(m) for m in moments)
                value = got.Value.Value if got.Value is not None else None
                stamp = (source, server, int(status))
                deliver(item, channels, value, stamp, self._rows, self._output.refuse)
        self._output.hand_over(self._rows)

    # -- what comes ------------------------------------------------------------------------------

    def _on_published(self, said: Published, missed: int) -> None:
        output = self._output
        if missed:
            output.count(Reject.LOST, missed, f"{missed} notifications never came")
        if said.overflows:
            output.count(
                Reject.OVERFLOW,
                said.overflows,
                "a queue on the server was full: see the option queue",
            )
        if said.malformed:
            output.count(Reject.MALFORMED, 1, f"a notification cannot be read: {said.malformed}")
        output.hand_over(self._rows)
