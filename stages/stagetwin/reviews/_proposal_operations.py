"""What a client may ask of proposals, held to its bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Bounded
from pydantic import TypeAdapter

from stagetwin.reviews._edits import Edit
from stagetwin.reviews._operations import Id, Line, Part, PrimPath, Text

__all__ = [
    "PROPOSAL_ADAPTER",
    "TAKES",
    "CreateProposal",
    "MoveProposal",
    "ProposalOperation",
    "RejectProposal",
    "SetEdits",
]


class CreateProposal(Part):
    """A new proposal."""

    id: Id
    kind: Literal["create"]
    proposal: Id = ""
    title: Annotated[Line, Bounded(min_length=1)]
    description: Text = ""
    prim: PrimPath | Literal["/"] = "/"


class _OnRevision(Part):
    id: Id
    proposal: Id
    revision: Annotated[int, Bounded(ge=0, le=2**31 - 1)]


class SetEdits(_OnRevision):
    """More edits, or others."""

    kind: Literal["set"]
    edits: Annotated[tuple[Edit, ...], Bounded(min_length=1, max_length=500)]


class MoveProposal(_OnRevision):
    """Another state."""

    kind: Literal["submit", "withdraw", "merge", "undo"]


class RejectProposal(_OnRevision):
    """An approver's no."""

    kind: Literal["reject"]
    reason: Line = ""


ProposalOperation = CreateProposal | SetEdits | MoveProposal | RejectProposal
PROPOSAL_ADAPTER: TypeAdapter[ProposalOperation] = TypeAdapter(
    Annotated[ProposalOperation, Bounded(discriminator="kind")]
)
TAKES = {
    "set": ("draft", "submitted", "rejected", "undone"),
    "submit": ("draft",),
    "withdraw": ("draft", "submitted", "rejected", "undone"),
    "reject": ("submitted",),
    "merge": ("submitted",),
    "undo": ("merged",),
}
"""States in which a proposal takes an operation."""
