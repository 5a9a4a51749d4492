"""Alarms of a running service: requests, rights, events, the command line, metrics."""

from __future__ import annotations

import asyncio
import json
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stagetwin import AccessError, AlarmError
from stagetwin.cli import _alarms, _ask, app
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.opening import open_stage
from stagetwin.people import Principal
from stagetwin.service import Service, ServiceConfig
from stagetwin.service._control import asking_as
from stagetwin.service._events import Event
from stagetwin.service._requests import Requests
from stagetwin.soft import soft_bridge, soft_device
from tests.stages.alarms.watched import alarm
from tests.stages.people.policies import person, write
from tests.stages.plants import HEADER, asset, command, connection, full_path, prim, telemetry

del _alarms, _ask  # they add their commands to `app`

HOT = "/World/A.hot"
OWNER = Principal("root", owner=True)
ADA, BEN, VIC = person("ada"), person("ben"), person("vic")


def plant_of(name: str) -> str:
    machines = [
        prim(
            machine,
            asset(machine, level="twin", connection="line", roles=["operator"]),
            telemetry("flow", address=f"{machine}/flow", hard=(0, 200), unit="m3/h"),
            command("speed", address=f"{machine}/set", approval="none", expiry=5.0),
            alarm("hot", full_path(f"/World/{machine}.flow"), limit=100, priority="high"),
        )
        for machine in ("A", "B")
    ]
    return HEADER + connection(endpoint=f"soft://{name}") + prim("World", *machines)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[ServiceConfig]:
    stage = tmp_path / "plant.usda"
    stage.write_text(plant_of(tmp_path.name))
    hashes = GuardStage(open_stage(stage).GetRootLayer()).hashes()
    GuardBook(tmp_path / "state" / "guards.json").approve(hashes, "ada", 0.0)
    grants = [
        ("ada", "operator", "/World"),
        ("ben", "operator", "/World/B"),
        ("vic", "viewer", "/World/A"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        yield ServiceConfig(
            stage=stage,
            socket=Path(folder) / "s.sock",
            state_dir=tmp_path / "state",
            in_process=True,
            people=write(tmp_path / "people.toml", grants),
            allow_commands=True,
        )


class Room:
    """A running service, and the people who ask it.

    Attributes:
        service: the service.
        events: alarms that were told, in order.
    """

    def __init__(self, service: Service, name: str) -> None:
        self.service, self._name = service, name
        self._requests = Requests(service)
        self.events: list[Event] = []
        service.events.listen(
            lambda event: self.events.append(event) if event.op == "alarm" else None
        )

    def send(self, machine: str, value: float) -> None:
        soft_bridge(self._name).send(f"{machine}/flow", value)

    async def ask(self, who: Principal, **request: Any) -> dict[str, Any]:
        with asking_as(who):
            async for reply in self._requests.answer(request):
                return reply
        raise AssertionError("no answer")

    async def until(self, what: Callable[[], Any]) -> None:
        async with asyncio.timeout(60):
            while not what():
                await asyncio.sleep(0.02)

    def state(self, alarm_id: str = HOT) -> str:
        book = self.service.alarms.book
        assert book is not None
        return next((row["state"] for row in book.rows() if row["id"] == alarm_id), "NORMAL")

    async def heat(self, machine: str = "A", value: float = 150.0) -> None:
        await self.until(lambda: self.service.status()["connections"]["line"]["state"] == "online")
        self.send(machine, value)
        await self.until(lambda: self.state(f"/World/{machine}.hot") != "NORMAL")

    def command_line(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments))


def serve(config: ServiceConfig, scenario: Callable[[Room], Any]) -> None:
    """Run a service in this process and a scenario against it."""

    async def both() -> None:
        service = Service(config)
        room = Room(service, config.stage.parent.name)
        run = asyncio.create_task(service.run())
        ready = asyncio.create_task(service.ready.wait())
        await asyncio.wait([run, ready], return_when=asyncio.FIRST_COMPLETED)
        try:
            await scenario(room)
        finally:
            ready.cancel()
            service.stop()
            await asyncio.wait_for(run, 30)

    asyncio.run(both())


@contextmanager
def refused(kind: type[Exception], words: str) -> Iterator[None]:
    with pytest.raises(kind, match=words):
        yield


def test_requests_and_events(config: ServiceConfig) -> None:
    async def scenario(room: Room) -> None:
        await room.heat()
        reply = await room.ask(ADA, op="alarms")
        assert [row["id"] for row in reply["alarms"]] == [HOT]
        assert (reply["counts"]["high"], reply["counts"]["unacknowledged"]) == (1, 1)
        event = room.events[-1]
        assert (event.prim, event.body["alarm"]["state"]) == ("/World/A", "UNACK")
        json.dumps(event.body, allow_nan=False)
        row = (await room.ask(ADA, op="acknowledge_alarm", id=HOT, comment="known"))["alarm"]
        assert (row["state"], row["acknowledged"]["by"]) == ("ACKED", "ada")
        assert room.events[-1].body["alarm"] == row
        row = (await room.ask(ADA, op="shelve_alarm", id=HOT, seconds=60, reason="noise"))["alarm"]
        assert (row["state"], row["shelved"]["reason"]) == ("SHELVED", "noise")
        assert (await room.ask(ADA, op="alarms"))["alarms"] == []
        shown = await room.ask(ADA, op="alarms", show="all", prim="/World/A")
        assert [each["state"] for each in shown["alarms"]] == ["SHELVED"]
        row = (await room.ask(ADA, op="unshelve_alarm", id=HOT))["alarm"]
        assert row["state"] == "ACKED"
        entries = (await room.ask(ADA, op="alarms", show="history"))["entries"]
        assert [e["event"] for e in entries][:4] == [
            "unshelved",
            "shelved",
            "acknowledged",
            "raised",
        ]
        assert room.service.status()["alarms"]["high"] == 1

    serve(config, scenario)


def test_rights(config: ServiceConfig) -> None:
    async def scenario(room: Room) -> None:
        await room.heat()
        await room.heat("B")
        for who, seen in ((ADA, {"A", "B"}), (BEN, {"B"}), (VIC, {"A"}), (OWNER, {"A", "B"})):
            reply = await room.ask(who, op="alarms")
            assert {row["asset"][-1] for row in reply["alarms"]} == seen
            assert reply["counts"]["high"] == len(seen)
            entries = (await room.ask(who, op="alarms", show="history"))["entries"]
            assert {entry["prim"][-1] for entry in entries} == seen
            if who is not OWNER:
                status = await room.ask(who, op="status")
                assert status["alarms"]["high"] == len(seen)
        with refused(AccessError, "ben may not acknowledge at /World/A.hot"):
            await room.ask(BEN, op="acknowledge_alarm", id=HOT)
        for who in (VIC, Principal("mallory"), person("ada", "forged")):
            for op, more in (
                ("acknowledge_alarm", {}),
                ("shelve_alarm", {"seconds": 9, "reason": "x"}),
                ("unshelve_alarm", {}),
            ):
                with refused(AccessError, "may not acknowledge"):
                    await room.ask(who, op=op, id=HOT, **more)
        with refused(AccessError, "may not read"):
            await room.ask(BEN, op="alarms", prim="/World/A")
        with refused(AccessError, "may not read"):
            await room.ask(Principal("mallory"), op="alarms")
        # An alarm that is not there is no way to learn of prims.
        with refused(AccessError, "may not acknowledge"):
            await room.ask(BEN, op="acknowledge_alarm", id="/World/Secret.hot")
        assert room.state() == "UNACK"
        await room.ask(BEN, op="acknowledge_alarm", id="/World/B.hot")
        assert room.state("/World/B.hot") == "ACKED"

    serve(config, scenario)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"op": "alarms", "prim": 3}, "prim must be a path"),
        ({"op": "alarms", "show": "none"}, "active, all, history"),
        ({"op": "alarms", "limit": 0}, r"\[1, 5000\]"),
        ({"op": "alarms", "limit": True}, r"\[1, 5000\]"),
        ({"op": "acknowledge_alarm"}, "id must be an alarm's"),
        ({"op": "acknowledge_alarm", "id": ["/World/A.hot"]}, "id must be an alarm's"),
        ({"op": "acknowledge_alarm", "id": "/World/A.cold"}, "there is no alarm"),
        ({"op": "acknowledge_alarm", "id": HOT}, "NORMAL"),
        ({"op": "acknowledge_alarm", "id": HOT, "comment": 3}, "NORMAL|must be a text"),
        ({"op": "shelve_alarm", "id": HOT, "reason": "x"}, "seconds must be a number"),
        ({"op": "shelve_alarm", "id": HOT, "seconds": "9", "reason": "x"}, "seconds must be"),
        ({"op": "shelve_alarm", "id": HOT, "seconds": float("nan"), "reason": "x"}, "finite"),
        ({"op": "shelve_alarm", "id": HOT, "seconds": 1e9, "reason": "x"}, r"\(0, 28800\]"),
        ({"op": "shelve_alarm", "id": HOT, "seconds": 9, "reason": {}}, "reason must be a text"),
        ({"op": "unshelve_alarm", "id": HOT}, "NORMAL"),
    ],
)
def test_wrong_requests_are_refused(
    config: ServiceConfig, request_: dict[str, Any], words: str
) -> None:
    # Nothing need run: the book is there once the service has begun.
    service = Service(config)
    try:
        service.alarms.start()
        room = Room(service, "none")
        with refused(AlarmError, words):
            asyncio.run(room.ask(ADA, **request_))
    finally:
        service.alarms.close()
        service.twin.close()


def test_a_command_that_nobody_saw_end(config: ServiceConfig) -> None:
    soft_device(config.stage.parent.name, lambda _transmission: "")

    async def scenario(room: Room) -> None:
        status = room.service.status
        await room.until(lambda: status()["commands"]["clients"].get("line", {}).get("state"))
        await room.until(lambda: status()["commands"]["clients"]["line"]["state"] == "online")
        (known,) = (await room.ask(ADA, op="targets", prim="/World/A"))["targets"]
        await room.ask(
            ADA, op="publish", target="/World/A.speed", value=3.0, revision=known["revision"]
        )
        await room.until(lambda: room.state("/World/A.speed_unverified") == "UNACK")
        row = (await room.ask(ADA, op="acknowledge_alarm", id="/World/A.speed_unverified"))["alarm"]
        assert row["state"] == "NORMAL"
        assert row["acknowledged"]["by"] == "ada"

    try:
        serve(config, scenario)
    finally:
        soft_device(config.stage.parent.name, None)


def test_alarms_outlive_the_service(config: ServiceConfig) -> None:
    before: dict[str, Any] = {}

    async def first(room: Room) -> None:
        await room.heat()
        reply = await room.ask(ADA, op="acknowledge_alarm", id=HOT, comment="known")
        before.update(reply["alarm"])

    async def second(room: Room) -> None:
        assert (await room.ask(ADA, op="alarms"))["alarms"] == [before]
        assert room.events == []
        await room.until(lambda: room.service.status()["connections"]["line"]["state"] == "online")
        room.send("A", 50.0)
        await room.until(lambda: room.state() == "NORMAL")

    serve(config, first)
    serve(config, second)


def test_the_command_line(config: ServiceConfig) -> None:
    config = config.model_copy(update={"people": None})
    where = (str(config.stage), "--socket", str(config.socket))

    async def scenario(room: Room) -> None:
        async def stagetwin(*arguments: str) -> tuple[int, str]:
            done = await asyncio.to_thread(room.command_line, *arguments)
            return done.exit_code, done.output

        code, text = await stagetwin("alarms", "list", *where)
        assert (code, text.strip()) == (0, "no active alarms")
        await room.heat()
        code, text = await stagetwin("alarms", "list", *where)
        assert code == 1
        assert HOT in text
        assert "150 m3/h is above 100" in text
        assert "1 active alarm: 1 high, 1 unacknowledged" in text
        code, text = await stagetwin("alarms", "list", *where, "--json")
        assert [row["state"] for row in json.loads(text)["alarms"]] == ["UNACK"]
        stage, *socket = where
        code, text = await stagetwin("alarms", "ack", stage, HOT, *socket, "--comment", "known")
        assert (code, "acked" in text, "knows: known" in text) == (0, True, True)
        code, text = await stagetwin(
            "alarms", "shelve", stage, HOT, *socket, "--for", "2m", "--reason", "noise"
        )
        assert (code, "shelved by" in text, "noise" in text) == (0, True, True)
        code, text = await stagetwin("alarms", "list", *where, "--all")
        assert (code, "shelved" in text) == (0, True)
        code, text = await stagetwin("alarms", "unshelve", stage, HOT, *socket)
        assert (code, "acked" in text) == (0, True)
        code, text = await stagetwin("alarms", "history", *where)
        assert code == 0
        assert [line.split()[2] for line in text.strip().splitlines()] == [
            "unshelved",
            "shelved",
            "acknowledged",
            "raised",
        ]
        code, text = await stagetwin("alarms", "history", *where, "--json")
        assert len(json.loads(text)["entries"]) == 4
        code, text = await stagetwin("status", *where)
        assert "1 active alarm: 1 high" in text
        code, _ = await stagetwin("alarms", "ack", stage, "/World/A.cold", *socket)
        assert code == 2
        code, _ = await stagetwin(
            "alarms", "shelve", stage, HOT, *socket, "--for", "soon", "--reason", "x"
        )
        assert code == 2

    serve(config, scenario)


def test_metrics(config: ServiceConfig) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def scenario(room: Room) -> None:
        await room.heat()
        page = ""

        async def look() -> bool:
            nonlocal page
            url = f"http://127.0.0.1:{port}/metrics"
            page = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
            return 'stagetwin_alarms_active{priority="high"} 1.0' in page

        async with asyncio.timeout(60):
            while not await look():
                await asyncio.sleep(0.1)
        assert 'stagetwin_alarms_active{priority="critical"} 0.0' in page
        assert "stagetwin_alarms_unacknowledged 1.0" in page

    serve(config.model_copy(update={"metrics_port": port}), scenario)
