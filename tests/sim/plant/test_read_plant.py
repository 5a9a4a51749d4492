"""Models of a stage as a plan: ports, units, couplings, and problems that cost one model alone."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from stagetwin.bindings import Severity
from stagetwin_sim.engine import GroupPlan
from stagetwin_sim.plant import read_plant
from tests.sim.plant.kinds import LAG
from tests.sim.plant.stages import clean, codes, edited, model, out_of, read, value_of
from tests.stages.plants import command, plant, prim, stage_of, telemetry


def tank(name: str = "T1", *parts: object, **options: object) -> str:
    return prim(
        name,
        telemetry("ambient", unit="Cel", address=f"{name}/a"),
        telemetry("temperature", "float", unit="[degF]", address=f"{name}/t"),
        *(parts or (lag(name, **options),)),  # type: ignore[arg-type]
    )


def lag(name: str = "T1", **options: object):  # type: ignore[no-untyped-def]
    return model(
        "heat",
        "test-lag",
        reads=value_of(name, "ambient"),
        writes=value_of(name, "temperature"),
        **options,  # type: ignore[arg-type]
    )


def test_ports_take_the_signals_of_their_names_in_their_units() -> None:
    found = clean(tank())
    (feed,) = found.measured[value_of("T1", "ambient")]
    assert (feed.scale, feed.offset) == (1.0, 273.15)
    assert found.plan.columns[feed.column].name == value_of("T1", "ambient")
    assert found.plan.columns[feed.column].unit == "K"
    expected, own = found.outputs
    assert expected.path == "/Plant/T1.twin:telemetry:temperature:predicted"
    assert expected.type_name == "float"
    assert expected.of(373.15) == pytest.approx(212.0, abs=1e-12)
    assert found.plan.columns[expected.column].predicts == value_of("T1", "temperature")
    assert (own.path, own.type_name, own.unit) == (
        out_of("T1", "heat", "difference"),
        "double",
        "K",
    )
    assert own.of(3.5) == 3.5
    instance = found.instances["/Plant/T1.heat"]
    assert (instance.group, instance.index) == ("test-lag", 0)
    assert instance.inputs == {"ambient": feed.column}
    assert instance.outputs == {"temperature": expected.column, "difference": own.column}


def test_it_runs_and_begins_where_the_plant_is() -> None:
    found = clean(tank(parameters={"tau": (1.0, "min")}))
    at = found.at({value_of("T1", "ambient"): 80.0, "/Plant/T1.other": 1.0})
    assert at.plan.revision == found.plan.revision
    engine = at.plan.engine()
    engine.step(20)
    assert found.outputs[0].of(engine.read()[0, found.outputs[0].column]) == pytest.approx(176.0)
    (feed,) = found.measured[value_of("T1", "ambient")]
    engine.write([feed.column], [feed.of(20.0)])
    engine.step(1200)
    expected = 20.0 + 60.0 * np.exp(-1.0)
    kelvin = engine.read()[0, found.outputs[0].column]
    assert kelvin == pytest.approx(273.15 + expected, rel=1e-9)


def test_an_input_by_constant_by_own_value_and_by_command() -> None:
    found = clean(
        prim("A", model("m", "test-motor", parameters={"setpoint": (1500.0, "1/min")})),
        prim("B", model("m", "test-motor")),
        prim(
            "C",
            command("speed", unit="1/min"),
            model("m", "test-motor", in_setpoint="/Plant/C.twin:command:speed:desired"),
        ),
    )
    columns = {name: found.plan.column(f"/Plant/{name}.twin:model:m:in:setpoint") for name in "AB"}
    assert found.plan.columns[columns["A"]].value == pytest.approx(50 * np.pi)
    assert found.plan.columns[columns["B"]].value == 0
    (feed,) = found.setpoints["/Plant/C.twin:command:speed:desired"]
    assert feed.of(60.0) == pytest.approx(2 * np.pi)
    assert found.measured == {}
    (group,) = found.plan.systems
    assert isinstance(group, GroupPlan)
    assert group.inputs[0].tolist() == [columns["A"], columns["B"], feed.column]


def test_an_output_feeds_an_input_in_one_column_whoever_is_read_first() -> None:
    found = clean(
        prim("A", model("m", "test-machine", in_speed=out_of("Z", "m", "speed"))),
        prim("Z", model("m", "test-motor", in_load_torque=out_of("A", "m", "load_torque"))),
    )
    one, other = found.instances["/Plant/A.m"], found.instances["/Plant/Z.m"]
    assert one.inputs["speed"] == other.outputs["speed"]
    assert other.inputs["load_torque"] == one.outputs["load_torque"]
    assert [system.name for system in found.plan.systems] == ["test-motor", "test-machine"]


def test_a_shaft_couples_by_what_it_drives() -> None:
    found = clean(
        prim("M", model("m", "test-motor", drives="/Plant/P", parameters={"setpoint": 100.0})),
        prim("P", model("pump", "test-machine")),
    )
    motor, pump = found.instances["/Plant/M.m"], found.instances["/Plant/P.pump"]
    assert pump.inputs["speed"] == motor.outputs["speed"]
    assert motor.inputs["load_torque"] == pump.outputs["load_torque"]
    engine = found.plan.engine()
    engine.step(50)
    speed = engine.read()[0, motor.outputs["speed"]]
    assert speed == pytest.approx(100.0 / (1 + 0.5 / 10.0))


def test_two_drivers_of_one_shaft_are_told_apart_by_hand() -> None:
    bodies = (
        prim("M", model("m", "test-motor", drives="/Plant/P")),
        prim("N", model("m", "test-motor", drives="/Plant/P")),
    )
    found = read(*bodies, prim("P", model("pump", "test-machine")))
    assert codes(found) == [("/Plant/P", "port")]
    assert "both" in found.problems[0].message
    clean(*bodies, prim("P", model("pump", "test-machine", in_speed=out_of("M", "m", "speed"))))


def test_coupled_ports_of_other_units_are_converted() -> None:
    found = clean(
        prim("A", model("m", "test-any", in_in=out_of("B", "heat", "temperature"))),
        tank("B"),
        prim("C", model("m", "test-machine", in_speed=out_of("A", "m", "out"))),
    )
    assert (
        found.instances["/Plant/A.m"].inputs["in"]
        == (found.instances["/Plant/B.heat"].outputs["temperature"])
    )


def test_a_port_of_any_unit_takes_that_of_its_signal() -> None:
    found = clean(
        prim(
            "A",
            telemetry("in", unit="bar", address="a"),
            telemetry("out", unit="kPa", address="b"),
            model("m", "test-any", reads=value_of("A", "in"), writes=value_of("A", "out")),
        )
    )
    (feed,) = found.measured[value_of("A", "in")]
    engine = found.plan.engine()
    engine.write([feed.column], [feed.of(2.0)])
    engine.step()
    output = next(o for o in found.outputs if o.signal)
    assert output.of(engine.read()[0, output.column]) == pytest.approx(200.0)


def test_a_signal_that_is_read_in_two_units_has_two_columns() -> None:
    found = clean(
        prim(
            "A",
            telemetry("speed", unit="Hz", address="a"),
            model("x", "test-machine", reads=value_of("A", "speed")),
            model("y", "test-machine", in_speed=value_of("A", "speed")),
            model("z", "test-any", in_in=value_of("A", "speed")),
        )
    )
    first, second = found.measured[value_of("A", "speed")]
    assert (first.of(1.0), second.of(1.0)) == (pytest.approx(2 * np.pi), 1.0)
    engine = found.plan.engine()
    assert engine.read().shape == (1, len(found.plan.columns))


def test_models_of_a_kind_are_one_batch_and_other_steps_another() -> None:
    found = clean(tank("A"), tank("B"), tank("C", step=1.0), tank("D", step=1.0))
    assert [system.name for system in found.plan.systems] == ["test-lag", "test-lag@1"]
    assert [found.instances[f"/Plant/{n}.heat"].index for n in "ABCD"] == [0, 1, 0, 1]
    found.plan.engine().step(41)


def test_a_family_gets_all_its_models_at_once() -> None:
    found = clean(prim("F", model("m", "test-fan")), prim("B", model("m", "test-belt")))
    assert [system.name for system in found.plan.systems] == ["pairs"]


@pytest.mark.parametrize(
    ("bad", "code", "said"),
    [
        (
            model("m", "test-lag", parameters={"tau": 0.0}),
            "parameter",
            r"\[0.001, 10000\] s, got 0",
        ),
        (model("m", "test-lag", parameters={"tau": (1.0, "m")}), "parameter", "cannot become 's'"),
        (model("m", "test-lag", parameters={"tua": 1.0}), "parameter", "no param:tua; it has"),
        (model("m", "test-lag", parameters={"tau": 1e9}), "parameter", "got 1e"),
        (model("m", "test-lag", step=0.03), "step", "whole part or a whole multiple of 0.05 s"),
        (model("m", "test-lag", in_ambient=value_of("B", "word")), "port", "is token"),
        (model("m", "test-lag", in_ambient=value_of("B", "vector")), "port", "is double3"),
        (model("m", "test-lag", in_ambient=value_of("B", "flow")), "port", "'m3/h' cannot become"),
        (model("m", "test-lag", in_other=value_of("B", "flow")), "port", "no in:other; it has amb"),
        (
            model("m", "test-lag", out_heat=value_of("B", "flow")),
            "port",
            "no out:heat; it has diff",
        ),
        (model("m", "test-lag", out_temperature=value_of("A", "temperature")), "port", "already"),
        (model("m", "test-lag", in_ambient=out_of("A", "heat", "x")), "fed-by", "no output x"),
        (model("m", "test-lag", in_ambient="/Plant/B.twin:id"), "port", "nor a number elsewhere"),
        (model("m", "no-such-kind"), "kind", "no installed model 'no-such-kind'"),
        (model("m", "test-missing"), "kind", "cannot be loaded: AttributeError"),
        (model("m", "test-none"), "kind", "no kind of model that runs beside"),
        (model("m", "test-faulty"), "lonely", "needs a partner"),
        (model("m", "test-fan"), "family", "ValueError: a fan needs a belt"),
    ],
)
def test_one_bad_model_costs_nothing_but_itself(bad: object, code: str, said: str) -> None:
    found = read(
        tank("A"),
        prim(
            "B",
            'string twin:id = "B"\n',
            telemetry("word", "token", address="w"),
            telemetry("vector", "double3", address="v"),
            telemetry("flow", unit="m3/h", address="f"),
            bad,  # type: ignore[arg-type]
        ),
        prim("C", model("m", "test-machine", parameters={"speed": 3.0})),
    )
    assert codes(found) == [("/Plant/B", code)]
    problem = found.problems[0]
    assert (problem.signal, problem.severity) == ("m", Severity.ERROR)
    assert re.search(said, problem.message), problem.message
    assert sorted(found.instances) == ["/Plant/A.heat", "/Plant/C.m"]
    engine = found.plan.engine()
    engine.step(2)
    engine.check()


def test_who_is_fed_by_a_bad_model_does_not_run_either() -> None:
    found = read(
        prim("A", model("m", "test-lag", parameters={"tau": -1.0})),
        prim("B", model("m", "test-any", in_in=out_of("A", "m", "temperature"))),
        prim("C", model("m", "test-any", in_in=out_of("B", "m", "out"))),
        prim("D", model("m", "test-lag")),
    )
    assert codes(found) == [
        ("/Plant/A", "parameter"),
        ("/Plant/B", "fed-by"),
        ("/Plant/C", "fed-by"),
    ]
    assert "/Plant/A.twin:model:m:out:temperature: it does not run" in found.problems[1].message
    assert list(found.instances) == ["/Plant/D.m"]


def test_noise_of_observers_is_no_parameter_of_the_kind() -> None:
    clean(
        prim(
            "A",
            model(
                "m",
                "test-lag",
                parameters={"process:temperature": 0.1, "measurement:temperature": 1},
            ),
        )
    )


def test_nothing_is_calibrated_because_it_says_so() -> None:
    found = read(
        prim("A", model("m", "test-lag", fidelity="calibrated")),
        prim("B", model("m", "test-lag", fidelity="screening")),
        prim("C", model("m", "test-lag")),
    )
    assert codes(found) == [("/Plant/A", "model-uncalibrated")]
    fidelities = [found.instances[f"/Plant/{name}.m"].fidelity for name in "ABC"]
    assert fidelities == ["engineering", "screening", "engineering"]
    boasting = replace(found.instances["/Plant/C.m"], kind=replace(LAG, fidelity="calibrated"))
    assert boasting.fidelity == "engineering"


def test_the_revision_tells_plans_apart_and_nothing_else() -> None:
    stage = stage_of(plant(tank(parameters={"tau": 2.0})))
    first = read_plant(stage).plan.revision
    assert read_plant(stage).plan.revision == first
    assert edited(stage, value_of("T1", "ambient"), 33.0).plan.revision == first
    assert read_plant(stage, seed=1).plan.revision != first
    assert read_plant(stage, frame=0.1).plan.revision != first
    assert edited(stage, "/Plant/T1.twin:model:heat:param:tau", 2.5).plan.revision != first
    assert edited(stage, "/Plant/T1.twin:model:heat:param:tau", 2.0).plan.revision == first


def test_a_plant_without_models_has_an_empty_plan() -> None:
    found = clean()
    engine = found.plan.engine()
    engine.step(3)
    assert (found.outputs, found.measured, found.instances) == ((), {}, {})
