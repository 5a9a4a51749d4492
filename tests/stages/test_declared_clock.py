"""A service whose twin lives in another time than the machine: whose samples, what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stagetwin import ServiceError
from stagetwin.clock import AcceleratedClock, ManualClock, ReplayClock
from stagetwin.ports import ConnectionSpec
from stagetwin.service import Service, ServiceConfig
from stagetwin.service._clocks import retiming
from stagetwin.signals import Samples
from stagetwin.soft import soft_bridge
from tests.stages.plants import HEADER, asset, connection, full_path, prim, telemetry
from tests.stages.simulation.conftest import Served, run_service

FLOW = full_path("/Plant/P.flow")
RECORDED = 1_500_000_000.0


def plant_text(line: str, realm: str = "simulation") -> str:
    pump = prim(
        "P",
        asset("p"),
        telemetry("flow", address="flow", staleAfter=30.0),
        telemetry("speed", address="speed", staleAfter=30.0),
    )
    plant = prim("Plant", asset(connection="line"), pump)
    return HEADER + connection("line", f"soft://{line}", realm=realm) + plant


def config_of(folder: Path, realm: str, **fields: Any) -> ServiceConfig:
    stage = folder / "plant.usda"
    stage.write_text(plant_text(folder.name, realm))
    return ServiceConfig(
        stage=stage, socket=folder / "s.sock", state_dir=folder / "state", in_process=True, **fields
    )


def batch_of(source: float, receive: float) -> Samples:
    return Samples.of([0], [1.0], receive_time=receive, source_time=source)


@pytest.mark.parametrize("clock", ["accelerated", "replay"])
def test_a_plant_is_refused_and_its_connection_named(tmp_path: Path, clock: Any) -> None:
    with pytest.raises(ServiceError, match=rf"connection 'line' .*wall.*{clock}"):
        Service(config_of(tmp_path, "plant", clock=clock))


@pytest.mark.parametrize("clock", ["accelerated", "replay"])
def test_commands_are_refused(tmp_path: Path, clock: Any) -> None:
    with pytest.raises(ServiceError, match="--allow-commands"):
        Service(config_of(tmp_path, "simulation", clock=clock, allow_commands=True))


def test_a_rate_without_an_accelerated_clock_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="rate is for the clock accelerated"):
        Service(config_of(tmp_path, "simulation", rate=10.0))


def test_the_command_line_says_why_and_starts_nothing(tmp_path: Path) -> None:
    config = config_of(tmp_path, "simulation")
    program = [sys.executable, "-c", "from stagetwin.cli import main; main()", "run"]
    program += [str(config.stage), "--socket", str(config.socket), "--state-dir"]
    program += [str(config.state_dir), "--clock", "accelerated", "--rate"]

    def said(*more: str) -> tuple[int, str]:
        done = subprocess.run([*program, *more], capture_output=True, text=True, timeout=60)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    code, text = said("10", "--allow-commands")
    assert code != 0
    assert "nothing is commanded" in text
    assert said("0")[0] == 2


def test_a_connection_that_becomes_a_plant_is_ended(tmp_path: Path) -> None:
    async def scenario(s: Served) -> None:
        s.send("flow", 3.0)
        await s.until(lambda: s.get(FLOW) == 3.0)
        s.stage.GetAttributeAtPath("/line.twin:realm").Set("plant")

        def row() -> dict[str, Any]:
            found: dict[str, Any] = s.service.status()["connections"].get("line", {"state": ""})
            return found

        await s.until(lambda: row()["state"] == "failed")
        assert row()["cause"].startswith("a plant lives in the time of the wall")
        with pytest.raises(ServiceError, match="no soft bridge"):
            soft_bridge(s.line)

    fields: dict[str, Any] = {"clock": "accelerated", "rate": 10.0, "allow_commands": False}
    run_service(tmp_path, scenario, plant_text(tmp_path.name), **fields)


def test_a_recording_is_the_time_of_values_and_of_their_age(tmp_path: Path) -> None:
    async def scenario(s: Served) -> None:
        bridge, twin = soft_bridge(s.line), s.service.twin
        quality = full_path("/Plant/P.speed", "quality")
        bridge.send("speed", 1.0, source_time=RECORDED)
        await s.until(lambda: s.get(quality) == "good")
        assert twin.clock.wall() == RECORDED
        bridge.send("flow", 2.0, source_time=RECORDED + 29.0)
        await s.until(lambda: s.get(FLOW) == 2.0)
        assert s.get(quality) == "good"
        bridge.send("flow", 3.0, source_time=RECORDED + 31.0)
        await s.until(lambda: s.get(FLOW) == 3.0)
        await s.until(lambda: s.get(quality) == "stale")
        clock = s.service.status()["clock"]
        assert clock == {"kind": "replay", "rate": 0.0, "time": RECORDED + 31.0}

    fields: dict[str, Any] = {"clock": "replay", "allow_commands": False}
    run_service(tmp_path, scenario, plant_text(tmp_path.name, "replay"), **fields)


def test_samples_of_the_machine_are_brought_into_accelerated_time() -> None:
    base = ManualClock(1000.0)
    clock = AcceleratedClock(10.0, base)
    base.advance(2.0)
    retime = retiming(clock, ConnectionSpec(name="line", prim="/line", endpoint="soft://a"))
    assert retime is not None
    batch = batch_of(1001.0, 1002.0)
    retime(batch)
    assert (batch.source_time[0], batch.receive_time[0]) == (1010.0, clock.wall())


def test_only_a_recording_moves_a_replay() -> None:
    clock = ReplayClock(ManualClock())
    specs = [
        ConnectionSpec(name=realm, prim=f"/{realm}", endpoint="soft://a", realm=realm)
        for realm in ("replay", "simulation")
    ]
    recorded, beside = (retiming(clock, spec) for spec in specs)
    assert recorded is not None
    assert beside is not None
    first, other = batch_of(RECORDED, 1.7e9), batch_of(1.69e9, 1.7e9)
    recorded(first)
    beside(other)
    assert clock.wall() == first.receive_time[0] == other.receive_time[0] == RECORDED
    assert np.isnan(other.source_time[0])
