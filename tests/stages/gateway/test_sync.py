"""The WebSocket as its clients meet it: a real service, a real gateway, real sockets."""

from __future__ import annotations

import asyncio
import itertools
import json
import time

import pytest
import websockets

from stagetwin.sync import SectionKind
from tests.stages.gateway.house import PUMPS, SIGNALS, House, Viewer

LINE1 = "/World/Line1"
FLOW = f"{LINE1}/P1.s0"


def run(scenario: object) -> None:
    asyncio.run(scenario)  # type: ignore[arg-type]


def test_a_client_is_welcomed_told_what_there_is_and_fed(house: House) -> None:
    async def scenario() -> None:
        async with house.viewer() as viewer:
            welcome = await viewer.message("welcome")
            assert (welcome["user"], welcome["stage"]) == ("ada", "plant.usda")
            assert welcome["commands"] is True
            await viewer.send(op="subscribe", rate=60)
            await viewer.until(lambda: viewer.frames)
            assert len(viewer.paths()) == 2 * PUMPS * (SIGNALS + 2)
            assert viewer.frames[0].since == 0
            (row,) = [r for r in viewer.table["channels"] if r["path"] == FLOW]
            assert (row["prim"], row["signal"], row["type"]) == (f"{LINE1}/P1", "s0", "double")
            house.tell("send", "l1/p1/s0", 0.1)
            house.tell("send", "l1/p1/tag", "running")
            await viewer.until(lambda: viewer.values.get(FLOW) == 0.1)
            await viewer.until(lambda: viewer.values.get(f"{LINE1}/P1.tag") == "running")
            assert viewer.qualities[FLOW] == 0

    run(scenario())


def test_a_subscription_is_by_prim_and_replaced(house: House) -> None:
    async def scenario() -> None:
        async with house.viewer(subscribe={"prims": [f"{LINE1}/P1"], "rate": 60}) as viewer:
            await viewer.until(lambda: viewer.frames)
            assert {path.partition(".")[0] for path in viewer.paths()} == {f"{LINE1}/P1"}
            table = viewer.table["table"]
            await viewer.send(op="subscribe", prims=["/World/Line2/P2", "/World/Line2/P3.s1"])
            await viewer.until(lambda: viewer.table["table"] != table)
            assert len(viewer.paths()) == SIGNALS + 3
            frames = len(viewer.frames)
            house.tell("send", "l2/p3/s1", 5.0)
            await viewer.until(lambda: viewer.values.get("/World/Line2/P3.s1") == 5.0)
            # What begins anew begins with a snapshot.
            assert viewer.frames[frames].since == 0

    run(scenario())


def test_what_moves_comes_composed_to_those_who_want_it(house: House) -> None:
    async def scenario() -> None:
        wanted = {"poses": "moves", "prims": [f"{LINE1}/P1"], "rate": 60}
        async with house.viewer(subscribe=wanted) as viewer:
            await viewer.until(lambda: viewer.frames)
            assert viewer.table["movers"] == [{"path": f"{LINE1}/P1"}]
            # A place is a value that people read, too.
            assert f"{LINE1}/P1.place" in viewer.paths()
            house.tell("send", "l1/p1/place", [10_000.125, 2.0, 3.0])

            def moved() -> bool:
                return any(
                    section.kind is SectionKind.MOVER_POSE and section.values[0][0] == 10_000.125  # type: ignore[index]
                    for frame in viewer.frames
                    for section in frame.sections
                )

            await viewer.until(moved)
        async with house.viewer(subscribe={"prims": [f"{LINE1}/P1"]}) as viewer:
            await viewer.until(lambda: viewer.values.get(f"{LINE1}/P1.place") == [10_000.125, 2, 3])
            assert viewer.table["movers"] == []

    run(scenario())


def test_a_rate_is_kept_and_frames_are_of_the_newest_state(house: House) -> None:
    async def scenario() -> None:
        started = time.monotonic()
        async with house.viewer(subscribe={"prims": [LINE1], "rate": 2.0}) as viewer:
            await viewer.until(lambda: viewer.frames)
            storm = asyncio.create_task(asyncio.to_thread(house.tell, "storm", 2.0))
            while not storm.done():
                await viewer.take()
            last = {path: v for path, v in (await storm).items() if path.startswith(LINE1)}
            await viewer.until(lambda: {p: viewer.values.get(p) for p in last} == last)
            ticks = [frame.tick for frame in viewer.frames]
            assert ticks == sorted(set(ticks))
            for before, after in itertools.pairwise(viewer.frames):
                assert after.since == before.tick
            # No more than two in each second, however long all of this took.
            assert len(ticks) <= 2 * (time.monotonic() - started) + 2

    run(scenario())


def test_a_client_that_was_away_resumes_by_its_tick(house: House) -> None:
    async def scenario() -> None:
        wanted = {"prims": [f"{LINE1}/P2"], "rate": 60}
        async with house.viewer(subscribe=wanted) as viewer:
            house.tell("send", "l1/p2/s3", 1.5)
            await viewer.until(lambda: viewer.values.get(f"{LINE1}/P2.s3") == 1.5)
            welcome = await viewer.message("welcome")
            last = viewer.frames[-1]
        house.tell("send", "l1/p2/s4", 2.5)
        resume = {
            "run": welcome["run"],
            "epoch": last.epoch,
            "tick": last.tick,
            "table": last.table,
        }
        async with house.viewer(subscribe=wanted, resume=resume) as again:
            again.table = viewer.table
            channels = await again.message("channels")
            assert channels["resumed"] is True
            assert "channels" not in channels
            await again.until(lambda: again.values.get(f"{LINE1}/P2.s4") == 2.5)
            first = again.frames[0]
            assert first.since == last.tick
            assert sum(len(section.rows) for section in first.sections) < SIGNALS
        stale = {**resume, "run": "another life"}
        async with house.viewer(subscribe=wanted, resume=stale) as fresh:
            await fresh.until(lambda: fresh.frames)
            assert fresh.frames[0].since == 0
            assert fresh.paths()

    run(scenario())


def test_requests_are_answered_as_on_the_control_socket(house: House) -> None:
    async def scenario() -> None:
        async with house.viewer() as viewer:
            reply = await viewer.ask(1, op="targets", prim=LINE1)
            assert reply["ok"] is True
            assert {row["prim"] for row in reply["targets"]} == {
                f"{LINE1}/P{n}" for n in range(1, PUMPS + 1)
            }
            refused = await viewer.ask(2, op="publish", target="/World/Nothing.speed", value=1.0)
            assert refused["ok"] is False
            assert refused["error"]
            for number, operation in enumerate(("stop", "snapshot", "web", "watch", "metrics"), 3):
                reply = await viewer.ask(number, op=operation, path="/tmp/x")
                assert "cannot be asked over the network" in reply["error"]
            reply = await viewer.ask(20, op="publish", target=f"{LINE1}/P1.speed", value=3.0)
            assert reply["command"]["author"] == "ada"
            command = await viewer.message("command")
            assert command["command"]["target"] == f"{LINE1}/P1.speed"

    run(scenario())


def test_presence_and_drafts_are_passed_on(house: House) -> None:
    async def scenario() -> None:
        async with house.viewer() as one, house.viewer() as other:
            mine = (await one.message("welcome"))["session"]
            camera = {"position": [1, 2, 3], "target": [0, 0, 0], "up": [0, 0, 1]}
            await one.send(op="presence", camera=camera, selection=[f"{LINE1}/P1", "no path", 3])
            await one.send(op="draft", target=f"{LINE1}/P1.speed", value=4.5)

            def seen() -> bool:
                people = [m["people"] for m in other.said if m["op"] == "presence"]
                found = [p for p in (people[-1] if people else ()) if p["session"] == mine]
                return bool(found) and found[0]["selection"] == [f"{LINE1}/P1"]

            await other.until(seen)
            draft = await other.message("draft", session=mine)
            assert (draft["user"], draft["value"]) == ("ada", 4.5)
            async with house.viewer() as late:
                await late.message("draft", session=mine, value=4.5)
            await one.connection.close()
            await other.message("draft", session=mine, value=None)

    run(scenario())


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[" * 50_000,
        "3",
        '{"op":"fly"}',
        '{"op":"subscribe","prims":"/"}',
        '{"op":"subscribe","prims":["World"]}',
        '{"op":"subscribe","rate":0}',
        '{"op":"subscribe","rate":1e9}',
        '{"op":"subscribe","rate":true}',
        '{"op":"subscribe","poses":"all"}',
        '{"op":"ask","request":3}',
        '{"op":"presence","camera":{"position":[1,2]}}',
        '{"op":"presence","camera":{"position":[1,2,NaN],"target":[0,0,0],"up":[0,0,1]}}',
        '{"op":"draft","target":3}',
        json.dumps({"op": "draft", "target": "/World/Line1/P1.speed", "value": "x" * 5000}),
        '{"op":"draft","target":"/World/Line1/P1.speed","value":NaN}',
        '{"op":"ask","id":"\\ud800","request":{"op":"targets"}}',
        '{"op":"ask","id":1,"request":{"op":"targets","prim":1%s}}' % ("0" * 400),
        b"\x00\x01",
    ],
)
def test_what_cannot_be_understood_is_answered_and_loses_nothing(
    house: House, message: str | bytes
) -> None:
    async def scenario() -> None:
        async with house.viewer(subscribe={"prims": [f"{LINE1}/P1"]}) as viewer:
            await viewer.until(lambda: viewer.frames)
            await viewer.connection.send(message)
            reply = await viewer.message("reply", ok=False)
            assert reply["error"]
            assert (await viewer.ask(9, op="targets"))["ok"] is True

    run(scenario())


def test_who_sends_garbage_on_and_on_is_sent_away(house: House) -> None:
    async def scenario() -> None:
        async with house.viewer() as viewer:
            for _ in range(30):
                await viewer.connection.send("garbage")
            bye = await viewer.message("bye")
            assert "cannot be understood" in bye["why"]
            with pytest.raises(websockets.ConnectionClosed):
                await viewer.take()

    run(scenario())


def test_who_sends_too_much_is_sent_away(house: House) -> None:
    async def scenario() -> None:
        async with house.viewer() as viewer:
            for _ in range(400):
                await viewer.send(op="presence", selection=[])
            assert "messages a second" in (await viewer.message("bye"))["why"]
        async with house.viewer() as viewer:
            with pytest.raises(websockets.ConnectionClosed):  # noqa: PT012 - whichever notices
                await viewer.send(op="presence", selection=["/" + "x" * 2**22])
                await viewer.until(lambda: False)

    run(scenario())


def test_the_first_message_is_hello(house: House) -> None:
    async def scenario() -> None:
        async with house.socket_of() as connection:
            viewer = Viewer(connection)
            await viewer.send(op="subscribe")
            assert "hello" in (await viewer.message("bye"))["why"]

    run(scenario())
