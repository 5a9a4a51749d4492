"""Approval by other people: single and dual, on the command path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stagetwin import CommandError
from stagetwin.clock import ManualClock
from stagetwin.commands import Command, State
from stagetwin.people import Access
from tests.stages.commands.desk import Desk, pump, running, speed
from tests.stages.people.policies import NOW, account, opened, token, write

PEOPLE = {name: account() for name in ("ann", "abe", "ada", "mac")}
PEOPLE["ben"] = account(os_users=["ben-pc"])
GRANTS = [
    ("ann", "operator", "/"),
    ("ben", "operator", "/Pump"),
    ("abe", "approver", "/Pump"),
    ("ada", "approver", "/"),
    ("ben", "approver", "/"),
    ("mac", "mechanic", "/"),
    ("os:abe", "approver", "/"),
    ("token:bot", "operator", "/"),
    ("token:bot", "approver", "/"),
]


class Place:
    """A desk under a policy file."""

    def __init__(self, folder: Path, approval: str) -> None:
        self.clock = ManualClock(NOW)
        self.path = folder / "people.toml"
        self.put()
        self.access = Access.of_file(opened(self.path, self.clock), self.clock)
        stage = pump(speed(approval=approval, expiry=600.0), roles=("operator", "mechanic"))
        self.desk: Desk = running(stage, folder, access=self.access)

    def put(self, *without: tuple[str, str, str]) -> None:
        kept = [grant for grant in GRANTS if grant not in without]
        write(self.path, kept, accounts=PEOPLE, tokens={"bot": token()})

    def later(self) -> None:
        self.clock.advance(1.0)

    def approve(self, made: Command, who: str, seen: str = "") -> None:
        self.desk.path.approve(made.id, who, "", seen)
        self.desk.flush()

    def refuse(self, made: Command, who: str, why: str) -> None:
        for act in (self.desk.path.approve, self.desk.path.deny):
            with pytest.raises(CommandError, match=why):
                act(made.id, who)
        assert made.state is State.REHEARSED


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    made: list[Place] = []

    def make(approval: str) -> Place:
        made.append(Place(tmp_path, approval))
        return made[-1]

    yield make
    for each in made:
        each.desk.close()


def test_single_takes_one_other_person(place: Callable[[str], Place]) -> None:
    room = place("single")
    made = room.desk.publish(author="ann")
    assert (made.state, made.needs) == (State.REHEARSED, 1)
    room.refuse(made, "ann", "ann is its author; somebody else")
    assert not room.desk.wire.sent
    room.approve(made, "abe", made.hash)
    assert made.state is State.SENT
    assert "APPROVED" in room.desk.states(made)


def test_dual_takes_two_other_people(place: Callable[[str], Place]) -> None:
    room = place("dual")
    made = room.desk.publish(author="ann")
    room.approve(made, "abe", made.hash)
    room.approve(made, "abe", made.hash)
    room.approve(made, "os:abe", made.hash)
    assert (made.state, made.approvals) == (State.REHEARSED, ["abe"]), "one person is one"
    room.approve(made, "ada", made.hash)
    assert (made.state, made.approvals) == (State.SENT, ["abe", "ada"])


@pytest.mark.parametrize(
    ("author", "who", "why"),
    [
        ("ben", "ben", "is its author"),
        ("ben", "os:ben", "is its author"),
        ("ann", "token:bot", "no role that may approve"),
        ("token:bot", "token:bot", "is its author"),
        ("ann", "zoe", "no role that may approve"),
        ("ann", "os:zoe", "no role that may approve"),
        ("mac", "mac", "is its author"),
    ],
)
def test_who_approves_nothing(
    place: Callable[[str], Place], author: str, who: str, why: str
) -> None:
    room = place("single")
    room.refuse(room.desk.publish(author=author), who, why)


def test_keys_of_a_person_are_that_person(place: Callable[[str], Place]) -> None:
    room = place("single")
    assert room.access.user("ben-pc").name == "ben"
    room.refuse(room.desk.publish(author="ben"), room.access.user("ben-pc").name, "is its author")


def test_a_plant_role_approves_where_the_asset_names_it(place: Callable[[str], Place]) -> None:
    room = place("single")
    made = room.desk.publish(author="ann")
    room.approve(made, "mac")
    assert made.state is State.SENT


def test_another_hash_is_refused(place: Callable[[str], Place]) -> None:
    room = place("single")
    made = room.desk.publish(1500.0, author="ann")
    other = room.desk.publish(1600.0, author="ann")
    assert (made.state, other.state) == (State.SUPERSEDED, State.REHEARSED)
    with pytest.raises(CommandError, match=f"has the hash {other.hash}, and {made.hash} was"):
        room.approve(other, "abe", made.hash)
    assert not other.approvals
    room.approve(other, "abe", other.hash)
    assert room.desk.wire.sent[-1].value == 1600.0


def test_rows_carry_what_is_approved(place: Callable[[str], Place]) -> None:
    room = place("single")
    made = room.desk.publish(author="ann")
    row = made.row(0.0)
    assert (row["hash"], row["asset"]) == (made.hash, "/Pump")
    room.desk.path.cancel(made.id, "ann")
    assert made.row(0.0)["hash"] == "", "what has ended can be approved no more"


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        (("ann", "operator", "/"), "ann does not hold the role"),
        (("abe", "approver", "/Pump"), "abe approved it and may no more"),
    ],
)
def test_a_right_that_was_withdrawn_before_it_left(
    place: Callable[[str], Place], gone: tuple[str, str, str], says: str
) -> None:
    room = place("dual")
    made = room.desk.publish(author="ann")
    room.approve(made, "abe")
    room.put(gone)
    room.later()
    room.approve(made, "ada")
    assert (made.state, made.code) == (State.REJECTED, "rights")
    assert says in made.cause
    assert not room.desk.wire.sent


def test_a_damaged_file_lets_nothing_leave(place: Callable[[str], Place]) -> None:
    room = place("single")
    made = room.desk.publish(author="ann")
    room.path.write_text("")
    room.later()
    room.refuse(made, "abe", "no role that may approve")
    again = room.desk.publish(author="ann")
    assert (again.state, again.code) == (State.REJECTED, "rights")
    room.put()
    room.later()
    third = room.desk.publish(author="ann")
    room.approve(third, "abe")
    assert third.state is State.SENT


@pytest.mark.parametrize(("author", "may"), [("ann", True), ("mac", True), ("abe", False)])
def test_who_may_cancel_anothers(place: Callable[[str], Place], author: str, may: bool) -> None:
    room = place("single")
    made = room.desk.publish(author="ben")
    if may:
        assert room.desk.path.cancel(made.id, author).state is State.CANCELLED
    else:
        with pytest.raises(CommandError, match="no role that may command"):
            room.desk.path.cancel(made.id, author)
