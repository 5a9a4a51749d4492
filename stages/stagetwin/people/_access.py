"""The one check that every access passes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from stagetwin._errors import AccessError
from stagetwin.clock import Clock
from stagetwin.people._file import WALL_CLOCK, PolicyFile
from stagetwin.people._policy import Policy
from stagetwin.people._rights import Grant, Principal, Right, prim_of, roots_of

__all__ = ["Access"]

_OWNER = frozenset({Right.READ, Right.REVIEW, Right.ACKNOWLEDGE, Right.HALT, Right.ENGINEER})
"""What the service's own user may on the control socket: everything but move machines."""

_LASTING = frozenset({Right.READ, Right.HALT})
"""What stays as the last whole file gave it while the policy file is damaged."""


def _no_roles(_path: str) -> Collection[str]:
    return ()


class Source(Protocol):
    """Where a policy comes from."""

    def read(self, *, now: bool = False) -> tuple[Policy, str]:
        """Return the policy, and why its file is damaged or an empty text; `now`: look again."""
        ...


class _Roles:
    def __init__(self, roles: Mapping[str, Iterable[str]]) -> None:
        self._policy = Policy.of_roles(roles)

    def read(self, *, now: bool = False) -> tuple[Policy, str]:
        del now
        return self._policy, ""


class Access:
    """Says who may do what at which prim. What nobody granted is denied.

    Attributes:
        roles_at: returns the roles that the asset at a path names in `twin:roles`; set by the
            service. Without it nobody may command by `may` unless the roles are given.
    """

    def __init__(self, source: Source, clock: Clock = WALL_CLOCK) -> None:
        """Begin.

        Args:
            source: where the policy comes from.
            clock: for tokens that end.
        """
        self._source = source
        self._clock = clock
        self.roles_at: Callable[[str], Collection[str]] = _no_roles

    @classmethod
    def of_roles(cls, roles: Mapping[str, Iterable[str]]) -> Access:
        """Return the check of a service without a policy file: users by role; all may read."""
        return cls(_Roles(roles))

    @classmethod
    def of_file(cls, file: PolicyFile | Path, clock: Clock = WALL_CLOCK) -> Access:
        """Return the check of a policy file, which is read again when it changes.

        Raises:
            AccessError: it cannot be read, others can read it, or it is wrong.
        """
        return cls(file if isinstance(file, PolicyFile) else PolicyFile(file, clock), clock)

    # -- the check

    def may(
        self,
        who: Principal,
        right: Right,
        path: str,
        roles: Collection[str] | None = None,
    ) -> bool:
        """Tell whether somebody may do something at a path.

        Args:
            who: who asks.
            right: what for.
            path: of a prim, property, signal or command.
            roles: those that the asset there names; looked up if not given.
        """
        prim = prim_of(path)
        if not prim:
            return False
        if who.owner and right in _OWNER:
            return True
        policy, damage = self._vouching(who)
        return policy is not None and self._allows(policy, damage, who.name, right, prim, roles)

    def require(
        self,
        who: Principal,
        right: Right,
        path: str,
        roles: Collection[str] | None = None,
    ) -> None:
        """Do nothing if somebody may do something at a path; see `may`.

        Raises:
            AccessError: they may not. It does not tell whether there is such a path.
        """
        if not self.may(who, right, path, roles):
            name = who.name or "who asks is not known and"
            raise AccessError(f"{name} may not {right} at {path:.200}")

    def allows(
        self, name: str, right: Right, path: str, roles: Collection[str] | None = None
    ) -> bool:
        """Tell whether somebody on record may do something at a path; see `may`."""
        prim = prim_of(path)
        policy, damage = self._source.read()
        return bool(prim) and self._allows(policy, damage, name, right, prim, roles)

    def holds(self, name: str, role: str, path: str) -> bool:
        """Tell whether somebody holds a role at a path."""
        prim = prim_of(path)
        policy, damage = self._source.read()
        if not prim or damage:
            return False
        held = policy.of(name, self._clock.wall())
        return any(g.role == role and g.gives(Right.READ, prim, ()) for g in held if g.role)

    def _allows(
        self,
        policy: Policy,
        damage: str,
        name: str,
        right: Right,
        prim: str,
        roles: Collection[str] | None,
    ) -> bool:
        if damage and right not in _LASTING:
            return False
        if right is Right.APPROVE and name.startswith("token:"):
            return False  # a second person is asked for, and a program is none
        if roles is None:
            roles = self.roles_at(prim)
        return any(grant.gives(right, prim, roles) for grant in policy.of(name, self._clock.wall()))

    # -- who

    def _vouching(self, who: Principal) -> tuple[Policy | None, str]:
        """Return the policy that vouches for somebody, and its damage; None if it does not."""
        for now in (False, True):  # another process may have let in somebody new just now
            policy, damage = self._source.read(now=now)
            if policy.vouches(who, self._clock.wall()):
                return policy, damage
        return None, ""

    def stands(self, who: Principal) -> bool:
        """Tell whether somebody is still who they were when they came in."""
        return who.owner or self._vouching(who)[0] is not None

    def user(self, user: str, owner: bool = False) -> Principal:
        """Return who a user of the operating system is, on the control socket."""
        policy, _ = self._source.read()
        if not policy.strict or not user:
            return Principal(user, owner)
        return Principal(policy.os_users.get(user, f"os:{user}"), owner, f"os:{user}")

    def same_person(self, one: str, other: str) -> bool:
        """Tell whether two names may be one person, so that neither approves for the other.

        An operating system's user counts as the account of the same name.
        """
        return _person(one) == _person(other)

    # -- what somebody may

    def readable(self, who: Principal) -> tuple[str, ...]:
        """Return the prims that somebody may read at and below, none within another."""
        if who.owner:
            return ("/",)
        return roots_of(g.root for g in self._held(who) if Right.READ in g.rights)

    def rights(self, who: Principal) -> list[dict[str, Any]]:
        """Return what somebody holds, for a viewer to show: role, prim, rights.

        Some rights are given only where an asset names the role; those are listed as `named`.
        """
        return [
            {
                "role": grant.role,
                "below": grant.root,
                "rights": sorted(map(str, grant.rights)),
                "named": sorted(map(str, grant.named)),
            }
            for grant in (*((_OWNS,) if who.owner else ()), *self._held(who))
        ]

    def _held(self, who: Principal) -> tuple[Grant, ...]:
        policy, damage = self._vouching(who)
        held = policy.of(who.name, self._clock.wall()) if policy is not None else ()
        if not damage:
            return held
        none: frozenset[Right] = frozenset()
        return tuple(Grant(g.role, g.root, g.rights & _LASTING, none) for g in held)


_OWNS = Grant("", "/", _OWNER, frozenset())


def _person(name: str) -> str:
    return name.removeprefix("os:").casefold()
