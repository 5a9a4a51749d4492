"""The live layer's writer: columns in, attribute specs out, as fast as Sdf takes them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Usd

from stagetwin._errors import StageError
from stagetwin.bindings import TelemetryBinding
from stagetwin.bindings._attributes import declared_value, declaring_spec
from stagetwin.hub import Changes, Latest
from stagetwin.live._arrays import ArraySlot
from stagetwin.live._layers import Owner
from stagetwin.ports import ValueKind
from stagetwin.signals import Quality

__all__ = ["BLOCK_SIZE", "LiveLayer", "write_specs"]

BLOCK_SIZE = 60
"""Changes per Sdf.ChangeBlock. Sdf's change list searches linearly up to 64 entries and builds a
hash table beyond, which makes large blocks slower than none."""

TIME_REFRESH = 1.0
"""How often the time of a signal is written whose value does not change [s]."""

_TOKENS = [quality.token for quality in Quality]
_set_default = Sdf.AttributeSpec.default.fset


def write_specs(specs: Sequence[Sdf.AttributeSpec], values: Sequence[Any]) -> None:
    """Set the default values of attribute specs, in blocks of `BLOCK_SIZE`.

    Args:
        specs: specs of one staged layer.
        values: as many values of the specs' types, as Python or Gf objects.
    """
    # deque(maxlen=0) runs the map at C speed; a Python loop costs a third more.
    for start in range(0, len(specs), BLOCK_SIZE):
        stop = start + BLOCK_SIZE
        with Sdf.ChangeBlock():
            deque(map(_set_default, specs[start:stop], values[start:stop]), maxlen=0)


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
        specs: list[Any] = []
        values: list[Any] = []
        self._collect_values(changes.value, latest, specs, values)
        self._collect_times(changes, latest, now, specs, values)
        if len(changes.quality):
            indices = changes.quality.tolist()
            specs.extend(self._quality[i] for i in indices)
            values.extend(_TOKENS[q] for q in latest.quality[changes.quality].tolist())
            specs.extend(self._status[i] for i in indices)
            values.extend(latest.status[changes.quality].tolist())
        write_specs(specs, values)
        self.writes += len(specs)
        return len(specs)

    def _collect_values(
        self, index: npt.NDArray[np.intp], latest: Latest, specs: list[Any], values: list[Any]
    ) -> None:
        if not len(index):
            return
        kinds = self._kind[index]
        present = np.bincount(kinds, minlength=5)
        for kind in np.flatnonzero(present).tolist():
            rows = index if present[kind] == len(index) else index[kinds == kind]
            listed = rows.tolist()
            if kind == _Kind.ELEMENT:
                self._collect_elements(listed, latest, specs, values)
                continue
            specs.extend(map(self._value.__getitem__, listed))
            if kind == _Kind.OBJECT:
                values.extend(map(latest.objects.__getitem__, listed))
            elif kind == _Kind.FLOAT:
                values.extend(latest.value[rows].tolist())
            elif kind == _Kind.BOOLEAN:
                values.extend((latest.value[rows] != 0).tolist())
            else:
                values.extend(self._integers(rows, listed, latest))

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

    def _collect_elements(
        self, listed: list[int], latest: Latest, specs: list[Any], values: list[Any]
    ) -> None:
        by_array: dict[str, list[tuple[int, Any]]] = {}
        for i in listed:
            path, element, cast = self._element[i]
            value = latest.objects[i]
            by_array.setdefault(path, []).append(
                (element, value if value is not None else cast(float(latest.value[i])))
            )
        for path, elements in by_array.items():
            slot, spec = self._arrays[path]
            specs.append(spec)
            values.append(slot.set(elements))

    def _collect_times(
        self, changes: Changes, latest: Latest, now: float, specs: list[Any], values: list[Any]
    ) -> None:
        # A time whose value did not change waits for its second; none is forgotten.
        self._time_due[changes.time] = True
        index = np.flatnonzero(self._time_due)
        if not len(index):
            return
        due = now - self._time_written[index] >= TIME_REFRESH
        if len(changes.value):
            fresh = np.zeros(len(self._kind), np.bool_)
            fresh[changes.value] = True
            due |= fresh[index]
        index = index[due]
        self._time_due[index] = False
        self._time_written[index] = now
        source = latest.source_time[index]
        times = np.where(np.isnan(source), latest.receive_time[index], source)
        specs.extend(map(self._time.__getitem__, index.tolist()))
        values.extend(times.tolist())

    def clear(self) -> None:
        """Remove everything this writer ever wrote."""
        self._owner.check()
        self._layer.Clear()
        gone, self._bindings = self._bindings, {}
        self._index({}, gone, len(self._kind))
