"""Check: what is wrong with a stage before it runs, and claims that nothing backs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stagetwin._errors import StageError
from stagetwin.bindings._attributes import unit_error
from stagetwin.check import Report, check_stage
from tests.packages import write_metadata
from tests.stages.plants import Part, asset, command, connection, plant, prim, telemetry

SPEED = "/Plant/P1.twin:telemetry:rpm:value"


def check(tmp_path: Path, *bodies: str) -> Report:
    path = tmp_path / "plant.usda"
    path.write_text(plant(*bodies))
    return check_stage(path)


def pump(name: str, *parts: Part, level: str = "twin", asset_id: str = "") -> str:
    return prim(name, asset(asset_id or name, level, roles=["operator"]), *parts)


def codes(report: Report) -> list[tuple[str, str]]:
    return [(p.prim, p.code) for p in report.problems]


def test_a_sound_stage_has_nothing_to_report(tmp_path: Path) -> None:
    speed = command("speed", readback=SPEED, permissives="/Plant/P1.twin:telemetry:ok:value")
    signals = [telemetry("rpm", address="rpm"), telemetry("ok", "bool", "ok")]
    report = check(tmp_path, pump("P1", *signals, speed))
    assert codes(report) == []
    assert (report.signals, report.commands, report.connections, report.assets) == (2, 1, 1, 2)
    assert report.errors == 0


def test_a_twin_without_a_live_binding_is_a_warning(tmp_path: Path) -> None:
    report = check(
        tmp_path,
        pump("P1"),
        pump("P2", telemetry("rpm", address="rpm")),
        pump("P3", level="model"),
        pump("P4", telemetry("rpm", address="{nothing}")),
    )
    unbacked = [prim_at for prim_at, code in codes(report) if code == "twin-without-live-binding"]
    assert unbacked == ["/Plant/P1", "/Plant/P4"]
    assert report.errors == 1


def test_an_id_on_two_assets_is_reported_at_both(tmp_path: Path) -> None:
    signal = telemetry("rpm", address="{prim.name}/rpm")
    bodies = [pump(name, signal, asset_id="P-101") for name in ("P1", "P2")]
    report = check(tmp_path, *bodies, pump("P3", signal))
    assert codes(report) == [("/Plant/P1", "duplicate-id"), ("/Plant/P2", "duplicate-id")]
    assert "/Plant/P2" in report.problems[0].message


def test_a_readback_or_permissive_that_nothing_drives_is_a_warning(tmp_path: Path) -> None:
    body = prim(
        "P1",
        asset("P1", "twin", roles=["operator"]),
        "double rpm = 0\nbool ok = true",
        telemetry("flow", address="flow"),
        command("speed", readback="/Plant/P1.rpm", permissives="/Plant/P1.ok"),
    )
    report = check(tmp_path, body)
    assert [c for _, c in codes(report)] == ["permissive-not-live", "readback-not-live"]
    assert report.errors == 0


def test_a_missing_reference_is_reported_and_the_rest_is_checked(tmp_path: Path) -> None:
    report = check(
        tmp_path,
        prim("Gone", meta="references = @gone.usda@"),
        pump("P1", telemetry("rpm", address="rpm")),
    )
    assert ("/Plant/Gone", "composition") in codes(report)
    assert report.signals == 1


def test_a_report_is_json(tmp_path: Path) -> None:
    data = json.loads(json.dumps(check(tmp_path, pump("P1", telemetry("rpm"))).as_json()))
    assert data["errors"] == 1
    assert data["warnings"] == 2
    assert {p["code"] for p in data["problems"]} >= {"no-address", "nothing-live"}
    first = data["problems"][0]
    assert first.keys() == {"prim", "signal", "code", "message", "severity"}
    assert {p["severity"] for p in data["problems"]} == {"error", "warning"}


def test_a_stage_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"nothing\.usda"):
        check_stage(tmp_path / "nothing.usda")


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (
            'def Xform "P" ( prepend apiSchemas = ["TwinTelemetryApi:flow"] ) {\n}\n',
            "unknown-schema",
            "'TwinTelemetryApi'; did you mean 'TwinTelemetryAPI'",
        ),
        (
            'def Xform "P" {\ndouble twin:telemetry:flow:value\n}\n',
            "not-applied",
            "add TwinTelemetryAPI:flow",
        ),
        ('def TwinConection "c" {\n}\n', "unknown-type", "did you mean 'TwinConnection'"),
        (
            'def Xform "P" {\ntoken twin:conection = "c"\n}\n',
            "unknown-attribute",
            "did you mean 'twin:connection'",
        ),
        (
            'def Xform "Hall" {\n}\nover "Hal" {\ntoken twin:connection = "c"\n}\n',
            "over-nothing",
            "did you mean 'Hall'",
        ),
    ],
)
def test_what_was_misspelt_is_named(tmp_path: Path, body: str, code: str, says: str) -> None:
    path = tmp_path / "plant.usda"
    path.write_text("#usda 1.0\n" + body)
    found = {p.code: p.message for p in check_stage(path).problems}
    assert says in found[code]


@pytest.mark.parametrize(
    ("op", "unit", "says"),
    [
        ("float xformOp:rotateZ", "rad", "scale = 57.29578"),
        ("double xformOp:translateX", "mm", "scale = 0.001"),
        ("double plain", "C", "coulomb"),
        ("float xformOp:rotateZ", "deg", ""),
        ("double xformOp:translateX", "m", ""),
    ],
)
def test_units_that_a_transform_does_not_take_are_doubted(
    tmp_path: Path, op: str, unit: str, says: str
) -> None:
    path = tmp_path / "plant.usda"
    name = op.split()[1]
    path.write_text(f"""#usda 1.0
( metersPerUnit = 1 )
def TwinConnection "c" {{
    uniform string twin:endpoint = "soft://x"
}}
def Xform "J" ( prepend apiSchemas = ["TwinTelemetryAPI:a"] ) {{
    uniform token twin:connection = "c"
    {op} = 0
    uniform string twin:telemetry:a:address = "a"
    uniform string twin:telemetry:a:unit = "{unit}"
    rel twin:telemetry:a:target = </J.{name}>
}}
""")
    doubts = [p.message for p in check_stage(path).problems if p.code == "doubtful-unit"]
    assert len(doubts) == bool(says)
    assert all(says in doubt for doubt in doubts)


@pytest.mark.parametrize(("written", "meant"), [("°C", "Cel"), ("rpm", "1/min"), ("kWh", "kW.h")])
def test_common_spellings_of_units_are_understood_in_the_error(written: str, meant: str) -> None:
    assert f"did you mean {meant!r}" in unit_error(written)


@pytest.mark.parametrize(
    ("code", "signals", "more"),
    [
        ("readback-type", [telemetry("rpm", "bool", "rpm")], {}),
        (
            "tolerance-below-deadband",
            [telemetry("rpm", address="rpm", deadband=2.0)],
            {"tolerance": 1.0},
        ),
        ("permissive-type", [telemetry("rpm", address="rpm")], {"permissives": SPEED}),
    ],
)
def test_what_could_never_be_verified_or_permitted_is_a_warning(
    tmp_path: Path, code: str, signals: list[Part], more: dict[str, object]
) -> None:
    speed = command("speed", readback=SPEED, **more)
    report = check(tmp_path, pump("P1", *signals, speed))
    assert codes(report) == [("/Plant/P1", code)]
    assert report.errors == 0


def test_a_read_back_in_another_unit_is_an_error(tmp_path: Path) -> None:
    speed = command("speed", readback=SPEED, unit="1/min")
    report = check(tmp_path, pump("P1", telemetry("rpm", address="rpm", unit="Hz"), speed))
    assert codes(report) == [("/Plant/P1", "readback-unit")]
    assert (report.errors, report.commands) == (1, 0)


def test_commands_that_nobody_may_give_are_a_warning(tmp_path: Path) -> None:
    speed = command("speed", readback=SPEED)
    body = prim("P1", asset("P1", "twin"), telemetry("rpm", address="rpm"), speed)
    assert codes(check(tmp_path, body)) == [("/Plant/P1", "nobodys-commands")]


def test_an_input_of_another_realm_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "plant.usda"
    signal = telemetry("rpm", address="rpm", connection="tape")
    body = pump("P1", signal, command("speed", readback=SPEED))
    path.write_text(plant(body) + connection("tape", realm="replay"))
    report = check_stage(path)
    assert codes(report) == [("/Plant/P1", "realm-mixed")]
    assert "replay" in report.problems[0].message


def test_a_local_switch_that_nothing_drives_is_a_warning(tmp_path: Path) -> None:
    switch = "rel twin:remote = </Plant/P1.twin:telemetry:far:value>\nbool twin:telemetry:far:value"
    signals = [telemetry("rpm", address="rpm"), command("speed", readback=SPEED)]
    body = prim("P1", asset("P1", "twin", roles=["operator"]), *signals, switch)
    assert ("/Plant/P1", "remote-not-live") in codes(check(tmp_path, body))


def modelled(kind: str, parameter: str = "") -> str:
    body = f'uniform token twin:model:m:kind = "{kind}"\n{parameter}'
    meta = 'prepend apiSchemas = ["TwinModelAPI:m"]'
    inner = f'def Xform "M" ( {meta} ) {{\n{body}\n}}\n'
    return pump("P1", telemetry("rpm", address="rpm")) + inner


def test_a_model_that_no_run_would_start_is_an_error(tmp_path: Path) -> None:
    sound = check(tmp_path, modelled("ramp", "double twin:model:m:param:rate_up = 2"))
    assert (sound.models, sound.errors) == (1, 0)
    assert sound.as_json()["models"] == 1
    # A file of its own: USD gives the same layer again as long as anything holds the first.
    (other := tmp_path / "other").mkdir()
    report = check(other, modelled("ramp", "double twin:model:m:param:rate_up = -2"))
    assert codes(report) == [("/Plant/M", "parameter")]
    assert "must be in [0, " in report.problems[0].message
    assert (report.models, report.errors) == (0, 1)


def test_a_kind_that_is_not_installed_is_said_once(tmp_path: Path) -> None:
    report = check(tmp_path, modelled("rammp"))
    assert codes(report) == [("/Plant/M", "model-unknown")]
    assert report.models == 0


def test_an_installed_check_that_fails_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site"
    write_metadata(package, "stern", "[stagetwin.checks]\na-check = stern:fail\n")
    (package / "stern.py").write_text("def fail(stage, table):\n    raise ValueError('no')\n")
    monkeypatch.syspath_prepend(package)
    report = check(tmp_path, modelled("ramp", "double twin:model:m:param:rate_up = -2"))
    assert codes(report) == [("/", "check-failed"), ("/Plant/M", "parameter")]
    assert "'a-check' failed: ValueError: no" in report.problems[0].message
