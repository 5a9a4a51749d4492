"""`desired`: what stands on the prim after any sequence of requests and ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stagetwin.actuation import Fate
from stagetwin.commands import Command
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import Desk, pump, running, speed

STAYS = {"VERIFIED", "UNVERIFIED"}
GONE = {"REJECTED", "FAILED", "EXPIRED", "CANCELLED", "DENIED", "SUPERSEDED"}


def expected(made: list[Command]) -> tuple[float | None, str]:
    """Return value and id of the newest that came into force or is still on its way."""
    standing = [each for each in made if str(each.state) not in GONE]
    return (standing[-1].value, standing[-1].id) if standing else (None, "")


def stands(desk: Desk) -> tuple[float | None, str]:
    return desk.desired(), desk.word("request")


@dataclass
class Way:
    """One way to an end."""

    fates: tuple[Fate, ...]
    seconds: float = 0.0
    rpm: float | None = None
    ends: str = "FAILED"
    more: dict[str, str] = field(default_factory=dict)


WAYS = [
    Way((Fate.WITHHELD,)),
    Way((Fate.SENT, Fate.REFUSED)),
    Way((Fate.SENT, Fate.ACKNOWLEDGED), 0.1, 1500.0, "VERIFIED"),
    Way((Fate.SENT, Fate.ACKNOWLEDGED), 9.0, None, "UNVERIFIED"),
    Way((Fate.SENT, Fate.UNKNOWN), 9.0, None, "UNVERIFIED"),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.ends} {way.fates[-1]}")
def test_desired_stays_where_it_came_into_force_and_goes_back_where_not(
    desk: Desk, way: Way
) -> None:
    made = desk.publish(1500.0)
    desk.report(made, *way.fates)
    desk.tick(way.seconds)
    if way.rpm is not None:
        desk.feel("/Pump.rpm", way.rpm)
    assert made.state == way.ends
    assert stands(desk) == ((1500.0, made.id) if way.ends in STAYS else (None, ""))


def test_what_a_failed_command_displaced_is_not_left_to_the_one_after_it(opened: Open) -> None:
    desk = opened(pump(speed(settleTime=9.0)))
    first = desk.sent(1500.0)
    second = desk.publish(1600.0)
    desk.report(first, Fate.REFUSED)
    assert first.state == "FAILED"
    assert stands(desk) == (1600.0, second.id)
    desk.path.cancel(second.id, "ann")
    assert stands(desk) == (None, ""), "not the value that the machine refused"


class Standing(RuleBasedStateMachine):
    """Any sequence of requests, ends and ticks on one target."""

    folder: pytest.TempPathFactory

    def __init__(self) -> None:
        super().__init__()
        text = pump(speed(approval="single", safe="0", expiry=5.0))
        self.desk = running(text, self.folder.mktemp("desk"))
        self.made: list[Command] = []

    def _open(self, *states: str) -> list[Command]:
        return [each for each in self.made if str(each.state) in states]

    @rule()
    def publish(self) -> None:
        self.made.append(self.desk.publish(100.0 + len(self.made)))

    @rule()
    def publish_what_is_refused(self) -> None:
        self.made.append(self.desk.publish(9999.0))

    @rule()
    def halt(self) -> None:
        self.made.extend(self.desk.path.halt("/Pump", "ann"))
        self.desk.flush()

    @precondition(lambda self: self._open("REHEARSED"))
    @rule()
    def approve(self) -> None:
        self.desk.path.approve(self._open("REHEARSED")[-1].id, "bob")
        self.desk.flush()

    @precondition(lambda self: self._open("REHEARSED"))
    @rule()
    def deny(self) -> None:
        self.desk.path.deny(self._open("REHEARSED")[-1].id, "bob")

    @precondition(lambda self: self._open("REHEARSED", "APPROVED"))
    @rule()
    def cancel(self) -> None:
        self.desk.path.cancel(self._open("REHEARSED", "APPROVED")[-1].id, "ann")

    @precondition(lambda self: self._open("SENT"))
    @rule()
    def withhold(self) -> None:
        self.desk.report(self._open("SENT")[0], Fate.WITHHELD)

    @precondition(lambda self: self._open("SENT", "ACKNOWLEDGED"))
    @rule()
    def refuse(self) -> None:
        self.desk.report(self._open("SENT", "ACKNOWLEDGED")[0], Fate.REFUSED)

    @precondition(lambda self: self._open("SENT"))
    @rule()
    def acknowledge(self) -> None:
        self.desk.report(self._open("SENT")[0], Fate.SENT, Fate.ACKNOWLEDGED)

    @precondition(lambda self: self._open("ACKNOWLEDGED"))
    @rule()
    def verify(self) -> None:
        self.desk.clock.advance(0.1)
        self.desk.feel("/Pump.rpm", self._open("ACKNOWLEDGED")[0].value)
        self.desk.flush()

    @rule()
    def wait(self) -> None:
        self.desk.tick(3.0)
        self.desk.feel("/Pump.rpm", 1.0)
        self.desk.flush()

    @rule()
    def change_guards(self) -> None:
        path = "/Pump.twin:command:speed:address"
        self.desk.edit_plant(path, f"set/{len(self.made)}/{self.desk.target().revision}")
        self.desk.approve_guards()

    @rule()
    def step_the_clock(self) -> None:
        self.desk.clock.now += 100.0
        self.desk.tick()
        self.desk.feel("/Pump.rpm", 1.0)

    @invariant()
    def desired_is_what_came_into_force_last_or_is_on_its_way(self) -> None:
        assert stands(self.desk) == expected(self.made)

    @invariant()
    def one_holds_the_lease_at_most(self) -> None:
        waiting = self._open("SENT", "ACKNOWLEDGED")
        assert len([each for each in waiting if each.origin != "stop"]) <= 1

    def teardown(self) -> None:
        self.desk.close()


def test_desired_is_right_after_any_sequence(tmp_path_factory: pytest.TempPathFactory) -> None:
    Standing.folder = tmp_path_factory
    run_state_machine_as_test(
        Standing, settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
    )
