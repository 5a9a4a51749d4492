"""What the word `held` must rest on: where anything of it is not known, nothing is."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from stagetwin_sim.engine import host_copy
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._depends import missing, sources
from stagetwin_sim.futures._forecast import Setting
from stagetwin_sim.futures._future import Future
from stagetwin_sim.futures._slots import Slots, Tap
from stagetwin_sim.futures._watch import Limit
from stagetwin_sim.plant import Instance

__all__ = ["Grounds", "Unknown"]

AGREES = 0.1
"""Share of a limit's span by which a model and what it stands for may differ at the beginning."""

ARRIVED = 0.02
"""Share of its way that a machine may be short of its set-point, and has arrived."""


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
        self._began: dict[Tap, float] = {}

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

    def check_limits(
        self, future: Future, moved: Mapping[str, Instance], bodies: Collection[str]
    ) -> None:
        """Raise Unknown where there is nothing to hold to, or what is no limit.

        Args:
            future: of the rehearsal.
            moved: models that the command moves.
            bodies: names of the systems in which collisions are looked for.
        """
        for limit in future.wiring.limits:
            if math.isnan(limit.low) or math.isnan(limit.high):
                raise Unknown(f"a limit of {limit.signal} is no number")
        collides = any(each.group in bodies for each in moved.values())
        if not self._binding(future, moved) and not collides:
            raise Unknown(
                f"nothing that {self._name} moves and a model predicts has a limit: nothing is "
                "known"
            )
        self._check_read_back(future)

    @staticmethod
    def _binding(future: Future, moved: Mapping[str, Instance]) -> list[Limit]:
        """Return the limits that refuse and that the command may break."""
        reach = {column for each in moved.values() for column in each.outputs.values()}
        return [
            limit
            for limit in future.wiring.limits
            if limit.refuses and limit.kind != "permissive" and limit.tap.column in reach
        ]

    def _check_read_back(self, future: Future) -> None:
        """Raise Unknown where a rule gives another command that moves the same read-back."""
        wiring, slots = future.wiring, self._slots
        mine = slots.commands[self._path].readback
        if mine not in wiring.actuators:
            return
        ruled = {rule.desired for rule in wiring.rules}
        for path, other in slots.commands.items():
            if path != self._path and other.readback == mine and slots.slots.get(path) in ruled:
                raise Unknown(f"{other.path} moves {mine} too, and a rule gives it")

    def check_authored(self, future: Future, moved: Mapping[str, Instance]) -> None:
        """Raise Unknown where something that would watch the future could not be read.

        Args:
            future: of the rehearsal.
            moved: models that the command moves.
        """
        slots, command = self._slots, self._slots.commands[self._path]
        prims = {command.prim, *(each.binding.prim for each in moved.values())}
        prims |= {limit.prim for limit in self._binding(future, moved)}
        reach = {column for each in moved.values() for column in each.outputs.values()}
        followed = {path for path, output in slots.outputs.items() if output.column in reach}
        followed |= {command.readback, *command.permissives}
        prims |= {slots.telemetry[path].prim for path in followed if path in slots.telemetry}
        for problem in self._present.plant.table.errors():
            # Which signal a lost alarm would have watched, nobody knows.
            if problem.prim in prims or problem.code.startswith("alarm"):
                raise Unknown(f"what watches {self._name} is not as it was meant: {problem}")

    def check_anchors(self, future: Future, moved: Mapping[str, Instance]) -> None:
        """Raise Unknown unless what is held to limits began where it was measured.

        Args:
            future: of the rehearsal; has made its first frame.
            moved: models that the command moves.
        """
        outputs = self._slots.outputs
        for limit in self._binding(future, moved):
            for path, output in outputs.items():
                if output.column == limit.tap.column and limit.kind in ("hard", "alarm"):
                    self._check_anchor(path, limit)

    def _check_anchor(self, path: str, limit: Limit) -> None:
        present = self._present
        if not present.is_known(path):
            what = present.quality.get(path, "bad") if path in present.values else "not known"
            raise Unknown(
                f"{path} is {what}: nobody knows whether the model is where the machine is, and "
                "its limit is held to that"
            )
        measured, expected = present.values[path], self._began[limit.tap]
        bound = limit.low if math.isfinite(limit.low) else limit.high
        span = limit.span if math.isfinite(limit.span) else self._span(path)
        if not math.isfinite(span):
            span = max(abs(bound), abs(measured))
        if not abs(measured - expected) <= AGREES * span:
            unit = f" {limit.unit}" if limit.unit not in ("", "1") else ""
            raise Unknown(
                f"{path} is {measured:.6g}{unit} and its model says {expected:.6g}{unit}: they "
                f"differ by more than {AGREES:.0%} of {span:.6g}{unit}"
            )

    def _span(self, path: str) -> float:
        """Return how far the limits of a signal lie apart; infinite where they do not say."""
        limits = self._slots.telemetry[path].limits
        for low, high in (
            (limits.hard_min, limits.hard_max),
            (limits.soft_min, limits.soft_max),
        ):
            if not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
                continue
            if math.isfinite(high - low):
                return float(high - low)
        return math.inf

    def began(self, future: Future) -> None:
        """Note what models said of the present; call after the first frame."""
        taps = [limit.tap for limit in future.wiring.limits]
        if not taps:
            return
        if self._present.snapshot.frames:
            bus = self._present.snapshot.bus[0]
            said = [
                float(bus[tap.column]) * tap.scale + tap.offset if tap.column < len(bus) else 0.0
                for tap in taps
            ]
        else:  # an engine that never ran has put out nothing yet
            said = future.read(taps)[-1].tolist()
        self._began = dict(zip(taps, said, strict=True))

    def check_arrived(self, future: Future) -> None:
        """Raise Unknown unless the machine is where it was commanded when the future ends."""
        command = self._slots.commands[self._path]
        if future.time < command.settle_time - future.engine.plan.frame / 2:
            raise Unknown(
                f"{self._name} may take {command.settle_time:g} s to settle, and the rehearsal "
                f"looks {future.time:g} s ahead"
            )
        goal = self._slots.slot(self._path)
        for signal, followed in future.wiring.actuators.items():
            if followed != self._path:
                continue
            columns = [self._slots.slot(signal), goal]
            is_at, told = (float(value) for value in future.engine.read(columns)[0])
            began = self._present.value(signal)
            way = abs(told - began) if began is not None else 0.0
            if not abs(is_at - told) <= max(command.tolerance, ARRIVED * way) + 1e-9:
                raise Unknown(
                    f"{signal} has come to {is_at:.6g} of {told:.6g} when the rehearsal ends after "
                    f"{future.time:g} s: what follows is not known"
                )

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
