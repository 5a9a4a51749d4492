"""Rehearsals: what a command would do is known before it leaves, or it does not leave."""

from __future__ import annotations

import itertools
import json
import math

import pytest

from stagetwin_sim._errors import CancelledError
from stagetwin_sim.futures import Outcome, rehearse
from tests.sim.futures.plants import (
    INFLOW,
    LEVEL,
    OPENING,
    READY,
    basin_bodies,
    basin_plant,
    basin_present,
)
from tests.sim.plant.stages import codes, read
from tests.stages.plants import command

VALVE = "/Plant/V1.position"


def present(**values: float):
    return basin_present(basin_plant(rules=False), values=values)


def test_it_catches_an_overflow_before_it_happens() -> None:
    verdict = rehearse(present(), VALVE, 0.0, horizon=600.0, budget=60.0)
    assert verdict.outcome is Outcome.VIOLATED
    hard, overflow = verdict.violations
    # 1 m + what came in while the valve closed; then 0.01 m3/s over 2 m2 is 5 mm/s.
    closing = 2.5
    assert hard.kind == "hard"
    assert (hard.signal, hard.limit, hard.unit) == ("/Plant/T1.level", 2.9, "m")
    assert 380.0 < hard.time < 380.0 + closing
    assert hard.value == pytest.approx(2.9, abs=1e-3)
    assert (overflow.kind, overflow.signal) == ("model", "/Plant/T1.basin.overflow")
    assert 400.0 < overflow.time < 400.0 + closing
    assert [w.kind for w in verdict.warnings] == ["soft"]
    assert verdict.already == []
    assert verdict.cause == hard.message
    assert "/Plant/T1.level comes to 2.9" in verdict.cause
    assert verdict.margins[0].margin < 0
    assert [(b.model, b.kind, b.fidelity) for b in verdict.believed] == [
        ("/Plant/T1.basin", "test-basin", "engineering")
    ]


def test_evidence_believes_no_model_that_merely_calls_itself_calibrated() -> None:
    kind = "uniform token twin:model:basin:kind"
    claim = f'uniform token twin:model:basin:fidelity = "calibrated"\n{kind}'
    claiming = read(*(body.replace(kind, claim) for body in basin_bodies(rules=False)))
    assert codes(claiming) == [("/Plant/T1", "model-uncalibrated")]
    verdict = rehearse(basin_present(claiming), VALVE, 0.6, horizon=1.0, budget=60.0)
    assert [b.fidelity for b in verdict.believed] == ["engineering"]
    assert [b["fidelity"] for b in verdict.to_json()["believed"]] == ["engineering"]


def test_what_breaks_nothing_is_held_with_its_margins() -> None:
    verdict = rehearse(present(), VALVE, 0.6, horizon=60.0, budget=60.0)
    assert verdict.outcome is Outcome.HELD
    assert verdict.violations == verdict.warnings == verdict.already == []
    assert (verdict.simulated, verdict.frames) == (pytest.approx(60.0), 1200)
    level = next(m for m in verdict.margins if m.signal == "/Plant/T1.level")
    assert 0.5 < level.margin < 1.0  # it falls from 1 m towards 0.69 m; the lower limit is 0
    said = json.loads(json.dumps(verdict.to_json()))
    assert said["verdict"] == "held"
    assert said["present"]["stage"] == basin_plant(rules=False).stage != basin_plant().stage


def test_the_same_present_gives_the_same_hash_and_another_command_another() -> None:
    digests = [
        rehearse(present(), VALVE, value, horizon=20.0, budget=60.0).digest
        for value in (0.6, 0.6, 0.61)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_what_happens_anyway_does_not_refuse_what_helps() -> None:
    full = present(**{LEVEL: 1.0, INFLOW: 144.0})
    helps = rehearse(full, VALVE, 0.7, horizon=600.0, budget=60.0)
    assert helps.outcome is Outcome.HELD
    assert {f.kind for f in helps.already} == {"hard", "soft", "model"}
    worse = rehearse(full, VALVE, 0.4, horizon=600.0, budget=60.0)
    assert worse.outcome is Outcome.VIOLATED
    assert worse.already == []


def test_over_its_budget_it_refuses() -> None:
    ticking = itertools.count(0.0, 0.4)
    verdict = rehearse(
        present(), VALVE, 0.6, horizon=600.0, budget=2.0, clock=lambda: next(ticking)
    )
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "over its budget of 2 s after" in verdict.cause
    assert 0 < verdict.simulated < 600.0
    at_once = rehearse(present(), VALVE, 0.6, horizon=600.0, budget=1e-6)
    assert at_once.outcome is Outcome.INCONCLUSIVE
    assert at_once.simulated == 0


def test_over_its_budget_what_was_found_already_still_counts() -> None:
    ticking = itertools.count(0.0, 0.001)
    verdict = rehearse(present(), VALVE, 0.0, horizon=1e6, budget=2.0, clock=lambda: next(ticking))
    assert verdict.simulated < 1e6
    assert verdict.outcome is Outcome.VIOLATED


def test_a_command_that_no_model_knows_is_inconclusive() -> None:
    plant = basin_plant(command("lamp", address="lamp", hard=(0, 1)), rules=False)
    verdict = rehearse(basin_present(plant), "/Plant/T1.lamp", 1.0)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no model depends on /Plant/T1.lamp" in verdict.cause


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"command": "/Plant/V1.speed"}, "no command of that name runs"),
        ({"value": math.nan}, "a set-point is a finite number"),
        ({"horizon": 0.0}, "the horizon must be at least 0.05 s"),
        ({"budget": 0.0}, "the budget must be positive"),
    ],
)
def test_what_cannot_be_rehearsed_is_inconclusive(arguments: dict, cause: str) -> None:
    given = {"command": VALVE, "value": 0.5, **arguments}
    verdict = rehearse(present(), **given)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert cause in verdict.cause


def test_a_permissive_that_is_false_or_unknown_refuses() -> None:
    false = rehearse(present(**{READY: 0.0}), VALVE, 0.6, horizon=5.0, budget=60.0)
    # It is false without the command too, yet nothing leaves while it is.
    assert false.outcome is Outcome.VIOLATED
    unknown = rehearse(present(**{READY: math.nan}), VALVE, 0.6, horizon=5.0, budget=60.0)
    assert unknown.outcome is Outcome.INCONCLUSIVE
    assert "the permissive" in unknown.cause
    assert "unknown" in unknown.cause


def test_a_model_that_leaves_the_finite_numbers_is_inconclusive() -> None:
    now = present()
    now.snapshot.systems["test-basin"]["state"][0, 1, 0] = math.inf
    verdict = rehearse(now, VALVE, 0.6, horizon=5.0, budget=60.0)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "is not finite" in verdict.cause


def test_nobody_waits_for_it() -> None:
    with pytest.raises(CancelledError):
        rehearse(present(), VALVE, 0.6, horizon=60.0, budget=60.0, cancelled=lambda: True)


def test_the_command_itself_counts_from_the_set_point_on() -> None:
    verdict = rehearse(present(**{OPENING: 0.0}), VALVE, 1.0, horizon=600.0, budget=60.0)
    # Without it the basin overflows; with it, it falls to 0.25 m.
    assert verdict.outcome is Outcome.HELD
