"""Scenarios: futures asked for in a file, run as a batch, measured, compared, and looked at."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from stagetwin.opening import open_stage
from stagetwin_sim._errors import CancelledError, ScenarioError
from stagetwin_sim.futures import (
    Present,
    Scenario,
    operate,
    optimise,
    read_scenario,
    run_scenario,
)
from stagetwin_sim.plant import read_plant
from tests.sim.futures.plants import (
    DESIRED,
    INFLOW,
    KNOWN,
    LEVEL,
    basin_bodies,
    basin_plant,
    basin_present,
)
from tests.stages.plants import plant

FILE = """
name = "filling"
horizon = 60.0
sample = 0.5

[[forecast]]
signal = "/Plant/T1.inflow"
kind = "ramp"
to = 54.0
over = 30.0

[[future]]
name = "as it is"

[[future]]
name = "valve closed"
[[future.set]]
command = "/Plant/V1.position"
value = 0.0
at = 10.0

[[future]]
name = "wider"
[[future.parameter]]
model = "/Plant/T1.basin"
parameter = "area"
factor = 2.0
[[future.forecast]]
signal = "/Plant/T1.inflow"
kind = "hold"

[[sweep]]
name = "opening"
over = [{ command = "/Plant/V1.position", low = 0.2, high = 0.8, count = 3 }]

[[measure]]
name = "highest level"
signal = "/Plant/T1.level"
kind = "max"
[[measure]]
name = "drained"
signal = "/Plant/T1.basin.outflow"
kind = "integral"
[[measure]]
name = "over 1.2 m"
signal = "/Plant/T1.level"
kind = "first-above"
limit = 1.2
[[cost]]
name = "cost"
expression = "10 * max(0, highest_level - 1.1) + drained"
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    path = tmp_path / "filling.toml"
    path.write_text(FILE)
    return read_scenario(path)


def test_futures_are_run_side_by_side_and_measured(scenario: Scenario) -> None:
    told: list[float] = []
    found = run_scenario(basin_present(), scenario, progress=told.append)
    names = [row.name for row in found.rows]
    assert names == [
        "as it is",
        "valve closed",
        "wider",
        "opening 0.2",
        "opening 0.5",
        "opening 0.8",
    ]
    measures = {row.name: row.measures for row in found.rows}
    assert measures["as it is"]["highest level"] == measures["opening 0.5"]["highest level"]
    # At rest as much flows out as in, whatever the area: 0.01 m3/s for 60 s.
    assert measures["wider"]["highest level"] == pytest.approx(1.0, abs=1e-6)
    assert measures["wider"]["drained"] == pytest.approx(0.6, rel=1e-6)
    assert math.isnan(measures["wider"]["over 1.2 m"])
    assert 10.0 < measures["valve closed"]["over 1.2 m"] < 60.0
    row = measures["valve closed"]
    assert row["cost"] == pytest.approx(10 * (row["highest level"] - 1.1) + row["drained"])
    assert told[-1] == 1.0
    assert told == sorted(told)
    # The volume that came in is in the basin or drained.
    came = (36.0 * 60 + 18.0 * (15 + 30)) / 3600
    gained = (found.traces.values[-1, 1, 0] - 1.0) * 2.0
    assert gained + row["drained"] == pytest.approx(came, rel=2e-3)


def test_it_comes_out_the_same_each_time_and_in_parts(scenario: Scenario) -> None:
    present = basin_present(basin_plant(gusts=0.5))
    whole = run_scenario(present, scenario)
    small = scenario.model_copy(update={"memory": 0.03})
    parts = run_scenario(present, small)
    assert np.array_equal(whole.traces.values, parts.traces.values)
    assert whole.to_json()["futures"] == parts.to_json()["futures"]
    other = run_scenario(present, scenario.model_copy(update={"seed": 7}))
    assert not np.array_equal(whole.traces.values, other.traces.values)


def test_a_future_is_repeated_with_a_seed_for_each(scenario: Scenario) -> None:
    given = {
        "name": "gusty",
        "horizon": 10.0,
        "future": [{"name": "wind", "repeat": 3}],
        "measure": [{"name": "level", "signal": "/Plant/T1.level", "kind": "final"}],
    }
    found = run_scenario(basin_present(basin_plant(gusts=0.5)), Scenario.of(given))
    assert [row.name for row in found.rows] == ["wind #1", "wind #2", "wind #3"]
    assert len({row.measures["level"] for row in found.rows}) == 3


def test_a_recording_is_a_forecast(tmp_path: Path) -> None:
    rows = ["time;flow", "2026-01-01T00:00:00;36", "2026-01-01T00:00:10;72", "x;y"]
    (tmp_path / "flow.csv").write_text("\n".join(rows))
    given = {
        "name": "recorded",
        "horizon": 10.0,
        "forecast": [{"signal": INFLOW, "kind": "recording", "file": "flow.csv", "column": "flow"}],
        "measure": [{"name": "came", "signal": INFLOW, "kind": "integral"}],
    }
    found = run_scenario(basin_present(), Scenario.of(given), folder=tmp_path)
    assert found.rows[0].measures["came"] == pytest.approx(54.0 * 10, rel=5e-3)
    given["forecast"][0]["file"] = "../flow.csv"
    with pytest.raises(ScenarioError, match="only files beside the plant"):
        run_scenario(basin_present(), Scenario.of(given), folder=tmp_path / "x", confined=True)


def test_nobody_wants_it_any_more(scenario: Scenario) -> None:
    asked = itertools.count()
    with pytest.raises(CancelledError, match="into the future"):
        run_scenario(basin_present(), scenario, cancelled=lambda: next(asked) >= 3)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"horizont": 3}, "horizont: Extra inputs"),
        ({"horizon": -1.0}, "horizon: Input should be greater than 0"),
        ({"forecast": [{"signal": "a", "kind": "ramp"}]}, r"forecast\[0\]: .* needs to, over"),
        (
            {"forecast": [{"signal": "/Plant/T1.flow", "kind": "hold"}]},
            r"/Plant/T1\.flow: no signal",
        ),
        (
            {"future": [{"name": "a", "set": [{"command": "/Plant/V1.position", "value": 2}]}]},
            r"future 'a': /Plant/V1\.position: \[0, 1\] 1 is allowed, got 2",
        ),
        (
            {
                "future": [
                    {
                        "name": "a",
                        "parameter": [
                            {"model": "/Plant/T1.basin", "parameter": "aera", "value": 1}
                        ],
                    }
                ]
            },
            r"/Plant/T1\.basin: a test-basin has no parameter aera; it has area, height",
        ),
        (
            {
                "future": [
                    {
                        "name": "a",
                        "parameter": [
                            {"model": "/Plant/T1.basin", "parameter": "area", "value": -1}
                        ],
                    }
                ]
            },
            r"param:area must be in \[0\.1, 10000\] m2, got -1",
        ),
        (
            {"measure": [{"name": "m", "signal": "/Plant/T1.level", "kind": "above"}]},
            "needs a limit",
        ),
        (
            {"measure": [{"name": "m", "signal": "/T.x", "kind": "max"}]},
            "measure 'm': /T.x: no signal",
        ),
        (
            {"cost": [{"name": "c", "expression": "2 * m"}]},
            "cost 'c': .*no measure m; there are none",
        ),
        ({"cost": [{"name": "c", "expression": "open('x')"}]}, "only numbers, measures"),
        ({"future": [{"name": "a"}, {"name": "a"}]}, "two of one name among futures: a"),
        ({"trace": ["/Plant/T1.level"], "memory": 0.0001, "sample": 0.05}, "make sample longer"),
    ],
)
def test_what_is_wrong_is_named(broken: dict, said: str) -> None:
    given = {"name": "x", "horizon": 10.0, **broken}
    with pytest.raises(ScenarioError, match=said):
        run_scenario(basin_present(), Scenario.of(given))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(ScenarioError, match=r"bad\.toml: "):
        read_scenario(tmp_path / "bad.toml")
    with pytest.raises(ScenarioError, match="No such file"):
        read_scenario(tmp_path / "none.toml")


SEEK = {
    "name": "seek",
    "horizon": 30.0,
    "measure": [
        {"name": "drained", "signal": "/Plant/T1.basin.outflow", "kind": "integral"},
        {"name": "level", "signal": "/Plant/T1.level", "kind": "final"},
    ],
    "cost": [{"name": "miss", "expression": "(level - 0.93) ** 2"}],
}


@pytest.mark.parametrize(("method", "near"), [("gradient", 2e-4), ("random", 0.02), ("grid", 0.02)])
def test_a_set_point_is_found_that_does_what_is_asked(method: str, near: float) -> None:
    over = [{"command": "/Plant/V1.position", "low": 0.0, "high": 1.0, "count": 41}]
    given = {**SEEK, "optimise": {"goal": "miss", "method": method, "over": over, "samples": 40}}
    best = optimise(basin_present(), Scenario.of(given))
    setting = best.settings["/Plant/V1.position"]
    again = {
        **SEEK,
        "future": [
            {"name": "a", "set": [{"command": "/Plant/V1.position", "value": setting}]},
        ],
    }
    row = run_scenario(basin_present(), Scenario.of(again)).rows[0]
    assert row.measures["level"] == pytest.approx(0.93, abs=near)
    assert best.value <= best.present_value
    assert best.present == {"/Plant/V1.position": 0.5}
    assert best.value == row.measures["miss"]


def test_constraints_hold_where_the_goal_would_break_them() -> None:
    over = [{"command": "/Plant/V1.position", "low": 0.0, "high": 1.0}]
    given = {
        **SEEK,
        "optimise": {
            "goal": "drained",
            "over": over,
            "constraint": [{"measure": "level", "most": 1.05}],
        },
    }
    best = optimise(basin_present(), Scenario.of(given))
    assert best.feasible
    assert best.constraints["level"] == pytest.approx(1.05, abs=2e-3)
    assert best.value < best.present_value
    given["optimise"]["constraint"] = [{"measure": "level", "most": 0.1}]
    assert not optimise(basin_present(), Scenario.of(given)).feasible


def test_over_the_wire_it_is_plain_data() -> None:
    present = basin_present(basin_plant(rules=False))
    data = present.to_bytes()
    said = operate(
        present.plant,
        "rehearse",
        {"command": "/Plant/V1.position", "value": 0.0, "horizon": 600, "budget": 60},
        data,
    )
    assert said["verdict"] == "violated"
    scenario = {"name": "x", "horizon": 5.0, "trace": [LEVEL]}
    found = operate(present.plant, "what_if", {"scenario": scenario}, data)
    assert [future["name"] for future in found["futures"]] == ["as it is"]
    assert len(found["traces"]["signals"][0]["values"][0]) == 6
    json.dumps([said, found])
    with pytest.raises(ScenarioError, match="no operation 'fly'; there are rehearse, what_if"):
        operate(present.plant, "fly", {})
    with pytest.raises(ScenarioError, match="takes a command and a number"):
        operate(present.plant, "rehearse", {"command": 3})
    with pytest.raises(ScenarioError, match="takes a scenario"):
        operate(present.plant, "what_if", {})


def test_it_is_shown_as_table_and_picture(scenario: Scenario, tmp_path: Path) -> None:
    found = run_scenario(basin_present(), scenario)
    table = found.table()
    assert table.row_count == 6
    assert [column.header for column in table.columns][:2] == ["future", "highest level [dim]m[/]"]
    found.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "plot.png").stat().st_size > 20_000


def test_another_layout_is_another_stage_that_goes_on_from_the_same_states(tmp_path: Path) -> None:
    root = tmp_path / "plant.usda"
    root.write_text(plant(*basin_bodies(rules=False)))
    attribute = "double twin:model:basin:param:height = 1.05"
    prims = f'over "Plant" {{\nover "T1" {{\n{attribute}\n}}\n}}'
    (tmp_path / "low.usda").write_text(f"#usda 1.0\n{prims}\n")
    (tmp_path / "broken.usda").write_text("#usda 1.0\nover {")
    found = read_plant(open_stage(root))
    values = {**KNOWN, INFLOW: 72.0}
    engine = found.at(values).plan.engine()
    engine.step(10)
    present = Present.of(found, engine, values=values, desired={DESIRED: 0.5})
    given = {
        "name": "low walls",
        "horizon": 60.0,
        "future": [{"name": "as it is"}, {"name": "low", "layout": {"layers": ["low.usda"]}}],
        "measure": [
            {"name": "level", "signal": "/Plant/T1.level", "kind": "max"},
            {"name": "spilled", "signal": "/Plant/T1.basin.spilled", "kind": "final"},
        ],
    }
    measures = [
        row.measures for row in run_scenario(present, Scenario.of(given), folder=tmp_path).rows
    ]
    assert measures[0]["level"] > 1.1
    assert measures[0]["spilled"] == 0
    assert measures[1]["level"] == pytest.approx(1.05)
    assert measures[1]["spilled"] > 0.05
    given["future"][1]["layout"] = {"layers": ["broken.usda"]}
    with pytest.raises(ScenarioError, match=r"broken\.usda: this layer cannot be read"):
        run_scenario(present, Scenario.of(given), folder=tmp_path)
    given["future"][1]["layout"] = {"variants": {"/Plant": {"line": "b"}}}
    with pytest.raises(ScenarioError, match="/Plant: no variant line=b; there are none"):
        run_scenario(present, Scenario.of(given), folder=tmp_path)
