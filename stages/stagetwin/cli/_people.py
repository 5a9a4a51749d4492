"""`stagetwin people`: who may do what on a running stage, in one policy file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from stagetwin._errors import AccessError
from stagetwin.cli._app import app, console, errors_as_exit
from stagetwin.cli._cells import plain_text
from stagetwin.people import (
    Passwords,
    PolicyDocument,
    add_token,
    create_policy,
    edit_policy,
    load_document,
)

__all__ = ["add", "disable", "enable", "grant", "init", "list_", "passwd", "revoke", "token"]

people = typer.Typer(
    name="people",
    help="Who may do what: accounts, tokens and grants in a policy file, for `run --people`.",
    no_args_is_help=True,
)
app.add_typer(people)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the account.")]
WhoArgument = Annotated[
    str, typer.Argument(metavar="WHO", help="An account, group:NAME, token:NAME or os:USER.")
]
RoleOption = Annotated[
    str,
    typer.Option(
        "--role",
        help="viewer, reviewer, operator, approver, engineer, or one that assets name.",
        show_default=False,
    ),
]
BelowOption = Annotated[str, typer.Option("--below", help="Prim at and below which it counts.")]
OsUserOption = Annotated[
    list[str],
    typer.Option(
        "--os-user",
        help="User of this machine who is this person on the control socket.",
        show_default=False,
    ),
]


@people.callback()
def policy_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy file.")],
) -> None:
    """Who may do what: accounts, tokens and grants in a policy file, for `run --people`."""
    context.obj = file


@people.command()
@errors_as_exit
def init(context: typer.Context) -> None:
    """Make the file, readable by you alone; it grants nothing yet."""
    create_policy(context.obj)
    _say(f"{context.obj} grants nothing to nobody yet; go on with `add`")


@people.command()
@errors_as_exit
def add(
    context: typer.Context,
    name: NameArgument,
    role: RoleOption = "",
    below: BelowOption = "/",
    os_user: OsUserOption = [],
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Nobody logs in by password as this person.")
    ] = False,
) -> None:
    """Add a person; the password is asked for, or is the first line of the standard input."""
    if name in load_document(context.obj).accounts:
        raise AccessError(f"there is an account {name!r} already")
    hashed = "" if no_password else Passwords().hash(_ask_password(name))
    with edit_policy(context.obj) as table:
        if name in table["accounts"]:
            raise AccessError(f"there is an account {name!r} already")
        table["accounts"][name] = {
            "password": hashed,
            "disabled": False,
            "os_users": tuple(os_user),
        }
        _grant(table, name, role, below)
    may = f"{role} at and below {below}" if role else "no role yet"
    _say(f"{name} added: {may}")


@people.command()
@errors_as_exit
def passwd(context: typer.Context, name: NameArgument) -> None:
    """Set a person's password; their sessions end."""
    _account(load_document(context.obj).model_dump(), name)
    hashed = Passwords().hash(_ask_password(name))
    with edit_policy(context.obj) as table:
        _account(table, name)["password"] = hashed
    _say(f"{name} has another password")


@people.command()
@errors_as_exit
def disable(context: typer.Context, name: NameArgument) -> None:
    """Refuse everything of a person, from now on, also where they are in."""
    with edit_policy(context.obj) as table:
        _account(table, name)["disabled"] = True
    _say(f"{name} may nothing more")


@people.command()
@errors_as_exit
def enable(context: typer.Context, name: NameArgument) -> None:
    """Let a person in again."""
    with edit_policy(context.obj) as table:
        _account(table, name)["disabled"] = False
    _say(f"{name} may come in again")


@people.command()
@errors_as_exit
def grant(
    context: typer.Context, who: WhoArgument, role: RoleOption, below: BelowOption = "/"
) -> None:
    """Give somebody a role at and below a prim."""
    with edit_policy(context.obj) as table:
        _grant(table, who, role, below)
    _say(f"{who} is {role} at and below {below}")


@people.command()
@errors_as_exit
def revoke(
    context: typer.Context,
    who: WhoArgument,
    role: RoleOption = "",
    below: Annotated[str, typer.Option("--below", help="Only that of this very prim.")] = "",
) -> None:
    """Take a role from somebody, or all their roles; of `token:NAME` without --role the token."""
    with edit_policy(context.obj) as table:
        kept = [
            entry
            for entry in table["grants"]
            if entry["who"] != who
            or (role and entry["role"] != role)
            or (below and entry["below"] != below)
        ]
        count = len(table["grants"]) - len(kept)
        table["grants"] = kept
        if who.startswith("token:") and not role and not below:
            count += table["tokens"].pop(who.removeprefix("token:"), None) is not None
        if not count:
            raise AccessError(f"{who} has nothing like that")
    _say(f"taken from {who}")


@people.command()
@errors_as_exit
def token(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the token, for yourself.")],
    account: Annotated[
        str, typer.Option("--account", help="Whom it acts as.", show_default=False)
    ] = "",
    role: RoleOption = "",
    below: BelowOption = "/",
    expires: Annotated[
        float, typer.Option("--expires", help="How many days it lasts.", min=0.001, max=3650)
    ] = 90.0,
) -> None:
    """Make a token for a program, and print it: it is shown this once.

    It acts as an account, or has a role of its own. One of the same name ends.
    """
    if bool(account) == bool(role):
        raise AccessError("a token acts as an --account or has a --role of its own; name one")
    with edit_policy(context.obj) as table:
        own = f"token:{name}"
        table["grants"] = [entry for entry in table["grants"] if entry["who"] != own]
        text = add_token(table, name, account, expires, time.time())
        _grant(table, own, role, below)
    print(text)  # noqa: T201 - alone on the standard output, for scripts
    hint = "that is the token; it is kept nowhere and shown this once"
    print(hint, file=sys.stderr)  # noqa: T201


@people.command(name="list")
@errors_as_exit
def list_(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show who there is and what each may; no secret, not even hashed."""
    rows = _rows(load_document(context.obj), time.time())
    if as_json:
        print(json.dumps(rows, indent=2))  # noqa: T201 - plain, for scripts
        return
    if not rows:
        _say("Nobody is granted anything.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("who", "is", "role", "below"):
        table.add_column(column, header_style="dim", overflow="fold")
    for row in rows:
        held = row["grants"] or [{"role": "", "below": ""}]
        for number, one in enumerate(held):
            first = number == 0
            style = "dim" if row["off"] else ""
            cells = (row["who"] if first else "", row["is"] if first else "")
            table.add_row(*(Text(plain_text(cell), style) for cell in cells), *one.values())
    console.print(table)


def _rows(document: PolicyDocument, now: float) -> list[dict[str, Any]]:
    held: dict[str, list[dict[str, str]]] = {}
    for entry in document.grants:
        held.setdefault(entry.who, []).append({"role": entry.role, "below": entry.below})
    rows: list[dict[str, Any]] = []
    for name, account in document.accounts.items():
        words = ["account"] if account.password else ["account without password"]
        words += ["disabled"] if account.disabled else []
        words += [f"OS user {user}" for user in account.os_users]
        words += [f"in {group}" for group, who in document.groups.items() if name in who]
        rows.append({"who": name, "is": ", ".join(words), "off": account.disabled})
    for name, one in document.tokens.items():
        ended = now >= one.expires.timestamp()
        word = f"token of {one.account}" if one.account else "token"
        ends = f"{'ended' if ended else 'until'} {one.expires:%Y-%m-%d}"
        rows.append({"who": f"token:{name}", "is": f"{word}, {ends}", "off": ended})
    for name, members in document.groups.items():
        text = f"group of {', '.join(members) or 'nobody'}"
        rows.append({"who": f"group:{name}", "is": text, "off": not members})
    known = {row["who"] for row in rows}
    rows += [{"who": w, "is": "OS user", "off": False} for w in held if w not in known]
    return [{**row, "grants": held.get(row["who"], [])} for row in rows]


def _account(table: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] | None = table["accounts"].get(name)
    if found is None:
        known = ", ".join(table["accounts"]) or "none"
        raise AccessError(f"there is no account {name!r}; there are {known}")
    return found


def _grant(table: dict[str, Any], who: str, role: str, below: str) -> None:
    entry = {"who": who, "role": role, "below": below}
    if role and entry not in table["grants"]:
        table["grants"] = [*table["grants"], entry]


def _ask_password(name: str) -> str:
    """Return a password from the keyboard, asked for twice, or from the standard input."""
    if sys.stdin.isatty():
        text: str = typer.prompt(
            f"Password of {name}", hide_input=True, confirmation_prompt=True, err=True
        )
        return text
    return sys.stdin.readline().rstrip("\r\n")


def _say(text: str) -> None:
    console.print(Text(plain_text(text)), soft_wrap=True)
