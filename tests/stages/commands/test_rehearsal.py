"""The step from VALIDATED to REHEARSED: it holds nothing up, and denies in doubt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stagetwin.bindings import CommandBinding
from stagetwin.commands import Command, State, Verdict
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import DESIRED, Desk, pump, speed
from tests.stages.plants import rule

HELD = Verdict("held", "nothing near a limit", {"verdict": "held", "hash": "h1", "margins": [1.0]})
VIOLATED = Verdict("violated", "/Tank.level comes to 3 m", {"violations": [{"value": 3.0}]})


class Stage:
    """Rehearses when a test says so.

    Attributes:
        asked: what was begun: command, binding, value and what takes the verdict.
        given_up: ids of what was given up.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Command, CommandBinding, Any, Callable[[Verdict], None]]] = []
        self.given_up: list[str] = []

    def begin(
        self,
        command: Command,
        binding: CommandBinding,
        value: Any,
        done: Callable[[Verdict], None],
    ) -> Callable[[], None]:
        self.asked.append((command, binding, value, done))
        return lambda: self.given_up.append(command.id)

    def say(self, verdict: Verdict, which: int = -1) -> None:
        self.asked[which][3](verdict)


def rehearsing(opened: Open, **fields: Any) -> tuple[Desk, Stage]:
    desk = opened(pump(speed(rehearsal="required", rehearsalHorizon=30.0, **fields)))
    stage = Stage()
    desk.path.rehearsals.rehearser = stage
    return desk, stage


def test_a_command_waits_in_validated_and_others_go_on(opened: Open) -> None:
    desk, stage = rehearsing(opened)
    made = desk.publish(1500.0)
    desk.tick(0.1)
    assert made.state is State.VALIDATED
    ((command, binding, value, _),) = stage.asked  # once, whatever the ticks
    assert (command, value) == (made, 1500.0)
    assert (binding.rehearsal_horizon, binding.rehearsal_budget) == (30.0, 2.0)
    stage.say(HELD)
    assert made.state is State.VALIDATED  # it is taken up by the owner's thread
    desk.path.pump()
    desk.flush()
    assert made.state is State.SENT
    assert made.row(0.0)["rehearsal"] == {"verdict": "held", "hash": "h1"}
    assert made.row(0.0, history=True)["rehearsal"]["evidence"]["margins"] == [1.0]
    assert stage.given_up == []


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (VIOLATED, "its rehearsal is violated: /Tank.level comes to 3 m"),
        (Verdict("inconclusive", "over its budget of 2 s", {}), "over its budget of 2 s"),
        (Verdict("HELD", "", {}), "is inconclusive"),
        (Verdict("", "", {}), "is inconclusive"),
    ],
)
def test_anything_but_held_is_refused(opened: Open, verdict: Verdict, says: str) -> None:
    desk, stage = rehearsing(opened)
    made = desk.publish(1500.0)
    stage.say(verdict)
    desk.path.pump()
    assert (made.state, made.code) == (State.REJECTED, "rehearsal")
    assert says in made.cause
    assert desk.plant.get(DESIRED) is None
    assert says in desk.plant.get("/Pump.twin:command:speed:cause")
    desk.durable()
    last = desk.ledger.entries(made.id)[-1]
    assert (last.state, last.body["code"]) == ("REJECTED", "rehearsal")
    assert last.body["rehearsal"]["verdict"] in ("violated", "inconclusive")
    assert len(last.body["rehearsal"]["hash"]) >= 2


def test_without_anybody_who_rehearses_it_is_refused(opened: Open) -> None:
    desk = opened(pump(speed(rehearsal="required")))
    made = desk.publish(1500.0)
    desk.tick()
    assert (made.state, made.code) == (State.REJECTED, "rehearsal")
    assert "nothing here can rehearse it" in made.cause


def test_what_is_read_when_it_is_armed_is_of_then(opened: Open) -> None:
    ready = "/Pump.twin:telemetry:ready:value"
    desk, stage = rehearsing(opened, permissives=ready)
    desk.feel("/Pump.ready", True)
    made = desk.publish(1500.0)
    assert made.state is State.VALIDATED
    desk.feel("/Pump.ready", False)  # the present moves on while it is rehearsed
    stage.say(HELD)
    desk.path.pump()
    assert (made.state, made.code) == (State.REJECTED, "permissive")


def test_what_ends_meanwhile_is_given_up_and_late_verdicts_change_nothing(opened: Open) -> None:
    desk, stage = rehearsing(opened)
    first = desk.publish(1500.0)
    second = desk.publish(1600.0)
    assert first.state is State.SUPERSEDED
    stage.say(HELD, 0)
    desk.path.pump()
    assert (first.state, second.state) == (State.SUPERSEDED, State.VALIDATED)
    desk.path.cancel(second.id, "ann")
    third = desk.publish(1700.0)
    desk.tick(third.ttl + 0.1)
    assert third.state is State.EXPIRED
    assert "it was being rehearsed" in third.cause
    assert stage.given_up == [first.id, second.id, third.id]
    assert desk.wire.sent == []


def test_an_approval_comes_after_the_rehearsal(opened: Open) -> None:
    desk, stage = rehearsing(opened, approval="single")
    made = desk.publish(1500.0)
    stage.say(HELD)
    desk.path.pump()
    assert made.state is State.REHEARSED
    assert made.cause == "its rehearsal held: nothing near a limit"
    desk.path.approve(made.id, "bob")
    desk.flush()
    assert made.state is State.SENT


def test_a_stop_request_skips_it(opened: Open) -> None:
    desk, stage = rehearsing(opened, safe="0")
    (made,) = desk.path.halt("/Pump", "ann")
    desk.flush()
    assert made.state is State.SENT
    assert stage.asked == []


def test_a_command_that_asks_for_none_says_so(opened: Open) -> None:
    desk = opened(pump(speed(policyClass="routine")))
    made = desk.publish(1500.0)
    said = [moment.cause for moment in made.history if moment.state == "REHEARSED"]
    assert said == ["policy routine: no rehearsal is asked for"]


def test_a_rehearser_that_fails_refuses(opened: Open) -> None:
    desk, stage = rehearsing(opened)

    def fail(*_: Any) -> Any:
        raise OSError("no memory")

    stage.begin = fail  # type: ignore[method-assign]
    made = desk.publish(1500.0)
    assert (made.state, made.code) == (State.REJECTED, "fault")
    assert "no memory" in made.cause


def test_the_ledger_tells_what_a_rehearsal_came_to_after_a_restart(opened: Open) -> None:
    desk, stage = rehearsing(opened)
    made = desk.publish(1500.0)
    stage.say(VIOLATED)
    desk.path.pump()
    desk.durable()
    past = desk.path.records.recorded(desk.ledger.entries(made.id))
    assert past is not None
    assert past.rehearsal is not None
    assert past.rehearsal["evidence"] == {"violations": [{"value": 3.0}]}


def test_long_evidence_is_kept_as_its_hash(opened: Open) -> None:
    desk, stage = rehearsing(opened)
    made = desk.publish(1500.0)
    stage.say(Verdict("violated", "much", {"violations": ["x" * 100] * 1000}))
    desk.path.pump()
    assert made.rehearsal is not None
    assert made.rehearsal.keys() == {"verdict", "cause", "hash"}


def test_the_timers_of_rules_are_told(opened: Open) -> None:
    rpm = "/Pump.twin:telemetry:rpm:value"
    slow = rule("slow", rpm, "double 2000", DESIRED, "double 500", comparison="above", holdFor=5.0)
    desk = opened(pump(speed(), slow))
    timers = desk.rules.timers
    assert timers(desk.clock.steady())["/Pump.slow"] == {"held": None, "asked": False, "wait": 0.0}
    desk.feel("/Pump.rpm", 2500.0)
    desk.tick(2.0)
    found = timers(desk.clock.steady())["/Pump.slow"]
    assert found["held"] == pytest.approx(2.0)
    desk.feel("/Pump.rpm", 2500.0)
    desk.tick(4.0)
    found = timers(desk.clock.steady())["/Pump.slow"]
    assert found["asked"] is True
    assert found["wait"] == pytest.approx(1.0)
