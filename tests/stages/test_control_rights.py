"""Who may reach a running service, what each may ask, and how a fault of its ledger shows."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import grp
import json
import os
import shutil
import socket
import sqlite3
import stat
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stagetwin import CommandError, LedgerError, ServiceError
from stagetwin.commands import State
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.opening import open_stage
from stagetwin.service import ControlClient, Service, ServiceConfig
from stagetwin.service import _control as module
from stagetwin.service._control import ControlServer, peer_is_owner, peer_user
from stagetwin.service._metrics import MetricsListener, MetricsSnapshot
from stagetwin.soft import soft_bridge
from tests.stages.commands.conftest import Open
from tests.stages.commands.conftest import opened as opened  # a fixture
from tests.stages.commands.desk import SPEED, pump, speed

USER = getpass.getuser()
NOBODY = 65534
Reply = dict[str, Any]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may pass, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def config(place: Path) -> ServiceConfig:
    """A plant with one pump, whose command somebody else must approve."""
    stage = place / "plant.usda"
    stage.write_text(pump(speed(approval="single"), line={"endpoint": f"soft://{place.name}"}))
    hashes = GuardStage(open_stage(stage).GetRootLayer()).hashes()
    GuardBook(place / "state" / "guards.json").approve(hashes, "ada", 0.0)
    return ServiceConfig(
        stage=stage,
        socket=place / "run" / "s.sock",
        state_dir=place / "state",
        in_process=True,
        allow_commands=True,
        roles={"operator": (USER,)},
    )


def group_of_nobody() -> str:
    return grp.getgrgid(NOBODY).gr_name


def exchange(path: Path, requests: list[Reply]) -> list[Reply]:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(path))
        lines = peer.makefile("rb")
        replies = []
        for request in requests:
            with contextlib.suppress(BrokenPipeError):  # turned away: why waits to be read
                peer.sendall(json.dumps(request).encode() + b"\n")
            replies.append(json.loads(lines.readline()))
        return replies


def as_nobody(path: Path, *requests: Reply, gid: int = NOBODY) -> list[Reply]:
    """Ask a service as another user; an error to connect is the only reply then."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        replies: list[Reply] = []
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(NOBODY)
            replies = exchange(path, list(requests))
        except OSError as error:
            replies = [{"ok": False, "error": type(error).__name__}]
        finally:
            os.write(write, json.dumps(replies).encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    found: list[Reply] = json.loads(text)
    return found


def ask(path: Path, /, **request: Any) -> Reply:
    with ControlClient(path, timeout=30) as client:
        return client.ask(**request)


def serve(config: ServiceConfig, scenario: Callable[[Service], Any]) -> None:
    async def both() -> None:
        service = Service(config)
        run = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), 10)
        try:
            await scenario(service)
        finally:
            service.stop()
            await asyncio.wait_for(run, 20)

    asyncio.run(both())


@contextlib.asynccontextmanager
async def answering(path: Path, group: str = "") -> AsyncIterator[ControlServer]:
    async def handler(_: Reply) -> AsyncIterator[Reply]:
        yield {"user": peer_user(), "owner": peer_is_owner()}

    server = ControlServer(path, handler, group)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


# -- who may open the socket


@as_root
def test_a_group_reaches_the_socket_and_nobody_else_does(place: Path) -> None:
    path = place / "run" / "s.sock"
    group = grp.getgrgid(1).gr_name

    async def scenario() -> None:
        async with answering(path, group):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o710
            assert (path.stat().st_gid, path.parent.stat().st_gid) == (1, 1)
            inside = await asyncio.to_thread(as_nobody, path, {}, gid=1)
            outside = await asyncio.to_thread(as_nobody, path, {})
            own = await asyncio.to_thread(ask, path)
        assert inside[0]["ok"]
        assert inside[0]["owner"] is False
        assert inside[0]["user"] != USER
        assert outside == [{"ok": False, "error": "PermissionError"}]
        assert own == {"user": USER, "owner": True}

    asyncio.run(scenario())


@pytest.mark.parametrize("group", ["no-such-group-here", "gr\x00oup"])
def test_an_unknown_group_is_refused(config: ServiceConfig, group: str) -> None:
    with pytest.raises(ServiceError, match="there is no group"):
        asyncio.run(Service(config.model_copy(update={"socket_group": group})).run())
    assert not config.socket.exists()


@as_root
def test_a_folder_that_the_group_cannot_enter_is_said(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (place / "run").mkdir(mode=0o700)

    async def scenario() -> None:
        async with answering(place / "run" / "s.sock", group_of_nobody()):
            assert stat.S_IMODE((place / "run").stat().st_mode) == 0o700, "not ours to open"

    asyncio.run(scenario())
    assert "cannot enter" in caplog.text


# -- what each may ask


@as_root
def test_others_look_and_command_but_end_nothing(config: ServiceConfig, place: Path) -> None:
    config = config.model_copy(update={"socket_group": group_of_nobody()})
    made = place / "by-nobody.usda"

    async def scenario(service: Service) -> None:
        row = await rehearsed(service, config)
        replies = await asyncio.to_thread(
            as_nobody,
            config.socket,
            {"op": "status"},
            {"op": "commands"},
            {"op": "stop"},
            {"op": "guards_approved"},
            {"op": "snapshot", "path": str(made)},
            {"op": "cancel", "id": row["id"]},
        )
        assert [reply["ok"] for reply in replies] == [True, True, False, False, False, False]
        for reply in replies[2:5]:
            assert "the service's own user and root" in reply["error"]
        assert "holds no role" in replies[5]["error"]
        assert not made.exists()
        gone = await asyncio.to_thread(ask, config.socket, op="cancel", id=row["id"])
        assert gone["command"]["state"] == "CANCELLED"
        assert "demoted" in await asyncio.to_thread(ask, config.socket, op="guards_approved")
        await asyncio.to_thread(ask, config.socket, op="stop")

    serve(config, scenario)


async def rehearsed(service: Service, config: ServiceConfig) -> Reply:
    """Publish a command that then waits for somebody's approval."""

    def links() -> list[Any]:
        status = service.status()
        return [
            *(link["state"] for link in status["connections"].values()),
            *(link["state"] for link in status["commands"]["clients"].values()),
        ]

    async with asyncio.timeout(20):
        while links() != ["online", "online"]:
            await asyncio.sleep(0.02)
        while True:
            soft_bridge(config.stage.parent.name).send("rpm", 1000.0)
            (known,) = (await asyncio.to_thread(ask, config.socket, op="targets"))["targets"]
            wanted = {"target": SPEED, "value": 1500.0, "revision": known["revision"]}
            reply = await asyncio.to_thread(ask, config.socket, op="publish", **wanted)
            while (row := await shown(config, reply))["state"] not in ("REHEARSED", "REJECTED"):
                await asyncio.sleep(0.02)
            if row["state"] == "REHEARSED":
                return row
            assert row["code"] in ("offline", "stale"), row["cause"]


async def shown(config: ServiceConfig, reply: Reply) -> Reply:
    row: Reply = await asyncio.to_thread(
        ask, config.socket, op="command", id=reply["command"]["id"]
    )
    return row["command"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("author", "owner", "may"),
    [("ann", False, True), ("bob", False, True), ("eve", False, False), ("eve", True, True)],
    ids=["its author", "of the role", "a stranger", "the service's own user"],
)
def test_who_may_cancel(opened: Open, author: str, owner: bool, may: bool) -> None:
    desk = opened(pump(speed(approval="single")))
    made = desk.publish(1500.0, author="ann")
    if may:
        assert desk.path.cancel(made.id, author, owner=owner).state is State.CANCELLED
    else:
        with pytest.raises(CommandError, match="eve is not its author, and holds no role"):
            desk.path.cancel(made.id, author, owner=owner)
        assert made.state is State.REHEARSED


# -- how many


def test_one_client_too_many_is_told_so_and_the_rest_go_on(place: Path) -> None:
    path = place / "run" / "s.sock"

    async def scenario() -> None:
        async with answering(path):
            clients = [await asyncio.open_unix_connection(path) for _ in range(module.MAX_CLIENTS)]
            for reader, writer in clients:
                writer.write(b"{}\n")
                assert json.loads(await reader.readline())["ok"]
            for _ in range(3):
                with pytest.raises(ServiceError, match="64 clients ask this service already"):
                    await asyncio.to_thread(ask, path)
            reader, writer = clients.pop()
            writer.write(b"{}\n")
            assert json.loads(await reader.readline())["ok"]
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(ServiceError):
                        assert (await asyncio.to_thread(ask, path))["owner"]
                        break
            for _, writer in clients:
                writer.close()

    asyncio.run(scenario())


@as_root
def test_others_cannot_take_every_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OTHERS", 2)
    path = place / "run" / "s.sock"

    async def scenario() -> None:
        async with answering(path, group_of_nobody()):
            first = [await asyncio.open_unix_connection(path) for _ in range(2)]
            for reader, writer in first:
                writer.write(b"{}\n")
                assert await reader.readline()
            refused = await asyncio.to_thread(as_nobody, path, {})
            assert "2 clients ask" in refused[0]["error"]
            assert (await asyncio.to_thread(ask, path))["owner"]
            for _, writer in first:
                writer.close()

    asyncio.run(scenario())


# -- the ledger


def test_a_damaged_ledger_leaves_telemetry_running_and_says_why(
    config: ServiceConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async def nothing(_: Service) -> None: ...

    serve(config, nothing)
    ledger = config.state_dir / "commands.db"
    with contextlib.closing(sqlite3.connect(ledger)) as db, db:
        db.execute("update entries set body = '{}' where seq = 1")

    async def scenario(service: Service) -> None:
        status = (await asyncio.to_thread(ask, config.socket, op="status"))["commands"]
        assert status["allowed"] is False
        assert f"{ledger}: entry 1 of the ledger was changed" in status["cause"]
        for request in (
            {"op": "publish", "target": SPEED, "value": 1.0, "revision": 0},
            {"op": "halt", "prim": "/"},
            {"op": "verify_ledger"},
        ):
            with pytest.raises(ServiceError, match="entry 1 of the ledger was changed"):
                await asyncio.to_thread(ask, config.socket, **request)
        listed = await asyncio.to_thread(ask, config.socket, op="commands")
        assert listed["allowed"] is False
        assert "was changed" in listed["cause"]
        async with asyncio.timeout(10):
            while service.status()["connections"]["line"]["state"] != "online":
                await asyncio.sleep(0.02)
            soft_bridge(config.stage.parent.name).send("rpm", 42.0)
            while (await seen(config)) != 42.0:
                await asyncio.sleep(0.02)
            while not service._metrics.ledger_broken:
                await asyncio.sleep(0.02)

    serve(config, scenario)
    assert any(r.levelname == "ERROR" and str(ledger) in r.message for r in caplog.records)


async def seen(config: ServiceConfig) -> Any:
    reply = await asyncio.to_thread(ask, config.socket, op="values", prim="/Pump")
    names = [signal["signal"] for signal in reply["signals"]]
    return reply["frame"][names.index("rpm")]["value"]


def test_a_ledger_of_another_service_is_an_error_at_the_start(config: ServiceConfig) -> None:
    async def scenario(service: Service) -> None:
        del service
        other = config.model_copy(update={"socket": config.socket.with_name("t.sock")})
        with pytest.raises(LedgerError, match="another service owns"):
            await Service(other).run()

    serve(config, scenario)


def test_a_ledger_is_verified_while_it_runs(config: ServiceConfig) -> None:
    ledger = config.state_dir / "commands.db"

    async def scenario(service: Service) -> None:
        reply = await asyncio.to_thread(ask, config.socket, op="verify_ledger")
        assert reply == {"entries": 1, "damage": ""}
        status = service.status()["commands"]
        assert (status["allowed"], status["ledger"]) == (True, {"broken": ""})
        with contextlib.closing(sqlite3.connect(ledger)) as db, db:
            db.execute("update entries set body = '{}' where seq = 1")
        reply = await asyncio.to_thread(ask, config.socket, op="verify_ledger")
        assert "entry 1 of the ledger was changed" in reply["damage"]

    serve(config, scenario)


def test_one_verification_at_a_time_and_ticks_go_on(
    config: ServiceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    async def scenario(service: Service) -> None:
        assert service.desk is not None
        monkeypatch.setattr(service.desk, "verify", lambda: 7 if go.wait(20) else 0)
        first = asyncio.create_task(asyncio.to_thread(ask, config.socket, op="verify_ledger"))
        async with asyncio.timeout(10):
            while True:  # the first may not have arrived yet
                asked = asyncio.to_thread(ask, config.socket, op="verify_ledger")
                second = asyncio.create_task(asked)
                await asyncio.wait([second], timeout=0.2)
                if second.done():
                    break
                first = second
        with pytest.raises(ServiceError, match="is being verified already"):
            await second
        assert await asyncio.to_thread(ask, config.socket, op="status")
        go.set()
        with contextlib.suppress(ServiceError):
            assert (await first)["entries"] == 7

    serve(config, scenario)


def test_a_broken_ledger_is_a_metric() -> None:
    from urllib.request import urlopen

    for broken, figure in ((True, "1.0"), (False, "0.0")):
        snapshot = MetricsSnapshot(ledger_broken=broken)
        listener = MetricsListener(0, lambda snapshot=snapshot: snapshot)  # type: ignore[misc]
        with urlopen(f"http://127.0.0.1:{listener.port}/metrics") as reply:
            text = reply.read().decode()
        listener.close()
        assert f"\nstagetwin_ledger_broken {figure}\n" in text
