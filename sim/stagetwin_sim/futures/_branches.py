"""A scenario as worlds: what each of its futures is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import qmc

from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.futures._bounds import Bounds, wanted
from stagetwin_sim.futures._branch import Branch, ParameterChange
from stagetwin_sim.futures._forecast import Forecast, Setting
from stagetwin_sim.futures._recording import recorded, within
from stagetwin_sim.futures._scenario import (
    ForecastOf,
    FutureOf,
    Layout,
    Over,
    Scenario,
    SetPoint,
    Sweep,
)
from stagetwin_sim.futures._slots import Slots

__all__ = ["Reader", "World", "grid_of", "random_of", "worlds_of"]


_ASKED = 1024
"""Worlds that are made between two questions whether anybody waits for them."""


@dataclass(frozen=True, slots=True)
class World:
    """One world of a scenario.

    Attributes:
        future: as the scenario has it.
        name: unique in the comparison.
        values: of a sweep, in its order.
        seed: of everything random.
    """

    future: FutureOf
    name: str
    values: tuple[tuple[Over, float], ...] = ()
    seed: int = 0


class Reader:
    """Makes branches from what a scenario says, by the signals of a plant.

    Args:
        scenario: what is asked.
        slots: of the plant.
        folder: that files of the scenario are named from.
        confined: whether they must lie in it.
    """

    def __init__(
        self, scenario: Scenario, slots: Slots, folder: Path, confined: bool = False
    ) -> None:
        self._scenario = scenario
        self._slots = slots
        self._folder, self._confined = folder, confined

    def branch(self, world: World) -> Branch:
        """Return what one world is told.

        Raises:
            ScenarioError: something of it is not there, or may not be.
        """
        try:
            return self._branch(world)
        except ScenarioError as error:
            raise ScenarioError(f"future {world.name!r}: {error}") from None

    def _branch(self, world: World) -> Branch:
        future = world.future
        forecasts: dict[str, Forecast] = {}
        for asked in (*self._scenario.forecast, *future.forecast):
            forecasts[self._slots.signal(asked.signal)] = self._forecast(asked)
        settings = [self._setting(asked) for asked in future.set]
        changes = [
            ParameterChange(p.model, p.parameter, p.value, 1.0 if p.factor is None else p.factor)
            for p in future.parameter
        ]
        branch = Branch(
            name=world.name,
            settings=tuple(settings),
            forecasts=forecasts,
            parameters=tuple(changes),
            seed=world.seed,
        )
        return self.varied(branch, world.values)

    def varied(self, branch: Branch, values: Sequence[tuple[Over, float]]) -> Branch:
        """Return a branch with numbers of its own."""
        settings, forecasts = list(branch.settings), dict(branch.forecasts)
        changes = list(branch.parameters)
        for over, value in values:
            if over.command:
                setting = self._setting(SetPoint(command=over.command, value=value))
                settings = [s for s in settings if (s.path, s.at) != (setting.path, 0.0)]
                settings.append(setting)
            elif over.signal:
                forecasts[self._slots.signal(over.signal)] = Forecast.value(value)
            else:
                changes.append(ParameterChange(over.model, over.parameter, value))
        return replace(
            branch, settings=tuple(settings), forecasts=forecasts, parameters=tuple(changes)
        )

    def _setting(self, asked: SetPoint) -> Setting:
        path = self._slots.command(asked.command)
        limits = self._slots.commands[path].limits
        value, low, high = float(asked.value), limits.hard_min, limits.hard_max
        if not (isinstance(low, (int, float)) and isinstance(high, (int, float))):
            raise ScenarioError(f"{asked.command}: is no single number")
        if not low <= value <= high:
            unit = self._slots.commands[path].unit
            raise ScenarioError(f"{asked.command}: {limits} {unit} is allowed, got {value:g}")
        return Setting(path, value, asked.at)

    def _forecast(self, asked: ForecastOf) -> Forecast:
        path = self._slots.signal(asked.signal)
        now = self._slots.present.value(path)
        if now is None and asked.kind in ("hold", "ramp", "sine") and asked.mean is None:
            raise ScenarioError(f"{asked.signal}: its present value is unknown")
        start = now if now is not None else 0.0
        match asked.kind:
            case "hold":
                return Forecast.value(start)
            case "value":
                return Forecast.value(asked.value or 0.0)
            case "ramp":
                return Forecast.ramp(start, asked.to or 0.0, asked.over or 0.0, asked.at)
            case "profile":
                return Forecast.profile(asked.points or [], asked.stepped)
            case "sine":
                mean = asked.mean if asked.mean is not None else start
                return Forecast.sine(mean, asked.amplitude or 0.0, asked.period or 1.0, asked.phase)
            case "recording":
                path_of = within(self._folder, asked.file or "", self._confined)
                return recorded(path_of, asked.column or "", asked.time, asked.begin)

    def layers(self, layout: Layout) -> list[Path]:
        """Return the layers of another layout."""
        return [within(self._folder, name, self._confined) for name in layout.layers]


def worlds_of(
    scenario: Scenario,
    bounds: Bounds | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[World]:
    """Return all worlds of a scenario, in order; they are counted before they are made.

    Args:
        scenario: what is asked.
        bounds: how much may be asked; None is that of the command line.
        cancelled: asked whether nobody wants it any more.

    Raises:
        ScenarioError: a sweep starts from a future that is not there, or it is too much.
        CancelledError: nobody wants it any more.
    """
    (bounds or Bounds()).check(scenario)
    futures = list(scenario.future)
    if not futures and not scenario.sweep:
        futures = [FutureOf(name="as it is")]
    worlds = [
        World(future, f"{future.name} #{k + 1}" if future.repeat > 1 else future.name, (), k)
        for future in futures
        for k in range(future.repeat)
    ]
    named = {future.name: future for future in futures}
    for sweep in scenario.sweep:
        if sweep.future and sweep.future not in named:
            known = ", ".join(named) or "none"
            raise ScenarioError(f"sweep {sweep.name!r}: no future {sweep.future!r}; {known}")
        base = named.get(sweep.future, FutureOf(name=sweep.name))
        points = grid_of(sweep.over) if sweep.kind == "grid" else _random(sweep)
        for nth, values in enumerate(points):
            if nth % _ASKED == 0:
                wanted(cancelled)
            told = ", ".join(f"{value:.6g}" for value in values)
            pairs = tuple(zip(sweep.over, values, strict=True))
            worlds.append(World(base, f"{sweep.name} {told}", pairs))
    return [replace(world, seed=scenario.seed + world.seed) for world in worlds]


def _random(sweep: Sweep) -> Iterator[tuple[float, ...]]:
    return random_of(sweep.over, sweep.samples, sweep.seed)


def grid_of(over: Sequence[Over]) -> Iterator[tuple[float, ...]]:
    """Yield all combinations of what is varied."""
    return itertools.product(*(_values(each) for each in over))


def _values(over: Over) -> list[float]:
    if over.values is not None:
        return list(over.values)
    assert over.low is not None
    assert over.high is not None
    values: list[float] = np.linspace(over.low, over.high, over.count).tolist()
    return values


def random_of(over: Sequence[Over], samples: int, seed: int) -> Iterator[tuple[float, ...]]:
    """Yield a Latin hypercube of what is varied.

    Source: M. D. McKay, R. J. Beckman, W. J. Conover, A Comparison of Three Methods for Selecting
    Values of Input Variables, Technometrics 21 (1979), 239-245.
    """
    unit = qmc.LatinHypercube(d=len(over), rng=np.random.default_rng(seed)).random(samples)
    for point in unit:
        values = []
        for each, part in zip(over, point.tolist(), strict=True):
            if each.values is not None:
                values.append(each.values[min(int(part * len(each.values)), len(each.values) - 1)])
            else:
                low, high = float(each.low or 0.0), float(each.high or 0.0)
                values.append(low + part * (high - low))
        yield tuple(values)
