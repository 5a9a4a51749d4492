"""The policy: accounts, tokens, groups and grants, parsed from its file at the edge."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from stagetwin.people._rights import PLANT_ROLE, ROLES, Grant, Principal, Right, prim_of

__all__ = ["Account", "GrantEntry", "Policy", "PolicyDocument", "Token", "stamp_of"]

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
_ARGON2ID = re.compile(r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$[\w+/]+\$[\w+/]+")

MAX_MEMORY = 2**20
"""Most memory that a password's hash may ask for [KiB]."""

MAX_PASSES = 100
"""Most passes that a password's hash may ask for."""


def _hash(text: str) -> str:
    found = _ARGON2ID.fullmatch(text)
    if text and (found is None or int(found[1]) > MAX_MEMORY or int(found[2]) > MAX_PASSES):
        raise ValueError("a password is kept as an argon2id hash of at most 1 GiB and 100 passes")
    return text


def _prim(path: str) -> str:
    if prim_of(path) != path:
        raise ValueError("must be the path of a prim, such as /World/Line1, or /")
    return path


def _user(name: str) -> str:
    if not name or ":" in name or any(sign.isspace() or not sign.isprintable() for sign in name):
        raise ValueError("must be a user of the operating system")
    return name


Name = Annotated[str, Field(pattern=_NAME)]
OsUser = Annotated[str, AfterValidator(_user)]


class _Table(BaseModel):
    # Inputs stay out of messages: they are hashes, and may be secrets by mistake.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Account(_Table):
    """A person.

    Attributes:
        password: argon2id hash; empty for one who never logs in by password.
        disabled: whether everything of this account is refused. It must be said: a file that was
            cut short may not bring anybody back.
        os_users: users of the operating system who are this person on the control socket.
    """

    password: Annotated[str, AfterValidator(_hash)] = Field(default="", repr=False)
    disabled: bool
    os_users: tuple[OsUser, ...] = ()


class Token(_Table):
    """A program's secret.

    Attributes:
        hash: SHA-256 of it, as 64 hexadecimal digits.
        expires: when it ends.
        account: the account that it acts as; empty for one with grants of its own, as `token:NAME`.
    """

    hash: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    expires: AwareDatetime
    account: str


class GrantEntry(_Table):
    """A role of somebody below a prim.

    Attributes:
        who: an account, `group:NAME`, `token:NAME`, or `os:USER`.
        role: one of the fixed roles, or one that assets name in `twin:roles`.
        below: path of the prim.
    """

    who: str
    role: Name
    below: Annotated[str, AfterValidator(_prim)]


class PolicyDocument(_Table):
    """A policy file as it is written.

    Attributes:
        version: of the form.
        accounts, tokens, groups: by name; a group is a list of accounts.
        grants: who holds which role where.
    """

    version: Literal[1]
    accounts: dict[Name, Account] = {}
    tokens: dict[Name, Token] = {}
    groups: dict[Name, tuple[str, ...]] = {}
    grants: tuple[GrantEntry, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> PolicyDocument:
        _unique((name.casefold() for name in self.accounts), "accounts that differ in case alone")
        users = (user for account in self.accounts.values() for user in account.os_users)
        _unique(users, "an operating system's user of two accounts")
        _unique((token.hash for token in self.tokens.values()), "two tokens of one hash")
        for name, token in self.tokens.items():
            if token.account and token.account not in self.accounts:
                raise ValueError(f"token {name!r} acts as {token.account!r}, which is no account")
        for name, members in self.groups.items():
            for member in members:
                if member not in self.accounts:
                    raise ValueError(f"group {name!r} has {member!r}, which is no account")
        for grant in self.grants:
            self._check_who(grant.who)
        return self

    def _check_who(self, who: str) -> None:
        kind, _, name = who.rpartition(":")
        if kind == "os":
            _user(name)
            if owner := next((a for a, b in self.accounts.items() if name in b.os_users), ""):
                raise ValueError(f"{who!r} is the account {owner!r}: grant to that")
            return
        tables: dict[str, Mapping[str, object]] = {
            "": self.accounts,
            "group": self.groups,
            "token": self.tokens,
        }
        known = tables.get(kind)
        if known is None or name not in known:
            raise ValueError(f"a grant is given to {who!r}, which the file does not have")
        if kind == "token" and self.tokens[name].account:
            raise ValueError(f"{who!r} acts as {self.tokens[name].account!r}: grant to that")


def _unique(items: Iterable[str], what: str) -> None:
    found = list(items)
    if len(found) != len(set(found)):
        raise ValueError(f"there are {what}")


def stamp_of(secret_hash: str) -> str:
    """Return what tells one hash from another and says nothing of it."""
    return hashlib.sha256(secret_hash.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Policy:
    """Who there is and who may what, ready to be asked.

    Attributes:
        grants: by principal's name.
        open: what everybody may everywhere who comes this far.
        accounts, tokens: as the file has them; empty without one.
        os_users: account by user of the operating system.
        strict: whether there is a policy file, so that every principal needs a voucher.
    """

    grants: Mapping[str, tuple[Grant, ...]]
    open: tuple[Grant, ...] = ()
    accounts: Mapping[str, Account] = field(default_factory=dict, repr=False)
    tokens: Mapping[str, Token] = field(default_factory=dict, repr=False)
    os_users: Mapping[str, str] = field(default_factory=dict)
    strict: bool = True

    @classmethod
    def of_document(cls, document: PolicyDocument) -> Policy:
        """Return the policy of a file."""
        grants: dict[str, list[Grant]] = {}
        for entry in document.grants:
            rights, named = ROLES.get(entry.role, PLANT_ROLE)
            for name in _names(entry.who, document.groups):
                grants.setdefault(name, []).append(Grant(entry.role, entry.below, rights, named))
        return cls(
            {name: tuple(held) for name, held in grants.items()},
            accounts=document.accounts,
            tokens=document.tokens,
            os_users={u: name for name, a in document.accounts.items() for u in a.os_users},
        )

    @classmethod
    def of_roles(cls, roles: Mapping[str, Iterable[str]]) -> Policy:
        """Return the policy of a service without a file: users by role, each for the whole plant.

        Whoever reaches the control socket may read, and make the stop request; a role that an asset
        names commands it, and approves what others ask of it.
        """
        grants: dict[str, list[Grant]] = {}
        named = frozenset({Right.COMMAND, Right.APPROVE})
        for role, users in roles.items():
            rights = ROLES.get(role, PLANT_ROLE)[0] - named
            for user in users:
                grants.setdefault(user, []).append(Grant(role, "/", rights, named))
        return cls(
            {name: tuple(held) for name, held in grants.items()},
            open=(Grant("", "/", frozenset({Right.READ, Right.HALT}), frozenset()),),
            strict=False,
        )

    def of(self, name: str, now: float) -> tuple[Grant, ...]:
        """Return what somebody holds; `now` is [s, Unix]."""
        return (*self.grants.get(name, ()), *self.open) if self.has(name, now) else ()

    def has(self, name: str, now: float) -> bool:
        """Tell whether a name stands for somebody who may come in; `now` is [s, Unix]."""
        if not self.strict:
            return True
        kind, _, rest = name.rpartition(":")
        if kind == "token":
            token = self.tokens.get(rest)
            return token is not None and not token.account and _lasts(token, now)
        if kind == "os":
            return bool(rest) and rest not in self.os_users
        account = self.accounts.get(name)
        return not kind and account is not None and not account.disabled

    def vouches(self, who: Principal, now: float) -> bool:
        """Tell whether what said who somebody is still says so; `now` is [s, Unix]."""
        if not self.strict:
            return True
        kind, _, rest = who.via.partition(":")
        if kind == "os":
            known = self.os_users.get(rest, f"os:{rest}") == who.name
        elif kind == "login":
            account = self.accounts.get(who.name)
            known = account is not None and bool(account.password)
            known = known and stamp_of(account.password) == rest  # type: ignore[union-attr]
        elif kind == "token":
            name, _, stamp = rest.partition(":")
            token = self.tokens.get(name)
            known = token is not None and _lasts(token, now) and stamp_of(token.hash) == stamp
            known = known and (token.account or f"token:{name}") == who.name  # type: ignore[union-attr]
        else:
            known = False
        return known and self.has(who.name, now)


def _names(who: str, groups: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    kind, _, name = who.rpartition(":")
    if kind == "group":
        yield from dict.fromkeys(groups[name])
    else:
        yield who


def _lasts(token: Token, now: float) -> bool:
    return now < token.expires.timestamp()
