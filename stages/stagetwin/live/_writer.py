"""The live layer's writer: columns in, attribute specs out, as fast as Sdf takes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Usd

from stagetwin._arrays import ArraySlot
from stagetwin._authoring import (
    BLOCK_SIZE,
    Owner,
    declared_value,
    declaring_spec,
    write_specs,
)
from stagetwin._errors import StageError
from stagetwin.bindings import TelemetryBinding
from stagetwin.hub import Changes, Latest
from stagetwin.ports import ValueKind
from stagetwin.signals import Quality

__all__ = ["BLOCK_SIZE", "LiveLayer", "write_specs"]

TIME_REFRESH = 1.0
"""How often the time of a signal is written whose value does not change [s]."""

_TOKENS = [quality.token for quality in Quality]


class _Kind:
    """Channels by how their values leave the columns."""

    FLOAT, INTEGER, BOOLEAN, OBJECT, ELEMENT = range(5)


_KINDS = {
    ValueKind.NUMBER: _Kind.FLOAT,
    ValueKind.INTEGER: _Kind.INTEGER,
    ValueKind.BOOLEAN: _Kind.BOOLEAN,
    ValueKind.TEXT: _Kind.OBJECT,
    ValueKind.COMPOSITE: _Kind.OBJECT,
}


Rows = npt.NDArray[np.intp]
ValuesOf = Callable[[Rows, list[int]], Sequence[Any]]
"""Takes channels, as array and as list, to their values."""

_PIECE = 20 * BLOCK_SIZE
"""Channels taken at a time: specs that were just looked up are still in the processor's cache when
they are written."""

_Wanted = dict[Sdf.Path, tuple[Sdf.ValueTypeName, Sdf.Variability, bool]]

_CASTS: dict[ValueKind, Callable[[float], Any]] = {
    ValueKind.INTEGER: int,
    ValueKind.BOOLEAN: bool,
}


_SIGNAL_TYPES = (Sdf.ValueTypeNames.Double, Sdf.ValueTypeNames.Token, Sdf.ValueTypeNames.UInt)


def _signal_paths(binding: TelemetryBinding) -> tuple[str, str, str]:
    """Return the paths of a signal's time, quality and status."""
    prefix = f"{binding.prim}.twin:telemetry:{binding.signal}:"
    return prefix + "time", prefix + "quality", prefix + "status"


class LiveLayer:
    """Writes telemetry to one layer of one stage, from the thread that made it.

    Specs are created by `bind`, before the first value: a new spec recomposes its prim, a value on
    an existing one does not.
    """

    def __init__(self, stage: Usd.Stage, layer: Sdf.Layer) -> None:
        self._owner = Owner()
        self._stage = stage
        self._layer = layer
        self._ignored = frozenset([layer.identifier])
        self._bindings: dict[int, TelemetryBinding] = {}
        self._kind = np.empty(0, np.uint8)
        self._value: list[Sdf.AttributeSpec | None] = []
        self._time: list[Sdf.AttributeSpec | None] = []
        self._quality: list[Sdf.AttributeSpec | None] = []
        self._status: list[Sdf.AttributeSpec | None] = []
        self._time_written = np.empty(0)
        self._time_due = np.empty(0, np.bool_)
        self._arrays: dict[str, tuple[ArraySlot, Sdf.AttributeSpec]] = {}
        self._element: dict[int, tuple[str, int, Callable[[float], Any]]] = {}
        self.writes = 0

    def bind(self, bindings: Mapping[int, TelemetryBinding], size: int) -> None:
        """Create the specs that the table needs and drop those it does not.

        Args:
            bindings: by channel index.
            size: number of indices ever given out.

        Raises:
            OwnershipError: called on another thread.
            StageError: a spec cannot be created.
        """
        self._owner.check()
        before = self._bindings
        fresh = {i: b for i, b in bindings.items() if before.get(i) != b}
        gone = {i: b for i, b in before.items() if bindings.get(i) != b}
        wanted = self._specs_of(fresh)
        self._bindings = dict(bindings)
        if gone:
            self._drop(gone, wanted)
        with Sdf.ChangeBlock():
            for path, (type_name, variability, custom) in wanted.items():
                if not self._layer.GetAttributeAtPath(
                    path
                ) and not Sdf.JustCreatePrimAttributeInLayer(
                    self._layer, path, type_name, variability, custom
                ):
                    raise StageError(f"cannot create {path} in the live layer")
        self._forget_former_drivers(fresh)
        self._index(fresh, gone, size)
        new = [s for i in fresh if (s := self._quality[i]) is not None and not s.HasDefaultValue()]
        write_specs(new, [Quality.STALE.token] * len(new))

    def _specs_of(self, bindings: Mapping[int, TelemetryBinding]) -> _Wanted:
        wanted: _Wanted = {}
        varying = Sdf.VariabilityVarying
        for b in bindings.values():
            attr = self._stage.GetAttributeAtPath(b.target)
            spec = declaring_spec(attr, self._ignored)
            if spec is None:
                raise StageError(f"{b.target} is no attribute of the plant")
            # The plant's type, or the live spec would change the attribute's type.
            wanted[Sdf.Path(b.target)] = (spec.typeName, spec.variability, spec.custom)
            for path, type_name in zip(_signal_paths(b), _SIGNAL_TYPES, strict=True):
                wanted[Sdf.Path(path)] = (type_name, varying, False)
        return wanted

    def _drop(self, gone: Mapping[int, TelemetryBinding], wanted: _Wanted) -> None:
        """Remove the specs of bindings that are no more, unless another binding has them."""
        targets = {b.target for b in self._bindings.values()}
        signals = {(b.prim, b.signal) for b in self._bindings.values()}
        with Sdf.ChangeBlock():
            for b in gone.values():
                for path, kept in (
                    (b.target, b.target in targets),
                    *((path, (b.prim, b.signal) in signals) for path in _signal_paths(b)),
                ):
                    spec = self._layer.GetAttributeAtPath(path)
                    if spec is None:
                        continue
                    other = wanted.get(spec.path)
                    if not kept or (other and (spec.typeName, spec.variability) != other[:2]):
                        self._layer.GetPrimAtPath(spec.path.GetPrimPath()).RemoveProperty(spec)
        self._layer.RemoveInertSceneDescription()

    def _forget_former_drivers(self, fresh: Mapping[int, TelemetryBinding]) -> None:
        """Withdraw what a property holds from channels of which none drives it any more."""

        def known(i: int) -> bool:
            return i < len(self._value) and self._value[i] is not None

        kept = {b.target for i, b in self._bindings.items() if known(i)}
        signals = {(b.prim, b.signal) for i, b in self._bindings.items() if known(i)}
        with Sdf.ChangeBlock():
            for i, b in fresh.items():
                if known(i):
                    continue
                if b.target not in kept:
                    self._layer.GetAttributeAtPath(b.target).ClearDefaultValue()
                if (b.prim, b.signal) not in signals:
                    self._layer.GetAttributeAtPath(_signal_paths(b)[0]).ClearDefaultValue()

    def _index(
        self,
        fresh: Mapping[int, TelemetryBinding],
        gone: Mapping[int, TelemetryBinding],
        size: int,
    ) -> None:
        more = size - len(self._kind)
        self._time_written = np.append(self._time_written, np.full(more, -math.inf))
        self._time_due = np.append(self._time_due, np.zeros(more, np.bool_))
        self._kind = np.append(self._kind, np.zeros(more, np.uint8))
        columns = (self._value, self._time, self._quality, self._status)
        for column in columns:
            column.extend([None] * more)
        for i in gone:
            self._element.pop(i, None)
            self._time_due[i] = False
            for column in columns:
                column[i] = None
        for i, b in fresh.items():
            for column, path in zip(columns, (b.target, *_signal_paths(b)), strict=True):
                column[i] = self._layer.GetAttributeAtPath(path)
            self._kind[i] = _KINDS[b.value_type.kind]
            if b.element >= 0:
                self._kind[i] = _Kind.ELEMENT
                self._element[i] = (b.target, b.element, _CASTS.get(b.value_type.kind, float))
        # Few, and their length may change without any binding changing.
        counts: dict[str, int] = {}
        for target, element, _ in self._element.values():
            counts[target] = max(counts.get(target, 0), element + 1)
        self._arrays = {path: self._slot(path, count) for path, count in counts.items()}

    def _slot(self, path: str, count: int) -> tuple[ArraySlot, Sdf.AttributeSpec]:
        attr = self._stage.GetAttributeAtPath(path)
        slot = ArraySlot(attr, count, list(declared_value(attr, self._ignored) or ()))
        spec = self._layer.GetAttributeAtPath(path)
        if spec.HasDefaultValue() and len(spec.default) != len(slot):
            spec.default = slot.set(())
        return slot, spec

    def write(self, changes: Changes, latest: Latest, now: float) -> int:
        """Write what changed.

        Args:
            changes: channels by what of them is new.
            latest: the newest state of every channel.
            now: steady time [s]; times of unchanged values are written once a second of it.

        Returns:
            Number of attributes written.

        Raises:
            OwnershipError: called on another thread.
        """
        self._owner.check()
        written = self._write_values(changes.value, latest)
        written += self._write_times(changes, latest, now)
        written += self._write_rows(
            self._quality,
            changes.quality,
            lambda rows, _: [_TOKENS[q] for q in latest.quality[rows].tolist()],
        )
        written += self._write_rows(
            self._status, changes.quality, lambda rows, _: latest.status[rows].tolist()
        )
        self.writes += written
        return written

    def _write_rows(
        self, column: list[Sdf.AttributeSpec | None], rows: Rows, values: ValuesOf
    ) -> int:
        """Write one attribute of some channels; returns their number."""
        for start in range(0, len(rows), _PIECE):
            piece = rows[start : start + _PIECE]
            listed = piece.tolist()
            specs: list[Any] = list(map(column.__getitem__, listed))
            write_specs(specs, values(piece, listed))
        return len(rows)

    def _write_values(self, index: Rows, latest: Latest) -> int:
        kinds = self._kind[index]
        present = np.bincount(kinds, minlength=5)
        written = 0
        for kind in np.flatnonzero(present).tolist():
            rows = index if present[kind] == len(index) else index[kinds == kind]
            if kind == _Kind.ELEMENT:
                written += self._write_elements(rows.tolist(), latest)
            else:
                written += self._write_rows(self._value, rows, self._values_of(kind, latest))
        return written

    def _values_of(self, kind: int, latest: Latest) -> ValuesOf:
        """Return the function that takes a kind's values out of the columns."""
        if kind == _Kind.OBJECT:
            return lambda _, listed: list(map(latest.objects.__getitem__, listed))
        if kind == _Kind.FLOAT:
            return lambda rows, _: latest.value[rows].tolist()
        if kind == _Kind.BOOLEAN:
            return lambda rows, _: (latest.value[rows] != 0).tolist()
        return lambda rows, listed: self._integers(rows, listed, latest)

    @staticmethod
    def _integers(rows: npt.NDArray[np.intp], listed: list[int], latest: Latest) -> Sequence[int]:
        column = latest.value[rows]
        if (column < 2.0**63).all():
            whole: list[int] = column.astype(np.int64).tolist()
            return whole
        # NaN: beyond 2**53 the exact integer is among the objects.
        return [
            latest.objects[i] if v != v else int(v)
            for i, v in zip(listed, column.tolist(), strict=True)
        ]

    def _write_elements(self, listed: list[int], latest: Latest) -> int:
        by_array: dict[str, list[tuple[int, Any]]] = {}
        for i in listed:
            path, element, cast = self._element[i]
            value = latest.objects[i]
            by_array.setdefault(path, []).append(
                (element, value if value is not None else cast(float(latest.value[i])))
            )
        arrays = [(*self._arrays[path], elements) for path, elements in by_array.items()]
        write_specs(
            [spec for _, spec, _ in arrays], [slot.set(elements) for slot, _, elements in arrays]
        )
        return len(arrays)

    def _write_times(self, changes: Changes, latest: Latest, now: float) -> int:
        # A time whose value did not change waits for its second; none is forgotten.
        self._time_due[changes.time] = True
        index = np.flatnonzero(self._time_due)
        if not len(index):
            return 0
        due = now - self._time_written[index] >= TIME_REFRESH
        if len(changes.value):
            fresh = np.zeros(len(self._kind), np.bool_)
            fresh[changes.value] = True
            due |= fresh[index]
        index = index[due]
        self._time_due[index] = False
        self._time_written[index] = now

        def times(rows: Rows, _listed: list[int]) -> list[float]:
            source = latest.source_time[rows]
            known: list[float] = np.where(
                np.isnan(source), latest.receive_time[rows], source
            ).tolist()
            return known

        return self._write_rows(self._time, index, times)

    def clear(self) -> None:
        """Remove everything this writer ever wrote."""
        self._owner.check()
        self._layer.Clear()
        gone, self._bindings = self._bindings, {}
        self._index({}, gone, len(self._kind))
