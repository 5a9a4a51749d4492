"""The predicted layer's writer: what models expect, and where they see bodies.

It gives expected values, never measured or desired ones: a property that telemetry drives, a
command sets or the twin reads as its own word is refused, whatever a model asks for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Usd, UsdGeom, Vt

from stagetwin._authoring import Owner, declaring_spec, write_specs
from stagetwin.live._instances import INSTANCED, InstanceArrays, instancing_fault

__all__ = ["POSE_OP", "Expected", "Placed", "PredictedLayer"]

POSE_OP = "xformOp:transform:predicted"
"""The one transform of a prim that a model places."""

STILL = 1e-9
"""Largest difference of a matrix's elements that is not written [stage's unit]."""

_RESIDUALS = re.compile(r"twin:telemetry:.+:(?:residual|residualSigma)")
_SIGNAL = re.compile(r"(twin:telemetry:.+):predicted")
_OUTPUT = re.compile(r"twin:model:[^:]+:out:[^:]+")
_CASTS: Mapping[str, Callable[[float], Any]] = {
    **dict.fromkeys(("double", "float", "half"), float),
    **dict.fromkeys(("int", "int64", "uint", "uint64", "uchar"), round),
    "bool": bool,
}
_REACH: Mapping[str, tuple[float, float]] = {
    "float": (-3.4028234663852886e38, 3.4028234663852886e38),
    "half": (-65504.0, 65504.0),
    "int": (-(2.0**31), 2.0**31 - 1),
    "int64": (-(2.0**63), 2.0**63 - 1024),
    "uint": (0.0, 2.0**32 - 1),
    "uint64": (0.0, 2.0**64 - 2048),
    "uchar": (0.0, 255.0),
}
"""Least and largest number of each type that a double can say as well."""

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]


class Expected(NamedTuple):
    """An attribute that a model gives values for.

    Attributes:
        path: property path.
        type_name: USD type where the plant declares none: a number or `bool`.
    """

    path: str
    type_name: str = "double"


class Placed(NamedTuple):
    """A prim that a model places.

    Attributes:
        prim: its path.
        reset: whether matrices are of the world instead of the parent.
        instance: which instance of a PointInstancer; -1 where the prim itself is placed. Matrices
            of instances are of the instancer's frame, and their scale does not count.
    """

    prim: str
    reset: bool = False
    instance: int = -1


class PredictedLayer:
    """Writes expected values and poses to one layer of one stage, from the thread that made it.

    Specs are created by `bind`, before the first value. What is not known is blocked, so that no
    weaker opinion passes for an expected value.

    Attributes:
        outputs, poses: what is bound, by position; refused ones too. Of two outputs with one path
            the first counts.
        refused: why something is never written, by its path.
        values: newest number of each output, shape (output_count,); NaN where it is not known.
        matrices: newest place of each pose, shape (pose_count, 16); NaN where it is not known.
        time: of which time they are [s, Unix]; NaN while nothing is known.
        writes: attributes written so far.
    """

    def __init__(self, stage: Usd.Stage, layer: Sdf.Layer, ignored: Collection[str]) -> None:
        self._owner = Owner()
        self._stage, self._layer, self._ignored = stage, layer, frozenset(ignored)
        self.outputs: Sequence[Expected] = ()
        self.poses: Sequence[Placed] = ()
        self.refused: dict[str, str] = {}
        self.values: Floats = np.empty(0)
        self.matrices: Floats = np.empty((0, 16))
        self.time = math.nan
        self.writes = 0
        self._position: dict[str, int] = {}
        self._specs: list[Sdf.AttributeSpec | None] = []
        self._cast: list[Callable[[float], Any]] = []
        self._plain = np.empty(0, np.bool_)
        self._least = self._most = np.empty(0)
        self._orders: list[tuple[Sdf.AttributeSpec, Sdf.AttributeSpec] | None] = []
        self._arrays: dict[str, InstanceArrays] = {}
        self._array_of: npt.NDArray[np.intp] = np.empty(0, np.intp)

    # -- binding

    def bind(
        self,
        outputs: Sequence[Expected],
        poses: Sequence[Placed] = (),
        driven: Collection[str] = (),
    ) -> None:
        """Create the specs that are needed, remove those that are not, and know nothing as yet.

        Args:
            outputs: attributes that models give.
            poses: prims that models place.
            driven: paths of the properties that telemetry drives or commands set; never written.

        Raises:
            OwnershipError: called on another thread.
        """
        self._owner.check()
        self.outputs, self.poses, self.refused = tuple(outputs), tuple(poses), {}
        wanted: dict[Sdf.Path, tuple[Sdf.ValueTypeName, Sdf.Variability]] = {}
        kinds: list[str] = []
        for output in self.outputs:
            kind, why = self._kind_of(output, driven)
            if why:
                self.refused[output.path] = why
            else:
                found = Sdf.ValueTypeNames.Find(kind)  # type: ignore[call-arg]
                wanted[Sdf.Path(output.path)] = (found, Sdf.VariabilityVarying)
            kinds.append(kind)
        moved = {Sdf.Path(path).GetPrimPath() for path in driven if ".xformOp" in path}
        for pose in self.poses:
            path, types = Sdf.Path(pose.prim), Sdf.ValueTypeNames
            if pose.instance >= 0:
                why = instancing_fault(self._stage, path, pose.instance, driven)
            else:
                why = self._placing(path, moved)
            if why:
                self.refused[pose.prim] = why
            elif pose.instance >= 0:
                for name, kind_of in zip(
                    INSTANCED, (types.Point3fArray, types.QuathArray), strict=True
                ):
                    wanted[path.AppendProperty(name)] = (kind_of, Sdf.VariabilityVarying)
            else:
                op, order = path.AppendProperty(POSE_OP), path.AppendProperty("xformOpOrder")
                wanted[op] = (types.Matrix4d, Sdf.VariabilityVarying)
                wanted[order] = (types.TokenArray, Sdf.VariabilityUniform)
        self._make(wanted)
        self._index(kinds)

    def _kind_of(self, output: Expected, driven: Collection[str]) -> tuple[str, str]:
        """Return type of an attribute, and why it may not be written; empty if it may."""
        path = Sdf.Path(output.path) if Sdf.Path.IsValidPathString(output.path) else None
        if path is None or not path.IsPrimPropertyPath():
            return "", "it is no path of a property"
        prim = self._stage.GetPrimAtPath(path.GetPrimPath())
        if not prim or prim.IsInstanceProxy():
            return "", "there is no prim that can carry it"
        if output.path in driven:
            return "", "telemetry drives it, or a command sets it"
        signal = _SIGNAL.fullmatch(path.name)
        kind = output.type_name
        if _RESIDUALS.fullmatch(path.name) or _OUTPUT.fullmatch(path.name):
            kind = "double"
        elif path.name.startswith("twin:") and signal is None:
            return "", "of a twin's own properties a model gives expected values alone"
        # What is expected of a signal is of its type, whatever the model says.
        declared = self._declared(f"{signal[1]}:value" if signal else path.name, prim)
        if declared is not None and signal is not None:
            kind = str(declared.typeName)
        declared = self._declared(path.name, prim)
        if declared is not None:
            kind = str(declared.typeName)
        elif signal is None and not path.name.startswith("twin:"):
            return "", "there is no such attribute"
        return (kind, "") if kind in _CASTS else ("", f"it is a {kind}, no number")

    def _declared(self, name: str, prim: Usd.Prim) -> Sdf.AttributeSpec | None:
        attr = prim.GetAttribute(name)
        return declaring_spec(attr, self._ignored) if attr else None

    def _placing(self, path: Sdf.Path, moved: Collection[Sdf.Path]) -> str:
        """Return why a prim may not be placed; empty if it may."""
        prim = self._stage.GetPrimAtPath(path)
        if not prim or prim.IsInstanceProxy():
            return "there is no prim that can be placed"
        if not UsdGeom.Xformable(prim):
            return f"a {prim.GetTypeName() or 'prim without a type'} has no place"
        return "telemetry drives its transform" if path in moved else ""

    def _make(self, wanted: Mapping[Sdf.Path, tuple[Sdf.ValueTypeName, Sdf.Variability]]) -> None:
        stale: list[Sdf.AttributeSpec] = []

        def visit(path: Sdf.Path | str) -> None:
            path = Sdf.Path(path)
            spec = self._layer.GetAttributeAtPath(path) if path.IsPropertyPath() else None
            if spec is not None and (spec.typeName, spec.variability) != wanted.get(path):
                stale.append(spec)

        self._layer.Traverse(Sdf.Path.absoluteRootPath, visit)
        with Sdf.ChangeBlock():
            for spec in stale:
                self._layer.GetPrimAtPath(spec.path.GetPrimPath()).RemoveProperty(spec)
        if stale:
            self._layer.RemoveInertSceneDescription()
        with Sdf.ChangeBlock():
            for path, (type_name, variability) in wanted.items():
                if not self._layer.GetAttributeAtPath(path):
                    Sdf.JustCreatePrimAttributeInLayer(
                        self._layer, path, type_name, variability, False
                    )

    def _index(self, kinds: Sequence[str]) -> None:
        layer, refused = self._layer, self.refused
        self._position = {
            o.path: i for i, o in reversed(list(enumerate(self.outputs))) if o.path not in refused
        }
        self._specs = [
            layer.GetAttributeAtPath(o.path) if self._position.get(o.path) == i else None
            for i, o in enumerate(self.outputs)
        ]
        self._cast = [_CASTS.get(kind, float) for kind in kinds]
        self._plain = np.array([cast is float for cast in self._cast], np.bool_)
        reach = [_REACH.get(kind, (-math.inf, math.inf)) for kind in kinds]
        self._least, self._most = np.array(reach, np.float64).reshape(-1, 2).T
        self._orders = [
            None
            if pose.prim in refused or pose.instance >= 0
            else (
                layer.GetAttributeAtPath(f"{pose.prim}.{POSE_OP}"),
                layer.GetAttributeAtPath(f"{pose.prim}.xformOpOrder"),
            )
            for pose in self.poses
        ]
        self.values = np.full(len(self.outputs), math.nan)
        self.matrices = np.full((len(self.poses), 16), math.nan)
        specs = [spec for spec in self._specs if spec is not None]
        write_specs(specs, [Sdf.ValueBlock()] * len(specs))
        self._arrays = {}
        self._release(range(len(self.poses)))
        self._find_instances()
        self.time = math.nan

    def _find_instances(self) -> None:
        """Read the plant's own arrays of the instancers of which instances are placed."""
        rows: dict[str, list[int]] = {}
        for i, pose in enumerate(self.poses):
            if pose.instance >= 0 and pose.prim not in self.refused:
                rows.setdefault(pose.prim, []).append(i)
        for prim, mine in rows.items():
            for name in INSTANCED:
                # What was written before is not the plant's.
                self._layer.GetAttributeAtPath(f"{prim}.{name}").ClearDefaultValue()
            instancer = UsdGeom.PointInstancer.Get(self._stage, prim)
            instances = [self.poses[i].instance for i in mine]
            self._arrays[prim] = InstanceArrays(instancer, self._layer, mine, instances)
        self._array_of = np.full(len(self.poses), -1, np.intp)
        for number, mine in enumerate(rows.values()):
            self._array_of[mine] = number

    # -- writing

    def write(self, index: Rows, values: Floats, time: float) -> int:
        """Write expected values that changed.

        Args:
            index: positions in `outputs`, shape (n,); those that are not there do not count.
            values: shape (n,); NaN where something is not known. What the type of an attribute
                cannot hold is not known either.
            time: of which time they are [s, Unix].

        Returns:
            Number of attributes written.

        Raises:
            OwnershipError: called on another thread.
        """
        self._owner.check()
        self.time = time
        there = (index >= 0) & (index < len(self.values))
        index, values = index[there], values[there]
        rounded = np.where(self._plain[index], values, np.rint(values))
        held = (rounded >= self._least[index]) & (rounded <= self._most[index])
        values = np.where(np.isfinite(values) & held, values, math.nan)
        before = self.values[index]
        changed = (values != before) & ~(np.isnan(values) & np.isnan(before))
        rows, numbers = index[changed], values[changed]
        self.values[rows] = numbers
        plain = self._plain[rows] & ~np.isnan(numbers)
        listed = rows.tolist()
        specs = list(map(self._specs.__getitem__, listed))
        out: list[Any] = numbers.tolist()
        for k in np.flatnonzero(~plain).tolist():
            number = out[k]
            out[k] = Sdf.ValueBlock() if number != number else self._cast[listed[k]](number)
        pairs = [(s, v) for s, v in zip(specs, out, strict=True) if s is not None]
        write_specs([spec for spec, _ in pairs], [value for _, value in pairs])
        self.writes += len(pairs)
        return len(pairs)

    def place(self, index: Rows, matrices: Floats) -> int:
        """Write poses that changed.

        Args:
            index: positions in `poses`, shape (n,); those that are not there do not count.
            matrices: in rows, as USD writes them, shape (n, 16); NaN lets the plant's own place
                show again.

        Returns:
            Number of prims moved.

        Raises:
            OwnershipError: called on another thread.
        """
        self._owner.check()
        there = (index >= 0) & (index < len(self.matrices))
        index, matrices = index[there], matrices[there]
        before = self.matrices[index]
        known = np.isfinite(matrices).all(axis=1)
        moved = known & ~(np.abs(matrices - before) <= STILL).all(axis=1)
        rows = index[moved]
        own_prims = self._array_of[rows] < 0
        placed = rows[own_prims]
        fresh = [int(i) for i in placed[np.isnan(self.matrices[placed, 0])].tolist()]
        self.matrices[rows] = matrices[moved]
        rows_of = np.ascontiguousarray(matrices[moved][own_prims]).reshape(-1, 4, 4)
        held: Any = Vt.Matrix4dArray.FromNumpy(rows_of)  # type: ignore[no-untyped-call]
        pairs = [
            (own[0], matrix)
            for own, matrix in zip(
                map(self._orders.__getitem__, placed.tolist()), held, strict=True
            )
            if own is not None
        ]
        write_specs([spec for spec, _ in pairs], [matrix for _, matrix in pairs])
        orders = [(own[1], self.poses[i].reset) for i in fresh if (own := self._orders[i])]
        write_specs([spec for spec, _ in orders], [_order(reset) for _, reset in orders])
        self._release(index[~known].tolist())
        instances = self._place_instances(rows, index[~known])
        self.writes += len(pairs) + instances
        return len(pairs) + int((~own_prims).sum())

    def _place_instances(self, moved: Rows, lost: Rows) -> int:
        """Write the arrays of instancers that have moved instances; returns how many arrays."""
        if not self._arrays:
            return 0
        touched = np.unique(self._array_of[np.concatenate([moved, lost])])
        arrays = list(self._arrays.values())
        for number in touched[touched >= 0].tolist():
            arrays[number].write(self.matrices)
        return len(INSTANCED) * int((touched >= 0).sum())

    def withdraw(self) -> None:
        """Take everything back: whoever gave it is gone, and nothing may look as if it were new."""
        self._owner.check()
        # All of them: a write that failed may have left values that nobody counted.
        specs = [spec for spec in self._specs if spec is not None]
        write_specs(specs, [Sdf.ValueBlock()] * len(specs))
        self.values[:] = math.nan
        self._release(np.flatnonzero(~np.isnan(self.matrices[:, 0])).tolist())
        for arrays in self._arrays.values():
            arrays.release()
        self.time = math.nan

    def _release(self, positions: Collection[int]) -> None:
        """Let the plant's own place of prims show again."""
        with Sdf.ChangeBlock():
            for i in positions:
                if (own := self._orders[i]) is not None:
                    for spec in own:
                        spec.ClearDefaultValue()
                self.matrices[i] = math.nan

    # -- reading

    def value(self, path: str) -> float:
        """Return the newest number of an attribute; NaN where it is not known."""
        position = self._position.get(path)
        return math.nan if position is None else float(self.values[position])


def _order(reset: bool) -> Vt.TokenArray:
    return Vt.TokenArray(["!resetXformStack!", POSE_OP] if reset else [POSE_OP])
