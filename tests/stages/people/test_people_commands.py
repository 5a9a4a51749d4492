"""`stagetwin people`: the policy file by hand, with no secret shown or left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stagetwin.cli import _people as module
from stagetwin.cli import _run as _run
from stagetwin.cli import app
from stagetwin.clock import ManualClock, WallClock
from stagetwin.people import Access, Accounts, Passwords, PolicyFile, Right, load_document
from tests.stages.people.policies import CHEAP, PASSWORD, opened, person

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Passwords", lambda: Passwords(CHEAP))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "people.toml"
    done(made, "init")
    return made


def ask(path: Path, *arguments: str, typed: str = "") -> Any:
    return RUNNER.invoke(app, ["people", str(path), *arguments], input=typed)


def done(path: Path, *arguments: str, typed: str = "") -> str:
    result = ask(path, *arguments, typed=typed)
    assert result.exit_code == 0, result.output
    assert "argon2id" not in result.output
    assert PASSWORD not in result.output
    return str(result.stdout)


def refused(path: Path, *arguments: str, typed: str = "") -> str:
    before = path.read_bytes()
    result = ask(path, *arguments, typed=typed)
    assert result.exit_code == 2, result.output
    assert path.read_bytes() == before
    return " ".join(result.output.split())


def add(path: Path, name: str, *arguments: str) -> None:
    done(path, "add", name, *arguments, typed=f"{PASSWORD}\n")


def test_a_person_from_first_to_last(path: Path) -> None:
    add(path, "ada", "--role", "operator", "--below", "/World/Line1", "--os-user", "ada")
    assert path.stat().st_mode & 0o777 == 0o600
    file = PolicyFile(path)
    access, accounts = Access.of_file(file), Accounts(file, Passwords(CHEAP))
    first = accounts.login("ada", PASSWORD)
    assert access.may(first, Right.ACKNOWLEDGE, "/World/Line1/P")
    assert access.user("ada").name == "ada"
    done(path, "grant", "ada", "--role", "viewer")
    done(path, "grant", "ada", "--role", "viewer")
    assert len(load_document(path).grants) == 2, "the same twice is once"
    done(path, "passwd", "ada", typed="another long password\n")
    second = accounts.login("ada", "another long password")
    assert access.stands(second)
    assert not access.stands(first)
    assert access.readable(second) == ("/",)
    done(path, "revoke", "ada", "--role", "viewer")
    done(path, "disable", "ada")
    assert load_document(path).accounts["ada"].disabled
    done(path, "enable", "ada")
    done(path, "revoke", "ada")
    assert load_document(path).grants == ()


def test_a_token_is_shown_once_and_replaces_its_forerunner(path: Path) -> None:
    add(path, "ada", "--role", "operator")
    own = done(path, "token", "grafana", "--role", "viewer", "--expires", "7").strip()
    mine = done(path, "token", "cli", "--account", "ada").strip()
    accounts = Accounts(PolicyFile(path), Passwords(CHEAP))
    for text, name in ((own, "token:grafana"), (mine, "ada")):
        who = accounts.token(text)
        assert who is not None
        assert who.name == name
        assert text not in path.read_text()
    expires = load_document(path).tokens["grafana"].expires.timestamp()
    assert expires == pytest.approx(WallClock().wall() + 7 * 86_400, abs=600)
    again = done(path, "token", "grafana", "--role", "reviewer", "--below", "/A").strip()
    file = opened(path, ManualClock(WallClock().wall()))
    assert Accounts(file, Passwords(CHEAP)).token(own) is None
    who = Accounts(file, Passwords(CHEAP)).token(again)
    assert who is not None
    assert Access.of_file(path).readable(who) == ("/A",), "the old one's grants ended with it"
    done(path, "revoke", "token:grafana")
    assert Accounts(PolicyFile(path), Passwords(CHEAP)).token(again) is None


def test_the_list_says_who_may_what_and_no_secret(path: Path) -> None:
    add(path, "ada", "--role", "operator", "--below", "/World/Line1", "--os-user", "ada")
    done(path, "add", "kiosk", "--no-password", "--role", "viewer")
    done(path, "grant", "os:carl", "--role", "viewer")
    text = done(path, "token", "grafana", "--role", "viewer").strip()
    done(path, "disable", "kiosk")
    shown = done(path, "list")
    rows = {row["who"]: row for row in json.loads(done(path, "list", "--json"))}
    assert list(rows) == ["ada", "kiosk", "token:grafana", "os:carl"]
    assert rows["ada"]["grants"] == [{"role": "operator", "below": "/World/Line1"}]
    assert "disabled" in rows["kiosk"]["is"]
    assert "without password" in rows["kiosk"]["is"]
    for who in rows:
        assert who in shown
    hashed = load_document(path).tokens["grafana"].hash
    assert hashed not in shown + json.dumps(rows)
    assert text not in shown


@pytest.mark.parametrize(
    ("arguments", "typed", "says"),
    [
        (("init",), "", "there already"),
        (("add", "ada"), PASSWORD, "already"),
        (("add", "ben"), "short", "12 to 1024 characters, got 5"),
        (("add", "ben"), "", "got 0"),
        (("add", "b:n"), PASSWORD, "accounts"),
        (("add", "ben", "--role", "viewer", "--below", "World"), PASSWORD, "path of a prim"),
        (("add", "ben", "--os-user", "ada"), PASSWORD, "two accounts"),
        (("passwd", "zoe"), PASSWORD, "no account 'zoe'; there are ada"),
        (("disable", "zoe"), "", "no account 'zoe'"),
        (("grant", "zoe", "--role", "viewer"), "", "'zoe'"),
        (("grant", "os:ada", "--role", "viewer"), "", "grant to that"),
        (("revoke", "ada", "--role", "viewer"), "", "nothing like that"),
        (("token", "t"), "", "name one"),
        (("token", "t", "--account", "ada", "--role", "viewer"), "", "name one"),
        (("token", "t", "--account", "zoe"), "", "no account"),
    ],
)
def test_what_is_refused_changes_nothing(
    path: Path, arguments: tuple[str, ...], typed: str, says: str
) -> None:
    add(path, "ada", "--role", "operator", "--os-user", "ada")
    said = refused(path, *arguments, typed=typed)
    assert says in said
    assert typed != PASSWORD or PASSWORD not in said


def test_a_password_that_was_set_counts_for_who_is_in(path: Path) -> None:
    add(path, "ada", "--role", "viewer")
    hashed = load_document(path).accounts["ada"].password
    assert Access.of_file(path).stands(person("ada", hashed))


def test_roles_and_a_policy_file_are_not_mixed(path: Path, tmp_path: Path) -> None:
    stage = tmp_path / "plant.usda"
    stage.write_text("#usda 1.0\n")
    result = RUNNER.invoke(app, ["run", str(stage), "--people", str(path), "--role", "a=b"])
    assert result.exit_code == 2
    assert "granted in its file" in " ".join(result.output.split())
