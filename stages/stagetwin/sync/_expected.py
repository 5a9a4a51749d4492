"""What models expect, on a mirror's stage: rows of a table in a layer of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Tf, Usd, Vt

from stagetwin._authoring import author_specs, declaring_spec, write_specs
from stagetwin.signals import Quality
from stagetwin.sync._frames import Section, SectionKind
from stagetwin.sync._values import made_of_numbers, maker

__all__ = ["ExpectedRows"]

Array = npt.NDArray[Any]
Wanted = dict[Sdf.Path, tuple[Sdf.ValueTypeName, Sdf.Variability, bool]]

_NUMBERS = frozenset({"double", "float", "half", "int", "int64", "uint", "uint64", "uchar", "bool"})


class _Held(NamedTuple):
    """Where a row goes, and for a pose the order that makes it count."""

    spec: Sdf.AttributeSpec
    order: Sdf.AttributeSpec | None
    reset: bool


class ExpectedRows:
    """Rows with `expected` of a table; what is stale is not known and blocked, as in the service.

    Attributes:
        mask: which rows of the table they are, shape (n,).
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows
        self._ignored: frozenset[str] = frozenset()
        self.mask = np.array([bool(row.get("expected")) for row in rows], np.bool_)
        self._held: dict[int, _Held] = {}
        self._values: dict[int, Any] = {}
        self._doubted = False

    def __bool__(self) -> bool:
        return bool(self.mask.any())

    def bind(
        self,
        stage: Usd.Stage,
        layer: Sdf.Layer,
        ignored: frozenset[str],
        before: ExpectedRows | None = None,
    ) -> dict[int, str]:
        """Create the specs that are needed, and drop those that are not.

        Args:
            stage: the mirror's stage.
            layer: where they are written.
            ignored: identifiers of the mirror's layers.
            before: of the table before; what stays keeps its value.

        Returns:
            Why a row cannot be shown on this stage.
        """
        self._ignored = ignored
        wanted: Wanted = {}
        faults: dict[int, str] = {}
        for row in np.flatnonzero(self.mask).tolist():
            if cause := self.fault(stage, row):
                faults[row] = cause
                continue
            target = Sdf.Path(str(self._rows[row]["target"]))
            found = Sdf.ValueTypeNames.Find(str(self._rows[row]["type"]))  # type: ignore[call-arg]
            wanted[target] = (found, Sdf.VariabilityVarying, False)
            if self._rows[row]["expected"] == "pose":
                order = target.GetPrimPath().AppendProperty("xformOpOrder")
                wanted[order] = (Sdf.ValueTypeNames.TokenArray, Sdf.VariabilityUniform, False)
        author_specs(layer, wanted)
        for row in np.flatnonzero(self.mask).tolist():
            if row not in faults:
                target = Sdf.Path(str(self._rows[row]["target"]))
                order = target.GetPrimPath().AppendProperty("xformOpOrder")
                self._held[row] = _Held(
                    layer.GetAttributeAtPath(target),
                    layer.GetAttributeAtPath(order) if order in wanted else None,
                    bool(self._rows[row].get("reset")),
                )
        if before is not None:
            self._take_over(before)
        self._show(list(self._held))
        return faults

    def _take_over(self, before: ExpectedRows) -> None:
        known = {_key(before._rows[row]): value for row, value in before._values.items()}
        kept = {row: known[key] for row in self._held if (key := _key(self._rows[row])) in known}
        self._values, self._doubted = kept, before._doubted

    def fault(self, stage: Usd.Stage, row: int) -> str:
        """Return why a row cannot be shown on a stage; empty if it can."""
        said = self._rows[row]
        prim, target = str(said["prim"]), str(said["target"])
        try:
            found, path = stage.GetPrimAtPath(prim), Sdf.Path(target)
        except Tf.ErrorException:
            return f"{prim} or {target} is no path"
        if not path.IsPrimPropertyPath() or str(path.GetPrimPath()) != prim:
            return f"{target} is no property of {prim}"
        if not found or not found.IsDefined():
            return f"this stage has no prim {prim}"
        if found.IsInstanceProxy() or found.IsInPrototype():
            return f"{prim} is below an instance root of this stage"
        is_pose, type_name = said["expected"] == "pose", str(said["type"])
        if type_name != "matrix4d" if is_pose else type_name not in _NUMBERS:
            return f"a {type_name} is nothing that a model gives"
        attr = found.GetAttribute(path.name)
        spec = declaring_spec(attr, self._ignored) if attr else None
        if spec is not None and str(spec.typeName) != type_name:
            return f"{target} is a {spec.typeName} here, not a {type_name}"
        return ""

    # -- frames

    def take(self, section: Section, here: Array) -> int:
        """Write some rows of a section; returns how many have a value.

        Args:
            section: checked against the table.
            here: positions in its rows, all with `expected`.
        """
        values, rows = section.values, section.rows[here].tolist()
        if section.qualities is not None:
            stale = section.qualities[here] >= Quality.STALE
        else:
            stale = np.zeros(len(rows), np.bool_)
        made: list[Any] = [None] * len(rows)
        types = [str(self._rows[row]["type"]) for row in rows]
        if isinstance(values, list):
            made = [maker(t)(values[i]) for t, i in zip(types, here.tolist(), strict=True)]
        elif values is not None:
            # Scalars are what they are, whatever their type; matrices are all of one.
            made = list(made_of_numbers(types[0], section.kind, values[here]))
        for row, value, unknown in zip(rows, made, stale.tolist(), strict=True):
            if unknown:
                self._values.pop(row, None)
            elif section.kind is not SectionKind.NONE:
                self._values[row] = value
        if not self._doubted:
            self._show(rows)
        return 0 if section.kind is SectionKind.NONE else len(rows)

    def doubt(self, doubted: bool) -> None:
        """Show nothing while the service is not heard, or what it said last."""
        self._doubted = doubted
        self._show(list(self._held))

    def value(self, row: int) -> Any:
        """Return what is shown of a row, None where it is not known."""
        return None if self._doubted else self._values.get(row)

    def _show(self, rows: Sequence[int]) -> None:
        """Bring specs up to what is known."""
        specs: list[Sdf.AttributeSpec] = []
        values: list[Any] = []
        back: list[Sdf.AttributeSpec] = []
        for row in rows:
            if (held := self._held.get(row)) is None:
                continue
            value = self.value(row)
            if held.order is None:
                specs.append(held.spec)
                values.append(Sdf.ValueBlock() if value is None else value)
            elif value is None:
                back += [held.spec, held.order]
            else:
                if not held.order.HasDefaultValue():
                    reset = ["!resetXformStack!"] if held.reset else []
                    specs.append(held.order)
                    values.append(Vt.TokenArray([*reset, held.spec.name]))
                specs.append(held.spec)
                values.append(value)
        write_specs(specs, values)
        if back:
            with Sdf.ChangeBlock():
                for spec in back:
                    spec.ClearDefaultValue()  # the plant's own place shows again


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row["target"]), str(row["type"])
