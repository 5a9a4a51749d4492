"""What `stagetwin train` does, and shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from stagetwin_sim._errors import TrainingError
from stagetwin_sim._quiet import begin_quietly
from stagetwin_sim.environments import TASKS
from stagetwin_sim.training._checkpoint import Checkpoint
from stagetwin_sim.training._config import TrainingConfig
from stagetwin_sim.training._evaluate import Evaluation
from stagetwin_sim.training._report import write_report
from stagetwin_sim.training._statistics import Interval
from stagetwin_sim.training._train import Progress, train

__all__ = ["run_training"]

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def run_training(
    task: str,
    over: dict[str, Any],
    *,
    out: Path | None,
    resume: Path | None,
    file: Path | None,
    compare: bool,
) -> None:
    """Train, evaluate and write; see `stagetwin train --help`."""
    begin_quietly()
    said = Console(stderr=True)
    config = _config(task, over, resume, file)
    folder = out if out is not None else Path("runs") / f"{task}-{config.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}"),
    )
    try:
        with Bar(*columns, console=said, transient=True) as bar:
            shown = bar.add_task(f"training {task}", total=config.iterations, words="")

            def tell(now: Progress) -> None:
                bar.update(shown, completed=now.iteration, words=_words(now))
                every = max(1, config.iterations // 10)
                if not said.is_terminal and now.iteration % every == 0:
                    said.print(f"{now.iteration}/{now.iterations}  {_words(now)}")

            run = train(config, out=folder, resume=resume, progress=tell)
            bar.update(shown, words="")
            report = write_report(
                run,
                folder,
                compare=compare,
                tell=lambda words: bar.update(shown, description=words),
            )
    except KeyboardInterrupt:
        kept = sorted((folder / "checkpoints").glob("*.pt"))
        words = f"go on with --resume {kept[-1]}" if kept else "no checkpoint yet"
        said.print(Text(f"stopped; {words}", style="yellow"))
        raise typer.Exit(INTERRUPTED) from None
    console = Console()
    console.print(_table(report.evaluations))
    console.print(Text(f"wrote {folder}", style="dim"), soft_wrap=True)


def _config(
    task: str, over: dict[str, Any], resume: Path | None, file: Path | None
) -> TrainingConfig:
    if task not in TASKS:
        raise TrainingError(f"no task {task!r}; there are {', '.join(TASKS)}")
    if file is not None:
        return TrainingConfig.read(file, task=task, **over)
    if resume is not None:
        before = Checkpoint.read(resume).config
        if before.task != task:
            raise TrainingError(f"{resume}: it is of the task {before.task}, got {task}")
        return msgspec.convert({**msgspec.to_builtins(before), **over}, TrainingConfig)
    return TrainingConfig.of(task, **over)


def _words(now: Progress) -> str:
    left = f"{now.left / 60:.0f} min" if now.left >= 120 else f"{now.left:.0f} s"
    return (
        f"{now.rate:,.0f} steps/s  reward {now.reward:.2f}  success {100 * now.success:.0f} %  "
        f"{left} left"
    )


def _table(found: tuple[Evaluation, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    own = found[0].figure_titles
    for title in ("policy", "success", "by seed", "failure", "seconds", *own):
        table.add_column(title, justify="left" if title == "policy" else "right")
    for one in found:
        table.add_row(
            one.policy,
            _share(one.success),
            _share(one.success_by_seed),
            _share(one.failure),
            str(one.time) if one.time.value == one.time.value else "-",
            *(str(one.figure) for _ in own),
        )
    return table


def _share(interval: Interval) -> str:
    value, low, high = (100.0 * part for part in interval)
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"
