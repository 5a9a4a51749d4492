"""Models on a stage: what is read of them, and each way to be wrong, which costs one model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from stagetwin.bindings import (
    BindingTable,
    Limits,
    ModelBinding,
    ModelParameter,
    read_bindings,
)
from stagetwin.check import lint
from stagetwin.guards import guard_hashes
from tests.stages.alarms.watched import alarm
from tests.stages.plants import (
    Part,
    asset,
    command,
    full_path,
    limits_of,
    plant,
    prim,
    stage_of,
    table_of,
    telemetry,
)
from tests.stages.simulation.modelled import model

FLOW, SPEED = full_path("/Plant/P.flow"), full_path("/Plant/P.speed")
DESIRED = "/Plant/P.twin:command:drive:desired"


def text_of(*parts: Part | str, level: str = "twin", rehearsal: str = "none") -> str:
    tank = prim("T", asset("t"), telemetry("level", address="level"))
    pump = prim(
        "P",
        asset("p", level=level),
        telemetry("flow", address="flow"),
        telemetry("speed", address="speed"),
        telemetry("mode", "token", "mode"),
        command("drive", readback=SPEED, rehearsal=rehearsal),
        *parts,
    )
    return plant(tank, pump)


def problems_of(*parts: Part | str) -> list[tuple[str, str, str]]:
    table = table_of(text_of(model("good"), *parts))
    assert [m.name for m in table.models] == ["good"]
    assert len(table.telemetry) == 4
    return [(p.code, p.signal, p.message) for p in table.problems]


def test_what_is_authored_is_read(tmp_path: Path) -> None:
    (tmp_path / "pump.fmu").write_bytes(b"fmu")
    limits = limits_of((0, 50))
    part = model(
        "hydraulics",
        "pump",
        reads=[SPEED, DESIRED],
        writes=[FLOW],
        parameters={
            "nominal_head": f'double = 32 ({limits[1:-1]} customData = {{ string unit = "m" }})',
            "stages": "int = 2",
            "closed": "bool = true",
        },
        more="""uniform asset twin:model:hydraulics:file = @pump.fmu@
        uniform double twin:model:hydraulics:step = 0.01
        uniform double twin:model:hydraulics:horizon = 30
        uniform token twin:model:hydraulics:fidelity = "calibrated\"""",
        inlet="/Plant/T",
        in_torque="/Plant/P.twin:model:drive:out:torque",
    )
    stage = stage_of(text_of(part, model("drive", "motor")), tmp_path / "plant.usda")
    table = read_bindings(stage)
    assert [str(problem) for problem in table.problems] == []
    found, drive = table.models
    assert drive.path == "/Plant/P.drive"
    assert found == ModelBinding(
        prim="/Plant/P",
        name="hydraulics",
        asset="/Plant/P",
        kind="pump",
        file=str(tmp_path / "pump.fmu"),
        reads=(SPEED, DESIRED),
        writes=(FLOW,),
        step=0.01,
        horizon=30.0,
        fidelity="calibrated",
        parameters={
            "nominal_head": ModelParameter(value=32.0, unit="m", limits=Limits(0.0, 50.0)),
            "stages": ModelParameter(value=2.0, unit="", limits=Limits()),
            "closed": ModelParameter(value=1.0, unit="", limits=Limits()),
        },
        relations={
            "inlet": ("/Plant/T",),
            "in:torque": ("/Plant/P.twin:model:drive:out:torque",),
        },
    )


def test_a_signal_without_a_source_may_be_expected_but_not_read() -> None:
    loose = full_path("/Plant/P.loose")
    text = text_of(
        "double twin:telemetry:loose:value",
        model("writer", writes=[loose]),
        model("reader", reads=[loose]),
    )
    table = table_of(text)
    assert [m.name for m in table.models] == ["writer"]
    assert [(p.code, p.signal) for p in table.problems] == [("model-reads", "reader")]


@pytest.mark.parametrize(
    ("code", "part", "says"),
    [
        ("model-kind", model("m", ""), "the name of an installed model"),
        ("model-reads", model("m", reads=["/Plant/P.twin:telemetry:flo:value"]), "flo:value"),
        ("model-writes", model("m", writes=[DESIRED]), "no signal"),
        ("model-relation", model("m", inlet="/Plant/T2"), "inlet names /Plant/T2"),
        ("model-relation", model("m", in_q="/Plant/T.head"), "in:q names /Plant/T.head"),
        ("model-parameter", model("m", parameters={"a": 'string = "8"'}), "must be a number"),
        ("model-parameter", model("m", parameters={"a": "double"}), "got double None"),
        ("model-parameter", model("m", parameters={"a": "double = inf"}), "must be finite"),
        (
            "model-parameter",
            model("m", parameters={"a": f"double = 9 {limits_of((0, 8))}"}),
            "[0, 8], got 9",
        ),
        (
            "unit",
            model("m", parameters={"a": 'double = 1 (customData = { string unit = "psi" })'}),
            "did you mean '[psi]'",
        ),
        (
            "unit",
            model("m", parameters={"a": "double = 1 (customData = { int unit = 3 })"}),
            "must be a string, got 3",
        ),
        ("limits", model("m", parameters={"a": f"double = 1 {limits_of((3, 2))}"}), "no value is"),
        ("token", model("m", more='token twin:model:m:fidelity = "exact"'), "screening"),
        ("range", model("m", more="double twin:model:m:step = -1"), "step must be at least 0"),
        ("range", model("m", more="double twin:model:m:horizon = inf"), "horizon must be finite"),
        ("model-file", model("m", more="asset twin:model:m:file = @gone.fmu@"), "gone.fmu"),
        ("model-track", model("m", more="double twin:model:m:track:a = 1"), "(0, 1)"),
        ("model-track", model("m", more="double twin:model:m:track:a = nan"), "got nan"),
        ("model-track", model("m", more="bool twin:model:m:track:a = 1"), "got True"),
    ],
)
def test_a_model_that_is_wrong_is_a_problem_and_costs_nothing_else(
    code: str, part: Part, says: str
) -> None:
    found = problems_of(part)
    assert [(problem[0], problem[1]) for problem in found if problem[0] == code] == [(code, "m")]
    assert says in "".join(message for *_, message in found)


def test_parameters_that_are_followed_have_a_tolerance_and_guard_nothing() -> None:
    loose, followed = (
        table_of(text_of(model("m", parameters={"a": 2.0}, more=more)))
        for more in ("", "double twin:model:m:track:a = 0.05")
    )
    assert followed.problems == []
    assert followed.models[0].tracked == {"a": 0.05}
    assert loose.models[0].tracked == {}
    assert guard_hashes(followed) == guard_hashes(loose)


def test_a_vector_of_limits_is_refused() -> None:
    pair = "(\nlimits = {\ndictionary hard = {\ndouble[] minimum = [0, 1]\n}\n}\n)"
    found = problems_of(model("m", parameters={"a": f"double = 1 {pair}"}))
    assert [(code, signal) for code, signal, _ in found] == [("limits", "m")]


def test_a_misspelt_attribute_is_a_warning() -> None:
    table = table_of(text_of(model("m", more="double twin:model:m:stp = 1")))
    (problem,) = table.problems
    assert (problem.code, problem.severity.value) == ("unknown-attribute", "warning")
    assert "did you mean 'step'" in problem.message
    assert len(table.models) == 1


# -- alarms on what models give


def alarms_of(*parts: Part | str) -> BindingTable:
    return table_of(text_of(model("m", writes=[FLOW]), *parts))


@pytest.mark.parametrize(
    "signal",
    [
        "/Plant/P.twin:telemetry:flow:predicted",
        "/Plant/P.twin:telemetry:flow:residual",
        "/Plant/P.twin:model:m:out:npsh_margin",
    ],
)
def test_an_alarm_may_judge_what_a_model_gives(signal: str) -> None:
    table = alarms_of(
        alarm("wear", signal, kind="model", side="low", limit=0.5, hysteresis=0.1, advice="look")
    )
    assert [str(problem) for problem in table.problems] == []
    (found,) = table.alarms
    assert (found.kind, found.signal, found.side) == ("model", signal, "low")
    assert (found.limit, found.hysteresis, found.advice) == (0.5, 0.1, "look")


@pytest.mark.parametrize(
    ("code", "signal", "limit", "says"),
    [
        ("alarm-signal", FLOW, 1.0, "an alarm of kind model judges"),
        ("alarm-signal", "/Plant/P.twin:telemetry:speed:residual", 1.0, "no model that can run"),
        ("alarm-signal", "/Plant/P.twin:telemetry:mode:predicted", 1.0, "is no number"),
        ("alarm-signal", "/Plant/P.twin:model:n:out:x", 1.0, "belongs to no model"),
        ("alarm-limit", "/Plant/P.twin:telemetry:flow:residual", math.inf, "a finite number"),
    ],
)
def test_an_alarm_on_what_no_model_gives_is_refused(
    code: str, signal: str, limit: float, says: str
) -> None:
    table = table_of(
        text_of(
            model("m", writes=[FLOW, full_path("/Plant/P.mode")]),
            alarm("a", signal, kind="model", limit=limit),
        )
    )
    (problem,) = table.problems
    assert (problem.code, problem.signal) == (code, "a")
    assert says in problem.message


# -- guards


def hash_of(*parts: Part | str, **how: str) -> str:
    return guard_hashes(table_of(text_of(*parts, **how)))["/Plant/P"]


def test_what_a_rehearsal_believes_is_part_of_the_guards() -> None:
    none = hash_of()
    one = hash_of(model("m", parameters={"head": 30}))
    assert one != none
    assert hash_of(model("m", parameters={"head": 31})) != one
    assert hash_of(model("m", "other", parameters={"head": 30})) != one
    assert hash_of(model("m", parameters={"head": 30}, inlet="/Plant/T")) != one
    assert hash_of(model("m", parameters={"head": 30})) == one


def test_the_content_of_a_models_file_is_part_of_the_guards(tmp_path: Path) -> None:
    file = tmp_path / "pump.fmu"
    part = model("m", more="asset twin:model:m:file = @./pump.fmu@")

    def now(content: bytes) -> str:
        file.write_bytes(content)
        stage = stage_of(text_of(part), tmp_path / f"{len(content)}.usda")
        return guard_hashes(read_bindings(stage))["/Plant/P"]

    first = now(b"one")
    assert now(b"other") != first
    assert now(b"one") == first


@pytest.mark.parametrize("rehearsal", ["none", "required"])
def test_a_rehearsed_command_is_guarded_by_the_models_of_assets_that_are_no_twins(
    rehearsal: str,
) -> None:
    def now(head: float) -> str:
        tank = prim("Q", asset("q", level="model"), model("m", parameters={"head": head}))
        text = text_of(rehearsal=rehearsal) + ""
        inside = text.rstrip().removesuffix("}")
        return guard_hashes(table_of(inside + tank + "}\n"))["/Plant/P"]

    assert (now(1) != now(2)) is (rehearsal == "required")


def believed(
    *parts: Part | str,
    rehearsal: str = "required",
    address: str = "i",
    scale: float = 1.0,
    high: float = 2.9,
    other: str = "o",
) -> str:
    """The hash of a valve whose command is rehearsed by a tank on another asset."""
    tank = prim(
        "T",
        asset("t"),
        telemetry("level", address="l", hard=(0, high)),
        telemetry("inflow", address=address, scale=scale),
        telemetry("other", address=other),
        model("m", reads=[full_path("/Plant/T.inflow")], writes=[full_path("/Plant/T.level")]),
        *parts,
    )
    drive = command("drive", readback=full_path("/Plant/V.at"), rehearsal=rehearsal)
    valve = prim("V", asset("v", "twin"), telemetry("at", address="at"), drive)
    table = table_of(plant(tank, valve))
    assert [str(problem) for problem in table.errors()] == []
    return guard_hashes(table)["/Plant/V"]


ALARM = alarm("full", full_path("/Plant/T.level"), kind="limit", limit=2.5)
ALARM2 = alarm("full", full_path("/Plant/T.level"), kind="limit", limit=2.6)
ALARM_SAYS = alarm("full", full_path("/Plant/T.level"), kind="limit", limit=2.5, advice="look")


@pytest.mark.parametrize("rehearsal", ["none", "required"])
@pytest.mark.parametrize(
    ("parts", "fields"),
    [
        ((), {"high": 1e9}),
        ((), {"address": "j"}),
        ((), {"scale": 0.001}),
        ((ALARM,), {}),
    ],
)
def test_what_a_rehearsal_judges_by_is_part_of_the_guards(
    parts: tuple[Part, ...], fields: dict[str, Any], rehearsal: str
) -> None:
    changed = believed(*parts, rehearsal=rehearsal, **fields) != believed(rehearsal=rehearsal)
    assert changed is (rehearsal == "required")


def test_an_alarms_limit_is_a_guard_of_what_is_rehearsed_and_its_words_are_none() -> None:
    assert believed(ALARM) != believed(ALARM2)
    assert believed(ALARM) == believed(ALARM_SAYS)


def test_a_signal_that_no_model_knows_is_no_guard_of_a_rehearsal() -> None:
    assert believed(other="p") == believed()


def test_an_fmu_prim_is_a_model_and_a_guard(tmp_path: Path) -> None:
    def now(content: bytes, enabled: bool = True) -> BindingTable:
        (tmp_path / "pump.fmu").write_bytes(content)
        fmu = (
            'def FmuInstance "F"\n{\nasset fmi:fmu = @./pump.fmu@\n'
            f"bool fmi:enabled = {int(enabled)}\n"
            'def FmuConnection "C"\n{\nrel fmi:targets = </Plant/P>\ndef FmuMapping "M"\n{\n'
            'string fmi:fmuAttribute = "n.speed"\n'
            'string fmi:usdAttribute = "twin:telemetry:speed:value"\n'
            'token fmi:direction = "input"\n}\n}\n}\n'
        )
        inside = text_of(rehearsal="required").rstrip().removesuffix("}")
        stage = stage_of(inside + fmu + "}\n", tmp_path / f"{len(content)}{enabled}.usda")
        return read_bindings(stage)

    first = now(b"one")
    (found,) = first.models
    assert (found.path, found.kind, found.file) == (
        "/Plant/F.fmu", "fmu", str(tmp_path / "pump.fmu"),
    )  # fmt: skip
    assert found.relations == {"in:n_speed": (SPEED,)}
    assert first.problems == []
    one = guard_hashes(first)["/Plant/P"]
    assert guard_hashes(now(b"other"))["/Plant/P"] != one
    assert guard_hashes(now(b"one"))["/Plant/P"] == one
    off = now(b"one", enabled=False)
    assert off.models == []
    assert guard_hashes(off)["/Plant/P"] != one


def test_whether_a_command_is_rehearsed_is_a_guard() -> None:
    assert hash_of(rehearsal="required") != hash_of(rehearsal="none")


# -- check


def test_check_names_kinds_that_are_not_installed() -> None:
    stage = stage_of(text_of(model("m", "synthetik"), model("n", "synthetic")))
    found = [p for p in lint(stage, read_bindings(stage)) if p.code == "model-unknown"]
    assert [(p.prim, p.signal) for p in found] == [("/Plant/P", "m")]
    assert "did you mean 'synthetic'" in found[0].message


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"rehearsal": "required"}, "rehearsal-without-models"),
        ({"rehearsal": "required", "rehearsalBudget": 10.0}, "rehearsal-too-slow"),
        ({"rehearsal": "none"}, ""),
    ],
)
def test_check_names_rehearsals_that_could_never_succeed(
    fields: dict[str, float | str], code: str
) -> None:
    parts = [] if code != "rehearsal-too-slow" else [model("m", "synthetic")]
    text = plant(
        prim("P", asset("p"), telemetry("speed", address="speed"), *parts,
             command("drive", readback=SPEED, **fields))
    )  # fmt: skip
    stage = stage_of(text)
    codes = {p.code for p in lint(stage, read_bindings(stage)) if p.code.startswith("rehearsal")}
    assert codes == ({code} if code else set())
