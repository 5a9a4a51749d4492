"""From payloads to samples: the channels of one topic, compiled into one function."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from stagetwin.ports import ChannelSpec, Reject, ValueKind
from stagetwin.signals import Status
from stagetwin_bridges.fields import MISSING, FieldPath, StructFormat
from stagetwin_bridges.mqtt._client import DUPLICATE, RETAINED
from stagetwin_bridges.mqtt._output import Clockwork, Output, Reading
from stagetwin_bridges.mqtt._payload import (
    UNREADABLE,
    by_struct,
    is_plain,
    of_items,
    parse,
    plain_value,
)
from stagetwin_bridges.mqtt._times import NAN, TIME_UNITS, source_time
from stagetwin_bridges.mqtt._typed import typed_reader
from stagetwin_bridges.mqtt._values import ACCEPT, EXACT, RefusedError, shown

__all__ = ["Decoder", "all_of", "compile_topic"]

logger = logging.getLogger(__name__)

Decoder = Callable[[bytes, int, float], None]
"""Takes a payload, the flags of its packet, and the receive time [s]."""

_INITIAL: Final = int(Status.UNCERTAIN_INITIAL_VALUE)


class _Topic:
    """The channels of one topic, and what decoding them needs."""

    def __init__(
        self,
        topic: str,
        channels: Sequence[ChannelSpec],
        reading: Reading,
        output: Output,
        state: Clockwork,
    ) -> None:
        self.topic = topic
        self.reading = reading
        self.output = output
        self.state = state
        self.structs = [c for c in channels if by_struct(c)]
        self.plains = [c for c in channels if not by_struct(c) and is_plain(c)]
        self.documents = [c for c in channels if not by_struct(c) and not is_plain(c)]

    def store(self, channel: ChannelSpec, value: Any, source: float, now: float, at: int) -> None:
        """Put an accepted value where values of its kind travel."""
        if type(value) is float or (channel.kind.numeric and -EXACT <= value <= EXACT):
            self.output.buffer.add(channel.index, float(value), source, now, at)
        else:
            self.output.buffer.add_object(channel.index, value, source, now, at)

    def moment(self, time: Any, sequence: Any, flags: int, now: float) -> float | None:
        """Return the source time [s] of a message, or None if it was here already."""
        reading, state = self.reading, self.state
        if reading.sequence is not None and not flags & RETAINED:
            missing = state.counter.follow(sequence, bool(flags & DUPLICATE))
            if missing < 0:
                self.output.count(
                    Reject.DUPLICATE, 1, f"{self.topic}: message {shown(sequence)} came again"
                )
                return None
            if missing:
                self.output.count(
                    Reject.LOST,
                    missing,
                    f"{self.topic}: {missing} missing before message {shown(sequence)}",
                )
        if reading.time is None:
            return NAN
        seconds = source_time(time, reading.time_unit)
        if seconds != seconds and not state.warned:
            state.warned = True
            logger.warning(
                "%s: field %s has no source time in %s, got %s; samples carry none",
                self.topic,
                reading.time,
                reading.time_unit,
                "nothing" if time is MISSING else shown(time),
            )
        if reading.time_unit == "relative":
            # A retained message was sent at a time that the source's clock no longer tells.
            return NAN if flags & RETAINED else state.clock.place(seconds, now)
        return seconds

    def document_decoder(self) -> Decoder:
        """Return the decoder of JSON payloads, field by field."""
        reading, output, moment, store = self.reading, self.output, self.moment, self.store
        topic = self.topic
        rows = [
            (c, FieldPath.parse(c.field).compile(), ACCEPT[c.kind], c.field) for c in self.documents
        ]
        first = self.documents[0]
        time = (reading.time or FieldPath()).find
        sequence = (reading.sequence or FieldPath()).find

        def decode(payload: bytes, flags: int, now: float) -> None:
            try:
                document = parse(payload)
            except RefusedError as error:
                output.refuse(error.reason, str(error), first, topic, payload)
                return
            source = moment(time(document), sequence(document), flags, now)
            if source is None:
                return
            status = _INITIAL if flags & RETAINED else 0
            for channel, find, accept, path in rows:
                value = find(document)
                if value is MISSING:
                    text = f"expected a value at {path!r}, got none"
                    output.refuse(Reject.MISSING_FIELD, text, channel, topic, payload)
                    continue
                try:
                    value = accept(value)
                except RefusedError as error:
                    output.refuse(error.reason, str(error), channel, topic, payload)
                else:
                    store(channel, value, source, now, status)

        return decode

    def careful_decoder(self) -> Decoder:
        """Return the decoder of what the typed one refuses, compiled when first needed."""
        known: Decoder | None = None

        def decode(payload: bytes, flags: int, now: float) -> None:
            nonlocal known
            if known is None:
                known = self.document_decoder()
            known(payload, flags, now)

        return decode

    def typed_decoder(self) -> Decoder | None:
        """Return the decoder of JSON objects with numeric fields, or None if it does not apply."""
        reading = self.reading
        fields: list[tuple[tuple[str, ...], ValueKind]] = []
        for channel in self.documents:
            keys = FieldPath.parse(channel.field).keys
            if not keys or not channel.kind.numeric:
                return None
            fields.append((keys, channel.kind))
        count = len(fields)
        if reading.time is not None:
            kind = ValueKind.TEXT if reading.time_unit == "iso" else ValueKind.NUMBER
            fields.append((reading.time.keys or (), kind))
        if reading.sequence is not None:
            fields.append((reading.sequence.keys or (), ValueKind.INTEGER))
        read = typed_reader(tuple(fields))
        if read is None:
            return None
        indices = tuple(channel.index for channel in self.documents)
        extend = self.output.buffer.extend
        moment, careful = self.moment, self.careful_decoder()
        last = len(fields) - 1
        timed, counted = reading.time is not None, reading.sequence is not None
        scale = TIME_UNITS.get(reading.time_unit, 0.0) if reading.time_unit != "relative" else 0.0

        def decode(payload: bytes, flags: int, now: float) -> None:
            try:
                values = read(payload)
            except UNREADABLE:
                careful(payload, flags, now)
            else:
                extend(indices, values, NAN, now, _INITIAL if flags & RETAINED else 0)

        def decode_with_time(payload: bytes, flags: int, now: float) -> None:
            try:
                values = read(payload)
            except UNREADABLE:
                careful(payload, flags, now)
                return
            if scale and not counted and -1e11 < (source := values[count] * scale) < 1e11:
                pass  # the common case, without a call
            else:
                told = moment(
                    values[count] if timed else NAN, values[last] if counted else 0, flags, now
                )
                if told is None:
                    return
                source = told
            extend(indices, values[:count], source, now, _INITIAL if flags & RETAINED else 0)

        return decode_with_time if timed or counted else decode

    def plain_decoder(self) -> Decoder:
        """Return the decoder of payloads that are one number or text."""
        channels, output, store, topic = self.plains, self.output, self.store, self.topic
        number = msgspec.json.Decoder(float).decode
        only = channels[0]
        simple = len(channels) == 1 and only.kind is ValueKind.NUMBER and only.encoding != "text"
        add, index = output.buffer.add, only.index

        def careful(payload: bytes, flags: int, now: float) -> None:
            status = _INITIAL if flags & RETAINED else 0
            for channel in channels:
                try:
                    value = plain_value(payload, channel)
                except RefusedError as error:
                    output.refuse(error.reason, str(error), channel, topic, payload)
                else:
                    store(channel, value, NAN, now, status)

        def decode(payload: bytes, flags: int, now: float) -> None:
            try:
                value = number(payload)
            except UNREADABLE:
                careful(payload, flags, now)
            else:
                add(index, value, NAN, now, _INITIAL if flags & RETAINED else 0)

        return decode if simple else careful

    def struct_decoder(self) -> Decoder:
        """Return the decoder of raw bytes."""
        output, store, topic = self.output, self.store, self.topic
        rows = [(c, StructFormat.parse(c.field), ACCEPT[c.kind]) for c in self.structs]

        def decode(payload: bytes, flags: int, now: float) -> None:
            status = _INITIAL if flags & RETAINED else 0
            for channel, form, accept in rows:
                try:
                    items = form.unpack(payload)
                    store(channel, accept(of_items(items, channel.kind)), NAN, now, status)
                except struct.error:
                    text = f"expected at least {form.end} bytes, got {len(payload)}"
                    output.refuse(Reject.MALFORMED, text, channel, topic, payload)
                except RefusedError as error:
                    output.refuse(error.reason, str(error), channel, topic, payload)

        return decode


def compile_topic(
    topic: str,
    channels: Sequence[ChannelSpec],
    reading: Reading,
    output: Output,
    state: Clockwork,
) -> Decoder:
    """Return the decoder of one topic.

    Args:
        topic: its name, for messages.
        channels: what it carries; without `field_problem`.
        reading: where payloads tell time and sequence.
        output: takes samples and refusals.
        state: what is remembered of the topic.
    """
    parts = _Topic(topic, channels, reading, output, state)
    decoders: list[Decoder] = []
    if parts.documents:
        decoders.append(parts.typed_decoder() or parts.document_decoder())
    if parts.plains:
        decoders.append(parts.plain_decoder())
    if parts.structs:
        decoders.append(parts.struct_decoder())
    return all_of(decoders)


def all_of(decoders: Sequence[Decoder]) -> Decoder:
    """Return one decoder that runs several in turn."""
    if len(decoders) == 1:
        return decoders[0]

    def decode(payload: bytes, flags: int, now: float) -> None:
        for each in decoders:
            each(payload, flags, now)

    return decode
