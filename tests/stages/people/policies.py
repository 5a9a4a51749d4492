"""Policy files for tests: real ones, with passwords that are cheap to verify."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from stagetwin.clock import ManualClock
from stagetwin.people import Accounts, Passwords, PolicyDocument, PolicyFile, Principal
from stagetwin.people._file import policy_text, write_text
from stagetwin.people._passwords import hash_of_token, new_token
from stagetwin.people._policy import stamp_of

NOW = 1_700_000_000.0
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"
HASH = CHEAP.hash(PASSWORD)

Grants = Iterable[tuple[str, str, str]]


def account(**fields: Any) -> dict[str, Any]:
    return {"password": HASH, "disabled": False, **fields}


def token(text: str = "", *, account: str = "", days: float = 1.0) -> dict[str, Any]:
    expires = dt.datetime.fromtimestamp(NOW + days * 86_400, dt.UTC)
    return {"hash": hash_of_token(text or new_token()), "expires": expires, "account": account}


def document(
    grants: Grants = (),
    *,
    accounts: Mapping[str, Mapping[str, Any]] | Iterable[str] = (),
    tokens: Mapping[str, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
) -> PolicyDocument:
    """Return a policy; `grants` are (who, role, below), and accounts are those named in them."""
    held = [{"who": who, "role": role, "below": below} for who, role, below in grants]
    if not isinstance(accounts, Mapping):
        names = [*accounts, *(one["who"] for one in held if ":" not in one["who"])]
        accounts = {name: account() for name in names}
    return PolicyDocument.model_validate(
        {
            "version": 1,
            "accounts": dict(accounts),
            "tokens": dict(tokens or {}),
            "groups": dict(groups or {}),
            "grants": held,
        }
    )


def write(path: Path, grants: Grants = (), **fields: Any) -> Path:
    write_text(path, policy_text(document(grants, **fields)))
    return path


def opened(path: Path, clock: ManualClock | None = None) -> PolicyFile:
    return PolicyFile(path, clock or ManualClock(NOW))


def accounts_of(file: PolicyFile, clock: ManualClock | None = None) -> Accounts:
    return Accounts(file, Passwords(CHEAP), clock or ManualClock(NOW))


def person(name: str, hashed: str = HASH) -> Principal:
    """Return who logged in with a password of some hash."""
    return Principal(name, via=f"login:{stamp_of(hashed)}")
