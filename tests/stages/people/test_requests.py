"""What each role may ask a running service, operation by operation."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stagetwin import AccessError, ServiceError
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.opening import open_stage
from stagetwin.people import Principal
from stagetwin.service import Service, ServiceConfig
from stagetwin.service._control import asking_as
from stagetwin.service._requests import Requests
from stagetwin.soft import soft_bridge
from tests.stages.people.policies import person, write
from tests.stages.plants import HEADER, asset, command, connection, prim, telemetry
from tests.stages.test_control_rights import as_nobody, group_of_nobody
from tests.stages.test_control_rights import place as place  # a fixture

Reply = dict[str, Any]
OWNER = Principal("os:root", owner=True, via="os:root")

ROLES = {
    "viv": ("viewer", "/Line1"),
    "rex": ("reviewer", "/Line1"),
    "ona": ("operator", "/Line1"),
    "abe": ("approver", "/Line1"),
    "eng": ("engineer", "/Line1"),
    "mac": ("mechanic", "/Line1"),
    "all": ("viewer", "/"),
    "far": ("operator", "/Line10"),
}


def line(number: int) -> str:
    name = f"net{number}"
    pump = prim(
        "Pump",
        asset(f"{name}-P", level="twin", connection=name, roles=["operator", "mechanic"]),
        telemetry("rpm", address="rpm", unit="1/min"),
        command("speed", address="speed", approval="single", unit="1/min", hard=(0, 3000)),
        telemetry("wrong", address="wrong", unit="no unit"),
    )
    return f'def Xform "Line{number}" {{\n{pump}\n}}\n'


@pytest.fixture
def config(place: Path) -> ServiceConfig:
    stage = place / "plant.usda"
    key = place.name
    links = [connection(name, endpoint=f"soft://{key}-{name}") for name in ("net1", "net10")]
    stage.write_text(HEADER + "".join(links) + line(1) + line(10))
    hashes = GuardStage(open_stage(stage).GetRootLayer()).hashes()
    GuardBook(place / "state" / "guards.json").approve(hashes, "ada", 0.0)
    grants = [(who, *held) for who, held in ROLES.items()]
    return ServiceConfig(
        stage=stage,
        socket=place / "run" / "s.sock",
        state_dir=place / "state",
        in_process=True,
        allow_commands=True,
        people=write(place / "people.toml", grants, accounts=[*ROLES, "nil"]),
    )


class Room:
    """A running service, asked in anybody's name as the gateway asks."""

    def __init__(self, service: Service, config: ServiceConfig) -> None:
        self.service, self.config = service, config
        self.requests = Requests(service)

    async def ask(self, who: Principal | str, op: str, **fields: Any) -> Reply:
        async with contextlib.aclosing(self.follow(who, op, **fields)) as replies:
            return await anext(replies)

    async def follow(self, who: Principal | str, op: str, **fields: Any) -> AsyncIterator[Reply]:
        with asking_as(who if isinstance(who, Principal) else person(who)):
            async for reply in self.requests.answer({"op": op, **fields}):
                yield reply

    async def online(self) -> None:
        async with asyncio.timeout(30):
            while True:
                status = self.service.status()
                links = [*status["connections"].values(), *status["commands"]["clients"].values()]
                if len(links) == 4 and all(link["state"] == "online" for link in links):
                    break
                await asyncio.sleep(0.02)
            for name in ("net1", "net10"):
                soft_bridge(f"{self.config.stage.parent.name}-{name}").send("rpm", 1000.0)
            while "good" not in str(await self.ask(OWNER, "values", prim="/Line1")):
                await asyncio.sleep(0.02)

    async def published(self, who: str) -> Reply:
        """Publish until the service has caught up, and return the row of what awaits approval."""
        target = "/Line1/Pump.speed"
        async with asyncio.timeout(30):
            while True:
                (known,) = (await self.ask(OWNER, "targets", prim=target))["targets"]
                wanted = {"target": target, "value": 1500.0, "revision": known["revision"]}
                row: Reply = (await self.ask(who, "publish", **wanted))["command"]
                while row["state"] in ("REQUESTED", "VALIDATED"):
                    await asyncio.sleep(0.02)
                    row = (await self.ask(OWNER, "command", id=row["id"]))["command"]
                if row["state"] == "REHEARSED":
                    return row
                assert row["code"] in ("offline", "stale", "revision"), row["cause"]


Scenario = Callable[[Room], Any]


@pytest.fixture
def serve(config: ServiceConfig) -> Callable[[Scenario], None]:
    def run(scenario: Scenario) -> None:
        async def both() -> None:
            service = Service(config)
            task = asyncio.create_task(service.run())
            await asyncio.wait_for(service.ready.wait(), 30)
            try:
                await scenario(Room(service, config))
            finally:
                service.stop()
                await asyncio.wait_for(task, 30)

        asyncio.run(both())

    return run


def paths(reply: Mapping[str, Any]) -> set[str]:
    for key in ("signals", "targets"):
        if key in reply:
            return {row["prim"] for row in reply[key]}
    return {row["target"].partition(".")[0] for row in reply["commands"]}


READERS = "viv rex ona abe eng mac all"
TABLE = [
    ("status", {}, f"{READERS} far"),
    ("problems", {}, f"{READERS} far"),
    ("values", {"prim": "/Line1"}, READERS),
    ("watch", {"prim": "/Line1/Pump"}, READERS),
    ("values", {"prim": "/Line10/Pump.rpm"}, "all far"),
    ("values", {"prim": "/"}, f"{READERS} far"),
    ("targets", {}, f"{READERS} far"),
    ("commands", {}, f"{READERS} far"),
    ("rejections", {}, "all"),
    ("verify_ledger", {}, "all"),
    ("halt", {"prim": "/Line1"}, "ona abe mac"),
    ("halt", {"prim": "/"}, ""),
    ("publish", {"target": "/Line1/Pump.speed", "value": 1.0, "revision": -1}, READERS),
    ("snapshot", {"path": "/nowhere"}, ""),
    ("guards_approved", {}, ""),
    ("stop", {}, ""),
]


async def refusal(asked: Awaitable[Reply]) -> ServiceError | None:
    try:
        await asked
    except ServiceError as error:
        return error
    return None


async def drain(replies: AsyncIterator[Reply]) -> None:
    async with asyncio.timeout(30):
        async for _ in replies:
            pass


def test_who_may_ask_what(serve: Callable[[Scenario], None]) -> None:
    async def scenario(room: Room) -> None:
        await room.online()
        strangers = [Principal("ona"), Principal("zoe", via="login:0"), Principal("")]
        for op, fields, allowed in TABLE:
            for who in (*ROLES, "nil", *strangers):
                said = await refusal(room.ask(who, op, **fields))
                may = who in allowed.split()
                assert (said is None) == may, (op, fields, who, said)
                if op not in ("snapshot", "guards_approved", "stop"):
                    assert may or isinstance(said, AccessError), (op, fields, who, said)
        for target in ("/Line10/Pump.speed", "/Line10/Nothing.speed"):
            said = await refusal(room.ask("ona", "publish", target=target, value=1.0))
            assert str(said) == f"ona may not read at {target}", "whether there is one or not"

    serve(scenario)


def test_what_may_not_be_read_is_left_out(serve: Callable[[Scenario], None]) -> None:
    async def scenario(room: Room) -> None:
        await room.online()
        row = await room.published("ona")
        whole = {"/Line1/Pump", "/Line10/Pump"}
        for who, seen in (("viv", {"/Line1/Pump"}), ("far", {"/Line10/Pump"}), ("all", whole)):
            for op in ("values", "watch", "targets"):
                assert paths(await room.ask(who, op)) == seen, (who, op)
            assert paths(await room.ask(who, "commands")) == seen - {"/Line10/Pump"}
            status = await room.ask(who, "status")
            nets = {path.split("/")[1].replace("Line", "net") for path in seen}
            assert set(status["connections"]) == nets
            problems = str(await room.ask(who, "problems")) + str(status["errors"])
            assert {f"/{n}/Pump" for n in ("Line1", "Line10") if f"/{n}/" in problems} == seen
        for op in ("command", "follow", "cancel", "approve_command", "deny_command"):
            for name in (row["id"], row["id"][:13]):
                with pytest.raises(ServiceError, match="no command begins with"):
                    await room.ask("far", op, id=name)
        assert (await room.ask("viv", "command", id=row["id"][:13]))["command"]["id"] == row["id"]

    serve(scenario)


def test_a_stream_ends_when_its_right_does(
    serve: Callable[[Scenario], None], config: ServiceConfig
) -> None:
    async def scenario(room: Room) -> None:
        await room.online()
        row = await room.published("ona")
        with asking_as(person("viv")):
            watch = room.requests.answer({"op": "watch", "rate": 50})
            follow = room.requests.answer({"op": "follow", "id": row["id"]})
            assert paths(await anext(watch)) == {"/Line1/Pump"}
            assert "frame" in await anext(watch)
            assert "command" in await anext(follow)
            assert config.people is not None
            write(config.people, [("viv", "viewer", "/Line10")])
            async with asyncio.timeout(30):
                while "signals" not in (reply := await anext(watch)):
                    pass
            assert paths(reply) == {"/Line10/Pump"}
            await room.ask(OWNER, "cancel", id=row["id"])
            with pytest.raises(StopAsyncIteration):
                await anext(follow)
            write(config.people, accounts=["viv"])
            with pytest.raises(AccessError, match="viv may"):
                await drain(watch)
            await watch.aclose()
            await follow.aclose()

    serve(scenario)


def test_one_asks_another_approves_and_it_leaves(serve: Callable[[Scenario], None]) -> None:
    async def scenario(room: Room) -> None:
        await room.online()
        row = await room.published("ona")
        assert (row["author"], row["asset"]) == ("ona", "/Line1/Pump")
        for who, why in (
            ("ona", "is its author"),
            ("viv", "no role that may approve"),
            ("eng", "no role that may approve"),
        ):
            for op in ("approve_command", "deny_command"):
                with pytest.raises(ServiceError, match=why):
                    await room.ask(who, op, id=row["id"], hash=row["hash"])
        with pytest.raises(ServiceError, match="look at it again"):
            await room.ask("abe", "approve_command", id=row["id"], hash="0" * 64)
        with pytest.raises(ServiceError, match="hash must be a text"):
            await room.ask("abe", "approve_command", id=row["id"], hash="")
        shown = (await room.ask("abe", "command", id=row["id"]))["command"]
        await room.ask("abe", "approve_command", id=row["id"], hash=shown["hash"])
        async with asyncio.timeout(30):
            async with contextlib.aclosing(room.follow("viv", "follow", id=row["id"])) as replies:
                async for reply in replies:
                    states = [moment["state"] for moment in reply["command"]["history"]]
                    if "SENT" in states:
                        break
        assert reply["command"]["approvals"] == ["abe"]
        assert "APPROVED" in states

    serve(scenario)


def test_a_mechanic_commands_and_a_viewer_does_not(serve: Callable[[Scenario], None]) -> None:
    async def scenario(room: Room) -> None:
        await room.online()
        assert (await room.published("mac"))["author"] == "mac"
        for who in ("viv", "abe", "eng", "all"):
            (known,) = (await room.ask(OWNER, "targets", prim="/Line1/Pump.speed"))["targets"]
            wanted = {"target": known["path"], "value": 1.0, "revision": known["revision"]}
            row = (await room.ask(who, "publish", **wanted))["command"]
            assert (row["state"], row["code"]) == ("REJECTED", "rights"), (who, row)

    serve(scenario)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_users_of_the_system_are_judged_by_the_file(config: ServiceConfig) -> None:
    config = config.model_copy(update={"socket_group": group_of_nobody()})
    assert config.people is not None
    write(config.people, [("os:nobody", "viewer", "/Line1")])

    async def scenario() -> None:
        service = Service(config)
        task = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), 30)
        try:
            asked = ({"op": "values"}, {"op": "rejections"}, {"op": "halt", "prim": "/Line1"})
            first = await asyncio.to_thread(as_nobody, config.socket, *asked)
            assert [reply["ok"] for reply in first] == [True, False, False]
            assert paths(first[0]) == {"/Line1/Pump"}
            assert first[1]["error"] == "os:nobody may not read at /"
            assert first[1]["kind"] == "AccessError"
            assert config.people is not None
            write(config.people)
            last = await asyncio.to_thread(as_nobody, config.socket, {"op": "values"})
            async with asyncio.timeout(30):
                while last[0]["ok"]:
                    last = await asyncio.to_thread(as_nobody, config.socket, {"op": "values"})
            assert last[0]["error"] == "os:nobody may read nothing here"
        finally:
            service.stop()
            await asyncio.wait_for(task, 30)

    asyncio.run(scenario())


def test_a_damaged_file_starts_no_service(config: ServiceConfig) -> None:
    assert config.people is not None
    config.people.write_text("")
    with pytest.raises(AccessError, match=r"people\.toml: version"):
        Service(config)
