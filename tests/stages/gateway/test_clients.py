"""Many clients, slow ones, and a gateway that dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import websockets

from tests.stages.gateway.house import House, Viewer, wait_for
from tests.stages.plants import asset, prim, telemetry

LINE1 = "/World/Line1"


def test_a_hundred_clients_end_at_the_newest_state(house: House) -> None:
    async def follow(number: int, done: asyncio.Event, expected: dict[str, float]) -> int:
        who, root = ("ada", "/") if number % 2 else ("lin", LINE1)
        wanted = {"rate": (5, 20, 30)[number % 3], "prims": ["/"]}
        async with house.viewer(who, subscribe=wanted) as viewer:
            await viewer.until(lambda: viewer.frames)
            joined.release()
            await viewer.until(done.is_set)
            mine = {p: v for p, v in expected.items() if p.startswith(root)}
            await viewer.until(lambda: {p: viewer.values.get(p) for p in mine} == mine)
            assert len(viewer.values) >= len(mine)
            assert all(path.startswith(root) for path in viewer.values)
            return len(viewer.frames)

    async def scenario() -> None:
        done, expected = asyncio.Event(), dict[str, float]()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(follow(n, done, expected)) for n in range(100)]
            for _ in tasks:
                await joined.acquire()
            expected.update(await asyncio.to_thread(house.tell, "storm", 2.0))
            done.set()
        assert min(task.result() for task in tasks) >= 2

    joined = asyncio.Semaphore(0)
    asyncio.run(scenario())
    with house.http() as ada:
        assert "stagetwin_gateway_slow_total 0" in ada.get("/metrics").text


def small_buffer(url: str) -> socket.socket:
    """Connect with room for little, as a bad radio link has."""
    host, port = url.rpartition("//")[2].split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
    connection.connect((host, int(port)))
    return connection


def test_a_slow_client_makes_nothing_grow_and_gets_the_newest(house: House) -> None:
    async def scenario() -> None:
        gateway = psutil.Process(house.tell("gateway")["pid"])
        async with contextlib.AsyncExitStack() as stack:
            slow = [
                await stack.enter_async_context(
                    house.viewer(subscribe={"rate": 60}, sock=small_buffer(house.url), max_queue=1)
                )
                for _ in range(10)
            ]
            for viewer in slow:
                await viewer.until(lambda v=viewer: v.frames)  # type: ignore[misc]
                viewer.connection.transport.pause_reading()
            await asyncio.to_thread(house.tell, "storm", 1.0)
            before = gateway.memory_info().rss
            last = await asyncio.to_thread(house.tell, "storm", 4.0)
            grown = gateway.memory_info().rss - before
            # The frames of four seconds for ten clients would be some 6 MB.
            assert grown < 3_000_000
            for viewer in slow:
                viewer.connection.transport.resume_reading()
                skipped = len(viewer.frames)
                await viewer.until(lambda v=viewer: {p: v.values.get(p) for p in last} == last)  # type: ignore[misc]
                # 200 steps were made; what waited in buffers and the newest came.
                assert len(viewer.frames) - skipped < 120

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def own_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A plant with room for four clients, whose gateway may be killed."""
    house = House(tmp_path_factory.mktemp("own"), clients=4)
    yield house
    house.close()


def test_a_gateway_that_is_killed_comes_back_and_clients_go_on(own_house: House) -> None:
    house = own_house
    cookie = ""
    with house.http(follow_redirects=False) as http:
        fields = {"name": "ada", "password": "correct horse battery"}
        answer = http.post("/login", json=fields, headers={"Authorization": ""})
        cookie = answer.headers["set-cookie"].partition(";")[0]

    async def before() -> tuple[dict[str, Any], Viewer]:
        async with house.viewer(subscribe={}) as viewer:
            await viewer.send(op="ask", id=1, request={"op": "targets"})
            house.tell("send", "l1/p1/s0", 1.0)
            await viewer.until(lambda: viewer.values.get(f"{LINE1}/P1.s0") == 1.0)
            welcome = await viewer.message("welcome")
            pid = house.tell("gateway")["pid"]
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(websockets.ConnectionClosed):
                await viewer.until(lambda: False)
            return welcome, viewer

    async def after(welcome: dict[str, Any], seen: Viewer) -> None:
        last = seen.frames[-1]
        resume = {
            "run": welcome["run"],
            "epoch": last.epoch,
            "tick": last.tick,
            "table": last.table,
        }
        async with house.viewer(subscribe={}, resume=resume) as viewer:
            viewer.table = seen.table
            assert (await viewer.message("welcome"))["run"] == welcome["run"]
            assert (await viewer.message("channels"))["resumed"] is True
            await viewer.until(lambda: viewer.values.get(f"{LINE1}/P1.s0") == 1.0)
            assert viewer.frames[0].tick >= last.tick
            house.tell("send", "l1/p1/s1", 2.0)
            await viewer.until(lambda: viewer.values.get(f"{LINE1}/P1.s1") == 2.0)

    welcome, seen = asyncio.run(before())
    with house.http() as http:
        wait_for(lambda: http.get("/health").status_code == 200)
        assert house.tell("gateway")["restarts"] == 1
        # Who was logged in still is.
        page = http.get("/api/v1/values", headers={"Authorization": "", "Cookie": cookie})
        assert page.status_code == 200
    asyncio.run(after(welcome, seen))


def test_more_clients_than_there_is_room_for_are_told_so(own_house: House) -> None:
    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(4):
                viewer = await stack.enter_async_context(own_house.viewer())
                await viewer.message("welcome")
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with own_house.viewer():
                    pass
            assert refused.value.response.status_code == 503

    asyncio.run(scenario())


def test_an_edit_of_the_plant_reaches_those_who_look_at_it(own_house: House) -> None:
    house = own_house
    before = house.stage.read_text()

    async def scenario() -> None:
        async with house.viewer(subscribe={"prims": [LINE1]}) as viewer:
            house.tell("send", "l1/p1/s9", 9.0)
            await viewer.until(lambda: viewer.values.get(f"{LINE1}/P1.s9") == 9.0)
            welcome = await viewer.message("welcome")
            pump = prim("P9", asset("p9", connection="field"), telemetry("new", address="new"))
            shape = 'def Sphere "Ball"\n{\n}\n'
            head, _, tail = before.partition('def Xform "Line1"')
            inside, brace, rest = tail.partition("{\n")
            house.stage.write_text(f'{head}def Xform "Line1"{inside}{brace}{pump}{shape}{rest}')
            await viewer.until(lambda: f"{LINE1}/P9.new" in viewer.paths())
            await viewer.until(lambda: viewer.values.get(f"{LINE1}/P1.s9") == 9.0)

            def arrived() -> bool:
                # The bridge hears of the new binding after the viewers.
                house.tell("send", "new", 1.5)
                return viewer.values.get(f"{LINE1}/P9.new") == 1.5

            await viewer.until(arrived)
            scene = await viewer.message("scene")
            assert scene["epoch"] > welcome["epoch"]
            with house.http() as http:
                manifest = http.get("/scene/manifest.json").json()
            assert manifest["epoch"] >= scene["epoch"]
            assert f"{LINE1}/Ball" in {row["path"] for row in manifest["prims"]}

    with house.http() as http:
        wait_for(lambda: http.get("/scene/manifest.json").status_code == 200)
    try:
        asyncio.run(scenario())
    finally:
        house.stage.write_text(before)
