"""A future: a copy of the present in worlds of its own, that nothing real feeds or follows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from stagetwin_sim._errors import CancelledError, ScenarioError
from stagetwin_sim.engine import Engine, Floats
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._parameters import change_parameters
from stagetwin_sim.futures._present import Present, RuleTimer
from stagetwin_sim.futures._slots import Slots, Tap
from stagetwin_sim.futures._watch import Limit, Reading, Watch
from stagetwin_sim.futures._wiring import Wiring, wire

__all__ = ["Future", "fork"]

REPORTED = 0.1
"""Time between two words on progress, and two looks whether anybody still wants it [s]."""

_STRETCH = 32
"""Frames in one go, after which it is looked whether a word is due."""


def fork(
    present: Present,
    branches: Sequence[Branch] | int = 1,
    *,
    slots: Slots | None = None,
    readings: Sequence[Reading] = (),
    limits: Sequence[Limit] = (),
    limited: bool = False,
    approve_rules: bool = False,
    device: str = "cpu",
) -> Future:
    """Copy the whole present into an isolated future.

    Args:
        present: where it starts.
        branches: what each world does otherwise, or how many go on alike.
        slots: those that readings and limits were made with.
        readings: measures to take.
        limits: to watch, besides the stage's own.
        limited: whether to watch the stage's own limits.
        approve_rules: whether people approve what rules ask for.
        device: Warp's name of it.

    Raises:
        UnforkableError: a model cannot be copied.
        ScenarioError: a branch asks for what is not there.
    """
    worlds = [Branch()] * branches if isinstance(branches, int) else list(branches)
    wiring = wire(
        slots if slots is not None else Slots(present),
        worlds,
        readings=readings,
        limits=limits,
        limited=limited,
        approve_rules=approve_rules,
    )
    return Future(present, worlds, wiring, device)


class Future:
    """The present going on by itself, in one world for each branch. One thread at a time.

    Args:
        present: where it starts.
        branches: one for each world.
        wiring: its plan.
        device: Warp's name of it.

    Attributes:
        present: where it started.
        branches: one for each world.
        wiring: its plan, and what of it can be found again.
        engine: what runs it.
    """

    def __init__(
        self, present: Present, branches: Sequence[Branch], wiring: Wiring, device: str
    ) -> None:
        self.present = present
        self.branches = list(branches)
        self.wiring = wiring
        self.engine: Engine = wiring.plan.engine(len(branches), device)
        self.engine.adopt(present.snapshot.repeated(len(branches)))
        seeds = [
            branch.seed if branch.seed is not None else int(present.snapshot.seeds[0])
            for branch in branches
        ]
        self.engine.context.seeds.assign(np.array(seeds, np.int64))
        change_parameters(present.plant, self.engine, branches)

    @property
    def watch(self) -> Watch:
        """What looks at it after each frame."""
        found = self.engine.systems["future:watch"]
        assert isinstance(found, Watch)
        return found

    @property
    def time(self) -> float:
        """How far it is from the present [s]."""
        return (self.engine.frames - self.present.snapshot.frames) * self.engine.plan.frame

    def frames(self, seconds: float) -> int:
        """Return how many frames a time takes."""
        return max(0, round(seconds / self.engine.plan.frame))

    def step(self, frames: int = 1) -> None:
        """Move on by a number of frames."""
        self.engine.step(frames)

    def run(
        self,
        seconds: float,
        progress: Callable[[float], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        every: int = 0,
        sample: Callable[[], None] | None = None,
    ) -> None:
        """Move on by a time.

        Args:
            seconds: how far [s].
            progress: told how much is done, 0 to 1, a few times a second.
            cancelled: asked as often whether nobody wants it any more.
            every: frames between two calls of `sample`; 0 for none.
            sample: looks at it.

        Raises:
            CancelledError: nobody wants it any more.
            DivergedError: a model left the finite numbers.
        """
        total = self.frames(seconds)
        done, due = 0, time.monotonic() + REPORTED
        while done < total:
            # A stretch ends where a sample is due, and is short enough to look up in between.
            to = min(total, done + _STRETCH, (done // every + 1) * every if every else total)
            self.engine.step(to - done)
            done = to
            if sample is not None and every and done % every == 0:
                sample()
            if time.monotonic() >= due or done == total:
                due = time.monotonic() + REPORTED
                self.engine.check()
                if cancelled is not None and cancelled():
                    raise CancelledError(f"cancelled {self.time:g} s into the future")
                if progress is not None:
                    progress(done / total)

    def read(self, taps: Sequence[Tap]) -> Floats:
        """Return what taps say, shape (worlds, taps)."""
        values = self.engine.read([tap.column for tap in taps])
        scales = np.array([tap.scale for tap in taps])
        found: Floats = values * scales + np.array([tap.offset for tap in taps])
        return found

    def signal(self, name: str) -> Floats:
        """Return a signal, set-point or output of a model, shape (worlds,).

        Raises:
            ScenarioError: there is none of that name, or it has no place in this future.
        """
        slots = self.wiring.slots
        before = len(slots.columns)
        tap = slots.tap(name)
        if len(slots.columns) > before:
            slots.columns.pop()
            raise ScenarioError(f"{name} does not move in this future, and nothing reads it")
        return self.read([tap])[:, 0]

    def fork(self, world: int = 0, worlds: int = 1) -> Future:
        """Return a future of its own whose every world is the present of one of this one's.

        Forecasts, rules and measures go on where they are.
        """
        branches = [self.branches[world]] * worlds
        copy = Future(self.present, branches, self.wiring, self.engine.device)
        copy.engine.restore(self.engine.save().world(world).repeated(worlds))
        return copy

    def moment(self, world: int = 0) -> Present:
        """Return one world as a present, from which other futures can be forked."""
        snapshot = self.engine.save().world(world)
        plan = self.present.plant.plan
        slots = self.wiring.slots
        bus = snapshot.bus
        values = dict(self.present.values)
        desired = dict(self.present.desired)
        for path, column in slots.slots.items():
            given = desired if path in slots.commands else values
            given[path] = float(bus[0, column])
        for path, output in slots.outputs.items():
            values[path] = output.of(float(bus[0, output.column]))
        base = replace(
            snapshot,
            revision=plan.revision,
            bus=bus[:, : len(plan.columns)].copy(),
            systems={system.name: snapshot.systems[system.name] for system in plan.systems},
        )
        return replace(
            self.present,
            snapshot=base,
            values=values,
            desired=desired,
            rules={**self.present.rules, **self._timers(world)},
            time=self.present.time + self.time,
        )

    def _timers(self, world: int) -> dict[str, RuleTimer]:
        watch = self.watch
        held, asked, waits, paused = (
            watch.found(name)[world] for name in ("held", "asked", "waits", "paused")
        )
        return {
            rule.path: RuleTimer(
                None if held[i] < 0 else float(held[i]),
                bool(asked[i]),
                max(0.0, float(waits[i])),
                max(0.0, float(paused[i])),
            )
            for i, rule in enumerate(self.wiring.rules)
        }
