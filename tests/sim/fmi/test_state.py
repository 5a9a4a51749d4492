"""The state of FMUs: saved, restored and forked, in many instances and worlds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stagetwin_sim._errors import SnapshotError, UnforkableError
from stagetwin_sim.engine import Plan, Snapshot
from tests.sim.fmi.rig import Wanted, get, health, plan_of


@pytest.fixture
def plant(fmus: Path) -> Plan:
    """A plan of several FMUs, two of them from one file."""
    return plan_of(
        Wanted(fmus / "Lag2.fmu", {"u": 1.0}),
        Wanted(fmus / "Lag2.fmu", {"u": 5.0}, {"tau": 3.0}, step=0.1),
        Wanted(fmus / "Counter2.fmu", {"trigger": 1.0}),
        Wanted(fmus / "Lag3.fmu", {"target": 4.0}),
        Wanted(fmus / "VanDerPol3.fmu"),
    )


def test_many_instances_of_one_file_are_independent(fmus: Path) -> None:
    engine = plan_of(*(Wanted(fmus / "Lag2.fmu", {"u": float(i)}) for i in range(12))).engine(3)
    engine.step(20)
    ys = engine.read()[:, [engine.plan.column(f"/F{i}.y") for i in range(12)]]
    assert ys[0] == pytest.approx(np.arange(12) * (1 - np.exp(-2.0)), rel=1e-12)
    assert np.array_equal(ys, np.repeat(ys[:1], 3, axis=0))


@pytest.mark.parametrize("moment", [0, 1, 6, 13])
def test_fork_and_run_equals_run_at_any_step(plant: Plan, moment: int) -> None:
    engine = plant.engine()
    engine.step(moment)
    fork = engine.fork(3)
    engine.step(15)
    fork.step(15)
    assert np.array_equal(fork.read(), np.repeat(engine.read(), 3, axis=0))
    assert fork.save().world(2).digest() == engine.save().digest()


def test_worlds_go_their_own_ways(plant: Plan) -> None:
    engine = plant.engine()
    engine.step(5)
    before = engine.save().digest()
    fork = engine.fork(2)
    fork.write([plant.column("/F0.u")], [[1.0], [9.0]])
    fork.step(10)
    assert get(fork, "/F0.y", 1) > 2 * get(fork, "/F0.y", 0)
    assert engine.save().digest() == before


def test_a_state_survives_being_written_down(plant: Plan) -> None:
    engine = plant.engine(2)
    engine.step(7)
    kept = Snapshot.from_bytes(engine.save().to_bytes())
    engine.step(9)
    expected = engine.read()
    engine.restore(kept)
    engine.step(9)
    assert np.array_equal(engine.read(), expected)


def test_what_is_remembered_beside_variables_comes_back(fmus: Path) -> None:
    engine = plan_of(Wanted(fmus / "Counter2.fmu", {"trigger": 1.0})).engine()
    engine.step(3)
    fork = engine.fork()
    fork.step(3)  # the trigger stayed up: no new edge
    assert get(fork, "/F0.count") == 1


def test_a_native_state_in_the_midst_of_bounces(ball: Path) -> None:
    engine = plan_of(Wanted(ball, more=("count_of_bounces",))).engine()
    engine.step(17)
    kept = engine.save()
    fork = engine.fork(4)
    engine.step(40)
    fork.step(40)
    assert np.array_equal(fork.read(), np.repeat(engine.read(), 4, axis=0))
    expected = engine.save().digest()
    engine.restore(kept)
    engine.step(40)
    assert engine.save().digest() == expected


def test_an_fmu_without_state_runs_and_cannot_be_forked(fmus: Path) -> None:
    wanted = (Wanted(fmus / "Lag2.fmu"), Wanted(fmus / "Faulty2.fmu", params={"limit": 9.0}))
    engine = plan_of(*wanted).engine()
    engine.step(4)
    assert get(engine, "/F1.y") == pytest.approx(0.2)
    with pytest.raises(UnforkableError, match=r"^/F1\.m: .*Faulty.* lacks canGetAndSetFMUstate"):
        engine.fork()


def test_an_fmu_that_can_be_there_once_takes_one_world(fmus: Path) -> None:
    plan = plan_of(Wanted(fmus / "Once2.fmu", {"u": 1.0}))
    engine = plan.engine()
    engine.step()
    assert get(engine, "/F0.y") > 0
    for worlds in (1, 2):
        with pytest.raises(UnforkableError, match=r"/F0\.m: .* once in a process, \d instances"):
            engine.fork(worlds)
    del engine
    assert plan.engine().frames == 0  # once there is none left, there can be another


def test_a_stopped_instance_is_stopped_in_the_fork_too(fmus: Path) -> None:
    plan = plan_of(
        Wanted(fmus / "Lag3.fmu", {"target": 2.0}, {"last": 0.26}),
        Wanted(fmus / "Lag3.fmu", {"target": 2.0}),
    )
    engine = plan.engine()
    engine.step(3)
    before = engine.save()
    engine.step(5)
    assert health(engine, "/F0").stopped
    fork = engine.fork(2)
    assert health(fork, "/F0", 1).cause == health(engine, "/F0").cause
    fork.step(3)
    engine.step(3)
    assert np.array_equal(fork.read()[:1], engine.read())
    held, other = get(engine, "/F0.pressure"), get(engine, "/F1.pressure")
    engine.restore(before)  # back before it stopped: it runs again
    engine.step(2)
    assert not health(engine, "/F0").stopped
    assert get(engine, "/F0.pressure") == pytest.approx(held)
    assert other > get(engine, "/F1.pressure")


def test_foreign_states_are_refused(fmus: Path) -> None:
    plan = plan_of(Wanted(fmus / "Lag2.fmu"))
    engine = plan.engine()
    saved = engine.save()
    with pytest.raises(SnapshotError, match="states have shape"):
        engine.systems["fmu"].load({})
    broken = np.empty((1, 1), object)
    broken[0, 0] = b"\1no state at all"
    with pytest.raises(SnapshotError, match=r"/F0\.m: fmi2DeSerializeFMUstate gave"):
        engine.systems["fmu"].load({**saved.systems["fmu"], "state": broken})
