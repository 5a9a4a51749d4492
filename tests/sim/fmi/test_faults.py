"""What goes wrong in one FMU stays there, is named by prim, and is counted."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from stagetwin_sim.fmi import read_fmu, trial
from tests.sim.fmi.rig import Wanted, get, health, plan_of


@pytest.mark.parametrize(
    ("manner", "cause"),
    [
        (0, "it wants to end at 0.2 s: the limit is passed"),
        (2, "an output is no finite number"),
    ],
)
def test_one_that_fails_holds_and_the_others_go_on(
    fmus: Path, caplog: pytest.LogCaptureFixture, manner: int, cause: str
) -> None:
    engine = plan_of(
        Wanted(fmus / "Lag2.fmu", {"u": 1.0}),
        Wanted(fmus / "Faulty2.fmu", params={"manner": manner, "limit": 0.21}),
        Wanted(fmus / "Faulty2.fmu", params={"manner": manner, "limit": 99.0}),
    ).engine()
    with caplog.at_level(logging.INFO, "stagetwin_sim.fmi"):
        engine.step(20)
    assert get(engine, "/F1.y") == pytest.approx(0.2)
    assert get(engine, "/F2.y") == pytest.approx(1.0)
    assert get(engine, "/F0.y") == pytest.approx(1 - np.exp(-2.0))
    found = health(engine, "/F1")
    assert (found.stopped, found.cause, found.counts["stopped"]) == (True, cause, 1)
    assert not health(engine, "/F2").stopped
    told = [r for r in caplog.records if "is stopped" in r.getMessage()]
    assert [r.getMessage().split()[0] for r in told] == ["/F1.m"]


def test_a_fatal_fault_stops_all_of_that_file_and_no_other(fmus: Path) -> None:
    plan = plan_of(
        Wanted(fmus / "Faulty2.fmu", params={"limit": 99.0}),
        Wanted(fmus / "Faulty2.fmu", params={"manner": 1, "limit": 0.21}),
        Wanted(fmus / "Lag2.fmu", {"u": 1.0}),
    )
    engine = plan.engine()
    engine.step(10)
    assert "fatal at 0.2 s" in health(engine, "/F1").cause
    assert "its library is corrupt since /F1.m" in health(engine, "/F0").cause
    assert get(engine, "/F2.y") == pytest.approx(1 - np.exp(-1.0))
    again = plan.engine()  # from a library that is loaded anew
    again.step(3)
    assert get(again, "/F0.y") == pytest.approx(0.15)
    assert not health(again, "/F0").stopped


def test_an_error_is_told_with_the_message_of_the_fmu(fmus: Path) -> None:
    engine = plan_of(Wanted(fmus / "Lag3.fmu", params={"last": 0.21})).engine()
    engine.step(10)
    found = health(engine, "/F0")
    assert found.cause.startswith("its step gave error at 0.2 s")
    assert found.counts == {"error": 1, "stopped": 1}


def test_discarded_steps_are_tried_in_halves(fmus: Path) -> None:
    whole, halves, never = (
        Wanted(fmus / "Lag3.fmu", {"target": 2.0}, {"longest": longest})
        for longest in (1.0, 0.03, 0.001)
    )
    engine = plan_of(whole, halves, never).engine()
    engine.step(10)
    assert get(engine, "/F1.pressure") == pytest.approx(get(engine, "/F0.pressure"), rel=1e-12)
    assert get(engine, "/F1.steps") == 2 * get(engine, "/F0.steps")
    assert health(engine, "/F1").counts == {"discard": 10}
    assert "discards steps of 0.003125 s" in health(engine, "/F2").cause


def test_messages_name_the_prim(fmus: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = plan_of(Wanted(fmus / "Faulty2.fmu", params={"limit": 0.06})).engine()
    with caplog.at_level(logging.WARNING, "stagetwin_sim.fmi"):
        engine.step(3)
    assert "/F0.m: the limit is passed" in [r.getMessage() for r in caplog.records]


def test_inputs_that_are_not_finite_keep_the_last_good_one(fmus: Path) -> None:
    engine = plan_of(Wanted(fmus / "Lag2.fmu", {"u": 2.0}, {"tau": 1e-3})).engine()
    engine.step()
    bus = engine.read()
    bus[0, engine.plan.column("/F0.u")] = np.nan
    engine.context.bus.assign(bus)
    engine.step(2)
    assert get(engine, "/F0.y") == pytest.approx(2.0)
    assert health(engine, "/F0").counts == {"input not finite": 2}


def test_inputs_out_of_the_range_of_an_integer_are_bounded(fmus: Path) -> None:
    engine = plan_of(Wanted(fmus / "Counter2.fmu", {"trigger": 1.0})).engine()
    engine.write([engine.plan.column("/F0.step_by")], [1e12])
    engine.step()
    assert get(engine, "/F0.count") == 2**31 - 1
    assert health(engine, "/F0").counts == {"input out of range": 1}


def test_an_instance_that_cannot_start_is_stopped(ball: Path) -> None:
    from dataclasses import replace

    from stagetwin_sim.engine import PlanBuilder
    from stagetwin_sim.fmi import FmuPlan, FmuUnit

    builder = PlanBuilder()
    fmu = replace(read_fmu(ball), token="another", digest="another")
    builder.add(FmuPlan(units=(FmuUnit(place="/F0.m", fmu=fmu),)))
    engine = builder.build().engine()
    engine.step(2)
    assert health(engine, "/F0").cause == "it cannot start: /F0.m: the FMU gave no instance"


def test_one_that_ends_its_process_is_found_in_a_trial(fmus: Path) -> None:
    found = [read_fmu(fmus / f"{name}.fmu") for name in ("Lag3", "Crash2", "Lag2")]
    results = trial(found, 0.05)
    told = [results[fmu.digest] for fmu in found]
    assert told[0] == told[2] == ""
    assert "Crash2.fmu: in a trial it ended its process (-6)" in told[1]
