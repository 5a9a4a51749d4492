"""What `stagetwin policy` does, and shows."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._gap import measure_gap, read_trajectory
from stagetwin_sim.policies._gap_show import draw_gap, gap_markdown, gap_table
from stagetwin_sim.policies._keys import SigningKey, load_trusted
from stagetwin_sim.policies._spec import Novelty
from stagetwin_sim.policies._term import Term

__all__ = ["make_keys", "report_gap", "show_bundle", "sign_bundle", "verify_bundle"]


def make_keys(name: Path) -> None:
    """Write a pair of keys; never over others."""
    key = SigningKey.make()
    private, public = Path(f"{name}.key.pem"), Path(f"{name}.pub.pem")
    if public.exists():
        raise PolicyError(f"{public}: there is one already")
    key.save(private)
    key.public.save(public)
    Console().print(Text(f"{key.public.id}  {private} (keep it), {public}"), soft_wrap=True)


def sign_bundle(path: Path, key: Path, out: Path | None) -> None:
    """Sign a bundle that is whole."""
    signing = SigningKey.load(key)
    bundle = Bundle.read(path, unsigned=True)
    written = bundle.write(out or path, signing)
    words = f"signed {bundle.spec.name} {bundle.spec.version} by {signing.public.id}: {written}"
    Console().print(Text(words), soft_wrap=True)


def verify_bundle(path: Path, trust: Sequence[Path]) -> None:
    """Say who signed a bundle, if one who is trusted did."""
    bundle = Bundle.read(path, load_trusted(trust))
    spec = bundle.spec
    words = f"{spec.name} {spec.version}: whole, signed by {bundle.signer}, digest {bundle.digest}"
    Console().print(Text(words), soft_wrap=True)


def show_bundle(path: Path, trust: Sequence[Path], *, as_json: bool) -> None:
    """Show what a bundle says."""
    bundle = Bundle.read(path, load_trusted(trust), unsigned=True)
    spec = bundle.spec
    if as_json:
        content = json.loads(msgspec.json.encode(spec))
        about = {"digest": bundle.digest, "signer": bundle.signer, "trusted": bundle.trusted}
        sys.stdout.write(f"{json.dumps({**about, 'policy': content}, indent=2)}\n")
        return
    console = Console()
    signer = bundle.signer or "nobody"
    doubt = "not trusted" if trust else "held against no key (--trust)"
    trusted = "trusted" if bundle.trusted else doubt
    console.print(
        Text.assemble((f"{spec.name} {spec.version}", "bold"), f"  {spec.kind}, {spec.task}")
    )
    console.print(
        Text(
            f"signed by {signer}, {trusted}; digest {bundle.digest}",
            style="green" if bundle.trusted else "yellow",
        ),
        soft_wrap=True,
    )
    states = f", {len(spec.recurrent)} states" if spec.recurrent else ""
    console.print(
        f"{spec.rate:g} Hz, history {spec.history}{states}, opset {spec.model.opset}, "
        f"{len(bundle.model):,} bytes"
    )
    for title, rows in (
        (
            "sees",
            [(one.term, f"at most {one.max_age:g} s old") for one in spec.observations],
        ),
        (
            "says",
            [
                (
                    one.term,
                    f"stop {one.stop:g}"
                    + (f", {one.rate_limit:g}/s" if math.isfinite(one.rate_limit) else ""),
                )
                for one in spec.actions
            ],
        ),
    ):
        console.print(_terms(title, rows))
    fallback = spec.fallback
    held = f" for {fallback.hold_time:g} s, then stop" if fallback.action == "hold" else ""
    console.print(
        f"believed: {_novelty_text(spec.novelty)}; else {fallback.action}{held}", soft_wrap=True
    )
    source = spec.provenance
    console.print(
        Text(f"seed {source.seed}, {source.steps:,} steps, {source.simulation}", style="dim")
    )


def _novelty_text(novelty: Novelty) -> str:
    """Return what an observation must be like to be believed."""
    bounds: list[str] = []
    if novelty.mean and math.isfinite(novelty.threshold):
        bounds.append(f"Mahalanobis distance to what training saw at most {novelty.threshold:.3g}")
    if novelty.low:
        bounds.append("each number within the range that training saw")
    if not bounds:
        return "whatever it sees, no bound is declared"
    return f"{' and '.join(bounds)} ({novelty.samples:,} observations)"


def _terms(title: str, rows: Sequence[tuple[Term, str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (title, "unit", "frame", "numbers", "limits", ""):
        table.add_column(name)
    for term, more in rows:
        limits = f"[{term.low:g}, {term.high:g}]"
        table.add_row(term.name, term.unit, term.frame, str(term.size), Text(limits), more)
    return table


def report_gap(
    recorded: Path,
    predicted: Path | None,
    out: Path | None,
    *,
    label: str,
    time: str,
    as_json: bool,
) -> None:
    """Compare two trajectories, and write what was asked for."""
    if predicted is None:
        recorded, predicted = recorded / "recorded.csv", recorded / "predicted.csv"
    gap = measure_gap(
        read_trajectory(recorded, time), read_trajectory(predicted, time), label=label
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "gap.json").write_text(json.dumps(gap.to_json(), indent=1), encoding="utf-8")
        (out / "gap.md").write_text(gap_markdown(gap), encoding="utf-8")
        draw_gap(gap, out / "gap.png")
    if as_json:
        sys.stdout.write(f"{json.dumps(gap.to_json(), indent=2)}\n")
    else:
        Console().print(gap_table(gap))
