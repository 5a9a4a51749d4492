"""Lines of the command line at the width of a narrow terminal, and units in help texts."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main
from rich.console import Console

from stagetwin.cli import _alarms, app
from stagetwin.cli._app import add_installed_commands
from stagetwin.cli._model_text import model_lines, port_lines

CAUSE = (
    "/World/Line1/P101: param:rated_head must be in [0, inf] m, got -12 m, so nothing of it runs"
)


def model(path: str, *signals: dict[str, Any], cause: str = "") -> dict[str, Any]:
    return {
        "path": path,
        "prim": path.partition(".")[0],
        "kind": "pump",
        "fidelity": "engineering",
        "state": "failed" if cause else "running",
        "cause": cause,
        "signals": list(signals),
    }


def signal(path: str, sigmas: float) -> dict[str, Any]:
    return {
        "path": path,
        "unit": "m3/h",
        "value": 19.123456789,
        "quality": "good",
        "predicted": 20.0,
        "residual": -1.0,
        "sigmas": sigmas,
    }


def test_models_fit_a_narrow_terminal_and_a_cause_stands_once_and_whole() -> None:
    rows = [
        model("/World/Line1/P101.hydraulics", signal("/World/Line1/P101.flow", 275537.0)),
        model("/World/Line2/P101.hydraulics", signal("/World/Line2/P101.flow", -1.25)),
        model("/World/Line1/V1.hydraulics", cause=CAUSE),
        model("/World/Line1/V2.hydraulics", cause=CAUSE),
        model(
            "/World/Line1/TK101.hydraulics",
            signal("/World/Line1/TK101.twin:telemetry:level:value", -5000.0),
        ),
    ]
    lines = [line.plain for line in model_lines(rows, 80)]
    text = "\n".join(lines)
    assert all(len(line) <= 80 for line in lines if CAUSE not in line)
    assert text.count(CAUSE) == 1
    assert "for the same cause" in text
    assert "Line1/P101.hydraulics" in text
    assert "\nV1.hydraulics" in text
    assert "> 999 σ" in text
    assert "< -999 σ" in text
    assert "twin:telemetry" not in text
    assert "19.123 m³/h" in text
    wide = [line.plain for line in model_lines(rows[:1], 200)]
    assert wide[1].split()[:2] == ["/World/Line1/P101.hydraulics", "pump"]
    assert wide[1].split()[-7:] == ["19.123", "m³/h", "20", "m³/h", ">", "999", "σ"]


def test_ports_of_a_model_have_values_and_units() -> None:
    row = {
        **model("/P.m"),
        "inputs": [signal("/P.flow", 0.0), signal("/Q.flow", 0.0)],
        "parameters": {"head": {"value": 12.0, "unit": "m"}},
        "defaults": {"gain": {"value": 1.5, "unit": "1"}},
        "outputs": [{"port": "power", "value": None, "unit": "kW"}],
    }
    assert [line.plain.split() for line in port_lines(row)] == [
        ["in", "flow", "19.123", "m³/h"],
        ["in", "/Q.flow", "19.123", "m³/h"],
        ["param", "head", "12", "m"],
        ["param", "gain", "1.5", "by", "default"],
        ["out", "power", "-", "kW"],
    ]


def test_an_alarm_says_its_name_and_text_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_alarms, "console", Console(width=80))
    name = "/World/Line1/Transfer/Station4/P101.differential_pressure_low"
    _alarms._print_row(
        {
            "id": name,
            "priority": "high",
            "state": "UNACK",
            "value": 12.345678901234567,
            "unit": "m3/h",
            "raised": None,
            "message": "the flow is low",
            "cause": "12 m3/h is below 20",
            "acknowledged": None,
            "advice": "",
        },
        as_json=False,
    )
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{name}  high  UNACK  12.346 m³/h"
    assert second == "    the flow is low: 12 m3/h is below 20"


def test_no_help_text_loses_a_unit_as_if_it_were_markup() -> None:
    if not any(command.name == "whatif" for command in app.registered_commands):
        add_installed_commands()
    found: list[str] = []

    def look(command: Any) -> None:
        texts = [command.help, *(getattr(each, "help", None) for each in command.params)]
        found.extend(text for text in texts if text and re.search(r"(?<!\\)\[[a-z#/@]", text))
        for each in getattr(command, "commands", {}).values():
            look(each)

    look(typer.main.get_command(app))
    assert found == []
