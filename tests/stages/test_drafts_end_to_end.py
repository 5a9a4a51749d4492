"""Drafts and the command line against the real service, with a soft device behind it."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pxr import Usd

from stagetwin import ServiceError
from stagetwin.actuation import Transmission
from stagetwin.drafts import Drafts, DraftState, desired_of
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.service import ControlClient, Service, ServiceConfig
from stagetwin.soft import soft_bridge, soft_device
from tests.stages.plants import HEADER, asset, command, connection, prim, stage_of, telemetry

SPEED, LEVEL = "/Plant/P1.speed", "/Plant/P1.level"
RPM = "/Plant/P1.twin:telemetry:rpm:value"


def plant_text(name: str) -> str:
    """A pump with a command that settles by itself and one that does not."""
    shared: dict[str, Any] = {
        "readback": RPM,
        "tolerance": 1.0,
        "hard": (0.0, 3000.0),
        "approval": "none",
    }
    return (
        HEADER
        + connection("line", f"soft://{name}")
        + prim(
            "Plant",
            prim(
                "P1",
                asset("p1", "twin", "line", ["operator"]),
                telemetry("rpm", address="rpm"),
                command("speed", address="speed", publish="settled", **shared),
                command("level", address="level", **shared),
            ),
        )
    )


@pytest.fixture
def config(tmp_path: Path) -> ServiceConfig:
    path = tmp_path / "plant.usda"
    stage = stage_of(plant_text(tmp_path.name), path)
    book = GuardBook(tmp_path / "state" / "guards.json")
    book.approve(GuardStage(stage.GetRootLayer()).hashes(), "ann", time.time())
    return ServiceConfig(
        stage=path,
        socket=tmp_path / "run" / "s.sock",
        state_dir=tmp_path / "state",
        in_process=True,
        allow_commands=True,
        roles={"operator": (getpass.getuser(),)},
    )


def serve(config: ServiceConfig, scenario: Callable[[], Awaitable[None]]) -> list[Transmission]:
    """Run the service and a scenario beside it; returns what reached the device."""
    name = config.stage.parent.name
    arrived: list[Transmission] = []

    def device(transmission: Transmission) -> str:
        arrived.append(transmission)
        loop.call_later(0.05, lambda: soft_bridge(name).send("rpm", transmission.value))
        return ""

    async def chatter() -> None:
        while True:
            speed = arrived[-1].value if arrived else 1200.0
            with contextlib.suppress(ServiceError):  # the bridge is still to start
                soft_bridge(name).send("rpm", speed, source_time=time.time())
            await asyncio.sleep(0.05)

    async def both() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        service = Service(config)
        run = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), 10)
        machine = asyncio.create_task(chatter())
        try:
            async with asyncio.timeout(20):
                while not ready(service):
                    await asyncio.sleep(0.01)
            await scenario()
        finally:
            machine.cancel()
            service.stop()
            await asyncio.wait_for(run, 10)

    loop: Any = None
    soft_device(name, device)
    try:
        asyncio.run(both())
    finally:
        soft_device(name, None)
    return arrived


def ready(service: Service) -> bool:
    """Tell whether the command client is online and the machine has said its speed."""
    clients = service.status()["commands"]["clients"]
    measured = service.twin.stage.GetAttributeAtPath(RPM).Get()
    return bool(measured) and [each["state"] for each in clients.values()] == ["online"]


def ticks(drafts: Drafts, what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, (drafts.drafts, drafts.fault, drafts.published)
        drafts.poll()
        time.sleep(0.01)


def test_an_edit_moves_the_machine_where_the_plant_says_so(config: ServiceConfig) -> None:
    def edit() -> None:
        stage = Usd.Stage.Open(str(config.stage))
        drafts = Drafts(stage, lambda: ControlClient(config.socket))
        stage.SetEditTarget(stage.GetEditTargetForLocalLayer(drafts.layer))
        try:
            ticks(drafts, lambda: not drafts.fault)
            for value in (1300.0, 1350.0, 1400.0):
                stage.GetAttributeAtPath(desired_of(SPEED)).Set(value)
                drafts.poll()
            stage.GetAttributeAtPath(desired_of(LEVEL)).Set(2.0)
            ticks(drafts, lambda: [d.command for d in drafts.drafts] == [LEVEL])
            assert drafts.drafts[0].state is DraftState.HELD
            with ControlClient(config.socket) as client:
                ticks(drafts, lambda: client.ask(op="commands", limit=5)["commands"][0]["ended"])
                (row,) = client.ask(op="commands", limit=5)["commands"]
            assert (row["state"], row["value"], row["target"]) == ("VERIFIED", 1400.0, SPEED)
            # A second edit right after it is not held against its own editor.
            stage.GetAttributeAtPath(desired_of(SPEED)).Set(1500.0)
            ticks(drafts, lambda: drafts.published[SPEED]["value"] == 1500.0)
            assert drafts.published[SPEED]["state"] != "REJECTED", drafts.published[SPEED]
            assert [d.command for d in drafts.drafts] == [LEVEL]
        finally:
            drafts.close()

    async def scenario() -> None:
        await asyncio.to_thread(edit)

    arrived = serve(config, scenario)
    assert [t.value for t in arrived][:1] == [1400.0]
    assert all(t.target.path == SPEED for t in arrived)


async def call(config: ServiceConfig, *arguments: str) -> tuple[int, str]:
    """Run the command line and return its exit status and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "stagetwin", *arguments),
        *("--socket", str(config.socket)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "HOME": str(config.state_dir)},
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode()


def test_the_command_line_sets_and_follows(config: ServiceConfig) -> None:
    told: dict[str, tuple[int, str]] = {}
    stage = str(config.stage)

    async def scenario() -> None:
        told["good"] = await call(config, "set", stage, SPEED, "1500", "--reason", "test")
        told["range"] = await call(config, "set", stage, SPEED, "9000")
        told["typo"] = await call(config, "set", stage, "/Plant/P1.spede", "1")
        told["list"] = await call(config, "commands", "list", stage)
        rows = await call(config, "commands", "list", stage, "--json")
        told["rows"] = rows
        newest = json.loads(rows[1])["commands"][0]["id"]
        told["show"] = await call(config, "commands", "show", stage, newest[:20])
        told["cancel"] = await call(config, "commands", "cancel", stage, newest)
        told["halt"] = await call(config, "halt", stage, "--yes")

    arrived = serve(config, scenario)
    assert [t.value for t in arrived] == [1500.0]
    status, text = told["good"]
    assert status == 0, text
    assert f"{SPEED}  1,200 → 1,500  on the simulation" in text
    assert "VERIFIED: read back 1,500 (process, /Plant/P1.rpm), was 1,200" in text
    assert "after sending" in text
    assert told["range"][0] == 2
    assert "allowed: double, 0 to 3,000" in told["range"][1]
    assert "did you mean" in told["typo"][1]
    assert "VERIFIED" in told["list"][1]
    assert told["show"][0] == 0
    assert "test" in told["show"][1]
    assert told["cancel"][0] == 2
    assert told["halt"][0] == 2
    assert "has a safe value" in told["halt"][1]
