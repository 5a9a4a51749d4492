"""What a future says where models do not run, and what a present says before anything moved."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from pxr import Usd
from typer.testing import CliRunner, Result

from stagetwin.cli._app import add_installed_commands, app
from stagetwin_sim.futures import Outcome, Present, rehearse
from tests.sim.futures.plants import DESIRED, LEVEL, READY, basin_bodies, basin_present
from tests.sim.plant.stages import clean, model
from tests.stages.plants import asset, plant, prim, telemetry

VALVE = "/Plant/V1.position"
REMOTE = "/Plant/V1.twin:telemetry:remote:value"

SCENARIO = """
name = "filling"
horizon = 10.0
sample = 1.0
[[future]]
name = "valve open"
[[future.set]]
command = "/Plant/V1.position"
value = 0.8
at = 5.0
[[measure]]
name = "figure"
signal = "/Plant/T1.level"
kind = "final"
"""


def run(*words: object) -> Result:
    if not any(command.name == "whatif" for command in app.registered_commands):
        add_installed_commands()
    return CliRunner().invoke(app, ["whatif", *(str(word) for word in words)])


def write(folder: Path, *bodies: str, measure: str = "/Plant/T1.level") -> tuple[Path, Path]:
    """Write the basin beside other prims, and what is asked."""
    stage, scenario = folder / "plant.usda", folder / "filling.toml"
    stage.write_text(plant(*basin_bodies(rules=False), *bodies))
    scenario.write_text(SCENARIO.replace("/Plant/T1.level", measure))
    return stage, scenario


def broken(name: str, reads: str) -> str:
    """Return a prim whose model cannot run: its inflow has no unit that fits."""
    depth = f"/Plant/{name}.twin:telemetry:level:value"
    return prim(
        name,
        asset(name.lower()),
        telemetry("level", unit="m", address=f"{name}/l"),
        telemetry("inflow", unit="bar", address=f"{name}/i"),
        model(
            "basin",
            "test-basin",
            reads=[f"/Plant/{name}.twin:telemetry:inflow:value"],
            writes=[depth],
            in_opening=reads,
        ),
    )


ELSEWHERE = prim("X", asset("x"), telemetry("opening", unit="1", address="x/o"))


def test_figures_without_a_model_say_so(tmp_path: Path) -> None:
    other = broken("T9", "/Plant/X.twin:telemetry:opening:value")
    stage, scenario = write(tmp_path, ELSEWHERE, other)
    done = run(stage, scenario)
    assert done.exit_code == 1, done.output
    assert "without /Plant/T9.basin" in done.output
    assert json.loads(run(stage, scenario, "--json").stdout)["without"] == ["/Plant/T9.basin"]
    allowed = run(stage, scenario, "--allow-missing")
    assert allowed.exit_code == 0
    assert "without /Plant/T9.basin" in allowed.output


@pytest.mark.parametrize(
    ("reads", "measure", "what"),
    [
        ("/Plant/V1.twin:telemetry:opening:value", "/Plant/T1.level", VALVE),
        ("/Plant/X.twin:telemetry:opening:value", "/Plant/T9.level", "/Plant/T9.level"),
    ],
)
def test_what_depends_on_a_model_that_does_not_run_is_refused(
    tmp_path: Path, reads: str, measure: str, what: str
) -> None:
    stage, scenario = write(tmp_path, ELSEWHERE, broken("T9", reads), measure=measure)
    done = run(stage, scenario)
    assert done.exit_code == 2
    assert f"{what} may depend on /Plant/T9.basin, which does not run" in done.output
    assert run(stage, scenario, "--allow-missing").exit_code == 0


def test_a_set_point_in_a_what_if_stage_is_a_step(tmp_path: Path) -> None:
    stage, scenario = write(tmp_path)
    assert run(stage, scenario, "--out", tmp_path / "out").exit_code == 0
    played = Usd.Stage.Open(str(tmp_path / "out" / "valve-open.usda"))
    rate, told = played.GetTimeCodesPerSecond(), played.GetAttributeAtPath(DESIRED)
    times = [time / rate for time in told.GetTimeSamples()]
    step = next(time for time in times if told.Get(time * rate) == pytest.approx(0.8))
    assert 5.0 <= step <= 6.0
    assert told.Get((step - 0.01) * rate) == told.Get(0.0) == 0.0


def test_a_present_of_first_states_shows_what_networks_put_out() -> None:
    tank = model(
        "hydraulics",
        "tank",
        writes=[LEVEL],
        parameters={"volume": 2.0, "height": 2.0, "start_level": 1.0},
    )
    source = prim("S", asset("s"), model("hydraulics", "reservoir"))
    pipe = prim(
        "P",
        asset("p"),
        model(
            "hydraulics",
            "pipe",
            parameters={"length": 10.0, "diameter": 0.1},
            inlet="/Plant/S",
            outlet="/Plant/T1",
        ),
    )
    basin = prim("T1", asset("t1"), telemetry("level", unit="m", address="t/l"), tank)
    found = clean(basin, source, pipe)
    now = Present.of(found)
    column = found.instances["/Plant/T1.hydraulics"].outputs["level"]
    assert now.snapshot.bus[0, column] == pytest.approx(1.0, abs=0.01)
    assert now.snapshot.frames == 0


def switched(body: str) -> str:
    """Return a prim with one more signal, which is its local/remote switch."""
    api, text = telemetry("remote", "bool", address="v/remote")
    body = body.replace('"TwinAssetAPI"', f'"TwinAssetAPI", "{api}"', 1)
    head, brace, rest = body.partition("{\n")
    return f"{head}{brace}rel twin:remote = <{REMOTE}>\n{text}\n{rest}"


def test_a_local_remote_switch_is_heard_and_permits() -> None:
    basin, valve = basin_bodies(rules=False)
    now = basin_present(clean(basin, switched(valve)))
    assert {REMOTE, READY} <= set(now.plant.heard)

    def tried(switch: float) -> Outcome:
        known = {**now.values, REMOTE: switch}
        quality = dict.fromkeys(known, "good")
        present = replace(now, values=known, quality=quality)
        return rehearse(present, VALVE, 0.6, horizon=20.0, budget=60.0).outcome

    assert tried(1.0) is Outcome.HELD
    assert tried(0.0) is Outcome.VIOLATED
    assert tried(math.nan) is Outcome.INCONCLUSIVE


def test_what_is_held_says_what_is_broken_anyway() -> None:
    full = basin_present(
        clean(*basin_bodies(rules=False)),
        values={LEVEL: 1.0, "/Plant/T1.twin:telemetry:inflow:value": 144.0},
    )
    verdict = rehearse(full, VALVE, 0.7, horizon=600.0, budget=60.0)
    assert verdict.outcome is Outcome.HELD
    first = verdict.already[0]
    assert verdict.cause == (
        "nothing is violated within 600 s that is not violated without it too "
        f"({first.signal} after {first.time:.4g} s, {len(verdict.already) - 1} more)"
    )
