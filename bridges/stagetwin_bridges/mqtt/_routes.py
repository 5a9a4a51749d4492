"""From topics to decoders: exact topics by name, others matched once and remembered."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import msgspec

from stagetwin.ports import ChannelSpec, Reject
from stagetwin_bridges.mqtt._decode import Decoder, all_of
from stagetwin_bridges.mqtt._dialect import Dialect
from stagetwin_bridges.mqtt._output import Clockwork, Output, Reading
from stagetwin_bridges.mqtt._payload import UNREADABLE
from stagetwin_bridges.mqtt._topics import FilterTree, covering, is_wildcard, topic_filter
from stagetwin_bridges.mqtt._values import shown

__all__ = ["Routes", "Vouch", "device_state"]

Vouch = Callable[[str, Sequence[int], bool], None]
"""Takes the topic of a device's state, its channels, and whether it lives."""

_REMEMBERED = 65_536
"""Topics met through wildcards, or bound by nothing, that are remembered."""
_STATES = {
    "online": True,
    "offline": False,
    # VDA 5050: 2.1 and 3.0 spell a last will in two ways, and who hibernates is still there.
    "connectionbroken": False,
    "connection_broken": False,
    "hibernating": True,
}


def device_state(payload: bytes) -> bool | None:
    """Return whether a device says that it lives, None if it says neither.

    Plain text or a JSON string (online, offline, CONNECTIONBROKEN, HIBERNATING), or an object that
    has it as `state` or, in VDA 5050, `connectionState`.
    """
    try:
        said = msgspec.json.decode(payload)
    except UNREADABLE:
        said = payload.decode(errors="replace")
    if isinstance(said, dict):
        said = said.get("state", said.get("connectionState"))
    return _STATES.get(said.strip().lower()) if isinstance(said, str) else None


class Routes:
    """The channels of one connection, by topic.

    Attributes:
        decoders: decoders of the topics met so far, by encoded topic.
    """

    def __init__(
        self,
        channels: Sequence[ChannelSpec],
        reading: Reading,
        output: Output,
        states: dict[bytes, Clockwork],
        vouch: Vouch,
        dialect: Dialect,
    ) -> None:
        self.decoders: dict[bytes, Decoder] = {}
        self._dialect = dialect
        self._reading = reading
        self._output = output
        self._states = states
        self._vouch = vouch
        self._passing: dict[bytes, None] = {}
        self._signals = _Table()
        self._devices = _Table()
        self._filters: set[str] = set()
        for channel in channels:
            self._signals.add(channel.address, channel)
            self._filters.add(channel.address)
            if channel.availability:
                self._devices.add(channel.availability, channel)
                self._filters.add(channel.availability)

    def filters(self, declared: Sequence[str]) -> list[str]:
        """Return what to subscribe to: the declared filters, or one per address."""
        return covering(declared or self._filters)

    def outside(self, declared: Sequence[str]) -> list[str]:
        """Return the addresses that the declared filters do not let through."""
        tree: FilterTree[bool] = FilterTree()
        for topic in declared:
            tree.add(topic_filter(topic), True)
        return [a for a in sorted(self._filters) if declared and not tree.match(topic_filter(a))]

    def prepare(self, count: int) -> None:
        """Compile the decoders of exact topics, `count` at most; the others when they are met."""
        for topic in itertools.islice(self._signals.topics(), count):
            self.find(topic.encode())

    def behind(self, topic: str) -> list[int]:
        """Return the channels of the device whose state is published on a topic."""
        return [channel.index for channel in self._devices.match(topic)]

    def find(self, topic: bytes) -> Decoder:
        """Return the decoder of a topic that was not met yet."""
        try:
            name = topic.decode()
        except UnicodeDecodeError:
            return self._unreadable
        decoders: list[Decoder] = []
        if channels := self._signals.match(name):
            state = self._states.setdefault(topic, Clockwork())
            compiled = self._dialect.compile(name, channels, self._reading, self._output, state)
            decoders.append(compiled)
        if indices := self.behind(name):
            decoders.append(self._device(name, indices))
        decoder = all_of(decoders) if decoders else self._unbound(name)
        if not self._signals.named(name) and not self._devices.named(name):
            self._passing[topic] = None
            if len(self._passing) > _REMEMBERED:
                self._forget(next(iter(self._passing)))
        self.decoders[topic] = decoder
        return decoder

    def _forget(self, topic: bytes) -> None:
        del self._passing[topic]
        del self.decoders[topic]
        self._states.pop(topic, None)

    def _device(self, topic: str, indices: Sequence[int]) -> Decoder:
        def decode(payload: bytes, _flags: int, _now: float) -> None:
            lives = device_state(payload)
            if lives is None:
                text = f"{topic}: expected online or offline, got {shown(payload)}"
                self._output.count(Reject.MALFORMED, 1, text)
            else:
                self._vouch(topic, indices, lives)

        return decode

    def _unbound(self, topic: str) -> Decoder:
        text = f"{topic}: no signal is bound to this topic"

        def decode(_payload: bytes, _flags: int, _now: float) -> None:
            self._output.count(Reject.UNBOUND, 1, text)

        return decode

    def _unreadable(self, _payload: bytes, _flags: int, _now: float) -> None:
        self._output.count(Reject.MALFORMED, 1, "a topic is not UTF-8")


class _Table:
    """Channels by address: exact topics in a dict, wildcards in a tree."""

    def __init__(self) -> None:
        self._exact: dict[str, list[ChannelSpec]] = {}
        self._tree: FilterTree[ChannelSpec] = FilterTree()
        self._wild = False

    def add(self, address: str, channel: ChannelSpec) -> None:
        topic = topic_filter(address)
        if is_wildcard(topic):
            self._tree.add(topic, channel)
            self._wild = True
        else:
            self._exact.setdefault(topic, []).append(channel)

    def topics(self) -> Iterable[str]:
        return self._exact

    def named(self, topic: str) -> bool:
        return topic in self._exact

    def match(self, topic: str) -> list[ChannelSpec]:
        found = self._exact.get(topic, [])
        return [*found, *self._tree.match(topic)] if self._wild else found
