"""Who may read line 1 alone learns nothing of line 2, by whatever way they ask."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from tests.stages.gateway.house import House, wait_for

LINE1, LINE2 = "/World/Line1", "/World/Line2"


def manifest_of(client: httpx.Client) -> dict[str, Any]:
    """Return the manifest once the scene is read."""

    def fetched() -> dict[str, Any] | None:
        response = client.get("/scene/manifest.json")
        return response.json() if response.status_code == 200 else None

    found: dict[str, Any] = wait_for(fetched)
    return found


def models(manifest: dict[str, Any]) -> set[str]:
    return {node["glb"] for node in manifest["nodes"] if node["glb"]}


def test_nothing_of_another_line_is_ever_sent(house: House) -> None:
    async def scenario() -> None:
        async with (
            house.viewer("lin", subscribe={"rate": 60, "poses": "moves"}) as lin,
            house.viewer("ada", subscribe={"rate": 60}) as ada,
        ):
            await lin.until(lambda: lin.frames)
            await ada.until(lambda: ada.frames)
            await ada.send(op="presence", selection=[f"{LINE2}/P1", f"{LINE1}/P1"])
            await ada.send(op="draft", target=f"{LINE2}/P1.speed", value=1.0)
            await ada.ask(1, op="publish", target=f"{LINE2}/P2.speed", value=2.0)
            topic = {"title": "a leak at the secret pump", "anchors": [{"prim": f"{LINE2}/P1"}]}
            await ada.ask(2, op="review", operation="create", **topic)
            house.tell("send", "l2/p1/s0", 17.25)
            house.tell("send", "l1/p1/s0", 18.25)
            # What comes after it in order shows that the rest was not sent.
            await ada.send(op="draft", target=f"{LINE1}/P1.speed", value=3.0)
            await lin.message("draft", target=f"{LINE1}/P1.speed")
            await lin.until(lambda: lin.values.get(f"{LINE1}/P1.s0") == 18.25)
            for number, request in enumerate(
                (
                    {"op": "values", "prim": LINE2},
                    {"op": "targets", "prim": LINE2},
                    {"op": "commands", "prim": LINE2},
                    {"op": "alarms", "prim": LINE2, "show": "all"},
                    {"op": "alarms", "show": "history"},
                    {"op": "topics"},
                    {"op": "status"},
                ),
                10,
            ):
                await lin.ask(number, **request)
            reply = await lin.ask(30, op="publish", target=f"{LINE2}/P1.speed", value=1.0)
            assert reply["ok"] is False or reply["command"]["state"] == "REJECTED"
        assert {row["prim"].startswith(LINE1) for row in lin.table["channels"]} == {True}
        assert {row["path"].startswith(LINE1) for row in lin.table["movers"]} == {True}
        # A refusal repeats the path that was asked for, and says nothing of it.
        heard = [m for m in lin.said if m.get("kind") != "AccessError" and m.get("id") != 30]
        assert [m for m in heard if "Line2" in json.dumps(m)] == []
        assert "secret" not in json.dumps(heard)

    asyncio.run(scenario())


def test_shapes_of_another_line_are_neither_named_nor_given(house: House) -> None:
    with house.http("ada") as ada, house.http("lin") as lin:
        everything, mine = manifest_of(ada), manifest_of(lin)
        assert LINE2 in json.dumps(everything)
        assert LINE2 not in json.dumps(mine)
        assert mine["stage"]["bounds"] is None
        assert {node["path"] for node in mine["nodes"]} > {"/World", LINE1}
        for node in mine["nodes"]:
            above = mine["nodes"][node["parent"]]["path"] if node["parent"] >= 0 else ""
            assert node["path"].rpartition("/")[0] == above
        foreign = models(everything) - models(mine)
        assert foreign
        for name in foreign:
            guessed = lin.get(f"/scene/glb/{name}.glb")
            nothing = lin.get("/scene/glb/0000.glb")
            assert guessed.status_code == nothing.status_code == 404
            assert guessed.text.replace(name, "") == nothing.text.replace("0000", "")
        for name in models(mine):
            found = lin.get(f"/scene/glb/{name}.glb")
            assert found.content[:4] == b"glTF"
            assert "immutable" in found.headers["cache-control"]
            again = lin.get(
                f"/scene/glb/{name}.glb", headers={"If-None-Match": found.headers["etag"]}
            )
            assert again.status_code == 304


def test_rows_over_http_are_filtered_too(house: House) -> None:
    house.tell("send", "l2/p3/s2", 1.0)
    with house.http("lin") as lin:
        for path in ("values", "targets", "commands", "alarms?show=all", "topics"):
            response = lin.get(f"/api/v1/{path}")
            assert response.status_code == 200
            assert "Line2" not in response.text, path
        assert lin.get("/api/v1/values/World/Line2/P3.s2").status_code == 404
        assert lin.get("/api/v1/values/World/Line1/P3.s2").status_code == 200
        assert lin.get("/metrics", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 200
        refused = lin.post("/api/v1/commands", json={"target": f"{LINE2}/P1.speed", "value": 1.0})
        assert refused.status_code in (403, 409) or refused.json()["command"]["state"] == "REJECTED"


def test_a_program_with_grants_of_its_own_sees_those_alone(house: House) -> None:
    async def scenario() -> set[str]:
        async with house.viewer("meter", subscribe={}) as meter:
            await meter.until(lambda: meter.frames)
            assert (await meter.message("welcome"))["user"] == "token:meter"
            return meter.paths()

    paths = asyncio.run(scenario())
    assert paths
    assert all(path.startswith(LINE2) for path in paths)


def test_who_loses_a_right_is_sent_away_and_sees_less(house: House) -> None:
    assert house.people is not None
    before = house.people.read_text()

    async def scenario() -> None:
        async with house.viewer("lin", subscribe={}) as lin:
            await lin.until(lambda: lin.frames)
            house.people.write_text(before.replace(f'"{LINE1}"', f'"{LINE1}/P1"'))  # type: ignore[union-attr]
            assert (await lin.message("bye"))["why"] == "rights changed"
        async with house.viewer("lin", subscribe={}) as lin:
            await lin.until(lambda: lin.frames)
            assert {path.partition(".")[0] for path in lin.paths()} == {f"{LINE1}/P1"}

    try:
        asyncio.run(scenario())
    finally:
        house.people.write_text(before)
