"""All FMUs of a plan as one system."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stagetwin_sim._errors import FmuError, SnapshotError, UnforkableError
from stagetwin_sim.engine import Context, Floats, Saved, host_copy
from stagetwin_sim.fmi._buffers import Buffer, memory_type
from stagetwin_sim.fmi._fmu import Fmu, Variable
from stagetwin_sim.fmi._instance import Block, Instance
from stagetwin_sim.fmi._library import live_instances, references

__all__ = ["FmuHealth", "FmuPlan", "FmuSystem", "FmuUnit"]

Bound = tuple[tuple[Variable, int], ...]
"""Variables and their columns."""


@dataclass(frozen=True, kw_only=True)
class FmuUnit:
    """One FMU on the stage.

    Attributes:
        place: prim path and model name, as `PRIM.NAME`.
        fmu: what is in the file.
        inputs, outputs: variables and their columns.
        starts: variables and what they start with, in the FMU's numbers.
        step: [s]; a divisor or a multiple of the frame; 0 is the frame.
    """

    place: str
    fmu: Fmu
    inputs: Bound = ()
    outputs: Bound = ()
    starts: tuple[tuple[Variable, float], ...] = ()
    step: float = 0.0
    _kept: list[Any] = field(default_factory=list, repr=False, compare=False)

    def start_blocks(self) -> list[Block]:
        """Return the authored start values, by type."""
        if not self._kept:
            blocks: list[Block] = []
            memory: list[Any] = []
            for kind in dict.fromkeys(v.type for v, _ in self.starts):
                chosen = [(v, s) for v, s in self.starts if v.type == kind]
                dtype = memory_type(kind, self.fmu.version)
                values = np.array([s for _, s in chosen]).astype(dtype)
                memory.append(values)
                found = references(tuple(v for v, _ in chosen))
                blocks.append((kind, found, int(values.ctypes.data), len(chosen)))
            self._kept.extend((blocks, memory))
        found_blocks: list[Block] = self._kept[0]
        return found_blocks


@dataclass(frozen=True, slots=True)
class FmuHealth:
    """How one instance is.

    Attributes:
        place: prim path and model name.
        world: in which.
        stopped: whether it is stepped no more.
        cause: why, or empty.
        counts: what happened, by cause.
    """

    place: str
    world: int
    stopped: bool
    cause: str
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class FmuPlan:
    """All FMUs of a plan.

    Attributes:
        units: in stage order.
        name: of the system.
    """

    units: tuple[FmuUnit, ...]
    name: str = "fmu"

    @property
    def revision(self) -> str:
        """Fingerprint of the files and of what they start with."""
        return "|".join(
            f"{unit.place} {unit.fmu.digest} {unit.step} "
            + ",".join(f"{v.name}={value!r}" for v, value in unit.starts)
            for unit in self.units
        )

    def build(self, context: Context) -> FmuSystem:
        """See SystemPlan.

        Raises:
            UnforkableError: more worlds are wanted than an FMU can be in.
        """
        for unit in self.units:
            wanted = context.worlds + live_instances(unit.fmu)
            if unit.fmu.once and wanted > 1:
                raise UnforkableError(
                    f"{unit.place}: its FMU can be instantiated once in a process, "
                    f"{wanted} instances are wanted"
                )
        return FmuSystem(self, context)


class FmuSystem:
    """All FMUs of a plan in every world of an engine.

    Attributes:
        plan: what it was made from.
        instances: shape (worlds, units), as lists.
    """

    captured = False

    def __init__(self, plan: FmuPlan, context: Context) -> None:
        self.plan = plan
        self.name = plan.name
        self.rate = 1 / context.frame
        self._context = context
        self._frames = 0
        self._turns = [(*turn(u, context.frame), i) for i, u in enumerate(plan.units)]
        self._inputs, given = _buffers([u.inputs for u in plan.units], plan.units, context.worlds)
        self._outputs, taken = _buffers([u.outputs for u in plan.units], plan.units, context.worlds)
        self._floats = [b for b in self._outputs.values() if b.values.dtype.kind == "f"]
        self._shared: Any = None
        if str(context.device) == "cpu":
            self._shared = context.bus.numpy()  # the bus's own memory
        for buffer in self._inputs.values():
            buffer.fill(self._bus())
        buffers = (*self._inputs.values(), *self._outputs.values())
        memory = [buffer.values for buffer in buffers]
        self.instances = [
            [
                Instance(unit, world, _at(given[i], world), _at(taken[i], world), memory)
                for i, unit in enumerate(plan.units)
            ]
            for world in range(context.worlds)
        ]
        self._put(self._bus())

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        bus = self._bus()
        for buffer in self._inputs.values():
            for cause, world, index in buffer.fill(bus):
                self.instances[world][index].counts[cause] += 1
        for _ in range(substeps):
            for every, count, step, index in self._turns:
                if self._frames % every == 0:
                    for row in self.instances:
                        row[index].advance(step, count)
            self._frames += 1
        self._put(bus)

    def _bus(self) -> Floats:
        found: Floats = self._shared
        return found if found is not None else host_copy(self._context.bus)

    def _put(self, bus: Floats) -> None:
        """Put outputs on the bus; an instance with one that is not finite is stopped."""
        for buffer in self._floats:
            for world, index in buffer.held(bus):
                self.instances[world][index].stop("an output is no finite number")
        for buffer in self._outputs.values():
            buffer.put(bus)
        if self._shared is None:
            self._context.bus.assign(bus)

    def health(self) -> list[FmuHealth]:
        """Return how every instance is, world by world."""
        return [
            FmuHealth(i.unit.place, i.world, bool(i.stopped), i.stopped, dict(i.counts))
            for world in self.instances
            for i in world
        ]

    # -- the whole state

    def save(self) -> Saved:
        """See System."""
        if unable := [unit for unit in self.plan.units if not unit.fmu.savable]:
            raise UnforkableError(
                "; ".join(
                    f"{unit.place}: the state of its FMU {unit.fmu.path.name} cannot be saved: its "
                    f"description lacks {' and '.join(unit.fmu.lacks)}"
                    for unit in unable
                )
            )
        size = (len(self.instances), len(self.plan.units))
        states = np.empty(size, object)
        steps = np.zeros(size, np.int64)
        try:
            for world, index in np.ndindex(size):
                states[world, index] = self.instances[world][index].state()
                steps[world, index] = self.instances[world][index].steps
        except FmuError as error:
            raise UnforkableError(str(error)) from None
        frames = np.full(size[0], self._frames, np.int64)
        held = {name: buffer.values.copy() for name, buffer in self._held()}
        return {"state": states, "steps": steps, "frames": frames, **held}

    def load(self, saved: Saved) -> None:
        """See System."""
        size = (len(self.instances), len(self.plan.units))
        states, steps = saved.get("state"), saved.get("steps")
        if states is None or steps is None or states.shape != size:
            got = None if states is None else states.shape
            raise SnapshotError(f"{self.name}: states have shape {size}, got {got}")
        for name, buffer in self._held():
            if saved[name].shape != buffer.values.shape:
                raise SnapshotError(f"{self.name}: {name} has shape {buffer.values.shape}")
            buffer.values[...] = saved[name]
        outputs = [buffer.values.copy() for buffer in self._outputs.values()]
        try:
            for world, index in np.ndindex(size):
                state: bytes = states.item(world, index)
                self.instances[world][index].set_state(state, int(steps[world, index]))
        except FmuError as error:
            raise SnapshotError(str(error)) from None
        for buffer, values in zip(self._outputs.values(), outputs, strict=True):
            buffer.values[...] = values  # an instance that was started anew wrote its first ones
        self._frames = int(saved["frames"][0])

    def _held(self) -> list[tuple[str, Buffer]]:
        sides = (("in", self._inputs), ("out", self._outputs))
        return [(f"{side}:{kind}", b) for side, buffers in sides for kind, b in buffers.items()]


def turn(unit: FmuUnit, frame: float) -> tuple[int, int, float]:
    """Return every how many frames an FMU has its turn, how many steps it does then, and of what.

    Raises:
        FmuError: its step does not fit the frames, or its own step.
    """
    step = unit.step or frame
    every, count = max(1, round(step / frame)), max(1, round(frame / step))
    if not math.isclose(step * count, frame * every, rel_tol=1e-9):
        raise FmuError(
            f"{unit.place}: its step of {step:g} s is neither a divisor nor a multiple of the "
            f"frame of {frame:g} s"
        )
    step = frame * every / count
    fixed = unit.fmu.fixed_step
    if fixed and not math.isclose(step / fixed, max(1, round(step / fixed)), rel_tol=1e-9):
        raise FmuError(
            f"{unit.place}: its step of {step:g} s is no multiple of the FMU's own of {fixed:g} s"
        )
    return every, count, step


_Part = tuple[str, Any, Buffer, int, int]
"""Variables of one type of an instance: type, references, buffer, place of the first, count."""


def _buffers(
    bound: Sequence[Bound], units: Sequence[FmuUnit], worlds: int
) -> tuple[dict[str, Buffer], list[list[_Part]]]:
    """Return buffers by type, and for each unit where its variables lie in them."""
    rows: dict[tuple[int, str], list[tuple[Variable, int, int]]] = {}
    places: list[list[tuple[tuple[int, str], Any, int, int]]] = []
    for index, (unit, pairs) in enumerate(zip(units, bound, strict=True)):
        places.append([])
        for kind in dict.fromkeys(v.type for v, _ in pairs):
            key = (unit.fmu.version, kind)
            chosen = [(v, c, index) for v, c in pairs if v.type == kind]
            first = len(rows.setdefault(key, []))
            rows[key] += chosen
            found = references(tuple(v for v, _, _ in chosen))
            places[-1].append((key, found, first, len(chosen)))
    buffers = {
        (version, kind): Buffer(memory_type(kind, version), found, worlds)
        for (version, kind), found in rows.items()
    }
    parts = [
        [(key[1], refs, buffers[key], first, count) for key, refs, first, count in unit]
        for unit in places
    ]
    return {f"{version}:{kind}": b for (version, kind), b in buffers.items()}, parts


def _at(parts: Sequence[_Part], world: int) -> list[Block]:
    return [(kind, refs, buffer.address(world, first), n) for kind, refs, buffer, first, n in parts]
