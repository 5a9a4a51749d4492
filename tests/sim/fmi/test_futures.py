"""FMUs in futures: they go into a present, are forked with it, and a rehearsal runs them on."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagetwin_sim._errors import UnforkableError
from stagetwin_sim.futures import Branch, Outcome, Present, Setting, fork, rehearse
from stagetwin_sim.plant import PlantModel, read_plant
from tests.sim.fmi.rig import fmu_model
from tests.sim.host.talk import Talk
from tests.sim.plant.stages import value_of
from tests.stages.plants import asset, command, plant, prim, stage_of, telemetry

TARGET, PRESSURE = value_of("T1", "target"), value_of("T1", "pressure")
WANTED = "/Plant/T1.twin:command:target:desired"
KNOWN = {TARGET: 2.0, PRESSURE: 1.0}


@pytest.fixture(scope="module")
def lag(fmus: Path) -> PlantModel:
    """A tank whose pressure follows its commanded target by an FMU; it may come to 4 bar."""
    body = prim(
        "T1",
        asset("t1", "twin"),
        telemetry("target", address="t", unit="bar"),
        telemetry("pressure", address="p", unit="bar", hard=(0, 4)),
        command("target", address="s", unit="bar", readback=TARGET, settleTime=1.0),
        fmu_model("vendor", fmus / "Lag3.fmu", in_target=WANTED, writes=PRESSURE),
    )
    return read_plant(stage_of(plant(body)))


@pytest.fixture(scope="module")
def present(lag: PlantModel) -> Present:
    """A third of a second after the target was set to 2 bar, on its way there."""
    engine = lag.at({**KNOWN, WANTED: 2.0}).plan.engine()
    engine.step(7)
    (output,) = (o for o in lag.outputs if o.signal == PRESSURE)
    here = output.of(float(engine.read()[0, output.column]))
    assert 1.2 < here < 1.8
    return Present.of(lag, engine, values={**KNOWN, PRESSURE: here}, desired={WANTED: 2.0})


def test_fork_and_run_equals_run(present: Present, lag: PlantModel) -> None:
    kept = Present.from_bytes(present.to_bytes(), lag)
    engine = lag.plan.engine()
    engine.restore(present.snapshot)
    future = fork(kept, 3)
    for each in (engine, future):
        each.step(15)
    alone = engine.save().digest()
    assert [future.moment(k).snapshot.digest() for k in range(3)] == [alone] * 3
    assert alone != present.snapshot.digest()


def test_futures_go_their_own_ways_and_are_forked_on(present: Present) -> None:
    before = present.digest()
    future = fork(present, [Branch(settings=(Setting(WANTED, bar),)) for bar in (2.0, 5.0)])
    future.step(20)
    low, high = future.signal(PRESSURE).tolist()
    assert low < 2.0 < high < 5.0
    on = fork(future.moment(1), 1)
    for each in (future, on):
        each.step(20)
    assert on.signal(PRESSURE)[0] == future.signal(PRESSURE)[1] > high
    assert present.digest() == before


@pytest.mark.parametrize(
    ("bar", "outcome"), [(3.5, Outcome.HELD), (5.0, Outcome.VIOLATED)], ids=["held", "violated"]
)
def test_a_rehearsal_runs_an_fmu_on(present: Present, bar: float, outcome: Outcome) -> None:
    verdict = rehearse(present, "/Plant/T1.target", bar, horizon=10.0, budget=60.0)
    assert verdict.outcome is outcome, verdict.cause
    assert [(each.model, each.kind) for each in verdict.believed] == [("/Plant/T1.vendor", "fmu")]
    assert [(v.kind, v.signal, v.limit) for v in verdict.violations] == (
        [] if outcome is Outcome.HELD else [("hard", "/Plant/T1.pressure", 4.0)]
    )


def test_one_that_can_be_there_once_is_in_no_rehearsal(fmus: Path) -> None:
    body = prim(
        "T1",
        asset("t1", "twin"),
        telemetry("y", address="y", hard=(-9, 9)),
        command("u", address="u", readback=value_of("T1", "y"), settleTime=1.0),
        fmu_model(
            "vendor",
            fmus / "Once2.fmu",
            in_u="/Plant/T1.twin:command:u:desired",
            writes=value_of("T1", "y"),
        ),
    )
    found = read_plant(stage_of(plant(body)))
    engine = found.plan.engine()
    present = Present.of(found, engine, values={value_of("T1", "y"): 0.0})
    with pytest.raises(UnforkableError, match=r"/Plant/T1\.vendor: .* once in a process"):
        fork(present)
    verdict = rehearse(present, "/Plant/T1.u", 1.0, horizon=5.0, budget=60.0)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "/Plant/T1.vendor" in verdict.cause


def test_one_that_cannot_save_its_state_has_no_present(fmus: Path, tmp_path: Path) -> None:
    body = prim(
        "T1",
        telemetry("any", address="a"),
        fmu_model("vendor", fmus / "Faulty2.fmu", parameters={"limit": 9.0}),
    )
    it = Talk(tmp_path / "plant.usda", plant(body))
    try:
        it.go(0.5)
        it.go(0.5)
        assert it.heard.health[-1].frames > 0  # beside the machine it runs all the same
        said, data = it.beside.present({})
    finally:
        it.close()
    assert (said["forkable"], data) == (False, b"")
    assert said["unforkable"].startswith("/Plant/T1.vendor: ")
    assert "lacks canGetAndSetFMUstate" in said["unforkable"]
