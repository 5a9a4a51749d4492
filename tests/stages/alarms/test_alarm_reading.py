"""Authored alarms that cannot be: one problem each, and everything else runs."""

from __future__ import annotations

import math

import pytest

from stagetwin.bindings import AlarmBinding
from stagetwin.check import lint
from stagetwin.guards import GuardStage
from tests.stages.alarms.watched import alarm
from tests.stages.plants import (
    Part,
    asset,
    command,
    full_path,
    plant,
    prim,
    stage_of,
    table_of,
    telemetry,
)

FLOW = full_path("/Plant/P.flow")
MODE = full_path("/Plant/P.mode")


def text_of(*parts: Part | str) -> str:
    return plant(
        prim(
            "P",
            asset("p"),
            telemetry("flow", address="flow", hard=(0, 200), soft=(10, 90)),
            telemetry("mode", "token", "mode"),
            telemetry("v", "double3", "v"),
            telemetry("on", "bool", "on"),
            command("speed", readback=FLOW),
            *parts,
        )
    )


def only_of(part: Part) -> AlarmBinding:
    table = table_of(text_of(part))
    assert [str(problem) for problem in table.problems] == []
    (found,) = table.alarms
    return found


def test_what_is_authored_is_read() -> None:
    found = only_of(
        alarm(
            "hot",
            FLOW,
            side="high_high",
            limit=120,
            hysteresis=4,
            onDelay=2,
            offDelay=3,
            priority="critical",
            message="too much",
            advice="close",
            gate=full_path("/Plant/P.on"),
        )
    )
    assert found == AlarmBinding(
        prim="/Plant/P",
        name="hot",
        asset="/Plant/P",
        kind="limit",
        signal=FLOW,
        side="high_high",
        limit=120.0,
        hysteresis=4.0,
        comparison="equal",
        value=None,
        on_delay=2.0,
        off_delay=3.0,
        active_while=full_path("/Plant/P.on"),
        priority="critical",
        message="too much",
        advice="close",
    )


def test_defaults() -> None:
    found = only_of(alarm("high", FLOW))
    assert (found.kind, found.side, found.limit, found.priority) == (
        "limit",
        "high",
        90.0,
        "medium",
    )
    assert only_of(alarm("low", FLOW, side="low")).limit == 10.0
    goodbye = only_of(alarm("gone", kind="device"))
    assert (goodbye.signal, goodbye.value) == ("", None)
    assert math.isnan(goodbye.limit)
    ended = only_of(alarm("lost", "/Plant/P.twin:command:speed:desired", kind="command"))
    assert ended.signal == "/Plant/P.speed"


@pytest.mark.parametrize(
    ("part", "code", "words"),
    [
        (alarm("a"), "alarm-signal", "exactly one property, got 0"),
        (alarm("a", "/Plant/P.nothing"), "alarm-signal", "driven by no signal"),
        (alarm("a", MODE), "alarm-signal", "a limit judges one number"),
        (alarm("a", FLOW, side="low_low"), "alarm-limit", "no soft limit"),
        (alarm("a", FLOW, limit=200), "alarm-limit", "refuses values outside [0, 200]"),
        (alarm("a", FLOW, side="low", limit=0), "alarm-limit", "can never be passed"),
        (alarm("a", FLOW, limit="inf"), "alarm-limit", "never be passed"),
        (alarm("a", FLOW, limit=50, hysteresis=60), "alarm-hysteresis", "could never end"),
        (alarm("a", FLOW, hysteresis=-1), "range", "at least 0"),
        (alarm("a", FLOW, onDelay="inf"), "range", "finite"),
        (alarm("a", FLOW, priority="urgent"), "token", "critical, high, medium, low, none"),
        (alarm("a", FLOW, side="above"), "token", "high, high_high, low, low_low"),
        (alarm("a", MODE, kind="device"), "alarm-value", "author twin:alarm:a:value as a token"),
        (alarm("a", MODE, kind="device", value="int 3"), "alarm-value", "does not fit"),
        (
            alarm("a", full_path("/Plant/P.v"), kind="device", value="int 3"),
            "alarm-signal",
            "a state is",
        ),
        (alarm("a", kind="connection"), "alarm-connection", "not on a Xform"),
        (alarm("a", FLOW, kind="command"), "alarm-signal", "belongs to no command"),
        (alarm("a", FLOW, gate=FLOW), "alarm-activeWhile", "must be a bool signal"),
        (alarm("a", FLOW, gate="/Plant/P.no"), "alarm-activeWhile", "no signal that runs"),
    ],
)
def test_a_wrong_alarm_is_one_problem(part: Part, code: str, words: str) -> None:
    text = text_of(part, alarm("fine", FLOW, limit=50)).replace('"inf"', "inf")
    table = table_of(text)
    assert [each.name for each in table.alarms] == ["fine"]
    found = [problem for problem in table.problems if problem.code == code]
    assert found, table.problems
    assert words in found[0].message
    assert (found[0].prim, found[0].signal) == ("/Plant/P", "a")
    assert {binding.signal for binding in table.telemetry.values()} == {"flow", "mode", "v", "on"}


def test_a_wrong_attribute_is_followed_by_what_it_costs() -> None:
    table = table_of(text_of(alarm("a", FLOW, hysteresis=-1)))
    assert [problem.code for problem in table.problems] == ["alarm", "range"]
    assert table.problems[0].message == "the alarm does not arise until that is mended"


def test_an_alarm_below_an_instance_is_refused() -> None:
    body = alarm("hot", "/_Kind/In.twin:telemetry:flow:value", limit=50)
    text = (
        'class Xform "_Kind"\n{\n' + prim("In", telemetry("flow", address="f"), body) + "}\n"
        'def Xform "Spare" (\ninstanceable = true\ninherits = </_Kind>\n)\n{\n}\n'
    )
    table = table_of(plant() + text)
    assert table.alarms == []
    assert "below-instance" in {p.code for p in table.problems if p.signal == "hot"}


def codes(text: str) -> dict[str, str]:
    stage = stage_of(text)
    return {p.code: p.message for p in lint(stage, table_of(text))}


def test_misspelt_names_are_found() -> None:
    wrong = alarm("hot", FLOW, limit=50)
    assert (
        "did you mean 'TwinAlarmAPI'"
        in codes(text_of(wrong._replace(api="TwinAlarmsAPI:hot")))["unknown-schema"]
    )
    loose = text_of(wrong.text)
    assert "add TwinAlarmAPI:hot" in codes(loose)["not-applied"]
    assert "unknown-attribute" in {
        p.code
        for p in table_of(text_of(wrong, "uniform double twin:alarm:hot:onDelai = 3")).problems
    }
    assert not set(codes(text_of(wrong))) & {"unknown-schema", "not-applied", "unknown-attribute"}


def test_alarms_are_no_part_of_the_guards() -> None:
    def hashes(*parts: Part) -> dict[str, str]:
        text = text_of(*parts).replace(
            'uniform string twin:id = "p"', 'uniform token twin:level = "twin"', 1
        )
        return GuardStage(stage_of(text).GetRootLayer()).hashes()

    assert hashes() == hashes(alarm("hot", FLOW, limit=50)) != {}
