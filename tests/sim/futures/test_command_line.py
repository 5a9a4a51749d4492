"""`stagetwin whatif`, and the stages that it leaves to look at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pxr import Usd
from typer.testing import CliRunner, Result

from stagetwin.cli._app import add_installed_commands, app
from stagetwin.opening import open_stage
from stagetwin_sim.futures import Present
from stagetwin_sim.futures._run import _times_second
from stagetwin_sim.plant import read_plant
from tests.sim.futures.plants import KNOWN, LEVEL, basin_bodies
from tests.stages.plants import plant

SCENARIO = """
name = "filling"
horizon = 20.0
sample = 0.5
trace = ["/Plant/T1.level", "/Plant/V1.opening"]
[[future]]
name = "as it is"
[[future]]
name = "valve closed"
[[future.set]]
command = "/Plant/V1.position"
value = 0.0
at = 5.0
[[measure]]
name = "level"
signal = "/Plant/T1.level"
kind = "final"
[optimise]
goal = "level"
over = [{ command = "/Plant/V1.position", low = 0.2, high = 0.9 }]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plant.usda").write_text(plant(*basin_bodies()))
    (tmp_path / "filling.toml").write_text(SCENARIO)
    return tmp_path


def run(*words: object) -> Result:
    if not any(command.name == "whatif" for command in app.registered_commands):
        add_installed_commands()
    return CliRunner().invoke(app, ["whatif", *(str(word) for word in words)])


def test_it_prints_a_table_and_writes_what_was_asked_for(folder: Path) -> None:
    out = folder / "out"
    done = run(folder / "plant.usda", folder / "filling.toml", "--out", out)
    assert done.exit_code == 0, done.output
    assert "valve closed" in done.output
    assert "V1.position" in done.output
    files = sorted(file.name for file in out.iterdir())
    assert files == ["as-it-is.usda", "plot.png", "result.json", "valve-closed.usda"]
    said = json.loads((out / "result.json").read_text())
    assert [future["name"] for future in said["futures"]] == ["as it is", "valve closed"]
    assert said["optimum"]["settings"]["/Plant/V1.position"] == pytest.approx(0.9, abs=1e-3)


def test_a_what_if_stage_plays_the_future_over_the_plant(folder: Path) -> None:
    out = folder / "out"
    assert run(folder / "plant.usda", folder / "filling.toml", "--out", out).exit_code == 0
    stage = Usd.Stage.Open(str(out / "valve-closed.usda"))
    assert stage.GetRootLayer().subLayerPaths == ["../plant.usda"]
    assert stage.GetPrimAtPath("/Plant/T1").GetAppliedSchemas()
    rate = stage.GetTimeCodesPerSecond()
    assert stage.GetEndTimeCode() == 20.0 * rate
    opening = stage.GetAttributeAtPath("/Plant/V1.twin:telemetry:opening:value")
    level = stage.GetAttributeAtPath(LEVEL)
    predicted = stage.GetAttributeAtPath(LEVEL.replace(":value", ":predicted"))
    said = json.loads((out / "result.json").read_text())["traces"]
    for attr, i in ((level, 0), (predicted, 0), (opening, 1)):
        expected = said["signals"][i]["values"][1]
        for time, value in zip(said["times"], expected, strict=True):
            assert attr.Get(time * rate) == pytest.approx(value, abs=1e-12)
    # What stands still takes few samples.
    assert opening.GetNumTimeSamples() < len(said["times"])
    overflow = stage.GetAttributeAtPath("/Plant/T1.twin:model:basin:out:overflow")
    assert overflow.GetNumTimeSamples() == 2


def test_it_starts_from_a_recorded_state(folder: Path) -> None:
    found = read_plant(open_stage(folder / "plant.usda"))
    engine = found.at(KNOWN).plan.engine()
    engine.step(200)
    level = engine.read([found.outputs[0].column])[0, 0]
    Present.of(found, engine, values=KNOWN).save(folder / "incident.present")
    done = run(
        folder / "plant.usda",
        folder / "filling.toml",
        "--from",
        folder / "incident.present",
        "--json",
    )
    assert done.exit_code == 0, done.output
    rows = {row["name"]: row["measures"] for row in json.loads(done.stdout)["futures"]}
    assert rows["as it is"]["level"] == pytest.approx(level, abs=1e-3)
    assert rows["valve closed"]["level"] > level + 0.02


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("name = 'x'\nhorizon = 'long'", "filling.toml: horizon:"),
        ("name = 'x'\nhorizon = 1\ntrace = ['/Plant/T1.depth']", "/Plant/T1.depth: no signal"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(folder: Path, scenario: str, said: str) -> None:
    (folder / "filling.toml").write_text(scenario)
    done = run(folder / "plant.usda", folder / "filling.toml")
    assert done.exit_code == 2
    assert said in done.output


def test_ctrl_c_ends_it_between_two_frames(folder: Path) -> None:
    (folder / "filling.toml").write_text(
        SCENARIO.replace("= 20.0", "= 1e8").replace("= 0.5", "= 1e7")
    )
    script = (
        "import sys\n"
        "from stagetwin_sim.commands import _whatif as command\n"
        "compare = command.compare\n"
        "def told(present, scenario, *, progress, **more):\n"
        "    def tell(done):\n"
        "        print('under way', flush=True)\n"
        "        progress(done)\n"
        "    return compare(present, scenario, progress=tell, **more)\n"
        "command.compare = told\n"
        "sys.argv = ['stagetwin', 'whatif', *sys.argv[1:]]\n"
        "from stagetwin.cli import main\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, folder / "plant.usda", folder / "filling.toml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "under way\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cancelled" in said
    assert "Traceback" not in said


def test_a_quantity_added_up_over_time_has_its_own_unit() -> None:
    found = [_times_second(unit) for unit in ("m3/s", "kW", "W", "1", "", "m3/h", "Cel")]
    assert found == ["m3", "kJ", "J", "s", "s", "m3/h.s", "Cel.s"]


def test_warp_says_nothing_where_somebody_reads() -> None:
    program = (
        "from stagetwin_sim._quiet import begin_quietly; begin_quietly(); import warp as wp; "
        "import os; os.write(2, b'heard'); print(wp.zeros(2, dtype=float, device='cpu').numpy())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("[0. 0.]\n", "heard")
