"""After the sending: what counts as proof, and what each lack of it is called."""

from __future__ import annotations

from typing import Any

import pytest

from stagetwin.actuation import Fate, Reading
from stagetwin.commands import Command
from stagetwin.identifiers import uuid7
from stagetwin.signals import Status
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import Desk, pump, speed
from tests.stages.plants import telemetry

NEAR = pump(speed(tolerance=5.0))


def ended(made: Command) -> tuple[str, str]:
    return str(made.state), made.code


def test_the_first_sample_after_the_acknowledgement_verifies(opened: Open) -> None:
    desk = opened(NEAR)
    made = desk.sent(1500.0)
    desk.tick(0.5)
    assert made.state == "ACKNOWLEDGED"
    desk.feel("/Pump.rpm", 1504.9)
    assert ended(made) == ("VERIFIED", "")
    found = made.evidence
    assert found is not None
    assert (found.kind, found.signal, found.value) == ("process", "/Pump.rpm", 1504.9)
    assert (found.before, found.after) == (1000.0, 0.5)
    desk.durable()
    assert desk.ledger.entries(made.id)[-1].body["evidence"]["value"] == 1504.9


def test_a_sample_from_before_the_acknowledgement_does_not_count(desk: Desk) -> None:
    desk.feel("/Pump.rpm", 1500.0)  # as commanded before it was commanded
    desk.clock.advance(1.0)
    made = desk.publish(1500.0)
    desk.clock.advance(0.5)
    desk.feel("/Pump.rpm", 1500.0)  # after the sending, and it did not move
    desk.clock.advance(0.5)
    desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
    desk.tick(0.1)
    assert made.state == "ACKNOWLEDGED"
    desk.feel("/Pump.rpm", 1500.0)
    assert made.state == "VERIFIED"


def test_one_that_moved_into_tolerance_since_the_sending_counts(desk: Desk) -> None:
    made = desk.publish(1500.0)
    desk.clock.advance(0.1)
    desk.feel("/Pump.rpm", 1500.0)  # telemetry is faster than the answer
    assert made.state == "SENT", "an answer is waited for"
    desk.clock.advance(0.1)
    desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
    assert made.state == "VERIFIED"


@pytest.mark.parametrize("time", [0.0, -5.0, float("nan"), float("inf")])
def test_a_report_with_an_odd_time_lets_no_old_sample_count(desk: Desk, time: float) -> None:
    desk.feel("/Pump.rpm", 1500.0)
    desk.clock.advance(1.0)
    made = desk.publish(1500.0)
    desk.clock.advance(0.1)
    desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED, time=time)
    desk.tick(0.1)
    assert made.state == "ACKNOWLEDGED"
    desk.feel("/Pump.rpm", 1500.0)
    assert made.state == "VERIFIED", "and no new one is lost"


def test_a_wall_clock_that_is_set_back_makes_no_old_sample_new(desk: Desk) -> None:
    desk.feel("/Pump.rpm", 1500.0)
    desk.tick(1.0)
    desk.clock.now -= 500.0
    desk.tick()
    made = desk.sent(1500.0)
    desk.tick(0.1)
    assert made.state == "ACKNOWLEDGED"


def test_it_must_stay_for_its_dwell(opened: Open) -> None:
    desk = opened(pump(speed(dwell=1.0, settleTime=5.0)))
    made = desk.sent(1500.0)
    desk.clock.advance(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    desk.tick(0.9)
    assert made.state == "ACKNOWLEDGED"
    desk.feel("/Pump.rpm", 1400.0)
    desk.tick(0.2)
    desk.feel("/Pump.rpm", 1500.0)
    desk.tick(0.9)
    assert made.state == "ACKNOWLEDGED", "the dwell begins anew"
    desk.tick(0.1)
    assert made.state == "VERIFIED"


def test_what_was_as_commanded_and_is_no_more_was_overwritten(opened: Open) -> None:
    desk = opened(pump(speed(dwell=1.0)))
    made = desk.sent(1500.0)
    desk.clock.advance(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    desk.clock.advance(0.5)
    desk.feel("/Pump.rpm", 700.0)
    desk.tick(2.0)
    assert ended(made) == ("UNVERIFIED", "overwritten")
    assert "/Pump.rpm was as commanded and is 700.0 1/min now" in made.cause


def test_what_comes_too_late_for_its_dwell_was_not_overwritten(opened: Open) -> None:
    desk = opened(pump(speed(dwell=1.0)))
    made = desk.sent(1500.0)
    desk.clock.advance(1.9)
    desk.feel("/Pump.rpm", 1500.0)
    desk.tick(0.1)
    assert ended(made) == ("UNVERIFIED", "mismatch")
    assert "too late to stay so for 1 s" in made.cause


def test_what_turned_stale_within_its_dwell_was_not_overwritten(opened: Open) -> None:
    desk = opened(pump(speed(dwell=1.0)))
    made = desk.sent(1500.0)
    desk.clock.advance(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    desk.feel("/Pump.rpm", 1500.0, status=Status.BAD_DEVICE_FAILURE)
    desk.tick(2.0)
    assert ended(made) == ("UNVERIFIED", "no-sample")
    assert "not fresh any more" in made.cause


def test_another_value_is_a_mismatch_that_names_both(opened: Open) -> None:
    desk = opened(NEAR)
    made = desk.sent(1500.0)
    desk.clock.advance(0.1)
    desk.feel("/Pump.rpm", 1505.1)
    desk.tick(0.8)
    assert made.state == "ACKNOWLEDGED"
    desk.tick(0.2)
    assert ended(made) == ("UNVERIFIED", "mismatch")
    assert "/Pump.rpm is 1505.1 1/min, 1500.0 +/- 5 was commanded" in made.cause


@pytest.mark.parametrize(
    "status",
    [Status.BAD, Status.UNCERTAIN, Status.UNCERTAIN_INITIAL_VALUE, Status.BAD_OUT_OF_RANGE],
)
def test_samples_that_are_not_good_prove_nothing(desk: Desk, status: int) -> None:
    made = desk.sent(1500.0)
    desk.clock.advance(0.1)
    desk.feel("/Pump.rpm", 1500.0, status=status)
    desk.tick(1.0)
    assert ended(made) == ("UNVERIFIED", "no-sample")


def test_without_a_sample_nothing_is_proven(desk: Desk) -> None:
    made = desk.sent(1500.0)
    desk.tick(1.0)
    assert ended(made) == ("UNVERIFIED", "no-sample")
    assert "/Pump.rpm gave no fresh value after the command was sent" in made.cause


def test_without_a_read_back_it_ends_unverified(opened: Open) -> None:
    desk = opened(pump(speed(readback="")))
    assert ended(desk.sent()) == ("UNVERIFIED", "no-readback")
    made = desk.publish(1400.0)
    desk.tick(1.9)
    assert made.state == "SENT"
    desk.tick(0.1)
    assert ended(made) == ("UNVERIFIED", "no-answer")
    made = desk.publish(1300.0)
    desk.report(made, Fate.SENT, final=True)
    assert ended(made) == ("UNVERIFIED", "no-answer")


# -- answers


@pytest.mark.parametrize(
    ("fates", "code"), [((Fate.WITHHELD,), "withheld"), ((Fate.SENT, Fate.REFUSED), "refused")]
)
def test_a_plain_no_fails(desk: Desk, fates: tuple[Fate, ...], code: str) -> None:
    made = desk.publish()
    desk.report(made, *fates, cause="valve locked")
    assert ended(made) == ("FAILED", code)
    assert "valve locked" in made.cause
    assert len(desk.wire.sent) == 1


@pytest.mark.parametrize("how", ["silence", "unknown", "final", "lost"])
def test_without_an_answer_the_read_back_decides(desk: Desk, how: str) -> None:
    made = desk.publish()
    desk.report(made, Fate.SENT, final=how == "final")
    if how == "unknown":
        desk.report(made, Fate.UNKNOWN, cause="connection broke")
    elif how == "lost":
        desk.path.lost("line", "crashed")
        desk.path.lost("another", "crashed")
    desk.clock.advance(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    if how == "silence":
        assert made.state == "SENT"
        desk.tick(1.9)
    assert ended(made) == ("VERIFIED", "")
    assert made.cause == "without an answer"
    assert "ACKNOWLEDGED" not in desk.states(made)


@pytest.mark.parametrize("asked", [False, True])
def test_what_nobody_says_has_left_is_not_proven_by_what_was_there_before(
    desk: Desk, asked: bool
) -> None:
    desk.feel("/Pump.rpm", 1500.0)
    desk.wire.reads = asked
    made = desk.publish(1500.0)
    for _ in range(29):
        desk.clock.advance(0.1)
        desk.feel("/Pump.rpm", 1500.0)
        if desk.wire.asked:
            desk.answer(1500.0)
    assert made.state == "SENT"
    assert bool(desk.wire.asked) is asked
    desk.tick(0.2)
    assert ended(made) == ("UNVERIFIED", "no-answer")
    assert "as it was before, and nothing says that it left" in made.cause
    desk.clock.advance(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    assert not any("late:" in moment.cause for moment in made.history)


def test_what_was_withheld_after_a_silence_failed(desk: Desk) -> None:
    desk.feel("/Pump.rpm", 1500.0)
    made = desk.publish(1500.0)
    desk.clock.advance(2.5)
    desk.feel("/Pump.rpm", 1500.0)
    desk.report(made, Fate.WITHHELD, cause="2250 ms after its deadline")
    assert ended(made) == ("FAILED", "withheld")


def test_what_left_is_proven_by_what_was_there_before_too(desk: Desk) -> None:
    desk.feel("/Pump.rpm", 1500.0)
    made = desk.publish(1500.0)
    desk.report(made, Fate.SENT)
    desk.clock.advance(2.0)
    desk.feel("/Pump.rpm", 1500.0)
    assert ended(made) == ("VERIFIED", "")


@pytest.mark.parametrize("how", ["silence", "unknown"])
def test_neither_answer_nor_read_back_is_unverified_and_sent_once(desk: Desk, how: str) -> None:
    made = desk.publish()
    if how == "unknown":
        desk.report(made, Fate.SENT, Fate.UNKNOWN)
    for _ in range(40):
        desk.tick(0.1)
    assert ended(made) == ("UNVERIFIED", "no-sample")
    assert len(desk.wire.sent) == 1


def test_news_in_another_order_does_no_harm(desk: Desk) -> None:
    made = desk.publish()
    desk.report(made, Fate.ACKNOWLEDGED)
    desk.report(made, Fate.ACKNOWLEDGED)
    desk.report(made, Fate.SENT, final=True)
    desk.report(made, Fate.UNKNOWN)
    assert made.state == "ACKNOWLEDGED"
    desk.report(made, Fate.WITHHELD, cause="a bug")
    assert made.state == "ACKNOWLEDGED", "what was acknowledged was not withheld"
    assert "withheld after it had left: a bug" in made.history[-1].cause
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    assert made.state == "VERIFIED"
    assert desk.states(made).count("ACKNOWLEDGED") == 1


def test_withheld_after_sent_is_no_proof_that_nothing_left(desk: Desk) -> None:
    made = desk.publish()
    desk.report(made, Fate.SENT, Fate.WITHHELD)
    assert made.state == "SENT"


def test_news_of_what_nobody_sent_changes_nothing(opened: Open) -> None:
    desk = opened(pump(speed(approval="single")))
    made = desk.publish()
    ghost = Command(**{**_fields(made), "id": uuid7()})
    for fate in Fate:
        desk.report(made, fate)
        desk.report(ghost, fate)
    assert made.state == "REHEARSED"
    assert ghost.state == "DRAFT"
    assert desk.states(ghost) == []


def _fields(made: Command) -> dict[str, Any]:
    names = "target value unit author origin reason mode base ttl created expires realm asset"
    return {name: getattr(made, name) for name in names.split()}


def test_news_after_an_expiry_annotates(opened: Open) -> None:
    desk = opened(pump(speed(approval="single")))
    made = desk.publish(ttl=1.0)
    desk.tick(1.0)
    desk.report(made, Fate.ACKNOWLEDGED)
    assert made.state == "EXPIRED"
    assert made.history[-1].cause == "late: acknowledged"


# -- late evidence


def test_late_evidence_is_noted_and_changes_no_end(desk: Desk) -> None:
    made = desk.sent(1500.0)
    desk.tick(1.0)
    assert made.state == "UNVERIFIED"
    desk.feel("/Pump.rpm", 1400.0)
    assert made.history[-1].state == "UNVERIFIED"
    desk.clock.advance(5.0)
    desk.feel("/Pump.rpm", 1500.0)
    assert made.state == "UNVERIFIED"
    assert made.history[-1].cause == "late: /Pump.rpm is 1500.0"
    assert desk.path.records.life(made.id) is None
    assert desk.states(made)[-2:] == ["UNVERIFIED", "NOTE"]


def test_late_evidence_is_not_waited_for_for_ever_nor_after_a_newer_command(desk: Desk) -> None:
    made = desk.sent(1500.0)
    desk.tick(1.0)
    desk.tick(60.0)
    assert desk.path.records.life(made.id) is None
    desk.feel("/Pump.rpm", 1000.0)
    second = desk.sent(1600.0)
    desk.tick(1.0)
    third = desk.publish(1500.0)
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 1600.0)
    assert desk.path.records.life(second.id) is None
    assert second.history[-1].state == "UNVERIFIED"
    assert third.state == "SENT"


# -- asking the device


@pytest.mark.parametrize(("address", "kind"), [("set/speed", "stored"), ("rpm", "process")])
def test_a_device_that_can_be_asked_is_asked_after_its_answer(
    opened: Open, address: str, kind: str
) -> None:
    text = pump(
        telemetry("echo", address=address, scale=2.0, unit="1/min"),
        speed(readback="/Pump.twin:telemetry:echo:value"),
    )
    desk = opened(text)
    desk.feel("/Pump.echo", 500.0)
    desk.wire.reads = True
    made = desk.publish(1500.0)
    assert desk.wire.asked == []
    desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
    assert [channel.address for _, channel in desk.wire.asked] == [address]
    desk.feel("/Pump.echo", 750.0)
    assert made.state == "ACKNOWLEDGED", "telemetry does not count where the device is asked"
    desk.answer(700.0)
    assert made.state == "ACKNOWLEDGED"
    desk.tick(0.1)
    assert len(desk.wire.asked) == 2
    desk.answer(750.0)
    assert ended(made) == ("VERIFIED", "")
    assert made.evidence is not None
    assert (made.evidence.kind, made.evidence.value) == (kind, 1500.0)


@pytest.mark.parametrize(
    ("value", "fields"),
    [(None, {}), (1500.0, {"status": Status.BAD}), ("much", {}), (1500.0, {"status": 1 << 30})],
)
def test_an_answer_that_says_nothing_proves_nothing(
    desk: Desk, value: Any, fields: dict[str, Any]
) -> None:
    desk.wire.reads = True
    made = desk.sent(1500.0)
    for _ in range(12):
        desk.answer(value, **fields)
        desk.tick(0.1)
    assert ended(made) == ("UNVERIFIED", "no-sample")


def test_an_answer_to_another_question_is_ignored(desk: Desk) -> None:
    desk.wire.reads = True
    made = desk.sent(1500.0)
    for number in (0, -1, 99):
        desk.path.reading(Reading(request=number, value=1500.0))
    desk.path.pump()
    assert made.state == "ACKNOWLEDGED"
    desk.answer(1500.0)
    assert made.state == "VERIFIED"
    desk.answer(1.0)
    assert made.state == "VERIFIED"
    assert desk.path._outcomes._questions == {}


def test_a_device_that_never_answers_leaves_no_question_behind(desk: Desk) -> None:
    desk.wire.reads = True
    made = desk.sent(1500.0)
    for _ in range(30):
        desk.tick(0.1)
    assert ended(made) == ("UNVERIFIED", "no-sample")
    desk.tick(61.0)
    desk.tick(0.1)
    desk.wire.reads = False
    desk.tick(1.0)
    assert len(desk.wire.asked) <= 3
    assert desk.path.records.lives() == []
    assert desk.path._outcomes._questions == {}
