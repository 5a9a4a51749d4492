"""`stagetwin models` against a running service with a real simulator."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from stagetwin.cli import _app, _ask, _models, app
from tests.stages.simulation.conftest import DRIVE, Serve, Served


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_app, _models, _ask):
        monkeypatch.setattr(module, "console", Console(width=240))


async def run(s: Served, *arguments: str) -> Result:
    """Run a command of the command line beside the service."""
    socket = str(s.service._config.socket)
    line = [*arguments, "--socket", socket]
    return await asyncio.to_thread(CliRunner().invoke, app, line)


def test_the_command_line_shows_expected_beside_measured(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        s.send("flow", 19.0)
        await s.predicted(10.0, 20.0)
        await s.until(lambda: s.get("/Plant/P.twin:model:m:state") == "running")
        done = await run(s, "models", "list", "plant.usda")
        assert done.exit_code == 0, done.output
        head, first, *_ = done.output.splitlines()
        assert head.split()[:3] == ["model", "kind", "state"]
        assert "/Plant/P.m" in first
        assert "running" in first
        assert first.split()[-6:] == ["19", "m³/h", "20", "m³/h", "-20.0", "σ"]
        shown = await run(s, "models", "show", "plant.usda", "/Plant/P.m")
        ports = [line.split() for line in shown.output.splitlines()]
        assert ["param", "gain", "2"] in ports
        assert ["out", "gain", "2"] in ports
        assert ["in", "speed", "10"] in ports
        as_json = await run(s, "models", "list", "plant.usda", "--json")
        assert json.loads(as_json.output)["models"][0]["signals"][0]["predicted"] == 20.0
        gone = await run(s, "models", "show", "plant.usda", "/Plant/P.gone")
        assert gone.exit_code == 2
        named = await run(s, "models", "show", "plant.usda", "/Plant/P")
        assert "there is /Plant/P.m" in named.output
        status = await run(s, "status", "plant.usda")
        assert "models: 1 running" in status.output
        assert "times real time" in status.output

    serve(scenario)


def test_a_command_is_tried_from_the_command_line(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        held = await run(s, "models", "rehearse", "plant.usda", DRIVE, "20")
        assert (held.exit_code, held.output.strip()) == (0, "held: nothing near a limit")
        bad = await run(s, "models", "rehearse", "plant.usda", DRIVE, "60")
        assert bad.exit_code == 1
        assert bad.output.startswith("violated: limit at /Plant/T.level, 4.2 m, 4 m is allowed")
        wrong = await run(s, "models", "rehearse", "plant.usda", DRIVE, "sixty")
        assert wrong.exit_code == 2
        kept = await run(s, "models", "present", "plant.usda", "--name", "now", "--json")
        assert Path(json.loads(kept.output)["path"]).name == "now.present"

    serve(scenario)


def test_models_that_do_not_run_are_an_exit_status(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        done = await run(s, "models", "list", "plant.usda")
        assert done.exit_code == 1
        assert "--no-models" in done.output

    serve(scenario, models=False)
