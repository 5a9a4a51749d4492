"""The proposal desk: layouts that somebody proposes, and an approver merges."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stagetwin._errors import AccessError, ReviewError
from stagetwin.guards import write_atomically
from stagetwin.live import Owner
from stagetwin.people import Principal, Right
from stagetwin.reviews._apply import ReviewConflictError
from stagetwin.reviews._desk import ReviewAccess
from stagetwin.reviews._edits import (
    ActiveEdit,
    AddEdit,
    ClearEdit,
    EditContext,
    VariantEdit,
    author_edit,
    prim_of_edit,
)
from stagetwin.reviews._fields import fields_of, parse_layer
from stagetwin.reviews._ghosts import compose, edit_rows, follow, overridden, touched_rows
from stagetwin.reviews._log import set_aside
from stagetwin.reviews._merging import Merging, Plant
from stagetwin.reviews._operations import digest_of, validated
from stagetwin.reviews._proposal import Proposal
from stagetwin.reviews._proposal_operations import (
    PROPOSAL_ADAPTER,
    TAKES,
    CreateProposal,
    MoveProposal,
    RejectProposal,
    SetEdits,
)
from stagetwin.reviews._site import Site, SiteWrite
from stagetwin.reviews._topic import common_ancestor

__all__ = ["ProposalDesk", "Ready"]

Row = dict[str, Any]

MAX_PROPOSALS = 500
MAX_FIELDS = 5000
MAX_TEXT = 2**21


@dataclass(frozen=True, slots=True)
class Ready:
    """An operation that may be taken.

    Attributes:
        proposal: as it will be.
        site: what it writes to the site's file; None where that stays.
        fresh: whether the operation was not taken before.
    """

    proposal: Proposal
    site: SiteWrite | None = None
    fresh: bool = True


class ProposalDesk:
    """Proposals of one plant. `judge` and `take` on the stage's thread, `write` on any.

    Attributes:
        faults: what of the files could not be read or finished, and where it is now.
        on_site: called after the site's file was written.
    """

    def __init__(
        self,
        plant: Plant,
        folder: Path,
        access: ReviewAccess,
        *,
        clock: Callable[[], float] = time.time,
        publish: Callable[[str, Row], None] = lambda _prim, _row: None,
    ) -> None:
        """Read what an earlier life left.

        Raises:
            ReviewError: the folder cannot be used, or the site layer is none of the stage's.
        """
        self._owner = Owner()
        self._plant = plant
        self._folder = folder / "proposals"
        self._access, self._clock, self._publish = access, clock, publish
        self._proposals: dict[str, Proposal] = {}
        self._prims: dict[str, tuple[str, ...]] = {}
        self.faults: list[str] = []
        self.on_site: list[Callable[[], None]] = []
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ReviewError(f"{self._folder} cannot be used: {error}") from None
        self._site: Site | None = None
        if plant.site_layer is not None:
            self._site = Site(plant.site_layer, plant.stage, self._folder)
            self.faults += self._site.faults
        self._merging = Merging(plant, self._site, clock)
        for path in sorted(self._folder.glob("*.usda")):
            if ".damaged-" in path.name:
                continue
            try:
                proposal = Proposal.load(path)
                if f"{proposal.id}.usda" != path.name:
                    raise ReviewError(f"its id {proposal.id!r:.80} is not its name")
                self._hold(proposal)
            except (OSError, ReviewError) as error:
                self.faults.append(set_aside(path, str(error)))

    def _hold(self, proposal: Proposal) -> None:
        self._proposals[proposal.id] = proposal
        self._prims[proposal.id] = proposal.prims()

    # -- what is there

    def rows(self, who: Principal, prim: str = "/", status: str = "") -> list[Row]:
        """Return the proposals that somebody may see, newest change first."""
        self._owner.check()
        held = sorted(self._proposals.values(), key=lambda p: (p.changed, p.id), reverse=True)
        return [
            self._row(each)
            for each in held
            if (not status or each.status == status)
            and self._sees(who, each)
            and any(prim == "/" or f"{at}/".startswith(f"{prim}/") for at in self._prims[each.id])
        ]

    def show(self, who: Principal, identity: str) -> Row:
        """Return one proposal with what it would make of the plant.

        Raises:
            ReviewError: there is none that this one may see.
        """
        return self._shown(self._seen_by(who, identity))

    def _sees(self, who: Principal, proposal: Proposal) -> bool:
        return all(self._access.may(who, Right.READ, at) for at in self._prims[proposal.id])

    def _seen_by(self, who: Principal, identity: str) -> Proposal:
        self._owner.check()
        proposal = self._proposals.get(identity)
        if proposal is None or not self._sees(who, proposal):
            raise ReviewError(f"there is no proposal {identity:.40}")
        return proposal

    def _row(self, proposal: Proposal) -> Row:
        names = "id title description author status created changed revision reason base"
        row: Row = {name: getattr(proposal, name) for name in names.split()}
        prims = self._prims.get(proposal.id) or proposal.prims()
        done = proposal.done
        return row | {
            "prims": list(prims),
            "merged_by": done.approver if done is not None else "",
            "merged": done.time if done is not None else None,
            "guards": self._guards(proposal),
        }

    def _guards(self, proposal: Proposal) -> list[str]:
        """Return the assets whose guards the proposal may change."""
        touching = {
            field.prim
            for field in fields_of(parse_layer(proposal.edits))
            if ".twin:" in field.path or field.name in ("variantSelection", "active", "specifier")
        }
        return sorted({asset for at in touching if (asset := self._plant.asset_of(at))})

    def _shown(self, proposal: Proposal) -> Row:
        theirs = proposal.theirs()
        prims = proposal.prims() if theirs else ()
        root, site = self._plant.stage.GetRootLayer(), self._plant.site_layer
        before = compose(root, "", prims, site)
        after = compose(root, proposal.edits, prims, site)
        row = self._row(proposal) | {
            "touched": touched_rows(proposal, before, after, prims),
            "edits": edit_rows(theirs, proposal.base_values(list(theirs))),
            "conflicts": [],
            "overridden": [],
        }
        if self._site is not None and theirs and proposal.status in ("draft", "submitted"):
            merge, _, _ = self._merging.merge(proposal)
            row["conflicts"] = [conflict.row() for conflict in merge.conflicts]
            row["overridden"] = overridden(self._plant.stage, self._site.path, theirs)
        return row

    # -- an operation

    def perform(self, operation: Mapping[str, Any], who: Principal) -> Row:
        """Do an operation, and return `proposal` and whether it is a `duplicate`.

        Raises:
            AccessError: this one may not do that there.
            ReviewConflictError: it was made on another revision, or a merge meets a conflict;
                carries the present proposal.
            ReviewError: it is malformed, or not possible.
        """
        ready = self.judge(operation, who)
        self.write(ready)
        return self.take(ready)

    def judge(self, operation: Mapping[str, Any], who: Principal) -> Ready:
        """Say what becomes of an operation; changes nothing. Errors as of `perform`."""
        self._owner.check()
        asked = validated(PROPOSAL_ADAPTER, operation)
        if not who.name:
            raise AccessError("who asks is not known")
        digest = digest_of(operation, who.name)
        identity = asked.proposal or asked.id
        held = self._proposals.get(identity)
        for seen, known in held.seen if held is not None else ():
            if seen == asked.id:
                if known != digest:
                    raise ReviewError(f"operation {asked.id} was another: its content differs")
                return Ready(self._seen_by(who, identity), fresh=False)
        if isinstance(asked, CreateProposal):
            return Ready(self._created(asked, who, identity).with_seen(asked.id, digest))
        proposal = self._seen_by(who, identity)
        if asked.revision != proposal.revision:
            raise ReviewConflictError(
                f"proposal {identity} is at revision {proposal.revision}, the {asked.kind} was "
                f"made on {asked.revision}",
                self._shown(proposal),
            )
        if proposal.status not in TAKES[asked.kind]:
            raise ReviewError(
                f"proposal {identity} is {proposal.status}; {asked.kind} takes "
                f"{' or '.join(TAKES[asked.kind])}"
            )
        self._allow(asked, proposal, who)
        done = replace(proposal, revision=proposal.revision + 1, changed=self._clock()).with_seen(
            asked.id, digest
        )
        if isinstance(asked, SetEdits):
            return Ready(self._edited(done, asked, who))
        if isinstance(asked, RejectProposal):
            return Ready(replace(done, status="rejected", reason=asked.reason))
        if asked.kind in ("merge", "undo"):
            change = self._merging.merged if asked.kind == "merge" else self._merging.undone
            try:
                return Ready(*change(done, asked.id, who.name))
            except ReviewConflictError as error:
                present = self._shown(proposal) | error.present
                raise ReviewConflictError(str(error), present) from None
        if asked.kind == "submit" and not proposal.edits:
            raise ReviewError(f"proposal {identity} changes nothing yet")
        word = "submitted" if asked.kind == "submit" else "withdrawn"
        return Ready(replace(done, status=word, reason=""))

    def _created(self, asked: CreateProposal, who: Principal, identity: str) -> Proposal:
        self._access.require(who, Right.REVIEW, asked.prim)
        self._access.require(who, Right.READ, asked.prim)
        if identity in self._proposals:
            raise ReviewError(f"proposal {identity} is there already")
        if len(self._proposals) >= MAX_PROPOSALS:
            raise ReviewError(f"there are {MAX_PROPOSALS} proposals, the most there may be")
        base = self._site.open()[1] if self._site is not None else ""
        now = self._clock()
        return Proposal(
            identity,
            asked.id,
            asked.title,
            who.name,
            now,
            now,
            base,
            description=asked.description,
            prim=asked.prim,
        )

    def _allow(
        self, asked: SetEdits | MoveProposal | RejectProposal, proposal: Proposal, who: Principal
    ) -> None:
        own = self._access.same_person(proposal.author, who.name)
        if asked.kind in ("set", "submit", "withdraw"):
            if not own:
                raise AccessError(f"proposal {proposal.id} is {proposal.author}'s")
            return
        for prim in self._prims[proposal.id]:
            self._access.require(who, Right.APPROVE, prim)
        if own:
            raise AccessError(f"proposal {proposal.id} is {who.name}'s own: another must judge it")

    # -- edits

    def _edited(self, proposal: Proposal, asked: SetEdits, who: Principal) -> Proposal:
        layer = parse_layer(proposal.edits)
        root, site = self._plant.stage.GetRootLayer(), self._plant.site_layer
        touched = {p for e in asked.edits if not isinstance(e, ClearEdit) if (p := prim_of_edit(e))}
        for prim in sorted(touched):
            # Before the prim is looked for: whether it is there is not for all to know.
            self._access.require(who, Right.READ, prim)
            self._access.require(who, Right.REVIEW, prim)
        prims = touched | set(proposal.prims())
        folder = self._site.path.parent if self._site is not None else None
        stage = compose(root, proposal.edits, prims, site)
        for edit in asked.edits:
            author_edit(layer, edit, EditContext(stage, self._plant.driven, folder))
            if isinstance(edit, AddEdit | ActiveEdit | VariantEdit | ClearEdit):
                # Not composed anew: the plant ticks on this thread.
                follow(stage, layer, prim_of_edit(edit), site)
        fields = fields_of(layer)
        text = layer.ExportToString() if fields else ""
        if len(fields) > MAX_FIELDS or len(text) > MAX_TEXT:
            raise ReviewError(f"a proposal has at most {MAX_FIELDS} fields and {MAX_TEXT} bytes")
        made = replace(proposal, edits=text, status="draft", done=None, reason="")
        return self._merging.grounded(made, proposal, fields)

    # -- steps

    def write(self, ready: Ready) -> None:
        """Make an operation durable; on any thread, one at a time.

        Raises:
            ReviewError: it cannot be written, and is not taken.
        """
        if not ready.fresh:
            return
        proposal = ready.proposal
        path, text = self._folder / f"{proposal.id}.usda", proposal.text()
        try:
            if ready.site is None:
                write_atomically(path, text.encode())
            else:
                self._merging.open_site().write(ready.site, path, text)
        except OSError as error:
            raise ReviewError(f"{path} cannot be written: {error}") from None

    def take(self, ready: Ready) -> Row:
        """Take an operation that is durable, tell of it, and return what `perform` does."""
        self._owner.check()
        if ready.fresh:
            self._hold(ready.proposal)
            row = self._row(ready.proposal)
            self._publish(common_ancestor(row["prims"]), row)
            for callback in self.on_site if ready.site is not None else ():
                callback()
        return {"proposal": self._shown(ready.proposal), "duplicate": not ready.fresh}
