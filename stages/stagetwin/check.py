"""Checking a stage before it runs: every bad binding, and claims that nothing backs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pxr import Usd, UsdGeom

from stagetwin._check_commands import doubtful_commands
from stagetwin._check_installed import checked_by_others
from stagetwin._check_models import doubtful_models
from stagetwin._misspelt import misspelt
from stagetwin._schema import is_registered
from stagetwin.bindings import BindingTable, Problem, Severity, read_bindings
from stagetwin.opening import open_stage

__all__ = ["Report", "check_stage", "lint"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        stage: path of the root layer.
        signals, commands, connections, assets, models: how many run.
        problems: sorted by prim.
    """

    stage: str
    signals: int
    commands: int
    connections: int
    assets: int
    problems: tuple[Problem, ...]
    models: int = 0

    @property
    def errors(self) -> int:
        """Number of problems that keep something from running."""
        return sum(p.severity is Severity.ERROR for p in self.problems)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values; the layout is stable."""
        data = asdict(self)
        data["problems"] = [{**asdict(p), "severity": str(p.severity)} for p in self.problems]
        data["errors"] = self.errors
        data["warnings"] = len(self.problems) - self.errors
        return data


def check_stage(
    path: str | Path,
    sidecars: Sequence[str | Path] = (),
    endpoints: Mapping[str, str] | None = None,
) -> Report:
    """Open a stage and check it.

    Raises:
        StageError: the stage cannot be opened.
        ConnectionConfigError: an endpoint is given for a connection that is not there.
    """
    stage = open_stage(path, sidecars, endpoints)
    table = read_bindings(stage)
    found = [*table.problems, *lint(stage, table)]
    found += checked_by_others(stage, table, found)
    wrong = {(p.prim, p.signal) for p in found if p.severity is Severity.ERROR}
    return Report(
        stage=str(path),
        signals=len(table.telemetry),
        commands=len(table.commands),
        connections=len({binding.connection for binding in table.telemetry.values()}),
        assets=len(table.assets),
        problems=tuple(sorted(found)),
        models=sum((model.prim, model.name) not in wrong for model in table.models),
    )


def lint(stage: Usd.Stage, table: BindingTable) -> list[Problem]:
    """Return what reads well and is wrong all the same."""
    return [
        *_schema_problems(),
        *_composition_problems(stage),
        *_duplicate_ids(table),
        *_unbacked_twins(table),
        *doubtful_commands(table),
        *doubtful_models(table),
        *_hidden_values(stage, table),
        *_doubtful_units(stage, table),
        *misspelt(stage),
        *_nothing_live(table),
    ]


def _schema_problems() -> list[Problem]:
    if is_registered():
        return []
    return [
        Problem(
            "/",
            "",
            "schema-late",
            "the schema was registered after USD had built its registry, defaults are missing; "
            "import stagetwin before opening a stage, or put its schema folder on "
            "PXR_PLUGINPATH_NAME",
            Severity.WARNING,
        )
    ]


def _composition_problems(stage: Usd.Stage) -> list[Problem]:
    # Newer than the stubs.
    errors = stage.GetCompositionErrors()  # type: ignore[attr-defined]
    return [Problem(str(e.rootSite.path), "", "composition", str(e).strip()) for e in errors]


def _duplicate_ids(table: BindingTable) -> list[Problem]:
    counts = Counter(asset.id for asset in table.assets.values() if asset.id)
    return [
        Problem(
            asset.prim,
            "",
            "duplicate-id",
            f"twin:id {asset.id!r} is also on "
            + ", ".join(o.prim for o in table.assets.values() if o.id == asset.id and o != asset),
        )
        for asset in table.assets.values()
        if counts[asset.id] > 1
    ]


def _unbacked_twins(table: BindingTable) -> list[Problem]:
    live = {binding.asset for binding in table.telemetry.values()}
    return [
        Problem(
            asset.prim,
            "",
            "twin-without-live-binding",
            "claims to be a twin and has no live binding; bind a signal or author twin:level model",
            Severity.WARNING,
        )
        for asset in table.assets.values()
        if asset.level == "twin" and asset.prim not in live
    ]


def _hidden_values(stage: Usd.Stage, table: BindingTable) -> list[Problem]:
    """Time samples and session opinions are stronger than the live layer and would hide it."""
    session = stage.GetSessionLayer()
    problems: list[Problem] = []
    for binding in table.telemetry.values():
        spec = session.GetAttributeAtPath(binding.target)
        if spec is not None and spec.HasDefaultValue():
            problems.append(
                Problem(
                    binding.prim,
                    binding.signal,
                    "hidden",
                    f"the session layer's own opinion on {binding.target} hides the live value",
                    Severity.WARNING,
                )
            )
    return problems


_LENGTHS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0}
_SAME_LETTER = {"C": "coulomb; a temperature is Cel", "F": "farad; a temperature is [degF]"}


def _doubtful_units(stage: Usd.Stage, table: BindingTable) -> list[Problem]:
    """Transforms take degrees and the stage's length unit, and convert nothing."""
    metres = UsdGeom.GetStageMetersPerUnit(stage)
    problems: list[Problem] = []
    for b in table.telemetry.values():
        op = b.target.rpartition(".")[2]
        length = _LENGTHS.get(b.unit)
        doubt = ""
        if op.startswith("xformOp:rotate") and b.unit != "deg":
            doubt = (
                f"{op} turns in degrees and the unit is {b.unit!r}: author unit deg, "
                "and scale = 57.29578 if the device sends radians"
            )
        elif op.startswith("xformOp:translate") and length and length != metres:
            doubt = (
                f"{op} moves in the stage's unit of {metres:g} m and the unit is {b.unit!r}: "
                f"author scale = {length / metres:g} and the stage's unit"
            )
        elif b.unit in _SAME_LETTER:
            doubt = f"unit {b.unit!r} is the {_SAME_LETTER[b.unit]}"
        if doubt:
            problems.append(Problem(b.prim, b.signal, "doubtful-unit", doubt, Severity.WARNING))
    return problems


def _nothing_live(table: BindingTable) -> list[Problem]:
    if table.telemetry:
        return []
    message = "no signal is bound: apply TwinTelemetryAPI:<signal> to a prim, or add a sidecar"
    return [Problem("/", "", "nothing-live", message, Severity.WARNING)]
