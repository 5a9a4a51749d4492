"""The rehearsal of a command: its future beside the one without it, before it leaves."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from stagetwin_sim._errors import CancelledError, DivergedError, ModelError
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._collisions import Collisions
from stagetwin_sim.futures._depends import dependants
from stagetwin_sim.futures._forecast import Setting
from stagetwin_sim.futures._future import Future, fork
from stagetwin_sim.futures._grounds import Grounds, Unknown
from stagetwin_sim.futures._present import Present
from stagetwin_sim.futures._rules import permissives_of
from stagetwin_sim.futures._slots import Slots, Tap
from stagetwin_sim.futures._verdict import Believed, Finding, Margin, Outcome, Verdict
from stagetwin_sim.futures._watch import Limit

__all__ = ["rehearse"]

HORIZON = 60.0
"""How far a rehearsal looks where nothing is said [s]."""

BUDGET = 2.0
"""How long it may take where nothing is said [s]."""

_FURTHER = 1.01
"""A limit that is broken anyway is broken further by more than this ratio."""

_STRETCH = 0.02
"""Wall-clock time between two looks at the clock [s]."""

_MARGINS = 12
_FAILURES = ":network:failures"


def rehearse(
    present: Present,
    command: str,
    value: float,
    horizon: float = HORIZON,
    budget: float = BUDGET,
    *,
    cancelled: Callable[[], bool] | None = None,
    clock: Callable[[], float] = time.monotonic,
    device: str = "cpu",
) -> Verdict:
    """Run the future with a command beside the one without, and judge it.

    Args:
        present: where both start.
        command: `PRIM.NAME`, or path of the commanded property.
        value: of the set-point, in the stage's unit; booleans are 0 and 1.
        horizon: how far to look [s].
        budget: how long it may take [s]; over it nothing is known, which refuses.
        cancelled: asked whether nobody waits for it any more.
        clock: that the budget runs on [s].
        device: Warp's name of it.

    Raises:
        CancelledError: nobody waits for it any more.
    """
    rehearsal = _Rehearsal(present, command, value, horizon, budget, clock)
    try:
        return rehearsal.run(cancelled, device)
    except CancelledError:
        raise
    except Unknown as why:
        return rehearsal.verdict(Outcome.INCONCLUSIVE, str(why))
    except ModelError as error:
        return rehearsal.verdict(Outcome.INCONCLUSIVE, str(error))


class _Rehearsal:
    """One rehearsal, and what is known of it so far."""

    def __init__(
        self,
        present: Present,
        command: str,
        value: float,
        horizon: float,
        budget: float,
        clock: Callable[[], float],
    ) -> None:
        self._present = present
        self._command, self._value = command, float(value)
        self._horizon, self._budget = horizon, budget
        self._clock = clock
        self._started = clock()
        self._future: Future | None = None
        self._collisions: Collisions | None = None
        self._believed: list[Believed] = []

    def run(self, cancelled: Callable[[], bool] | None, device: str) -> Verdict:
        """Run both futures to the horizon, and judge them."""
        self._check_request()
        slots = Slots(self._present)
        path = slots.command(self._command)
        self._command = slots.commands[path].path
        grounds = Grounds(slots, path, self._value)
        branches = [Branch(settings=(Setting(path, self._value),)), *grounds.baselines()]
        limits = self._permissives(slots, path)
        future = fork(
            self._present, branches, slots=slots, limits=limits, limited=True, device=device
        )
        self._future = future
        moved = dict(dependants(future.wiring, path))
        self._believed = [
            Believed(model, instance.binding.kind, instance.fidelity)
            for model, instance in moved.items()
        ]
        if not moved:
            raise Unknown(f"no model depends on {self._command}: nothing is known of it")
        grounds.check_sources(future, moved, [limit.tap.column for limit in limits])
        self._collisions = Collisions(future)
        grounds.check_limits(future, moved, self._collisions.systems)
        grounds.check_authored(future, moved)
        failures = self._failures()
        over = self._run(future, cancelled, grounds)
        findings = _Findings(future, self._collisions)
        if findings.violations:
            return self.verdict(Outcome.VIOLATED, findings.violations[0].message, findings)
        if over:
            return self.verdict(Outcome.INCONCLUSIVE, over, findings)
        if stopped := _stopped(future):
            text = f"{stopped} stopped, and its figures stand still"
            return self.verdict(Outcome.INCONCLUSIVE, text, findings)
        if failed := self._failures() - failures:
            text = f"a network found no solution in {failed:g} steps"
            return self.verdict(Outcome.INCONCLUSIVE, text, findings)
        try:
            grounds.check_watch(future, future.frames(self._horizon))
            grounds.check_anchors(future, moved)
            grounds.check_arrived(future)
        except Unknown as why:
            return self.verdict(Outcome.INCONCLUSIVE, str(why), findings)
        cause = _held(self._horizon, findings.already)
        return self.verdict(Outcome.HELD, cause, findings)

    def _check_request(self) -> None:
        if not math.isfinite(self._value):
            raise Unknown(f"{self._command}: a set-point is a finite number")
        frame = self._present.plant.plan.frame
        if not frame <= self._horizon < math.inf:
            raise Unknown(f"the horizon must be at least {frame:g} s, got {self._horizon:g}")
        if not 0 < self._budget < math.inf:
            raise Unknown(f"the budget must be positive and finite, got {self._budget:g} s")

    def _permissives(self, slots: Slots, path: str) -> list[Limit]:
        binding = slots.commands[path]
        columns = permissives_of(slots, binding, slots.slot)
        asset = self._present.plant.table.assets.get(binding.asset)
        remote = asset.remote if asset is not None else ""
        limits = []
        for name, column in zip(
            [p for p in (*binding.permissives, remote) if p], columns, strict=True
        ):
            if column < 0:
                raise Unknown(f"the permissive {name} is unknown, which does not permit")
            signal = slots.telemetry[name]
            limits.append(
                Limit(
                    kind="permissive",
                    prim=signal.prim,
                    signal=signal.path,
                    tap=Tap(column),
                    low=0.5,
                )
            )
        return limits

    def _run(self, future: Future, cancelled: Callable[[], bool] | None, grounds: Grounds) -> str:
        """Step to the horizon; return why it ended before, or nothing."""
        total, done, stretch = future.frames(self._horizon), 0, 1
        bodies = self._collisions
        assert bodies is not None
        while done < total:
            if cancelled is not None and cancelled():
                raise CancelledError(f"cancelled {future.time:g} s into the future")
            if self._spent >= self._budget:
                return (
                    f"over its budget of {self._budget:g} s after {future.time:g} s of "
                    f"{self._horizon:g} s"
                )
            began, frames = self._clock(), min(stretch, total - done)
            for _ in range(frames if bodies.watched else 1):
                future.step(1 if bodies.watched else frames)
                bodies.look()
            if not done:
                grounds.check_told(future)
                grounds.began(future)
            done += frames
            took = self._clock() - began
            if took < _STRETCH / 2:
                stretch = min(stretch * 2, 1024)
            elif took > _STRETCH * 2:
                stretch = max(stretch // 2, 1)
            try:
                future.engine.check()
            except DivergedError as error:
                raise Unknown(str(error)) from None
        return "" if self._spent < self._budget else f"over its budget of {self._budget:g} s"

    def _failures(self) -> float:
        assert self._future is not None
        plan = self._future.engine.plan
        columns = [i for i, c in enumerate(plan.columns) if c.name.endswith(_FAILURES)]
        # A future without the command that is none excuses nothing either.
        return float(self._future.engine.read(columns).sum()) if columns else 0.0

    @property
    def _spent(self) -> float:
        return self._clock() - self._started

    def verdict(self, outcome: Outcome, cause: str, findings: _Findings | None = None) -> Verdict:
        """Return what is known."""
        future, present = self._future, self._present
        said = Verdict(
            outcome=outcome,
            cause=cause,
            command=self._command,
            value=self._value,
            horizon=self._horizon,
            budget=self._budget,
            spent=self._spent,
            believed=self._believed,
            present={
                "time": present.time,
                "stage": present.stage,
                "parameters": present.parameters,
                "plan": present.plant.plan.revision,
            },
        )
        if future is None or findings is None:
            return said
        parts = (present.digest(), self._command, repr(self._value), future.engine.save().digest())
        return replace(
            said,
            simulated=future.time,
            frames=future.frames(future.time),
            digest=hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest(),
            violations=findings.violations,
            warnings=findings.warnings,
            already=findings.already,
            margins=findings.margins,
            silent=future.wiring.silent,
        )


class _Findings:
    """What the watch of a rehearsal saw: world 0 with the command, the others without."""

    def __init__(self, future: Future, collisions: Collisions) -> None:
        watch = future.watch
        self._limits = future.wiring.limits
        names = ("first_time", "first_value", "worst", "worst_time", "beyond")
        self._seen = {name: watch.found(name).copy() for name in names}
        self._pending = self._wait_on(future)
        self.violations: list[Finding] = collisions.findings()
        self.warnings: list[Finding] = []
        self.already: list[Finding] = []
        for i, limit in enumerate(self._limits):
            if self._seen["first_time"][0, i] >= 0:
                found = self._finding(i, limit)
                # What permits the command must be true whatever happens without it.
                if limit.kind != "permissive" and not self._is_caused(i):
                    self.already.append(found)
                elif limit.refuses:
                    self.violations.append(found)
                else:
                    self.warnings.append(found)
        for findings in (self.violations, self.warnings, self.already):
            findings.sort(key=lambda found: (found.time, found.signal, found.kind))
        self.margins = self._margins()

    def _wait_on(self, future: Future) -> set[int]:
        """Count what is beyond at the end, and waits for its delay only, as what it will be.

        Returns:
            Limits for which that decides with the command.
        """
        if not self._limits:
            return set()
        since = future.watch.found("since")
        delays = np.array([limit.delay for limit in self._limits])
        waits = (since >= 0) & (self._seen["first_time"] < 0)
        values = future.read([limit.tap for limit in self._limits])
        self._seen["first_time"][waits] = (future.time + delays - since)[waits]
        self._seen["first_value"][waits] = values[waits]
        return set(np.flatnonzero(waits[0]).tolist())

    def _is_caused(self, i: int) -> bool:
        """Tell whether the command breaks a limit, or breaks it earlier or further.

        It does unless each future without it breaks the limit as well.
        """
        told, *untold = self._seen["first_time"][:, i].tolist()
        if not untold or any(when < 0 or told < when - 1e-9 for when in untold):
            return True
        for name in ("worst", "beyond"):
            far, *anyway = self._seen[name][:, i].tolist()
            if not all(far <= other * _FURTHER + 1e-12 for other in anyway):
                return True
        return False

    def _finding(self, i: int, limit: Limit) -> Finding:
        value = float(self._seen["first_value"][0, i])
        when = float(self._seen["first_time"][0, i])
        bound = limit.low if value < limit.low else limit.high
        text = _text(limit, value, bound, when)
        if i in self._pending:
            text += f", if it stays so for its delay of {limit.delay:g} s"
        return Finding(
            kind=limit.kind,
            prim=limit.prim,
            signal=limit.signal,
            value=value,
            limit=bound,
            unit=limit.unit,
            time=when,
            message=text,
        )

    def _margins(self) -> list[Margin]:
        found: list[tuple[float, Margin]] = []
        for i, limit in enumerate(self._limits):
            worst = float(self._seen["worst"][0, i])
            if limit.kind == "permissive" or not limit.refuses or not np.isfinite(worst):
                continue
            scale = limit.span if math.isfinite(limit.span) else max(abs(_bound(limit)), 1e-9)
            when = float(self._seen["worst_time"][0, i])
            margin = Margin(limit.signal, limit.kind, -worst, limit.unit, when)
            found.append((-worst / max(scale, 1e-12), margin))
        found.sort(key=lambda each: (each[0], each[1].signal))
        nearest: dict[tuple[str, str], Margin] = {}
        for _, margin in found:
            nearest.setdefault((margin.signal, margin.kind), margin)
        return list(nearest.values())[:_MARGINS]


def _held(horizon: float, already: Sequence[Finding]) -> str:
    """Return why a command holds, and what is broken whether it comes or not."""
    if not already:
        return f"nothing is violated within {horizon:g} s"
    first, more = already[0], len(already) - 1
    others = f", {more} more" if more else ""
    return (
        f"nothing is violated within {horizon:g} s that is not violated without it too "
        f"({first.signal} after {first.time:.4g} s{others})"
    )


def _stopped(future: Future) -> str:
    """Return the place of a model that does not run any more, or nothing."""
    for system in future.engine.systems.values():
        for state in getattr(system, "health", list)():
            if state.stopped:
                return str(state.place)
    return ""


def _bound(limit: Limit) -> float:
    return limit.low if math.isfinite(limit.low) else limit.high


def _text(limit: Limit, value: float, bound: float, when: float) -> str:
    if limit.kind == "permissive":
        return f"the permissive {limit.signal} is no longer true after {when:.2f} s"
    unit = f" {limit.unit}" if limit.unit not in ("", "1") else ""
    side = "below" if bound == limit.low else "above"
    what = {
        "hard": "the hard limit",
        "soft": "the soft limit",
        "alarm": f"the limit of alarm {limit.text}:",
        "model": "what its model allows,",
    }[limit.kind]
    return (
        f"{limit.signal} comes to {value:.6g}{unit} after {when:.2f} s, {side} {what} "
        f"{bound:.6g}{unit}"
    )
