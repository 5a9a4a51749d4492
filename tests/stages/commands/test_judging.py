"""Validation: each reason to refuse, said with the prim, what is allowed and what was got."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pxr import Usd

from stagetwin import CommandError
from stagetwin.actuation import Fate
from stagetwin.commands import Command, PublishRequest
from stagetwin.ports import ConnectionState
from stagetwin.signals import Status
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import DESIRED, SPEED, Desk, pump, speed
from tests.stages.plants import Part, command, connection, telemetry


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


HUGE = 10**400


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        (9500.0, "range", r"/Pump\.speed: 9500 is outside \[0, 3000\]; \[0, 3000\] 1/min"),
        (-1, "range", r"-1 is outside"),
        (float("nan"), "range", "finite number, got nan"),
        (float("inf"), "range", "finite number, got inf"),
        (HUGE, "range", "beyond 1e308"),
        (True, "type", r"/Pump\.speed: expected a number, got bool; a double is allowed"),
        ("1500", "type", "expected a number, got str"),
        (None, "type", "got NoneType"),
        ([1500.0], "type", "got list"),
        ({"value": 1}, "type", "got dict"),
    ],
    ids=lambda x: f"{x!r:.20}",
)
def test_a_value_of_another_type_or_beyond_its_limits_is_refused(
    desk: Desk, value: Any, code: str, says: str
) -> None:
    made = desk.publish(value)
    refused(made, code, says)
    nothing_left(desk, made)


@pytest.mark.parametrize(
    ("type_name", "value", "code", "says"),
    [
        ("bool", 1, "type", "expected a boolean, got int"),
        ("bool", 0.0, "type", "expected a boolean, got float"),
        ("bool", "true", "type", "expected a boolean, got str"),
        ("int", 2**31, "range", "outside"),
        ("int", 1.5, "type", "an integer, got 1.5"),
        ("int64", 2**63, "range", "outside"),
        ("float", 1e39, "range", "outside"),
        ("string", 5, "type", "expected text, got int"),
        ("string", "a\x00b", "type", "NUL"),
        ("float3", [1, 2], "type", "got 2 numbers"),
        ("float3", [1, 2, True], "type", "bool among them"),
        ("float3", [1, 2, float("nan")], "range", "nan"),
        ("quatf", [0, 0, 0, 0], "range", "length 0"),
    ],
)
def test_every_kind_of_value_is_held_to_its_type(
    opened: Open, type_name: str, value: Any, code: str, says: str
) -> None:
    desk = opened(pump(command("speed", type_name, approval="none")))
    made = desk.publish(value)
    refused(made, code, says)
    nothing_left(desk, made)


def test_each_component_of_a_vector_has_limits_of_its_own(opened: Open) -> None:
    part = command("pose", "float3", approval="none")
    limits = "(\nlimits = {\ndictionary hard = {\n" + (
        "double[] minimum = [0, -1, 0]\ndouble[] maximum = [10, 1, 5]\n}\n}\n)"
    )
    text = pump(part._replace(text=part.text.replace("pose:desired ", f"pose:desired {limits}", 1)))
    desk = opened(text)
    refused(desk.publish([1, 2, 3], target="/Pump.pose"), "range", r"2 is outside \[-1, 1\]")
    refused(desk.publish([1, 1, 6], target="/Pump.pose"), "range", r"6 is outside \[0, 5\]")
    made = desk.publish({"x": 10, "y": -1, "z": 5}, target="/Pump.pose")
    assert made.state == "SENT"
    assert desk.wire.sent[-1].value == [10.0, -1.0, 5.0]


@pytest.mark.parametrize("level", ["shadow", "model"])
def test_only_a_twin_is_commanded(opened: Open, level: str) -> None:
    desk = opened(pump(level=level))
    made = desk.publish()
    refused(made, "level", f"/Pump is of level {level}; only a twin")
    nothing_left(desk, made)


def test_guards_that_nobody_approved_permit_nothing(opened: Open) -> None:
    desk = opened(approved=False)
    made = desk.publish()
    refused(made, "guards", "/Pump runs as shadow: its guards were never approved")
    nothing_left(desk, made)


def test_an_edit_that_rests_is_published_only_where_the_plant_says_so(opened: Open) -> None:
    desk = opened(pump(speed(), command("gate", approval="none", publish="settled")))
    refused(desk.publish(mode="settled"), "mode", r"/Pump\.speed is published explicitly")
    assert desk.publish(1.0, target="/Pump.gate", mode="settled").state == "SENT"


@pytest.mark.parametrize(
    ("roles", "says"),
    [
        (("operator",), r"eve does not hold the role operator that /Pump asks for"),
        (("operator", "chief"), "operator or chief"),
        ((), "/Pump names no role"),
    ],
)
def test_who_holds_no_role_of_the_asset_commands_nothing(
    opened: Open, roles: tuple[str, ...], says: str
) -> None:
    desk = opened(pump(roles=roles))
    made = desk.publish(author="eve")
    refused(made, "rights", says)
    nothing_left(desk, made)


def test_two_authors_with_one_revision_the_second_is_refused(desk: Desk) -> None:
    seen = desk.target().revision
    first = desk.publish(1500.0, "ann", revision=seen)
    second = desk.publish(1600.0, "bob", revision=seen)
    assert first.state == "SENT"
    refused(second, "revision", f"at revision {seen + 1}, its author saw revision {seen}")
    assert (desk.desired(), desk.word("request")) == (1500.0, first.id)


@pytest.mark.parametrize("revision", [None, 0, -1, 1])
def test_a_person_says_which_revision_they_saw(desk: Desk, revision: int | None) -> None:
    made = desk.publish(revision=revision)
    refused(made, "revision", "its author saw " + ("no revision" if revision is None else "rev"))


def test_telemetry_never_changes_a_revision(desk: Desk) -> None:
    seen = desk.target().revision
    for rpm in range(20):
        desk.feel("/Pump.rpm", float(rpm))
        desk.feel("/Pump.ready", bool(rpm % 2))
    assert desk.target().revision == seen
    assert desk.publish(revision=seen).state == "SENT"


@pytest.mark.parametrize("state", [s for s in ConnectionState if s is not ConnectionState.ONLINE])
def test_a_target_that_is_not_online_is_refused_and_never_queued(
    desk: Desk, state: ConnectionState
) -> None:
    desk.wire.states["line"] = state, "cable"
    made = desk.publish()
    refused(made, "offline", f"line is {state}: cable")
    desk.wire.states.clear()
    nothing_left(desk, made)


@pytest.mark.parametrize(
    ("status", "seconds", "word"),
    [
        (0, 11.0, "stale"),
        (Status.BAD_DEVICE_FAILURE, 0.0, "bad"),
        (Status.UNCERTAIN, 0.0, "uncertain"),
    ],
)
def test_a_read_back_that_is_not_fresh_refuses(
    desk: Desk, status: int, seconds: float, word: str
) -> None:
    desk.feel("/Pump.rpm", 1000.0, status=status)
    desk.tick(seconds)
    refused(desk.publish(), "stale", rf"the read-back /Pump\.rpm is {word}")


def test_a_read_back_beyond_its_soft_limits_is_measured_all_the_same(opened: Open) -> None:
    text = pump(
        telemetry("hot", address="hot", soft=(0, 10), unit="1/min"),
        speed(readback="/Pump.twin:telemetry:hot:value"),
    )
    desk = opened(text)
    desk.feel("/Pump.hot", 50.0)
    assert desk.publish().state == "SENT"


def test_a_read_back_that_no_signal_drives_is_unknown(opened: Open) -> None:
    part = speed(readback="/Pump.twin:command:other:desired")
    desk = opened(pump(part, command("other", address="o")))
    refused(desk.publish(), "stale", "nothing is known of the read-back .*other:desired")


@pytest.mark.parametrize(
    ("type_name", "value", "limit", "made"),
    [
        ("half3", [2051, 0, 0], 2051, "2052"),
        ("half[]", [0, 2051], 2051, "2052"),
        ("float3", [0, 0.1, 0], 0.1, "0.10000000149"),
        ("float3[]", [[0, 0, 0], [0, 0, 0.1]], 0.1, "0.10000000149"),
    ],
)
def test_what_its_type_rounds_beyond_the_limit_is_beyond_it(
    opened: Open, type_name: str, value: Any, limit: float, made: str
) -> None:
    desk = opened(pump(command("speed", type_name, approval="none", hard=(0, limit))))
    refused(desk.publish(value), "range", f"as the type rounds it, {made} is outside")
    assert desk.wire.sent == []


def test_only_allowed_tokens_are_sent(opened: Open) -> None:
    desk = opened(pump(_tokens("token", '["open", "shut"]')))
    made = desk.publish("self-destruct")
    refused(made, "range", r"/Pump\.speed: 'self-destruct' is none of 'open', 'shut'$")
    nothing_left(desk, made)
    assert desk.publish("shut").state == "SENT"


def test_each_token_of_an_array_is_an_allowed_one(opened: Open) -> None:
    desk = opened(pump(_tokens("token[]", '["open", "shut"]')))
    refused(desk.publish(["open", "ajar"]), "range", "'ajar' is none of")
    assert desk.publish(["open", "open"]).state == "SENT"


def test_a_session_cannot_allow_itself_a_token(opened: Open) -> None:
    desk = opened(pump(_tokens("token", '["open", "shut"]')))
    with Usd.EditContext(desk.plant.stage, desk.plant.stage.GetSessionLayer()):
        desk.plant.attr(DESIRED).SetMetadata("allowedTokens", ["boom"])
    desk.twin.sync_structure()
    refused(desk.publish("boom"), "range", "'boom' is none of 'open', 'shut'")


def test_other_tokens_are_other_guards(opened: Open) -> None:
    desk = opened(pump(_tokens("token", '["open", "shut"]')))
    desk.plant.attr(DESIRED).SetMetadata("allowedTokens", ["open", "shut", "boom"])
    desk.twin.sync_structure()
    refused(desk.publish("open"), "guards", "its guards changed since")


def _tokens(type_name: str, allowed: str) -> Part:
    part = command("speed", type_name, approval="none")
    listed = f"speed:desired ( allowedTokens = {allowed} )"
    return part._replace(text=part.text.replace("speed:desired ", listed, 1))


# -- realms

OTHER = connection("twin_of_it", realm="plant")


@pytest.mark.parametrize("role", ["permissives", "readback", "remote"])
def test_what_is_of_another_realm_permits_nothing(opened: Open, role: str) -> None:
    far = "/Pump.twin:telemetry:far:value"
    signal = telemetry("far", "bool", address="far", connection="twin_of_it", unit="1/min")
    fields: dict[str, Any] = {} if role == "remote" else {role: far}
    text = pump(signal, speed(**fields), **({"remote": far} if role == "remote" else {}))
    desk = opened(text + OTHER)
    desk.feel("/Pump.far", True)
    made = desk.publish()
    refused(made, "realm", r"/Pump\.far is of realm plant, /Pump\.speed of realm simulation")
    nothing_left(desk, made)


def test_a_replay_moves_nothing(opened: Open) -> None:
    desk = opened(pump(line={"realm": "replay"}))
    refused(desk.publish(), "realm", "line is a replay")


# -- rates

LIMITED = pump(speed(rateLimit=100.0, settleTime=2.0))


def test_a_step_is_held_to_the_rate_from_the_read_back(opened: Open) -> None:
    desk = opened(LIMITED)
    refused(
        desk.publish(1300.0),
        "rate",
        r"/Pump\.speed: a step of 300 from the read-back 1000; 100 1/min/s over 2 s allow 200",
    )
    refused(desk.publish(700.0), "rate", "a step of 300")
    assert desk.publish(1200.0).state == "SENT"


def test_without_a_read_back_it_counts_from_what_was_sent_and_from_the_far_end_at_first(
    opened: Open,
) -> None:
    desk = opened(pump(speed(readback="", rateLimit=100.0, settleTime=20.0)))
    refused(desk.publish(500.0), "rate", "2500 from the far limit.*3000")
    first = desk.sent(1500.0)
    assert first.state == "UNVERIFIED"
    refused(desk.publish(1600.0), "rate", "100 from the last setpoint 1500")
    desk.tick(0.99)
    refused(desk.publish(1600.0), "rate", "over 0.99 s allow 99")
    desk.tick(0.02)
    assert desk.publish(1600.0).state == "SENT"


def test_many_small_steps_go_no_faster_than_one(opened: Open) -> None:
    desk = opened(LIMITED)
    rpm, refusals = 1000.0, 0
    for _ in range(40):  # 4 s of steps, each of them verified
        made = desk.publish(min(rpm + 90.0, 3000.0))
        if made.state == "SENT":
            rpm = made.value
            desk.report(made, Fate.SENT, Fate.ACKNOWLEDGED)
            desk.clock.advance(0.05)
            desk.feel("/Pump.rpm", rpm)
            assert made.state == "VERIFIED"
            desk.clock.advance(0.05)
        else:
            refused(made, "rate", "from the last setpoint")
            refusals += 1
            desk.tick(0.1)
    # 2 s may be used up at once, and 4 s have gone by.
    assert 1000.0 + 400.0 <= rpm <= 1000.0 + 600.0
    assert refusals > 20
    desk.tick(3.0)
    desk.feel("/Pump.rpm", rpm)
    assert desk.publish(rpm + 200.0).state == "SENT", "the whole step after a rest"


def test_a_machine_that_somebody_else_moved_can_be_commanded_after_a_while(opened: Open) -> None:
    desk = opened(LIMITED)
    made = desk.sent(1200.0)
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 1200.0)
    assert made.state == "VERIFIED"
    desk.feel("/Pump.rpm", 400.0)
    refused(desk.publish(500.0), "rate", "step of 700 from the last setpoint 1200")
    desk.tick(7.0)
    desk.feel("/Pump.rpm", 400.0)
    refused(desk.publish(700.0), "rate", "step of 300 from the read-back 400")
    assert desk.publish(500.0).state == "SENT"


def test_a_setpoint_that_never_left_uses_up_no_rate(opened: Open) -> None:
    desk = opened(LIMITED)
    for _ in range(5):
        made = desk.publish(1200.0)
        desk.report(made, Fate.WITHHELD)
        assert made.state == "FAILED"
    assert desk.publish(1200.0).state == "SENT"


def test_without_any_hold_on_the_present_the_rate_is_unknown(opened: Open) -> None:
    desk = opened(pump(command("speed", rateLimit=100.0, approval="none")))
    refused(desk.publish(1.0), "rate", "the present setpoint is unknown")


@pytest.mark.parametrize("type_name", ["float3", "string"])
def test_what_is_no_number_has_no_rate(opened: Open, type_name: str) -> None:
    desk = opened(pump(command("speed", type_name, rateLimit=1.0, approval="none")))
    value = [1, 2, 3] if type_name == "float3" else "x"
    refused(desk.publish(value), "rate", "has a rate limit and is no number")


def test_a_switch_has_no_rate(opened: Open) -> None:
    desk = opened(pump(command("speed", "bool", rateLimit=1.0, approval="none")))
    assert desk.publish(True).state == "SENT"


# -- the wire

WIRED = [
    ("double", {"scale": 0.1, "offset": 10.0}, 60.0, 500.0),
    ("double", {}, 7, 7.0),
    ("int", {"scale": 0.5}, 21, 42),
    ("float3", {"scale": 2.0, "offset": 1.0}, [1, 3, 5], [0.0, 1.0, 2.0]),
    ("float3[]", {"scale": 2.0}, [[2, 4, 6], [8, 10, 12]], [[1, 2, 3], [4, 5, 6]]),
    ("bool", {}, True, True),
    ("int", {"scale": 0.1}, 21, 210),
    ("int", {"scale": 1 / 3}, 7, 21),
    ("int64", {"offset": 1.0}, 9007199254740995, 9007199254740994),
    ("int64", {"scale": 0.1}, 9007199254740995, 90071992547409950),
    ("uint64[]", {"scale": 3.0}, [2**64 - 1], [(2**64 - 1) // 3]),
    ("string", {}, "läuft \U0001f680", "läuft \U0001f680"),
    ("quatf", {}, [0, 0, 0, 2], [0, 0, 0, 1]),
]


@pytest.mark.parametrize(("type_name", "fields", "value", "wire"), WIRED)
def test_scale_and_offset_are_undone_on_the_wire(
    opened: Open, type_name: str, fields: dict[str, float], value: Any, wire: Any
) -> None:
    desk = opened(pump(command("speed", type_name, approval="none", **fields)))
    made = desk.publish(value)
    assert made.state == "SENT", made.cause
    (left,) = desk.wire.sent
    assert left.value == wire
    assert type(left.value) is type(wire)
    assert left.target.path == SPEED


@pytest.mark.parametrize(
    ("type_name", "scale", "value", "says"),
    [
        ("int", 2.0, 5, "scale 2, offset 0; 5 is 2.5 on it, where a whole number is expected"),
        ("double", 1e-300, 1e10, "too large"),
        ("int", 4.0, 2147483646, "whole number"),
        ("int64", 10.0, 10000000006, "whole number"),
        ("int64[]", 10.0, [10, 10000000006], "whole number"),
        ("int64", 1e-300, 2**62, "whole number|too large"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused(
    opened: Open, type_name: str, scale: float, value: Any, says: str
) -> None:
    desk = opened(pump(command("speed", type_name, approval="none", scale=scale)))
    refused(desk.publish(value), "range", says)
    assert desk.wire.sent == []


def test_what_reaches_the_wire_says_all_that_its_gate_needs(desk: Desk) -> None:
    made = desk.publish(1500.0, ttl=4.0)
    (left,) = desk.wire.sent
    now = desk.clock.steady()
    assert (left.id, left.value, left.asset, left.realm) == (made.id, 1500.0, "/Pump", "simulation")
    assert left.deadline == now + 0.25
    assert left.expires == now + 4.0
    assert left.guard == made.guard == desk.wire.guards["/Pump"]
    assert left.token == made.token == (desk.ledger.epoch, 1)
    assert left.target.address == "set/speed"


def test_an_unknown_command_is_an_error(desk: Desk) -> None:
    for path in ("/Pump", "/Pump.nothing", "", "/Pump.speed ", "/Pump.twin:command:speed:desired"):
        with pytest.raises(CommandError, match="no command"):
            desk.path.publish(PublishRequest(target=path, value=1.0), "ann")
    assert desk.path.records.lives() == []
