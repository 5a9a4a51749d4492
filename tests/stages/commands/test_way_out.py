"""The way to the wire: identity, approval, lease, newer requests, and time."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pxr import Tf, Usd
from pydantic import ValidationError

from stagetwin import CommandError
from stagetwin.actuation import Fate
from stagetwin.commands import PublishRequest
from stagetwin.identifiers import uuid7
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import READY, SPEED, Desk, pump, speed
from tests.stages.plants import command

SINGLE = pump(speed(approval="single", permissives=READY))
DUAL = pump(speed(approval="dual"))


# -- identity


def test_the_same_id_with_the_same_content_is_ignored(desk: Desk) -> None:
    made = desk.publish(id=(name := uuid7()), reason="first")
    again = desk.publish(id=name, reason="another reason", revision=1)
    assert again is made
    assert len(desk.wire.sent) == 1
    assert desk.states(made).count("REQUESTED") == 1


@pytest.mark.parametrize(
    ("value", "author", "target", "mode"),
    [
        (1501.0, "ann", SPEED, "explicit"),
        (1500, "ann", SPEED, "explicit"),
        (1500.0, "bob", SPEED, "explicit"),
        (1500.0, "ann", "/Pump.gate", "explicit"),
        (1500.0, "ann", SPEED, "settled"),
    ],
)
def test_the_same_id_with_other_content_is_an_error(
    opened: Open, value: Any, author: str, target: str, mode: Any
) -> None:
    desk = opened(pump(speed(), command("gate", approval="none")))
    made = desk.publish(1500.0, id=(name := uuid7()))
    with pytest.raises(CommandError, match=f"{name} exists with another content"):
        desk.publish(value, author, target, id=name, mode=mode)
    assert (made.state, len(desk.wire.sent)) == ("SENT", 1)


def test_an_id_is_known_after_a_restart_too(opened: Open) -> None:
    first = opened()
    made = first.publish(id=(name := uuid7()))
    first.close()
    second = opened()
    second.path.recover()
    again = second.publish(id=name)
    assert (again.id, again.fingerprint) == (made.id, made.fingerprint)
    with pytest.raises(CommandError, match="another content"):
        second.publish(7.0, id=name)
    assert second.wire.sent == []


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "x"},
        {"id": "01a1fe99-7ccd-42ca-acfc-d951b20ae03a"},
        {"id": "01A1FE99-7CCD-72CA-ACFC-D951B20AE03A"},
        {"id": "01a1fe99-7ccd-72ca-acfc-d951b20ae03a\n"},
        {"revision": True},
        {"revision": "5"},
        {"revision": 5.0},
        {"ttl": math.nan},
        {"ttl": math.inf},
        {"ttl": 0},
        {"ttl": -1.0},
        {"ttl": True},
        {"ttl": "5"},
        {"reason": "x" * 1001},
        {"reason": "\ud800"},
        {"target": "/" + "x" * 4096},
        {"value": "\ud800"},
        {"value": b"bytes"},
        {"value": {1, 2}},
        {"value": "x" * 70_000},
        {"mode": "later"},
        {"author": "somebody else"},
        {"origin": "stop"},
    ],
    ids=lambda fields: f"{fields!r:.40}",
)
def test_a_malformed_request_is_refused_before_it_is_a_command(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PublishRequest.model_validate({"target": SPEED, "value": 1.0, **fields})


def test_a_value_nested_beyond_reason_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValidationError):
        PublishRequest(target=SPEED, value=value)
    with pytest.raises(ValidationError):
        PublishRequest(target=SPEED, value=10**5000)


# -- approval


def test_one_other_person_approves(opened: Open) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    desk.tick(0.1)
    assert (made.state, made.needs, desk.wire.sent) == ("REHEARSED", 1, [])
    assert desk.desired() == 1500.0
    desk.path.approve(made.id, "bob", "looks right")
    desk.flush()
    assert made.state == "SENT"
    assert made.approvals == ["bob"]
    desk.durable()
    note = next(e for e in desk.ledger.entries(made.id) if e.state == "NOTE")
    assert note.body["approved"] == made.hash
    assert (note.body["by"], note.body["reason"]) == ("bob", "looks right")


def test_two_other_people_approve_and_each_counts_once(opened: Open) -> None:
    desk = opened(DUAL)
    made = desk.publish()
    desk.path.approve(made.id, "bob")
    desk.path.approve(made.id, "bob")
    desk.tick(0.1)
    assert (made.state, made.approvals) == ("REHEARSED", ["bob"])
    desk.path.approve(made.id, "cyd")
    desk.flush()
    assert made.state == "SENT"


@pytest.mark.parametrize("act", ["approve", "deny"])
@pytest.mark.parametrize(("who", "says"), [("ann", "its author"), ("eve", "holds no role")])
def test_who_may_not_approve_is_told_so(opened: Open, act: str, who: str, says: str) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    with pytest.raises(CommandError, match=says):
        getattr(desk.path, act)(made.id, who)
    assert (made.state, made.approvals) == ("REHEARSED", [])


def test_a_denied_command_ends_and_gives_desired_back(opened: Open) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    desk.path.deny(made.id, "bob", "not now")
    assert (made.state, made.code, made.cause) == ("DENIED", "by-hand", "by bob: not now")
    assert (desk.desired(), desk.word("request")) == (None, "")
    with pytest.raises(CommandError, match="is DENIED and can no more"):
        desk.path.approve(made.id, "cyd")


def test_an_approval_runs_out_with_its_command(opened: Open) -> None:
    desk = opened(DUAL)
    made = desk.publish(ttl=5.0)
    desk.path.approve(made.id, "bob")
    desk.clock.advance(5.0)
    desk.path.approve(made.id, "cyd")
    desk.flush()
    assert (made.state, made.code) == ("EXPIRED", "time-to-live")
    assert desk.wire.sent == []


def test_nothing_but_a_waiting_command_is_approved(desk: Desk) -> None:
    made = desk.publish()
    for act in (desk.path.approve, desk.path.deny, desk.path.cancel):
        with pytest.raises(CommandError, match="is SENT and can no more"):
            act(made.id, "bob")
    with pytest.raises(CommandError, match="no command begins"):
        desk.path.approve(uuid7(), "bob")
    with pytest.raises(CommandError, match="no command begins"):
        desk.path.cancel("\ud800", "bob")
    with pytest.raises(CommandError, match="give the whole id"):
        desk.path.cancel(made.id[:3], "bob")


def test_an_approval_is_of_one_hash(opened: Open) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    before = made.hash
    for name, value in (("value", 1.0), ("guard", "x"), ("base", 5), ("unit", "m"), ("realm", "p")):
        held = getattr(made, name)
        setattr(made, name, value)
        assert made.hash != before, name
        setattr(made, name, held)
    assert made.hash == before


# -- permissives are read again


def test_permissives_are_read_again_before_it_leaves(opened: Open) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    desk.feel("/Pump.ready", False)
    desk.path.approve(made.id, "bob")
    desk.flush()
    assert (made.state, made.code) == ("REJECTED", "permissive")
    assert desk.desired() is None
    assert desk.wire.sent == []


def test_the_deadline_counts_from_the_last_look_at_the_permissives(opened: Open) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    desk.tick(3.0)
    desk.path.approve(made.id, "bob")
    armed = desk.clock.steady()
    desk.clock.advance(0.2)  # the ledger takes its time
    desk.flush()
    (left,) = desk.wire.sent
    assert left.deadline == armed + 0.25


# -- lease


def test_a_second_command_waits_until_the_first_has_ended(desk: Desk) -> None:
    first = desk.sent(1500.0)
    second = desk.publish(1600.0)
    desk.tick(0.1)
    assert (second.state, len(desk.wire.sent)) == ("APPROVED", 1)
    assert desk.desired() == 1600.0
    desk.feel("/Pump.rpm", 1500.0)
    desk.flush()
    assert (first.state, second.state) == ("VERIFIED", "SENT")
    assert [left.value for left in desk.wire.sent] == [1500.0, 1600.0]
    assert desk.wire.sent[1].token > desk.wire.sent[0].token


def test_one_that_waits_too_long_expires_and_says_for_what(opened: Open) -> None:
    desk = opened(pump(speed(settleTime=50.0)))
    first = desk.sent(1500.0)
    second = desk.publish(1600.0, ttl=5.0)
    desk.tick(5.0)
    assert (second.state, second.code) == ("EXPIRED", "time-to-live")
    assert f"not sent within 5 s: {first.id} was under way to it" in second.cause
    assert (desk.desired(), desk.word("request")) == (1500.0, first.id)


def test_a_lease_ends_with_every_end(opened: Open) -> None:
    for fates in ([Fate.WITHHELD], [Fate.SENT, Fate.REFUSED]):
        desk = opened()
        made = desk.publish()
        assert desk.target().holder == made.id
        desk.report(made, *fates)
        assert (made.state, desk.target().holder) == ("FAILED", "")
        desk.close()


# -- a newer one, and a hand


def test_a_newer_command_replaces_one_that_has_not_left(opened: Open) -> None:
    desk = opened(SINGLE)
    first, second = desk.publish(1500.0), desk.publish(1600.0)
    assert (first.state, first.code, first.cause) == ("SUPERSEDED", "newer", f"by {second.id}")
    assert (desk.desired(), desk.word("request")) == (1600.0, second.id)
    desk.path.cancel(second.id, "ann", "never mind")
    assert (second.state, second.cause) == ("CANCELLED", "by ann: never mind")
    assert (desk.desired(), desk.word("request")) == (None, "")


def test_the_status_on_the_prim_is_the_newest_requests(opened: Open) -> None:
    desk = opened(pump(speed(settleTime=9.0)))
    first = desk.sent(1500.0)
    second = desk.publish(9999.0)
    assert desk.word("status") == "REJECTED"
    desk.report(first, Fate.REFUSED)
    assert first.state == "FAILED"
    assert (desk.word("status"), desk.word("cause")) == ("REJECTED", second.cause)


def test_request_and_desired_are_written_together(desk: Desk) -> None:
    seen: list[tuple[Any, Any]] = []
    desk.publish(1400.0)
    desk.report(desk.path.records.lives()[0].command, Fate.WITHHELD)
    desk.sent(1500.0)
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 1500.0)

    def look(notice: Usd.Notice.ObjectsChanged, _sender: object) -> None:
        del notice
        seen.append((desk.desired(), desk.word("request")))

    listener = Tf.Notice.Register(Usd.Notice.ObjectsChanged, look, desk.plant.stage)
    before = (desk.desired(), desk.word("request"))
    made = desk.publish(1600.0)
    listener.Revoke()
    assert set(seen) == {before, (1600.0, made.id)}


# -- time


def test_the_time_to_live_ignores_the_wall_clock(opened: Open) -> None:
    desk = opened(SINGLE)
    made = desk.publish(ttl=8.0)
    for _ in range(7):
        desk.clock.now += 0.9  # slewed, never by more than a second at once
        desk.tick()
        desk.tick(1.0)
    assert made.state == "REHEARSED"
    desk.tick(1.0)
    assert (made.state, made.cause) == ("EXPIRED", "not sent within 8 s: 0 of 1 approved it")


def test_no_request_lives_longer_than_its_command_allows(opened: Open) -> None:
    desk = opened(pump(speed(approval="single", expiry=3.0)))
    assert desk.publish(ttl=1e9).ttl == 3.0
    assert desk.publish(ttl=0.5).ttl == 0.5


@pytest.mark.parametrize("step", [1.5, -1.5, 3600.0])
def test_a_step_of_the_wall_clock_expires_what_has_not_left(opened: Open, step: float) -> None:
    desk = opened(pump(speed(approval="single"), command("gate", approval="none")))
    left = desk.publish(1.0, target="/Pump.gate")
    made = desk.publish()
    desk.clock.now += step
    desk.tick()
    assert (made.state, made.code) == ("EXPIRED", "clock-step")
    assert f"{step:+.1f} s" in made.cause
    assert left.state == "SENT", "what has left is only watched"
    assert desk.desired() is None


@pytest.mark.parametrize("step", [0.9, -0.9])
def test_a_smaller_step_does_not(opened: Open, step: float) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    desk.clock.now += step
    desk.tick()
    assert made.state == "REHEARSED"
