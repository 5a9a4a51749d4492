"""Three-way merges of layers, field by field, and their undoing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pxr import Sdf

from stagetwin.reviews._fields import ABSENT, Field, read, said, same, write

__all__ = ["Conflict", "Merge", "apply_merge", "three_way", "undo_merge"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that the site and the proposal both changed, each otherwise.

    Attributes:
        field: where.
        base: what it was when the proposal touched it.
        site: what it is.
        proposal: what the proposal would make of it.
        why: where there is more to say than the three values.
    """

    field: Field
    base: Any = ABSENT
    site: Any = ABSENT
    proposal: Any = ABSENT
    why: str = ""

    def row(self) -> dict[str, Any]:
        """Return it as clients see it."""
        name = f"{self.field.name}:{self.field.key}" if self.field.key else self.field.name
        return {
            "path": self.field.path,
            "field": name,
            "base": said(self.base),
            "site": said(self.site),
            "proposal": said(self.proposal),
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge changes.

    Attributes:
        changes: new value by field.
        conflicts: why it may not be done; nothing is changed then.
    """

    changes: Mapping[Field, Any]
    conflicts: tuple[Conflict, ...]


def three_way(
    base: Mapping[Field, Any], site: Mapping[Field, Any], theirs: Mapping[Field, Any]
) -> Merge:
    """Return what becomes of a site when a proposal is merged.

    Args:
        base: of each field, what the site said when the proposal touched it.
        site: what the site says.
        theirs: what the proposal says.
    """
    changes: dict[Field, Any] = {}
    conflicts: list[Conflict] = []
    for field, wanted in theirs.items():
        was, now = base.get(field, ABSENT), site[field]
        if same(now, wanted) or same(wanted, was):
            continue
        if same(now, was):
            changes[field] = wanted
        else:
            conflicts.append(Conflict(field, was, now, wanted))
    return Merge(changes, tuple(conflicts))


def apply_merge(layer: Sdf.Layer, changes: Mapping[Field, Any]) -> list[str]:
    """Write the changes of a merge; return the specs that it created, parents first."""
    created: list[str] = []
    with Sdf.ChangeBlock():
        for field, value in changes.items():
            created += write(layer, field, value)
    return created


def undo_merge(
    layer: Sdf.Layer,
    before: Mapping[Field, Any],
    after: Mapping[Field, Any],
    created: Iterable[str],
) -> tuple[Conflict, ...]:
    """Give a layer's fields back what they were before a merge.

    Args:
        layer: the site, as it is now.
        before: what each field was.
        after: what the merge made of it.
        created: specs that the merge created; they go where nothing else is said in them.

    Returns:
        What somebody changed since; the layer is untouched then.
    """
    conflicts = [
        Conflict(field, after[field], now, before[field], "changed since the merge")
        for field in after
        if not same(now := read(layer, field), after[field])
    ]
    specs = [layer.GetObjectAtPath(path) for path in created]
    ours = set(after)
    for path, spec in zip(created, specs, strict=True):
        if "." in path and spec and (more := _more(spec, path, ours)):
            conflicts.append(Conflict(Field(path, more), why="added since the merge"))
    if conflicts:
        return tuple(conflicts)
    # Values before what declares them.
    for field in reversed(list(after)):
        write(layer, field, before[field])
    for path in reversed(list(created)):
        prim = layer.GetPrimAtPath(path) if "." not in path else None
        if prim and _is_bare(prim):
            parent: Any = prim.nameParent or layer.pseudoRoot  # the stubs lack deletion
            del parent.nameChildren[prim.name]
    return ()


def _more(spec: Any, path: str, ours: set[Field]) -> str:
    """Return the name of a field of a property that is none of the merge's, or an empty text."""
    names = [n for n in spec.ListInfoKeys() if n not in ("typeName", "variability", "custom")]
    return next((name for name in names if Field(path, name) not in ours), "")


def _is_bare(prim: Sdf.PrimSpec) -> bool:
    over = prim.specifier == Sdf.SpecifierOver and not prim.typeName
    empty = not prim.nameChildren and not prim.properties
    return bool(over and empty and prim.ListInfoKeys() == ["specifier"])
