"""Logging in: what is wrong is told alike, guessing gets slow, and hashes are renewed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from stagetwin import AccessError
from stagetwin.clock import ManualClock
from stagetwin.people import Access, Accounts, Passwords, PolicyFile, Right, load_document
from stagetwin.people import _backoff as backoff
from tests.stages.people.policies import (
    CHEAP,
    HASH,
    NOW,
    PASSWORD,
    account,
    accounts_of,
    new_token,
    opened,
    token,
    write,
)

TEXT = new_token()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(
        tmp_path / "people.toml",
        [("ada", "operator", "/A"), ("token:graf", "viewer", "/B")],
        accounts={
            "ada": account(),
            "off": account(disabled=True),
            "keyless": account(password=""),
        },
        tokens={
            "graf": token(TEXT),
            "mine": token("stagetwin_mine", account="ada"),
            "offs": token("stagetwin_offs", account="off"),
            "old": token("stagetwin_old", days=-1),
        },
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def accounts(path: Path, clock: ManualClock) -> Accounts:
    return accounts_of(opened(path, clock), clock)


def refused(accounts: Accounts, name: str, password: str = "wrong", address: str = "") -> str:
    with pytest.raises(AccessError) as error:
        accounts.login(name, password, address)
    return str(error.value)


# -- passwords


def test_a_right_password_is_that_person(
    accounts: Accounts, path: Path, clock: ManualClock
) -> None:
    who = accounts.login("ada", PASSWORD)
    assert (who.name, who.owner) == ("ada", False)
    assert Access.of_file(path, clock).may(who, Right.READ, "/A/P")
    assert HASH not in repr(who)
    assert PASSWORD not in repr(who)


def test_letters_are_the_same_however_they_are_composed(path: Path) -> None:
    hashed = Passwords(CHEAP).hash("Türschließanlage")
    write(path, accounts={"ada": account(password=hashed)})
    assert accounts_of(opened(path)).login("ada", "Tu\u0308rschließanlage").name == "ada"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong"),
        ("ada", ""),
        ("ada", "x" * 100_000),
        ("ada", "\ud800"),
        ("zoe", PASSWORD),
        ("", PASSWORD),
        ("Ada", PASSWORD),
        ("off", PASSWORD),
        ("off", "wrong"),
        ("keyless", ""),
        ("keyless", PASSWORD),
        pytest.param("token:graf", TEXT, id="its own token"),
        ("\ud800\x00", "wrong"),
    ],
)
def test_every_refusal_reads_the_same(accounts: Accounts, name: str, password: str) -> None:
    assert refused(accounts, name, password) == "wrong name or password"


@pytest.mark.parametrize("name", ["ada", "zoe", "off", "keyless"])
def test_every_refusal_costs_one_verification(
    accounts: Accounts, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    hasher = accounts._passwords._hasher
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, hashed: Any, password: Any) -> Any:
        seen.append(hashed)
        return verify(self, hashed, password)

    monkeypatch.setattr(type(hasher), "verify", counted)
    refused(accounts, name)
    (hashed,) = seen
    assert not hasher.check_needs_rehash(hashed), "of the same cost"


@pytest.mark.parametrize("password", ["short", "x" * 11, "y" * 1025, "\ud800" * 12])
def test_passwords_that_may_not_be_chosen(password: str) -> None:
    with pytest.raises(AccessError, match="password") as error:
        Passwords(CHEAP).hash(password)
    assert password not in str(error.value)


def test_a_service_hashes_as_it_says() -> None:
    hasher = Passwords()._hasher
    assert (hasher.time_cost, hasher.memory_cost, hasher.parallelism) == (3, 65_536, 4)


def test_a_damaged_file_lets_nobody_in(accounts: Accounts, path: Path) -> None:
    path.write_text("version = ")
    assert "damaged" in refused(accounts, "ada", PASSWORD)
    assert accounts.token(TEXT) is None


def test_two_are_verified_at_once_and_a_third_is_told_so(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go = threading.Semaphore(0), threading.Event()
    verify = PasswordHasher.verify

    def held(self: PasswordHasher, hashed: Any, password: Any) -> Any:
        inside.release()
        assert go.wait(60)
        return verify(self, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", held)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(accounts.login("ada", PASSWORD).name))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            assert inside.acquire(timeout=60)
        assert refused(accounts, "ada", PASSWORD) == "many log in at present; try again"
    finally:
        go.set()
        for thread in threads:
            thread.join(60)
    assert found == ["ada", "ada"]
    monkeypatch.undo()
    assert accounts.login("ada", PASSWORD).name == "ada", "being busy is no failure"


# -- a hash of other parameters


def test_an_old_hash_is_renewed_and_nothing_else_is_touched(
    accounts: Accounts, path: Path, clock: ManualClock
) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    text = path.read_text().replace(HASH, old, 1) + "# a remark\n"
    path.write_text(text)
    first = accounts.login("ada", PASSWORD)
    renewed = load_document(path).accounts["ada"].password
    assert renewed != old
    assert not CHEAP.check_needs_rehash(renewed)
    assert path.read_text() == text.replace(old, renewed)
    assert Access.of_file(path, clock).stands(first)
    assert accounts.login("ada", PASSWORD) == first


def test_where_the_file_cannot_be_written_the_old_hash_counts(
    accounts: Accounts, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    path.write_text(path.read_text().replace(HASH, old, 1))

    def full(*_: object) -> None:
        raise AccessError("the disk is full")

    monkeypatch.setattr("stagetwin.people._accounts.write_text", full)
    who = accounts.login("ada", PASSWORD)
    assert load_document(path).accounts["ada"].password == old
    assert Access.of_file(path).stands(who)


# -- guessing


def test_guessing_gets_slow_for_known_and_unknown_names_alike(
    accounts: Accounts, clock: ManualClock
) -> None:
    for wait in (0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30):
        for name in ("ada", "zoe", "off"):
            if wait:
                said = refused(accounts, name, PASSWORD)
                assert said == f"too many wrong passwords; try again in {wait} s"
        clock.advance(wait)
        for name in ("ada", "zoe", "off"):
            assert refused(accounts, name) == "wrong name or password"
    clock.advance(30)
    assert accounts.login("ada", PASSWORD).name == "ada"
    assert refused(accounts, "ada") == "wrong name or password"
    assert accounts.login("ada", PASSWORD).name == "ada", "the count began anew"


def test_an_address_that_tries_many_names_waits(accounts: Accounts, clock: ManualClock) -> None:
    for number in range(20):
        assert refused(accounts, f"u{number}", address="2001:db8::1") == "wrong name or password"
    neighbour, elsewhere = "2001:db8::2", "2001:db8:1::1"
    assert "try again in 1 s" in refused(accounts, "ada", PASSWORD, neighbour)
    assert accounts.login("ada", PASSWORD, elsewhere).name == "ada"
    clock.advance(backoff.FORGET_AFTER + 1)
    assert accounts.login("ada", PASSWORD, neighbour).name == "ada"


def test_a_login_forgives_the_person_and_not_the_address(accounts: Accounts) -> None:
    for number in range(19):
        refused(accounts, f"u{number}", address="192.0.2.1")
    assert accounts.login("ada", PASSWORD, "::ffff:192.0.2.1").name == "ada"
    refused(accounts, "u19", address="192.0.2.1")
    assert "try again" in refused(accounts, "ben", address="192.0.2.1")


def test_strangers_behind_the_same_proxy_cannot_keep_somebody_out(accounts: Accounts) -> None:
    assert accounts.login("ada", PASSWORD, "192.0.2.1").name == "ada"
    for number in range(20):
        refused(accounts, f"u{number}", address="192.0.2.1")
    assert "try again" in refused(accounts, "ben", address="192.0.2.1")
    assert accounts.login("ada", PASSWORD, "192.0.2.1").name == "ada"


def test_strangers_cannot_keep_somebody_out(accounts: Accounts) -> None:
    assert accounts.login("ada", PASSWORD, "192.0.2.1").name == "ada"
    for number in range(6):
        refused(accounts, "ada", address=f"198.51.100.{number}")
    assert "try again" in refused(accounts, "ada", PASSWORD, "198.51.100.200")
    assert accounts.login("ada", PASSWORD, "192.0.2.1").name == "ada"
    for _ in range(5):
        assert refused(accounts, "ada", address="192.0.2.1") == "wrong name or password"
    assert "try again" in refused(accounts, "ada", PASSWORD, "192.0.2.1"), "its own count"


def test_guesses_take_no_memory(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "MAX_KEPT", 50)
    monkeypatch.setattr(backoff, "SLOTS", 40)
    door = backoff.Doorkeeper(clock.steady)
    for number in range(500):
        door.failed(f"u{number}", False, f"10.0.{number // 250}.{number % 250}")
    assert len(door._accounts._kept) == 40
    assert len(door._addresses._kept) == 50


def test_waits_end_however_many_failures() -> None:
    clock = ManualClock(NOW)
    one = backoff.Backoff(free=1, longest=30.0, clock=clock.steady)
    for _ in range(5000):
        one.failed("x")
    assert one.wait("x") == 30.0


# -- tokens


def test_whose_token_it_is(accounts: Accounts, path: Path, clock: ManualClock) -> None:
    access = Access.of_file(path, clock)
    for text, name, root in ((TEXT, "token:graf", "/B"), ("stagetwin_mine", "ada", "/A")):
        who = accounts.token(text)
        assert who is not None
        assert who.name == name
        assert text not in repr(who)
        assert access.readable(who) == (root,)


@pytest.mark.parametrize(
    "text",
    ["", "x", TEXT[:-1], TEXT.upper(), f"{TEXT}x", "stagetwin_", "stagetwin_offs", "stagetwin_old",
     "stagetwin_" + "x" * 10**6, "stagetwin_ä", HASH],
    ids=map(str, range(11)),
)  # fmt: skip
def test_what_is_nobodys_token(accounts: Accounts, text: str) -> None:
    assert accounts.token(text) is None


def test_a_token_ends_and_so_does_who_came_by_it(
    accounts: Accounts, path: Path, clock: ManualClock
) -> None:
    access = Access.of_file(path, clock)
    who, mine = accounts.token(TEXT), accounts.token("stagetwin_mine")
    assert who is not None
    assert mine is not None
    clock.advance(86_399.0)
    assert access.may(who, Right.READ, "/B")
    clock.advance(2.0)
    assert accounts.token(TEXT) is None
    assert not access.may(who, Right.READ, "/B")
    assert not access.may(mine, Right.READ, "/A")
    assert access.allows("ada", Right.READ, "/A"), "the person stays"


def test_a_token_that_is_made_anew_ends_the_old_one(
    accounts: Accounts, path: Path, clock: ManualClock
) -> None:
    access = Access.of_file(path, clock)
    who = accounts.token(TEXT)
    assert who is not None
    other = new_token()
    write(path, [("token:graf", "viewer", "/B")], tokens={"graf": token(other)})
    assert accounts.token(other) is not None, "it counts at once"
    clock.advance(1.0)
    assert accounts.token(TEXT) is None
    assert not access.stands(who)


def test_tokens_are_random_and_recognised() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(text.startswith("stagetwin_") and len(text) == 53 for text in made)


def test_without_argon2_it_says_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "argon2", None)
    with pytest.raises(AccessError, match=r"stagetwin\[web\]"):
        Accounts(PolicyFile(path))
