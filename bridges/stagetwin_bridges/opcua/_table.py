"""The nodes of one session, and the channels that each of them drives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from asyncua import ua

from stagetwin import WireRangeError, WireTypeError
from stagetwin.ports import ChannelSpec, Reject, ValueKind
from stagetwin.signals import Status
from stagetwin_bridges.opcua._rows import NAN, Rows
from stagetwin_bridges.opcua._types import value_at, wire_value

__all__ = ["NONE", "Item", "Refuse", "Table", "by_address", "deliver"]

NONE: Final = -1
"""In place of a channel: this node is not one number for one channel."""
_BAD: Final = 0x8000_0000

Refuse = Callable[[ChannelSpec, Reject, str], None]
"""Takes the channel that a value does not fit, the reason, and a text."""


@dataclass(slots=True, eq=False)
class Item:
    """One node that is watched.

    Attributes:
        address: as the stage writes it.
        channels: what it drives.
        handle: our number of it.
        subscription: id of the subscription that has it; 0 for none.
        server_id: the server's number of it.
        node: its id on this server.
        enumeration: names of the numbers, where its type is an enumeration.
    """

    address: str
    channels: tuple[ChannelSpec, ...]
    handle: int
    subscription: int = 0
    server_id: int = 0
    node: ua.NodeId | None = None
    enumeration: Mapping[int, str] | None = None

    @property
    def textual(self) -> bool:
        """Whether a name of an enumeration may be asked for."""
        return any(channel.kind is ValueKind.TEXT for channel in self.channels)


def by_address(channels: Iterable[ChannelSpec]) -> dict[str, tuple[ChannelSpec, ...]]:
    """Return the channels of each address."""
    found: dict[str, list[ChannelSpec]] = {}
    for channel in channels:
        found.setdefault(channel.address, []).append(channel)
    return {address: tuple(some) for address, some in found.items()}


@dataclass(slots=True)
class Table:
    """Items by their handle.

    Attributes:
        items: those that are watched, by handle.
        numbers: by handle, the one channel that takes the value as a number, or NONE.
        booleans: by handle, the one channel that takes the value as a Boolean, or NONE.
    """

    items: dict[int, Item] = field(default_factory=dict)
    numbers: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    booleans: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    _next: int = 0

    def make(self, address: str, channels: tuple[ChannelSpec, ...]) -> Item:
        """Return a new item, under a handle that was not used before."""
        item = Item(address, channels, self._next)
        self._next += 1
        if self._next > len(self.numbers):
            size = max(64, 2 * self._next)
            grown = [np.full(size, NONE, np.int32) for _ in range(2)]
            for old, new in zip((self.numbers, self.booleans), grown, strict=True):
                new[: len(old)] = old
            self.numbers, self.booleans = grown
        self.items[item.handle] = item
        self.route(item, channels)
        return item

    def route(self, item: Item, channels: tuple[ChannelSpec, ...]) -> None:
        """Let an item drive these channels from now on."""
        item.channels = channels
        number = boolean = NONE
        if len(channels) == 1 and not channels[0].field:
            match channels[0].kind:
                case ValueKind.NUMBER | ValueKind.INTEGER:
                    number = channels[0].index
                case ValueKind.BOOLEAN:
                    boolean = channels[0].index
                case _:
                    pass
        self.numbers[item.handle] = number
        self.booleans[item.handle] = boolean

    def drop(self, item: Item) -> None:
        """Forget an item; what still comes of it is ignored."""
        del self.items[item.handle]
        self.numbers[item.handle] = self.booleans[item.handle] = NONE


def deliver(
    item: Item,
    channels: Sequence[ChannelSpec],
    value: Any,
    stamp: tuple[float, float, int],
    rows: Rows,
    refuse: Refuse,
) -> None:
    """Append the rows of one value of an item; one that does not fit leaves its channel bad.

    Args:
        item: whose value it is.
        channels: those of it that are to have it.
        value: as asyncua decodes it; None where the server sent none.
        stamp: source time, server time [s, Unix] and raw status.
        rows: where to.
        refuse: told of every value that does not fit.
    """
    source, server, status = stamp
    for channel in channels:
        if status & _BAD:
            rows.add(channel.index, NAN, source, server, status)
            continue
        try:
            found = wire_value(value_at(value, channel.field), channel.kind, item.enumeration)
        except WireTypeError as error:
            refuse(channel, Reject.TYPE_MISMATCH, str(error))
            rows.add(channel.index, NAN, source, server, int(Status.BAD_TYPE_MISMATCH))
        except WireRangeError as error:
            refuse(channel, Reject.NOT_FINITE, str(error))
            rows.add(channel.index, NAN, source, server, int(Status.BAD_OUT_OF_RANGE))
        else:
            rows.add(channel.index, found, source, server, status)
