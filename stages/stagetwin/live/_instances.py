"""Where a model sees the instances of a PointInstancer: its own two arrays, written as a whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Usd, UsdGeom, Vt

from stagetwin._authoring import write_specs

__all__ = ["INSTANCED", "InstanceArrays", "instancing_fault", "quaternions_of"]

INSTANCED = (str(UsdGeom.Tokens.positions), str(UsdGeom.Tokens.orientations))
"""The arrays that say where instances are and how they are turned."""

_LARGEST = float(np.finfo(np.float32).max)
"""What positions of instances can hold; a matrix of a prim can hold more."""

Floats = npt.NDArray[np.float64]


def instancing_fault(
    stage: Usd.Stage, prim: Sdf.Path, instance: int, driven: Collection[str]
) -> str:
    """Return why an instance may not be placed; empty if it may."""
    found = stage.GetPrimAtPath(prim)
    if not found or found.IsInstanceProxy():
        return "there is no prim that can be placed"
    if not found.IsA("PointInstancer"):
        return f"a {found.GetTypeName() or 'prim without a type'} has no instances"
    if any(f"{prim}.{name}" in driven for name in INSTANCED):
        return "telemetry drives its instances"
    instancer = UsdGeom.PointInstancer(found)
    if instancer.GetOrientationsfAttr().HasAuthoredValue():
        return "its orientationsf would hide what a model expects; author orientations instead"
    count = len(instancer.GetProtoIndicesAttr().Get() or ())
    if not 0 <= instance < count:
        return f"it has {count} instances, got number {instance}"
    return ""


class InstanceArrays:
    """The arrays of one PointInstancer in the predicted layer.

    What no model places, or is not known, stays where the plant has it.

    Args:
        instancer: whose specs are in the layer, without a value.
        layer: the predicted layer.
        rows: positions of its poses among those of the layer.
        instances: which instance each of them is.
    """

    def __init__(
        self,
        instancer: UsdGeom.PointInstancer,
        layer: Sdf.Layer,
        rows: Sequence[int],
        instances: Sequence[int],
    ) -> None:
        self._rows, self._instances = np.array(rows, np.intp), np.array(instances, np.intp)
        path = instancer.GetPath()
        self._specs = [layer.GetAttributeAtPath(path.AppendProperty(name)) for name in INSTANCED]
        count = len(instancer.GetProtoIndicesAttr().Get() or ())
        self._positions = np.zeros((count, 3), np.float32)
        self._orientations = np.tile(np.array([0, 0, 0, 1], np.float16), (count, 1))
        for own, attr in (
            (self._positions, instancer.GetPositionsAttr()),
            (self._orientations, instancer.GetOrientationsAttr()),
        ):
            values = attr.Get()
            if values:
                own[: len(values)] = np.asarray(values, own.dtype)[: len(own)]

    def write(self, matrices: Floats) -> None:
        """Write where the instances are.

        Args:
            matrices: of all poses of the layer, in the instancer's frame, shape (n, 16); NaN where
                nothing is known.
        """
        mine = matrices[self._rows]
        known = (np.abs(mine) <= _LARGEST).all(axis=1)  # NaN is not either
        if not known.any():
            self.release()
            return
        positions, orientations = self._positions.copy(), self._orientations.copy()
        at = self._instances[known]
        positions[at] = mine[known, 12:15]
        orientations[at] = quaternions_of(mine[known])
        arrays: list[Any] = [
            Vt.Vec3fArray.FromNumpy(positions),  # type: ignore[no-untyped-call]
            Vt.QuathArray.FromNumpy(orientations),  # type: ignore[no-untyped-call]
        ]
        write_specs(self._specs, arrays)

    def release(self) -> None:
        """Let the plant's own arrays show again."""
        with Sdf.ChangeBlock():
            for spec in self._specs:
                spec.ClearDefaultValue()


def quaternions_of(matrices: Floats) -> Floats:
    """Return the rotations of matrices as unit quaternions (x, y, z, w), shape (n, 4).

    Source: S. W. Shepperd, "Quaternion from Rotation Matrix", Journal of Guidance and Control 1
    (1978): the largest component divides.

    Args:
        matrices: rows of row vectors, shape (n, 16); scales are left out.
    """
    rows = matrices.reshape(-1, 4, 4)[:, :3, :3]
    lengths = np.linalg.norm(rows, axis=2, keepdims=True)
    m = rows / np.where(lengths > 0, lengths, 1.0)
    p, q, r = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    xy, xz, yz = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    wx, wy, wz = m[:, 1, 2] - m[:, 2, 1], m[:, 2, 0] - m[:, 0, 2], m[:, 0, 1] - m[:, 1, 0]
    squares = np.stack((1 + p - q - r, 1 - p + q - r, 1 - p - q + r, 1 + p + q + r), axis=1)
    products = np.stack(
        (
            np.stack((squares[:, 0], xy, xz, wx), axis=1),
            np.stack((xy, squares[:, 1], yz, wy), axis=1),
            np.stack((xz, yz, squares[:, 2], wz), axis=1),
            np.stack((wx, wy, wz, squares[:, 3]), axis=1),
        ),
        axis=1,
    )
    found: Floats = products[np.arange(len(m)), squares.argmax(axis=1)]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found
