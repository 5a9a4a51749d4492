"""Drafts as they wait: what was edited, and what is known of the commands that it is of."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from stagetwin.drafts._courier import Publication

__all__ = ["Draft", "DraftState", "KnownTarget", "Own", "Pending"]


class DraftState(enum.StrEnum):
    """What a draft waits for."""

    HELD = "held"
    RESTING = "resting"
    SENDING = "sending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One unpublished edit, as a viewer shows it.

    Attributes:
        command: prim path and command name.
        path: path of the edited attribute.
        value: plain data; of an edit of a place, where its prim is: prim, x, y [m], theta [rad].
        state: `held` until somebody publishes it, `resting` until it settles, `sending`.
        cause: why it is held or not sent yet, in words.
    """

    command: str
    path: str
    value: Any
    state: DraftState
    cause: str = ""


@dataclass(slots=True, kw_only=True)
class Pending:
    command: str
    path: str
    value: Any
    state: DraftState
    cause: str
    since: float
    base: int | None
    fault: str = ""
    after: str = ""
    sent: Publication | None = None
    first_sent: float = 0.0
    again_at: float = 0.0


@dataclass(frozen=True, slots=True)
class KnownTarget:
    revision: int
    settles: bool
    debounce: float


@dataclass(slots=True)
class Own:
    """The editor's own newest published command of a target; revision 0 while it is not known."""

    id: str
    base: int | None
    revision: int
