"""Every kind of alarm, through the real hub and stage."""

from __future__ import annotations

from typing import Any

import pytest

from stagetwin.signals import Status
from tests.stages.alarms.conftest import Watch
from tests.stages.alarms.watched import ADA, OFFLINE, ONLINE, Watched, alarm
from tests.stages.plants import HEADER, asset, command, connection, plant, prim, telemetry

FLOW = "/Plant/P.twin:telemetry:flow:value"


def pump(*parts: Any, **fields: Any) -> str:
    """A plant with one pump `/Plant/P` with a flow in [0, 200], healthy in [10, 90]."""
    flow = {"hard": (0, 200), "soft": (10, 90), "unit": "m3/h", "staleAfter": 1e6, **fields}
    return plant(prim("P", asset("p"), telemetry("flow", address="flow", **flow), *parts))


@pytest.fixture
def pumped(watch: Watch) -> Watched:
    return watch(pump())


def test_a_soft_limit_is_an_alarm_without_a_word(pumped: Watched) -> None:
    pumped.feel("flow", 50.0)
    pumped.feel("flow", 95.0, 1.5)
    assert pumped.states() == {}
    pumped.run(1.0)
    assert pumped.states() == {"/Plant/P.flow_high": "UNACK"}
    row = pumped.row("/Plant/P.flow_high")
    assert (row["kind"], row["side"], row["signal"]) == ("limit", "high", "/Plant/P.flow")
    assert (row["priority"], row["value"], row["unit"], row["limit"]) == ("low", 95.0, "m3/h", 90.0)
    assert row["cause"] == "95 m3/h is above 90"
    assert (row["count"], row["authored"], row["raised"]) == (1, False, row["changed"])
    pumped.feel("flow", 50.0, 6.0)
    assert pumped.states() == {"/Plant/P.flow_high": "RTN_UNACK"}
    pumped.book.acknowledge("/Plant/P.flow_high", ADA, "seen")
    assert pumped.states() == {}
    assert pumped.row("/Plant/P.flow_high")["acknowledged"]["by"] == "ada"


def test_a_low_soft_limit(pumped: Watched) -> None:
    pumped.feel("flow", 5.0, 3.0)
    assert pumped.states() == {"/Plant/P.flow_low": "UNACK"}
    assert pumped.row("/Plant/P.flow_low")["cause"] == "5 m3/h is below 10"


def test_a_limit_has_hysteresis_and_delays(watch: Watch) -> None:
    text = pump(
        alarm("hot", FLOW, side="high_high", limit=100, hysteresis=5, onDelay=1, offDelay=2)
    )
    w = watch(text)
    w.feel("flow", 101.0, 0.9)
    w.feel("flow", 99.0)  # the condition broke: the delay begins anew
    w.feel("flow", 101.0, 0.9)
    assert "/Plant/P.hot" not in w.states()
    w.run(0.3)
    assert w.states()["/Plant/P.hot"] == "UNACK"
    w.book.acknowledge("/Plant/P.hot", ADA)
    for value in (99.0, 96.0, 100.0, 95.5):
        w.feel("flow", value, 1.0)
        assert w.states()["/Plant/P.hot"] == "ACKED", value
    w.feel("flow", 94.0, 1.5)
    assert w.states()["/Plant/P.hot"] == "ACKED"
    w.run(1.0)
    assert "/Plant/P.hot" not in w.states()
    # The soft limit's own alarm stands beside it.
    assert set(w.states()) == {"/Plant/P.flow_high"}


def test_an_authored_alarm_replaces_the_implicit_one(watch: Watch) -> None:
    w = watch(
        pump(
            alarm("much", FLOW, priority="critical"),
            alarm("less", FLOW, side="low", priority="none"),
        )
    )
    w.feel("flow", 95.0, 3.0)
    assert w.states() == {"/Plant/P.much": "UNACK"}
    assert w.row("/Plant/P.much")["limit"] == 90.0
    w.feel("flow", 5.0, 3.0)
    assert w.states() == {"/Plant/P.much": "RTN_UNACK"}


def test_an_implicit_alarm_makes_room_for_its_name(watch: Watch) -> None:
    w = watch(pump(alarm("flow_high", FLOW, kind="quality")))
    w.feel("flow", 95.0, 3.0)
    assert w.states() == {"/Plant/P.flow_high_implicit": "UNACK"}


def test_vectors_outside_their_soft_limits(watch: Watch) -> None:
    text = plant(prim("P", asset("p"), telemetry("v", "double3", "v", soft=(0, 4), staleAfter=1e6)))
    w = watch(text)
    w.feel("v", [1.0, 2.0, 9.0], 3.0)
    assert w.states() == {"/Plant/P.v_outside": "UNACK"}
    w.feel("v", [1.0, 2.0, 3.0], 6.0)
    assert w.states() == {"/Plant/P.v_outside": "RTN_UNACK"}


def test_elements_of_an_array_have_alarms_of_their_own(watch: Watch) -> None:
    body = "double[] twin:telemetry:level:value = [0, 0, 0]"
    level = telemetry("level", "double[]", "level/{instance}", default=None, staleAfter=1e6)
    text = level.text.replace("double[] twin:telemetry:level:value ", body + " ", 1)
    low = alarm("low", "/Plant/P.twin:telemetry:level:value", side="low", limit=2.0)
    w = watch(plant(prim("P", asset("p"), level._replace(text=text), low)))
    for i, value in enumerate((5.0, 1.0, 3.0)):
        w.feel(f"level/{i}", value)
    assert w.states() == {"/Plant/P.low[1]": "UNACK"}
    assert w.row("/Plant/P.low[1]")["signal"] == "/Plant/P.level[1]"
    assert w.get("/Plant/P.twin:alarm:low_1:state") == "UNACK"


def test_a_rejected_value_is_an_alarm_by_its_quality(pumped: Watched) -> None:
    pumped.feel("flow", 50.0)
    pumped.feel("flow", 500.0, 2.0)
    assert pumped.states() == {}
    pumped.run(1.5)
    assert pumped.states() == {"/Plant/P.flow_bad": "UNACK"}
    row = pumped.row("/Plant/P.flow_bad")
    assert row["cause"] == "what came is outside the hard limits [0, 200] m3/h"
    assert row["kind"] == "quality"
    assert row["value"] == 50.0
    pumped.feel("flow", 50.0, 1.5)
    assert pumped.states() == {"/Plant/P.flow_bad": "RTN_UNACK"}


@pytest.mark.parametrize(
    ("value", "status", "cause"),
    [
        ("text", 0, "what came is no double"),
        (1.0, int(Status.BAD_DEVICE_FAILURE), "the device reports a failure"),
        (1.0, 0x80010000, "its source calls it bad (status 0x80010000)"),
    ],
)
def test_a_bad_value_says_why(pumped: Watched, value: Any, status: int, cause: str) -> None:
    pumped.feel("flow", value, 4.0, status=status)
    assert pumped.row("/Plant/P.flow_bad")["cause"] == cause


def test_an_authored_quality_alarm_takes_the_implicit_ones_place(watch: Watch) -> None:
    text = pump(alarm("blind", FLOW, kind="quality", onDelay=1, priority="high"), staleAfter=2)
    w = watch(text)
    w.link("line", ONLINE)
    w.feel("flow", 500.0, 1.5)
    assert w.states() == {"/Plant/P.blind": "UNACK"}
    w.feel("flow", 50.0, 0.5)
    w.book.acknowledge("/Plant/P.blind", ADA)
    w.run(4.0)
    assert w.states() == {"/Plant/P.blind": "UNACK"}
    assert w.row("/Plant/P.blind")["cause"] == "stale"


@pytest.mark.parametrize(
    ("type_name", "value", "good", "bad"),
    [
        ("bool", "bool 1", False, True),
        ("int", "int 7", 3, 7),
        ("token", 'token "fault"', "running", "fault"),
        ("string", 'string "fault"', "running", "fault"),
    ],
)
def test_a_device_reports_a_state(
    watch: Watch, type_name: str, value: str, good: Any, bad: Any
) -> None:
    state = telemetry("state", type_name, "state", staleAfter=1e6)
    signal = "/Plant/P.twin:telemetry:state:value"
    w = watch(
        plant(prim("P", asset("p"), state, alarm("trip", signal, kind="device", value=value)))
    )
    w.feel("state", good)
    assert w.states() == {}
    w.feel("state", bad)
    assert w.states() == {"/Plant/P.trip": "UNACK"}
    w.feel("state", bad, status=int(Status.UNCERTAIN))
    w.feel("state", good, status=int(Status.UNCERTAIN))
    assert w.states() == {"/Plant/P.trip": "UNACK"}
    w.feel("state", good)
    assert w.states() == {"/Plant/P.trip": "RTN_UNACK"}


def test_a_state_that_must_be_another(watch: Watch) -> None:
    code = telemetry("code", "int", "code", staleAfter=1e6)
    trip = alarm(
        "trip",
        "/Plant/P.twin:telemetry:code:value",
        kind="device",
        comparison="unequal",
        value="int 0",
    )
    w = watch(plant(prim("P", asset("p"), code, trip)))
    w.run(1.0)
    assert w.states() == {}
    w.feel("code", 0)
    assert w.states() == {}
    w.feel("code", 12)
    assert w.states() == {"/Plant/P.trip": "UNACK"}
    assert w.row("/Plant/P.trip")["cause"] == "it is 12"


def test_a_device_says_goodbye(watch: Watch) -> None:
    w = watch(pump(alarm("gone", kind="device", priority="high")))
    w.link("line", ONLINE)
    w.feel("flow", 50.0)
    channel = w.plant.index("/Plant/P.flow")
    w.plant.twin.hub.vouch([channel], False)
    w.run(5.0)
    # One alarm, not one more for each of its signals.
    assert w.states() == {"/Plant/P.gone": "UNACK"}
    w.plant.twin.hub.vouch([channel], True)
    w.feel("flow", 50.0)
    assert w.states() == {"/Plant/P.gone": "RTN_UNACK"}


def test_a_connection_is_one_alarm_however_many_signals_it_carries(watch: Watch) -> None:
    pumps = [
        prim(f"P{i}", asset(f"p{i}"), telemetry("flow", address=f"f{i}", staleAfter=2))
        for i in range(5)
    ]
    w = watch(plant(*pumps))
    w.link("line", ONLINE)
    for i in range(5):
        w.feel(f"f{i}", 1.0)
    w.link("line", OFFLINE, "the broker is gone")
    w.run(20.0)
    assert w.states() == {"/line.offline": "UNACK"}
    row = w.row("/line.offline")
    assert (row["kind"], row["priority"], row["signal"]) == ("connection", "high", "line")
    assert row["cause"] == "offline: the broker is gone"
    w.link("line", ONLINE)
    w.run(1.0)
    for i in range(4):
        w.feel(f"f{i}", 1.0)
    for _ in range(6):
        w.run(0.9)
        for i in range(4):
            w.plant.send(f"f{i}", 1.0)
    # All had their time to speak; the one that did not is silent itself.
    assert w.states() == {"/line.offline": "RTN_UNACK", "/Plant/P4.stale": "UNACK"}
    assert w.row("/Plant/P4.stale")["cause"] == "1 of 1 signals: flow"


def test_stale_alarms_that_came_first_are_suppressed_under_the_connection(watch: Watch) -> None:
    pumps = [
        prim(f"P{i}", asset(f"p{i}"), telemetry("flow", address=f"f{i}", staleAfter=2))
        for i in range(3)
    ]
    w = watch(plant(*pumps))
    w.link("line", ONLINE)
    for i in range(3):
        w.feel(f"f{i}", 1.0)
    w.run(7.0)
    assert w.states() == {f"/Plant/P{i}.stale": "UNACK" for i in range(3)}
    w.link("line", OFFLINE, "no answer")
    w.run(6.0)
    assert w.states() == {
        "/line.offline": "UNACK",
        **{f"/Plant/P{i}.stale": "SUPPRESSED" for i in range(3)},
    }
    assert w.row("/Plant/P0.stale")["suppressed"] == "/line"
    assert [row["id"] for row in w.book.active()] == ["/line.offline"]
    w.link("line", ONLINE)
    w.feel("f0", 1.0)
    w.feel("f1", 1.0)
    assert w.states()["/Plant/P2.stale"] == "SUPPRESSED"
    w.run(1.5)
    # What went with its cause is nobody's news; what stays is.
    w.feel("f0", 1.0)
    w.feel("f1", 1.0, 1.0)
    assert w.states() == {"/line.offline": "RTN_UNACK", "/Plant/P2.stale": "UNACK"}


def test_stale_signals_of_one_asset_are_one_alarm(watch: Watch) -> None:
    signals = [telemetry(f"s{i}", address=f"s{i}", staleAfter=1) for i in range(9)]
    w = watch(plant(prim("P", asset("p"), *signals)))
    w.link("line", ONLINE)
    w.run(8.0)
    assert w.states() == {"/Plant/P.stale": "UNACK"}
    assert w.row("/Plant/P.stale")["cause"] == "9 of 9 signals: s0, s1, s2, s3, s4, s5, ..."


def test_a_signal_that_never_goes_stale_and_never_came_is_no_alarm(watch: Watch) -> None:
    w = watch(
        plant(prim("P", asset("p"), telemetry("hours", address="h", staleAfter="inf"))).replace(
            '"inf"', "inf"
        )
    )
    w.link("line", ONLINE)
    w.run(80.0)
    assert w.states() == {}


def test_an_authored_connection_alarm(watch: Watch) -> None:
    part = alarm("cut", kind="connection", onDelay=1, priority="critical")
    line = connection("line").replace(
        '"line" (', f'"line" (\nprepend apiSchemas = ["{part.api}"]', 1
    )
    line = line.replace("{\n", "{\n" + part.text, 1)
    text = HEADER + line + prim("P", asset("p", connection="line"), telemetry("flow", address="f"))
    w = watch(text)
    assert w.plant.codes() == []
    w.link("line", ONLINE)
    w.feel("f", 1.0)
    w.link("line", OFFLINE, "cut")
    w.run(1.5)
    assert w.states() == {"/line.cut": "UNACK"}
    assert w.get("/line.twin:alarm:cut:state") == "UNACK"


def commanded(*parts: Any) -> str:
    return plant(
        prim(
            "P",
            asset("p", level="twin", roles=["o"]),
            telemetry("rpm", address="rpm", staleAfter=1e6),
            command("speed", readback="/Plant/P.twin:telemetry:rpm:value"),
            *parts,
        )
    )


def test_a_command_whose_outcome_nobody_knows(watch: Watch) -> None:
    w = watch(commanded())
    w.book.command_ended("/Plant/P.speed", "UNVERIFIED", "no sample came")
    assert w.states() == {"/Plant/P.speed_unverified": "UNACK"}
    row = w.row("/Plant/P.speed_unverified")
    assert (row["kind"], row["cause"], row["signal"]) == (
        "command",
        "no sample came",
        "/Plant/P.speed",
    )
    w.book.command_ended("/Plant/P.speed", "FAILED", "refused")
    w.run()
    assert w.states() == {"/Plant/P.speed_unverified": "UNACK"}
    w.book.command_ended("/Plant/P.speed", "VERIFIED", "")
    w.run()
    assert w.states() == {"/Plant/P.speed_unverified": "RTN_UNACK"}


def test_acknowledging_ends_a_commands_alarm(watch: Watch) -> None:
    desired = "/Plant/P.twin:command:speed:desired"
    w = watch(commanded(alarm("lost", desired, kind="command", priority="critical")))
    w.book.command_ended("/Plant/P.speed", "UNVERIFIED", "")
    assert w.states() == {"/Plant/P.lost": "UNACK"}
    w.book.acknowledge("/Plant/P.lost", ADA, "it stands")
    w.run(1.0)
    assert w.states() == {}
    w.book.command_ended("/Plant/P.speed", "UNVERIFIED", "")
    assert w.states() == {"/Plant/P.lost": "UNACK"}
    assert w.row("/Plant/P.lost")["acknowledged"] is None


def test_an_alarm_that_counts_only_while_the_machine_runs(watch: Watch) -> None:
    running = telemetry("running", "bool", "running", staleAfter=1e6)
    gate = "/Plant/P.twin:telemetry:running:value"
    w = watch(pump(running, alarm("little", FLOW, side="low", onDelay=1, offDelay=9, gate=gate)))
    w.feel("flow", 1.0, 0.5)
    w.feel("running", False, 3.0)
    assert w.states() == {}
    w.feel("running", True, 1.5)
    assert w.states() == {"/Plant/P.little": "UNACK"}
    w.feel("running", False)
    assert w.states() == {"/Plant/P.little": "SUPPRESSED"}
    assert w.row("/Plant/P.little")["suppressed"] == gate
    w.feel("flow", 50.0)
    assert w.states() == {"/Plant/P.little": "SUPPRESSED"}
    # Judged anew at once: the delay is no reason to tell of what is over.
    w.feel("running", True)
    assert w.states() == {}
    # What is not known suppresses nothing.
    w.feel("flow", 1.0, 1.5)
    w.feel("running", False, status=int(Status.UNCERTAIN))
    assert w.states() == {"/Plant/P.little": "UNACK"}


def test_redundant_signals_are_judged_by_the_best(watch: Watch) -> None:
    target = "/Plant/P.level"
    group = {"target": target, "redundancyGroup": "g", "staleAfter": 1e6}
    text = plant(
        prim(
            "P",
            asset("p"),
            "double level",
            telemetry("a", address="a", **group),
            telemetry("b", address="b", **group),
            alarm("full", target, limit=5.0),
        )
    )
    w = watch(text)
    assert w.plant.codes() == []
    w.feel("a", 9.0, status=int(Status.BAD))
    w.feel("b", 3.0)
    assert w.states() == {}
    w.feel("b", 6.0)
    assert w.states() == {"/Plant/P.full": "UNACK"}


def test_an_authored_stale_alarm_is_suppressed_under_its_connection_too(watch: Watch) -> None:
    w = watch(pump(alarm("blind", FLOW, kind="quality"), staleAfter=2))
    w.link("line", ONLINE)
    w.feel("flow", 50.0, 4.0)
    assert w.states() == {"/Plant/P.blind": "UNACK"}
    w.link("line", OFFLINE, "no answer")
    w.run(1.0)
    assert w.states() == {"/Plant/P.blind": "SUPPRESSED"}
    w.run(5.0)
    w.link("line", ONLINE)
    w.feel("flow", 50.0)
    assert w.states() == {"/line.offline": "RTN_UNACK"}
    w.link("line", OFFLINE)
    w.run(20.0)
    assert w.states() == {"/line.offline": "UNACK"}


def test_a_connection_has_time_to_come_up_at_first(watch: Watch) -> None:
    w = watch(pump())
    w.link("line", OFFLINE, "not started")
    w.run(24.0)
    assert w.states() == {}
    w.run(2.0)
    assert w.states() == {"/line.offline": "UNACK"}
