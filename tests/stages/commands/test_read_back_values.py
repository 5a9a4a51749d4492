"""Comparing what was commanded with what comes back, for every kind of value."""

from __future__ import annotations

from typing import Any

import pytest

from stagetwin.actuation import Fate
from stagetwin.commands import Command
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import pump, speed
from tests.stages.plants import command, telemetry


def ended(made: Command) -> tuple[str, str]:
    return str(made.state), made.code


@pytest.mark.parametrize(
    ("type_name", "asked", "back", "same"),
    [
        ("float", 0.1, 0.10000000149011612, True),
        ("half", 1.1, 1.0996, True),
        ("double", 0.1, 0.10000000149011612, False),
        ("int64", 10_000_000, 10_000_005, False),
        ("int64", 10_000_000, 10_000_000, True),
        ("bool", True, True, True),
        ("bool", True, False, False),
        ("token", "open", "open", True),
        ("token", "open", "Open", False),
        ("float3", {"x": 1, "y": 2, "z": 3}, [1, 2, 3], True),
        ("float3", [1, 2, 3], [1, 2, 4], False),
        ("quatd", [0, 0, 0, 5], [0, 0, 0, 1], True),
        ("quatd", [0, 0, 1, 1], [0, 0, -1, -1], True),
        ("quatd", [0, 0, 1, 1], [0, 0, -1, 1], False),
        ("matrix2d", [1, 2, 3, 4], [[1, 2], [3, 4]], True),
        ("double[]", [1.0, 2.0], [1.0, 2.0], True),
        ("double[]", [1.0, 2.0], [1.0, 2.0, 3.0], False),
    ],
)
def test_every_kind_of_value_is_compared_as_it_should_be(
    opened: Open, type_name: str, asked: Any, back: Any, same: bool
) -> None:
    echo = "/Pump.twin:telemetry:echo:value"
    text = pump(
        telemetry("echo", type_name, address="echo"),
        command("set", type_name, approval="none", readback=echo, settleTime=1.0),
    )
    desk = opened(text)
    other = {"bool": False, "token": "?", "quatd": [1, 0, 0, 0], "matrix2d": [9, 9, 9, 9]}
    desk.feel("/Pump.echo", other.get(type_name, [0, 0, 0] if "3" in type_name else 0) if "[]"
              not in type_name else [0.0])  # fmt: skip
    made = desk.publish(asked, target="/Pump.set")
    assert made.state == "SENT", made.cause
    desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
    desk.clock.advance(0.1)
    desk.feel("/Pump.echo", back)
    assert (made.state == "VERIFIED") is same


def test_no_tolerance_is_narrower_than_what_the_stage_shows(opened: Open) -> None:
    text = pump(
        telemetry("echo", address="echo", deadband=5.0, unit="1/min"),
        speed(readback="/Pump.twin:telemetry:echo:value"),
    )
    desk = opened(text)
    desk.feel("/Pump.echo", 1000.0)
    made = desk.sent(1003.0)
    desk.tick(0.1)
    assert made.state == "ACKNOWLEDGED"
    desk.feel("/Pump.echo", 1003.0)  # the stage goes on showing 1000
    assert made.state == "VERIFIED"
    second = desk.sent(1010.0)
    desk.tick(0.1)
    desk.feel("/Pump.echo", 1004.9)
    desk.tick(1.0)
    assert ended(second) == ("UNVERIFIED", "mismatch")


def test_what_never_left_is_no_present_setpoint(opened: Open) -> None:
    desk = opened(pump(speed(readback="", rateLimit=100.0, settleTime=30.0)))
    desk.sent(1500.0)
    desk.tick(10.0)
    made = desk.publish(2400.0)
    desk.report(made, Fate.WITHHELD)
    assert "1100 from the last setpoint 1500" in desk.publish(2600.0).cause
    made = desk.publish(2400.0)
    desk.report(made, Fate.SENT, Fate.REFUSED)
    assert "1100 from the last setpoint 1500" in desk.publish(2600.0).cause
    made = desk.publish(2400.0)
    desk.report(made, Fate.SENT, Fate.UNKNOWN)
    assert ended(made) == ("UNVERIFIED", "no-answer")
    assert desk.publish(2500.0).state == "SENT", "2500 from the far limit within 30 s"
