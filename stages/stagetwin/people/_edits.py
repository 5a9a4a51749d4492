"""Edits of the policy file by its owner: whole, checked, and one at a time."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stagetwin._errors import AccessError
from stagetwin.people._file import (
    editing,
    load_document,
    parse_document,
    policy_text,
    write_text,
)
from stagetwin.people._passwords import hash_of_token, new_token
from stagetwin.people._policy import PolicyDocument

__all__ = ["add_token", "create_policy", "edit_policy"]


def create_policy(path: Path) -> None:
    """Make a policy file that grants nothing to nobody.

    Raises:
        AccessError: there is a file already, or none can be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise AccessError(f"{path} is there already") from None
    except OSError as error:
        raise AccessError(f"cannot write {path} ({error.strerror or error})") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(policy_text(PolicyDocument(version=1)))


@contextlib.contextmanager
def edit_policy(path: Path) -> Iterator[dict[str, Any]]:
    """Yield a policy file as plain data to be changed, and write what it is then; not comments.

    Raises:
        AccessError: it cannot be read or written, or it would be wrong; then it stays as it is.
    """
    with editing(path):
        table = load_document(path).model_dump()
        yield table
        document = parse_document(table, path)
        text = policy_text(document)
        # What is written must be what was meant; a file that reads otherwise locks people out.
        if parse_document(tomllib.loads(text), path) != document:
            raise AccessError(f"{path} cannot be written so that it reads the same")
        write_text(path, text)


def add_token(table: dict[str, Any], name: str, account: str, days: float, now: float) -> str:
    """Add a token to a policy as plain data, in the place of one of the same name.

    Args:
        table: see `edit_policy`.
        name: of the token.
        account: whom it acts as; empty for grants of its own.
        days: how long it lasts [d].
        now: the time [s, Unix].

    Returns:
        The token; it is kept nowhere.
    """
    text = new_token()
    expires = dt.datetime.fromtimestamp(int(now + days * 86_400), dt.UTC)
    table["tokens"][name] = {"hash": hash_of_token(text), "expires": expires, "account": account}
    return text
