"""Parts of the gateway by themselves: where it may listen, what of a scene is seen, flat rows."""

from __future__ import annotations

import asyncio
import math
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from stagetwin import ServiceError
from stagetwin.gateway import ListenConfig, parse_listen, wire
from stagetwin.gateway._pages import _address_of
from stagetwin.gateway._parsing import MAX_DEPTH, parse_object
from stagetwin.gateway._rows import flat, iso
from stagetwin.gateway._scene import models_of, visible_manifest
from stagetwin.gateway._store import Store, Told, may_see, overlap
from stagetwin.service import Service, ServiceConfig
from tests.stages.plants import plant

PARTS = st.sampled_from(["A", "B", "AB", "A1"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        ("plant.example:443", ("plant.example", 443)),
    ],
)
def test_where_to_listen(text: str, where: tuple[str, int]) -> None:
    assert parse_listen(text) == where


@pytest.mark.parametrize("text", ["", "host", "host:", "host:65536", "::1:80", "h:-1", "h:٣"])
def test_where_nobody_can_listen(text: str) -> None:
    with pytest.raises(ServiceError, match=r"HOST:PORT|brackets"):
        parse_listen(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "plant.example", "127.0.0.1.evil"])
def test_others_are_let_in_with_tls_and_people_alone(host: str, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"needs a certificate .* and people"):
        ListenConfig(host=host).check(None)
    with pytest.raises(ServiceError, match="needs a certificate"):
        ListenConfig(host=host).check(tmp_path)
    with pytest.raises(ServiceError, match="needs people"):
        ListenConfig(host=host, certificate=tmp_path / "cert.pem").check(None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_neither(host: str) -> None:
    ListenConfig(host=host).check(None)


def test_what_is_unfit_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "cert.pem"
    with pytest.raises(ServiceError, match="No such file"):
        ListenConfig(certificate=broken).check(None)
    broken.write_text("no certificate")
    with pytest.raises(ServiceError, match=str(broken)):
        ListenConfig(certificate=broken).check(None)
    with pytest.raises(ServiceError, match="has no certificate"):
        ListenConfig(key=broken).check(None)
    for origin in ("plant.example", "https://plant.example/path", "ftp://x", "https://u@x"):
        with pytest.raises(ServiceError, match="an origin is"):
            ListenConfig(origins=(origin,)).check(None)


def test_a_service_that_would_let_strangers_in_does_not_start(tmp_path: Path) -> None:
    stage = tmp_path / "plant.usda"
    stage.write_text(plant())
    config = ServiceConfig(
        stage=stage,
        socket=tmp_path / "s.sock",
        state_dir=tmp_path / "state",
        listen=ListenConfig(host="0.0.0.0"),
    )
    with pytest.raises(ServiceError, match="without them listen at 127"):
        asyncio.run(Service(config).run())
    assert not config.socket.exists()


@given(st.lists(PATHS, max_size=3), PATHS)
def test_what_is_seen_is_at_or_below_a_root(roots: list[str], path: str) -> None:
    parts = path.split("/")
    above = {"/".join(parts[:n]) for n in range(2, len(parts) + 1)}
    assert may_see(roots, path) == bool(above & set(roots))
    assert may_see(["/"], path)
    assert overlap(roots, [path]) == overlap([path], roots)


def node(path: str, parent: int, glb: str | None = None) -> dict[str, Any]:
    return {"path": path, "parent": parent, "glb": glb, "kind": "component", "matrix": [1.0] * 16}


def manifest_of(paths: list[str]) -> dict[str, Any]:
    """A scene with a node and a prim for each path and what is above it."""
    whole = sorted({"/".join(p.split("/")[:n]) for p in paths for n in range(2, p.count("/") + 2)})
    places = {path: place for place, path in enumerate(whole)}
    nodes = [node(p, places.get(p.rpartition("/")[0], -1), f"hash{i}") for i, p in enumerate(whole)]
    prims = [{"path": p, "label": "secret", "asset": True, "kind": "component"} for p in whole]
    rows = [{"path": p, "node": places[p]} for p in whole]
    instancers = [{**row, "prototypes": [[{"glb": f"proto{row['node']}"}]]} for row in rows]
    return {
        "epoch": 3,
        "stage": {"bounds": [[0, 0, 0], [1, 1, 1]]},
        "nodes": nodes,
        "prims": prims,
        "instancers": instancers,
        "movers": rows,
        "cameras": rows,
        "problems": rows,
    }


@given(st.lists(PATHS, min_size=1, max_size=8), st.lists(PATHS, max_size=3))
def test_a_scene_keeps_what_may_be_seen_where_it_is(paths: list[str], roots: list[str]) -> None:
    whole = manifest_of(paths)
    seen = visible_manifest(whole, tuple(roots))
    for key in ("movers", "cameras", "problems", "instancers"):
        assert [r["path"] for r in seen[key]] == [
            r["path"] for r in whole[key] if may_see(roots, r["path"])
        ]
    kept = {n["path"] for n in seen["nodes"]}
    assert kept >= {n["path"] for n in whole["nodes"] if may_see(roots, n["path"])}
    for row in seen["nodes"]:
        above = seen["nodes"][row["parent"]]["path"] if row["parent"] >= 0 else ""
        assert above == row["path"].rpartition("/")[0]
        assert may_see(roots, row["path"]) or row["glb"] is None
    for row in seen["instancers"]:
        assert seen["nodes"][row["node"]]["path"] == row["path"]
    for row in seen["prims"]:
        assert may_see(roots, row["path"]) or row["label"] == ""
    allowed = {n["glb"] for n in whole["nodes"] if may_see(roots, n["path"])}
    assert {m for m in models_of(seen) if m.startswith("hash")} == allowed
    assert visible_manifest(whole, ("/",)) is whole


def test_rows_are_flat() -> None:
    row = {
        "id": "a",
        "created": 0.5,
        "value": [1, 2],
        "acknowledged": {"by": "ada", "time": 1.0},
        "shelved": None,
        "approvals": ["ada", "ben"],
        "history": [{"state": "SENT"}],
    }
    assert flat(row) == {
        "id": "a",
        "created": "1970-01-01T00:00:00.500Z",
        "value": "[1, 2]",
        "acknowledged_by": "ada",
        "acknowledged_time": "1970-01-01T00:00:01.000Z",
        "shelved": None,
        "approvals": "ada, ben",
        "history": 1,
    }
    assert [iso(each) for each in (None, math.nan, math.inf, 1e300)] == [None] * 4


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_what_comes_in_nests_no_deeper_than_can_be_sent_on(opening: str) -> None:
    closing = "]" if opening == "[" else "}"

    def nested(depth: int) -> str:
        return '{"value":' + opening * depth + "1" + closing * depth + "}"

    assert parse_object(nested(MAX_DEPTH - 1))["value"]
    for depth in (MAX_DEPTH, 970, 100_000):
        with pytest.raises(ValueError, match=r"deep at most|no JSON"):
            parse_object(nested(depth))


def test_what_ended_unheard_is_over_for_everybody() -> None:
    store = Store()
    heard: list[Told] = []
    store.on_told.append(lambda told, _before: heard.append(told))
    for name in ("a", "b"):
        row = {"id": name, "state": "UNACK"}
        store.take_event(wire.Event("alarm", "/World/Pump", {"alarm": row}, ""))
    store.take_event(wire.Event("standing", "/", {"of": "alarm", "ids": ["b"]}, ""))
    assert set(store.told["alarm"]) == {"b"}
    assert heard[-1].key == "a"
    assert heard[-1].prims == ("/World/Pump",)
    assert '"removed":true' in heard[-1].text


@pytest.mark.parametrize(
    ("peer", "proxied", "said", "address"),
    [
        ("192.0.2.7", False, "", "192.0.2.7"),
        ("192.0.2.7", True, "10.0.0.1", "192.0.2.7"),
        ("127.0.0.1", False, "10.0.0.1", "127.0.0.1"),
        ("127.0.0.1", True, "6.6.6.6, 198.51.100.4", "198.51.100.4"),
        ("127.0.0.1", True, "nonsense", "127.0.0.1"),
        ("127.0.0.1", True, "", "127.0.0.1"),
    ],
)
def test_logins_are_counted_where_they_come_from(
    peer: str, proxied: bool, said: str, address: str
) -> None:
    headers = [(b"x-forwarded-for", said.encode())] if said else []
    state = {"proxied": proxied}
    scope = {"type": "http", "client": (peer, 1), "headers": headers, "state": state}
    assert _address_of(Request(scope)) == address


def test_a_place_that_is_taken_is_refused_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"cannot listen at 127.0.0.1:{port}"):
            ListenConfig(port=port).check_place()
    ListenConfig(port=0).check_place()
