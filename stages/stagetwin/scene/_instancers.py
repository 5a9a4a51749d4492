"""PointInstancers: where their instances are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Usd, UsdGeom

from stagetwin.scene._shape import ShapeFault
from stagetwin.scene._values import Values

__all__ = ["MAX_INSTANCES", "Instances", "read_instances"]

MAX_INSTANCES = 1_000_000
"""Instances of one instancer."""

_Table = npt.NDArray[np.float64]


@dataclass(slots=True)
class Instances:
    """Instances of one PointInstancer, shape (instance_count, ...).

    Attributes:
        indices: prototype of each.
        positions: in the instancer's space.
        orientations: quaternions x, y, z, w; empty where none are authored.
        scales: empty where none are authored.
        ids: empty where none are authored.
        hidden: positions in these arrays that are not to be drawn.
    """

    indices: npt.NDArray[np.int64]
    positions: _Table
    orientations: _Table
    scales: _Table
    ids: npt.NDArray[np.int64]
    hidden: npt.NDArray[np.int64]

    def matrices(self) -> _Table:
        """Return the transform of each, shape (instance_count, 4, 4), row vectors."""
        count = len(self.indices)
        found = np.zeros((count, 4, 4))
        found[:, 3, 3] = 1.0
        found[:, 3, :3] = self.positions
        rotation = np.broadcast_to(np.eye(3), (count, 3, 3))
        if len(self.orientations):
            x, y, z, w = self.orientations.T
            rows = [
                [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
                [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
                [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
            ]
            rotation = np.array(rows).transpose(2, 0, 1)
        found[:, :3, :3] = rotation * (self.scales[:, :, None] if len(self.scales) else 1.0)
        return found

    def designed(self, driven: frozenset[Sdf.Path], path: Sdf.Path) -> list[npt.NDArray[Any]]:
        """Return the arrays that live values do not drive."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "protoIndices": self.indices,
            "positions": self.positions,
            "orientations": self.orientations,
            "scales": self.scales,
            "ids": self.ids,
            "invisibleIds": self.hidden,
        }
        return [table for name, table in arrays.items() if path.AppendProperty(name) not in driven]

    def row(self) -> dict[str, Any]:
        """Return the fields of the manifest."""
        return {
            "indices": self.indices.tolist(),
            "positions": self.positions.reshape(-1).tolist(),
            "orientations": self.orientations.reshape(-1).tolist(),
            "scales": self.scales.reshape(-1).tolist(),
            "ids": self.ids.tolist(),
            "hidden": self.hidden.tolist(),
        }


def _quaternions(raw: Any) -> _Table:
    if raw is None or not len(raw):
        return np.zeros((0, 4))
    # Gf keeps a quaternion's imaginary part first; numpy sees memory.
    table = np.array(raw, np.float64).reshape(len(raw), 4)
    length = np.sqrt((table**2).sum(axis=1))
    table[length < 1e-9] = (0.0, 0.0, 0.0, 1.0)
    result: _Table = table / np.where(length < 1e-9, 1.0, length)[:, None]
    return result


def read_instances(
    values: Values, prim: Usd.Prim, prototype_count: int, notes: list[str]
) -> Instances:
    """Return the instances of a PointInstancer, where they are now.

    Args:
        notes: gets what does not fit together.

    Raises:
        ShapeFault: nothing of it can be drawn.
    """
    instancer = UsdGeom.PointInstancer(prim)
    indices = np.array(values.now(instancer.GetProtoIndicesAttr()) or (), np.int64).reshape(-1)
    positions = np.array(values.now(instancer.GetPositionsAttr()) or (), np.float64).reshape(-1, 3)
    count = len(indices)
    if count > MAX_INSTANCES:
        raise ShapeFault(f"it has {count} instances, {MAX_INSTANCES} are shown at most")
    if len(positions) != count:
        raise ShapeFault(f"it has {count} protoIndices and {len(positions)} positions")
    if not np.isfinite(positions).all():
        raise ShapeFault("it has positions that are not finite")
    fine = values.now(prim.GetAttribute("orientationsf"))
    raw = fine if fine is not None and len(fine) else values.now(instancer.GetOrientationsAttr())
    orientations = _fit(_quaternions(raw), count, "orientations", notes)
    scales = np.array(values.now(instancer.GetScalesAttr()) or (), np.float64).reshape(-1, 3)
    scales = _fit(scales, count, "scales", notes)
    ids = np.array(values.now(instancer.GetIdsAttr()) or (), np.int64).reshape(-1)
    if len(ids) not in (0, count):
        notes.append(f"{len(ids)} ids do not fit {count} instances: left out")
        ids = ids[:0]
    known = ids if len(ids) else np.arange(count)
    gone = list(values.now(instancer.GetInvisibleIdsAttr()) or ())
    inactive = prim.GetMetadata("inactiveIds")
    if inactive is not None:
        gone += inactive.ApplyOperations([]) or []
    off = np.isin(known, np.array(gone, np.int64)) if gone else np.zeros(count, bool)
    lost = (indices < 0) | (indices >= prototype_count)
    if lost.any():
        notes.append(f"{int(lost.sum())} protoIndices are not in [0, {prototype_count})")
    return Instances(indices, positions, orientations, scales, ids, np.flatnonzero(off | lost))


def _fit(table: _Table, count: int, name: str, notes: list[str]) -> _Table:
    if not len(table):
        return table
    if len(table) != count or not np.isfinite(table).all():
        notes.append(f"{name} do not fit {count} instances, or are not finite: left out")
        return table[:0]
    return table
