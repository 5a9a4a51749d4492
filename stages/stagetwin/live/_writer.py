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
        wanted = self._specs_of(bindings)
        self._drop_others(wanted)
        with Sdf.ChangeBlock():
            for path, (type_name, variability, custom) in wanted.items():
                if not self._layer.GetAttributeAtPath(
                    path
                ) and not Sdf.JustCreatePrimAttributeInLayer(
                    self._layer, path, type_name, variability, custom
                ):
                    raise StageError(f"cannot create {path} in the live layer")
        self._forget_former_drivers(bindings)
        self._index(bindings, size)
        fresh = [spec for spec in self._quality if spec is not None and not spec.HasDefaultValue()]
        write_specs(fresh, [Quality.STALE.token] * len(fresh))

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
            prefix = f"{b.prim}.twin:telemetry:{b.signal}:"
            wanted[Sdf.Path(prefix + "time")] = (Sdf.ValueTypeNames.Double, varying, False)
            wanted[Sdf.Path(prefix + "quality")] = (Sdf.ValueTypeNames.Token, varying, False)
            wanted[Sdf.Path(prefix + "status")] = (Sdf.ValueTypeNames.UInt, varying, False)
        return wanted

    def _drop_others(self, wanted: _Wanted) -> None:
        found: list[Sdf.Path] = []
        self._layer.Traverse(
            Sdf.Path.absoluteRootPath,
            lambda path: found.append(Sdf.Path(path)),
        )
        with Sdf.ChangeBlock():
            for path in found:
                if not path.IsPropertyPath():
                    continue
                spec = self._layer.GetAttributeAtPath(path)
                if path not in wanted or (spec.typeName, spec.variability) != wanted[path][:2]:
                    self._layer.GetPrimAtPath(path.GetPrimPath()).RemoveProperty(spec)
        self._layer.RemoveInertSceneDescription()

    def _forget_former_drivers(self, bindings: Mapping[int, TelemetryBinding]) -> None:
        """Withdraw what a property holds from a channel that no longer drives it."""
        with Sdf.ChangeBlock():
            for i, b in bindings.items():
                known = i < len(self._value) and self._value[i] is not None
                if known or b.element >= 0 or b.redundancy_group:
                    continue
                for path in (b.target, f"{b.prim}.twin:telemetry:{b.signal}:time"):
                    self._layer.GetAttributeAtPath(path).ClearDefaultValue()

    def _index(self, bindings: Mapping[int, TelemetryBinding], size: int) -> None:
        def at(path: str) -> Sdf.AttributeSpec:
            return self._layer.GetAttributeAtPath(path)

        kept = self._time_written
        self._time_written = np.full(size, -math.inf)
        self._time_written[: len(kept)] = kept
        self._time_due = np.zeros(size, np.bool_)
        self._kind = np.zeros(size, np.uint8)
        self._value, self._time = [None] * size, [None] * size
        self._quality, self._status = [None] * size, [None] * size
        self._element.clear()
        counts: dict[str, int] = {}
        for i, b in bindings.items():
            prefix = f"{b.prim}.twin:telemetry:{b.signal}:"
            self._value[i] = at(b.target)
            self._time[i] = at(prefix + "time")
            self._quality[i] = at(prefix + "quality")
            self._status[i] = at(prefix + "status")
            self._kind[i] = _KINDS[b.value_type.kind]
            if b.element >= 0:
                self._kind[i] = _Kind.ELEMENT
                self._element[i] = (b.target, b.element, _CASTS.get(b.value_type.kind, float))
                counts[b.target] = max(counts.get(b.target, 0), b.element + 1)
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
        self._index({}, 0)
