"""Permissives and the local/remote switch: three-valued, and what is unknown never permits."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stagetwin.commands import Command
from stagetwin.signals import Status
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import READY, RPM, Desk, pump, speed
from tests.stages.plants import telemetry


def refused(made: Command, code: str, says: str) -> None:
    """Assert that a command was rejected, and its message."""
    assert (made.state, made.code) == ("REJECTED", code), made.cause
    assert re.search(says, made.cause), made.cause


def nothing_left(desk: Desk, made: Command) -> None:
    desk.tick(0.1)
    assert desk.wire.sent == []
    assert desk.desired() is None
    assert desk.states(made) == ["REQUESTED", "REJECTED"]
    assert (desk.word("status"), desk.word("cause")) == ("REJECTED", made.cause)


# -- permissives: three-valued

GUARDED = pump(speed(permissives=READY))


@pytest.mark.parametrize(
    ("value", "status", "seconds", "says"),
    [
        (False, 0, 0.0, "false"),
        (True, Status.BAD_DEVICE_FAILURE, 0.0, "unknown, which does not permit"),
        (True, Status.UNCERTAIN, 0.0, "unknown"),
        (True, Status.UNCERTAIN_INITIAL_VALUE, 0.0, "unknown"),
        (True, Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, 0.0, "unknown"),
        (True, 0, 11.0, "unknown"),
    ],
)
def test_a_permissive_that_is_not_good_and_true_does_not_permit(
    opened: Open, value: bool, status: int, seconds: float, says: str
) -> None:
    desk = opened(GUARDED)
    desk.feel("/Pump.ready", value, status=status)
    desk.clock.advance(seconds)
    desk.feel("/Pump.rpm", 1000.0)
    made = desk.publish()
    refused(made, "permissive", f"the permissive {READY} is {says}")
    nothing_left(desk, made)


@pytest.mark.parametrize(
    "permissive",
    [
        telemetry("lid", "bool", address="lid"),  # never said anything
        telemetry("lid", "double", address="lid"),  # no word of yes or no
        'bool twin:telemetry:lid:value = true\nstring twin:telemetry:lid:unit = "1"',  # no signal
    ],
    ids=["never arrived", "a number", "authored"],
)
def test_a_permissive_that_nothing_measures_does_not_permit(opened: Open, permissive: Any) -> None:
    lid = "/Pump.twin:telemetry:lid:value"
    desk = opened(pump(permissive, speed(permissives=[READY, lid])))
    if "double" in str(permissive):
        desk.feel("/Pump.lid", 1.0)
    refused(desk.publish(), "permissive", f"{lid} is unknown")


REDUNDANT = pump(
    "bool shut = false",
    *(
        telemetry(name, address=name, target="/Pump.shut", redundancyGroup="shut", staleAfter=5.0)
        for name in ("one", "two")
    ),
    speed(permissives="/Pump.shut"),
)


@pytest.mark.parametrize(
    ("one", "two", "permits"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_redundant_permissives_must_agree(
    opened: Open, one: bool, two: bool, permits: bool
) -> None:
    desk = opened(REDUNDANT)
    desk.feel("/Pump.one", one)
    desk.feel("/Pump.two", two)
    made = desk.publish()
    if permits:
        assert made.state == "SENT"
    else:
        refused(made, "permissive", "/Pump.shut is false")


def test_one_of_two_redundant_permissives_may_be_silent(opened: Open) -> None:
    desk = opened(REDUNDANT)
    desk.feel("/Pump.one", True)
    assert desk.publish().state == "SENT"


# -- local and remote

REMOTE = pump(remote=READY)


def test_a_machine_on_local_takes_no_command(opened: Open) -> None:
    desk = opened(REMOTE)
    desk.feel("/Pump.ready", False)
    made = desk.publish()
    refused(made, "local", f"the local/remote switch {READY} is on local")
    nothing_left(desk, made)
    desk.feel("/Pump.ready", True)
    assert desk.publish().state == "SENT"


def test_a_switch_that_nobody_reads_is_not_on_remote(opened: Open) -> None:
    desk = opened(REMOTE)
    desk.feel("/Pump.ready", True, status=Status.UNCERTAIN)
    refused(desk.publish(), "local", "unknown, which does not permit")


def test_two_switches_are_none(opened: Open) -> None:
    desk = opened(pump(remote=[READY, RPM]))
    refused(desk.publish(), "local", "unknown")
