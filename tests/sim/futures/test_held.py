"""`held` says something of the plant: of limits in reach, from where it is, to where it comes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from stagetwin_sim.futures import Outcome, Present, Verdict, fork, rehearse
from stagetwin_sim.futures._collisions import Collisions, Touch
from stagetwin_sim.plant import PlantModel
from tests.sim.futures.plants import (
    DESIRED,
    INFLOW,
    KNOWN,
    LEVEL,
    OPENING,
    READY,
    basin_bodies,
    basin_plant,
    basin_present,
)
from tests.sim.plant.stages import clean, model, read, value_of
from tests.stages.alarms.watched import alarm
from tests.stages.plants import Part, asset, command, prim, rule, telemetry

VALVE = "/Plant/V1.position"
OTHER = "/Plant/V1.twin:command:gate:desired"
GATE = value_of("T1", "filling")


def tried(now: Present, value: float = 0.6, horizon: float = 20.0, name: str = VALVE) -> Verdict:
    return rehearse(now, name, value, horizon=horizon, budget=60.0)


def of(plant: PlantModel | None = None, **known: Any) -> Present:
    return basin_present(plant if plant is not None else basin_plant(rules=False), **known)


def inconclusive(verdict: Verdict, cause: str) -> None:
    assert verdict.outcome is Outcome.INCONCLUSIVE, verdict.cause
    assert cause in verdict.cause


# -- where it begins


@pytest.mark.parametrize("quality", ["bad", "stale"])
def test_a_model_whose_limited_signal_is_not_measured_is_not_anchored(quality: str) -> None:
    now = of()
    verdict = tried(replace(now, quality={**now.quality, LEVEL: quality}))
    inconclusive(verdict, f"{LEVEL} is {quality}: nobody knows whether the model is where")
    unheard = replace(now, values={p: v for p, v in now.values.items() if p != LEVEL})
    inconclusive(tried(unheard), f"{LEVEL} is not known")


@pytest.mark.parametrize(("measured", "outcome"), [(1.28, "held"), (1.3, "inconclusive")])
def test_a_model_that_is_elsewhere_than_the_machine_says_nothing(
    measured: float, outcome: str
) -> None:
    """A tenth of the 2.9 m between the limits is what they may differ."""
    verdict = tried(of(values={LEVEL: measured}))
    assert verdict.outcome == outcome
    if outcome == "inconclusive":
        assert f"{LEVEL} is 1.3 m and its model says 1 m" in verdict.cause
        assert verdict.simulated == pytest.approx(20.0)  # what was found stays evidence


def test_a_model_that_ran_is_compared_as_it_stood() -> None:
    plant = basin_plant(rules=False)
    engine = plant.at({**KNOWN, INFLOW: 360.0}).plan.engine()
    engine.step(400)  # 20 s at ten times the inflow
    level = 1.0 + 20.0 * 0.09 / 2.0
    now = Present.of(plant, engine, values={**KNOWN, LEVEL: level}, desired={DESIRED: 0.5})
    assert tried(now).outcome is Outcome.HELD
    inconclusive(tried(replace(now, values={**KNOWN})), "and its model says")


# -- what watches it


def test_a_gate_that_stands_still_in_a_future_silences_no_alarm() -> None:
    full = alarm("full", LEVEL, side="high_high", limit=2.0, gate=GATE, priority="high")
    plant = basin_plant(telemetry("filling", "bool", address="t/f"), full, rules=False)
    verdict = tried(of(plant, values={GATE: 0.0}), 0.0, horizon=250.0)
    assert [found.kind for found in verdict.violations] == ["alarm"]


def test_a_gate_that_follows_a_command_silences_an_alarm() -> None:
    full = alarm("full", LEVEL, side="high_high", limit=2.0, gate=GATE, priority="high")
    fill = command("fill", "bool", address="fill", readback=GATE)
    plant = basin_plant(telemetry("filling", "bool", address="t/f"), fill, full, rules=False)
    fills = "/Plant/T1.twin:command:fill:desired"
    for value, outcome in ((0.0, Outcome.HELD), (1.0, Outcome.VIOLATED)):
        now = of(plant, values={GATE: value}, desired={fills: value})
        assert tried(now, 0.0, horizon=250.0).outcome is outcome


def delayed(delay: float) -> PlantModel:
    full = alarm("full", LEVEL, side="high_high", limit=2.0, priority="high", onDelay=delay)
    return basin_plant(full, rules=False)


def test_an_alarm_that_waits_for_its_delay_at_the_end_counts() -> None:
    verdict = tried(of(delayed(60.0)), 0.0, horizon=230.0)  # 2 m after some 201 s
    (found,) = verdict.violations
    assert found.time == pytest.approx(261.25, abs=0.1)
    assert "if it stays so for its delay of 60 s" in found.message
    later = tried(of(delayed(60.0)), 0.0, horizon=300.0)
    assert later.violations[0].time == pytest.approx(found.time)
    before = tried(of(delayed(60.0)), 0.0, horizon=190.0)
    assert before.outcome is Outcome.HELD


def test_nobody_knows_how_much_of_a_delay_is_over_now() -> None:
    full = alarm("full", LEVEL, side="high_high", limit=0.9, priority="high", onDelay=600.0)
    plant = basin_plant(full, rules=False)  # 1 m
    helps = tried(of(plant), 0.6)
    assert (helps.outcome, [found.kind for found in helps.already]) == (Outcome.HELD, ["alarm"])
    worse = tried(of(plant), 0.4)
    assert worse.outcome is Outcome.VIOLATED
    assert worse.violations[0].time == pytest.approx(0.05)


@pytest.mark.parametrize("wrong", [{"priority": "urgent", "limit": 2.0}, {"priority": "high"}])
def test_an_alarm_that_could_not_be_read_refuses(wrong: dict[str, Any]) -> None:
    lost = alarm("full", LEVEL, side="high_high", **wrong)
    plant = read(*basin_bodies(lost, rules=False))
    assert plant.table.alarms == []
    inconclusive(tried(of(plant)), "what watches /Plant/V1.position is not as it was meant")


def test_an_alarm_that_could_not_be_read_may_watch_another_prims_signal() -> None:
    lost = alarm("full", LEVEL, side="high_high", priority="high")
    plant = read(*basin_bodies(rules=False), prim("Panel", asset("panel"), lost))
    inconclusive(tried(of(plant)), "/Plant/Panel (full)")


def test_a_signal_that_could_not_be_read_elsewhere_is_nobodys_trouble() -> None:
    far = prim("T3", asset("t3"), telemetry("heat", unit="no unit", address="t3/h"))
    plant = read(*basin_bodies(rules=False), far)
    assert plant.table.errors() != []
    assert tried(of(plant)).outcome is Outcome.HELD


def test_a_limit_out_of_reach_is_nothing_to_hold_to() -> None:
    """The drain that is commanded moves a model without limits; those of the basin are not its."""
    bodies = [
        prim(
            "T1",
            telemetry("level", unit="m", address="t/l", hard=(0, 2.9)),
            telemetry("inflow", unit="m3/h", address="t/i"),
            telemetry("open", unit="1", address="t/o"),
            model("basin", "test-basin", reads=[INFLOW], writes=[LEVEL],
                  in_opening=value_of("T1", "open")),
        ),
        prim(
            "V1",
            asset("v1", "twin"),
            telemetry("opening", unit="1", address="v/o", hard=(0, 1)),
            command("position", hard=(0, 1), readback=OPENING, unit="1"),
            model("ramp", "ramp", in_setpoint=OPENING),
        ),
    ]  # fmt: skip
    plant = clean(*bodies)
    verdict = tried(of(plant, values={value_of("T1", "open"): 0.5}))
    assert [each.model for each in verdict.believed] == ["/Plant/V1.ramp"]
    inconclusive(verdict, "nothing that /Plant/V1.position moves and a model predicts has a limit")


# -- where it ends


def test_a_horizon_that_is_shorter_than_it_takes_refuses() -> None:
    inconclusive(tried(of(), horizon=5.0), "may take 10 s to settle, and the rehearsal looks 5 s")


def test_a_machine_that_is_still_on_its_way_refuses() -> None:
    slow = basin_plant(rules=False, valve={"rateLimit": 1e-3, "settleTime": 10.0})
    verdict = tried(of(slow), 0.6)  # a hundred seconds' way
    inconclusive(verdict, f"{OPENING} has come to 0.52 of 0.6 when the rehearsal ends")
    assert tried(of(slow), 0.6, horizon=101.0).outcome is Outcome.HELD


def test_a_lag_has_arrived_after_its_settle_time() -> None:
    lagging = basin_plant(rules=False, valve={"rateLimit": math.inf, "settleTime": 10.0})
    assert tried(of(lagging), 0.6, horizon=10.0).outcome is Outcome.HELD


# -- what moves it


def shared(*more: Part) -> PlantModel:
    """A valve that two commands move, of which the stage has the other one first."""
    basin, valve = basin_bodies(rules=False)
    del valve
    moves: dict[str, Any] = {
        "hard": (0, 1),
        "readback": OPENING,
        "unit": "1",
        "settleTime": 10.0,
        "approval": "none",
    }
    return clean(
        basin,
        prim(
            "V1",
            asset("v1", "twin"),
            telemetry("opening", unit="1", address="v/o"),
            telemetry("ready", "bool", address="v/r"),
            command("gate", address="gate", rateLimit=0.2, **moves),
            command("position", rateLimit=0.2, permissives=[READY], **moves),
            *more,
        ),
    )


@pytest.mark.parametrize("name", [VALVE, "/Plant/V1.gate"])
def test_of_two_commands_of_one_read_back_the_rehearsed_one_moves_it(name: str) -> None:
    now = of(shared(), desired={OTHER: 0.5})
    closed = tried(now, 0.0, horizon=600.0, name=name)
    assert closed.outcome is Outcome.VIOLATED
    assert "/Plant/T1.basin" in [each.model for each in closed.believed]
    assert tried(now, 0.6, name=name).outcome is Outcome.HELD


def test_a_rule_that_moves_the_same_read_back_by_another_command_refuses() -> None:
    opens = rule("drain", LEVEL, "double 2.5", OTHER, "double 1", comparison="above", holdFor=5.0)
    now = of(shared(opens), desired={OTHER: 0.5})
    inconclusive(tried(now), f"/Plant/V1.gate moves {OPENING} too, and a rule gives it")


# -- what it hits


class Bodies:
    """Bodies that touch where a test says so."""

    def __init__(self) -> None:
        self.touches: list[Touch] = []

    def touching(self) -> list[Touch]:
        return self.touches


@pytest.mark.parametrize(("told", "untold", "excused"), [(1, 59, 0), (30, 31, 1), (59, 1, 1)])
def test_a_collision_that_comes_later_anyway_excuses_none_now(
    told: int, untold: int, excused: int
) -> None:
    future, bodies = fork(of(), 2), Bodies()
    future.engine.systems["test-bodies"] = bodies  # type: ignore[assignment]
    watch = Collisions(future)
    del future.engine.systems["test-bodies"]
    for frame in range(1, 60):
        future.step()
        bodies.touches = [
            Touch(world, "/Arm", "/Post")
            for world, when in ((0, told), (1, untold))
            if frame == when
        ]
        watch.look()
    assert len(watch.findings()) == 1 - excused
