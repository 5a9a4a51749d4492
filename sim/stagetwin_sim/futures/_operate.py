"""Operations on futures as a simulation process is asked for them: plain data in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.futures._bounds import Bounds
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._comparison import Comparison
from stagetwin_sim.futures._forecast import Setting
from stagetwin_sim.futures._future import fork
from stagetwin_sim.futures._optimum import optimise
from stagetwin_sim.futures._present import Present
from stagetwin_sim.futures._rehearse import BUDGET, HORIZON, rehearse
from stagetwin_sim.futures._run import run_scenario
from stagetwin_sim.futures._scenario import Scenario
from stagetwin_sim.plant import PlantModel

__all__ = ["OPERATIONS", "compare", "operate", "warm"]

OPERATIONS = ("rehearse", "what_if")

Progress = Callable[[float], None]
Cancelled = Callable[[], bool]


def operate(
    plant: PlantModel,
    operation: str,
    arguments: Mapping[str, Any],
    present: Present | bytes | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Run one operation.

    Args:
        plant: the models of the stage.
        operation: one of OPERATIONS.
        arguments: of it; docs/whatif.md tells them.
        present: where it starts, also as bytes; None is the models' first state.
        progress: told how much is done, 0 to 1.
        cancelled: asked whether nobody waits for it any more.
        device: Warp's name of it.

    Raises:
        ScenarioError: the operation or its arguments are unknown or out of range.
        SnapshotError: the present is of another plant.
        CancelledError: nobody waits for it any more.
    """
    start = Present.from_bytes(present, plant) if isinstance(present, bytes) else present
    if start is None:
        start = Present.of(plant)
    if operation == "rehearse":
        return _rehearse(start, arguments, cancelled, device)
    if operation == "what_if":
        return _what_if(start, arguments, progress, cancelled, device)
    raise ScenarioError(f"no operation {operation!r}; there are {', '.join(OPERATIONS)}")


def _rehearse(
    present: Present, arguments: Mapping[str, Any], cancelled: Cancelled | None, device: str
) -> dict[str, Any]:
    command, value = arguments.get("command"), arguments.get("value")
    if not isinstance(command, str) or not isinstance(value, (bool, int, float)):
        raise ScenarioError(
            f"rehearse takes a command and a number or boolean, got {command!r} and {value!r}"
        )
    horizon, budget = arguments.get("horizon"), arguments.get("budget")
    verdict = rehearse(
        present,
        command,
        float(value),
        # A horizon of nothing is no horizon, and not the usual one.
        HORIZON if horizon is None else float(horizon),
        BUDGET if budget is None else float(budget),
        cancelled=cancelled,
        device=device,
    )
    return verdict.to_json()


def _what_if(
    present: Present,
    arguments: Mapping[str, Any],
    progress: Progress | None,
    cancelled: Cancelled | None,
    device: str,
) -> dict[str, Any]:
    given = arguments.get("scenario")
    if not isinstance(given, Mapping):
        raise ScenarioError("what_if takes a scenario, as its file has it")
    stage = arguments.get("stage")
    if stage is not None and (not isinstance(stage, str) or not stage):
        raise ScenarioError(f"stage is the path of a what-if stage, got {stage!r:.80}")
    scenario = Scenario.of(dict(given))
    # Whoever asks over a wire reads no file that does not lie beside the plant.
    folder = Path(present.plant.root).parent
    found = compare(
        present,
        scenario,
        folder=folder,
        confined=True,
        progress=progress,
        cancelled=cancelled,
        device=device,
        bounds=Bounds.of_wire(),
        allow_missing=arguments.get("allow_missing") is True,
    )
    said = found.to_json(traces=bool(arguments.get("traces", True)))
    if stage is not None:
        row = found.first_of_this_layout()
        found.write_stage(Path(stage), row.name, cancelled)
        said["stage"] = {"path": stage, "future": row.name}
    return said


def compare(
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
    """Run the futures of a scenario, and seek the set-points that it asks for.

    See run_scenario for arguments and errors.
    """
    allowed = bounds or Bounds()  # of both together
    share = 0.5 if scenario.optimise is not None else 1.0

    def first(done: float) -> None:
        if progress is not None:
            progress(done * share)

    def second(done: float) -> None:
        if progress is not None:
            progress(share + done * (1 - share))

    found = run_scenario(
        present,
        scenario,
        folder=folder,
        confined=confined,
        progress=first,
        cancelled=cancelled,
        device=device,
        bounds=allowed,
        allow_missing=allow_missing,
    )
    if scenario.optimise is None:
        return found
    best = optimise(
        present,
        scenario,
        folder=folder,
        confined=confined,
        progress=second,
        cancelled=cancelled,
        device=device,
        bounds=allowed,
    )
    return replace(found, optimum=best)


def warm(plant: PlantModel, device: str = "cpu") -> None:
    """Load, and compile where need be, all that a rehearsal runs, before a budget does."""
    present = Present.of(plant)
    commands = [c.target for c in plant.table.commands if c.target in plant.setpoints][:1]
    branches = [Branch(settings=tuple(Setting(path, 0.0) for path in commands)), Branch()]
    future = fork(present, branches, limited=True, device=device)
    future.step(max(1, round(1.0 / plant.plan.frame)))
