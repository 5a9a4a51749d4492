"""Rehearsals by simulators: the present of the one beside, run on by the one ahead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from stagetwin._errors import SimulatorError
from stagetwin.bindings import CommandBinding
from stagetwin.commands import Command, Verdict
from stagetwin.service._simulation import Simulation
from stagetwin.service._simulator import Simulator
from stagetwin.twin import Twin

__all__ = ["SimulatedRehearser"]

_log = logging.getLogger(__name__)

Row = dict[str, Any]

OLDEST = 5.0
"""How far the present of the models may be from now [s on the wall]."""

LEFT = 1.0
"""Part of a request's life that a start leaves for what follows the rehearsal [s]."""

_WHOLE = 1 - 1e-3
"""Share of a horizon that counts as all of it: frames do not divide each."""


class SimulatedRehearser:
    """Rehearses; see `stagetwin.commands.Rehearser`. What cannot be said is inconclusive."""

    def __init__(self, twin: Twin, simulation: Simulation) -> None:
        self._twin, self._simulation = twin, simulation
        self._tasks: set[asyncio.Task[None]] = set()
        self._warm: Simulator | None = None

    def begin(
        self,
        command: Command,
        binding: CommandBinding,
        value: Any,
        done: Callable[[Verdict], None],
    ) -> Callable[[], None]:
        """See Rehearser."""

        async def work() -> None:
            verdict = await self.rehearse(binding, value)
            _log.info("rehearsal of %s: %s %s", command.id, verdict.verdict, verdict.cause)
            done(verdict)

        task = asyncio.get_running_loop().create_task(work(), name=f"rehearsal {command.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return lambda: None if task.done() else _give_up(task)

    async def rehearse(
        self,
        binding: CommandBinding,
        value: Any,
        horizon: float | None = None,
        budget: float | None = None,
    ) -> Verdict:
        """Rehearse a command.

        Args:
            binding: as the guards' stage has it.
            value: the setpoint, plain data.
            horizon: how far ahead to look [s]; None is the command's own.
            budget: how long it may take [s], once the process ahead has started; None is the
                command's own.
        """
        horizon = binding.rehearsal_horizon if horizon is None else horizon
        budget = binding.rehearsal_budget if budget is None else budget
        given = {
            "command": binding.path,
            "property": binding.target,
            "value": value,
            "horizon": horizon,
        }
        asked: Row = {**given, "budget": budget}
        try:
            # A start is no part of the budget, and must not outlast the request either.
            self._check_guards(self._simulation.beside)
            await self._simulation.process("ahead").ready(binding.expiry - budget - LEFT)
            return await self._rehearse(given, budget)
        except SimulatorError as error:
            over = error.code == "over-budget"
            text = self._over(budget) if over else str(error)
            return Verdict("inconclusive", text, {**asked, "fault": error.code})
        except Exception as error:
            # Whatever goes wrong, the command must not go on, nor wait for ever.
            _log.exception("the rehearsal of %s failed", binding.path)
            text = f"{type(error).__name__}: {error}"
            return Verdict("inconclusive", text, {**asked, "fault": "failed"})

    def _over(self, budget: float) -> str:
        """Return why a budget was not enough, and what to do about it."""
        text = f"over its budget of {budget:g} s"
        if self._warm is None or self._warm is not self._simulation.ahead:
            text += ": the models had just started, and kernels were being loaded; try again soon"
            return f"{text}, or give it more (--budget, rehearsalBudget)"
        return f"{text}; give it more (--budget, rehearsalBudget)"

    async def _rehearse(self, given: Row, budget: float) -> Verdict:
        loop, simulation = asyncio.get_running_loop(), self._simulation
        end = loop.time() + budget
        version, guards = simulation.version, dict(self._twin.hashes)
        self._check_guards(simulation.beside)
        present = await simulation.present(budget=budget)
        if not present.data:
            why = present.result.get("unforkable") or "the present came without its state"
            raise SimulatorError(str(why), "unforkable")
        self._check_age(present.result.get("time"))
        left = end - loop.time()
        if left <= 0:
            raise SimulatorError("no time was left", "over-budget")
        answer = await simulation.future(
            "rehearse", {**given, "budget": left}, present.data, budget=left
        )
        self._warm = simulation.ahead
        for simulator in (simulation.beside, simulation.ahead):
            self._check_guards(simulator)
        if (version, guards) != (simulation.version, dict(self._twin.hashes)):
            raise SimulatorError("the plant's files changed meanwhile", "guards")
        evidence = answer.result
        verdict = str(evidence.get("verdict", "inconclusive"))
        plan = present.result.get("revision")
        if verdict == "held" and (doubt := doubt_of(evidence, {**given, "plan": plan})):
            return Verdict("inconclusive", doubt, {**evidence, "verdict": "inconclusive"})
        return Verdict(verdict, cause_of(verdict, evidence), evidence)

    def _check_age(self, time: object) -> None:
        """Raise SimulatorError unless a present is of now."""
        now, most = self._twin.clock.wall(), OLDEST * max(1.0, self._twin.clock.rate)
        if not _is_number(time) or not abs(now - float(str(time))) <= most:
            behind = f"{now - float(str(time)):.3g} s off" if _is_number(time) else "of no time"
            raise SimulatorError(f"the models' present is {behind}: they do not keep up", "late")

    def _check_guards(self, simulator: Simulator | None) -> None:
        """Raise SimulatorError unless a simulator believes the approved guards and no others."""
        twin, plant = self._twin, self._simulation.plant
        if simulator is None or simulator.table is None:
            if self._simulation.fault:
                raise SimulatorError(self._simulation.fault, "gone")
            cause = simulator.cause if simulator is not None else ""
            raise SimulatorError(cause or "the simulator is starting", "gone")
        for model in plant.models:
            if model.asset in twin.demoted:
                text = f"the models of {model.asset} do not count: {twin.demoted[model.asset]}"
                raise SimulatorError(text, "guards")
        if simulator.table.version != self._simulation.version:
            text = "the simulator has not read the plant's files as they are now"
            raise SimulatorError(text, "guards")
        if dict(twin.hashes) != simulator.table.guards or not twin.settled:
            text = "the simulator has read other guards than the service; it reads them anew"
            raise SimulatorError(text, "guards")


def doubt_of(evidence: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Return why evidence does not bear out that a command holds; empty where it does.

    What evidence does not say of command, value, horizon and plan counts against it: nobody would
    know of which question it is the answer.

    Args:
        evidence: what a simulator says that its word rests on.
        given: what it was asked: `command`, `value`, `horizon` [s], and the `plan` of the present.
    """
    simulated, value = evidence.get("simulated"), evidence.get("value")
    if evidence.get("violations"):
        return "its evidence names what is violated"
    if evidence.get("command") != given["command"]:
        return f"its evidence is of another command, {evidence.get('command')!r:.80}"
    # A simulator knows numbers alone: a boolean comes back as 0 or 1.
    if not isinstance(value, (bool, int, float)) or value != given["value"]:
        return f"its evidence is of another value, {value!r:.80}"
    if not _is_number(simulated) or not float(str(simulated)) >= given["horizon"] * _WHOLE:
        return f"its evidence does not show {given['horizon']:g} s, got {simulated!r:.40}"
    present = evidence.get("present")
    plan = present.get("plan") if isinstance(present, Mapping) else None
    if not plan or plan != given["plan"]:
        return f"its evidence is of another plan than the present, {plan!r:.80}"
    return ""


def cause_of(verdict: str, evidence: Mapping[str, Any]) -> str:
    """Return why, in words that name the prim, the value, the allowed range and the time."""
    violations = evidence.get("violations")
    if verdict == "violated" and isinstance(violations, list) and violations:
        first = violations[0]
        if isinstance(first, dict):
            return _violation(first) + (
                f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
            )
    cause = evidence.get("cause")
    return cause if isinstance(cause, str) else ""


def _violation(first: Mapping[str, Any]) -> str:
    message = str(first.get("message") or "")
    if message and str(first.get("prim", "?")) in message:
        return message  # it says where, what, what is allowed, and when
    name = str(first.get("signal") or "")
    place = name if name.startswith("/") else f"{first.get('prim', '?')}{'.' if name else ''}{name}"
    unit = str(first.get("unit") or "")
    words = [f"{first.get('kind', 'limit')} at {place}"]
    if _is_number(first.get("value")):
        words.append(f"{first['value']:.6g} {unit}".rstrip())
    limit = first.get("limit")
    if limit is not None:
        text = f"{limit:.6g}" if _is_number(limit) else str(limit)
        words.append(f"{text} {unit} is allowed".replace("  ", " "))
    if message:
        words.append(message)
    if _is_number(first.get("time")):
        words.append(f"{first['time']:.3g} s from now")
    return ", ".join(words)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _give_up(task: asyncio.Task[None]) -> None:
    task.cancel()
