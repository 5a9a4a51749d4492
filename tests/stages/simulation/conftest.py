"""A service whose models run in the process of a third party's simulator."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from stagetwin.guards import GuardBook, GuardStage
from stagetwin.opening import open_stage
from stagetwin.people import Principal
from stagetwin.service import Service, ServiceConfig
from stagetwin.service._control import asking_as
from stagetwin.soft import soft_bridge
from tests.packages import write_metadata
from tests.stages.alarms.watched import alarm
from tests.stages.plants import HEADER, Part, asset, command, connection, full_path, prim, telemetry
from tests.stages.simulation.modelled import model

USER = getpass.getuser()
OWNER = Principal(USER, owner=True)
FLOW, SPEED = full_path("/Plant/P.flow"), full_path("/Plant/P.speed")
PREDICTED = full_path("/Plant/P.flow", "predicted")
RESIDUAL = full_path("/Plant/P.flow", "residual")
DRIVE = "/Plant/P.drive"
ENTRY_POINTS = """[stagetwin.simulators]
models = tests.stages.simulation.echo_simulator

[stagetwin.models]
echo = nowhere:Echo
"""

Scenario = Callable[["Served"], Awaitable[None]]


def plant_text(line: str, *parts: Part | str, rehearsal: str = "required", **fields: Any) -> str:
    """A pump whose flow is expected to be twice its speed, and whose drive is rehearsed."""
    fields = {"hard": (0, 100), "approval": "none", "expiry": 8.0, "settleTime": 1.0, **fields}
    pump = prim(
        "P",
        asset("p", level="twin", roles=["operator"]),
        # A busy machine is no reason to mistrust a value that was sent once.
        telemetry("flow", address="flow", unit="m3/h", staleAfter=120.0),
        telemetry("speed", address="speed", staleAfter=120.0),
        command("drive", address="set", readback=SPEED, rehearsal=rehearsal, **fields),
        model("m", reads=[SPEED], writes=[FLOW], parameters={"gain": 2.0}),
        alarm("wear", RESIDUAL, kind="model", side="low", limit=-15, hysteresis=2,
              priority="high", message="less than it should", advice="look at the impeller"),
        *parts,
    )  # fmt: skip
    plant = prim("Plant", asset(connection="line"), pump, prim("Box", type_name="Cube"))
    return HEADER + connection("line", f"soft://{line}") + plant


class Served:
    """A running service, and the devices at its other end."""

    def __init__(self, service: Service, line: str) -> None:
        self.service, self.line = service, line
        self.stage = service.twin.stage

    def send(self, address: str, value: Any) -> None:
        soft_bridge(self.line).send(address, value)

    def get(self, path: str) -> Any:
        attr = self.stage.GetAttributeAtPath(path)
        return attr.Get() if attr else None

    async def ask(self, who: Principal = OWNER, **request: Any) -> Any:
        """Return the last reply to a request."""
        reply: Any = None
        with asking_as(who):
            async for each in self.service._requests.answer(request):
                reply = each
        return reply

    async def until(self, what: Callable[[], Any], timeout: float = 30.0) -> Any:
        async with asyncio.timeout(timeout):
            while not (answer := what()):
                await asyncio.sleep(0.02)
        return answer

    async def predicted(self, speed: float, flow: float) -> None:
        """Let the pump turn, and wait until the model expects a flow."""
        self.send("speed", speed)
        await self.until(lambda: self.get(PREDICTED) == flow)

    async def revision(self) -> int:
        """Return the revision of the drive's set-point, once the drive can be commanded."""
        async with asyncio.timeout(30):
            while True:
                for target in (await self.ask(op="targets"))["targets"]:
                    if target["path"] == DRIVE:
                        return int(target["revision"])
                await asyncio.sleep(0.02)

    async def publish(self, value: float, until: str = "", timeout: float = 30.0) -> Any:
        """Publish, and return the command's row at its end, or in a state."""
        request = {"target": DRIVE, "value": value, "revision": await self.revision()}
        made = (await self.ask(op="publish", **request))["command"]

        async def row() -> Any:
            return (await self.ask(op="command", id=made["id"]))["command"]

        async with asyncio.timeout(timeout):
            while not ((found := await row())["ended"] or found["state"] == until):
                await asyncio.sleep(0.02)
        return found


Serve = Callable[..., None]


@pytest.fixture
def simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the simulator, as a package of a third party; returns a folder for a plant."""
    packages = tmp_path / "packages"
    write_metadata(packages, "stranger", ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(packages))
    return tmp_path


@pytest.fixture
def serve(simulated: Path) -> Serve:
    """Run a service in this process and a scenario against it."""

    def run(scenario: Scenario, text: str = "", approved: bool = True, **fields: Any) -> None:
        run_service(simulated, scenario, text or plant_text(simulated.name), approved, **fields)

    return run


def run_service(
    folder: Path, scenario: Scenario, text: str, approved: bool = True, **fields: Any
) -> None:
    """Run a service of a plant whose connection is `soft://<name of the folder>`."""
    stage, line = folder / "plant.usda", folder.name
    stage.write_text(text)
    if approved:
        hashes = GuardStage(open_stage(stage).GetRootLayer()).hashes()
        GuardBook(folder / "state" / "guards.json").approve(hashes, "ada", 0.0)
    config = ServiceConfig(
        **{
            "stage": stage,
            "socket": folder / "run" / "s.sock",
            "state_dir": folder / "state",
            "in_process": True,
            "allow_commands": True,
            "roles": {"operator": (USER,)},
            **fields,
        }
    )

    async def both() -> None:
        service = Service(config)
        task = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), 20)
        served = Served(service, line)
        try:
            await served.until(lambda: line in _lines(service))
            await scenario(served)
        finally:
            service.stop()
            await asyncio.wait_for(task, 30)

    asyncio.run(both())


def _lines(service: Service) -> str:
    links = service._links.status()
    return " ".join(row["endpoint"] for row in links.values() if row["state"] == "online")
