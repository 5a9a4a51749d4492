"""Bad bindings: each is reported once, with its prim and a useful message; the others run."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from pxr import Usd

from stagetwin.bindings import Problem, Severity, read_bindings
from stagetwin.bindings._scope import _WARNINGS
from tests.stages.conftest import MakePlant
from tests.stages.plants import (
    HEADER,
    Part,
    asset,
    command,
    connection,
    plant,
    prim,
    rule,
    stage_of,
    table_of,
    telemetry,
)

CORE = Path(__file__).parents[2] / "stages" / "stagetwin" / "bindings"


def raw(api: str, text: str = "") -> Part:
    return Part(api, text + "\n")


def tele(text: str, address: str = "a", own: str = "double") -> Part:
    """A signal `s` with further lines of its own."""
    good = telemetry("s", own, address)
    return Part(good.api, good.text + text + "\n")


def said_beside(text: str) -> Part:
    """A command `s` with a parameter `k`; `text` is its declaration up to the name, and after."""
    good = command("s")
    kind, _, more = text.partition(" ")
    return Part(good.api, f"{good.text}{kind} twin:command:s:parameter:k {more}\n")


class Broken(NamedTuple):
    """A way to be wrong: the part that is, what is reported, and what the message must say."""

    code: str
    part: Part | str
    says: str
    signal: str = "s"


LIMITS = "(\nlimits = {\ndictionary hard = {\ndouble minimum = 9\ndouble maximum = 1\n}\n}\n)"
PAIR_LIMIT = "(\nlimits = {\ndictionary hard = {\ndouble[] minimum = [0, 1]\n}\n}\n)"
WORD_LIMIT = '(\nlimits = {\ndictionary soft = {\nstring maximum = "hot"\n}\n}\n)'
T = "twin:telemetry:s"
ADDRESS = f'string {T}:address = "a"'


def limited(limits: str) -> Part:
    """A signal `s` with limits as usda writes them."""
    return raw("TwinTelemetryAPI:s", f"double {T}:value {limits}\n{ADDRESS}")


def allowing(part: Part, tokens: str) -> Part:
    """A command `s` that allows some tokens only."""
    text = part.text.replace("s:desired ", f"s:desired ( allowedTokens = {tokens} )", 1)
    return Part(part.api, text)


BROKEN: list[Broken] = [
    Broken("no-address", telemetry("s"), "author an address"),
    Broken("no-value", raw("TwinTelemetryAPI:s", f'string {T}:address = "a"'), f"{T}:value"),
    Broken("value-type", tele("", own="opaque"), "opaque.*numbers"),
    Broken("template", tele("", address="{nothing}"), "known names"),
    Broken("template", tele("", address="{open"), r"\{open"),
    Broken("template", tele(f'string {T}:field = "{{}}"'), "between braces"),
    Broken("connection-unknown", tele(f'token {T}:connection = "nowhere"'), "nowhere.*line"),
    Broken("connection-unusable", tele(f'token {T}:connection = "odd"'), "/odd"),
    Broken("connection-unusable", tele(f'token {T}:connection = "empty"'), "/empty"),
    Broken("token", tele(f'token {T}:encoding = "morse"'), "auto, json.*morse"),
    Broken("unit", tele(f'string {T}:unit = "furlongs!"'), "no UCUM unit"),
    Broken("scale", tele(f"double {T}:scale = 2", own="string"), "no meaning.*string"),
    Broken("scale", tele(f"double {T}:offset = 2", own="quatf"), "no meaning.*quatf"),
    Broken("range", tele(f"double {T}:scale = 0"), "scale.*0"),
    Broken("range", tele(f"double {T}:scale = nan"), "scale.*nan"),
    Broken("range", tele(f"double {T}:offset = inf"), "offset.*inf"),
    Broken("range", tele(f"double {T}:deadband = -1"), "deadband.*at least 0"),
    Broken("range", tele(f"double {T}:deadband = nan"), "deadband.*nan"),
    Broken("range", tele(f"double {T}:staleAfter = 0"), "staleAfter.*greater than 0"),
    Broken("range", tele(f"int64 {T}:targetId = -2"), "targetId.*-2"),
    Broken("attribute-type", tele(f'string {T}:scale = "2"'), "scale must be a double"),
    Broken("attribute-type", tele(f"bool {T}:scale = true"), "scale must be a double.*bool"),
    Broken("attribute-type", tele(f"double {T}:unit = 3"), "unit must be a string"),
    Broken("attribute-type", tele(f"double {T}:targetId = 1.5"), "targetId must be an integer"),
    Broken("deadband", tele(f"double {T}:deadband = 1", own="float3"), "number, not float3"),
    Broken("limits", limited(LIMITS), "no value is within.*9, 1"),
    Broken("limits", limited(WORD_LIMIT), "hot.*number"),
    Broken("limits", limited(PAIR_LIMIT), "number"),
    *(
        Broken("limits", command("s", own, hard=(0, 1)), f"no meaning for a {re.escape(own)}")
        for own in ("quatf", "matrix4d", "quatd[]", "string", "bool")
    ),
    Broken("limits", telemetry("s", "quatf", "a", soft=(0, None)), "no meaning for a quatf"),
    Broken("target", tele(f"rel {T}:target = [<X.a>, <X.b>]"), "exactly one property, got 2"),
    Broken("limits", limited("(\nlimits = {\ndouble hard = 5\n}\n)"), "no dictionary"),
    Broken(
        "target-forbidden",
        tele(f"double twin:command:c:desired\nrel {T}:target = <.twin:command:c:desired>"),
        "only a signal's value may be a target",
    ),
    Broken(
        "target-forbidden",
        tele(f"rel {T}:target = <.twin:level>"),
        "twin:level belongs to the twin",
    ),
    Broken("unreadable", raw("TwinAssetAPI", "int twin:roles = 3"), "cannot be read", ""),
    Broken("target-missing", tele(f"rel {T}:target = <X.gone>"), "X.gone is no attribute"),
    Broken("target-missing", tele(f"rel {T}:target = <X>"), "is no attribute"),
    Broken("target-outside", tele(f"rel {T}:target = </Other.a>"), "/Other.a is outside the asset"),
    Broken("target-element", tele(f"int64 {T}:targetId = 1"), "no array"),
    Broken("target-element", tele("", address="a/{instance}"), "no array"),
    Broken(
        "target-element",
        tele(f"int64 {T}:targetId = 7\nint[] x = [1]\nrel {T}:target = <.x>"),
        "7 is no element",
    ),
    Broken("no-instance-name", raw("TwinTelemetryAPI"), "TwinTelemetryAPI:<signal>", ""),
    Broken("no-instance-name", raw("TwinCommandAPI"), "TwinCommandAPI:<name>", ""),
    Broken("no-address", command("s", address=""), "needs an address"),
    Broken(
        "no-value",
        raw("TwinCommandAPI:s", 'string twin:command:s:address = "a"'),
        "twin:command:s:desired",
    ),
    Broken("template", command("s", address="{nothing}"), "nothing"),
    Broken("token", command("s", approval="everybody"), "none, single, dual.*everybody"),
    Broken("range", command("s", expiry=0.0), "expiry"),
    Broken("range", command("s", rateLimit=-1.0), "rateLimit"),
    Broken("value-type", command("s", "opaque"), "opaque"),
    Broken("readback", command("s", readback=["/Plant/B/X.a", "/Plant/B/X.b"]), "one property"),
    Broken("target-missing", command("s", permissives="/Plant/B/X.gone"), "gone"),
    Broken("target-outside", command("s", readback="/Other.a"), "outside"),
    Broken(
        "token", raw("TwinAssetAPI", 'token twin:level = "hero"'), "model, shadow, twin.*hero", ""
    ),
    Broken("target-element", command("s", targetId=3), "a whole attribute"),
    Broken("parameter", said_beside("int = 1"), "'line' carries no parameters"),
    Broken("parameter", said_beside("rel"), "parameter:k is no attribute"),
    Broken("parameter", said_beside('token = "x" (allowedTokens = ["a"])'), "cannot be sent"),
    Broken(
        "parameter",
        said_beside("token (limits = {dictionary hard = {double maximum = 1}})"),
        "have no meaning for a token",
    ),
    Broken("limits", said_beside(f"double {LIMITS}"), "no value is within"),
    Broken("safe", command("s", hard=(0, 1), safe="5"), "safe value cannot be sent.*5 is outside"),
    Broken(
        "safe",
        command("s", "bool", safe="true", address="s")._replace(
            text='bool twin:command:s:desired\nstring twin:command:s:address = "a"\n'
            "int twin:command:s:safe = 1\n"
        ),
        "expected a boolean",
    ),
    Broken(
        "safe",
        allowing(command("s", "token", safe='"boom"'), '["open", "shut"]'),
        "safe value cannot be sent: 'boom' is none of 'open', 'shut'",
    ),
    Broken("range", command("s", dwell=-1.0), "dwell.*at least 0"),
    Broken("range", command("s", dwell=float("inf")), "dwell.*finite"),
    Broken("range", command("s", debounce=-0.5), "debounce"),
    Broken("range", command("s", expiry=float("inf")), "expiry.*finite"),
    Broken(
        "remote", asset(remote=["/Plant/B/X.a", "/Plant/B/X.b"]), "one property at most, got 2", ""
    ),
    Broken("no-instance-name", raw("TwinRuleAPI"), "TwinRuleAPI:<name>", ""),
    Broken("rule-signal", rule("s", (), "double 1", "/Plant/B/X.a", "double 1"), "one.*got 0"),
    Broken(
        "rule-signal",
        rule("s", ["/Plant/B/X.a", "/Plant/B/X.b"], "double 1", "/Plant/B/X.a", "double 1"),
        "exactly one property, got 2",
    ),
    Broken(
        "rule-signal",
        rule("s", "/Plant/B/X.a", "double 1", "/Plant/B/X.b", "double 1"),
        "X.a is driven by no signal that runs",
    ),
]

BODY = prim("X", "double a = 0\ndouble b = 0")


def with_others(*bodies: str) -> str:
    """A plant with an unusable connection or two, and a prim outside it."""
    return (
        plant(*bodies)
        + connection("odd", "gopher://host")
        + connection("empty", "soft://")
        + prim("Other", "double a = 0")
    )


EXPECTED_ELSEWHERE = [("/empty", "connection"), ("/odd", "connection-scheme")]


def ids(broken: Broken) -> str:
    return f"{broken.code}: {broken.says}"


@pytest.mark.parametrize("broken", BROKEN, ids=map(ids, BROKEN))
def test_a_bad_binding_is_reported_once_and_its_neighbour_runs(broken: Broken) -> None:
    neighbour = prim("Good", telemetry("s", address="good"))
    inside = asset() if not isinstance(broken.part, Part) or "Asset" not in broken.part.api else ""
    table = table_of(with_others(prim("B", inside, broken.part, BODY), neighbour))
    here = [p for p in table.problems if p.prim == "/Plant/B"]
    assert [(p.code, p.signal) for p in here] == [(broken.code, broken.signal)]
    assert re.search(broken.says, here[0].message), here[0].message
    assert here[0].severity is Severity.ERROR
    assert str(here[0]).startswith("error: /Plant/B")
    assert [b.prim for b in table.telemetry.values()] == ["/Plant/Good"]
    assert table.commands == []
    others = [(p.prim, p.code) for p in table.problems if p.prim != "/Plant/B"]
    assert others == EXPECTED_ELSEWHERE


def test_a_hundred_broken_bindings_of_every_kind_spoil_nothing_else(live: MakePlant) -> None:
    count = 2 * len(BROKEN) + 10
    bodies = []
    for i in range(count):
        broken = BROKEN[i % len(BROKEN)].part
        text = broken.text if isinstance(broken, Part) else broken
        api = broken.api if isinstance(broken, Part) else ""
        part = Part(api, text.replace("/Plant/B/", f"/Plant/B{i}/"))
        inside = "" if "Asset" in api else asset()
        bodies.append(prim(f"B{i}", inside, part, BODY))
        bodies.append(prim(f"G{i}", telemetry("s", address=f"g{i}")))
    assert count >= 100
    twin = live(with_others(*bodies))
    table = twin.twin.table
    reported = Counter(p.prim for p in table.problems)
    assert reported == {f"/Plant/B{i}": 1 for i in range(count)} | {"/odd": 1, "/empty": 1}
    assert len(table.telemetry) == count
    for i in range(count):
        twin.send(f"g{i}", i)
    twin.tick()
    assert [twin.get(f"/Plant/G{i}.s") for i in range(count)] == list(range(count))
    assert twin.twin.hub.fates.applied == count


def test_a_signal_driven_twice_is_reported_at_the_second() -> None:
    table = table_of(
        plant(
            prim(
                "P1",
                asset(),
                "double rpm = 0",
                telemetry("a", address="a", target="/Plant/P1.rpm"),
                telemetry("b", address="b", target="/Plant/P1.rpm"),
            )
        )
    )
    (problem,) = table.problems
    assert (problem.signal, problem.code) == ("b", "driven-twice")
    assert "/Plant/P1.a already" in problem.message
    assert [b.signal for b in table.telemetry.values()] == ["a"]


def test_redundant_signals_may_drive_one_property() -> None:
    signals = [telemetry(n, address=n, target="/Plant/P1.rpm", redundancyGroup="rpm") for n in "ab"]
    assert table_of(plant(prim("P1", asset(), "double rpm = 0", *signals))).problems == []


def test_no_connection_anywhere_is_reported_with_those_there_are() -> None:
    table = table_of(HEADER + connection() + prim("P1", telemetry("flow", address="f")))
    (problem,) = table.problems
    assert problem.code == "connection-missing"
    assert "line" in problem.message


def test_two_connections_of_one_name_are_reported_and_the_first_serves() -> None:
    inner = plant(connection("line"), prim("P1", telemetry("flow", address="f")))
    table = table_of(inner)
    assert [(p.prim, p.code) for p in table.problems] == [("/Plant/line", "connection-duplicate")]
    assert len(table.telemetry) == 1


def test_a_connection_of_another_realm_than_the_three_is_reported() -> None:
    table = table_of(HEADER + connection("line", realm="dream"))
    (problem,) = table.problems
    assert problem.code == "token"
    assert "plant, simulation, replay" in problem.message


def test_a_misspelt_attribute_is_a_warning_with_the_likely_name() -> None:
    table = table_of(plant(prim("P1", tele(f"double {T}:scael = 2"))))
    (problem,) = table.problems
    assert problem.severity is Severity.WARNING
    assert problem.code == "unknown-attribute"
    assert "did you mean 'scale'?" in problem.message
    assert len(table.telemetry) == 1
    assert table.errors() == []


def test_several_faults_of_one_binding_are_all_said() -> None:
    part = tele(f'double {T}:scale = 0\nstring {T}:unit = "furlongs!"\ntoken {T}:encoding = "x"')
    assert [p.code for p in table_of(plant(prim("P1", part))).problems] == [
        "range",
        "token",
        "unit",
    ]


def test_the_address_check_of_the_protocol_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    from stagetwin.soft import SoftProtocol

    def refuse(self: SoftProtocol, channel: object) -> list[str]:
        return ["no spaces, please"] if " " in channel.address else []  # type: ignore[attr-defined]

    monkeypatch.setattr(SoftProtocol, "check_channel", refuse)
    table = table_of(
        plant(prim("A", telemetry("s", address="a b")), prim("B", telemetry("s", address="ab")))
    )
    assert [(p.prim, p.code) for p in table.problems] == [("/Plant/A", "address")]
    assert len(table.telemetry) == 1


HEAT = "/Plant/R.twin:telemetry:heat:value"
SPEED = "/Plant/R.twin:command:speed:desired"


class BrokenRule(NamedTuple):
    """A rule between a signal and a command that run, and what is wrong with it."""

    codes: list[str]
    part: Part
    says: str
    heat: str = "double"
    speed: str = "double"


BROKEN_RULES = [
    BrokenRule(["rule-command"], rule("r", HEAT, "double 1", (), "double 1"), "got 0"),
    BrokenRule(["rule-command"], rule("r", HEAT, "double 1", HEAT, "double 1"), "no command that"),
    BrokenRule(["rule-command"], rule("r", HEAT, "double 1", [SPEED, HEAT], "double 1"), "got 2"),
    BrokenRule(["rule-threshold"], rule("r", HEAT, "", SPEED, "double 1"), "as a double, like"),
    BrokenRule(
        ["rule-threshold"], rule("r", HEAT, 'string "x"', SPEED, "double 1"), "does not fit"
    ),
    BrokenRule(["rule-threshold"], rule("r", HEAT, "double 999", SPEED, "double 1"), "outside"),
    BrokenRule(["rule-threshold"], rule("r", HEAT, "double nan", SPEED, "double 1"), "finite"),
    BrokenRule(["rule-setpoint"], rule("r", HEAT, "double 1", SPEED, ""), "author twin:rule:r:set"),
    BrokenRule(["rule-setpoint"], rule("r", HEAT, "double 1", SPEED, "double 9999"), "9999 is out"),
    BrokenRule(["rule-setpoint"], rule("r", HEAT, "double 1", SPEED, "bool true"), "got bool"),
    BrokenRule(
        ["rule-setpoint"],
        rule("r", HEAT, "double 1", SPEED, 'token "boom"'),
        "setpoint does not fit /Plant/R.speed: 'boom' is none of 'low', 'high'",
        speed="token",
    ),
    BrokenRule(
        ["rule-comparison"],
        rule("r", HEAT, "bool true", SPEED, "double 1"),
        "a bool can be equal or unequal, not above",
        heat="bool",
    ),
    BrokenRule(
        ["rule-signal"],
        rule("r", HEAT, "double 1", SPEED, "double 1", comparison="equal"),
        "a rule judges numbers, booleans and text",
        heat="float3",
    ),
    BrokenRule(
        ["rule", "token"],
        rule("r", HEAT, "double 1", SPEED, "double 1", comparison="near"),
        "above, below, equal, unequal.*near",
    ),
    BrokenRule(
        ["range", "rule"],
        rule("r", HEAT, "double 1", SPEED, "double 1", holdFor=-1.0),
        "holdFor.*at least 0",
    ),
    BrokenRule(
        ["range", "rule"],
        rule("r", HEAT, "double 1", SPEED, "double 1", holdFor=float("inf")),
        "holdFor must be finite",
    ),
]


@pytest.mark.parametrize("broken", BROKEN_RULES, ids=lambda b: f"{b.codes[0]}: {b.says}")
def test_a_bad_rule_is_reported_and_what_it_names_runs(broken: BrokenRule) -> None:
    hard = (0, 500) if broken.heat == "double" else ()
    is_token = broken.speed == "token"
    speed = command("speed", broken.speed, "speed", hard=() if is_token else (0, 3000))
    if is_token:
        listed = 'speed:desired ( allowedTokens = ["low", "high"] )'
        speed = Part(speed.api, speed.text.replace("speed:desired ", listed, 1))
    setpoint = 'token "low"' if is_token else "double 1"
    machine = prim(
        "R",
        asset(),
        telemetry("heat", broken.heat, "heat", hard=hard),
        speed,
        rule("good", HEAT, "double 1", SPEED, setpoint) if broken.heat == "double" else "",
        broken.part,
    )
    table = table_of(plant(machine))
    assert [(p.code, p.signal) for p in table.problems] == [(c, "r") for c in broken.codes]
    assert re.search(broken.says, " ".join(p.message for p in table.problems))
    assert [r.name for r in table.rules] == (["good"] if broken.heat == "double" else [])
    assert len(table.telemetry) == len(table.commands) == 1


def test_a_rule_of_what_does_not_run_does_not_run() -> None:
    machine = prim(
        "R",
        asset(),
        telemetry("heat", address="heat"),
        command("speed", address="{nothing}"),
        rule("r", HEAT, "double 1", SPEED, "double 1"),
    )
    table = table_of(plant(machine))
    assert [(p.code, p.signal) for p in table.problems] == [
        ("rule-command", "r"),
        ("template", "speed"),
    ]
    assert table.rules == []


def test_a_protocol_that_carries_no_commands_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from stagetwin.soft import SoftProtocol

    monkeypatch.delattr(SoftProtocol, "commander")
    table = table_of(plant(prim("A", telemetry("t", address="t"), command("s"))))
    (problem,) = table.problems
    assert (problem.signal, problem.code) == ("s", "no-command-protocol")
    assert "connection 'line' carries no commands" in problem.message
    assert table.commands == []
    assert len(table.telemetry) == 1


def test_the_command_check_of_the_protocol_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    from stagetwin.soft import SoftProtocol

    def refuse(self: SoftProtocol, target: object) -> list[str]:
        return ["no spaces", "no methods"] if " " in target.address else []  # type: ignore[attr-defined]

    monkeypatch.setattr(SoftProtocol, "check_command", refuse)
    table = table_of(
        plant(prim("A", command("s", address="a b")), prim("B", command("s", address="ab")))
    )
    assert [(p.prim, p.code) for p in table.problems] == [("/Plant/A", "address")] * 2
    assert [c.prim for c in table.commands] == ["/Plant/B"]


def test_problems_are_sorted_and_stable() -> None:
    text = with_others(*(prim(f"B{i}", b.part, BODY) for i, b in enumerate(BROKEN)))
    stage = stage_of(text)
    first, second = read_bindings(stage).problems, read_bindings(stage).problems
    assert first == second == sorted(first)


def test_a_problem_can_be_said_as_json() -> None:
    (problem,) = table_of(plant(prim("P1", tele(f"double {T}:scale = 0")))).problems
    fields = {name: str(getattr(problem, name)) for name in Problem.__dataclass_fields__}
    assert json.loads(json.dumps(fields))["code"] == "range"


def test_every_code_in_the_source_is_reached_by_a_test_here() -> None:
    """A code is what scripts hold on to: none may exist untested."""
    source = "".join(path.read_text() for path in sorted(CORE.glob("_*.py")))
    calls = re.findall(r'report\(\s*(?:prim,\s*(?:signal|name|""),\s*)?"([a-z-]+)"', source)
    calls += re.findall(r'fail\(\s*prim,\s*(?:signal|name|""),\s*"([a-z-]+)"', source)
    here = Path(__file__)
    others = (
        "alarms/test_alarm_reading.py",
        "maps/test_maps_of_connections.py",
        "simulation/test_model_reading.py",
    )
    texts = [here.read_text(), *((here.parent / other).read_text() for other in others)]
    tested = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', "".join(texts)))
    elsewhere = {"below-instance", "not-seeded"}  # with what causes them, in test_bindings
    assert set(calls) - tested - elsewhere == set()
    made = {f"rule-{which}" for which in ("signal", "command", "threshold", "setpoint")}
    made |= {f"model-{which}" for which in ("reads", "writes")}
    assert made <= tested  # their names are put together
    assert {"unknown-attribute", "template", "driven-twice", "connection"} <= set(calls)
    assert set(calls) >= _WARNINGS


def test_one_attribute_is_the_value_of_one_command() -> None:
    both = [command(name, target="/Plant/A.speed") for name in ("one", "other")]
    table = table_of(plant(prim("A", "double speed = 0", *both)))
    assert [c.signal for c in table.commands] == ["one"]
    (problem,) = table.problems
    assert (problem.code, problem.signal) == ("commanded-twice", "other")
    assert "/Plant/A.one" in problem.message


@pytest.mark.parametrize("first", ["command", "signal"])
def test_a_read_back_in_another_unit_keeps_a_command_from_running(first: str) -> None:
    signal = prim("B", telemetry("rpm", address="rpm", unit="Hz"))
    rpm = "/Plant/A/B.twin:telemetry:rpm:value"
    commanded = prim("C", command("speed", readback=rpm, unit="1/min"))
    inside = (signal, commanded) if first == "signal" else (commanded, signal)
    outer = prim("A", asset(), *inside)
    table = table_of(plant(outer))
    (problem,) = table.errors()
    assert (problem.signal, problem.code) == ("speed", "readback-unit")
    assert "commanded in '1/min', but /Plant/A/B.rpm is read back in 'Hz'" in problem.message
    assert table.commands == []
    assert len(table.telemetry) == 1


@pytest.mark.parametrize(
    ("rehearsal", "horizon", "warned"),
    [("required", 4.0, True), ("required", 5.0, False), ("none", 4.0, False)],
)
def test_a_rehearsal_that_ends_before_its_command_settles_is_a_warning(
    rehearsal: str, horizon: float, warned: bool
) -> None:
    speed = command("speed", settleTime=5.0, rehearsal=rehearsal, rehearsalHorizon=horizon)
    table = table_of(plant(prim("A", asset(), speed)))
    assert table.errors() == []
    assert [p.code for p in table.problems] == ["rehearsal-horizon"] * warned
    assert len(table.commands) == 1
    if warned:
        assert "at least settleTime, 5 s, got 4 s" in table.problems[0].message


def test_each_of_several_read_backs_has_the_commands_unit() -> None:
    signals = [
        telemetry(n, address=n, target="/Plant/A.rpm", redundancyGroup="rpm", unit=unit)
        for n, unit in (("a", "1/min"), ("b", "Hz"))
    ]
    speed = command("speed", readback="/Plant/A.rpm", unit="1/min")
    table = table_of(plant(prim("A", asset(), "double rpm = 0", *signals, speed)))
    assert [(p.signal, p.code) for p in table.problems] == [("speed", "readback-unit")]


def test_allowed_tokens_are_those_that_all_layers_allow() -> None:
    stage = stage_of(plant(prim("A", asset(), allowing(command("s", "token"), '["a", "b", "c"]'))))
    attr = stage.GetAttributeAtPath("/Plant/A.twin:command:s:desired")
    (found,) = read_bindings(stage).commands
    assert found.tokens == ("a", "b", "c")
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        attr.SetMetadata("allowedTokens", ["d", "c", "b"])
    (found,) = read_bindings(stage).commands
    assert found.tokens == ("c", "b")
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        attr.SetMetadata("allowedTokens", ["d"])
    table = read_bindings(stage)
    assert [(p.signal, p.code) for p in table.problems] == [("s", "tokens")]
    assert table.commands == []
