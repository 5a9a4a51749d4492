"""VDA 5050 over an MQTT connection: which topics a vehicle's signals come on, and how they read."""

from __future__ import annotations

from collections.abc import Sequence

from stagetwin.ports import ChannelSpec
from stagetwin_bridges._errors import FieldError, MessageError
from stagetwin_bridges.mqtt._decode import Decoder
from stagetwin_bridges.mqtt._output import Clockwork, Output, Reading
from stagetwin_bridges.vda5050.messages import Codec, Connection, Identity, topic_of
from stagetwin_bridges.vda5050.telemetry._decode import TopicDecoder
from stagetwin_bridges.vda5050.telemetry._fields import field_of, kind_problem
from stagetwin_bridges.vda5050.telemetry._streams import Examiner, Place, Stream

__all__ = ["FleetDialect", "channel_problems", "identity_of"]


def identity_of(interface: str, version: str, address: str) -> Identity:
    """Return the vehicle that an address names.

    Raises:
        MessageError: the address is not `MANUFACTURER/SERIAL`, or its parts have characters that
            the standard does not allow.
    """
    manufacturer, slash, serial = address.partition("/")
    if not slash:
        raise MessageError(f"address {address!r}: expected MANUFACTURER/SERIAL")
    try:
        return Identity(interface, version, manufacturer, serial)
    except MessageError as error:
        raise MessageError(f"address {address!r}: {error}") from None


def channel_problems(channel: ChannelSpec) -> list[str]:
    """Return what is wrong with a channel's address, field and encoding."""
    found: list[str] = []
    try:
        identity_of("vda5050", "3.0.0", channel.address)
    except MessageError as error:
        found.append(str(error))
    if channel.encoding not in ("auto", "json"):
        found.append(f"encoding {channel.encoding!r}: allowed are auto and json")
    try:
        problem = kind_problem(channel.field, field_of(channel.field), channel.kind)
    except FieldError as error:
        problem = str(error)
    return [*found, problem] if problem else found


class FleetDialect:
    """`Dialect` of one version of the standard.

    What it knows of the vehicles outlives a rebinding.

    Args:
        interface: first level of the topics.
        codec: of the version spoken.
        every: see `Examiner`.
    """

    def __init__(self, interface: str, codec: Codec, every: int) -> None:
        self._interface = interface
        self._codec = codec
        self._examiner = Examiner(codec, every)
        self._streams: dict[str, Stream] = {}
        self._places: dict[str, Place] = {}
        self._told: set[int] = set()

    def problems(self, channel: ChannelSpec) -> list[str]:
        """See Dialect."""
        return channel_problems(channel)

    def wired(self, channel: ChannelSpec) -> Sequence[ChannelSpec]:
        """See Dialect.

        Signals of a vehicle live while it is connected. What the connection's own topic says lives
        while ours is: it is the broker's word.
        """
        vehicle = identity_of(self._interface, self._codec.version, channel.address)
        connection = topic_of(vehicle, Connection.topic)
        out: list[ChannelSpec] = []
        for topic in field_of(channel.field).topics:
            availability = "" if topic == Connection.topic or out else connection
            out.append(_wired(channel, topic_of(vehicle, topic), availability))
        return out

    def compile(
        self,
        topic: str,
        channels: Sequence[ChannelSpec],
        reading: Reading,
        output: Output,
        state: Clockwork,
    ) -> Decoder:
        """See Dialect."""
        _, _, manufacturer, serial, kind = topic.split("/")
        vehicle = f"{manufacturer}/{serial}"
        stream = self._streams.get(topic)
        if stream is None:
            stream = self._streams[topic] = Stream(vehicle, kind, output, self._examiner)
        place = self._places.setdefault(vehicle, Place())
        decoder = TopicDecoder(self._codec.version, kind, channels, stream, place, output)
        if kind != Connection.topic:
            return decoder.decode
        indices = [channel.index for channel in channels]

        def decode(payload: bytes, flags: int, now: float) -> None:
            decoder.decode(payload, flags, now)
            self._told.update(indices)

        return decode

    def living(self) -> Sequence[int]:
        """See Dialect."""
        return list(self._told)

    def lost(self) -> None:
        """See Dialect."""
        self._told.clear()


def _wired(channel: ChannelSpec, address: str, availability: str) -> ChannelSpec:
    return ChannelSpec(
        index=channel.index,
        prim=channel.prim,
        signal=channel.signal,
        address=address,
        field=channel.field,
        encoding=channel.encoding,
        kind=channel.kind,
        availability=availability,
    )
