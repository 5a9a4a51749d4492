"""All numbers of a plant at once: one column each, vectors and arrays spread over several."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.bindings import TelemetryBinding
from stagetwin.ports import ValueKind
from stagetwin_sim._loads import Loads, decay, wander
from stagetwin_sim._roles import Behaviour, Role, role_of

__all__ = ["Numbers"]

Floats = npt.NDArray[np.float64]

_WANDER_TIME = 3.0
_EXCURSION_EVERY = 3600.0
"""Mean time between two excursions of one number past its soft limits [s]."""
_EXCURSION_LASTS = 6.0
_STOP_LAG = 1.5


class Numbers:
    """The numbers of a model.

    Args:
        bindings: index and binding of each.
        sizes: how many numbers each holds; 0 is one that is no list.
        middles: authored numbers [unit], by index.
        loads: what their assets do.
        rng: source of everything random.
    """

    def __init__(
        self,
        bindings: Sequence[tuple[int, TelemetryBinding]],
        sizes: Sequence[int],
        middles: Mapping[int, float],
        loads: Loads,
        rng: np.random.Generator,
    ) -> None:
        self._rng, self._loads = rng, loads
        self._bindings = list(bindings)
        counts = [max(size, 1) for size in sizes]
        ends = np.cumsum(counts).tolist()
        self._slices = [
            (i, b, start, start + count if size else -1)
            for (i, b), size, start, count in zip(
                bindings, sizes, [0, *ends[:-1]] if ends else [], counts, strict=True
            )
        ]
        self._spread = np.repeat(np.arange(len(counts)), counts)
        roles = [
            role_of(b.signal, b.unit, turns=bool(re.search(r"xformOp:rotate", b.target)))
            for _, b in bindings
        ]
        ranges = [
            _range_of(b, k)
            for (_, b), count in zip(bindings, counts, strict=True)
            for k in range(count)
        ]
        self._hard_low, self._low, self._high, self._hard_high = np.reshape(ranges, (-1, 4)).T
        self._asset = loads.row_of[[i for i, _ in bindings]][self._spread]
        self._set_up(roles, [middles.get(i, math.nan) for i, _ in bindings])
        self._twins = self._pair_twins()
        self._followers = self._pair_followers()

    def _set_up(self, roles: Sequence[Role], middles: Sequence[float]) -> None:
        rng, spread, n = self._rng, self._spread, len(self._spread)

        def column(name: str) -> Floats:
            return np.array([getattr(role, name) for role in roles], float)[spread]

        self._base, self._gain = column("base"), column("gain")
        self._exponent, self._lag = column("exponent"), column("lag")
        self._noise, self._rate = column("noise"), column("rate")
        kinds = np.array([role.behaviour for role in roles], object)[spread]
        self._counts = kinds == Behaviour.COUNTER
        self._turns = kinds == Behaviour.TURN
        self._sweeps = kinds == Behaviour.SWEEP
        self._stops = (column("stops") > 0) & (self._hard_low <= 0)
        # A component of a vector has a share of the whole; what can be negative goes both ways.
        first = np.concatenate([[True], spread[1:] != spread[:-1]])[:n]
        share = np.where(first, 1.0, rng.uniform(0.35, 0.9, n))
        signed = (self._low < 0) & (self._high > 0) & (self._low <= -0.5 * self._high)
        self._gain = np.where(
            signed, rng.choice([-0.5, 0.5], n) * share * self._gain, share * self._gain
        )
        self._base = np.where(signed, 0.5, self._base * share)
        span = self._high - self._low
        middle = np.array(middles, float)[spread]
        middle = np.where(np.isfinite(middle), middle, (self._low + self._high) / 2)
        self._swing = np.minimum(0.12 * span, 40.0)
        self._middle = np.clip(middle, self._low + self._swing, self._high - self._swing)
        self._omega = math.tau / rng.uniform(7.0, 16.0, n)
        self._phase = rng.uniform(0, math.tau, n)
        self._lagged = self._loads.load[self._asset].copy()
        self._runs = self._loads.runs[self._asset].astype(float)
        self._drift = rng.standard_normal(n) * self._noise
        self._total = np.where(
            self._counts,
            rng.uniform(0.2, 1.0, n) * np.minimum(self._hard_high, 5e4),
            rng.uniform(0, 1, n) * span,
        )
        self._excursion = np.full(n, np.inf)
        self._beyond = self._beyond_limits()

    def _beyond_limits(self) -> Floats:
        """Return where an excursion leads: a third of the way from a soft limit to the hard one."""
        above, below = self._hard_high - self._high, self._low - self._hard_low
        rises = above >= below
        far = np.where(rises, self._high + above / 3, self._low - below / 3)
        room = np.maximum(above, below) > 0
        return np.where(room & ~self._counts & ~self._turns & ~self._sweeps, far, np.nan)

    def _pair_twins(self) -> npt.NDArray[np.intp]:
        """Return for each number the one whose wandering it shares: sensors of one quantity."""
        first: dict[tuple[str, str], int] = {}
        twin = np.arange(len(self._spread))
        for _, b, start, end in self._slices:
            if b.redundancy_group and end < 0:
                twin[start] = first.setdefault((b.asset, b.redundancy_group), start)
        return twin

    def _pair_followers(self) -> list[tuple[int, int, TelemetryBinding, TelemetryBinding]]:
        """Return numbers that are read from the same place on the wire as an earlier one."""
        first: dict[tuple[str, str, str], tuple[int, TelemetryBinding]] = {}
        pairs: list[tuple[int, int, TelemetryBinding, TelemetryBinding]] = []
        for _, b, start, end in self._slices:
            if end >= 0:
                continue
            leader, binding = first.setdefault((b.connection, b.address, b.field), (start, b))
            if leader != start:
                pairs.append((start, leader, b, binding))
        return pairs

    def step(self, dt: float, values: list[Any]) -> None:
        """Move on by `dt` [s] and put the values where they belong."""
        numbers = self._advance(dt)
        for follower, leader, b, of in self._followers:
            wire = (numbers[leader] - of.offset) / of.scale
            numbers[follower] = wire * b.scale + b.offset
        plain = numbers.tolist()
        for i, b, start, end in self._slices:
            if end >= 0:
                values[i] = plain[start:end]
            elif b.value_type.kind is ValueKind.INTEGER:
                values[i] = math.floor(plain[start])
            else:
                values[i] = plain[start]

    def _advance(self, dt: float) -> Floats:
        load = self._loads.load[self._asset]
        runs = self._loads.runs[self._asset]
        span = self._high - self._low
        self._lagged = load + (self._lagged - load) * decay(dt, self._lag)
        self._runs = runs + (self._runs - runs) * decay(dt, _STOP_LAG)
        wander(self._drift, dt, _WANDER_TIME, self._noise, self._rng)
        share = self._base + self._gain * self._lagged**self._exponent + self._drift[self._twins]
        apart = (self._twins != np.arange(len(share))) * self._rng.normal(0, 0.001, len(share))
        numbers = self._low + span * np.clip(share + apart, 0.02, 0.98)
        numbers = np.where(self._stops, numbers * self._runs, numbers)
        numbers = self._with_excursions(numbers, dt)
        ahead = self._rate * load * self._runs * dt
        self._total += np.where(self._turns, ahead * span, ahead)
        self._total = np.where(self._turns, self._total % np.maximum(span, 1e-9), self._total)
        numbers = np.where(self._counts, self._total, numbers)
        numbers = np.where(self._turns, self._low + self._total, numbers)
        self._phase = (self._phase + self._omega * dt) % (10 * math.tau)
        wave = 0.75 * np.sin(self._phase) + 0.25 * np.sin(2.1 * self._phase)
        numbers = np.where(self._sweeps, self._middle + self._swing * wave, numbers)
        return np.clip(numbers, self._hard_low, self._hard_high)

    def _with_excursions(self, numbers: Floats, dt: float) -> Floats:
        begins = self._rng.random(len(numbers)) < -math.expm1(-dt / _EXCURSION_EVERY)
        idle = self._excursion >= _EXCURSION_LASTS
        self._excursion = np.where(begins & idle, 0.0, self._excursion + dt)
        under_way = (self._excursion < _EXCURSION_LASTS) & np.isfinite(self._beyond)
        progress = np.where(under_way, self._excursion / _EXCURSION_LASTS, 0.0)
        weight = np.sin(math.pi * progress) ** 2
        return np.where(under_way, numbers + weight * (self._beyond - numbers), numbers)


def _range_of(binding: TelemetryBinding, component: int) -> tuple[float, float, float, float]:
    """Return hard minimum, soft minimum, soft maximum, hard maximum [unit], all finite."""
    kind = binding.value_type
    hard_min, hard_max, soft_min, soft_max = (
        bound[min(component, len(bound) - 1)] if isinstance(bound, tuple) else bound
        for bound in astuple(binding.limits)
    )
    low = soft_min if math.isfinite(soft_min) else hard_min if math.isfinite(hard_min) else 0.0
    high = soft_max if math.isfinite(soft_max) else hard_max
    if not math.isfinite(high):
        high = low + 100.0
    if high <= low:
        low, high = min(low, high), max(low, high) + 1e-9
    # Where no hard limit is authored, an excursion still needs a place to go.
    margin = 0.25 * (high - low)
    hard_low = hard_min if math.isfinite(hard_min) else max(low - margin, kind.minimum)
    hard_high = hard_max if math.isfinite(hard_max) else min(high + margin, kind.maximum)
    return hard_low, max(low, hard_low), min(high, hard_high), hard_high
