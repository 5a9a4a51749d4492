"""The policy file: what is refused, how a change counts, and that damage never widens."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin import AccessError
from stagetwin.clock import ManualClock
from stagetwin.people import Access, PolicyFile, Right, create_policy, edit_policy, load_document
from stagetwin.people._file import policy_text
from stagetwin.people._policy import Policy
from tests.stages.people.policies import (
    HASH,
    NOW,
    account,
    document,
    opened,
    person,
    token,
    write,
)

ADA = person("ada")
FULL: dict[str, Any] = {
    "grants": [
        ("ada", "operator", "/World/Line1"),
        ("group:shift", "approver", "/World"),
        ("token:graf", "viewer", "/"),
        ("os:carl", "viewer", "/World"),
    ],
    "accounts": {
        "ada": account(os_users=["ada"]),
        "ben": account(disabled=True),
        "c.d@plant": account(password=""),
    },
    "tokens": {"graf": token(), "ada-cli": token(account="ada")},
    "groups": {"shift": ["ben", "c.d@plant"]},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.toml"


def put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


# -- what it may be


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o660])
def test_others_may_not_read_it(path: Path, mode: int) -> None:
    write(path, [("ada", "viewer", "/")]).chmod(mode)
    with pytest.raises(AccessError, match=rf"chmod 600.*{mode:04o}"):
        PolicyFile(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_it_belongs_to_the_service(path: Path) -> None:
    os.chown(write(path), 12345, 12345)
    with pytest.raises(AccessError, match="must belong to"):
        PolicyFile(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_edit_by_root_leaves_it_to_its_owner(path: Path, monkeypatch: Any) -> None:
    os.chown(write(path), 12345, 12345)
    with pytest.raises(AccessError, match="must belong to"), edit_policy(path):
        pass
    from stagetwin.people._file import write_text

    write_text(path, "version = 1\n")
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 12345, 0o600)


def test_a_missing_file_is_no_policy(path: Path) -> None:
    with pytest.raises(AccessError, match="cannot read"):
        Access.of_file(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "version"),
        ("version = 2", "version"),
        ("version = 1\nadmins = ['ada']", "admins"),
        ("version = 1\nx", "no TOML"),
        ("version = 1\n[accounts.ada]\npassword = 'secret'\ndisabled = false", "argon2id"),
        ("version = 1\n[accounts.ada]\npassword = ''", "accounts.ada.disabled"),
        ("version = 1\n[accounts.'a:b']\ndisabled = false", "accounts"),
        ("version = 1\n[accounts.ada]\ndisabled=false\n[accounts.Ada]\ndisabled=false", "case"),
        ("version = 1\n[[grants]]\nwho = 'ada'\nrole = 'viewer'\nbelow = '/'", "'ada'"),
        ("version = 1\n[[grants]]\nwho = 'os:c'\nrole = 'viewer'", "grants.0.below"),
        ("version = 1\n[[grants]]\nwho = 'os:c'\nrole = 'viewer'\nbelow = 'World'", "/World/Line1"),
        ("version = 1\n[[grants]]\nwho = 'os:c'\nrole = 'viewer'\nbelow = '/A/'", "grants.0.below"),
        ("version = 1\n[[grants]]\nwho = 'os:'\nrole = 'viewer'\nbelow = '/'", "operating system"),
        ("version = 1\n[[grants]]\nwho = 'x:c'\nrole = 'viewer'\nbelow = '/'", "'x:c'"),
        ("version = 1\n[groups]\nshift = ['zoe']", "'zoe'"),
        ("version = 1\n[tokens.t]\nhash='00'\naccount=''\nexpires=2030-01-01T00:00:00Z", "hash"),
    ],
)
def test_what_is_wrong_is_said(path: Path, text: str, says: str) -> None:
    put(path, text)
    with pytest.raises(AccessError, match=says) as error:
        PolicyFile(path)
    assert str(path) in str(error.value)
    assert "secret" not in str(error.value), "what may be a secret is not repeated"


def test_a_hash_may_not_ask_for_all_memory(path: Path) -> None:
    greedy = HASH.replace("m=8,", "m=9999999,")
    put(path, f"version = 1\n[accounts.ada]\ndisabled = false\npassword = '{greedy}'\n")
    with pytest.raises(AccessError, match="1 GiB") as error:
        PolicyFile(path)
    assert greedy not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"expires": "2030-01-01T00:00:00"}, "timezone"),
        ({"account": "zoe"}, "no account"),
    ],
)
def test_tokens_end_at_a_known_time_and_act_as_somebody(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        document(tokens={"t": {**token(), **fields}})


def test_grants_go_to_the_person_and_not_to_a_key() -> None:
    with pytest.raises(ValueError, match="grant to that"):
        document([("token:t", "viewer", "/")], accounts=["ada"], tokens={"t": token(account="ada")})
    with pytest.raises(ValueError, match="grant to that"):
        document([("os:ada", "viewer", "/")], accounts={"ada": account(os_users=["ada"])})


def test_no_secret_in_a_repr() -> None:
    whole = document(**FULL)
    shown = f"{whole!r}{Policy.of_document(whole)!r}"
    assert "argon2" not in shown
    assert whole.tokens["graf"].hash not in shown


# -- written and read


def test_what_is_written_reads_the_same(path: Path) -> None:
    write(path, **FULL)
    assert load_document(path) == document(**FULL)
    assert path.stat().st_mode & 0o777 == 0o600


@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=("Cs", "Zs", "Cc", "Zl", "Zp")), min_size=1
        ).filter(lambda name: ":" not in name and name.isprintable()),
        max_size=3,
        unique=True,
    )
)
@settings(max_examples=40)
def test_odd_names_survive(tmp_path: Path, users: list[str]) -> None:
    path = tmp_path / "odd.toml"
    made = write(path, accounts={"ada": account(os_users=users)})
    assert load_document(made).accounts["ada"].os_users == tuple(users)


def test_a_file_is_made_once_and_for_its_owner_alone(path: Path) -> None:
    mask = os.umask(0)
    try:
        create_policy(path)
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_document(path).grants == ()
    with pytest.raises(AccessError, match="there already"):
        create_policy(path)


def test_a_wrong_edit_leaves_the_file_as_it_is(path: Path) -> None:
    write(path, **FULL)
    before = path.read_bytes()
    with pytest.raises(AccessError, match="'zoe'"), edit_policy(path) as table:
        table["groups"]["shift"] = ("zoe",)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name], "nothing is left beside it"


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    path.symlink_to(write(tmp_path / "there" / "real.toml", **FULL))
    with edit_policy(path) as table:
        table["accounts"]["ada"]["disabled"] = True
    assert path.is_symlink()
    assert load_document(path).accounts["ada"].disabled


# -- as it changes


def test_a_change_counts_at_the_next_look(path: Path) -> None:
    clock = ManualClock(NOW)
    access = Access.of_file(opened(write(path, [("ada", "viewer", "/A")]), clock), clock)
    assert access.readable(ADA) == ("/A",)
    write(path, [("ada", "viewer", "/B")])
    clock.advance(1.0)
    assert access.readable(ADA) == ("/B",)
    write(path, accounts={"ada": account(disabled=True)})
    clock.advance(1.0)
    assert not access.stands(ADA)
    assert access.readable(ADA) == ()


def test_somebody_new_counts_at_once(path: Path) -> None:
    clock = ManualClock(NOW)
    access = Access.of_file(opened(write(path), clock), clock)
    assert not access.stands(ADA)
    write(path, [("ada", "viewer", "/A")])
    assert access.stands(ADA)
    assert access.may(ADA, Right.READ, "/A")


def test_another_password_ends_who_came_in_by_the_old_one(path: Path) -> None:
    clock = ManualClock(NOW)
    access = Access.of_file(opened(write(path, [("ada", "viewer", "/A")]), clock), clock)
    other = HASH[:-4] + "AAAA"
    write(path, [("ada", "viewer", "/A")], accounts={"ada": account(password=other)})
    clock.advance(1.0)
    assert not access.stands(ADA)
    assert access.stands(person("ada", other))


@pytest.mark.parametrize("how", ["torn", "gone", "open", "emptied"])
def test_damage_stops_all_but_looking_and_halting_until_it_is_whole(
    path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    clock = ManualClock(NOW)
    access = Access.of_file(opened(write(path, [("ada", "operator", "/A")]), clock), clock)
    if how == "torn":
        put(path, path.read_text()[:-2])
    elif how == "gone":
        path.unlink()
    elif how == "open":
        path.chmod(0o644)
    else:
        put(path, "")
    with caplog.at_level(logging.INFO, "stagetwin.people"):
        for _ in range(5):
            clock.advance(1.0)
            given = {right for right in Right if access.may(ADA, right, "/A", ("operator",))}
            assert given == {Right.READ, Right.HALT}
        assert sum(r.levelname == "ERROR" for r in caplog.records) == 1
        write(path, [("ada", "operator", "/A")])
        clock.advance(1.0)
        assert access.may(ADA, Right.COMMAND, "/A", ("operator",))
    assert "whole again" in caplog.text
    assert "argon2id$" not in caplog.text


def test_no_beginning_of_a_file_grants_more_than_the_whole(path: Path) -> None:
    text = policy_text(document(**FULL))
    whole = Policy.of_document(document(**FULL))
    names = ["ada", "ben", "c.d@plant", "token:graf", "os:carl", "os:ada", "token:ada-cli"]
    usable = 0
    for end in range(len(text)):
        put(path, text[:end])
        try:
            part = Policy.of_document(load_document(path))
        except AccessError:
            continue
        usable += 1
        for name in names:
            assert set(part.of(name, NOW)) <= set(whole.of(name, NOW)), (end, name)
    assert usable > 5, "some beginnings are whole files"
