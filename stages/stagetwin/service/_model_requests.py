"""What a client may ask about models. Who asks comes from the connection, never from a field."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from stagetwin._errors import AccessError, ServiceError, WireRangeError, WireTypeError
from stagetwin.bindings import CommandBinding, is_below
from stagetwin.guards import write_atomically
from stagetwin.identifiers import uuid7
from stagetwin.people import Access, Right
from stagetwin.service._control import asking, peer_is_owner
from stagetwin.service._jobs import Jobs
from stagetwin.service._model_rows import ModelRows
from stagetwin.service._rehearser import SimulatedRehearser
from stagetwin.service._simulation import Simulation
from stagetwin.service._simulator import Progress
from stagetwin.twin import Twin
from stagetwin.values import plain, stage_value

__all__ = ["ModelRequests"]

Reply = dict[str, Any]

MAX_LISTED = 1000
_NAMED = 8
"""Models that an error names at most."""
MAX_HORIZON, MAX_BUDGET = 86_400.0, 60.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")
_FILES = frozenset({"file", "files", "layer", "layers", "path"})
"""Keys of a scenario that name files: the service's user may read what the one who asks may not."""


class ModelRequests:
    """Answers requests about models, on the service's event loop.

    Attributes:
        once: requests with one answer, by operation.
        streams: those that wait for a simulator, by operation.
        rehearser: rehearses commands.
    """

    def __init__(self, twin: Twin, access: Access, simulation: Simulation, folder: Path) -> None:
        self._twin, self._access, self._simulation = twin, access, simulation
        self._folder = folder
        self._rows = ModelRows(twin, simulation)
        self._jobs = Jobs()
        self.rehearser = SimulatedRehearser(twin, simulation)
        self.once: dict[str, Callable[[Reply], Reply]] = {
            "models": self._models,
            "model": self._model,
            "what_if": self._what_if,
            "job": lambda request: {"job": self._job(request).row()},
            "cancel_job": self._cancel_job,
        }
        self.streams: dict[str, Callable[[Reply], AsyncIterator[Reply]]] = {
            "present": self._present,
            "rehearse": self._rehearse,
        }

    def close(self) -> None:
        """Give up what runs."""
        self._jobs.close()

    # -- looking

    def _models(self, request: Reply) -> Reply:
        prim = str(request.get("prim", "/"))
        limit = request.get("limit", MAX_LISTED)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MAX_LISTED:
            raise ServiceError(f"limit must be a number in [1, {MAX_LISTED}], got {limit!r:.80}")
        roots = self._access.readable(asking())
        if not roots:
            raise AccessError(f"{asking().name or 'who asks'} may read nothing here")
        found = [
            model
            for model in self._simulation.plant.models
            if is_below(model.path, prim) and any(is_below(model.prim, root) for root in roots)
        ]
        rows = [self._rows.row(model, full=False) for model in found[:limit]]
        return {"models": rows, "total": len(found), "fault": self._simulation.fault}

    def _model(self, request: Reply) -> Reply:
        path = str(request.get("model", ""))
        for model in self._simulation.plant.models:
            if model.path == path and self._access.may(asking(), Right.READ, model.prim):
                return {"model": self._rows.row(model, full=True)}
        raise ServiceError(f"there is no model {path!r:.200}{self._beside(path)}")

    def _beside(self, path: str) -> str:
        """Return what models there are on the prim that somebody meant, for the end of a line."""
        prim = path.partition(".")[0]
        there = [
            model.path
            for model in self._simulation.plant.models
            if model.prim == prim and self._access.may(asking(), Right.READ, model.prim)
        ]
        return f"; there is {', '.join(there[:_NAMED])}" if there else ""

    # -- the present, and futures

    async def _present(self, request: Reply) -> AsyncIterator[Reply]:
        """Save the whole present to a file of the service's folder."""
        self._access.require(asking(), Right.ENGINEER, "/")
        name = request.get("name", "") or uuid7()
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ServiceError(f"name must be letters, digits, - _ and ., got {name!r:.80}")
        answer = await self._simulation.present()
        path = self._presents / f"{name}.present"
        await asyncio.to_thread(write_atomically, path, answer.data)
        yield {"path": str(path.resolve()), "bytes": len(answer.data), **answer.result}

    @property
    def _presents(self) -> Path:
        return self._folder / "presents"

    async def _rehearse(self, request: Reply) -> AsyncIterator[Reply]:
        """Rehearse a command without asking for it."""
        self._access.require(asking(), Right.READ, "/")  # evidence may be of any prim
        binding = self._command(request)
        roles = self._simulation.plant.assets[binding.asset].roles
        if not peer_is_owner():
            self._access.require(asking(), Right.COMMAND, binding.prim, roles)
        horizon = _number(request, "horizon", binding.rehearsal_horizon, MAX_HORIZON)
        budget = _number(request, "budget", binding.rehearsal_budget, MAX_BUDGET)
        if "value" not in request:
            raise ServiceError("value is missing: what would be commanded?")
        value = _setpoint(binding, request["value"])
        verdict = await self.rehearser.rehearse(binding, value, horizon, budget)
        yield {"rehearsal": verdict.body()}

    def _command(self, request: Reply) -> CommandBinding:
        target = request.get("target")
        for command in self._simulation.plant.commands:
            if command.path == target and command.asset in self._simulation.plant.assets:
                return command
        raise ServiceError(f"there is no command {target!r:.200}")

    def _what_if(self, request: Reply) -> Reply:
        """Begin futures: of the present, or of one that was saved."""
        self._access.require(asking(), Right.READ, "/")
        scenario = request.get("scenario")
        if not isinstance(scenario, dict):
            raise ServiceError(f"scenario must be an object, got {scenario!r:.80}")
        if not peer_is_owner() and (named := _named_file(scenario)):
            raise AccessError(f"a scenario that names files ({named}) is for the service's user")
        start = request.get("from", "")
        if not isinstance(start, str) or (start and not _NAME.fullmatch(start)):
            raise ServiceError(f"from must be the name of a saved present, got {start!r:.80}")
        given: Reply = {"scenario": scenario}
        if request.get("stage") is True:
            self._access.require(asking(), Right.ENGINEER, "/")
            folder = self._folder / "what-if"
            folder.mkdir(parents=True, exist_ok=True)
            given["stage"] = str((folder / f"{uuid7()}.usda").resolve())

        async def work(progress: Progress) -> Reply:
            if start:
                file = self._presents / f"{start}.present"
                try:
                    data = await asyncio.to_thread(file.read_bytes)
                except OSError as error:
                    raise ServiceError(f"no present {start!r} ({error.strerror})") from None
            else:
                data = (await self._simulation.present()).data
            answer = await self._simulation.future("what_if", given, data, progress=progress)
            return answer.result

        return {"job": self._jobs.begin("what_if", asking().name, work).row()}

    def _job(self, request: Reply) -> Any:
        return self._jobs.find(request.get("id"), asking().name)

    def _cancel_job(self, request: Reply) -> Reply:
        job = self._job(request)
        self._jobs.cancel(job)
        return {"job": job.row()}


def _setpoint(binding: CommandBinding, value: Any) -> Any:
    """Return the set-point that a value is, as plain data; a command's own checks come first."""
    limits = binding.limits
    try:
        given = stage_value(
            binding.type_name, value, limits.hard_min, limits.hard_max, binding.tokens
        )
    except WireTypeError as error:
        text = f"{binding.path}: {error}; a {binding.type_name} is allowed"
        raise ServiceError(text) from None
    except WireRangeError as error:
        allowed = "" if binding.tokens else f"; {limits} {binding.unit} is allowed"
        raise ServiceError(f"{binding.path}: {error}{allowed}") from None
    return plain(given)


def _number(request: Reply, name: str, default: float, most: float) -> float:
    value = request.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
        raise ServiceError(f"{name} must be a number in (0, {most:g}] s, got {value!r:.80}")
    if not math.isfinite(value):
        raise ServiceError(f"{name} must be finite")
    return float(value)


def _named_file(value: Any) -> str:
    """Return the first key anywhere in plain data that names a file; empty for none."""
    if isinstance(value, dict):
        for key, part in value.items():
            if found := str(key) if key in _FILES else _named_file(part):
                return found
    if isinstance(value, list):
        return next(filter(None, map(_named_file, value)), "")
    return ""
