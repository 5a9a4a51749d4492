"""Sessions: random, bounded, and ended by time or by a change of the account."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagetwin.clock import ManualClock
from stagetwin.people import Access, Kept, Sessions
from stagetwin.people import _sessions as module
from tests.stages.people.policies import HASH, NOW, account, opened, person, write

ADA, BEN = person("ada"), person("ben")


class Room:
    """Sessions, and what was told of them."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOW)
        self.path = write(folder / "p.toml", [("ada", "viewer", "/"), ("ben", "viewer", "/")])
        self.access = Access.of_file(opened(self.path, self.clock), self.clock)
        self.opened: list[Kept] = []
        self.closed: list[str] = []
        self.sessions = self.begin()

    def begin(self) -> Sessions:
        return Sessions(
            self.access,
            idle=100.0,
            absolute=1000.0,
            clock=self.clock,
            opened=self.opened.append,
            closed=self.closed.append,
        )


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_an_id_is_random_and_somebodys(room: Room) -> None:
    ids = {room.sessions.open(ADA) for _ in range(5)} | {room.sessions.open(BEN)}
    assert len(ids) == 6
    assert sorted(room.sessions.find(text).name for text in ids) == ["ada"] * 5 + ["ben"]  # type: ignore[union-attr]
    for text in ("", "x", ids.pop()[:-1], "\ud800", room.opened[0].digest):
        assert room.sessions.find(text) is None


def test_an_id_is_kept_nowhere(room: Room) -> None:
    text = room.sessions.open(ADA)
    assert text not in repr(vars(room.sessions))
    assert text not in repr(room.opened)
    assert len(room.opened[0].digest) == 64


def test_it_lasts_while_it_is_used_and_not_beyond_a_shift(room: Room) -> None:
    text = room.sessions.open(ADA)
    for _ in range(19):
        room.clock.advance(50.0)
        assert room.sessions.find(text) == ADA
    room.clock.advance(50.0)
    assert room.sessions.find(text) is None
    assert room.closed == [room.opened[0].digest]


def test_looking_is_no_use(room: Room) -> None:
    text = room.sessions.open(ADA)
    room.clock.advance(60.0)
    assert room.sessions.find(text, touch=False) == ADA
    room.clock.advance(60.0)
    assert room.sessions.find(text) is None


def test_closing_ends_that_one(room: Room) -> None:
    one, other = room.sessions.open(ADA), room.sessions.open(ADA)
    room.sessions.close(one)
    room.sessions.close(one)
    room.sessions.close("x")
    assert room.sessions.find(one) is None
    assert room.sessions.find(other) == ADA
    assert len(room.closed) == 1


@pytest.mark.parametrize("change", [{"disabled": True}, {"password": HASH[:-4] + "AAAA"}, None])
def test_a_change_of_the_account_ends_its_sessions(
    room: Room, change: dict[str, object] | None
) -> None:
    text, other = room.sessions.open(ADA), room.sessions.open(BEN)
    accounts = {"ben": account()} | ({"ada": account(**change)} if change is not None else {})
    write(room.path, accounts=accounts)
    room.clock.advance(1.0)
    assert room.sessions.find(text) is None
    assert room.sessions.find(other) == BEN


def test_they_do_not_pile_up(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 25)
    first = room.sessions.open(BEN)
    mine = [room.sessions.open(ADA) for _ in range(30)]
    assert [room.sessions.find(text) is not None for text in mine] == [False] * 10 + [True] * 20
    assert room.sessions.find(first) == BEN, "nobody pushes others out alone"
    for _ in range(10):
        room.sessions.open(person("eve"))  # who does not stand, and is swept
    assert len(room.sessions) <= 25
    room.clock.advance(101.0)
    room.sessions.sweep()
    assert len(room.sessions) == 0
    assert len(room.closed) == len(room.opened)


def test_a_process_that_starts_again_takes_them_up(room: Room) -> None:
    text = room.sessions.open(ADA)
    gone = room.sessions.open(BEN)
    room.clock.advance(950.0)
    write(room.path, [("ada", "viewer", "/")])
    room.clock.advance(1.0)
    again = room.begin()
    for kept in room.opened[:2]:
        again.restore(kept)
    assert again.find(text) == ADA
    assert again.find(gone) is None
    room.clock.advance(50.0)
    assert again.find(text) is None, "its end stays where it was"
    late = room.begin()
    late.restore(room.opened[0])
    assert len(late) == 0
