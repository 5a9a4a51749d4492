"""From a vehicle's messages to samples: what is bound on one topic, compiled into one function."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from stagetwin.ports import ChannelSpec, Reject, ValueKind
from stagetwin.signals import Status
from stagetwin_bridges.fields import MISSING, FieldPath
from stagetwin_bridges.mqtt._client import RETAINED
from stagetwin_bridges.mqtt._output import Output
from stagetwin_bridges.mqtt._payload import UNREADABLE, parse
from stagetwin_bridges.mqtt._values import ACCEPT, RefusedError
from stagetwin_bridges.vda5050.messages import SHAPES, Shape, up
from stagetwin_bridges.vda5050.telemetry._computed import (
    PLACE_NEEDS,
    PLACES,
    VALUES,
    ValueOf,
    action_status,
)
from stagetwin_bridges.vda5050.telemetry._fields import field_of
from stagetwin_bridges.vda5050.telemetry._readers import (
    HEADER,
    Need,
    needs_at,
    reader,
    reader_type,
)
from stagetwin_bridges.vda5050.telemetry._streams import Place, Stream

__all__ = ["TopicDecoder"]

_UNSET: Final = msgspec.UNSET
_FIRST: Final = int(Status.UNCERTAIN_INITIAL_VALUE)
_UNCERTAIN: Final = int(Status.UNCERTAIN)
_WORDS_OF_3: Final = "3.0.0"


@dataclass(frozen=True, slots=True)
class _Row:
    """One channel, and how its value is found in the parts that were read."""

    channel: ChannelSpec
    needs: frozenset[Need]
    value_of: ValueOf


class TopicDecoder:
    """The channels of one vehicle on one topic, sorted by how they are read.

    Numbers of plain paths travel together, places once for all that is made of them, texts and the
    rest one by one. What a typed reader cannot hold is looked up in the whole document, and so is
    everything in a message that the reader refuses.

    Args:
        version: of the standard that the vehicle speaks.
        topic: last level of the topic.
        channels: what is bound; fields without fault.
        stream: follows the headers.
        place: when the vehicle told its position.
        output: takes samples and refusals.
    """

    def __init__(
        self,
        version: str,
        topic: str,
        channels: Sequence[ChannelSpec],
        stream: Stream,
        place: Place,
        output: Output,
    ) -> None:
        self._topic = topic
        self._shape = SHAPES.get(topic) if version == "2.1.0" else None
        self._stream = stream
        self._place = place
        self._output = output
        # These hold until they change, however long ago the broker got them.
        self._lasting = topic in ("connection", "factsheet")
        self._numbers: list[_Row] = []
        self._places: list[_Row] = []
        self._others: list[_Row] = []
        self._paths: list[tuple[ChannelSpec, FieldPath]] = []
        attributes: list[str] = []
        for channel in channels:
            self._sort(channel, version, attributes)
        rows = [*self._numbers, *self._places, *self._others]
        self._read = reader(version, topic, HEADER.union(*(row.needs for row in rows)))
        self._header = reader_type(_WORDS_OF_3, topic, HEADER)
        self._indices = tuple(row.channel.index for row in self._numbers)
        self._pick = _picker(attributes)

    def _sort(self, channel: ChannelSpec, version: str, attributes: list[str]) -> None:
        field = field_of(channel.field)
        if field.computed in PLACES:
            self._places.append(_Row(channel, PLACE_NEEDS, PLACES[field.computed]))
            return
        if field.computed:
            needs, value_of = VALUES[field.computed]
            if field.action:
                value_of = action_status(field.action)
            if channel.kind is ValueKind.BOOLEAN:
                value_of = _truth(value_of)
            self._others.append(_Row(channel, needs, value_of))
            return
        assert field.path is not None  # it is a path, or computed
        need = needs_at(version, self._topic, field.path, channel.kind)
        if need is None or len(field.kinds) == len(ValueKind):  # a vendor's own may be anything
            self._paths.append((channel, field.path))
            return
        words = _words(self._shape, need[0]) if channel.kind is ValueKind.TEXT else {}
        row = _Row(channel, frozenset({need}), _plain(need[0], words))
        if channel.kind.numeric:
            self._numbers.append(row)
            attributes.append(".".join(need[0]))
        else:
            self._others.append(row)

    def decode(self, payload: bytes, flags: int, now: float) -> None:
        """Read one message; see `Decoder`."""
        try:
            message = self._read(payload)
        except UNREADABLE:
            self._carefully(payload, flags, now)
            return
        source = self._stream.moment(message, payload, flags, now)
        if source is None:
            return
        status = _FIRST if flags & RETAINED and not self._lasting else 0
        rows: Sequence[_Row] = self._others
        if self._numbers:
            values = self._pick(message)
            if values is None:
                rows = [*self._numbers, *rows]
            else:
                self._output.buffer.extend(self._indices, values, source, now, status)
        for row in rows:
            try:
                value = row.value_of(message)
            except RefusedError as error:
                self._refuse(row.channel, error, payload)
            else:
                self._store(row.channel, value, source, now, status)
        if self._places:
            self._tell_place(message.mobileRobotPosition, payload, source, now, status)
        if self._paths:
            self._look_up(self._document(payload), payload, source, now, status)

    def _tell_place(
        self, place: Any, payload: bytes, source: float, now: float, status: int
    ) -> None:
        if place is _UNSET or not self._place.takes(self._topic, source, now):
            return
        parts = (place.x, place.y, place.theta, place.mapId)
        if _UNSET in parts:
            names = zip(("x", "y", "theta", "mapId"), parts, strict=True)
            missing = ", ".join(name for name, part in names if part is _UNSET)
            error = RefusedError(Reject.MISSING_FIELD, f"mobileRobotPosition has no {missing}")
            for row in self._places:
                self._refuse(row.channel, error, payload)
            return
        if place.localized is False:
            status = _UNCERTAIN
        add = self._output.buffer.add_object
        for row in self._places:
            add(row.channel.index, row.value_of(place), source, now, status)

    def _look_up(
        self, document: Any, payload: bytes, source: float, now: float, status: int
    ) -> None:
        """Tell what is found by its path alone."""
        for channel, path in self._paths:
            value = path.find(document)
            try:
                if value is MISSING:
                    raise RefusedError(
                        Reject.MISSING_FIELD, f"expected a value at {str(path)!r}, got none"
                    )
                value = ACCEPT[channel.kind](value)
            except RefusedError as error:
                self._refuse(channel, error, payload)
            else:
                self._store(channel, value, source, now, status)

    def _carefully(self, payload: bytes, flags: int, now: float) -> None:
        """Read a message that is not as it should be: one wrong field costs no other."""
        rows = [*self._numbers, *self._places, *self._others]
        first = rows[0].channel if rows else self._paths[0][0]
        try:
            document = self._document(payload)
            if not isinstance(document, dict):
                raise RefusedError(Reject.MALFORMED, "expected a JSON object")
        except RefusedError as error:
            self._refuse(first, error, payload)
            return
        try:
            header = msgspec.convert(document, self._header)
        except msgspec.ValidationError:
            header = self._header()
        source = self._stream.moment(header, payload, flags, now)
        if source is None:
            return
        status = _FIRST if flags & RETAINED and not self._lasting else 0
        for row in rows:
            try:
                parts = msgspec.convert(document, reader_type(_WORDS_OF_3, self._topic, row.needs))
                value = self._value_of(row, parts)
                if value is not None:
                    value = ACCEPT[row.channel.kind](value)
            except msgspec.ValidationError as error:
                refused = RefusedError(Reject.TYPE_MISMATCH, str(error))
                self._refuse(row.channel, refused, payload)
            except RefusedError as error:
                self._refuse(row.channel, error, payload)
            else:
                self._store(row.channel, value, source, now, status)
        self._look_up(document, payload, source, now, status)

    def _value_of(self, row: _Row, parts: Any) -> Any:
        if row not in self._places:
            return row.value_of(parts)
        place = parts.mobileRobotPosition
        if place is _UNSET or _UNSET in (place.x, place.y, place.theta, place.mapId):
            raise RefusedError(Reject.MISSING_FIELD, "expected a mobileRobotPosition, got none")
        return row.value_of(place)

    def _document(self, payload: bytes) -> Any:
        """Return the whole message in the words of 3.0.

        Raises:
            RefusedError: it is no JSON.
        """
        document = parse(payload)
        if self._shape is not None and isinstance(document, dict):
            document = up(self._shape, document)
        return document

    def _store(
        self, channel: ChannelSpec, value: Any, source: float, now: float, status: int
    ) -> None:
        if value is None:  # no news
            return
        buffer = self._output.buffer
        if channel.kind.numeric:
            buffer.add(channel.index, float(value), source, now, status)
        else:
            buffer.add_object(channel.index, value, source, now, status)

    def _refuse(self, channel: ChannelSpec, error: RefusedError, payload: bytes) -> None:
        self._output.refuse(error.reason, str(error), channel, channel.address, payload)


def _picker(attributes: Sequence[str]) -> Callable[[Any], tuple[float, ...] | None]:
    """Return the function that takes all numbers out of a message, None where one is absent."""
    if not attributes:
        return lambda message: ()
    get: Callable[[Any], Any] = operator.attrgetter(*attributes)
    single = len(attributes) == 1

    def pick(message: Any) -> tuple[float, ...] | None:
        try:
            values: tuple[Any, ...] = (get(message),) if single else get(message)
        except AttributeError:  # an object on the way is UNSET
            return None
        return None if _UNSET in values else values

    return pick


def _plain(keys: Sequence[str], words: Mapping[str, str]) -> ValueOf:
    """Return the function that finds a plain value in a message."""
    get = operator.attrgetter(".".join(keys))

    def value_of(message: Any) -> Any:
        try:
            value = get(message)
        except AttributeError:
            value = _UNSET
        if value is _UNSET:
            text = f"expected a value at {'.'.join(keys)!r}, got none"
            raise RefusedError(Reject.MISSING_FIELD, text)
        return words.get(value, value) if words else value

    return value_of


def _truth(value_of: ValueOf) -> ValueOf:
    """Return the function that tells whether a count is not 0."""

    def value(message: Any) -> bool | None:
        count = value_of(message)
        return None if count is None else bool(count)

    return value


def _words(shape: Shape | None, keys: Sequence[str]) -> Mapping[str, str]:
    """Return 3.0's words for what 2.1 says at a path in another way."""
    for key in keys[:-1]:
        shape = shape.parts.get(key) if shape is not None else None
    return shape.back.get(keys[-1], {}) if shape is not None else {}
