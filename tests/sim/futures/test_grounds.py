"""What `held` rests on: where anything of it is not known, a rehearsal says nothing."""

from __future__ import annotations

import io
import math
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stagetwin.simulation import Line, wire
from stagetwin_sim.futures import Outcome, Present, Verdict, _wiring, fork, operate, rehearse
from stagetwin_sim.futures._boundary import Boundary
from stagetwin_sim.futures._slots import Tap
from stagetwin_sim.futures._watch import Limit, Watch
from stagetwin_sim.host._ahead import answer
from stagetwin_sim.plant import PlantModel
from tests.sim.futures.plants import (
    DESIRED,
    INFLOW,
    LEVEL,
    OPENING,
    basin_bodies,
    basin_plant,
    basin_present,
)
from tests.sim.plant.stages import model, read, value_of
from tests.stages.alarms.watched import alarm
from tests.stages.plants import prim, telemetry

VALVE = "/Plant/V1.position"


def present(plant: PlantModel | None = None, **known: Any) -> Present:
    return basin_present(plant if plant is not None else basin_plant(rules=False), **known)


def tried(now: Present, value: float = 0.6, horizon: float = 20.0) -> Verdict:
    return rehearse(now, VALVE, value, horizon=horizon, budget=60.0)


def test_a_set_point_in_force_excuses_no_machine_that_stands_elsewhere() -> None:
    """Else both futures have the command, and its overflow counts as one that comes anyway."""
    elsewhere = present(desired={DESIRED: 0.0})  # 0 is in force, and the valve is half open
    verdict = tried(elsewhere, 0.0, horizon=600.0)
    assert verdict.outcome is Outcome.VIOLATED
    assert verdict.already == []


def test_a_command_that_changes_nothing_is_not_excused_by_itself() -> None:
    verdict = tried(present(values={OPENING: 0.0}, desired={DESIRED: 0.0}), 0.0, horizon=600.0)
    assert verdict.outcome is Outcome.VIOLATED
    assert verdict.already == []


def test_no_side_of_a_limit_excuses_the_other() -> None:
    limits = fork(present(), 1, limited=True).wiring.limits
    level = [
        limit for limit in limits if limit.signal == "/Plant/T1.level" and limit.kind == "hard"
    ]
    assert [(limit.low, limit.high) for limit in level] == [(0.0, math.inf), (-math.inf, 2.9)]


@pytest.mark.parametrize("quality", ["bad", "stale"])
def test_an_input_that_is_not_good_refuses(quality: str) -> None:
    now = present()
    verdict = tried(replace(now, quality={**now.quality, INFLOW: quality}))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert f"{INFLOW} is {quality}" in verdict.cause


def test_an_input_that_was_never_heard_refuses() -> None:
    now = present()
    values = {path: value for path, value in now.values.items() if path != INFLOW}
    verdict = tried(replace(now, values=values))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert f"{INFLOW} has no value yet" in verdict.cause


def test_an_uncertain_value_is_used() -> None:
    now = present()
    verdict = tried(replace(now, quality={**now.quality, INFLOW: "uncertain"}))
    assert verdict.outcome is Outcome.HELD


def test_a_model_that_is_doubted_refuses_and_the_doubt_travels_with_the_present() -> None:
    now = replace(present(), doubts={"/Plant/T1.basin": "it began 0.10 s ago"})
    again = Present.from_bytes(now.to_bytes(), now.plant)
    assert again.digest() == now.digest() != present().digest()
    verdict = tried(again)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.cause == "/Plant/T1.basin is not to be believed now: it began 0.10 s ago"


def test_a_set_point_that_nobody_knows_refuses() -> None:
    now = present()
    verdict = tried(replace(now, desired={}, quality={**now.quality, OPENING: "stale"}))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "nobody knows where /Plant/V1.position stands now" in verdict.cause


def test_a_model_that_does_not_run_and_may_follow_refuses() -> None:
    beside = prim("T2", telemetry("level", unit="m", address="t2/l"),
                  model("basin", "nothing-such", reads=[LEVEL],
                        writes=["/Plant/T2.twin:telemetry:level:value"]))  # fmt: skip
    plant = read(*basin_bodies(rules=False), beside)
    assert "/Plant/T2.basin" not in plant.instances
    verdict = tried(present(plant))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "/Plant/T2.basin does not run, and may follow from /Plant/V1.position" in verdict.cause


def test_a_model_that_does_not_run_elsewhere_is_nobodys_trouble() -> None:
    far = prim("T3", telemetry("heat", unit="Cel", address="t3/h"),
               model("oven", "nothing-such", writes=[value_of("T3", "heat")]))  # fmt: skip
    plant = read(*basin_bodies(rules=False), far)
    assert tried(present(plant)).outcome is Outcome.HELD


def test_a_limit_that_is_no_number_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Limit(kind="hard", prim="/Plant/T1", signal="/Plant/T1.level", tap=Tap(0), high=math.nan)
    monkeypatch.setattr(_wiring, "limits_of", lambda slots, moving: [odd])
    verdict = tried(present())
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "is no number" in verdict.cause


def test_a_command_that_does_not_take_effect_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Boundary, "launch", lambda self, dt, substeps: None)
    verdict = tried(present())
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "/Plant/V1.position is 0.5 in its own future" in verdict.cause


def test_limits_that_nobody_looked_at_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "launch", lambda self, dt, substeps: None)
    verdict = tried(present(), 0.0, horizon=600.0)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "nobody looked at" in verdict.cause


def test_an_alarm_whose_condition_nobody_knows_counts() -> None:
    gate = "/Plant/T1.twin:telemetry:filling:value"
    full = alarm("full", LEVEL, side="high_high", limit=2.0, gate=gate, priority="high")
    plant = basin_plant(telemetry("filling", "bool", address="t/f"), full, rules=False)
    unknown = tried(present(plant), 0.0, horizon=250.0)
    assert unknown.outcome is Outcome.VIOLATED
    assert unknown.violations[0].kind == "alarm"


@pytest.mark.parametrize("horizon", [0.0, 0, -1.0])
def test_a_horizon_of_nothing_is_not_the_usual_one(horizon: float) -> None:
    given = {"command": VALVE, "value": 0.6, "horizon": horizon, "budget": 60.0}
    said = operate(present().plant, "rehearse", given, present())
    assert said["verdict"] == "inconclusive"
    assert "the horizon must be at least" in said["cause"]


def test_without_a_present_nothing_is_rehearsed() -> None:
    ask = wire.Ask(1, "rehearse", {"command": VALVE, "value": 0.6, "horizon": 5.0, "budget": 60.0})
    out, into = os.pipe()
    with open(out, "rb") as source:
        with open(into, "wb"):
            line = Line(source, io.BytesIO())
            said = answer(line, basin_plant(rules=False), ask)
        assert line.take(5.0) is None  # its reader has come to the end
        line.close()
    assert said.fault is not None
    assert "starts from the present" in said.fault.message
    assert said.result == {}


def test_numbers_that_are_none_on_the_way_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    now = present()
    state = now.snapshot.systems["test-basin"]["state"]
    monkeypatch.setitem(now.snapshot.systems["test-basin"], "state", np.full_like(state, np.nan))
    verdict = tried(now)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "is not finite" in verdict.cause
