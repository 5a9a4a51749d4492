"""Rules: signals that command machines by themselves, by the plant's own approved word."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from stagetwin.actuation import Fate
from stagetwin.commands import Command
from stagetwin.signals import Status
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import DESIRED, RPM, Desk, pump, speed
from tests.stages.plants import Part, command, connection, rule, telemetry

HEAT = "/Pump.twin:telemetry:heat:value"
SLOW = "/Pump.slow"


def slow(**fields: Any) -> Part:
    """Above 80 degrees the pump slows down to 500."""
    return rule("slow", HEAT, "double 80", DESIRED, "double 500", **fields)


def ruled(*parts: Part | str, own: Part | None = None, **fields: Any) -> str:
    heat = telemetry("heat", address="heat", unit="Cel")
    return pump(heat, speed(**fields), own or slow(), *parts)


def by_rule(desk: Desk) -> list[Command]:
    desk.flush()
    found = desk.path.records.listed("/", False, 1000)
    return [made for made in reversed(found) if made.origin == "rule"]


def test_a_rule_commands_and_its_word_is_on_record(opened: Open) -> None:
    desk = opened(ruled(approval="none"))
    desk.feel("/Pump.heat", 80.0)
    assert by_rule(desk) == []
    desk.feel("/Pump.heat", 81.5)
    (made,) = by_rule(desk)
    assert (made.state, made.value, made.author, made.origin) == ("SENT", 500.0, SLOW, "rule")
    assert made.reason == f"{HEAT} is 81.5, above 80.0"
    assert desk.desired() == 500.0


def test_it_asks_once_until_its_condition_was_over(opened: Open) -> None:
    desk = opened(ruled())
    for heat in (81.0, 90.0, 95.0):
        desk.clock.advance(0.1)
        desk.feel("/Pump.heat", heat)
    (made,) = by_rule(desk)
    desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 500.0)
    assert made.state == "VERIFIED"
    desk.feel("/Pump.heat", 96.0)
    assert len(by_rule(desk)) == 1
    desk.feel("/Pump.heat", 70.0)
    desk.clock.advance(1.0)
    desk.feel("/Pump.heat", 81.0)
    assert len(by_rule(desk)) == 2


def test_its_condition_must_hold_for_its_time(opened: Open) -> None:
    desk = opened(ruled(own=slow(holdFor=2.0)))
    desk.feel("/Pump.heat", 90.0)
    desk.tick(1.9)
    desk.feel("/Pump.heat", 79.0)
    desk.feel("/Pump.heat", 90.0)
    desk.tick(1.9)
    assert by_rule(desk) == []
    desk.tick(0.1)
    assert len(by_rule(desk)) == 1


@pytest.mark.parametrize("status", [Status.BAD, Status.UNCERTAIN, Status.UNCERTAIN_INITIAL_VALUE])
def test_only_a_fresh_value_counts(opened: Open, status: int) -> None:
    desk = opened(ruled(own=slow(holdFor=1.0)))
    desk.feel("/Pump.heat", 90.0, status=status)
    desk.tick(5.0)
    assert by_rule(desk) == []
    desk.feel("/Pump.heat", 90.0)
    desk.tick(0.9)
    desk.feel("/Pump.heat", 90.0, status=status)
    desk.feel("/Pump.heat", 90.0)
    desk.tick(0.9)
    assert by_rule(desk) == [], "the time begins anew"


def test_a_stale_value_is_no_reason(opened: Open) -> None:
    desk = opened(ruled(own=slow(holdFor=20.0)))
    desk.feel("/Pump.heat", 90.0)
    desk.tick(15.0)
    desk.tick(15.0)
    assert by_rule(desk) == []


@pytest.mark.parametrize(
    ("type_name", "comparison", "threshold", "steps"),
    [
        ("double", "above", "double 80", [(80.0, False), (80.1, True)]),
        ("double", "below", "double 80", [(80.0, False), (79.9, True)]),
        ("int", "equal", "int 3", [(2, False), (3, True)]),
        ("int", "unequal", "int 3", [(3, False), (4, True)]),
        ("bool", "equal", "bool true", [(False, False), (True, True)]),
        ("bool", "unequal", "bool true", [(True, False), (False, True)]),
        ("string", "equal", 'string "jam"', [("run", False), ("jam", True)]),
        ("token", "unequal", 'token "run"', [("run", False), ("x" * 5000, True)]),
    ],
)
def test_every_comparison(
    opened: Open, type_name: str, comparison: str, threshold: str, steps: list[tuple[Any, bool]]
) -> None:
    text = pump(
        telemetry("heat", type_name, address="heat"),
        speed(),
        rule("slow", HEAT, threshold, DESIRED, "double 500", comparison=comparison),
    )
    desk = opened(text)
    assert desk.plant.codes() == []
    for value, fires in steps:
        desk.feel("/Pump.heat", value)
        assert bool(by_rule(desk)) is fires
    assert len(by_rule(desk)[0].reason) <= 1000


def test_a_persons_request_that_waits_goes_before_a_routine_rule(opened: Open) -> None:
    desk = opened(ruled(approval="single"))
    person = desk.publish(1500.0)
    desk.feel("/Pump.heat", 90.0)
    assert by_rule(desk) == []
    assert person.state == "REHEARSED"
    desk.path.cancel(person.id, "ann")
    desk.tick(0.1)
    (made,) = by_rule(desk)
    assert made.state == "REHEARSED", "a rule's command needs the approval that others need"


def test_an_urgent_rule_replaces_it(opened: Open) -> None:
    desk = opened(ruled(own=slow(urgency="urgent"), approval="single"))
    person = desk.publish(1500.0)
    desk.feel("/Pump.heat", 90.0)
    (made,) = by_rule(desk)
    assert (person.state, person.cause) == ("SUPERSEDED", f"by {made.id}")
    assert desk.desired() == 500.0


@pytest.mark.parametrize("end", ["REJECTED", "EXPIRED", "FAILED", "UNVERIFIED", "CANCELLED"])
def test_it_asks_again_only_where_nothing_left_and_nobody_meant_it(opened: Open, end: str) -> None:
    ready = "/Pump.twin:telemetry:ready:value"
    waits = end in ("EXPIRED", "CANCELLED")
    desk = opened(ruled(permissives=ready, approval="single" if waits else "none", expiry=3.0))
    desk.feel("/Pump.ready", end != "REJECTED")
    desk.feel("/Pump.heat", 90.0)
    (made,) = by_rule(desk)
    if end == "FAILED":
        desk.report(made, Fate.SENT, Fate.REFUSED)
    elif end == "CANCELLED":
        desk.path.cancel(made.id, "ann")
    else:
        desk.tick(3.5)
    assert made.state == end
    desk.tick()
    for _ in range(8):
        desk.feel("/Pump.heat", 90.0)
        desk.feel("/Pump.rpm", 1000.0)
        desk.feel("/Pump.ready", True)
        desk.clock.advance(1.0)
        desk.tick()
    again = by_rule(desk)[1:]
    assert bool(again) is (end in ("REJECTED", "EXPIRED"))


def test_a_rule_of_guards_that_nobody_approved_does_not_run(opened: Open) -> None:
    desk = opened(ruled(), approved=False)
    desk.feel("/Pump.heat", 90.0)
    desk.tick(20.0)
    desk.feel("/Pump.heat", 90.0)
    assert by_rule(desk) == []
    desk.approve_guards()
    desk.feel("/Pump.rpm", 1000.0)
    (made,) = by_rule(desk)
    assert made.state == "SENT"


def test_an_edit_of_a_rule_stops_it_until_it_is_approved(opened: Open) -> None:
    desk = opened(ruled())
    desk.edit_plant("/Pump.twin:rule:slow:setpoint", 3000.0)
    desk.feel("/Pump.heat", 90.0)
    assert by_rule(desk) == []


def test_a_sessions_edit_of_a_rule_is_not_heard(opened: Open) -> None:
    from pxr import Usd

    desk = opened(ruled())
    with Usd.EditContext(desk.plant.stage, desk.plant.stage.GetSessionLayer()):
        desk.plant.attr("/Pump.twin:rule:slow:setpoint").Set(3000.0)
        desk.plant.attr("/Pump.twin:rule:slow:threshold").Set(-100.0)
    desk.twin.sync_structure()
    desk.feel("/Pump.heat", 20.0)
    assert by_rule(desk) == []
    desk.feel("/Pump.heat", 90.0)
    (made,) = by_rule(desk)
    assert made.value == 500.0


def test_an_input_of_another_realm_refuses(opened: Open) -> None:
    heat = telemetry("heat", address="heat", connection="real")
    desk = opened(pump(heat, speed(), slow()) + connection("real", realm="plant"))
    desk.feel("/Pump.heat", 90.0)
    (made,) = by_rule(desk)
    assert (made.state, made.code) == ("REJECTED", "realm")


def test_a_rule_obeys_the_limits_and_permissives_of_its_command(opened: Open) -> None:
    desk = opened(ruled(rateLimit=10.0))
    desk.feel("/Pump.heat", 90.0)
    (made,) = by_rule(desk)
    assert (made.state, made.code) == ("REJECTED", "rate")
    assert desk.wire.sent == []


def test_one_rule_that_fails_does_not_stop_the_others(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = "/Pump.twin:command:gate:desired"
    more = (command("gate", approval="none"), rule("open", RPM, "double 5", gate, "double 1"))
    desk = opened(ruled(*more))
    from stagetwin.commands import RuleBook

    holds = RuleBook._holds

    def fail(self: RuleBook, binding: Any) -> bool | None:
        if binding.name == "slow":
            raise RuntimeError("boom")
        return holds(self, binding)

    monkeypatch.setattr(RuleBook, "_holds", fail)
    desk.feel("/Pump.rpm", 4.0)
    desk.feel("/Pump.rpm", 6.0)
    assert {made.author for made in by_rule(desk)} == {"/Pump.open"}


def test_too_many_commands_on_their_way_make_a_rule_wait(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stagetwin.commands import _path

    desk = opened(ruled())
    monkeypatch.setattr(_path, "MAX_OPEN", 0)
    desk.feel("/Pump.heat", 90.0)
    desk.tick(1.0)
    assert by_rule(desk) == []
    monkeypatch.setattr(_path, "MAX_OPEN", 10)
    desk.tick(4.0)
    assert len(by_rule(desk)) == 1


# -- never the same word twice


def verified(desk: Desk) -> None:
    """Let the rule's newest command come true."""
    made = by_rule(desk)[-1]
    desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
    desk.clock.advance(0.1)
    desk.feel("/Pump.rpm", made.value)
    assert made.state == "VERIFIED"


def test_a_signal_that_is_unknown_for_a_moment_is_no_new_reason(opened: Open) -> None:
    desk = opened(ruled())
    desk.feel("/Pump.heat", 90.0)
    verified(desk)
    for status in (Status.BAD, Status.UNCERTAIN, Status.BAD_DEVICE_FAILURE):
        desk.clock.advance(5.0)
        desk.feel("/Pump.heat", 90.0, status=status)
        desk.clock.advance(5.0)
        desk.feel("/Pump.heat", 90.0)
    desk.tick(30.0)
    desk.feel("/Pump.heat", 90.0)
    assert len(by_rule(desk)) == 1
    desk.feel("/Pump.heat", 70.0)
    desk.feel("/Pump.rpm", 1000.0)
    desk.feel("/Pump.heat", 90.0)
    assert len(by_rule(desk)) == 2


def test_an_approval_anew_is_no_new_reason(opened: Open) -> None:
    desk = opened(ruled())
    desk.feel("/Pump.heat", 90.0)
    (made,) = by_rule(desk)
    desk.report(made, Fate.SENT, Fate.REFUSED)
    assert made.state == "FAILED"
    desk.edit_plant("/Pump.twin:rule:slow:threshold", 85.0)
    desk.tick(5.0)
    desk.approve_guards()
    for _ in range(3):
        desk.clock.advance(5.0)
        desk.feel("/Pump.rpm", 1000.0)
        desk.feel("/Pump.heat", 90.0)
    assert len(by_rule(desk)) == 1


def test_a_rule_that_goes_and_comes_back_is_the_same(opened: Open) -> None:
    desk = opened(ruled())
    desk.feel("/Pump.heat", 90.0)
    verified(desk)
    prim = desk.plant.stage.GetPrimAtPath("/Pump")
    prim.RemoveAPI("TwinRuleAPI", "slow")
    desk.twin.sync_structure()
    desk.tick(1.0)
    prim.ApplyAPI("TwinRuleAPI", "slow")
    desk.twin.sync_structure()
    desk.approve_guards()
    desk.clock.advance(5.0)
    desk.feel("/Pump.heat", 90.0)
    desk.tick(5.0)
    assert len(by_rule(desk)) == 1


def test_another_setpoint_is_another_word(opened: Open) -> None:
    desk = opened(ruled())
    desk.feel("/Pump.heat", 90.0)
    verified(desk)
    desk.edit_plant("/Pump.twin:rule:slow:setpoint", 400.0)
    desk.approve_guards()
    desk.clock.advance(1.0)
    desk.feel("/Pump.heat", 90.0)
    assert [made.value for made in by_rule(desk)] == [500.0, 400.0]


def crashed(desk: Desk) -> None:
    """End as if killed: nothing is ended, nothing more is recorded."""
    desk.flush()
    desk.durable()
    desk.ledger.close()
    desk.path._closed = True


@pytest.mark.parametrize("end", ["SENT", "VERIFIED", "FAILED", "CANCELLED"])
def test_a_start_is_no_new_reason(opened: Open, end: str) -> None:
    text = ruled(approval="single" if end == "CANCELLED" else "none")
    first = opened(text)
    first.feel("/Pump.heat", 90.0)
    (made,) = by_rule(first)
    if end == "VERIFIED":
        verified(first)
    elif end == "FAILED":
        first.report(made, Fate.REFUSED)
    elif end == "CANCELLED":
        first.path.cancel(made.id, "ann")
    assert made.state == end
    crashed(first)
    for _ in range(3):
        desk = opened(text)
        desk.path.recover()
        for _ in range(5):
            desk.feel("/Pump.rpm", 1000.0)
            desk.feel("/Pump.heat", 90.0)
            desk.clock.advance(6.0)
        assert desk.wire.sent == []
        crashed(desk)
    last = opened(text)
    last.path.recover()
    last.clock.advance(60.0)
    last.feel("/Pump.rpm", 1000.0)
    last.feel("/Pump.heat", 90.0)
    last.tick(30.0)
    last.feel("/Pump.heat", 70.0)
    last.feel("/Pump.rpm", 1000.0)
    last.feel("/Pump.heat", 90.0)
    last.flush()
    newest = last.path.records.newest_of(SLOW)
    assert newest is not None
    assert newest.id != made.id, "once its condition was over, it is asked for anew"


def test_what_a_service_before_did_not_send_is_asked_for_again(opened: Open) -> None:
    text = ruled(approval="single")
    first = opened(text)
    first.feel("/Pump.heat", 90.0)
    (waiting,) = by_rule(first)
    assert waiting.state == "REHEARSED"
    crashed(first)
    desk = opened(text)
    desk.path.recover()
    desk.feel("/Pump.heat", 90.0)
    desk.tick(5.0)
    newest = desk.path.records.newest_of(SLOW)
    assert newest is not None
    assert newest.id != waiting.id
    assert newest.state == "REHEARSED"


def test_two_rules_against_each_other_move_their_machine_no_faster_than_it_settles(
    opened: Open,
) -> None:
    desk = opened(
        ruled(
            rule("up", RPM, "double 800", DESIRED, "double 1500", comparison="below"),
            own=rule("down", RPM, "double 1200", DESIRED, "double 500"),
            settleTime=3.0,
        )
    )
    desk.feel("/Pump.rpm", 1300.0)
    for _ in range(100):
        for made in by_rule(desk):
            if made.state == "SENT":
                desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
                desk.clock.advance(0.01)
                desk.feel("/Pump.rpm", made.value)
        desk.tick(0.09)
        desk.feel("/Pump.rpm", by_rule(desk)[-1].value)
    times: dict[str, list[float]] = {}
    for made in by_rule(desk):
        times.setdefault(made.author, []).append(made.created)
    assert set(times) == {"/Pump.up", "/Pump.down"}
    for asked in times.values():
        assert len(asked) >= 2
        pauses = [b - a for a, b in itertools.pairwise(asked)]
        assert min(pauses) >= 3.0 - 1e-6


def test_a_rule_pauses_for_a_second_where_its_command_settles_at_once(opened: Open) -> None:
    desk = opened(ruled(settleTime=0.2))
    desk.feel("/Pump.heat", 90.0)
    verified(desk)
    desk.feel("/Pump.heat", 70.0)
    desk.feel("/Pump.heat", 90.0)
    desk.tick(0.8)
    assert len(by_rule(desk)) == 1
    desk.tick(0.2)
    assert len(by_rule(desk)) == 2, "it holds still, and the pause is over"
