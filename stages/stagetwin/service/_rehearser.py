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


class SimulatedRehearser:
    """Rehearses; see `stagetwin.commands.Rehearser`. What cannot be said is inconclusive."""

    def __init__(self, twin: Twin, simulation: Simulation) -> None:
        self._twin, self._simulation = twin, simulation
        self._tasks: set[asyncio.Task[None]] = set()

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
            budget: how long it may take [s]; None is the command's own.
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
            return await self._rehearse(given, budget)
        except SimulatorError as error:
            over = error.code == "over-budget"
            text = f"over its budget of {budget:g} s" if over else str(error)
            return Verdict("inconclusive", text, {**asked, "fault": error.code})
        except Exception as error:
            # Whatever goes wrong, the command must not go on, nor wait for ever.
            _log.exception("the rehearsal of %s failed", binding.path)
            text = f"{type(error).__name__}: {error}"
            return Verdict("inconclusive", text, {**asked, "fault": "failed"})

    async def _rehearse(self, given: Row, budget: float) -> Verdict:
        loop, simulation = asyncio.get_running_loop(), self._simulation
        end = loop.time() + budget
        self._check_guards(simulation.beside)
        present = await simulation.present(budget=budget)
        left = end - loop.time()
        if left <= 0:
            raise SimulatorError("no time was left", "over-budget")
        answer = await simulation.future(
            "rehearse", {**given, "budget": left}, present.data, budget=left
        )
        self._check_guards(simulation.ahead)
        evidence = answer.result
        verdict = str(evidence.get("verdict", "inconclusive"))
        return Verdict(verdict, cause_of(verdict, evidence), evidence)

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
        if dict(twin.hashes) != simulator.table.guards or not twin.settled:
            text = "the simulator has read other guards than the service; it reads them anew"
            raise SimulatorError(text, "guards")


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
