"""What the word `held` must rest on: where anything of it is not known, nothing is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from stagetwin_sim.engine import host_copy
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._depends import missing, sources
from stagetwin_sim.futures._forecast import Setting
from stagetwin_sim.futures._future import Future
from stagetwin_sim.futures._slots import Slots
from stagetwin_sim.plant import Instance

__all__ = ["Grounds", "Unknown"]


class Unknown(Exception):
    """Why nothing can be said."""


class Grounds:
    """What a rehearsal of one command rests on.

    Args:
        slots: of the present.
        path: of the commanded property.
        value: of the set-point, in the stage's unit.
    """

    def __init__(self, slots: Slots, path: str, value: float) -> None:
        self._slots, self._path, self._value = slots, path, value
        self._present = slots.present
        self._name = slots.commands[path].path

    def baselines(self) -> list[Branch]:
        """Return the futures without the command: as it is set, and as the machine does.

        They differ where somebody else moved the machine since. One that has what is commanded
        already excuses nothing: what it breaks, the command breaks.
        """
        found: list[tuple[float, Branch]] = []
        force, does = self._stands()
        if force is not None:
            found.append((force, Branch()))
        if does is not None and not any(_same(does, value) for value, _ in found):
            found.append((does, Branch(settings=(Setting(self._path, does),))))
        return [branch for value, branch in found if not _same(value, self._value)]

    def _stands(self) -> tuple[float | None, float | None]:
        """Return the set-point in force and what the machine does; None where not known."""
        present, readback = self._present, self._slots.commands[self._path].readback
        force = present.desired.get(self._path)
        does = present.values[readback] if present.is_known(readback) else None
        return force if force is not None and math.isfinite(force) else None, does

    def check_sources(
        self, future: Future, moved: Mapping[str, Instance], permissives: Sequence[int]
    ) -> None:
        """Raise Unknown unless all that the verdict rests on is known, and believed.

        Args:
            future: of the rehearsal.
            moved: models that the command moves, by `PRIM.NAME`.
            permissives: columns of what permits it.
        """
        present = self._present
        if lost := missing(present.plant, self._path, moved):
            model, why = lost
            raise Unknown(f"{model} does not run, and may follow from {self._name}: {why}")
        if self._stands() == (None, None):
            raise Unknown(
                f"nobody knows where {self._name} stands now: it was never given, and what it is "
                "read back by is not known"
            )
        fed: dict[int, list[str]] = {}
        for feeds in (present.plant.measured, present.plant.setpoints):
            for source, each in feeds.items():
                for feed in each:
                    fed.setdefault(feed.column, []).append(source)
        for name, instance in sources(future.wiring, moved, permissives).items():
            if doubt := present.doubts.get(name):
                raise Unknown(f"{name} is not to be believed now: {doubt}")
            for column in instance.inputs.values():
                for source in fed.get(column, ()):
                    self._check_known(source, name)

    def _check_known(self, source: str, model: str) -> None:
        present, command = self._present, self._slots.commands.get(source)
        if command is not None:
            given = present.desired.get(source)
            if (given is not None and math.isfinite(given)) or present.is_known(command.readback):
                return
            what = "was never given, and what it is read back by is not known"
        elif present.is_known(source):
            return
        elif source in present.values:
            what = f"is {present.quality.get(source, 'not finite')}"
        else:
            what = "has no value yet"
        raise Unknown(f"{source} {what}, and {model} rests on it")

    @staticmethod
    def check_limits(future: Future, bodies: bool) -> None:
        """Raise Unknown where there is nothing to hold to, or what is no limit.

        Args:
            future: of the rehearsal.
            bodies: whether collisions are looked for.
        """
        limits = future.wiring.limits
        for limit in limits:
            if math.isnan(limit.low) or math.isnan(limit.high):
                raise Unknown(f"a limit of {limit.signal} is no number")
        held = any(limit.refuses and limit.kind != "permissive" for limit in limits)
        if not held and not bodies:
            raise Unknown("nothing that a model predicts has a limit: nothing is known")

    def check_told(self, future: Future) -> None:
        """Raise Unknown unless the command came into force in the future with it."""
        column = self._slots.slot(self._path)
        ruled = any(rule.desired == column for rule in future.wiring.rules)
        told = float(future.engine.read([column])[0, 0])
        if told != self._value and not ruled:
            raise Unknown(f"{self._name} is {told:g} in its own future: it did not take effect")

    def check_watch(self, future: Future, frames: int) -> None:
        """Raise Unknown unless each frame was run in each world, and each limit looked at."""
        run = host_copy(future.engine.context.ticks) - int(self._present.snapshot.ticks[0])
        if (run != frames).any():
            raise Unknown(f"{run.min()} of {frames} frames were run: nothing is known")
        worst = future.watch.found("worst")
        for i, limit in enumerate(future.wiring.limits):
            if limit.condition < 0 and np.isneginf(worst[:, i]).any():
                raise Unknown(f"nobody looked at {limit.signal}: nothing is known")


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
