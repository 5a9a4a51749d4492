"""`stagetwin whatif`: futures of a plant, compared."""

from __future__ import annotations

import json
import math
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stagetwin.bindings import Severity, read_bindings
from stagetwin.opening import open_stage
from stagetwin_sim._errors import CancelledError, ScenarioError
from stagetwin_sim._quiet import begin_quietly
from stagetwin_sim.futures import Comparison, Optimum, Present, compare, read_scenario
from stagetwin_sim.plant import read_plant

__all__ = ["WhatIf", "run_whatif"]

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """What was asked for; see `stagetwin whatif --help`."""

    stage: Path
    scenario: Path
    present: Path | None = None
    out: Path | None = None
    stages: int = 4
    device: str = "cpu"
    sidecars: tuple[Path, ...] = ()
    allow_missing: bool = False
    as_json: bool = False


def run_whatif(asked: WhatIf) -> None:
    """Run the futures, print the comparison, and write what was asked for."""
    begin_quietly()  # Warp's greeting would stand before the JSON
    said = Console(stderr=True)
    scenario = read_scenario(asked.scenario)
    stage = open_stage(asked.stage, asked.sidecars)
    plant = read_plant(stage, read_bindings(stage))
    for problem in plant.problems:
        style = "red" if problem.severity is Severity.ERROR else "yellow"
        said.print(Text(str(problem), style=style))
    if not plant.instances:
        raise ScenarioError(f"{asked.stage}: no model runs on this stage")
    present = Present.load(asked.present, plant) if asked.present is not None else Present.of(plant)
    try:
        with _progress(said) as tell, _interruptible() as stopped:
            found = compare(
                present,
                scenario,
                folder=asked.scenario.parent,
                progress=tell,
                cancelled=stopped,
                device=asked.device,
                allow_missing=asked.allow_missing,
            )
            files = _write(found, asked) if asked.out is not None else []
    except CancelledError as error:
        said.print(Text(str(error), style="yellow"))
        raise typer.Exit(INTERRUPTED) from None
    if asked.as_json:
        print(json.dumps(found.to_json(), indent=2))  # noqa: T201 - what it is asked for
    else:
        _show(found, files)
    if found.without and not asked.allow_missing:
        raise typer.Exit(1)


def _show(found: Comparison, files: list[Path]) -> None:
    console = Console()
    rows = len(found.rows)
    console.print(
        Text.assemble(
            (found.scenario.name, "bold"),
            (
                f"  {rows} future{'s' if rows > 1 else ''} of {found.scenario.horizon:g} s in "
                f"{found.spent:.2f} s, {found.speed:,.0f} times faster than the clock",
                "dim",
            ),
        )
    )
    console.print(found.table())
    if found.optimum is not None:
        console.print()
        console.print(_optimum(found.optimum))
    if found.without:
        console.print(Text(f"without {', '.join(found.without)}", style="yellow"), soft_wrap=True)
    for file in files:
        console.print(Text(f"wrote {file}", style="dim"))


def _optimum(best: Optimum) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"best of {best.tried} ({best.method})")
    table.add_column("now", justify="right")
    table.add_column("best", justify="right")
    for name, value in best.settings.items():
        table.add_row(name.rpartition("/")[2], _number(best.present[name]), _number(value))
    table.add_row(best.goal, _number(best.present_value), f"[green]{_number(best.value)}[/]")
    for name, value in best.constraints.items():
        table.add_row(name, _number(best.present_constraints[name]), _number(value))
    if not best.feasible:
        table.add_row("[red]no set-point that was tried keeps the constraints[/]")
    return table


def _number(value: float) -> str:
    """Return a number, a dash where nobody knows it."""
    return f"{value:.6g}" if math.isfinite(value) else "-"


def _write(found: Comparison, asked: WhatIf) -> list[Path]:
    assert asked.out is not None
    asked.out.mkdir(parents=True, exist_ok=True)
    files = [asked.out / "result.json"]
    files[0].write_text(json.dumps(found.to_json(traces=True), indent=1), encoding="utf-8")
    if found.traces.names:
        files.append(asked.out / "plot.png")
        found.plot(files[-1])
    futures = {future.name: future for future in found.scenario.future}
    for row in found.rows[: asked.stages]:
        future = futures.get(row.name)
        if future is not None and future.layout is not None:
            continue  # its plant is another stage than the one that this would stand on
        files.append(asked.out / f"{_file_name(row.name)}.usda")
        found.write_stage(files[-1], row.name)
    return files


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "future"


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[float], None]]:
    columns = (
        TextColumn("futures"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    shown = not console.is_terminal
    with Progress(*columns, console=console, disable=shown, transient=True) as progress:
        task = progress.add_task("futures", total=1.0)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Yield whether Ctrl-C was pressed; the engine ends between two frames, not within one."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped.is_set
    finally:
        signal.signal(signal.SIGINT, before)
