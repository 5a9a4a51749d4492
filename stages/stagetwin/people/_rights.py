"""What a person or program may do, and who that is."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ROLES", "Grant", "Principal", "Right", "is_at_or_below", "prim_of", "roots_of"]


class Right(enum.StrEnum):
    """One thing that may be done below a prim."""

    READ = "read"
    REVIEW = "review"
    COMMAND = "command"
    APPROVE = "approve"
    ACKNOWLEDGE = "acknowledge"
    HALT = "halt"
    ENGINEER = "engineer"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks; somebody else has made sure of it.

    Attributes:
        name: name of the account, `token:NAME`, or `os:USER`; without a policy file, the name of
            the operating system's user on the control socket.
        owner: whether that is the service's own user, or root, on the control socket: they own the
            files that say who may what.
        via: what says so: a login, a token or an operating system's user, as the policy file had
            it; once the file says otherwise, the principal may nothing more. No secret.
    """

    name: str
    owner: bool = False
    via: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that somebody holds below a prim.

    Attributes:
        role: its name.
        root: path of the prim.
        rights: what it gives at every prim at or below `root`.
        named: what it gives besides, at the assets among them whose `twin:roles` name it.
    """

    role: str
    root: str
    rights: frozenset[Right]
    named: frozenset[Right]

    def gives(self, right: Right, prim: str, roles: Iterable[str]) -> bool:
        """Tell whether it gives a right at a prim whose asset names some roles."""
        given = right in self.rights or (right in self.named and self.role in roles)
        return given and is_at_or_below(prim, self.root)


_LOOK = frozenset({Right.READ})
_TALK = _LOOK | {Right.REVIEW}
_TEND = _TALK | {Right.ACKNOWLEDGE, Right.HALT}
_NONE: frozenset[Right] = frozenset()

ROLES: dict[str, tuple[frozenset[Right], frozenset[Right]]] = {
    "viewer": (_LOOK, _NONE),
    "reviewer": (_TALK, _NONE),
    "operator": (_TEND, frozenset({Right.COMMAND})),
    "approver": (_TEND | {Right.APPROVE}, _NONE),
    "engineer": (_TALK | {Right.ENGINEER}, _NONE),
}
"""Rights of the fixed roles: everywhere, and where an asset names the role."""

PLANT_ROLE = (_LOOK | {Right.HALT}, frozenset({Right.COMMAND, Right.APPROVE}))
"""Rights of a role that the plant's assets name and nobody else defines."""

_PRIM = r"/(?:[^\W\d]\w*(?:/[^\W\d]\w*)*)?"
_PATH = re.compile(rf"({_PRIM})(?:\.[^/]*)?")


def prim_of(path: str) -> str:
    """Return the prim of a path of a prim, property, signal or command; empty if it is none."""
    found = _PATH.fullmatch(path)
    return found[1] if found else ""


def is_at_or_below(prim: str, root: str) -> bool:
    """Tell whether a prim is another one, or below it; both are prim paths, `/` is above all."""
    return root == "/" or prim == root or prim.startswith(f"{root}/")


def roots_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Return prim paths without those that lie below another of them, sorted."""
    roots: list[str] = []
    # `/A/B` sorts after `/A`, but so does `/A-B`: hence by parts.
    for path in sorted(set(paths), key=lambda path: path.split("/")):
        if not any(is_at_or_below(path, root) for root in roots):
            roots.append(path)
    return tuple(sorted(roots))
