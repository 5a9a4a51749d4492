"""What a session asks of a server about subscriptions, one request each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from stagetwin_bridges._errors import NotConnectedError
from stagetwin_bridges.opcua._command_reader import Reader, attribute, name_of
from stagetwin_bridges.opcua._options import OpcUaOptions
from stagetwin_bridges.opcua._table import Item

__all__ = ["Granted", "Requests", "is_too_much", "reason_of"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_CHUNK: Final = 1000
"""Monitored items in one request, where the server allows as many."""
_PATIENCE: Final = 4
"""Answer times granted to a request about many items."""
_SHORTEST_LIFE: Final = 10.0
"""A subscription outlives so long a silence of ours [s]."""
_TOO_MUCH: Final = frozenset(
    {
        StatusCodes.BadTooManyOperations,
        StatusCodes.BadEncodingLimitsExceeded,
        StatusCodes.BadRequestTooLarge,
        StatusCodes.BadResponseTooLarge,
    }
)
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


def reason_of(error: UaStatusCodeError) -> str:
    """Return why nodes of a request were refused; raises the error where more than they are."""
    name = name_of(ua.StatusCode(ua.UInt32(error.code)))
    if name.startswith(_FATAL):
        raise error
    return name


def is_too_much(error: UaStatusCodeError) -> bool:
    """Return whether fewer nodes at once may do."""
    return error.code in _TOO_MUCH


@dataclass(frozen=True, slots=True)
class Granted:
    """A subscription as the server granted it.

    Attributes:
        number: its id.
        quiet: longest time without a word from it [s].
    """

    number: int
    quiet: float


class Requests:
    """Asks through one connected client, and says where a server grants less than was asked.

    Attributes:
        reader: asks for attributes.
        chunk: monitored items that fit into one request.
    """

    def __init__(self, client: Client, options: OpcUaOptions) -> None:
        self.reader = Reader(client, options.timeout)
        self.chunk = _CHUNK
        self._client = client
        self._options = options
        self._interval = options.publishing
        self._said: set[str] = set()

    async def learn_limits(self) -> None:
        """Read how many monitored items fit into one request."""
        limit = ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall
        (result,) = await self.reader.read([(ua.NodeId(ua.Int32(limit)), AttributeIds.Value)])
        allowed = attribute(result)
        if isinstance(allowed, int) and allowed > 0:
            self.chunk = min(allowed, _CHUNK)

    async def read(
        self, wanted: Sequence[tuple[ua.NodeId, AttributeIds]]
    ) -> list[ua.DataValue | None]:
        """Read attributes; None for one that the server refuses to read at all."""
        try:
            return [*await self.reader.read(wanted)]
        except UaStatusCodeError as error:
            reason_of(error)
            if len(wanted) == 1:
                return [None]
            half = len(wanted) // 2
            return await self.read(wanted[:half]) + await self.read(wanted[half:])

    async def subscribe(self) -> Granted:
        """Make a subscription."""
        options = self._options
        request = ua.CreateSubscriptionRequest()
        asked = request.Parameters
        asked.RequestedPublishingInterval = ua.Double(options.publishing * 1000)
        asked.RequestedMaxKeepAliveCount = ua.UInt32(options.keepalive)
        life = max(3 * options.keepalive, round(_SHORTEST_LIFE / options.publishing))
        asked.RequestedLifetimeCount = ua.UInt32(life)
        asked.PublishingEnabled = True
        result = (await self._ask(request, ua.CreateSubscriptionResponse, 1)).Parameters
        self._interval = interval = result.RevisedPublishingInterval / 1000
        quiet = interval * result.RevisedMaxKeepAliveCount
        if interval > options.publishing * 1.001:
            self._say(f"the server publishes every {interval:g} s, not {options.publishing:g} s")
        if quiet > 1.001 * options.publishing * options.keepalive:
            self._say(f"the server says that it lives every {quiet:g} s")
        return Granted(int(result.SubscriptionId), quiet)

    async def create(
        self, subscription: int, items: Sequence[Item]
    ) -> list[ua.MonitoredItemCreateResult]:
        """Make monitored items, in one request."""
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = ua.UInt32(subscription)
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.ItemsToCreate = [self._item(item) for item in items]
        results = (await self._ask(request, ua.CreateMonitoredItemsResponse)).Results
        for result in results:
            if not result.StatusCode.is_bad():
                self._compare(result)
        return results

    async def delete(self, subscription: int, ids: Sequence[int]) -> None:
        """Delete monitored items."""
        for start in range(0, len(ids), self.chunk):
            request = ua.DeleteMonitoredItemsRequest()
            request.Parameters.SubscriptionId = ua.UInt32(subscription)
            some = ids[start : start + self.chunk]
            request.Parameters.MonitoredItemIds = [ua.UInt32(one) for one in some]
            await self._ask(request, ua.DeleteMonitoredItemsResponse)

    async def _ask(self, request: Any, answer: type[T], patience: int = _PATIENCE) -> T:
        protocol = self._client.uaclient.protocol
        if protocol is None:
            raise NotConnectedError("connection lost")
        body = await protocol.send_request(request, self._options.timeout * patience)
        response: Any = struct_from_binary(answer, body)
        response.ResponseHeader.ServiceResult.check()
        answered: T = response
        return answered

    def _item(self, item: Item) -> ua.MonitoredItemCreateRequest:
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
