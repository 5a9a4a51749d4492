"""Models beside a machine: what they hear, what they say, and what becomes of one that fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stagetwin.signals import Quality
from stagetwin_sim.estimation import Observer
from stagetwin_sim.futures import Present
from tests.sim.host.talk import Talk, known
from tests.sim.plant.stages import model, out_of, value_of
from tests.stages.plants import asset, command, plant, prim, rule, telemetry

MakeTalk = Callable[..., Talk]

AMBIENT = value_of("T1", "ambient")
EXPECTED = "/Plant/T1.twin:telemetry:temperature:predicted"


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[MakeTalk]:
    made: list[Talk] = []

    def make(*bodies: str, rate: float = 1.0) -> Talk:
        made.append(Talk(tmp_path / "plant.usda", plant(*bodies), rate))
        return made[-1]

    yield make
    for each in made:
        each.close()


def tank(name: str = "T1", tau: float = 2.0) -> str:
    return prim(
        name,
        telemetry("ambient", unit="Cel", address=f"{name}/a"),
        telemetry("temperature", unit="Cel", address=f"{name}/t"),
        model(
            "heat",
            "test-lag",
            reads=value_of(name, "ambient"),
            writes=value_of(name, "temperature"),
            parameters={"tau": tau},
        ),
    )


def test_it_begins_where_the_plant_is_and_goes_with_the_clock(talk: MakeTalk) -> None:
    it = talk(tank())
    assert it.heard.table.measured == [AMBIENT, value_of("T1", "temperature")]
    it.go(5.0)
    assert it.heard.values == {}
    it.tell({AMBIENT: 60.0})
    it.listen()
    assert it.heard.values[EXPECTED] == pytest.approx(60.0)
    it.tell({AMBIENT: 20.0})
    it.go(2.0)
    assert it.heard.values[EXPECTED] == pytest.approx(20.0 + 40.0 * math.exp(-1.0), rel=1e-9)
    assert it.heard.times[-1] == pytest.approx(it.time)
    assert it.heard.health[-1].lag < 0.06
    assert it.heard.health[-1].dropped == 0
    assert it.heard.states["/Plant/T1.heat"].state == "running"


def test_only_what_changed_is_said(talk: MakeTalk) -> None:
    it = talk(
        prim(
            "T1",
            telemetry("ambient", unit="Cel", address="a"),
            model("m", "test-lag", reads=AMBIENT),
        ),
        prim("M", model("m", "test-machine", parameters={"speed": 2.0})),
    )
    it.tell({AMBIENT: 60.0})
    it.listen()
    assert it.heard.said == [4]
    it.go(3.0)
    assert it.heard.said == [4]
    it.tell({AMBIENT: 20.0})
    it.go(0.5)
    assert it.heard.said == [4, 2]


def test_an_accelerated_clock(talk: MakeTalk) -> None:
    it = talk(tank(tau=60.0), rate=60.0)
    it.tell({AMBIENT: 60.0})
    it.tell({AMBIENT: 20.0})
    it.go(1.0)
    assert it.heard.values[EXPECTED] == pytest.approx(20.0 + 40.0 * math.exp(-1.0), rel=1e-6)


def test_residuals_are_measured_minus_expected(talk: MakeTalk) -> None:
    it = talk(tank(tau=1e4))
    it.tell({AMBIENT: 60.0, value_of("T1", "temperature"): 61.0})
    it.go(0.5)
    stem = EXPECTED.removesuffix("predicted")
    # A slow machine does not observe every frame: what was expected may have moved on since.
    residual = it.heard.values[f"{stem}residual"]
    assert residual == pytest.approx(61.0 - it.heard.values[EXPECTED], abs=0.01)
    assert it.heard.values[f"{stem}residualSigma"] > 0
    types = {output.path: output.type_name for output in it.heard.table.outputs}
    assert types[f"{stem}residual"] == types[f"{stem}residualSigma"] == "double"


@pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
def test_a_bad_input_keeps_its_last_good_value_and_marks_what_depends_on_it(
    talk: MakeTalk, quality: Quality
) -> None:
    it = talk(
        tank(),
        tank("T2"),
        prim("A", model("m", "test-any", in_in=out_of("T1", "heat", "temperature"))),
    )
    it.tell({AMBIENT: 60.0, value_of("T2", "ambient"): 30.0})
    it.go(1.0)
    it.tell({AMBIENT: 5.0}, quality)
    it.go(1.5)
    assert it.heard.values[EXPECTED] == pytest.approx(60.0)
    states = it.heard.states
    assert states["/Plant/T1.heat"].state == "running"
    assert f"{AMBIENT} is {quality.token}" in states["/Plant/T1.heat"].cause
    assert states["/Plant/A.m"].cause == "uncertain, for it takes from /Plant/T1.heat"
    assert states["/Plant/T2.heat"].cause == ""
    it.tell({AMBIENT: 60.0})
    it.go(1.5)
    assert states["/Plant/T1.heat"].cause == ""


def test_a_model_without_its_input_waits_and_says_nothing(talk: MakeTalk) -> None:
    it = talk(tank(), tank("T2"))
    it.tell({value_of("T2", "ambient"): 30.0})
    it.tell({AMBIENT: math.nan}, Quality.BAD)
    it.go(1.5)
    assert not any(path.startswith("/Plant/T1") for path in known(it.heard.values))
    assert any(path.startswith("/Plant/T2") for path in known(it.heard.values))
    assert it.heard.states["/Plant/T1.heat"].state == "waiting"
    assert it.heard.states["/Plant/T1.heat"].cause == f"{AMBIENT} has no value yet"
    it.tell({AMBIENT: 40.0})
    it.go(1.5)
    assert EXPECTED in known(it.heard.values)
    assert it.heard.states["/Plant/T1.heat"].state == "running"


def grower(name: str = "G") -> str:
    return prim(
        name,
        telemetry("feed", address=f"{name}/f"),
        model("m", "test-grows", reads=value_of(name, "feed")),
    )


def test_a_model_that_diverges_is_alone_in_it(talk: MakeTalk) -> None:
    taker = prim("A", model("m", "test-any", in_in=out_of("G", "m", "size")))
    it = talk(tank(), grower(), taker)
    it.tell({AMBIENT: 60.0, value_of("G", "feed"): 0.0})
    it.go(3.5)
    assert it.heard.values[out_of("G", "m", "size")] == 1.0
    it.tell({AMBIENT: 20.0, value_of("G", "feed"): 1.0})
    it.go(4.0)
    heard = it.heard
    assert math.isnan(heard.values[out_of("G", "m", "size")])
    assert heard.states["/Plant/G.m"].state == "failed"
    assert "left the finite numbers" in heard.states["/Plant/G.m"].cause
    assert heard.values[out_of("A", "m", "out")] == 1.0
    assert heard.states["/Plant/A.m"].cause == "uncertain, for it takes from /Plant/G.m"
    # The others go on from where all was well, a moment ago, and by what is measured now.
    low, high = (20.0 + 40.0 * math.exp(-(4.0 + shift) / 2.0) for shift in (2.0, -2.0))
    assert low < heard.values[EXPECTED] < high
    assert heard.states["/Plant/T1.heat"].state == "running"
    it.tell({AMBIENT: 90.0})
    it.go(30.0)
    assert heard.values[EXPECTED] == pytest.approx(90.0, rel=1e-4)


def test_a_plant_that_is_read_anew_goes_on_where_it_was(talk: MakeTalk) -> None:
    it = talk(tank(tau=10.0))
    it.tell({AMBIENT: 60.0})
    it.tell({AMBIENT: 20.0})
    it.go(10.0)
    before = it.heard.values[EXPECTED]
    it.reopen(plant(tank(tau=10.0), tank("T2")))
    assert it.heard.table.number == 2
    it.tell({AMBIENT: 20.0, value_of("T2", "ambient"): 50.0})
    it.listen()
    now = 20.0 + (before - 20.0) * math.exp(-0.05 / 10.0)
    assert it.heard.values[EXPECTED] == pytest.approx(now, rel=1e-9)
    assert it.heard.values["/Plant/T2.twin:telemetry:temperature:predicted"] == pytest.approx(50.0)


def test_a_command_that_nobody_gave_is_at_its_read_back(talk: MakeTalk) -> None:
    desired = "/Plant/P.twin:command:speed:desired"
    it = talk(
        prim(
            "P",
            telemetry("speed", unit="1/min", address="s"),
            command("speed", unit="1/min", readback=value_of("P", "speed")),
            model("m", "test-motor", in_setpoint=desired),
        )
    )
    it.tell({value_of("P", "speed"): 600.0})
    it.go(1.5)
    assert it.heard.values[out_of("P", "m", "speed")] == pytest.approx(20 * math.pi)
    assert it.heard.states["/Plant/P.m"].cause == ""
    it.tell({desired: 900.0})
    it.go(0.5)
    assert it.heard.values[out_of("P", "m", "speed")] == pytest.approx(30 * math.pi)


def test_values_of_an_older_table_are_passed_over(talk: MakeTalk) -> None:
    it = talk(tank())
    it.heard.table.number = 7
    it.tell({AMBIENT: 60.0})
    it.heard.table.number = 1
    it.go(1.0)
    assert it.heard.values == {}


def test_the_present_holds_everything_that_decides(talk: MakeTalk) -> None:
    pump = prim(
        "P",
        asset("p"),
        'uniform string twin:modelVersion = "7"',
        telemetry("hot", address="h"),
        telemetry("speed", unit="1/min", address="s"),
        command("speed", unit="1/min", readback=value_of("P", "speed")),
        rule(
            "guard",
            value_of("P", "hot"),
            "double 5",
            "/Plant/P.twin:command:speed:desired",
            "double 0",
        ),
        model("m", "test-motor", in_setpoint="/Plant/P.twin:command:speed:desired"),
    )
    it = talk(tank(), pump)
    desired = "/Plant/P.twin:command:speed:desired"
    assert set(it.heard.table.measured) >= {AMBIENT, value_of("P", "hot"), desired}
    it.tell({AMBIENT: 60.0, value_of("P", "hot"): 3.0, desired: 900.0})
    it.go(1.0)
    said, data = it.beside.present({"rules": {"/Plant/P.guard": {"held": 2.0, "asked": True}}})
    assert said["forkable"] is True
    assert said["revision"] == it.opened.plant.plan.revision
    assert said["time"] == pytest.approx(it.time)
    present = Present.from_bytes(data, it.opened.plant)
    assert present.parameters == "7"
    assert present.stage == it.opened.plant.stage != ""
    assert present.values[value_of("P", "hot")] == 3.0
    assert present.desired == {desired: 900.0}
    assert present.rules["/Plant/P.guard"].held == 2.0
    state = it.beside.state()
    assert state is not None
    assert present.snapshot.frames == state.snapshot.frames
    it.reopen(plant(tank(), pump.replace("threshold = 5", "threshold = 6")))
    assert it.opened.plant.plan.revision == present.plant.plan.revision
    assert it.opened.plant.stage != present.stage  # another threshold of the rule


def test_the_observer_goes_on_from_a_present_bit_for_bit(talk: MakeTalk) -> None:
    it = talk(tank(tau=50.0))
    seen = value_of("T1", "temperature")
    it.tell({AMBIENT: 60.0, seen: 61.0})
    it.go(1.0)
    _, data = it.beside.present({})
    running = it.beside._running
    assert running is not None
    present = Present.from_bytes(data, it.opened.plant)
    assert len(present.observer) > 0
    again = present.plant.plan.engine(1)
    again.restore(present.snapshot)
    observer = Observer(present.plant, again)
    observer.load(present.observer)
    engine, first = running.engine, running._observer
    for k in range(40):
        for each, watching in ((engine, first), (again, observer)):
            each.step()
            watching.update({seen: 61.0 + 0.01 * k})
    assert again.save().digest() == engine.save().digest()
    was, now = first.save(), observer.save()
    assert was.keys() == now.keys()
    assert all(np.array_equal(was[name], now[name], equal_nan=True) for name in was)
    assert first.residuals().sigma[0] != observer_of_now(present).residuals().sigma[0]
    without = replace(present, observer={}).to_bytes()
    assert Present.from_bytes(without, it.opened.plant).observer == {}


def observer_of_now(present: Present) -> Observer:
    """Return an observer that knows nothing of the past, after one look."""
    engine = present.plant.plan.engine(1)
    engine.restore(present.snapshot)
    observer = Observer(present.plant, engine)
    engine.step()
    observer.update({value_of("T1", "temperature"): 61.0})
    return observer


def test_networks_do_not_depend_on_each_other(talk: MakeTalk) -> None:
    def loop(name: str) -> str:
        pump = prim(
            f"{name}P",
            telemetry("speed", unit="1/min", address=f"{name}/s"),
            model("m", "pump", reads=value_of(f"{name}P", "speed"), inlet=f"/Plant/{name}T"),
        )
        end = prim(f"{name}R", model("m", "reservoir", inlet=f"/Plant/{name}P"))
        return prim(f"{name}T", model("m", "tank")) + pump + end

    it = talk(loop("A"), loop("B"))
    assert [problem.message for problem in it.opened.plant.problems] == []
    it.tell({value_of("AP", "speed"): 2900.0, value_of("BP", "speed"): 2900.0})
    it.tell({value_of("AP", "speed"): 0.0}, Quality.BAD)
    it.go(1.5)
    blamed = {path for path, state in it.heard.states.items() if state.cause}
    assert blamed == {"/Plant/AT.m", "/Plant/AP.m", "/Plant/AR.m"}
    assert it.heard.values[out_of("BP", "m", "flow")] > 0
