"""A table of channels bound to a stage: which spec each row is written to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Tf, Usd

from stagetwin._authoring import author_specs, declaring_spec, write_specs
from stagetwin._errors import SyncError
from stagetwin.signals import Quality
from stagetwin.sync._columns import wire_kind
from stagetwin.sync._elements import Elements
from stagetwin.sync._expected import ExpectedRows
from stagetwin.sync._frames import SectionKind

__all__ = ["BoundTable", "Place"]

Array = npt.NDArray[Any]

_TYPES = (Sdf.ValueTypeNames.Double, Sdf.ValueTypeNames.Token, Sdf.ValueTypeNames.UInt)
_UNKNOWN = 255


class Place(NamedTuple):
    """Where the values of some rows go.

    Attributes:
        type_name: USD type of one value.
        elements: the array whose elements they are, None where each is an attribute.
        shared: whether other rows drive the same property.
    """

    type_name: str
    elements: Elements | None = None
    shared: bool = False


class BoundTable:
    """Rows of a `channels` message on a stage; every array has shape (n,).

    Attributes:
        number: of the message.
        rows: its rows.
        place: which of `places` a row's values go to; -1 where this stage cannot show them.
        places: distinct places.
        element: index into the array, where it is one.
        values, times, qualities, status: the specs, None where there is none.
        told_quality, told_status, told_time: what the service said last.
        signal: number of a row's signal; elements of an array may share one.
        signals: how many signals there are.
        alternatives: rows that drive one property, in order of their signals' names.
        alternative: which of `alternatives` a row is of.
        expected: those of its rows that models give.
        problems: why a channel is not shown, by its path.
        wire: kind and width by which a row may come, as one number.
    """

    def __init__(
        self,
        message: Mapping[str, Any],
        stage: Usd.Stage,
        layer: Sdf.Layer,
        predicted: Sdf.Layer,
        ignored: frozenset[str],
        before: BoundTable | None = None,
    ) -> None:
        """Create the specs that the table needs, and drop those that it does not.

        Args:
            message: a `channels` message.
            stage: the mirror's stage.
            layer: where values are written.
            predicted: where what models expect is written.
            ignored: identifiers of the mirror's layers.
            before: the table before; what stays keeps its value.

        Raises:
            SyncError: the message is malformed.
        """
        try:
            self.number = int(message["table"])
            self.rows = [dict(row) for row in message["channels"]]
            prims = [str(row["prim"]) for row in self.rows]
            targets = [str(row["target"]) for row in self.rows]
            signals = [str(row["signal"]) for row in self.rows]
            elements = [int(row.get("element", -1)) for row in self.rows]
            kinds = [wire_kind(str(row["type"])) for row in self.rows]
            self.expected = ExpectedRows(self.rows)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SyncError(f"a table of channels is malformed: {error!r}") from None
        size = len(self.rows)
        self.problems: dict[str, str] = {}
        self.places: list[Place] = []
        self.place = np.full(size, -1, np.intp)
        self.element = np.array(elements, np.intp)
        self.wire = np.array([_wire(*kind) for kind in kinds], np.intp)
        self.values: list[Sdf.AttributeSpec | None] = [None] * size
        self.times = list(self.values)
        self.qualities = list(self.values)
        self.status = list(self.values)
        self.told_quality = np.full(size, _UNKNOWN, np.uint8)
        self.told_status = np.full(size, -1, np.int64)
        self.told_time = np.full(size, np.nan)
        numbers: dict[tuple[str, str], int] = {}
        # What is expected of a signal shares its name, and none of its attributes.
        own = [t if mine else s for t, s, mine in zip(targets, signals, self._mine(), strict=True)]
        names = zip(prims, own, strict=True)
        self.signal = np.array([numbers.setdefault(n, len(numbers)) for n in names], np.intp)
        self.signals = len(numbers)
        self.alternatives: list[list[int]] = []
        self.alternative = np.full(size, -1, np.intp)
        self._find_alternatives(targets)
        self._bind(stage, layer, ignored, prims, targets)
        known = before.expected if before is not None else None
        faults = self.expected.bind(stage, predicted, ignored, known)
        self.problems |= {self.path(row): cause for row, cause in faults.items()}
        if before is not None:
            self._take_over(before)

    def _mine(self) -> list[bool]:
        """Tell which rows models give."""
        mine: list[bool] = self.expected.mask.tolist()
        return mine

    def _find_alternatives(self, targets: Sequence[str]) -> None:
        sharing: dict[tuple[str, int], list[int]] = {}
        for row, target in enumerate(targets):
            sharing.setdefault((target, int(self.element[row])), []).append(row)
        for rows in sharing.values():
            if len(rows) > 1:
                rows.sort(key=lambda row: str(self.rows[row].get("signal", "")))
                self.alternative[rows] = len(self.alternatives)
                self.alternatives.append(rows)

    def _bind(
        self,
        stage: Usd.Stage,
        layer: Sdf.Layer,
        ignored: frozenset[str],
        prims: Sequence[str],
        targets: Sequence[str],
    ) -> None:
        wanted: dict[Sdf.Path, tuple[Sdf.ValueTypeName, Sdf.Variability, bool]] = {}
        driven: dict[int, Usd.Attribute] = {}
        varying = Sdf.VariabilityVarying
        measured = [row for row, mine in enumerate(self._mine()) if not mine]
        for row in measured:
            prim, target = prims[row], targets[row]
            cause, attr = self._fault(stage, row, prim, target)
            if cause:
                self.problems[self.path(row)] = cause
            if attr is None:
                continue
            if not cause and (spec := declaring_spec(attr, ignored)) is not None:
                # The plant's type, or the spec here would change the attribute's type.
                wanted[Sdf.Path(target)] = (spec.typeName, spec.variability, spec.custom)
                driven[row] = attr
            for path, type_name in zip(self._signal_paths(row), _TYPES, strict=True):
                wanted[path] = (type_name, varying, False)
        author_specs(layer, wanted)
        arrays: dict[str, int] = {}
        counts: dict[str, int] = {}
        for row in driven:
            counts[targets[row]] = max(counts.get(targets[row], 0), int(self.element[row]) + 1)
        codes: dict[Place, int] = {}
        for row, attr in driven.items():
            spec = self.values[row] = layer.GetAttributeAtPath(targets[row])
            shared = bool(self.alternative[row] >= 0)
            if self.element[row] >= 0:
                if targets[row] not in arrays:
                    array = Elements(attr, spec, counts[targets[row]], ignored)
                    arrays[targets[row]] = len(self.places)
                    self.places += [Place(array.type_name, array, each) for each in (False, True)]
                self.place[row] = arrays[targets[row]] + shared
                continue
            key = Place(str(self.rows[row]["type"]), None, shared)
            if key not in codes:
                codes[key] = len(self.places)
                self.places.append(key)
            self.place[row] = codes[key]
        columns = (self.times, self.qualities, self.status)
        for row in measured:
            for column, path in zip(columns, self._signal_paths(row), strict=True):
                column[row] = layer.GetAttributeAtPath(path)
        fresh = [spec for spec in self.qualities if spec is not None and spec.default is None]
        write_specs(fresh, [Quality.STALE.token] * len(fresh))

    def _fault(
        self, stage: Usd.Stage, row: int, prim: str, target: str
    ) -> tuple[str, Usd.Attribute | None]:
        """Return why a channel cannot be shown here, and its attribute where there is a prim."""
        try:
            found = stage.GetPrimAtPath(prim)
            attr = stage.GetAttributeAtPath(target)
        except Tf.ErrorException:
            return f"{prim} or {target} is no path", None
        if not found or not found.IsDefined():
            return f"this stage has no prim {prim}", None
        if found.IsInstanceProxy() or found.IsInPrototype():
            return f"{prim} is below an instance root of this stage", None
        if not attr or not attr.IsDefined():
            return f"this stage has no attribute {target}", attr
        here = attr.GetTypeName()
        one = here.scalarType if self.element[row] >= 0 else here
        if attr.GetPrim().IsInstanceProxy():
            return f"{target} is below an instance root of this stage", None
        if str(one) != str(self.rows[row]["type"]) or (self.element[row] >= 0 and not here.isArray):
            return f"{target} is a {here} here, not a {self.rows[row]['type']}", attr
        return "", attr

    def outdated(self, stage: Usd.Stage) -> bool:
        """Tell whether a row could be shown now that could not be, or the other way round."""
        for row, (each, mine) in enumerate(zip(self.rows, self._mine(), strict=True)):
            if mine:
                cause = self.expected.fault(stage, row)
            else:
                cause, _ = self._fault(stage, row, str(each["prim"]), str(each["target"]))
            if cause != self.problems.get(self.path(row), ""):
                return True
        return False

    def _take_over(self, before: BoundTable) -> None:
        places = {before.path(row): row for row in range(len(before.rows))}
        for row in range(len(self.rows)):
            old = places.get(self.path(row))
            if old is None:
                continue
            for column, kept, here, there in (
                (self.qualities, before.qualities, self.told_quality, before.told_quality),
                (self.status, before.status, self.told_status, before.told_status),
                (self.times, before.times, self.told_time, before.told_time),
            ):
                if column[row] is not None and kept[old] is not None:
                    here[row] = there[old]

    def path(self, row: int) -> str:
        """Return the path of a channel, with the element where it is one of an array."""
        found = str(self.rows[row]["path"])
        element = int(self.element[row])
        return found if element < 0 or found.endswith("]") else f"{found}[{element}]"

    def takes(self, rows: Array, kind: SectionKind, width: int) -> Array:
        """Tell which rows a section of a kind may carry; rigid matrices come as poses."""
        if kind is SectionKind.POSE:
            kind, width = SectionKind.MATRIX, 16
        elif kind is SectionKind.JSON:
            width = 0
        taken: Array = self.wire[rows] == _wire(kind, width)
        return taken

    def _signal_paths(self, row: int) -> Iterable[Sdf.Path]:
        prefix = f"{self.rows[row]['prim']}.twin:telemetry:{self.rows[row]['signal']}:"
        return [Sdf.Path(prefix + name) for name in ("time", "quality", "status")]


def _wire(kind: int, width: int) -> int:
    return int(kind) * 256 + width
