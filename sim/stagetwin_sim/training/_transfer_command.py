"""What `stagetwin policy transfer` does, and shows."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stagetwin_sim._quiet import begin_quietly
from stagetwin_sim.policies import draw_gap, gap_markdown
from stagetwin_sim.training._statistics import Interval
from stagetwin_sim.training._transfer import Transfer, transfer

__all__ = ["run_transfer", "write_transfer"]


def run_transfer(
    out: Path, iterations: int, worlds: int, seeds: int, vehicles: int, episodes: int, hidden: int
) -> None:
    """Run the ablation, print it, and write its folder."""
    begin_quietly()
    said = Console(stderr=True)
    with said.status("training") as status:
        found = transfer(
            iterations=iterations,
            worlds=worlds,
            trainings=seeds,
            vehicles=vehicles,
            drives=episodes,
            hidden=hidden,
            tell=lambda words: status.update(words),
        )
    write_transfer(found, out)
    console = Console()
    console.print(_table(found))
    console.print(Text(f"wrote {out}", style="dim"), soft_wrap=True)


def write_transfer(found: Transfer, folder: Path) -> None:
    """Write transfer.json, transfer.md and a picture for each variant."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "transfer.json").write_text(json.dumps(found.to_json(), indent=1), encoding="utf-8")
    lines = [
        "# Transfer",
        "",
        f"{found.label}. It says nothing about a real vehicle. {found.trainings} trainings of each "
        f"variant; with each, {found.drives} drives of each of {len(found.hidden)} vehicles; "
        "intervals of 95 %.",
        "",
        "| randomised in training | arrived (Wilson) | by vehicle (bootstrap) | seconds |",
        "|---|---|---|---|",
    ]
    for name in found.success:
        cells = (found.success[name], found.by_vehicle[name])
        lines.append(
            f"| {name} | {' | '.join(map(_share, cells))} | {_number(found.seconds[name])} |"
        )
    hidden = [dataclasses.asdict(one) for one in found.hidden]
    each = [f"vehicle {i}" for i in range(1, len(hidden) + 1)]
    lines += ["", "Arrived with each training, by vehicle:", ""]
    lines += [f"| | {' | '.join(each)} |", "|---" * (len(each) + 1) + "|"]
    for name, shares in found.shares.items():
        by_seed = [" ".join(f"{100.0 * share:.0f}" for share in column) for column in shares.T]
        lines.append(f"| {name} [%] | {' | '.join(by_seed)} |")
    lines += [f"| {k} | {' | '.join(f'{one[k]:.3g}' for one in hidden)} |" for k in hidden[0]]
    for name, gap in found.gaps.items():
        draw_gap(gap, folder / f"gap-{name}.png")
        lines += ["", f"## Gap of the first drive, {name}", "", gap_markdown(gap)]
        lines += [f"![{name}](gap-{name}.png)"]
    (folder / "transfer.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(found: Transfer) -> Table:
    table = Table(
        title=found.label, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    table.add_column("randomised")
    for title in ("arrived", "by vehicle", "seconds"):
        table.add_column(title, justify="right")
    for name in found.success:
        cells = (found.success[name], found.by_vehicle[name])
        table.add_row(name, *map(_share, cells), _number(found.seconds[name]))
    return table


def _share(interval: Interval) -> str:
    value, low, high = (100.0 * part for part in interval)
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _number(interval: Interval) -> str:
    value, low, high = interval
    return f"{value:.1f} [{low:.1f}, {high:.1f}]" if math.isfinite(value) else "-"
