"""An engine: the systems of a plan, stepped frame by frame in any number of worlds.

Between two frames an engine's state is complete: `save` and `restore` go anywhere and to any engine
of the same plan, and `fork` copies the present into an engine of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import DivergedError, ModelError, SnapshotError
from stagetwin_sim.engine._arrays import host_copy
from stagetwin_sim.engine._group_kernels import count_kernel
from stagetwin_sim.engine._kind import Floats
from stagetwin_sim.engine._snapshot import Snapshot
from stagetwin_sim.engine._system import Context, System

if TYPE_CHECKING:
    from stagetwin_sim.engine._plan import Plan

__all__ = ["Engine"]


class Engine:
    """The systems of a plan in a number of worlds. One thread at a time.

    Args:
        plan: what to make.
        worlds: how many futures run side by side.
        device: Warp's name of it.

    Attributes:
        plan: what it was made from.
        worlds: how many.
        device: Warp's name of it.
        systems: by name, in the order in which they are stepped.
        context: what they share.
        frames: frames done.
        eager: whether each kernel is launched by itself, for debugging and for measurements.
    """

    def __init__(self, plan: Plan, worlds: int = 1, device: str = "cpu") -> None:
        if worlds < 1:
            raise ModelError(f"an engine has at least 1 world, got {worlds}")
        wp.init()
        self.plan = plan
        self.worlds = worlds
        self.device = device
        self.frames = 0
        self.eager = False
        first = np.array([[column.value for column in plan.columns] or [0.0]])
        bus = np.ascontiguousarray(np.repeat(first, worlds, axis=0))
        self.context = Context(
            bus=wp.array(bus, dtype=wp.float64, device=device),
            ticks=wp.zeros(worlds, dtype=wp.int64, device=device),
            seeds=wp.array(np.full(worlds, plan.seed), dtype=wp.int64, device=device),
            worlds=worlds,
            device=device,
            frame=plan.frame,
        )
        self.systems: dict[str, System] = {
            planned.name: planned.build(self.context) for planned in plan.systems
        }
        self._due = [_Due(system, plan.frame) for system in self.systems.values()]
        self._graphs: dict[tuple[int, ...], list[Any]] = {}

    @property
    def time(self) -> float:
        """How long the engine has run [s]."""
        return self.frames * self.plan.frame

    # -- moving on

    def step(self, frames: int = 1) -> None:
        """Move on by a number of frames."""
        for _ in range(frames):
            due = tuple(i for i, each in enumerate(self._due) if self.frames % each.every == 0)
            if self.eager:
                for i in due:
                    self._due[i].launch()
                self._count()
            else:
                for part in self._parts(due):
                    if isinstance(part, _Due):
                        part.launch()
                    else:
                        wp.capture_launch(part)
            self.frames += 1

    def _parts(self, due: tuple[int, ...]) -> list[Any]:
        """Return what a frame with these systems due consists of: graphs, and systems between."""
        if due not in self._graphs:
            # Once by hand: the first launch loads a kernel, which no capture may hold.
            parts: list[Any] = []
            run: list[_Due] = []
            for i in (*due, None):
                each = None if i is None else self._due[i]
                if each is not None and each.system.captured:
                    run.append(each)
                    continue
                if run or each is None:
                    parts.append(self._capture(run, last=each is None))
                    run = []
                if each is not None:
                    parts.append(each)
            self._graphs[due] = parts
        return self._graphs[due]

    def _capture(self, run: Sequence[_Due], last: bool) -> Any:
        wp.load_module(count_kernel.module, device=self.device)  # pyright: ignore[reportFunctionMemberAccess]
        # Only what the run changes is kept: what stands between graphs may be unable to save.
        kept = [each.system.save() for each in run]
        bus = host_copy(self.context.bus)
        for each in run:  # loads their modules; what it changes is put back
            each.launch()
        for each, saved in zip(run, kept, strict=True):
            each.system.load(saved)
        self.context.bus.assign(bus)
        with wp.ScopedCapture(device=self.device) as capture:
            for each in run:
                each.launch()
            if last:
                self._count()
        return capture.graph

    def _count(self) -> None:
        wp.launch(count_kernel, dim=self.worlds, outputs=[self.context.ticks], device=self.device)

    # -- the bus

    def read(self, columns: Sequence[int] | None = None) -> Floats:
        """Return what the bus holds, shape (worlds, column_count)."""
        values: Floats = host_copy(self.context.bus)
        return values if columns is None else values[:, list(columns)]

    def write(self, columns: Sequence[int], values: npt.ArrayLike) -> None:
        """Put values on the bus.

        Args:
            columns: which.
            values: a number for each, shape (columns,), or for each world, (worlds, columns).

        Raises:
            ModelError: a value is not finite; nothing is written then.
        """
        given = np.asarray(values, np.float64)
        if not np.isfinite(given).all():
            bad = np.flatnonzero(~np.isfinite(np.atleast_2d(given)).all(axis=0))
            names = ", ".join(self.plan.columns[columns[int(i)]].name for i in bad[:5])
            raise ModelError(f"{names}: a number on the bus must be finite")
        bus = host_copy(self.context.bus)
        bus[:, list(columns)] = given
        self.context.bus.assign(bus)

    def check(self) -> None:
        """Raise DivergedError if a column is no finite number, naming the first of them."""
        finite = np.isfinite(self.read())
        if not finite.all():
            world, column = np.argwhere(~finite)[0]
            name = self.plan.columns[int(column)].name
            raise DivergedError(f"{name} is not finite after {self.time:g} s in world {world}")

    # -- the whole state

    def save(self) -> Snapshot:
        """Return a copy of the complete state.

        Raises:
            UnforkableError: a system cannot be copied.
        """
        return Snapshot(
            revision=self.plan.revision,
            frames=self.frames,
            bus=host_copy(self.context.bus),
            ticks=host_copy(self.context.ticks),
            seeds=host_copy(self.context.seeds),
            systems={name: dict(system.save()) for name, system in self.systems.items()},
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Take a state that an engine of the same plan and as many worlds saved.

        Raises:
            SnapshotError: it does not fit.
        """
        if snapshot.revision != self.plan.revision:
            raise SnapshotError(
                f"the state is of plan {snapshot.revision}, this is {self.plan.revision}"
            )
        if snapshot.worlds != self.worlds or snapshot.systems.keys() != self.systems.keys():
            raise SnapshotError(
                f"the state has {snapshot.worlds} worlds of {', '.join(snapshot.systems)}; "
                f"this has {self.worlds} of {', '.join(self.systems)}"
            )
        self.frames = snapshot.frames
        self.context.bus.assign(snapshot.bus)
        self.context.ticks.assign(snapshot.ticks)
        self.context.seeds.assign(snapshot.seeds)
        for name, system in self.systems.items():
            system.load(snapshot.systems[name])

    def adopt(self, snapshot: Snapshot) -> None:
        """Take a state of the plan that this engine's plan extends; what was added begins anew.

        Raises:
            SnapshotError: it does not fit.
        """
        if snapshot.revision != self.plan.base:
            raise SnapshotError(
                f"the state is of plan {snapshot.revision}, this extends {self.plan.base or 'none'}"
            )
        if snapshot.worlds != self.worlds:
            raise SnapshotError(f"the state has {snapshot.worlds} worlds, this has {self.worlds}")
        bus = host_copy(self.context.bus)
        bus[:, : snapshot.bus.shape[1]] = snapshot.bus
        self.frames = snapshot.frames
        self.context.bus.assign(bus)
        self.context.ticks.assign(snapshot.ticks)
        self.context.seeds.assign(snapshot.seeds)
        for name, saved in snapshot.systems.items():
            self.systems[name].load(saved)

    def fork(self, worlds: int = 1, device: str | None = None) -> Engine:
        """Return an engine of its own whose every world is the present of this one's first.

        Args:
            worlds: how many.
            device: Warp's name of it; None is this one's.

        Raises:
            UnforkableError: a system cannot be copied.
        """
        engine = Engine(self.plan, worlds, device if device is not None else self.device)
        engine.restore(self.save().world(0).repeated(worlds))
        return engine


class _Due:
    """When a system's turn is, and how far it goes then.

    Raises:
        ModelError: its rate is neither a multiple nor a divisor of the frames'.
    """

    def __init__(self, system: System, frame: float) -> None:
        self.system = system
        steps = system.rate * frame
        self.every = max(1, round(1 / steps)) if 0 < steps < math.inf else 1
        self.substeps = max(1, round(steps))
        if not math.isclose(steps * self.every, self.substeps, rel_tol=1e-9):
            raise ModelError(
                f"{system.name}: {system.rate:g} Hz is neither a multiple nor a divisor of the "
                f"{1 / frame:g} frames a second"
            )
        self.dt = 1 / system.rate

    def launch(self) -> None:
        self.system.launch(self.dt, self.substeps)
