"""What the viewers are fed: after each tick the columns of what changed, by position in a table.

State, not history: what changes twice before it can be sent is sent once, as it is then. So a
gateway that does not keep up costs the service a few masks and no memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin.bindings import TelemetryBinding
from stagetwin.gateway import wire
from stagetwin.hub import Changes
from stagetwin.ports import ValueKind
from stagetwin.service._expected_feed import ExpectedFeed
from stagetwin.twin import Twin
from stagetwin.values import Bound, ValueType, plain

__all__ = ["Feed"]

Rows = npt.NDArray[np.intp]

TIME_REFRESH = 1.0
"""How often the time of a signal is sent whose value does not change [s]."""

_INSTANCED = (UsdGeom.Tokens.positions, UsdGeom.Tokens.orientations)


class _Wide:
    """Channels of one USD type whose values have several numbers: their rows, and how to read."""

    def __init__(self, value_type: ValueType) -> None:
        array = Sdf.ValueTypeNames.Find(value_type.name).arrayType  # type: ignore[call-arg]
        self._array: Any = array.type.pythonClass
        self.width = int(np.asarray(self._array(1)).size)

    def columns(self, objects: list[Any]) -> npt.NDArray[np.float64]:
        """Return values, shape (n, width); quaternions as (x, y, z, w)."""
        return np.asarray(self._array(objects), np.float64).reshape(-1, self.width)


class Feed:
    """Collects what changed on a twin, on the thread that owns the stage.

    Attributes:
        tick: number of the newest tick.
        moves: whether somebody wants the composed transforms of what moves.
        expected: what models expect.
        coalesced: ticks that were not sent by themselves, because the gateway did not keep up.
    """

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self.tick = 0
        self.moves = False
        self.expected = ExpectedFeed(twin)
        self.coalesced = 0
        self._order: Rows = np.empty(0, np.intp)
        self._row_of = np.empty(0, np.int32)
        self._dirty = np.empty(0, np.bool_)
        self._time_due = np.empty(0, np.bool_)
        self._time_sent = np.empty(0)
        self._wide: dict[str, _Wide] = {}
        self._wide_of: list[_Wide | None] = []
        self._object = np.empty(0, np.bool_)
        self._described: dict[int, tuple[TelemetryBinding, dict[str, Any]]] = {}
        self._movers: list[UsdGeom.Xformable] = []
        self._placed_from = self._instanced_from = 0
        self._mover_of = np.empty(0, np.int32)
        self._moved = np.empty(0, np.bool_)
        self._instancers: list[UsdGeom.PointInstancer] = []
        self._instancer_of = np.empty(0, np.int32)
        self._stirred: set[int] = set()
        twin.on_tick.append(self._took)

    # -- what there is

    def bind(self, epoch: int) -> wire.Table:
        """Read the table anew after the bindings changed; everything is to be sent again."""
        bindings = self._twin.table.telemetry
        size = self._twin.hub.latest.size
        self._order = np.fromiter(bindings, np.intp, len(bindings))
        self._grow(size)
        self._row_of = np.full(size, -1, np.int32)
        self._row_of[self._order] = np.arange(len(self._order), dtype=np.int32)
        self._described = {
            i: known if (known := self._described.get(i)) and known[0] == b else (b, self._row(b))
            for i, b in bindings.items()
        }
        self._wide_of = [None] * size
        self._object = np.zeros(size, np.bool_)
        for i, b in bindings.items():
            self._wide_of[i] = self._reader(b.value_type)
            # The wire has no column of unsigned 64 bits: they go as text, and exactly.
            self._object[i] = not b.value_type.kind.numeric or b.type_name == "uint64"
        for row in self._find_moving(bindings.items(), size):
            self._described[row][1]["pose"] = True
        connections = {name: spec.prim for name, spec in self._twin.table.connections.items()}
        measured = [row for _, row in self._described.values()]
        expected = self.expected.bind({(row["prim"], row["signal"]): row for row in measured})
        self._add_placed()
        self.all_anew()
        return wire.Table(
            epoch,
            measured + expected,
            [str(x.GetPath()) for x in self._movers],
            [{"path": str(x.GetPath()), "count": _count(x)} for x in self._instancers],
            connections,
        )

    def _grow(self, size: int) -> None:
        more = size - len(self._dirty)
        if more > 0:
            self._time_sent = np.append(self._time_sent, np.full(more, -math.inf))
            self._time_due = np.append(self._time_due, np.zeros(more, np.bool_))
            self._dirty = np.append(self._dirty, np.zeros(more, np.bool_))

    def _row(self, binding: TelemetryBinding) -> dict[str, Any]:
        attr = self._twin.stage.GetAttributeAtPath(binding.target)
        limits = binding.limits
        return {
            "path": binding.path,
            "prim": binding.prim,
            "signal": binding.signal,
            "element": binding.element,
            "target": binding.target,
            "type": binding.type_name,
            "unit": binding.unit,
            "min": _bound(limits.hard_min),
            "max": _bound(limits.hard_max),
            "softMin": _bound(limits.soft_min),
            "softMax": _bound(limits.soft_max),
            "label": attr.GetDisplayName() if attr else "",
        }

    def _reader(self, value_type: ValueType) -> _Wide | None:
        """Return how a type of several numbers is read, None for another."""
        name = value_type.name
        if name not in self._wide:
            composite = value_type.kind is ValueKind.COMPOSITE and not name.endswith("[]")
            if not composite or name in ("matrix2d", "matrix3d"):
                return None
            self._wide[name] = _Wide(value_type)
        return self._wide[name]

    def _find_moving(
        self, bindings: Iterable[tuple[int, TelemetryBinding]], size: int
    ) -> list[int]:
        """Find the prims that channels move; returns those channels."""
        stage, poses = self._twin.stage, []
        self._mover_of = np.full(size, -1, np.int32)
        self._instancer_of = np.full(size, -1, np.int32)
        movers: dict[Sdf.Path, int] = {}
        instancers: dict[Sdf.Path, int] = {}
        for i, binding in bindings:
            target = Sdf.Path(binding.target)
            place, name = target.GetPrimPath(), target.name
            if name.startswith("xformOp"):
                self._mover_of[i] = movers.setdefault(place, len(movers))
                # An angle or a place is a value that people read; a matrix is none.
                if binding.type_name == "matrix4d":
                    poses.append(i)
            elif name in _INSTANCED and stage.GetPrimAtPath(place).IsA("PointInstancer"):
                self._instancer_of[i] = instancers.setdefault(place, len(instancers))
                poses.append(i)
        self._movers = [UsdGeom.Xformable.Get(stage, path) for path in movers]
        self._moved = np.ones(len(movers), np.bool_)
        self._instancers = [UsdGeom.PointInstancer.Get(stage, path) for path in instancers]
        self._stirred = set(range(len(instancers)))
        return poses

    def _add_placed(self) -> None:
        """Let the prims that models place move too."""
        stage, self._placed_from = self._twin.stage, len(self._movers)
        self._movers += [UsdGeom.Xformable.Get(stage, pose.prim) for pose in self.expected.poses]
        self._moved = np.ones(len(self._movers), np.bool_)
        self._instanced_from = len(self._instancers)
        placed = self.expected.instancers
        self._instancers += [UsdGeom.PointInstancer.Get(stage, path) for path in placed]

    def all_anew(self) -> None:
        """Have everything sent with the next state: to a gateway that knows nothing yet."""
        self._dirty[self._order] = True
        self.expected.all_anew()
        self.all_moved()

    def all_moved(self) -> None:
        """Have everything that moves sent: to whom it was not sent before."""
        self._moved[:] = True
        self._stirred = set(range(len(self._instancers)))

    def want(self, moves: bool, expected: bool) -> None:
        """Take what somebody wants from now on beside the channels."""
        if moves and not self.moves:
            self.all_moved()
        if expected and not self.expected.wanted:
            self.expected.all_anew()
        self.moves, self.expected.wanted = moves, expected

    # -- every tick

    def _took(self, changes: Changes) -> None:
        """Note what a tick changed."""
        self.tick += 1
        self._grow(self._twin.hub.latest.size)
        self._time_due[changes.time] = True
        for part in (changes.value, changes.quality):
            self._dirty[part] = True
        due = np.flatnonzero(self._time_due)
        if len(due):
            now = self._twin.clock.steady()
            due = due[self._dirty[due] | (now - self._time_sent[due] >= TIME_REFRESH)]
            self._time_due[due] = False
            self._time_sent[due] = now
            self._dirty[due] = True
        if len(changes.value):
            self._note_moves(changes.value)

    def _note_moves(self, channels: Rows) -> None:
        known = channels[channels < len(self._mover_of)]
        movers = self._mover_of[known]
        self._moved[movers[movers >= 0]] = True
        if self._instancers:
            stirred = self._instancer_of[known]
            self._stirred.update(np.unique(stirred[stirred >= 0]).tolist())

    @property
    def stirred(self) -> bool:
        """Whether there is anything to send."""
        if self.moves:
            self._moved[self._placed_from + self.expected.moved()] = True
            stirred = self.expected.stirred_instancers()
            self._stirred.update(self._instanced_from + k for k in stirred)
        moves = self.moves and (bool(self._stirred) or bool(self._moved.any()))
        return moves or bool(self._dirty.any()) or self.expected.stirred

    def state(self) -> wire.State:
        """Return what changed since the last call, and forget it."""
        latest = self._twin.hub.latest
        channels = np.flatnonzero(self._dirty)
        self._dirty[channels] = False
        channels = channels[channels < len(self._row_of)]
        channels = channels[self._row_of[channels] >= 0]
        rows = self._row_of[channels]
        state = wire.State(self.tick, self._twin.clock.wall())
        if len(channels):
            source = latest.source_time[channels]
            times = np.where(np.isnan(source), latest.receive_time[channels], source)
            state.rows = rows.tobytes()
            state.values = latest.value[channels].tobytes()
            state.times = times.tobytes()
            state.qualities = latest.quality[channels].tobytes()
            state.status = latest.status[channels].tobytes()
            self._add_objects(state, channels)
        self.expected.add(state, len(self._order))
        if self.moves:
            self._add_moves(state)
        return state

    def _add_objects(self, state: wire.State, channels: Rows) -> None:
        latest = self._twin.hub.latest
        # An integer beyond 2**53 has no number in its column either.
        held = np.flatnonzero(self._object[channels] | np.isnan(latest.value[channels]))
        wide: dict[_Wide, tuple[list[int], list[Any]]] = {}
        for place, i in zip(held.tolist(), channels[held].tolist(), strict=True):
            value = self._twin.value_of(i)
            if value is None:
                continue
            reader = self._wide_of[i]
            if reader is None:
                state.objects[place] = plain(value)
            else:
                places, values = wide.setdefault(reader, ([], []))
                places.append(place)
                values.append(value)
        state.wide = [
            wire.Wide(
                reader.width, np.array(places, np.int32).tobytes(), reader.columns(v).tobytes()
            )
            for reader, (places, v) in wide.items()
        ]

    def _add_moves(self, state: wire.State) -> None:
        moved = np.flatnonzero(self._moved)
        if len(moved):
            self._moved[moved] = False
            state.movers = moved.astype(np.int32).tobytes()
            state.matrices = _matrices([self._movers[i] for i in moved.tolist()]).tobytes()
        for i in self._stirred:
            state.instances[i] = _instances(self._instancers[i]).tobytes()
        self._stirred.clear()


def _matrices(movers: list[UsdGeom.Xformable]) -> npt.NDArray[np.float64]:
    """Return composed local transforms, shape (n, 16), in rows of row vectors."""
    out = np.empty((len(movers), 4, 4))
    above = UsdGeom.XformCache()
    for row, mover in zip(out, movers, strict=True):
        local = mover.GetLocalTransformation() if mover.GetPrim() else Gf.Matrix4d(1)
        if mover.GetPrim() and mover.GetResetXformStack():
            # Viewers without USD place everything in its parent.
            local = local * above.GetParentToWorldTransform(mover.GetPrim()).GetInverse()
        row[:] = np.asarray(local)
    return out.reshape(-1, 16)


def _instances(instancer: UsdGeom.PointInstancer) -> npt.NDArray[np.float32]:
    """Return position and quaternion (x, y, z, w) of all instances, shape (n, 7)."""
    if not instancer.GetPrim():
        return np.empty((0, 7), np.float32)
    count = _count(instancer)
    out = np.zeros((count, 7), np.float32)
    out[:, 6] = 1
    _fill(out[:, :3], instancer.GetPositionsAttr())
    _fill(out[:, 3:], instancer.GetOrientationsAttr())
    return out


def _fill(out: npt.NDArray[np.float32], attr: Usd.Attribute) -> None:
    values = attr.Get()
    if values:
        array = np.asarray(values, np.float32)[: len(out)]
        out[: len(array)] = array


def _count(instancer: UsdGeom.PointInstancer) -> int:
    return len(instancer.GetProtoIndicesAttr().Get() or ())


def _bound(bound: Bound) -> float | list[float] | None:
    """Return a bound as JSON can say it; None where there is none."""
    if isinstance(bound, tuple):
        return [float(each) for each in bound] if all(map(math.isfinite, bound)) else None
    return float(bound) if math.isfinite(bound) else None
