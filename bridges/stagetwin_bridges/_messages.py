"""From values on a stage back to what their devices would send."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stagetwin.bindings import CommandBinding, TelemetryBinding
from stagetwin.ports import Payload, ValueKind
from stagetwin_bridges.fields import FieldPath, StructFormat, is_struct

__all__ = ["Message", "MessagePlan", "wire_of"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        connection, address: where it goes.
        payload: what a `Publisher` takes.
        values: how many signals read it.
    """

    connection: str
    address: str
    payload: Payload
    values: int


@dataclass(frozen=True, slots=True)
class _Group:
    connection: str
    address: str
    rows: tuple[int, ...]
    frame: tuple[tuple[int, StructFormat], ...]
    paths: tuple[tuple[int, FieldPath], ...]
    seldom: bool


class MessagePlan:
    """Which values travel together: signals of one address are fields of one message."""

    def __init__(self, bindings: Sequence[TelemetryBinding]) -> None:
        self._bindings = tuple(bindings)
        rows: dict[tuple[str, str], list[int]] = {}
        for i, binding in enumerate(self._bindings):
            rows.setdefault((binding.connection, binding.address), []).append(i)
        self._groups = [self._group(*key, found) for key, found in rows.items()]

    def _group(self, connection: str, address: str, rows: list[int]) -> _Group:
        frame: list[tuple[int, StructFormat]] = []
        paths: list[tuple[int, FieldPath]] = []
        kinds = set()
        for i in rows:
            binding = self._bindings[i]
            kinds.add(binding.value_type.kind)
            if binding.encoding == "struct" or is_struct(binding.field):
                frame.append((i, StructFormat.parse(binding.field)))
            elif binding.field:
                paths.append((i, FieldPath.parse(binding.field)))
        seldom = kinds <= {ValueKind.TEXT, ValueKind.BOOLEAN}
        return _Group(connection, address, tuple(rows), tuple(frame), tuple(paths), seldom)

    def messages(self, values: Sequence[Any], *, seldom: bool = True) -> Iterator[Message]:
        """Yield the messages that carry the values of all signals that have one.

        A field without a value is left out, and a message without any, or a frame, is not sent.

        Args:
            values: one a binding, in the stage's units.
            seldom: whether messages of switches and texts alone are wanted too.
        """
        for group in self._groups:
            missing = [values[i] is None for i in group.rows]
            if all(missing) or (group.frame and any(missing)):
                continue
            if seldom or not group.seldom:
                yield Message(
                    group.connection, group.address, self._payload(group, values), len(group.rows)
                )

    def _payload(self, group: _Group, values: Sequence[Any]) -> Payload:
        if group.frame:
            frame = bytearray(max(form.end for _, form in group.frame))
            for i, form in group.frame:
                wire = wire_of(self._bindings[i], values[i])
                items = wire if isinstance(wire, list) else [wire]
                struct.pack_into(form.format, frame, form.offset, *items)
            return bytes(frame)
        if group.paths:
            document: dict[str, Any] = {}
            for i, path in group.paths:
                if values[i] is None:
                    continue
                _place(document, path.steps, wire_of(self._bindings[i], values[i]))
            return document
        # Signals that read the whole payload read the same one.
        first = next(i for i in group.rows if values[i] is not None)
        wire = wire_of(self._bindings[first], values[first])
        return json.dumps(wire) if isinstance(wire, list) else wire


def wire_of(binding: TelemetryBinding | CommandBinding, value: Any) -> Any:
    """Return a stage value as the device counts it: the inverse of scale and offset."""
    if binding.scale == 1 and binding.offset == 0:
        return value
    if isinstance(value, list):
        return [wire_of(binding, item) for item in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return (value - binding.offset) / binding.scale


def _place(document: dict[str, Any], steps: Sequence[str | int], value: Any) -> None:
    """Put a value where a path points; objects and arrays are made, arrays filled up with null."""
    here: Any = document
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(step, int):
            here.extend([None] * (step + 1 - len(here)))
        fresh: Any = value if after is None else [] if isinstance(after, int) else {}
        there = here[step] if isinstance(step, int) else here.get(step)
        if after is None or there is None:
            here[step] = there = fresh
        here = there
