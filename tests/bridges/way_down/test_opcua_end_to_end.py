"""Commands to a real OPC UA server, through real processes, over cuts and restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stagetwin_bridges.broker import LocalBroker
from tests.bridges.opcua.commands.command_part import ServerProcess, free_port
from tests.bridges.opcua.commands.command_server import PLANT
from tests.bridges.plant_service import PlantService, wait_for
from tests.bridges.tcp_proxy import TcpProxy
from tests.bridges.way_down.field import (
    USER,
    approve,
    ended,
    publish,
    ready,
    states,
    targets,
    value_of,
)
from tests.stages.plants import HEADER, asset, command, prim, telemetry

PATH = "/World/Pump"
COMMON: dict[str, Any] = {"approval": "none", "settleTime": 3.0}


def address(node: str) -> str:
    return f"nsu={PLANT};s={node}"


def stage_text() -> str:
    line = prim("line", 'uniform string twin:endpoint = "opc.tcp://x"', type_name="TwinConnection")
    speed = value_of(PATH, "speed")
    names = ("Speed", "Denied", "Slow", "Count")
    parts = [telemetry("speed", address=address("Speed"))]
    parts += [
        command(
            name.lower(),
            "int64" if name == "Count" else "double",
            address(name),
            readback=speed if name != "Count" else (),
            **COMMON,
        )
        for name in names
    ]
    method = command(
        "start", "double", f"{address('Pump')} {address('start')}", operation="method", **COMMON
    )
    body = prim("Pump", asset("pump", "twin", "line", ["operator"]), *parts, method)
    return HEADER + prim("World", line, body)


class OpcUaService(PlantService):
    """A service whose one connection leads to an OPC UA server."""

    def __init__(self, stage: Path, folder: Path, broker: LocalBroker, port: int) -> None:
        endpoint = f"opc.tcp://127.0.0.1:{port}/"
        approve(stage, folder, endpoint)
        super().__init__(stage, folder, broker, {"line": ""}, roles={"operator": USER})
        self._command = [
            f"--endpoint=line={endpoint}" if word.startswith("--endpoint=") else word
            for word in self._command
        ]


@pytest.fixture
def stage(private: Path) -> Path:
    path = private / "plant.usda"
    path.write_text(stage_text(), encoding="utf-8")
    return path


def written(server: ServerProcess, node: str) -> list[Any]:
    """Return what the server was told to write to a node."""
    return [each for each in server.told if node in str(each)]


def cut(proxy: TcpProxy) -> None:
    """Cut both clients off, and wait until both have come back."""
    before = proxy.connections
    assert proxy.cut() == 2
    wait_for(lambda: proxy.connections >= before + 2, 40)


def test_writes_and_methods_are_read_back_from_the_server_itself(
    broker: LocalBroker, stage: Path, private: Path
) -> None:
    port = free_port()
    with ServerProcess(port) as server, OpcUaService(stage, private, broker, port) as service:
        wait_for(lambda: targets(service)[f"{PATH}.speed"]["reported"] == 0.0)
        ready(service, fresh=False)
        row = ended(service, publish(service, f"{PATH}.speed", 1500.0)["id"])
        assert states(row)[-3:] == ["SENT", "ACKNOWLEDGED", "VERIFIED"]
        assert (row["evidence"]["kind"], row["evidence"]["before"]) == ("stored", 0.0)
        refused = ended(service, publish(service, f"{PATH}.denied", 1.0)["id"])
        assert (refused["state"], refused["code"]) == ("FAILED", "refused")
        assert "BadUserAccessDenied" in refused["cause"]
        unread = ended(service, publish(service, f"{PATH}.count", 7)["id"])
        assert (unread["state"], unread["code"]) == ("UNVERIFIED", "no-readback")
        wrong = ended(service, publish(service, f"{PATH}.count", -7)["id"])
        assert (wrong["state"], wrong["code"]) == ("FAILED", "withheld")
        called = ended(service, publish(service, f"{PATH}.start", 900.0)["id"])
        assert states(called)[-2:] == ["ACKNOWLEDGED", "UNVERIFIED"]
        assert len(written(server, "Speed")) == 1
        (call,) = [each for each in server.told if each.get("call") == "start"]
        assert call["values"][:2] == [called["id"], 900.0]
        assert 0 < call["values"][2] <= 10_000


@pytest.mark.alone
def test_two_cuts_and_a_restart_with_other_namespaces_lose_no_machine(
    broker: LocalBroker, stage: Path, private: Path
) -> None:
    port = free_port()
    server = ServerProcess(port)
    with TcpProxy(port) as proxy, OpcUaService(stage, private, broker, proxy.port) as service:
        try:
            ready(service, fresh=False)
            wait_for(lambda: targets(service)[f"{PATH}.speed"]["reported"] == 0.0)
            slow = publish(service, f"{PATH}.slow", 1.0)
            wait_for(lambda: written(server, "Slow"))
            cut(proxy)
            row = ended(service, slow["id"])
            # Its read-back is another node, which never shows it.
            assert (row["state"], row["code"]) == ("UNVERIFIED", "mismatch")
            for value in (1100.0, 1200.0):
                ready(service, fresh=False)
                wait_for(service.online)
                wait_for(lambda: service.seen()[f"{PATH}.speed"]["quality"] == "good")
                row = ended(service, publish(service, f"{PATH}.speed", value)["id"])
                assert row["state"] == "VERIFIED", row
                cut(proxy)
            assert len(written(server, "Slow")) == 1
            assert len(written(server, "Speed")) == 2
        finally:
            server.close()
        wait_for(lambda: service.status()["commands"]["clients"]["line"]["state"] != "online")
        offline = ended(service, publish(service, f"{PATH}.speed", 1300.0)["id"])
        assert (offline["state"], offline["code"]) in [
            ("REJECTED", "offline"),
            ("REJECTED", "stale"),
        ]
        with ServerProcess(port, "--reordered") as other:
            ready(service, fresh=False)
            wait_for(service.online)
            wait_for(lambda: targets(service)[f"{PATH}.speed"]["reported"] == 0.0)
            wait_for(lambda: service.seen()[f"{PATH}.speed"]["quality"] == "good")
            row = ended(service, publish(service, f"{PATH}.speed", 1400.0)["id"])
            assert row["state"] == "VERIFIED", row
            assert len(written(other, "Speed")) == 1
