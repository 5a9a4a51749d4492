"""Which models a device needs: those of its machines, and all that is coupled to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from pxr import Sdf

from stagetwin.bindings import BindingTable, ModelBinding

__all__ = ["models_for"]

_MODEL = "twin:model:"


def models_for(table: BindingTable, assets: Collection[str]) -> list[ModelBinding]:
    """Return the models that what some assets show depends on, in the order of the table.

    Models are coupled that share a prim, or of which one names the other's prim, or reads a signal
    that the other writes; and so on from these.

    Args:
        table: bindings of the whole stage.
        assets: prim paths.
    """
    written = {path for model in table.models for path in _writes(model)}
    own = {b.target for b in table.telemetry.values() if b.asset in assets}
    marks = [set(_marks(model, written)) for model in table.models]
    at: defaultdict[str, list[int]] = defaultdict(list)
    for i, each in enumerate(marks):
        for mark in each:
            at[mark].append(i)
    wanted = [
        i
        for i, model in enumerate(table.models)
        if model.asset in assets or own.intersection(_writes(model))
    ]
    found: set[int] = set()
    while wanted:
        i = wanted.pop()
        if i not in found:
            found.add(i)
            wanted += [j for mark in marks[i] for j in at[mark]]
    return [model for i, model in enumerate(table.models) if i in found]


def _writes(model: ModelBinding) -> Iterator[str]:
    yield from model.writes
    for relation, targets in model.relations.items():
        if relation.startswith("out:"):
            yield from targets


def _marks(model: ModelBinding, written: Collection[str]) -> Iterator[str]:
    """Yield what couples a model: prims, and signals that some model writes."""
    yield model.prim
    targets: Sequence[str] = [t for r, ts in model.relations.items() for t in ts if r[:4] != "out:"]
    for target in (*model.reads, *targets):
        path = Sdf.Path(target)
        if path.IsPrimPath() or path.name.startswith(_MODEL):
            yield str(path.GetPrimPath())
        elif target in written:
            yield target
    yield from _writes(model)
