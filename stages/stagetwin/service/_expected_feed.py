"""What models expect, as rows of the viewers' table: behind the channels, for those who ask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf

from stagetwin.gateway import wire
from stagetwin.live import POSE_OP, Expected, Placed
from stagetwin.signals import Quality
from stagetwin.twin import Twin

__all__ = ["ExpectedFeed"]

Rows = npt.NDArray[np.intp]

_SIGNAL = re.compile(r"twin:telemetry:(.+):(predicted|residual|residualSigma)")
_OUTPUT = re.compile(r"twin:model:(.+:out:.+)")
_WHOLE = frozenset({"int", "int64", "uint", "uint64", "uchar", "bool"})


class ExpectedFeed:
    """Values and poses of a twin's predicted layer, on the thread that owns the stage.

    Attributes:
        wanted: whether somebody wants them.
        poses: prims that models place.
        instancers: PointInstancers of which they place instances.
    """

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self.wanted = False
        self.poses: list[Placed] = []
        self.instancers: list[str] = []
        self._instanced: list[Rows] = []
        self._bound: tuple[Any, ...] = ((), (), {})
        self._outputs: Rows = np.empty(0, np.intp)
        self._whole = np.empty(0, np.bool_)
        self._texts: list[int] = []
        self._placed: Rows = np.empty(0, np.intp)
        self._numbers = np.empty(0)
        self._matrices = np.empty((0, 16))
        self._moved = np.empty((0, 16))
        self._shown: list[npt.NDArray[np.float64]] = []
        self._fresh = True

    @property
    def outdated(self) -> bool:
        """Whether models give other things than were bound."""
        layer = self._twin.predicted
        if layer.refused is self._bound[2]:
            return False  # nothing was bound since
        now = layer.outputs, layer.poses, layer.refused
        if now != self._bound:
            return True
        self._bound = now
        return False

    def bind(self, measured: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Take what models give now; everything is to be sent again.

        Args:
            measured: rows of signals by prim and name.

        Returns:
            Rows of docs/sync.md, in the order of the positions that `add` names.
        """
        layer = self._twin.predicted
        self._bound = layer.outputs, layer.poses, layer.refused
        given: dict[str, int] = {}
        for i, output in enumerate(layer.outputs):
            if output.path not in layer.refused:
                given.setdefault(output.path, i)
        rows = [self._row(layer.outputs[i], measured) for i in given.values()]
        known = [i for i, pose in enumerate(layer.poses) if pose.prim not in layer.refused]
        places = [i for i in known if layer.poses[i].instance < 0]
        self.poses = [layer.poses[i] for i in places]
        # Instances go as the arrays of their instancer, without a row of their own.
        instances: dict[str, list[int]] = {}
        for i in known:
            if layer.poses[i].instance >= 0:
                instances.setdefault(layer.poses[i].prim, []).append(i)
        self.instancers = list(instances)
        self._instanced = [np.array(rows, np.intp) for rows in instances.values()]
        self._shown = [np.full((len(rows), 16), np.nan) for rows in self._instanced]
        self._outputs = np.fromiter(given.values(), np.intp, len(given))
        self._whole = np.array([row["type"] in _WHOLE for row in rows], np.bool_)
        self._texts = [i for i, row in enumerate(rows) if row["type"] == "uint64"]
        self._placed = np.array(places, np.intp)
        self._moved = np.full((len(places), 16), np.nan)
        self.all_anew()
        return rows + [_pose_row(pose) for pose in self.poses]

    def _row(
        self, output: Expected, measured: Mapping[tuple[str, str], Mapping[str, Any]]
    ) -> dict[str, Any]:
        path = Sdf.Path(output.path)
        prim, name = str(path.GetPrimPath()), path.name
        spec = self._twin.layers.predicted.GetAttributeAtPath(path)
        if found := _SIGNAL.fullmatch(name):
            signal, what = found.groups()
        else:
            own = _OUTPUT.fullmatch(name)
            signal, what = (own[1] if own else name), "output"
        unit = measured.get((prim, signal), {}).get("unit", "")
        return {
            "path": output.path,
            "prim": prim,
            "signal": signal,
            "element": -1,
            "target": output.path,
            "type": str(spec.typeName) if spec is not None else output.type_name,
            "unit": unit,
            "label": "",
            "expected": what,
        }

    def all_anew(self) -> None:
        """Have everything sent: to whom it was not sent before."""
        self._numbers = np.full(len(self._outputs), np.nan)
        self._matrices = np.full((len(self._placed), 16), np.nan)
        self._fresh = True

    # -- every tick

    @property
    def stirred(self) -> bool:
        """Whether there is anything to send."""
        if not self.wanted:
            return False
        if self._fresh:
            return bool(len(self._outputs) or len(self._placed))
        return bool(len(self._changed()) or len(self._turned(self._matrices)))

    def moved(self) -> Rows:
        """Return the positions in `poses` of what moved since this was asked last."""
        if not len(self._placed) or self.outdated:
            return np.empty(0, np.intp)
        rows = self._turned(self._moved)
        self._moved[rows] = self._twin.predicted.matrices[self._placed[rows]]
        return rows

    def stirred_instancers(self) -> list[int]:
        """Return the positions in `instancers` of what moved since this was asked last."""
        if not self._instanced or self.outdated:
            return []
        found = []
        for k, rows in enumerate(self._instanced):
            now = self._twin.predicted.matrices[rows]
            if _differ(now, self._shown[k]).any():
                self._shown[k] = now
                found.append(k)
        return found

    def _changed(self) -> Rows:
        if not len(self._outputs) or self.outdated:
            return np.empty(0, np.intp)
        return np.flatnonzero(_differ(self._twin.predicted.values[self._outputs], self._numbers))

    def _turned(self, before: npt.NDArray[np.float64]) -> Rows:
        if not len(self._placed) or self.outdated:
            return np.empty(0, np.intp)
        now = self._twin.predicted.matrices[self._placed]
        return np.flatnonzero(_differ(now, before).any(axis=1))

    def add(self, state: wire.State, first: int) -> None:
        """Add what changed to a state, and forget it.

        Args:
            state: complete but for this.
            first: position of the first of our rows in the table.
        """
        layer = self._twin.predicted
        if not self.wanted or self.outdated:
            return
        fresh, self._fresh = self._fresh, False
        numbers = np.arange(len(self._outputs)) if fresh else self._changed()
        poses = np.arange(len(self._placed)) if fresh else self._turned(self._matrices)
        count = len(numbers) + len(poses)
        if not count:
            return
        values = self._numbers[numbers] = layer.values[self._outputs[numbers]]
        matrices = self._matrices[poses] = layer.matrices[self._placed[poses]]
        known = np.concatenate((~np.isnan(values), ~np.isnan(matrices).any(axis=1)))
        told = np.where(self._whole[numbers], np.round(values), values)
        before = len(state.rows) // 4
        rows = first + np.concatenate((numbers, len(self._outputs) + poses))
        state.rows += rows.astype(np.int32).tobytes()
        state.values += np.concatenate((told, np.full(len(poses), np.nan))).tobytes()
        state.times += np.full(count, layer.time).tobytes()
        state.qualities += np.where(known, Quality.GOOD, Quality.STALE).astype(np.uint8).tobytes()
        state.status += np.zeros(count, np.uint32).tobytes()
        for row in self._texts:
            for place in np.flatnonzero((numbers == row) & known[: len(numbers)]).tolist():
                state.objects[before + place] = int(told[place])
        there = np.flatnonzero(known[len(numbers) :])
        if len(there):
            places = (before + len(numbers) + there).astype(np.int32)
            state.wide = [*state.wide, wire.Wide(16, places.tobytes(), matrices[there].tobytes())]


def _differ(now: npt.NDArray[np.float64], before: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    differs: npt.NDArray[np.bool_] = (now != before) & ~(np.isnan(now) & np.isnan(before))
    return differs


def _pose_row(pose: Placed) -> dict[str, Any]:
    """Return the row of a prim that a model places; `reset`: in the world, not in its parent."""
    path = f"{pose.prim}.{POSE_OP}"
    return {
        "path": path,
        "prim": pose.prim,
        "signal": POSE_OP,
        "element": -1,
        "target": path,
        "type": "matrix4d",
        "unit": "",
        "label": "",
        "expected": "pose",
        "pose": True,
        "reset": pose.reset,
    }
