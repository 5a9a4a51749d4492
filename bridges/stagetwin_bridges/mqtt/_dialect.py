"""What topics and payloads mean to channels: MQTT's own way, or that of a standard on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stagetwin.ports import ChannelSpec
from stagetwin_bridges.mqtt._decode import Decoder, compile_topic
from stagetwin_bridges.mqtt._output import Clockwork, Output, Reading
from stagetwin_bridges.mqtt._payload import field_problem
from stagetwin_bridges.mqtt._topics import filter_problem

__all__ = ["Dialect", "PlainDialect", "channel_problems"]


class Dialect(Protocol):
    """How the channels of a connection lie on topics, and how payloads are read."""

    def problems(self, channel: ChannelSpec) -> list[str]:
        """Return what is wrong with a channel's address, field and encoding."""
        ...

    def wired(self, channel: ChannelSpec) -> Sequence[ChannelSpec]:
        """Return a channel once for each topic that it comes on, addresses being topics."""
        ...

    def compile(
        self,
        topic: str,
        channels: Sequence[ChannelSpec],
        reading: Reading,
        output: Output,
        state: Clockwork,
    ) -> Decoder:
        """Return the decoder of one topic; `channels` as `wired` gave them."""
        ...

    def living(self) -> Sequence[int]:
        """Return channels that live as long as the connection stands."""
        ...

    def lost(self) -> None:
        """The connection has ended."""


def channel_problems(channel: ChannelSpec) -> list[str]:
    """Return what is wrong with a channel's addresses, field and encoding."""
    found = [filter_problem(channel.address), field_problem(channel)]
    if channel.availability:
        found.append(filter_problem(channel.availability))
    return [problem for problem in found if problem]


class PlainDialect:
    """`Dialect` of MQTT itself: addresses are topics, fields lie in payloads."""

    def problems(self, channel: ChannelSpec) -> list[str]:
        """See Dialect."""
        return channel_problems(channel)

    def wired(self, channel: ChannelSpec) -> Sequence[ChannelSpec]:
        """See Dialect."""
        return (channel,)

    def compile(
        self,
        topic: str,
        channels: Sequence[ChannelSpec],
        reading: Reading,
        output: Output,
        state: Clockwork,
    ) -> Decoder:
        """See Dialect."""
        return compile_topic(topic, channels, reading, output, state)

    def living(self) -> Sequence[int]:
        """See Dialect."""
        return ()

    def lost(self) -> None:
        """See Dialect."""
