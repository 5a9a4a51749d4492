"""What one session watches: its subscriptions, and the monitored items in them."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from stagetwin.ports import ChannelSpec, Reject
from stagetwin_bridges._errors import FieldError, NamespaceError, NotConnectedError
from stagetwin_bridges.opcua._address import Address
from stagetwin_bridges.opcua._command_data_types import DataTypes, NotCommandableError
from stagetwin_bridges.opcua._command_reader import Reader, attribute, name_of
from stagetwin_bridges.opcua._notification import Decoder, Published
from stagetwin_bridges.opcua._options import OpcUaOptions
from stagetwin_bridges.opcua._publishing import Publishing
from stagetwin_bridges.opcua._rows import NAN, Rows
from stagetwin_bridges.opcua._table import Item, Table, by_address, deliver
from stagetwin_bridges.opcua._types import EPOCH

__all__ = ["Output", "Session"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_CHUNK: Final = 1000
"""Monitored items in one request, where the server allows as many."""
_READ: Final = 100
"""Nodes in one Read."""
_FATAL: Final = (
    "BadSession",
    "BadSecure",
    "BadSubscription",
    "BadNoSubscription",
    "BadConnection",
    "BadTimeout",
    "BadShutdown",
    "BadServer",
    "BadTcp",
)
"""How statuses begin that concern more than the nodes of a request."""
_SHORTEST_LIFE: Final = 10.0
"""A subscription outlives so long a silence of ours [s]."""
_MARGIN: Final = 2.0
"""Silence beyond the keep-alive time that is not held against a server [s]."""
_PATIENCE: Final = 4
"""Answer times granted to a request about many items."""
_TOO_MUCH: Final = frozenset(
    {
        StatusCodes.BadTooManyOperations,
        StatusCodes.BadEncodingLimitsExceeded,
        StatusCodes.BadRequestTooLarge,
        StatusCodes.BadResponseTooLarge,
    }
)


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
        self._client = client
        self._options = options
        self._output = output
        self._rows = Rows()
        self._table = Table()
        self._items: dict[str, Item] = {}
        self._channels: dict[str, tuple[ChannelSpec, ...]] = {}
        self._reader = Reader(client, options.timeout)
        self._types = DataTypes(self._reader)
        self._namespaces: list[str] = []
        self._chunk = _CHUNK
        self._sizes: dict[int, int] = {}
        self._newest = 0
        self._interval = options.publishing
        self._said: set[str] = set()
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
        self._namespaces = await self._reader.namespaces()
        node = ua.NodeId(
            ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall)
        )
        (result,) = await self._reader.read([(node, AttributeIds.Value)])
        allowed = attribute(result)
        if isinstance(allowed, int) and allowed > 0:
            self._chunk = min(allowed, _CHUNK)
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
            self._table.route(item, wanted[address])
        await self._unwatch(gone)
        await self._prime(prime)
        await self._watch([a for a in wanted if a not in self._items and a not in self.bad])

    async def try_again(self) -> list[int]:
        """Try to watch the nodes that could not be; return the channels that now are.

        Raises:
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        before = list(self.bad)
        await self._watch(before)
        return [c.index for a in before if a in self._items for c in self._items[a].channels]

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
            some, items = items[: self._chunk], items[self._chunk :]
            items = await self._create(some) + items

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
            for item, result in zip(some, await self._read(asked), strict=True):
                data_type = attribute(result) if result is not None else None
                if not isinstance(data_type, ua.NodeId):
                    continue
                try:
                    item.enumeration = (await self._types.wire_type(data_type)).enumeration
                except (NotCommandableError, UaStatusCodeError):
                    # Values come all the same; those that have no name say so.
                    continue

    # -- requests --------------------------------------------------------------------------------

    async def _ask(self, request: Any, answer: type[T], patience: int = _PATIENCE) -> T:
        protocol = self._client.uaclient.protocol
        if protocol is None:
            raise NotConnectedError("connection lost")
        body = await protocol.send_request(request, self._options.timeout * patience)
        response: Any = struct_from_binary(answer, body)
        response.ResponseHeader.ServiceResult.check()
        answered: T = response
        return answered

    async def _read(
        self, wanted: Sequence[tuple[ua.NodeId, AttributeIds]]
    ) -> list[ua.DataValue | None]:
        """Read attributes; None for one that the server refuses to read at all."""
        try:
            return [*await self._reader.read(wanted)]
        except UaStatusCodeError as error:
            if name_of(ua.StatusCode(ua.UInt32(error.code))).startswith(_FATAL):
                raise
            if len(wanted) == 1:
                return [None]
            half = len(wanted) // 2
            return await self._read(wanted[:half]) + await self._read(wanted[half:])

    async def _subscribe(self) -> int:
        options = self._options
        request = ua.CreateSubscriptionRequest()
        asked = request.Parameters
        asked.RequestedPublishingInterval = ua.Double(options.publishing * 1000)
        asked.RequestedMaxKeepAliveCount = ua.UInt32(options.keepalive)
        life = max(3 * options.keepalive, round(_SHORTEST_LIFE / options.publishing))
        asked.RequestedLifetimeCount = ua.UInt32(life)
        asked.PublishingEnabled = True
        result = (await self._ask(request, ua.CreateSubscriptionResponse, 1)).Parameters
        interval = result.RevisedPublishingInterval / 1000
        quiet = interval * result.RevisedMaxKeepAliveCount
        self._interval = interval
        if interval > options.publishing * 1.001:
            self._say(f"the server publishes every {interval:g} s, not {options.publishing:g} s")
        if quiet > 1.001 * options.publishing * options.keepalive:
            self._say(f"the server says that it lives every {quiet:g} s")
        number = int(result.SubscriptionId)
        self._newest, self._sizes[number] = number, 0
        self.publishing.add(number, quiet + max(_MARGIN, quiet / 2))
        return number

    async def _create(self, items: list[Item]) -> list[Item]:
        """Watch items in one request; return those that are to be tried in another."""
        subscription = self._newest
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = ua.UInt32(subscription)
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.ItemsToCreate = [self._request(item) for item in items]
        try:
            results = (await self._ask(request, ua.CreateMonitoredItemsResponse)).Results
        except UaStatusCodeError as error:
            why = name_of(ua.StatusCode(ua.UInt32(error.code)))
            if why.startswith(_FATAL):
                raise
            if len(items) == 1:
                self._table.drop(items[0])
                self._fail(items[0].address, why)
                return []
            # Too much at once, or one among them that the server chokes on.
            half = len(items) // 2
            if error.code in _TOO_MUCH:
                self._chunk = half
            return await self._create(items[:half]) + await self._create(items[half:])
        again: list[Item] = []
        for item, result in zip(items, results, strict=True):
            if not result.StatusCode.is_bad():
                item.subscription, item.server_id = subscription, int(result.MonitoredItemId)
                self._items[item.address] = item
                self.bad.pop(item.address, None)
                self._sizes[subscription] += 1
                self._compare(result)
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
                for item in again:
                    self._table.drop(item)
                    self._fail(item.address, name_of(ua.StatusCode(ua.UInt32(error.code))))
                return []
        return again

    def _request(self, item: Item) -> ua.MonitoredItemCreateRequest:
        options = self._options
        request = ua.MonitoredItemCreateRequest()
        request.ItemToMonitor.NodeId = item.node or ua.NodeId()
        request.ItemToMonitor.AttributeId = AttributeIds.Value
        request.MonitoringMode = ua.MonitoringMode.Reporting
        asked = request.RequestedParameters
        asked.ClientHandle = ua.UInt32(item.handle)
        asked.SamplingInterval = ua.Double(max(options.sampling * 1000, -1))
        asked.QueueSize = ua.UInt32(options.queue)
        asked.DiscardOldest = True
        return request

    def _compare(self, result: ua.MonitoredItemCreateResult) -> None:
        options = self._options
        if result.RevisedQueueSize < options.queue:
            self._say(
                f"the server keeps {result.RevisedQueueSize} changes of a value until it "
                f"publishes, not {options.queue}"
            )
        wanted = options.sampling if options.sampling >= 0 else self._interval
        revised = result.RevisedSamplingInterval / 1000
        if revised > wanted + 0.001 and options.sampling:
            self._say(f"the server samples values every {revised:g} s, not {wanted:g} s")

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            logger.warning("%s: %s", self._client.server_url.netloc, text)

    async def _unwatch(self, items: Sequence[Item]) -> None:
        by_subscription: dict[int, list[int]] = {}
        for item in items:
            by_subscription.setdefault(item.subscription, []).append(item.server_id)
        for subscription, ids in by_subscription.items():
            for start in range(0, len(ids), self._chunk):
                some = ids[start : start + self._chunk]
                request = ua.DeleteMonitoredItemsRequest()
                request.Parameters.SubscriptionId = ua.UInt32(subscription)
                request.Parameters.MonitoredItemIds = [ua.UInt32(one) for one in some]
                await self._ask(request, ua.DeleteMonitoredItemsResponse)
                self._sizes[subscription] -= len(some)

    async def _prime(self, wanted: Sequence[tuple[Item, list[ChannelSpec]]]) -> None:
        """Give new channels of nodes that are watched already the value that was sent before."""
        for start in range(0, len(wanted), _READ):
            some = wanted[start : start + _READ]
            asked = [(i.node, AttributeIds.Value) for i, _ in some if i.node is not None]
            for (item, channels), got in zip(some, await self._read(asked), strict=True):
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
