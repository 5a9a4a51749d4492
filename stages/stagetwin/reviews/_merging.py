"""Merging a proposal into the site layer, and taking that back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pxr import Sdf, Usd

from stagetwin._errors import ReviewError
from stagetwin.reviews._apply import ReviewConflictError
from stagetwin.reviews._fields import (
    Field,
    fields_of,
    fragment,
    parse_layer,
    read,
    values_of,
)
from stagetwin.reviews._ghosts import compose
from stagetwin.reviews._merge import Conflict, Merge, apply_merge, three_way, undo_merge
from stagetwin.reviews._proposal import Done, Proposal, ground_of
from stagetwin.reviews._site import Site, SiteWrite

__all__ = ["Merging", "Plant"]


def _nothing(_path: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Plant:
    """What proposals are made on.

    Attributes:
        stage: the composed stage.
        site_layer: file that a merge may write; None for no merges.
        driven: says what drives a property, or returns an empty text.
        asset_of: returns the path of the twin asset that a prim belongs to, or an empty text.
    """

    stage: Usd.Stage
    site_layer: Path | None = None
    driven: Callable[[str], str] = _nothing
    asset_of: Callable[[str], str] = _nothing


class Merging:
    """Judges proposals against the site layer as its file is now."""

    def __init__(self, plant: Plant, site: Site | None, clock: Callable[[], float]) -> None:
        self._plant, self._site, self._clock = plant, site, clock

    def grounded(self, made: Proposal, old: Proposal, fields: list[Field]) -> Proposal:
        """Return a proposal with what the site says of all that it touches anew."""
        before = fields_of(parse_layer(old.edits))
        layer = self._site.open()[0] if self._site is not None else Sdf.Layer.CreateAnonymous()
        theirs = values_of(parse_layer(made.edits), fields)
        added = {f.path for f in fields if f.name == "specifier"}
        known = tuple(sorted({f.prim for f in fields} - added))
        gone = [f.path for f in fields if f.name == "active" and theirs[f] is False]
        taken = dict(old.taken)
        return replace(
            made,
            ground=ground_of(layer, fields, old.base_values(before)),
            known=known,
            taken=tuple((path, taken.get(path) or _below(layer, path)) for path in gone),
        )

    def open_site(self) -> Site:
        """Return the site; ReviewError if nothing can be merged."""
        if self._site is None:
            raise ReviewError("nothing can be merged: the service was given no --site-layer")
        if self._site.broken:
            raise ReviewError(self._site.broken)
        return self._site

    def merge(self, proposal: Proposal) -> tuple[Merge, Sdf.Layer, str]:
        """Return what a merge would change, the site as it is, and the hash of its file.

        Raises:
            ReviewError: there is no site layer, or it cannot be read.
        """
        layer, digest = self.open_site().open()
        theirs = proposal.theirs()
        merge = three_way(proposal.base_values(list(theirs)), values_of(layer, theirs), theirs)
        more = [*merge.conflicts, *self._gone(proposal), *self._taken(proposal, layer)]
        return Merge(merge.changes, tuple(more)), layer, digest

    def _gone(self, proposal: Proposal) -> Iterable[Conflict]:
        stage = compose(self._plant.stage.GetRootLayer(), "", proposal.known, None)
        for path in proposal.known:
            if not stage.GetPrimAtPath(path):
                yield Conflict(Field(path, "specifier"), why="the plant has no such prim any more")

    @staticmethod
    def _taken(proposal: Proposal, layer: Sdf.Layer) -> Iterable[Conflict]:
        for path, digest in proposal.taken:
            if _below(layer, path) != digest:
                yield Conflict(Field(path, "active"), why="it was edited since it was taken out")

    def merged(self, proposal: Proposal, operation: str, who: str) -> tuple[Proposal, SiteWrite]:
        """Return a proposal as its merge leaves it, and what that writes.

        Raises:
            ReviewConflictError: the site was changed otherwise; carries the `conflicts`.
            ReviewError: nothing can be merged here.
        """
        site = self.open_site()
        if not proposal.base:
            raise ReviewError("the proposal began while there was no --site-layer; make it anew")
        merge, layer, digest = self.merge(proposal)
        if merge.conflicts:
            raise _conflict("the site has changed otherwise at", merge.conflicts)
        for field in merge.changes:
            if field.name == "default" and (driver := self._plant.driven(field.path)):
                raise ReviewError(f"{field.path} is driven by {driver}: it cannot be merged")
        fields = tuple(merge.changes)
        shown = {*fields, *(Field(f.path, "declaration") for f in fields if "." in f.path)}
        before = fragment(values_of(layer, shown))
        created = apply_merge(layer, merge.changes)
        after = fragment(values_of(layer, shown))
        done = Done(who, self._clock(), before, after, fields, tuple(created))
        made = replace(proposal, status="merged", done=done, reason="")
        return made, self._writing(made, layer, digest, operation, "merge", site)

    def undone(self, proposal: Proposal, operation: str, who: str) -> tuple[Proposal, SiteWrite]:
        """Return a proposal as the undoing of its merge leaves it, and what that writes.

        Raises:
            ReviewConflictError: somebody edited since what the merge changed.
            ReviewError: there is nothing to undo here.
        """
        site, done = self.open_site(), proposal.done
        if done is None:
            raise ReviewError(f"proposal {proposal.id} has no merge to undo")
        layer, digest = site.open()
        before, after = parse_layer(done.before), parse_layer(done.after)
        conflicts = undo_merge(
            layer,
            {field: read(before, field) for field in done.fields},
            {field: read(after, field) for field in done.fields},
            done.created,
        )
        if conflicts:
            raise _conflict("edited since the merge, not undone:", conflicts)
        made = replace(proposal, status="undone", done=replace(done, approver=who))
        return made, self._writing(made, layer, digest, operation, "undo", site)

    def _writing(
        self, made: Proposal, layer: Sdf.Layer, digest: str, operation: str, kind: str, site: Site
    ) -> SiteWrite:
        assert made.done is not None  # both kinds set it
        record = {
            "operation": operation,
            "kind": kind,
            "time": self._clock(),
            "proposal": made.id,
            "title": made.title,
            "author": made.author,
            "approver": made.done.approver,
            "site": str(site.path),
            "fields": [list(field) for field in made.done.fields],
        }
        return SiteWrite(site.content(layer), digest, record)


def _conflict(why: str, conflicts: tuple[Conflict, ...]) -> ReviewConflictError:
    paths = sorted({conflict.field.path for conflict in conflicts})
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    rows = [conflict.row() for conflict in conflicts]
    return ReviewConflictError(f"{why} {', '.join(paths[:5])}{more}", {"conflicts": rows})


def _below(layer: Sdf.Layer, path: str) -> str:
    """Return the hash of what a layer says at and below a prim, but for whether it is active."""
    copy = Sdf.Layer.CreateAnonymous("below.usda")
    if layer.GetPrimAtPath(path):
        Sdf.CreatePrimInLayer(copy, path)
        Sdf.CopySpec(layer, path, copy, path)
        copy.GetPrimAtPath(path).ClearActive()
    return hashlib.sha256(copy.ExportToString().encode()).hexdigest()
