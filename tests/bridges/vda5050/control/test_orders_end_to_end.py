"""From a goal on the stage to a vehicle that stands there, through real processes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stagetwin_bridges.broker import LocalBroker
from tests.bridges.plant_service import PlantService, wait_for
from tests.bridges.vda5050.control.fleet_plant import (
    AMR,
    GOAL,
    FleetLine,
    Gate,
    fleet_service,
    known,
    plant,
)
from tests.bridges.vda5050.control.floor import grid
from tests.bridges.vda5050.control.live import LiveVehicle
from tests.bridges.way_down.field import ended, publish, states, targets

FLOOR = grid(4, 3, 3.0)
LONG = grid(14, 1, 3.0)
WAY = ["REQUESTED", "VALIDATED", "REHEARSED", "APPROVED", "ARMED", "SENT"]


@pytest.fixture
def gate(broker: LocalBroker) -> Iterator[Gate]:
    """A gate, open."""
    made = Gate(broker, "3.0.0")
    made.set(True)
    yield made
    made.close()


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder that only its user may enter."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    return folder


def notes(service: PlantService, command_id: str) -> str:
    """Return what was noted of a command."""
    row = service.ask(op="command", id=command_id)["command"]
    return " | ".join(m["cause"] for m in row["history"] if m["state"] == "NOTE")


def test_a_goal_set_on_the_command_line_is_driven_to_and_verified_there(
    broker: LocalBroker, gate: Gate, private: Path
) -> None:
    stage = plant(private, FLOOR)
    line = FleetLine(broker, blind=7)
    with LiveVehicle(broker, FLOOR) as amr, fleet_service(stage, private, line) as service:
        known(service)
        asked = subprocess.run(
            [
                *(sys.executable, "-m", "stagetwin", "set", str(stage), GOAL, "P1"),
                *("--socket", str(service.socket), "--wait", "60"),
            ],
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert asked.returncode == 0, asked.stdout + asked.stderr + service.log
        assert "VERIFIED" in asked.stdout
        (row,) = service.ask(op="commands")["commands"]
        row = service.ask(op="command", id=row["id"])["command"]
        assert [s for s in states(row) if s != "NOTE"] == [*WAY, "ACKNOWLEDGED", "VERIFIED"]
        assert row["evidence"]["kind"] == "process"
        assert (row["evidence"]["before"], row["evidence"]["value"]) == ("n00", "n32")
        assert "released to" in notes(service, row["id"])
        assert math.dist(amr.place, (9.0, 6.0)) < 0.35
        assert {order.order_id for order in amr.orders()} == {row["id"]}
        assert len(amr.orders()) > 2
