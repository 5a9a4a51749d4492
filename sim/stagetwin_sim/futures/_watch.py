"""What looks at a future after each frame: the stage's rules, limits, measures."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from stagetwin_sim.engine import Context, Floats, Saved, host_copy
from stagetwin_sim.futures._arrays import Arrays, device_array, ragged
from stagetwin_sim.futures._slots import Tap
from stagetwin_sim.futures._watch_kernels import limit_kernel, measure_kernel, rule_kernel

__all__ = ["Limit", "MeasureKind", "Reading", "RuleRow", "Watch", "WatchPlan"]


class MeasureKind(enum.IntEnum):
    """What a measure makes of a signal; the kernel knows the numbers."""

    MIN = 0
    MAX = 1
    MEAN = 2
    FINAL = 3
    INTEGRAL = 4
    ABOVE = 5
    BELOW = 6
    FIRST_ABOVE = 7
    FIRST_BELOW = 8


_BEGINS = {MeasureKind.MIN: math.inf, MeasureKind.MAX: -math.inf}
_NEVER = (MeasureKind.FIRST_ABOVE, MeasureKind.FIRST_BELOW)


@dataclass(frozen=True, slots=True)
class Reading:
    """A measure as the kernel takes it.

    Attributes:
        tap: where.
        kind: what.
        limit: of those that have one.
    """

    tap: Tap
    kind: MeasureKind
    limit: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RuleRow:
    """A rule as the kernel takes it.

    Attributes:
        path: `PRIM.NAME`.
        signal: column of the slot that is judged.
        comparison: 0 above, 1 below, 2 equal, 3 unequal.
        threshold, hold_for, setpoint: of the rule.
        desired: column of the commanded set-point.
        readback: column that a step is taken from; -1 for no limit.
        largest_step: what the rate limit allows at once.
        pause: least time between two requests [s].
        permissives: columns; -1 is never true.
        timer: held (-1 for not), asked, wait, pause at the fork.
    """

    path: str
    signal: int
    comparison: int
    threshold: float
    hold_for: float
    desired: int
    setpoint: float
    readback: int
    largest_step: float
    pause: float
    permissives: tuple[int, ...]
    timer: tuple[float, int, float, float]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Something that a future is held to.

    Attributes:
        kind: `hard`, `soft`, `alarm`, `model` or `permissive`.
        prim, signal: whose.
        tap: where it is read.
        low, high: what it may be [unit].
        unit: UCUM.
        delay: how long it must be beyond [s].
        waited: whether it is beyond already, and its delay may be over.
        condition: column that must be true for it to count; -1 for always.
        refuses: whether it refuses a command, or only warns.
        text: what an alarm says.
        span: between this side of it and the other [unit]; infinite where there is one alone.
    """

    kind: str
    prim: str
    signal: str
    tap: Tap
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    delay: float = 0.0
    waited: bool = False
    condition: int = -1
    refuses: bool = True
    text: str = ""
    span: float = math.inf


@dataclass(frozen=True, kw_only=True)
class WatchPlan:
    """What a Watch is made from.

    Attributes:
        rules, limits, readings: what it looks at.
        starts: ticks at the fork, shape (worlds,).
    """

    rules: Sequence[RuleRow]
    limits: Sequence[Limit]
    readings: Sequence[Reading]
    starts: Sequence[int]
    name: str = "future:watch"

    def build(self, context: Context) -> Watch:
        """See SystemPlan."""
        return Watch(self, context)


class Watch:
    """Rules, limits and measures in every world."""

    captured = True

    def __init__(self, plan: WatchPlan, context: Context) -> None:
        self.name = plan.name
        self.rate = 1 / context.frame
        self.plan = plan
        self._context = context
        self._state = Arrays(plan.name, context.device)
        self._state.add("starts", np.resize(plan.starts, context.worlds), "l")
        self._prepare_rules()
        self._prepare_limits()
        device, readings = context.device, plan.readings
        begins = [-1.0 if r.kind in _NEVER else _BEGINS.get(r.kind, 0.0) for r in readings]
        self._state.add("results", _worlds(begins, context.worlds), "f")
        self._measures = [
            *_taps([r.tap for r in readings], device),
            device_array([int(r.kind) for r in readings], "i", device),
            device_array([r.limit for r in readings], "f", device),
        ]

    def _prepare_rules(self) -> None:
        device, rules = self._context.device, self.plan.rules
        permissives = [list(rule.permissives) for rule in rules]
        self._rules = [
            device_array([rule.signal for rule in rules], "i", device),
            device_array([rule.comparison for rule in rules], "i", device),
            device_array([rule.threshold for rule in rules], "f", device),
            device_array([rule.hold_for for rule in rules], "f", device),
            device_array([rule.desired for rule in rules], "i", device),
            device_array([rule.setpoint for rule in rules], "f", device),
            device_array([rule.readback for rule in rules], "i", device),
            device_array([rule.largest_step for rule in rules], "f", device),
            device_array([rule.pause for rule in rules], "f", device),
            device_array(ragged(permissives), "i", device),
            device_array([p for each in permissives for p in each], "i", device),
        ]
        worlds = self._context.worlds
        for i, (name, kind) in enumerate(
            (("held", "f"), ("asked", "i"), ("waits", "f"), ("paused", "f"))
        ):
            self._state.add(name, _worlds([rule.timer[i] for rule in rules], worlds), kind)
        self._state.add("fired", _worlds([0.0] * len(rules), worlds), "i")
        self._state.add("first_fired", _worlds([-1.0] * len(rules), worlds), "f")

    def _prepare_limits(self) -> None:
        device, limits, worlds = self._context.device, self.plan.limits, self._context.worlds
        self._limits = [
            *_taps([limit.tap for limit in limits], device),
            device_array([limit.low for limit in limits], "f", device),
            device_array([limit.high for limit in limits], "f", device),
            device_array([limit.delay for limit in limits], "f", device),
            device_array([limit.condition for limit in limits], "i", device),
        ]
        since = [limit.delay if limit.waited else -1.0 for limit in limits]
        self._state.add("since", _worlds(since, worlds), "f")
        for name, begin in (
            ("first_time", -1.0),
            ("first_value", 0.0),
            ("worst", -math.inf),
            ("worst_time", -1.0),
            ("beyond", 0.0),
        ):
            self._state.add(name, _worlds([begin] * len(limits), worlds), "f")

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        context, state, plan = self._context, self._state, self.plan
        now = [context.ticks, state["starts"], wp.float64(context.frame)]
        if plan.rules:
            names = ("held", "asked", "waits", "paused", "fired", "first_fired")
            wp.launch(
                rule_kernel,
                dim=context.worlds,
                inputs=[len(plan.rules), *self._rules, *now],
                outputs=[context.bus, *(state[name] for name in names)],
                device=context.device,
            )
        if plan.limits:
            names = ("since", "first_time", "first_value", "worst", "worst_time", "beyond")
            wp.launch(
                limit_kernel,
                dim=(context.worlds, len(plan.limits)),
                inputs=[context.bus, *self._limits, *now],
                outputs=[state[name] for name in names],
                device=context.device,
            )
        if plan.readings:
            wp.launch(
                measure_kernel,
                dim=(context.worlds, len(plan.readings)),
                inputs=[context.bus, *self._measures, *now],
                outputs=[state["results"]],
                device=context.device,
            )

    def found(self, name: str) -> Floats:
        """Return a part of the state, shape (worlds, rules or limits)."""
        values: Floats = host_copy(self._state[name])
        return values

    def results(self, elapsed: float) -> Floats:
        """Return the measures, shape (worlds, readings); NaN for what never happened.

        Args:
            elapsed: since the fork [s].
        """
        values = self.found("results")[:, : len(self.plan.readings)].copy()
        for i, reading in enumerate(self.plan.readings):
            if reading.kind is MeasureKind.MEAN:
                values[:, i] /= elapsed if elapsed > 0 else math.nan
            elif reading.kind in _NEVER:
                values[values[:, i] < 0, i] = math.nan
        return values

    def save(self) -> Saved:
        """See System."""
        return self._state.save()

    def load(self, saved: Saved) -> None:
        """See System."""
        self._state.load(saved)


def _taps(taps: Sequence[Tap], device: str) -> list[wp.array[Any]]:
    return [
        device_array([tap.column for tap in taps], "i", device),
        device_array([tap.scale for tap in taps], "f", device),
        device_array([tap.offset for tap in taps], "f", device),
    ]


def _worlds(values: Sequence[float], worlds: int) -> Floats:
    return np.repeat(np.array([values], np.float64).reshape(1, -1), worlds, axis=0)
