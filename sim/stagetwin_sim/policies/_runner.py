"""Runs a policy from its bundle alone."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._inputs import Reading, read_inputs, unfamiliar
from stagetwin_sim.policies._network import Network

__all__ = ["Action", "Runner", "Status"]

Floats = npt.NDArray[np.float64]


class Status(StrEnum):
    """What stands behind an action."""

    POLICY = "policy"
    """The policy said it."""
    LIMITED = "limited"
    """The policy said more than limits or rate limits let through."""
    HOLD = "hold"
    """A fallback: what left last."""
    STOP = "stop"
    """A fallback: the stop of each action."""


@dataclass(frozen=True, slots=True)
class Action:
    """What leaves a runner.

    Attributes:
        values: [unit of each term], by the terms' names; shape of each term.
        status: what stands behind them.
        cause: of a fallback, or of a limit; empty for none.
        time: by the runner's clock [s].
        latency: what it took to decide [s].
        numbers: the policy's own, before any limit; NaN where it was not asked.
    """

    values: Mapping[str, Floats]
    status: Status
    cause: str
    time: float
    latency: float
    numbers: Floats

    @property
    def fallback(self) -> bool:
        """Whether the policy was not believed."""
        return self.status in (Status.HOLD, Status.STOP)


class Runner:
    """Acts by a bundle: builds its inputs, judges them, bounds what leaves.

    An input is missing, older than its term allows, malformed or not finite; an observation is
    unfamiliar; the network says what is no number: then the fallback leaves, and is counted by its
    cause.

    Args:
        bundle: the policy; one that is not trusted is refused.
        clock: time by which readings are dated [s].
        untrusted: run it although nobody who is trusted signed it; for simulations alone.

    Attributes:
        counts: of steps by status, and of fallbacks by the first word of their cause.

    Raises:
        PolicyError: the bundle is not trusted, or its model does not fit.
    """

    def __init__(
        self,
        bundle: Bundle,
        clock: Callable[[], float] = time.monotonic,
        *,
        untrusted: bool = False,
    ) -> None:
        if not (bundle.trusted or untrusted):
            raise PolicyError(f"policy {bundle.spec.name!r}: its bundle is not trusted")
        self.bundle, self.spec = bundle, bundle.spec
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._network = Network(bundle.model, self.spec)
        terms = [one.term for one in self.spec.actions]
        edges = np.cumsum([0, *[term.size for term in terms]])
        self._slices = [slice(a, b) for a, b in itertools.pairwise(edges)]
        self._stops = self._spread([one.stop for one in self.spec.actions])
        rates = self._spread([one.rate_limit for one in self.spec.actions])
        self._bounded = np.isfinite(rates)
        self._slopes = np.where(self._bounded, rates, 0.0)
        self._scales = self._spread([term.scale for term in terms])
        self._offsets = self._spread([term.offset for term in terms])
        self._lows = self._spread([term.low for term in terms])
        self._highs = self._spread([term.high for term in terms])
        self.reset()

    def _spread(self, values: list[float]) -> Floats:
        sizes = [one.term.size for one in self.spec.actions]
        return np.repeat(np.asarray(values, np.float64), sizes)

    def reset(self) -> None:
        """Begin anew: forget history, recurrent state and what was said."""
        self._network.reset()
        self._history: list[Floats] = []
        self._left = self._stops.copy()
        self._left_at = math.nan
        self._said = np.clip((self._stops - self._offsets) / self._scales, -1.0, 1.0)
        self._fell_at = math.nan
        self._sound = self.spec.fallback.resume

    def act(self, readings: Mapping[str, Reading]) -> Action:
        """Decide once.

        Args:
            readings: by the names of the terms; terms with the source `action` are filled here.
        """
        started = time.perf_counter()
        now = self._clock()
        numbers, cause = read_inputs(self.spec, readings, self._said, now)
        gap = bool(cause)
        said = np.full(self.spec.action_count, math.nan)
        if not cause:
            self._remember(numbers)
            # The network runs on an unfamiliar observation too: its state goes on with the world.
            said = self._network.run(self._input())[0].astype(np.float64)
            cause = unfamiliar(self.spec, numbers)
            if not np.isfinite(said).all():
                cause = cause or "not finite: the policy's output"
                self._network.reset()
        elif gap:
            self._forget()
        wanted = self._offsets + self._scales * np.clip(said, -1.0, 1.0)
        status, values, cause = self._judge(wanted, cause, now)
        self._said = (
            np.clip(said, -1.0, 1.0)
            if status in (Status.POLICY, Status.LIMITED)
            else np.clip((values - self._offsets) / self._scales, -1.0, 1.0)
        )
        self._left, self._left_at = values, now
        self.counts[status] += 1
        shaped = {
            one.term.name: values[part].reshape(one.term.shape)
            for one, part in zip(self.spec.actions, self._slices, strict=True)
        }
        return Action(shaped, status, cause, now, time.perf_counter() - started, said)

    def _judge(self, wanted: Floats, cause: str, now: float) -> tuple[Status, Floats, str]:
        fallback = self.spec.fallback
        if cause:
            self._sound = 0
        elif self._sound < fallback.resume:
            self._sound += 1
            if self._sound < fallback.resume:
                cause = f"resuming: {self._sound} of {fallback.resume} sound steps"
        if not cause:
            self._fell_at = math.nan
            values = np.clip(wanted, self._lows, self._highs)
            bounded = self._slewed(values, now)
            limited = not np.array_equal(bounded, wanted)
            return (
                Status.LIMITED if limited else Status.POLICY,
                bounded,
                self._which(wanted, bounded) if limited else "",
            )
        self.counts[cause.partition(":")[0]] += 1
        if math.isnan(self._fell_at):
            self._fell_at = now
        if fallback.action == "hold" and now - self._fell_at < fallback.hold_time:
            return Status.HOLD, self._left.copy(), cause
        # A stop is not slowed down by rate limits: what brakes has its own.
        return Status.STOP, self._stops.copy(), cause

    def _slewed(self, values: Floats, now: float) -> Floats:
        """Return values as far as rate limits let them go; the first counts from the stop."""
        passed = self.spec.period if math.isnan(self._left_at) else now - self._left_at
        # However long nothing was asked: one step is never more than two periods' worth.
        seconds = min(max(passed, 0.0), 2.0 * self.spec.period)
        step = np.where(self._bounded, self._slopes * seconds, math.inf)
        return np.clip(values, self._left - step, self._left + step)

    def _which(self, wanted: Floats, bounded: Floats) -> str:
        names = [
            one.term.name
            for one, part in zip(self.spec.actions, self._slices, strict=True)
            if not np.array_equal(wanted[part], bounded[part])
        ]
        return f"limited: {', '.join(names)}"

    def _remember(self, numbers: Floats) -> None:
        if not self._history:
            self._history = [numbers] * self.spec.history
        self._history = [*self._history[1:], numbers]

    def _input(self) -> npt.NDArray[np.float32]:
        return np.concatenate(self._history).astype(np.float32)[None]

    def _forget(self) -> None:
        """After a gap nothing of before is the recent past any more."""
        self._history = []
        self._network.reset()
