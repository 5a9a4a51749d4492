"""What a training writes about itself."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stagetwin_sim.policies import Bundle, Provenance
from stagetwin_sim.training._baselines import baselines
from stagetwin_sim.training._evaluate import Evaluation, evaluate
from stagetwin_sim.training._export import export_bundle, versions
from stagetwin_sim.training._pictures import draw_curves, draw_stills
from stagetwin_sim.training._statistics import Interval
from stagetwin_sim.training._train import Run

__all__ = ["Report", "make_bundle", "write_report"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written.

    Attributes:
        evaluations: the trained policy's first, then the baselines'.
        folder: with the files.
        bundle: not yet signed.
    """

    evaluations: tuple[Evaluation, ...]
    folder: Path
    bundle: Bundle


def make_bundle(run: Run, report: bytes = b"", **fields: Any) -> Bundle:
    """Return a run's policy as a bundle, with where it comes from; not yet signed.

    Args:
        run: of a training.
        report: of it, as JSON.
        fields: see export_bundle.
    """
    provenance = Provenance(
        seed=run.config.seed,
        versions=versions(),
        config=run.config.digest,
        report=hashlib.sha256(report).hexdigest() if report else "",
        steps=run.steps,
        simulation=f"warp: {run.config.task}",
    )
    return export_bundle(
        run.policy.actor,
        run.environment_config,
        observations=run.observations.cpu().numpy(),
        provenance=provenance,
        report=report,
        **fields,
    )


def write_report(
    run: Run,
    folder: str | os.PathLike[str],
    *,
    compare: bool = True,
    tell: Callable[[str], None] | None = None,
) -> Report:
    """Evaluate a run and write its folder.

    Args:
        run: of a training.
        folder: for the files.
        compare: whether the baselines are evaluated as well.
        tell: told what is done.
    """
    target, say = Path(folder), tell or (lambda _: None)
    target.mkdir(parents=True, exist_ok=True)
    config = run.config
    (target / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    _write_curves(run.curves, target / "curves.csv")
    draw_curves(run.curves, target / "curves.png")
    seeds = range(config.evaluation_seeds)
    found = []
    for policy in (run.policy, *(baselines(config.task) if compare else ())):
        say(f"evaluating {policy.name}")
        found.append(
            evaluate(
                policy,
                config.task,
                seeds,
                episodes=config.episodes,
                config=run.environment_config,
                device=config.device,
            )
        )
    say("drawing")
    stills = draw_stills(run.policy, run.environment_config, target / "stills")
    content = {
        "task": config.task,
        "configuration": msgspec.to_builtins(config),
        "digest": config.digest,
        "versions": versions(),
        "seed": config.seed,
        "steps": run.steps,
        "seconds": run.seconds,
        "iterations": len(run.curves["steps"]),
        "evaluations": [one.to_json() for one in found],
        "note": "Trained and evaluated in simulation.",
    }
    text = json.dumps(_known(content), indent=1, sort_keys=True).encode() + b"\n"
    (target / "report.json").write_bytes(text)
    say("exporting")
    bundle = make_bundle(run, text)
    bundle.write(target / "policy.bundle")
    names = [file.relative_to(target).as_posix() for file in stills]
    (target / "report.md").write_text(_markdown(run, found, names, bundle), encoding="utf-8")
    return Report(evaluations=tuple(found), folder=target, bundle=bundle)


def _write_curves(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(curves)
        writer.writerows(zip(*curves.values(), strict=True))


def _known(content: Any) -> Any:
    """Return content with null for a number that is not finite: JSON has no word for it."""
    if isinstance(content, dict):
        return {name: _known(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_known(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _markdown(run: Run, found: Sequence[Evaluation], stills: Sequence[str], bundle: Bundle) -> str:
    config, first = run.config, found[0]
    own = first.figure_titles
    lines = [
        f"# {config.task}: a training",
        "",
        f"{run.steps:,} environment steps in {run.seconds:.0f} s ({config.worlds} worlds, seed "
        f"{config.seed}, {config.device}). All figures are of a simulation.",
        "",
        f"## Evaluation: {len(first.seeds)} seeds, {first.succeeded.shape[1]} episodes each",
        "",
        "| "
        + " | ".join(("policy", "success", "by seed", "failure", "seconds to success", *own))
        + " | reward |",
        "|---" * (6 + len(own)) + "|",
        *[
            f"| {one.policy} | {_share(one.success)} | {_share(one.success_by_seed)} "
            f"| {_share(one.failure)} | {_number(one.time)} "
            + "".join(f"| {_number(one.figure)} " for _ in own)
            + f"| {_number(one.reward)} |"
            for one in found
        ],
        "",
        "Intervals of 95 %: success and failure by Wilson over all episodes; the others by "
        "bootstrap over seeds. Failure is an episode that ended neither in success nor by time: in "
        "navigation, a collision. Seconds count the episodes that succeeded."
        + (f" {own[0]}: over the time an episode may last, however it ended." if own else ""),
        "",
        "## Curves",
        "",
        "![curves](curves.png)",
        "",
    ]
    if stills:
        lines += ["## Rollouts", "", *[f"![{name}]({name})" for name in stills], ""]
    lines += [
        "## Made by",
        "",
        "| | |",
        "|---|---|",
        *[f"| {name} | {version} |" for name, version in versions().items()],
        f"| configuration (SHA-256) | {config.digest} |",
        f"| bundle (SHA-256 of the manifest) | {bundle.digest} |",
        "",
        "```toml",
        config.to_toml().rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _share(interval: Interval) -> str:
    value, low, high = (100.0 * part for part in interval)
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]" if math.isfinite(value) else "-"


def _number(interval: Interval) -> str:
    value, low, high = interval
    return f"{value:.2f} [{low:.2f}, {high:.2f}]" if math.isfinite(value) else "-"
