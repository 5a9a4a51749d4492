"""Reviews in the running service: control socket, command line, and merges that command nothing."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pxr import Sdf, Usd
from typer.testing import CliRunner

from stagetwin import AccessError, ReviewError, ServiceError
from stagetwin.actuation import Transmission
from stagetwin.cli import _reviews, app
from stagetwin.drafts import Drafts
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.identifiers import uuid7
from stagetwin.people import Principal
from stagetwin.service import ControlClient, Service, ServiceConfig
from stagetwin.service._control import asking_as
from stagetwin.service._events import Event
from stagetwin.service._requests import Requests
from stagetwin.soft import soft_bridge, soft_device
from tests.stages.plants import HEADER, asset, command, connection, prim, telemetry

P1, SPEED = "/Plant/P1", "/Plant/P1.speed"
RPM = "/Plant/P1.twin:telemetry:rpm:value"
ADA, BEN = Principal("ada"), Principal("ben")
SITE = '#usda 1.0\n(\n    upAxis = "Z"\n    metersPerUnit = 1\n)\n\nover "Plant"\n{\n}\n'

Reply = dict[str, Any]


@pytest.fixture
def config(tmp_path: Path) -> ServiceConfig:
    """A pump whose command settles by itself, with a site layer on top; ada and ben operate it."""
    fields: dict[str, Any] = {
        "unit": "1/min",
        "readback": RPM,
        "tolerance": 1.0,
        "hard": (0.0, 3000.0),
    }
    plant = HEADER + connection("line", f"soft://{tmp_path.name}")
    plant += prim(
        "Plant",
        prim(
            "P1",
            asset("p1", "twin", "line", ["operator"]),
            telemetry("rpm", address="rpm", unit="1/min"),
            command("speed", address="speed", publish="settled", approval="none", **fields),
            "double3 xformOp:translate = (1, 0, 0)\n"
            'uniform token[] xformOpOrder = ["xformOp:translate"]',
        ),
    )
    (tmp_path / "plant.usda").write_text(plant, encoding="utf-8")
    (tmp_path / "site.usda").write_text(SITE, encoding="utf-8")
    root = tmp_path / "root.usda"
    root.write_text(
        HEADER.rstrip().removesuffix(")") + "    subLayers = [@./site.usda@, @./plant.usda@]\n)\n",
        encoding="utf-8",
    )
    stage = Usd.Stage.Open(str(root))
    book = GuardBook(tmp_path / "state" / "guards.json")
    book.approve(GuardStage(stage.GetRootLayer()).hashes(), "ann", time.time())
    return ServiceConfig(
        stage=root,
        socket=tmp_path / "run" / "s.sock",
        state_dir=tmp_path / "state",
        in_process=True,
        allow_commands=True,
        site_layer=tmp_path / "site.usda",
        roles={"operator": (getpass.getuser(), "ada", "ben")},
    )


class Client:
    """Asks a service in somebody's name, as the gateway does."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._requests = Requests(service)
        self.told: list[Event] = []
        service.events.listen(self.told.append)

    async def ask(self, who: Principal, op: str, **fields: Any) -> Reply:
        with asking_as(who):
            replies = [reply async for reply in self._requests.answer({"op": op, **fields})]
        (reply,) = replies
        return reply

    async def do(self, who: Principal, op: str, kind: str, **fields: Any) -> Reply:
        operation = {"id": uuid7(), "kind": kind, **fields}
        return await self.ask(who, op, operation=operation)


def serve(
    config: ServiceConfig, scenario: Callable[[Client], Awaitable[None]]
) -> list[Transmission]:
    """Run the service, its device and a scenario; return what reached the device."""
    name = config.stage.parent.name
    arrived: list[Transmission] = []

    async def chatter() -> None:
        while True:
            with contextlib.suppress(ServiceError):  # the bridge is still to start
                soft_bridge(name).send("rpm", 1200.0, source_time=time.time())
            await asyncio.sleep(0.05)

    async def both() -> None:
        service = Service(config)
        run = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), 20)
        machine = asyncio.create_task(chatter())
        try:
            await until(lambda: service.twin.stage.GetAttributeAtPath(RPM).Get())
            await scenario(Client(service))
        finally:
            machine.cancel()
            service.stop()
            await asyncio.wait_for(run, 20)

    def device(transmission: Transmission) -> str:
        arrived.append(transmission)
        return ""

    soft_device(name, device)
    try:
        asyncio.run(both())
    finally:
        soft_device(name, None)
    return arrived


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not what():
            await asyncio.sleep(0.01)


def test_topic_lives_in_the_stage_and_survives_a_restart(config: ServiceConfig) -> None:
    kept: Reply = {}

    async def first(client: Client) -> None:
        made = await client.do(
            ADA,
            "review",
            "create",
            title="Too loud",
            anchors=[{"prim": P1}],
            values=["/Plant/P1.rpm"],
        )
        topic = made["topic"]
        (value,) = topic["values"]
        assert (value["value"], value["unit"], value["quality"]) == (1200.0, "1/min", "good")
        assert value["source_time"] == pytest.approx(value["time"], abs=60)
        # Many at once: nobody waits for a tick, nothing is lost.
        texts = [f"comment {number}" for number in range(20)]
        await asyncio.gather(
            *(client.do(BEN, "review", "comment", topic=topic["id"], text=t) for t in texts)
        )
        row = (await client.ask(BEN, "topic", id=topic["id"]))["topic"]
        assert sorted(c["text"] for c in row["comments"]) == sorted(texts)
        stage = client.service.twin.stage
        spec = stage.GetPrimAtPath("/Review/Topic_" + topic["id"].replace("-", "_"))
        assert {s.layer for s in spec.GetPrimStack()} == {client.service.twin.layers.review}
        events = [event for event in client.told if event.op == "topic"]
        assert len(events) == 21
        assert {event.prim for event in events} == {P1}
        stale = await client.do(BEN, "review", "edit", topic=topic["id"], revision=7, title="x")
        assert "at revision 1" in stale["conflict"]
        assert stale["topic"] == row
        assert (await client.ask(ADA, "status"))["reviews"] == {"faults": []}
        kept.update(row)

    async def second(client: Client) -> None:
        assert (await client.ask(BEN, "topics", prim=P1))["topics"] == [kept]
        path = client.service.twin.layers.review.GetPrimAtPath(
            "/Review/Topic_" + kept["id"].replace("-", "_")
        )
        assert path

    serve(config, first)
    assert (config.state_dir / "review.usda").exists()
    serve(config, second)


def test_client_that_leaves_in_the_middle_harms_nothing(config: ServiceConfig) -> None:
    async def scenario(client: Client) -> None:
        topic = (await client.do(ADA, "review", "create", title="One"))["topic"]
        for number in range(10):
            asking = asyncio.create_task(
                client.do(BEN, "review", "comment", topic=topic["id"], text=f"{number}")
            )
            for _ in range(number % 4):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
        await client.do(BEN, "review", "comment", topic=topic["id"], text="last")
        row = (await client.ask(ADA, "topic", id=topic["id"]))["topic"]
        assert row["comments"][-1]["text"] == "last"
        texts = [comment["text"] for comment in row["comments"]]
        assert texts[:-1] == sorted(texts[:-1])

    serve(config, scenario)


def transform(x: float) -> Reply:
    matrix = [1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, 0, 0, 1]
    return {"kind": "transform", "prim": P1, "matrix": matrix}


def test_archives_are_read_for_reviewers_and_one_at_a_time(config: ServiceConfig) -> None:
    async def scenario(client: Client) -> None:
        await client.do(ADA, "review", "create", title="One", anchors=[{"prim": P1}])
        archive = (await client.ask(ADA, "bcf_export"))["bcf"]
        # Refused before it is looked at: it may be as large and as wrong as can be.
        with pytest.raises(AccessError, match="zoe may not review anything"):
            await client.ask(Principal("zoe"), "bcf_import", bcf="nonsense")
        answers = await asyncio.gather(
            *(client.ask(ADA, "bcf_import", bcf=archive) for _ in range(3)), return_exceptions=True
        )
        refused = [str(each) for each in answers if isinstance(each, ReviewError)]
        assert refused == ["another archive is being read or written; try again"] * 2
        assert [a["unchanged"] for a in answers if isinstance(a, dict)] == [1]
        with pytest.raises(ReviewError, match="base64"):
            await client.ask(ADA, "bcf_import", bcf="nonsense!")
        assert (await client.ask(ADA, "bcf_import", bcf=archive))["unchanged"] == 1

    serve(config, scenario)


async def proposed(client: Client, *edits: Reply) -> str:
    made = await client.do(ADA, "proposal", "create", title="Move", prim=P1)
    identity = str(made["proposal"]["id"])
    answer = await client.do(
        ADA, "proposal", "set", proposal=identity, revision=1, edits=list(edits)
    )
    assert "conflict" not in answer
    await client.do(ADA, "proposal", "submit", proposal=identity, revision=2)
    return identity


def test_merge_publishes_no_command_even_where_edits_settle(config: ServiceConfig) -> None:
    async def scenario(client: Client) -> None:
        # A mirror on the same files, whose settled edits are published by themselves.
        mirror = Usd.Stage.Open(str(config.stage))
        drafts = Drafts(mirror, lambda: ControlClient(config.socket))
        try:
            await until(lambda: drafts.poll() is not None and not drafts.fault)
            identity = await proposed(client, transform(5), {"kind": "add", "prim": f"{P1}/Lid"})
            with pytest.raises(ReviewError, match="requested value"):
                await client.do(
                    ADA,
                    "proposal",
                    "set",
                    proposal=identity,
                    revision=3,
                    edits=[
                        {
                            "kind": "attribute",
                            "path": f"{P1}.twin:command:speed:desired",
                            "value": 1500.0,
                        }
                    ],
                )
            answer = await client.do(BEN, "proposal", "merge", proposal=identity, revision=3)
            assert answer["proposal"]["merged_by"] == "ben"
            twin = client.service.twin
            await until(lambda: twin.stage.GetPrimAtPath(f"{P1}/Lid"))
            assert twin.stage.GetAttributeAtPath(f"{P1}.xformOp:translate").Get()[0] == 5
            # Longer than the debounce: what settles by itself would be on its way by now.
            settled = time.monotonic() + 1.0
            await until(lambda: (drafts.poll(), time.monotonic() > settled)[1])
            assert drafts.drafts == []
            assert (await client.ask(BEN, "commands"))["commands"] == []
            assert twin.demoted == {}
        finally:
            drafts.close()

    assert serve(config, scenario) == []


def test_changed_guard_needs_its_own_approval(config: ServiceConfig) -> None:
    async def scenario(client: Client) -> None:
        path = f"{P1}.twin:command:speed:address"
        identity = await proposed(
            client, {"kind": "attribute", "path": path, "value": "other/speed"}
        )
        shown = (await client.ask(BEN, "proposal", id=identity))["proposal"]
        assert shown["guards"] == [P1]
        await client.do(BEN, "proposal", "merge", proposal=identity, revision=3)
        twin = client.service.twin
        await until(lambda: twin.demoted)
        assert "guards changed since ann approved" in twin.demoted[P1]
        answer = await client.ask(ADA, "publish", target=SPEED, value=1500.0, revision=0)
        row = answer["command"]
        async with asyncio.timeout(60):
            while not row["ended"]:
                await asyncio.sleep(0.01)
                row = (await client.ask(ADA, "command", id=row["id"]))["command"]
        assert row["state"] == "REJECTED"
        assert "shadow" in row["cause"]
        book = GuardBook(config.state_dir / "guards.json")
        stage = Usd.Stage.Open(str(config.stage))
        book.approve(GuardStage(stage.GetRootLayer()).hashes(), "eve", time.time())
        await client.ask(Principal("root", owner=True), "guards_approved")
        assert twin.demoted == {}
        await client.do(BEN, "proposal", "undo", proposal=identity, revision=4)
        await until(lambda: twin.demoted)
        assert "since eve approved" in twin.demoted[P1]

    assert serve(config, scenario) == []
    layer = Sdf.Layer.OpenAsAnonymous(str(config.site_layer))
    original = Sdf.Layer.CreateAnonymous("site.usda")
    original.ImportFromString(SITE)
    assert layer.ExportToString() == original.ExportToString()


def test_what_telemetry_drives_cannot_be_proposed(config: ServiceConfig) -> None:
    async def scenario(client: Client) -> None:
        with pytest.raises(ReviewError, match="measured"):
            await proposed(client, {"kind": "attribute", "path": RPM, "value": 1.0})

    serve(config, scenario)


def test_site_layer_that_is_none_of_the_plants_ends_the_service(config: ServiceConfig) -> None:
    other = config.stage.with_name("other.usda")
    other.write_text("#usda 1.0\n")
    wrong = config.model_copy(update={"site_layer": other})

    async def start() -> None:
        await Service(wrong).run()

    with pytest.raises(ReviewError, match="no layer of the stage"):
        asyncio.run(start())


async def call(config: ServiceConfig, *arguments: str) -> tuple[int, str]:
    """Run a command of the command line and return its exit status and what it printed."""
    line = ["review", *arguments, "--socket", str(config.socket)]
    runner = CliRunner(env={"COLUMNS": "200"})
    result = await asyncio.to_thread(runner.invoke, app, line)
    return result.exit_code, result.output


def test_command_line(config: ServiceConfig, tmp_path: Path) -> None:
    assert _reviews.review  # its commands are added to the line by being imported
    told: dict[str, tuple[int, str]] = {}
    stage, archive = str(config.stage), tmp_path / "out.bcfzip"

    async def scenario(client: Client) -> None:
        topic = (
            await client.do(ADA, "review", "create", title="Too loud", anchors=[{"prim": P1}])
        )["topic"]
        await client.do(BEN, "review", "comment", topic=topic["id"], text="Yes, \x2d it is.")
        told["list"] = await call(config, "list", stage)
        told["show"] = await call(config, "show", stage, topic["id"])
        told["export"] = await call(config, "export", stage, str(archive))
        told["import"] = await call(config, "import", stage, str(archive), "--json")
        told["none"] = await call(config, "show", stage, uuid7())

    serve(config, scenario)
    assert told["list"][0] == 0, told["list"][1]
    assert "Too loud" in told["list"][1]
    assert P1 in told["list"][1]
    assert "Yes, - it is." in told["show"][1]
    assert told["export"][0] == 0, told["export"][1]
    assert archive.stat().st_size > 500
    assert told["import"][0] == 0, told["import"][1]
    reply = json.loads(told["import"][1])
    assert (reply["created"], reply["commented"], reply["unchanged"]) == (0, 0, 1)
    assert told["none"][0] == 2
    assert "there is no topic" in told["none"][1]
