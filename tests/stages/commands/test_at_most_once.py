"""The ledger comes before the wire, and the wire sees a command once, whatever happens."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin import CommandError
from stagetwin.actuation import Fate, Transmission
from stagetwin.commands import TRANSITIONS, Command, PublishRequest, State
from stagetwin.ports import ConnectionState
from tests.stages.commands.desk import READY, SPEED, Desk, pump, running, speed
from tests.stages.plants import command

# -- the ledger comes first


def test_the_entry_is_durable_before_it_is_handed_over(desk: Desk, tmp_path: Path) -> None:
    found: list[list[str]] = []

    def look(left: Transmission) -> None:
        with sqlite3.connect(f"file:{tmp_path / 'commands.db'}?mode=ro", uri=True) as db:
            rows = db.execute("select state from entries where command = ?", (left.id,))
            found.append([state for (state,) in rows])
        db.close()

    desk.wire.on_send = look
    desk.publish()
    assert found == [["REQUESTED", "VALIDATED", "REHEARSED", "APPROVED", "ARMED", "SENT"]]


def test_what_cannot_be_recorded_does_not_leave(desk: Desk) -> None:
    waiting = desk.sent(1200.0)
    desk.durable()
    desk.ledger._db.execute("pragma query_only = on")
    second = desk.publish(1500.0)
    desk.report(waiting, Fate.REFUSED)
    desk.tick()
    desk.flush()
    assert waiting.state == "FAILED", "what is under way is watched on"
    assert (second.state, second.code) == ("REJECTED", "ledger")
    # Which of its entries was lost first depends on how many were written at once.
    assert "readonly" in second.cause or "was lost before" in second.cause
    assert "readonly" in desk.ledger.broken
    assert len(desk.wire.sent) == 1
    desk.ledger._db.execute("pragma query_only = off")
    assert desk.publish().code == "ledger", "a gap in the record is not papered over"
    assert len(desk.wire.sent) == 1


def test_a_full_disk_lets_nothing_leave(desk: Desk) -> None:
    desk.durable()
    (pages,) = desk.ledger._db.execute("pragma page_count").fetchone()
    desk.ledger._db.execute(f"pragma max_page_count = {pages}")
    made: list[Command] = []
    for i in range(100):
        made.append(desk.publish(1000.0 + i))
        if desk.ledger.broken:
            break
        desk.report(made[-1], Fate.WITHHELD)
        desk.durable()
    made.append(desk.publish(5.0))
    assert (made[-1].state, made[-1].code) == ("REJECTED", "ledger")
    assert "full" in made[-1].cause or "was lost before" in made[-1].cause
    assert made[-1].id not in {left.id for left in desk.wire.sent}


# -- at most one transmission

_MOVES = st.lists(
    st.sampled_from(
        [
            *("publish", "other", "cancel", "approve", "approve2", "deny", "tick", "late tick"),
            *("sent", "ack", "refuse", "withhold", "unknown", "rpm", "guards", "halt", "lost"),
            *("flush", "dirty", "sync", "step", "offline", "online", "ready", "unready"),
        ]
    ),
    max_size=25,
)


@given(moves=_MOVES)
def test_no_command_is_handed_over_twice_and_none_unrecorded(
    moves: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = pump(speed(approval="single", permissives=READY, safe="0"), command("gate", safe="1"))
    desk = running(text, tmp_path_factory.mktemp("desk"))
    made: list[Command] = []
    try:
        for move in moves:
            _make(desk, move, made)
        desk.flush()
        handed = [left.id for left in desk.wire.sent]
        assert len(handed) == len(set(handed))
        tokens = [left.token for left in desk.wire.sent]
        assert tokens == sorted(set(tokens))
        desk.durable()
        for each in made:
            states = [e.state for e in desk.ledger.entries(each.id) if e.state != "NOTE"]
            assert ("SENT" in states) == (each.id in handed)
            assert states[-1] == each.state
            assert states == [m.state for m in each.history if m.state != "NOTE"]
            for before, after in zip(["DRAFT", *states], states, strict=False):
                assert State(after) in TRANSITIONS[State(before)]
        desk.ledger.verify()
    finally:
        desk.close()


def _make(desk: Desk, move: str, made: list[Command]) -> None:
    newest = made[-1] if made else None
    fates = {
        "sent": Fate.SENT,
        "ack": Fate.ACKNOWLEDGED,
        "refuse": Fate.REFUSED,
        "withhold": Fate.WITHHELD,
        "unknown": Fate.UNKNOWN,
    }
    if move in ("publish", "other"):
        target = SPEED if move == "publish" else "/Pump.gate"
        request = PublishRequest(
            target=target, value=1.0 * len(made), revision=desk.target(target).revision
        )
        made.append(desk.path.publish(request, "ann"))
    elif move == "halt":
        made.extend(desk.path.halt("/Pump", "cyd"))
    elif move in ("cancel", "approve", "approve2", "deny") and newest is not None:
        who = "cyd" if move == "approve2" else "bob"
        with contextlib.suppress(CommandError):
            getattr(desk.path, move.removesuffix("2"))(newest.id, who)
    elif move in fates and made:
        for each in made:
            desk.report(each, fates[move])
    elif move == "tick":
        desk.tick(0.2)
    elif move == "late tick":
        desk.tick(4.0)
    elif move == "rpm":
        desk.feel("/Pump.rpm", float(len(made) - 1))
    elif move in ("ready", "unready"):
        desk.feel("/Pump.ready", move == "ready")
    elif move == "guards":
        desk.twin.guards_approved()
    elif move == "dirty":
        desk.plant.attr("/Pump.twin:command:speed:address").Set(f"set/{len(made)}")
    elif move == "sync":
        desk.twin.sync_structure()
        desk.approve_guards()
    elif move == "step":
        desk.clock.now += 5.0
    elif move == "lost":
        desk.path.lost("line", "gone")
    elif move == "flush":
        desk.flush()
    elif move in ("offline", "online"):
        desk.wire.states["line"] = ConnectionState(move), ""


def test_the_last_word_of_the_ledger_twice_is_still_one_transmission(desk: Desk) -> None:
    made = desk.publish()
    life = desk.path.records.life(made.id)
    assert life is not None
    desk.path._way._transmit(life, "")
    assert len(desk.wire.sent) == 1
