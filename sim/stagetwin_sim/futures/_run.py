"""Scenarios run: all their futures in batches, measured as they go."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.engine import Floats
from stagetwin_sim.futures._bounds import Bounds, wanted
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._branches import Reader, World, worlds_of
from stagetwin_sim.futures._comparison import Comparison, Row, Traces
from stagetwin_sim.futures._expression import Expression, identifier
from stagetwin_sim.futures._future import fork
from stagetwin_sim.futures._present import Present
from stagetwin_sim.futures._relaid import relaid
from stagetwin_sim.futures._scenario import Layout, Measure, Scenario
from stagetwin_sim.futures._slots import Slots, Tap
from stagetwin_sim.futures._watch import MeasureKind, Reading
from stagetwin_sim.futures._whole import check_whole, lost_of, stopped_in

__all__ = ["Batch", "Measures", "run_scenario"]

Progress = Callable[[float], None]
Cancelled = Callable[[], bool]

_MEBI = 1024.0 * 1024.0

_ASKED = 256
"""Branches that are made between two questions whether anybody waits for them."""


class Measures:
    """The measures and costs of a scenario: what the engine reads, and what is made of it.

    Args:
        scenario: what is asked.

    Raises:
        ScenarioError: a cost uses what is not measured.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._measures = scenario.measure
        known = [identifier(measure.name) for measure in scenario.measure]
        self._costs: list[tuple[str, Expression]] = []
        for cost in scenario.cost:
            try:
                self._costs.append((cost.name, Expression(cost.expression, known)))
            except ScenarioError as error:
                raise ScenarioError(f"cost {cost.name!r}: {error}") from None
            known.append(identifier(cost.name))
        self.names = [m.name for m in scenario.measure] + [name for name, _ in self._costs]

    def readings(self, slots: Slots) -> list[Reading]:
        """Return what an engine of a plant takes."""
        return [_reading(slots, measure) for measure in self._measures]

    def units(self, slots: Slots) -> dict[str, str]:
        """Return the unit of each measure."""
        units = {}
        for measure in self._measures:
            unit = slots.unit(measure.signal)
            timed = ("above" in measure.kind) or ("below" in measure.kind)
            if measure.kind == "integral":
                unit = _times_second(unit)
            units[measure.name] = "s" if timed else unit
        return units

    def of(self, results: Sequence[float]) -> dict[str, float]:
        """Return measures and costs of one world, by name."""
        named = {m.name: value for m, value in zip(self._measures, results, strict=True)}
        values = {identifier(name): value for name, value in named.items()}
        for name, expression in self._costs:
            named[name] = values[identifier(name)] = expression(values)
        return named


def _times_second(unit: str) -> str:
    """Return the unit of a quantity added up over time [s]."""
    if unit in ("", "1"):
        return "s"
    if unit.endswith("/s"):
        return unit.removesuffix("/s")
    power = re.fullmatch(r"([kMG]?)W", unit)
    return f"{power[1]}J" if power else f"{unit}.s"


def _reading(slots: Slots, measure: Measure) -> Reading:
    try:
        tap = slots.tap(measure.signal)
    except ScenarioError as error:
        raise ScenarioError(f"measure {measure.name!r}: {error}") from None
    kind = MeasureKind[measure.kind.upper().replace("-", "_")]
    return Reading(tap, kind, measure.limit if measure.limit is not None else 0.0)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What many worlds of one plant are run with.

    Attributes:
        present: where they start.
        scenario: what is asked.
        measures: of it.
        traces: names of signals that are kept over time.
        device: Warp's name of it.
        bounds: how much may be run.
        stopped: models that stopped in a future, as `PRIM.NAME`; grows as worlds are run.
    """

    present: Present
    scenario: Scenario
    measures: Measures
    traces: Sequence[str] = ()
    device: str = "cpu"
    bounds: Bounds = field(default_factory=Bounds)
    stopped: set[str] = field(default_factory=set)

    def run(
        self,
        branches: Sequence[Branch],
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> tuple[list[dict[str, float]], Floats]:
        """Run worlds, in parts that fit into the memory.

        Returns:
            The measures of each, and traces, shape (times, worlds, traces).

        Raises:
            ScenarioError: it is more than may be run.
            CancelledError: nobody wants it any more.
        """
        frames = round(self.scenario.horizon / self.present.plant.plan.frame)
        self.bounds.run(len(branches), frames)
        self.bounds.traced(self._samples() * len(self.traces) * len(branches))
        rows: list[dict[str, float]] = []
        kept: list[Floats] = []
        most = self._at_once(len(branches))
        parts = [branches[i : i + most] for i in range(0, len(branches), most)]
        for i, part in enumerate(parts):
            wanted(cancelled)

            def told(done: float, i: int = i) -> None:
                if progress is not None:
                    progress((i + done) / len(parts))

            found, traces = self._part(part, told, cancelled)
            rows.extend(found)
            kept.append(traces)
        return rows, np.concatenate(kept, axis=1)

    def _at_once(self, worlds: int) -> int:
        memory = self.scenario.memory * _MEBI
        kept = self._samples() * len(self.traces) * 8
        if kept * worlds > memory:
            raise ScenarioError(
                f"{worlds} futures with {len(self.traces)} traces of {self._samples()} samples "
                f"take {kept * worlds / _MEBI:.0f} MiB; memory is {self.scenario.memory:g} MiB: "
                "make sample longer or name fewer traces"
            )
        return max(1, int((memory - kept * worlds) // (2 * self.present.snapshot.nbytes + 4096)))

    def _every(self) -> int:
        return max(1, round(self.scenario.sample / self.present.plant.plan.frame))

    def _samples(self) -> int:
        return round(self.scenario.horizon / self.present.plant.plan.frame) // self._every() + 1

    def _part(
        self, branches: Sequence[Branch], progress: Progress, cancelled: Cancelled | None
    ) -> tuple[list[dict[str, float]], Floats]:
        slots = Slots(self.present)
        readings = self.measures.readings(slots)
        taps: list[Tap] = [slots.tap(name) for name in self.traces]
        future = fork(
            self.present,
            branches,
            slots=slots,
            readings=readings,
            approve_rules=self.scenario.approve_rules,
            device=self.device,
        )
        kept = [future.read(taps)] if taps else []
        future.run(
            self.scenario.horizon,
            progress,
            cancelled,
            every=self._every() if taps else 0,
            sample=(lambda: kept.append(future.read(taps))) if taps else None,
        )
        self.stopped.update(stopped_in(future))
        results = future.watch.results(future.time)
        rows = [self.measures.of(values) for values in results.tolist()]
        shape = (0, len(branches), 0)
        return rows, np.stack(kept) if kept else np.zeros(shape)


def run_scenario(
    present: Present,
    scenario: Scenario,
    *,
    folder: Path | None = None,
    confined: bool = False,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    device: str = "cpu",
    bounds: Bounds | None = None,
    allow_missing: bool = False,
) -> Comparison:
    """Run all futures of a scenario, and compare them.

    Args:
        present: where they start.
        scenario: what is asked.
        folder: that its files are named from; None is the working one.
        confined: whether they must lie in it.
        progress: told how much is done, 0 to 1.
        cancelled: asked whether nobody wants it any more.
        device: Warp's name of it.
        bounds: how much may be asked; None is that of the command line.
        allow_missing: whether what is asked may depend on models that do not run.

    Raises:
        ScenarioError: it asks for what is not there, or may not be, or for too much, or a command
            or measure depends on a model that does not run.
        CancelledError: nobody wants it any more.
        UnforkableError: a model cannot be copied.
    """
    began = time.monotonic()
    base = folder if folder is not None else Path.cwd()
    allowed = bounds or Bounds()
    measures = Measures(scenario)
    worlds = worlds_of(scenario, allowed, cancelled)
    traces = scenario.trace or list(dict.fromkeys(m.signal for m in scenario.measure))
    rows: dict[int, Row] = {}
    kept: dict[int, Floats] = {}
    groups = _by_layout(worlds)
    without: set[str] = set()
    for nth, (layout, members) in enumerate(groups):
        reader = Reader(scenario, Slots(present), base, confined)
        there = present
        if layout is not None:
            there = relaid(present, layout, reader.layers(layout))
            reader = Reader(scenario, Slots(there), base, confined)
        wanted(cancelled)
        branches = []
        for i in members:
            branches.append(reader.branch(worlds[i]))
            if len(branches) % _ASKED == 0:
                wanted(cancelled)
        without.update(lost_of(there.plant))
        if not allow_missing:
            commands = {each.path for branch in branches for each in branch.settings}
            if layout is None:
                commands |= _sought(scenario, Slots(there))
            check_whole(there, commands, [measure.signal for measure in scenario.measure])
        batch = Batch(
            present=there,
            scenario=scenario,
            measures=measures,
            traces=traces,
            device=device,
            bounds=allowed,
        )

        def told(done: float, nth: int = nth) -> None:
            if progress is not None:
                progress((nth + done) / len(groups))

        found, over_time = batch.run(branches, told, cancelled)
        without |= batch.stopped
        for k, i in enumerate(members):
            rows[i] = Row(worlds[i].name, branches[k], found[k], layout is not None)
            kept[i] = over_time[:, k]
    slots = Slots(present)
    order = sorted(rows)
    frame = present.plant.plan.frame
    samples = len(kept[order[0]])
    step = max(1, round(scenario.sample / frame)) * frame
    return Comparison(
        scenario=scenario,
        present=present,
        rows=[rows[i] for i in order],
        units=measures.units(slots),
        traces=Traces(
            names=traces,
            units=[slots.unit(name) for name in traces],
            times=np.arange(samples, dtype=np.float64) * step,
            values=np.stack([kept[i] for i in order], axis=1),
        ),
        spent=time.monotonic() - began,
        without=sorted(without),
    )


def _sought(scenario: Scenario, slots: Slots) -> set[str]:
    """Return the paths of the commanded properties that set-points are sought for."""
    over = scenario.optimise.over if scenario.optimise is not None else ()
    return {slots.command(each.command) for each in over if each.command}


def _by_layout(worlds: Sequence[World]) -> list[tuple[Layout | None, list[int]]]:
    groups: dict[str, tuple[Layout | None, list[int]]] = {}
    for i, world in enumerate(worlds):
        layout = world.future.layout
        key = layout.model_dump_json() if layout is not None else ""
        groups.setdefault(key, (layout, []))[1].append(i)
    return list(groups.values())
