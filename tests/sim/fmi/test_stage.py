"""FMUs on a stage: as models of assets, and as NVIDIA's prims."""

from __future__ import annotations

from pathlib import Path

import pytest
from pxr import Usd

from stagetwin_sim.plant import read_plant
from tests.sim.fmi.rig import fmu_model
from tests.sim.plant.stages import codes, model, out_of, value_of
from tests.stages.plants import plant, prim, stage_of, telemetry


def lag_stage(fmus: Path, **options: object) -> Usd.Stage:
    """A tank whose pressure follows its target by an FMU."""
    return stage_of(
        plant(
            prim(
                "T1",
                telemetry("target", "double", "t", unit="bar", default=3.0),
                telemetry("pressure", "float", "p", unit="kPa"),
                fmu_model(
                    "vendor",
                    fmus / "Lag3.fmu",
                    reads=value_of("T1", "target"),
                    writes=value_of("T1", "pressure"),
                    **options,
                ),
            )
        )
    )


def test_ports_by_name_and_units_of_both_sides(fmus: Path) -> None:
    found = read_plant(lag_stage(fmus, parameters={"tau": (250.0, "ms")}))
    # The builder of FMI 3 leaves out what the standard asks for, the independent variable.
    assert codes(found) == [("/Plant/T1", "fmu-description")]
    (output,) = (o for o in found.outputs if o.signal == value_of("T1", "pressure"))
    engine = found.at({value_of("T1", "target"): 3.0}).plan.engine()
    engine.step(5)
    pressure = output.of(float(engine.read()[0, output.column]))
    assert pressure == pytest.approx(300 - 200 * 2.718281828459045**-1, rel=1e-9)
    paths = {o.path for o in found.outputs}
    assert out_of("T1", "vendor", "steps") in paths


def test_an_fmu_feeds_an_fmu(fmus: Path) -> None:
    found = read_plant(
        stage_of(
            plant(
                prim(
                    "A",
                    fmu_model(
                        "m", fmus / "Lag3.fmu", parameters={"target": (2.0, "bar"), "tau": 1e-3}
                    ),
                ),
                prim(
                    "B", fmu_model("m", fmus / "Lag3.fmu", in_target=out_of("A", "m", "pressure"))
                ),
            )
        )
    )
    assert [p for p in found.problems if p.code != "fmu-description"] == []
    first, second = (found.instances[f"/Plant/{name}.m"] for name in "AB")
    assert first.outputs["pressure"] == second.inputs["target"]
    engine = found.plan.engine()
    engine.step(100)
    assert engine.read()[0, second.outputs["pressure"]] == pytest.approx(
        engine.read()[0, first.outputs["pressure"]], rel=1e-3
    )


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"parameters": {"tau": 2.0, "size": 1.0}}, "parameter", "size"),
        ({"parameters": {"pressure": 2.0}}, "fmu-parameter", "start cannot be set"),
        ({"step": 0.03}, "fmu-step", "neither a divisor nor a multiple"),
        ({"in_tau": value_of("T1", "target")}, "fmu-port", "tau is a parameter, no input"),
        ({"out_absent": value_of("T1", "pressure")}, "fmu-port", "no variable of that name"),
        ({"out_target": value_of("T1", "pressure")}, "fmu-port", "no output"),
    ],
)
def test_what_is_wrong_names_prim_and_port(
    fmus: Path, options: dict[str, object], code: str, words: str
) -> None:
    found = read_plant(lag_stage(fmus, **options))
    problem = next(p for p in found.problems if p.code == code)
    assert (problem.prim, problem.signal) == ("/Plant/T1", "vendor")
    assert words in problem.message
    assert not found.instances


def test_one_bad_file_never_stops_the_others(fmus: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.fmu").write_text("no archive")
    bodies = [
        prim("Good", fmu_model("m", fmus / "Lag2.fmu", parameters={"u": 2.0})),
        prim("Bad", fmu_model("m", tmp_path / "bad.fmu")),
        prim("Absent", fmu_model("m", tmp_path / "absent.fmu")),
        prim("None", model("m", "fmu")),
        prim("Crash", fmu_model("m", fmus / "Crash2.fmu")),
        prim("Once", fmu_model("m", fmus / "Once2.fmu")),
        prim("Twice", fmu_model("m", fmus / "Once2.fmu")),
    ]
    found = read_plant(stage_of(plant(*bodies)))
    wrong = {p.prim for p in found.problems if p.code == "fmu-file"}
    assert wrong == {f"/Plant/{n}" for n in ("Bad", "None", "Crash", "Twice")}
    assert "/Plant/Absent" in {p.prim for p in (*found.problems, *found.table.problems)}
    assert set(found.instances) == {"/Plant/Good.m", "/Plant/Once.m"}
    engine = found.plan.engine()
    engine.step(40)
    column = found.instances["/Plant/Good.m"].outputs["y"]
    assert engine.read()[0, column] == pytest.approx(2.0, rel=0.05)


def mapping(name: str, variable: str, attribute: str, direction: str, part: str = "(0, 1)") -> str:
    return f"""def FmuMapping "{name}" {{
        string fmi:fmuAttribute = "{variable}"
        string fmi:usdAttribute = "{attribute}"
        token fmi:direction = "{direction}"
        int2 fmi:usdMapping = {part}
    }}"""


def instance(file: Path, *mappings: str, targets: str = "</Plant/T1>", enabled: bool = True) -> str:
    connection = f"rel fmi:targets = [{targets}]\n" + "\n".join(mappings)
    held = f'def FmuConnection "Both"\n{{\n{connection}\n}}'
    own = f"asset fmi:fmu = @{file}@\nbool fmi:enabled = {str(enabled).lower()}\n"
    return f'def FmuInstance "Fmu"\n{{\n{own}{held}\n}}\n'


def tank() -> str:
    return prim(
        "T1",
        telemetry("target", "double", "t", unit="bar", default=3.0),
        telemetry("pressure", "float", "p", unit="kPa"),
        "double level = 2.5",
    )


def test_the_prims_of_nvidia(fmus: Path) -> None:
    feeds = mapping("In", "target", "twin:telemetry:target:value", "input")
    gives = mapping("Out", "pressure", "twin:telemetry:pressure:value", "output")
    found = read_plant(stage_of(plant(tank(), instance(fmus / "Lag3.fmu", feeds, gives))))
    assert codes(found) == [("/Plant/Fmu", "fmu-description")]
    (output,) = (o for o in found.outputs if o.signal == value_of("T1", "pressure"))
    assert output.model == "/Plant/Fmu.fmu"
    engine = found.at({value_of("T1", "target"): 3.0}).plan.engine()
    engine.step(200)
    assert output.of(float(engine.read()[0, output.column])) == pytest.approx(300, rel=1e-6)


def test_plain_attributes_of_any_prim(fmus: Path) -> None:
    feeds = mapping("In", "u", "level", "input")
    gives = mapping("Out", "y", "seen", "output")
    body = prim("T1", "double level = 2.5\ndouble seen")
    found = read_plant(stage_of(plant(body, instance(fmus / "Lag2.fmu", feeds, gives))))
    assert {p.code for p in found.problems} <= {"fmu-unit"}
    (output,) = (o for o in found.outputs if o.path == "/Plant/T1.seen")
    engine = found.plan.engine()
    engine.step(200)
    assert engine.read()[0, output.column] == pytest.approx(2.5, rel=1e-6)


def test_a_disabled_one_is_passed_over(fmus: Path) -> None:
    found = read_plant(stage_of(plant(tank(), instance(fmus / "Lag3.fmu", enabled=False))))
    assert not found.instances
    assert not found.problems


@pytest.mark.parametrize(
    ("made", "targets", "words"),
    [
        (mapping("M", "target", "level", "sideways"), "</Plant/T1>", "must be input or output"),
        (mapping("M", "", "level", "input"), "</Plant/T1>", "fmi:fmuAttribute is empty"),
        (mapping("M", "target", "level", "input", "(1, 3)"), "</Plant/T1>", "must be (0, 1)"),
        (mapping("M", "target", "level", "input"), "</Plant/T1>, </Plant/T2>", "1 target"),
        (mapping("M", "target", "level", "input"), "", "1 target"),
    ],
)
def test_mappings_that_cannot_be_used(fmus: Path, made: str, targets: str, words: str) -> None:
    body = instance(fmus / "Lag3.fmu", made, targets=targets)
    found = read_plant(stage_of(plant(tank(), body)))
    (problem,) = (p for p in found.table.problems if p.code == "fmu-mapping")
    assert problem.prim == "/Plant/Fmu/Both/M"
    assert words in problem.message
    assert set(found.instances) == {"/Plant/Fmu.fmu"}
