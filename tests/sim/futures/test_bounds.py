"""How much may be asked for over a wire, and what becomes of a what-if stage."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from pxr import Usd

from stagetwin.opening import open_stage
from stagetwin_sim._errors import CancelledError, ScenarioError
from stagetwin_sim.futures import Present, Scenario, operate, optimise, run_scenario
from stagetwin_sim.futures._bounds import Bounds
from stagetwin_sim.futures._branches import worlds_of
from stagetwin_sim.plant import read_plant
from tests.sim.futures.plants import INFLOW, LEVEL, basin_bodies, basin_plant, basin_present
from tests.stages.plants import plant

BASE: dict[str, Any] = {"name": "x", "horizon": 1.0}
MANY = {"signal": INFLOW, "low": 1.0, "high": 2.0, "count": 10_000}
LEVEL_AT_END = {"name": "level", "signal": LEVEL, "kind": "final"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"horizon": 1e12}, r"horizon: at most 604800 s, got 1e\+12"),
        ({"memory": 1e9}, r"memory: at most 1024 MiB, got 1e\+09"),
        ({"future": [{"name": "a", "repeat": 100_000}]}, "futures: at most 4096, got 100000"),
        ({"sweep": [{"name": "s", "over": [MANY, MANY]}]}, r"futures: at most 4096, got 1e\+08"),
        (
            {"sweep": [{"name": "s", "kind": "random", "samples": 5000, "over": [MANY]}]},
            "futures: at most 4096, got 5000",
        ),
        (
            {"horizon": 6e5, "sample": 6e5, "future": [{"name": "a", "repeat": 10}]},
            "10 futures of 12000000 frames on top of 0 frames are more than the 100000000",
        ),
        (
            {"horizon": 1e5, "sample": 1e-9, "trace": [LEVEL, INFLOW]},
            "traces of 4000002 numbers are more than the 2000000",
        ),
        (
            {
                "future": [
                    {"name": f"v{i}", "layout": {"variants": {"/Plant": {"line": str(i)}}}}
                    for i in range(17)
                ]
            },
            "other layouts: at most 16, got 17",
        ),
        (
            {
                "measure": [LEVEL_AT_END],
                "optimise": {"goal": "level", "method": "grid", "over": [MANY] * 2},
            },
            r"points of optimise: at most 4096, got 1e\+08",
        ),
    ],
)
def test_over_a_wire_nobody_asks_for_too_much(asked: dict[str, Any], said: str) -> None:
    present = basin_present(basin_plant(rules=False))
    with pytest.raises(ScenarioError, match=said):
        operate(present.plant, "what_if", {"scenario": {**BASE, **asked}}, present)


def test_a_search_is_counted_with_the_futures_before_it() -> None:
    present = basin_present(basin_plant(rules=False))
    over = [{"command": "/Plant/V1.position", "low": 0.0, "high": 1.0}]
    given = {**BASE, "measure": [LEVEL_AT_END], "optimise": {"goal": "level", "over": over}}
    bounds = Bounds(frames=20 * 8)  # of 8 worlds
    with pytest.raises(ScenarioError, match="on top of"):
        optimise(present, Scenario.of(given), bounds=bounds)
    assert 0 < bounds.ran <= 160


def test_nothing_is_made_for_somebody_who_has_gone() -> None:
    many = Scenario.of({**BASE, "sweep": [{"name": "s", "over": [MANY]}]})
    asked = itertools.count()
    with pytest.raises(CancelledError, match="before its futures ran"):
        worlds_of(many, None, lambda: next(asked) == 5)
    assert next(asked) == 6  # asked while they were being made
    assert len(worlds_of(many)) == 10_000
    with pytest.raises(ScenarioError, match="futures: at most 1000000"):
        worlds_of(Scenario.of({**BASE, "sweep": [{"name": "s", "over": [MANY] * 2}]}))
    with pytest.raises(CancelledError):
        run_scenario(basin_present(), Scenario.of(BASE), cancelled=lambda: True)


def test_a_what_if_stage_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "plant.usda"
    root.write_text(plant(*basin_bodies(rules=False)))
    found = read_plant(open_stage(root))
    scenario = {
        "name": "x",
        "horizon": 5.0,
        "future": [
            {"name": "elsewhere", "layout": {"variants": {}}},
            {"name": "filled", "forecast": [{"signal": INFLOW, "kind": "value", "value": 72.0}]},
        ],
        "trace": [LEVEL],
    }
    path = tmp_path / "what-if.usda"
    given = {"scenario": scenario, "stage": str(path)}
    present = Present.of(found, values=basin_present().values)
    said = operate(found, "what_if", given, present)
    assert said["stage"] == {"path": str(path), "future": "filled"}
    stage = Usd.Stage.Open(str(path))
    attr = stage.GetAttributeAtPath(LEVEL.replace(":value", ":predicted"))
    assert attr.GetNumTimeSamples() >= 2
    end = said["traces"]["signals"][0]["values"][1][-1]
    assert attr.Get(stage.GetEndTimeCode()) == pytest.approx(end, rel=1e-6)
    scenario["future"].pop()
    with pytest.raises(ScenarioError, match="every future is of another layout"):
        operate(found, "what_if", given, present)
    with pytest.raises(ScenarioError, match="stage is the path"):
        operate(found, "what_if", {"scenario": BASE, "stage": True}, present)
