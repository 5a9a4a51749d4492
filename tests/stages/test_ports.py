"""Ports: protocols and models are found by name, those of strangers included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stagetwin._errors import ProtocolNotFoundError, RealmError, ServiceError
from stagetwin.clock import Clock, ManualClock, WallClock
from stagetwin.ports import (
    ConnectionSpec,
    ConnectionState,
    Credential,
    find_model,
    find_protocol,
    installed_protocols,
    scheme_of,
)
from stagetwin.soft import SoftProtocol, soft_bridge
from tests.packages import write_metadata
from tests.stages.conftest import MakePlant
from tests.stages.plants import plant, prim, telemetry

ROOT = Path(__file__).parents[2]

STRANGER = '''
"""A protocol and a machine that a third party ships."""

import time
from typing import ClassVar

from stagetwin.ports import AddressDefaults, ConnectionState
from stagetwin.signals import Samples


class EchoBridge:
    def __init__(self, connection, channels, sink):
        self.channels, self.sink = channels, sink

    def start(self):
        self.sink.state(ConnectionState.ONLINE)
        channel = [c.index for c in self.channels]
        value = [float(len(c.address)) for c in self.channels]
        self.sink.samples(Samples.of(channel, value, receive_time=time.time()))

    def rebind(self, channels):
        self.channels = channels

    def stop(self):
        self.sink.state(ConnectionState.OFFLINE)


class EchoProtocol:
    schemes: ClassVar = ("echo",)

    def check_connection(self, connection):
        return [] if "host" in connection.endpoint else ["a host is missing"]

    def check_channel(self, channel):
        return ["shout!"] if channel.address.islower() else []

    def defaults(self, connection):
        return AddressDefaults(address="PRESET/{signal}")

    def bridge(self, connection, channels, sink, credential):
        return EchoBridge(connection, channels, sink)

    def publisher(self, connection, credential):
        raise NotImplementedError


class Mill:
    """A model."""
'''

ENTRY_POINTS = """[stagetwin.bridges]
echo = stranger:EchoProtocol

[stagetwin.models]
mill = stranger:Mill
"""

USE_IT = """
import json, sys
from stagetwin.ports import find_model, installed_protocols
from tests.stages.plants import HEADER, Plant, asset, connection, prim, stage_of, telemetry
signals = [telemetry("a", address="LOUD"), telemetry("bb"), telemetry("c", address="quiet")]
text = (
    HEADER
    + connection("remote", "echo://host")
    + connection("nowhere", "echo://")
    + prim("P1", asset(connection="remote"), *signals)
)
plant = Plant(stage_of(text))
plant.tick()
print(json.dumps({
    "values": [plant.get("/P1.a"), plant.get("/P1.bb")],
    "quality": plant.quality("/P1.bb"),
    "problems": [[p.prim, p.signal, p.code, p.message] for p in plant.twin.table.problems],
    "installed": installed_protocols(),
    "model": find_model("mill").__name__,
}))
plant.close()
"""


def test_a_third_party_adds_a_protocol_and_a_model_without_touching_us(tmp_path: Path) -> None:
    """A distribution of its own on the path, found by its entry points alone."""
    (tmp_path / "stranger.py").write_text(STRANGER)
    write_metadata(tmp_path, "stranger", ENTRY_POINTS)
    folders = [str(tmp_path), str(ROOT), *(str(ROOT / r) for r in ("stages", "bridges", "sim"))]
    done = subprocess.run(
        [sys.executable, "-c", USE_IT],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["values"] == [4.0, float(len("PRESET/bb"))]
    assert found["quality"] == "good"
    assert found["problems"] == [
        ["/P1", "c", "address", "shout!"],
        ["/nowhere", "", "connection", "a host is missing"],
    ]
    assert {"echo", "soft"} <= set(found["installed"])
    assert found["model"] == "Mill"


@pytest.mark.parametrize(
    ("endpoint", "scheme"),
    [
        ("soft://line", "soft"),
        ("MQTT://host:1883?x=1", "mqtt"),
        ("opc.tcp://host", "opc.tcp"),
        ("host:1883", ""),
        ("", ""),
    ],
)
def test_the_scheme_picks_the_protocol(endpoint: str, scheme: str) -> None:
    assert scheme_of(endpoint) == scheme


def test_an_unknown_protocol_is_refused_with_those_there_are() -> None:
    assert "soft" in installed_protocols()
    assert isinstance(find_protocol("SOFT://line"), SoftProtocol)
    for endpoint in ("gopher://host", "nothing", ""):
        with pytest.raises(ProtocolNotFoundError, match=r"installed: .*soft"):
            find_protocol(endpoint)


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(ProtocolNotFoundError, match=r"'perpetuum'; installed: .*synthetic"):
        find_model("perpetuum")


def test_a_credential_keeps_its_secret_to_itself() -> None:
    credential = Credential(username="ada", password="s3cret")  # type: ignore[arg-type]
    assert "s3cret" not in repr(credential) + str(credential) + credential.model_dump_json()
    assert credential.password.get_secret_value() == "s3cret"


def spec(realm: str = "simulation", endpoint: str = "soft://line") -> ConnectionSpec:
    return ConnectionSpec(name="line", prim="/line", endpoint=endpoint, realm=realm)  # type: ignore[arg-type]


def test_nothing_is_published_to_a_plant() -> None:
    with pytest.raises(RealmError, match="'line' is a plant"):
        SoftProtocol().publisher(spec("plant"), None)


def test_the_soft_publisher_speaks_as_a_device_does(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("flow", address="p", field="flow"))))
    publisher = SoftProtocol().publisher(spec(), None)
    publisher.publish("p", {"flow": 4.0}, time=77.0)
    assert publisher.drain(1.0) == 0
    publisher.close()
    twin.tick()
    assert twin.get("/Plant/P1.flow") == 4.0
    assert twin.get("/Plant/P1.twin:telemetry:flow:time") == 77.0


def test_a_soft_bridge_tells_its_states_and_is_found_while_it_runs(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("flow", address="p"))))
    bridge, sink = soft_bridge("line"), twin.sinks["line"]
    bridge.cut("cable pulled")
    bridge.mend()
    twin.close()
    assert sink.states == [
        (ConnectionState.ONLINE, ""),
        (ConnectionState.OFFLINE, "cable pulled"),
        (ConnectionState.ONLINE, ""),
        (ConnectionState.OFFLINE, "stopped"),
    ]
    with pytest.raises(ServiceError, match=r"no soft bridge 'line'.*none"):
        soft_bridge("line")


def test_a_soft_endpoint_needs_a_name() -> None:
    protocol = SoftProtocol()
    assert protocol.check_connection(spec()) == []
    assert protocol.check_connection(spec(endpoint="soft://")) != []


def test_clocks_tell_two_times() -> None:
    manual = ManualClock(100.0)
    manual.advance(5)
    assert (manual.wall(), manual.steady()) == (105.0, 5.0)
    clock: Clock = WallClock()
    assert clock.wall() > 1.6e9
    assert clock.steady() <= clock.steady()
