"""Loops of policies: approved by somebody who may, on record, and ended when in doubt."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin import CommandError, LedgerDamagedError
from stagetwin.commands import LOOP_BEGUN, LOOP_ENDED, Ledger, Loop, Loops, PublishRequest
from stagetwin.envelopes import Bounds, Envelope
from stagetwin.people import Access
from tests.stages.commands.conftest import Open
from tests.stages.commands.conftest import opened as opened  # a fixture
from tests.stages.commands.desk import SPEED, Desk, pump, speed

ID = "018f0000-0000-7000-8000-000000000001"
ENVELOPE = Envelope(
    commands=(Bounds(target=SPEED, low=0.0, high=1000.0),), seconds=60.0, per_minute=3
)
SESSION = {"id": ID, "bundle": "b" * 64, "envelope": ENVELOPE.digest, "author": "a" * 16}
STATEMENT = {
    "session": SESSION,
    "approver": "c" * 16,
    "reason": "watched it",
    "time": 1.0,
    "signature": "c2lnbmVk",
}


class Room:
    """A desk with loops, and an adviser of ann's that has advised for long enough."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self.desk, self.access = desk, access
        self.loops = Loops(desk.path, desk.ledger, access)
        desk.feel("/Pump.rpm", 100.0)
        desk.feel("/Pump.ready", True)

    def announce(self) -> None:
        self.loops.announce(SESSION, "releases 1", ENVELOPE.plain(), "ann")
        self.beat()

    def beat(self, stage: str = "advisory", *, ready: bool = True) -> Loop:
        return self.loops.beat(ID, "ann", stage, ready=ready, counts={}, advice={})

    def approve(self, user: str = "bob", **changes: Any) -> str:
        """Approve, and return why the ledger refused it; empty for nothing."""
        told: list[str] = []
        self.loops.approve(ID, {**STATEMENT, **changes}, user, told.append)
        self.desk.durable()
        self.desk.path.pump()
        return told[0]

    def begin(self) -> None:
        self.announce()
        assert self.approve() == ""

    def publish(self, value: Any = 500.0, user: str = "ann", **more: Any) -> Any:
        target = self.desk.path.targets.get(SPEED)
        assert target is not None
        request = PublishRequest(
            target=SPEED, value=value, revision=target.revision, session=ID, **more
        )
        return self.loops.publish(request, user)

    @property
    def loop(self) -> Loop:
        return self.loops.find(ID)

    def recorded(self) -> list[tuple[str, dict[str, Any]]]:
        self.desk.durable()
        return [(entry.state, entry.body) for entry in self.desk.ledger.entries(f"loop:{ID}")]


class People:
    """Who holds the pump's role; may change."""

    def __init__(self) -> None:
        self.names = {"ann", "bob", "cyd"}

    def access(self) -> Access:
        people = self

        class Now:
            def read(self, *, now: bool = False) -> Any:
                return Access.of_roles({"operator": people.names})._source.read(now=now)

        return Access(Now())


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
def room(opened: Open, people: People) -> Room:
    access = people.access()
    return Room(opened(pump(), access=access), access)


def test_a_loop_is_on_record_before_its_first_command_and_at_its_end(room: Room) -> None:
    room.begin()
    command = room.publish(reason="policy releases")
    room.desk.flush()
    assert (command.origin, command.author, str(command.state)) == ("policy", "ann", "SENT")
    assert command.reason == f"loop {ID}, approved by bob: policy releases"
    room.loops.leave(ID, "ann", "fallback: unfamiliar")
    (begun, how), (ended, why) = room.recorded()
    assert (begun, ended) == (LOOP_BEGUN, LOOP_ENDED)
    assert (how["by"], how["author"], how["policy"]) == ("bob", "ann", "releases 1")
    assert how["statement"] == STATEMENT
    assert Envelope.of(how["envelope"]) == ENVELOPE
    assert how["until"] == pytest.approx(room.desk.clock.wall() + 60.0)
    assert (why["cause"], why["commands"]) == ("fallback: unfamiliar", 1)
    assert room.desk.ledger.verify() > 4
    with pytest.raises(CommandError, match=r"has no loop: fallback: unfamiliar"):
        room.publish()
    with pytest.raises(CommandError, match="spent"):
        room.approve()
    assert [row["id"] for row in room.loops.rows(lambda _: True)] == [ID]
    assert room.loops.rows(lambda _: False) == []


@pytest.mark.parametrize(
    ("user", "changes", "words"),
    [
        ("ann", {}, "somebody else must approve"),
        ("os:Ann", {}, "somebody else must approve"),
        ("eve", {}, "eve holds no role that may approve at /Pump"),
        ("bob", {"session": {**SESSION, "bundle": "x"}}, "another session, bundle or envelope"),
        ("bob", {"approver": SESSION["author"]}, "somebody else must approve"),
        ("bob", {"signature": 7}, "no approval"),
        ("bob", {"reason": "r" * 1001}, "at most 1000"),
        ("bob", {"more": 1}, "no approval"),
    ],
)
def test_who_may_not_approve_does_not(
    room: Room, user: str, changes: dict[str, Any], words: str
) -> None:
    room.announce()
    with pytest.raises(CommandError, match=words):
        room.approve(user, **changes)
    assert room.recorded() == []
    with pytest.raises(CommandError, match="has no loop"):
        room.publish()


def test_shadow_and_advice_come_first(room: Room) -> None:
    room.loops.announce(SESSION, "releases 1", ENVELOPE.plain(), "ann")
    with pytest.raises(CommandError, match="is shadow; a loop comes after advisory"):
        room.approve()
    room.beat(ready=False)
    with pytest.raises(CommandError, match="has not advised for long enough"):
        room.approve()
    room.beat()
    room.desk.clock.advance(11.0)
    with pytest.raises(CommandError, match="silent"):
        room.approve()


def test_an_author_without_the_role_gets_no_loop(room: Room, people: People) -> None:
    room.announce()
    people.names.discard("ann")
    with pytest.raises(CommandError, match=r"ann holds no role that may command /Pump\.speed"):
        room.approve()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda room, _: room.desk.clock.advance(61.0) or room.beat("loop"), "time is up"),
        (lambda room, _: room.desk.clock.advance(11.0), "silent for 11 s"),
        (lambda _, people: people.names.discard("bob"), "bob may no more approve at /Pump"),
        (lambda _, people: people.names.discard("ann"), "ann may no more command /Pump"),
        (lambda room, _: room.desk.twin.approved.clear(), "guards of what it commands changed"),
        (lambda room, _: room.loops.halt("/Pump", "cyd"), "the stop request of cyd"),
        (lambda room, _: room.loops.stop(ID, "cyd", "enough"), "by cyd: enough"),
        (lambda room, _: room.loops.close(), "the service stopped"),
        (lambda room, _: room.loops.close_session(ID, "ann"), "the session ended"),
    ],
)
def test_a_loop_ends(
    room: Room, people: People, how: Callable[[Room, People], Any], words: str
) -> None:
    room.begin()
    how(room, people)
    room.loops.look()
    assert [state for state, _ in room.recorded()] == [LOOP_BEGUN, LOOP_ENDED]
    assert words in room.recorded()[1][1]["cause"]
    with pytest.raises(CommandError, match=r"has no loop|no open session"):
        room.publish()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda room, _: room.loops.stop(ID, "cyd", "enough"), "by cyd: enough"),
        (lambda _, people: people.names.discard("bob"), "bob may no more approve at /Pump"),
    ],
)
def test_what_a_loop_asked_for_does_not_leave_after_its_end(
    opened: Open, people: People, how: Callable[[Room, People], Any], words: str
) -> None:
    access = people.access()
    room = Room(opened(pump(speed(approval="single")), access=access), access)
    room.begin()
    command = room.publish()
    room.desk.flush()
    assert str(command.state) == "REHEARSED"
    how(room, people)
    room.loops.look()
    assert (str(command.state), room.desk.wire.sent) == ("CANCELLED", [])
    assert command.cause == f"the loop of session {ID} ended: {words}"
    with pytest.raises(CommandError, match="can no more be approved"):
        room.desk.path.approve(command.id, "cyd")


def test_a_session_is_found_by_its_whole_id_whatever_others_are_called(room: Room) -> None:
    room.begin()
    room.loops.announce({**SESSION, "id": f"{ID}-more"}, "p", ENVELOPE.plain(), "eve")
    with pytest.raises(CommandError, match="2 open sessions begin"):
        room.loops.find(ID[:8])
    room.loops.stop(ID, "cyd", "")
    assert room.loop.cause == "by cyd"


def test_one_approval_begins_no_loop_by_the_entry_of_another(room: Room) -> None:
    room.announce()
    told: list[str] = []
    states: list[str] = []

    def tell(why: str) -> None:
        told.append(why)
        states.append(str(room.loop.state))

    room.loops.approve(ID, STATEMENT, "bob", tell)
    room.loops.stop(ID, "cyd", "")
    room.loops.approve(ID, {**STATEMENT, "signature": "b3RoZXI="}, "bob", tell)
    room.desk.durable()
    room.desk.path.pump()
    assert (told, states) == (["it was approved anew", ""], ["BEGINNING", "BEGUN"])


def test_an_envelope_without_a_command_is_nothing_to_approve(room: Room) -> None:
    empty = Envelope(commands=())
    session = {**SESSION, "envelope": empty.digest}
    room.loops.announce(session, "p", empty.plain(), "ann")
    room.beat()
    with pytest.raises(CommandError, match="without a command"):
        room.approve(session=session)
    assert room.recorded() == []


def test_loops_are_no_commands_to_take_up(room: Room) -> None:
    room.begin()
    room.loops.stop(ID, "cyd", "")
    room.desk.durable()
    assert room.desk.ledger.open_commands(frozenset()) == []


def test_outside_of_its_envelope_it_ends(room: Room) -> None:
    asked: list[tuple[Any, dict[str, Any]]] = [(1000.5, {}), (True, {}), ("x", {})]
    asked.append((1.0, {"parameters": {"a": 1}}))
    for value, more in asked:
        room = Room(room.desk, room.access)
        session = {**SESSION, "id": f"session {value}"}
        room.loops.announce(session, "p", ENVELOPE.plain(), "ann")
        name = str(session["id"])
        room.loops.beat(name, "ann", "advisory", ready=True, counts={}, advice={})
        room.loops.approve(name, {**STATEMENT, "session": session}, "bob", lambda _: None)
        room.desk.durable()
        room.desk.path.pump()
        with pytest.raises(CommandError, match="outside the envelope"):
            room.loops.publish(
                PublishRequest(target=SPEED, value=value, session=name, **more), "ann"
            )
        assert room.loops.find(name).cause.endswith("outside the envelope")


def test_so_many_commands_a_minute_and_no_more(room: Room) -> None:
    room.begin()
    for value in (1.0, 2.0, 3.0):
        room.publish(value)
    with pytest.raises(CommandError, match="more than 3 commands a minute"):
        room.publish(4.0)
    assert room.recorded()[-1][1]["commands"] == 3


def test_a_session_is_its_users_alone(room: Room) -> None:
    room.begin()
    for call in (
        lambda: room.publish(user="bob"),
        lambda: room.loops.leave(ID, "bob", ""),
        lambda: room.loops.beat(ID, "bob", "loop", ready=True, counts={}, advice={}),
    ):
        with pytest.raises(CommandError, match="is of ann, not of bob"):
            call()
    assert room.loop.state == "BEGUN"
    with pytest.raises(CommandError, match="announced before"):
        room.announce()
    room.loops.stop(ID, "eve", "")  # without a policy file all may halt, and so end a loop
    assert room.loop.cause == "by eve"


@pytest.mark.parametrize(
    ("session", "envelope", "words"),
    [
        ({**SESSION, "envelope": "0"}, ENVELOPE.plain(), "is of envelope 0"),
        ({"id": ID}, ENVELOPE.plain(), "no session"),
        ({**SESSION, "author": ""}, ENVELOPE.plain(), "1 to 64 plain letters"),
        (SESSION, {"commands": 7}, "no envelope"),
        (SESSION, {"commands": [], "speed": 1}, "no envelope"),
        (SESSION, {"commands": [], "seconds": -1}, "above 0 s"),
        (SESSION, {"commands": [{"target": SPEED, "low": 1}]}, "both are left out"),
    ],
)
def test_what_is_no_session_is_refused(
    room: Room, session: dict[str, Any], envelope: dict[str, Any], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        room.loops.announce(session, "p", envelope, "ann")


def test_a_command_that_is_not_here_is_in_no_envelope(room: Room) -> None:
    other = Envelope(commands=(Bounds(target="/Pump.nothing", values=(True,)),))
    session = {**SESSION, "envelope": other.digest}
    with pytest.raises(CommandError, match=r"no command '/Pump\.nothing' runs here"):
        room.loops.announce(session, "p", other.plain(), "ann")


def test_what_a_service_left_open_ends_with_the_next(room: Room, tmp_path: Path) -> None:
    room.begin()
    room.desk.durable()
    later = Loops(room.desk.path, room.desk.ledger, room.access)
    later.recover()
    assert [state for state, _ in room.recorded()] == [LOOP_BEGUN, LOOP_ENDED]
    later.recover()
    assert room.recorded()[-1][1]["cause"] == "the service started anew"
    (row,) = later.rows(lambda _: True)
    assert (row["state"], row["approver"], row["user"]) == ("ENDED", "bob", "ann")
    with pytest.raises(CommandError, match="announced before"):
        later.announce(SESSION, "p", ENVELOPE.plain(), "ann")


def test_nobody_rewrites_who_approved(tmp_path: Path, room: Room) -> None:
    room.begin()
    room.desk.durable()
    path = room.desk.ledger._path
    with sqlite3.connect(path) as db:
        (body,) = db.execute("select body from entries where state = 'LOOP_BEGUN'").fetchone()
        other = json.dumps({**json.loads(body), "by": "eve"}, sort_keys=True)
        db.execute("update entries set body = ? where state = 'LOOP_BEGUN'", (other,))
    with pytest.raises(LedgerDamagedError, match="was changed"):
        room.desk.ledger.verify()


def test_what_cannot_be_written_begins_nothing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.announce()
    lost = "disk full"
    monkeypatch.setattr(Ledger, "_write", lambda *_: lost)
    told: list[str] = []
    room.loops.approve(ID, STATEMENT, "bob", told.append)
    room.desk.durable()
    room.desk.path.pump()
    assert told == [lost]
    with pytest.raises(CommandError, match="the ledger cannot be written: disk full"):
        room.publish()
    monkeypatch.undo()


@given(
    st.one_of(st.none(), st.floats(), st.integers(), st.booleans(), st.text(max_size=3)),
    st.floats(-1e6, 1e6),
    st.floats(0.0, 1e6),
)
def test_an_envelope_says_the_same_after_its_way_through_json(
    value: Any, low: float, wide: float
) -> None:
    commands = (
        Bounds(target="/A.b", values=("x", True)),
        Bounds(target="/A.c", low=low, high=low + wide),
    )
    made = Envelope(commands=commands)
    again = Envelope.of(json.loads(json.dumps(made.plain())))
    assert again.digest == made.digest
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    within = {
        "/A.b": value is True or value == "x",
        "/A.c": number and low <= value <= low + wide,
        "/A.d": False,
    }
    for target, holds in within.items():
        assert (made.refusal(target, value) == "") is holds
        assert again.refusal(target, value) == made.refusal(target, value)
