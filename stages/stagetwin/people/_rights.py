"""What a person or program may do, and who that is."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Principal", "Right"]


class Right(enum.StrEnum):
    """One thing that may be done below a prim."""

    READ = "read"
    REVIEW = "review"
    COMMAND = "command"
    APPROVE = "approve"
    ACKNOWLEDGE = "acknowledge"
    ENGINEER = "engineer"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks; somebody else has made sure of it.

    Attributes:
        name: name of the account, or of the operating system's user on the control socket.
        owner: whether that is the service's own user, or root, on the control socket: they own the
            files that say who may what.
    """

    name: str
    owner: bool = False
