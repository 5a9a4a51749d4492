"""The commands as scripts meet them: what they print, and the status they end with."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from stagetwin.cli import _ask, app
from stagetwin.cli._model import WatchModel
from stagetwin.cli._view import View, render

GOOD = """#usda 1.0
def Xform "World"
{
    def TwinConnection "field"
    {
        uniform string twin:endpoint = "soft://cli"
    }

    def Xform "P1" (
        prepend apiSchemas = ["TwinAssetAPI", "TwinTelemetryAPI:flow", "TwinCommandAPI:speed"]
    )
    {
        uniform string twin:id = "p1"
        uniform token twin:level = "twin"
        uniform token twin:connection = "field"
        uniform string twin:telemetry:flow:address = "{twin:id}/flow"
        double twin:telemetry:flow:value
        uniform string twin:command:speed:address = "{twin:id}/speed"
        rel twin:command:speed:readback = </World/P1.twin:telemetry:flow:value>
        double twin:command:speed:desired (
            limits = {
                dictionary hard = {
                    double maximum = 3000
                }
            }
        )
    }
}
"""


def stagetwin(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "stagetwin", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_STATE_HOME": str(folder / "state"),
            "COLUMNS": "160",
        },
    )


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    path = tmp_path / "plant.usda"
    path.write_text(GOOD)
    return path


def test_the_version_is_the_package_s() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"{importlib.metadata.version('stagetwin')}\n")


def test_check_ends_with_0_when_all_can_run(plant: Path) -> None:
    done = stagetwin("check", plant.name, folder=plant.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 signal, 1 command on 1 asset by 1 connection can run; 0 errors" in done.stdout


def test_check_ends_with_1_and_names_the_prim_when_a_binding_is_bad(plant: Path) -> None:
    plant.write_text(GOOD.replace("{twin:id}/flow", "{twin:var:line}/flow"))
    done = stagetwin("check", plant.name, folder=plant.parent)
    assert done.returncode == 1
    assert "/World/P1" in done.stdout
    assert "{twin:var:line} has no value here" in done.stdout
    assert "0 signals, 1 command" in done.stdout


def test_check_prints_json_for_scripts(plant: Path) -> None:
    plant.write_text(GOOD.replace("uniform string twin:telemetry:flow:address", "string x:address"))
    done = stagetwin("check", plant.name, "--json", folder=plant.parent)
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["errors"] == 1
    assert report["commands"] == 1
    problem = next(p for p in report["problems"] if p["severity"] == "error")
    assert (problem["prim"], problem["signal"], problem["code"]) == (
        "/World/P1",
        "flow",
        "no-address",
    )


def test_warnings_fail_only_a_strict_check(plant: Path) -> None:
    text = GOOD.replace(
        "        double twin:telemetry:flow:value",
        "        uniform double twin:telemetry:flow:deadbnd = 1\n"
        "        double twin:telemetry:flow:value",
    )
    plant.write_text(text)
    lenient = stagetwin("check", plant.name, folder=plant.parent)
    assert lenient.returncode == 0
    assert "did you mean 'deadband'?" in lenient.stdout
    assert stagetwin("check", plant.name, "--strict", folder=plant.parent).returncode == 1


@pytest.mark.parametrize("content", [None, "#usda 1.0\ndef Xform {"])
def test_a_stage_that_cannot_be_opened_ends_with_2(plant: Path, content: str | None) -> None:
    plant.unlink()
    if content is not None:
        plant.write_text(content)
    done = stagetwin("check", plant.name, folder=plant.parent)
    assert done.returncode == 2
    assert "error: cannot open" in done.stderr
    assert "Traceback" not in done.stderr


def test_guards_are_approved_once_and_again_after_a_change(plant: Path) -> None:
    first = stagetwin("approve", plant.name, "--yes", folder=plant.parent)
    assert first.returncode == 0, first.stderr
    assert "never approved" in first.stdout
    assert "approved 1 assets" in first.stdout
    again = stagetwin("approve", plant.name, folder=plant.parent)
    assert "nothing to approve, 1 twins are as approved" in again.stdout
    plant.write_text(GOOD.replace("= 3000", "= 4000"))
    changed = stagetwin("approve", plant.name, "--yes", folder=plant.parent)
    assert "its guards changed since" in changed.stdout


def test_approving_is_asked_first(plant: Path) -> None:
    done = stagetwin("approve", plant.name, folder=plant.parent)
    assert done.returncode == 1
    assert "Approve the guards of 1 assets" in done.stdout
    book = list((plant.parent / "state").rglob("guards.json"))
    assert not book


@pytest.mark.parametrize("command", ["status", "snapshot", "stop"])
def test_a_service_that_does_not_run_is_said_in_one_line(plant: Path, command: str) -> None:
    done = stagetwin(command, plant.name, folder=plant.parent)
    assert done.returncode == 2
    assert "no service listens" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_offline_snapshot_needs_no_service(plant: Path) -> None:
    done = stagetwin("snapshot", plant.name, "-o", "flat.usda", "--offline", folder=plant.parent)
    assert done.returncode == 0, done.stderr
    assert "TwinTelemetryAPI:flow" in (plant.parent / "flat.usda").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--endpoint", "nonsense"), "'nonsense' is not NAME=URI"),
        (("--endpoint", "elsewhere=soft://x"), "connections on the stage: field"),
        (("--credentials", "missing.toml"), "cannot read credentials"),
        (("--log-format", "xml"), "must be text or json"),
        (("--tick", "0"), "greater than or equal to 1"),
    ],
)
def test_wrong_options_of_run_are_refused_clearly(
    plant: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = stagetwin("run", plant.name, *arguments, folder=plant.parent)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_credentials_that_others_can_read_are_refused_and_never_shown(plant: Path) -> None:
    secrets = plant.parent / "credentials.toml"
    secrets.write_text('[reader]\nusername = "a"\npassword = "hunter2"\n')
    secrets.chmod(0o644)
    done = stagetwin("run", plant.name, "--credentials", secrets.name, folder=plant.parent)
    assert done.returncode == 2
    assert "readable by its owner alone" in " ".join(done.stderr.split())
    secrets.chmod(0o600)
    secrets.write_text('[reader]\nuser = "a"\npassword = "hunter2"\n')
    done = stagetwin("run", plant.name, "--credentials", secrets.name, folder=plant.parent)
    assert "credential 'reader' is wrong at user" in " ".join(done.stderr.split())
    secrets.write_text('password = "hunter2\n')
    done = stagetwin("run", plant.name, "--credentials", secrets.name, folder=plant.parent)
    assert "is no TOML file" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


NASTY = "[/y]\x1b[31m"


def test_an_error_may_repeat_brackets_and_control_characters(plant: Path) -> None:
    done = stagetwin("check", f"/tmp/nope{NASTY}.usda", folder=plant.parent)
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "nope[/y]�[31m.usda" in done.stderr
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_may_repeat_brackets_and_control_characters(plant: Path) -> None:
    # A tab is all that USD's text form lets through; what else a layer holds is treated alike.
    plant.write_text(GOOD.replace("{twin:id}/flow", "{twin:var:line}[/y]\\t/flow"))
    done = stagetwin("check", plant.name, folder=plant.parent)
    assert done.returncode == 1, done.stderr
    assert "{twin:var:line}[/y]" in done.stdout
    assert "\t" not in done.stdout


def test_a_snapshot_may_be_called_anything(plant: Path) -> None:
    done = stagetwin("snapshot", plant.name, "-o", "[y].usda", "--offline", folder=plant.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[y].usda: ")


class _Told:
    """Stands in for the service: answers `status` and `rejections` with what a test says."""

    def __init__(self, status: dict[str, Any]) -> None:
        self._replies = {
            "status": status,
            "rejections": {
                "examples": [
                    {"connection": NASTY, "reason": "malformed", "examples": [f"got {NASTY}"]}
                ]
            },
        }

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, op: str) -> dict[str, Any]:
        return self._replies[op]


def test_a_status_is_shown_as_it_is_and_null_as_a_dash(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fates = ("received", "applied", "unchanged", "deadband", "superseded", "standby", "status_only")
    told = {
        "connections": {
            NASTY: {
                "state": "online",
                "realm": NASTY,
                "endpoint": f"mqtt://h?client_id={NASTY}",
                "restarts": 0,
                "cause": NASTY,
            }
        },
        "health": {"signals": 2.0, "stale": 1.0, "rate": None, "lagP50": None, "lagP99": 0.5},
        "fates": dict.fromkeys((*fates, "rejected"), 0),
        "unreadable": {NASTY: NASTY},
        "error_count": 1,
        "errors": [NASTY],
        "demoted": {f"/World/{NASTY}": NASTY},
        "rejections": [{"connection": NASTY, "reason": "malformed", "count": 3}],
    }
    monkeypatch.setattr(_ask, "ControlClient", lambda _path: _Told(told))
    monkeypatch.setattr(_ask, "console", Console(width=200))
    _ask.status(plant, plant.with_suffix(".sock"))
    shown = capsys.readouterr().out
    assert "client_id=[/y]�[31m" in shown
    assert "3 malformed on [/y]�[31m" in shown
    assert "got [/y]�[31m" in shown
    assert "- samples/s, lag p50 - ms, p99 500.0 ms" in shown
    assert "\x1b" not in shown


def test_the_live_view_shows_a_null_of_the_health_as_a_dash() -> None:
    model = WatchModel()
    model.apply({"status": {"health": {"rate": None, "lagP50": None, "oldestAge": None}}}, 0.0)
    lines = [line.plain for line in render(model, View(), 120, 10)]
    assert any("– samples/s" in line for line in lines)
