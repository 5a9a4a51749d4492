"""Models and rehearsals that read well and could never run."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from stagetwin.bindings import BindingTable, CommandBinding, Problem, Severity
from stagetwin.simulation import find_simulator, known_kinds

__all__ = ["doubtful_models"]


def doubtful_models(table: BindingTable) -> Iterator[Problem]:
    """Yield what is wrong with models and rehearsals beside what keeps them from being read."""
    kinds = known_kinds()
    for model in table.models:
        if model.kind not in kinds:
            near = difflib.get_close_matches(model.kind, kinds, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; installed: {', '.join(kinds)}"
            text = f"no model of kind {model.kind!r} is installed{hint}"
            yield Problem(model.prim, model.name, "model-unknown", text)
    if table.models and find_simulator() is None:
        text = "models are bound and no simulator is installed: install stagetwin[sim]"
        yield Problem("/", "", "no-simulator", text, Severity.WARNING)
    for command in table.commands:
        if command.rehearsal == "required":
            yield from _hopeless(command, table)


def _hopeless(command: CommandBinding, table: BindingTable) -> Iterator[Problem]:
    if not table.models:
        text = "asks for a rehearsal and the stage has no model, so it is always refused"
        yield _warning(command, "rehearsal-without-models", text)
    if command.rehearsal_budget >= command.expiry:
        text = (
            f"a rehearsal may take {command.rehearsal_budget:g} s, and a request lives for "
            f"{command.expiry:g} s: it may expire first"
        )
        yield _warning(command, "rehearsal-too-slow", text)


def _warning(command: CommandBinding, code: str, text: str) -> Problem:
    return Problem(command.prim, command.signal, code, text, Severity.WARNING)
