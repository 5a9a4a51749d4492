"""A third party's bridge that misbehaves costs its own connection, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagetwin import ServiceError
from stagetwin.service import ControlClient
from tests.packages import write_metadata

EVIL = '''
"""A bridge that fails in the way its endpoint names."""
import threading, time
import numpy as np
from stagetwin.ports import AddressDefaults, ConnectionState
from stagetwin.signals import Samples


def fails(connection, where):
    if connection.endpoint == "evil://" + where:
        raise RuntimeError("evil in " + where)


class Evil:
    schemes = ("evil",)

    def check_connection(self, connection):
        fails(connection, "check_connection")
        self.connection = connection
        return []

    def check_channel(self, channel):
        fails(self.connection, "check_channel")
        return []

    def defaults(self, connection):
        fails(connection, "defaults")
        return AddressDefaults()

    def bridge(self, connection, channels, sink, credential):
        fails(connection, "bridge")
        return Bridge(connection, channels, sink)


class Bridge:
    def __init__(self, connection, channels, sink):
        self.connection, self.channels, self.sink = connection, channels, sink

    def start(self):
        fails(self.connection, "start")
        mode = self.connection.endpoint.partition("://")[2]
        if mode == "state":
            self.sink.state("on fire")
            return
        self.sink.state(ConnectionState.ONLINE)
        if mode == "vouch":
            self.sink.vouch([-1, -10**7, 10**7], True)
        if mode == "columns":
            batch = self.samples(2)
            batch.value = np.array([1.0])
            self.sink.samples(batch)
        if mode == "channels":
            self.sink.samples(self.samples(3, channel=-1))

    def samples(self, count, channel=None):
        index = self.channels[0].index if channel is None else channel
        values = [float(i) for i in range(count)]
        return Samples.of([index] * count, values, receive_time=time.time())

    def rebind(self, channels):
        self.channels = channels

    def stop(self):
        if self.connection.endpoint == "evil://last words":
            self.sink.samples(self.samples(1000))
'''

PLANT = """#usda 1.0
def Xform "World"
{
    def TwinConnection "good"
    {
        uniform string twin:endpoint = "soft://good"
    }

    def TwinConnection "evil"
    {
        uniform string twin:endpoint = "evil://MODE"
    }

    def "P1" ( prepend apiSchemas = ["TwinTelemetryAPI:a", "TwinTelemetryAPI:b"] )
    {
        double twin:telemetry:a:value
        uniform string twin:telemetry:a:address = "a"
        uniform token twin:telemetry:a:connection = "good"
        double twin:telemetry:b:value
        uniform string twin:telemetry:b:address = "b"
        uniform token twin:telemetry:b:connection = "evil"
    }
}
"""


class Evil:
    """A running service with the evil bridge beside a good one."""

    def __init__(self, folder: Path, mode: str, *options: str) -> None:
        package = folder / "site"
        target = "evil:Nobody" if mode == "load" else "evil:Evil"
        write_metadata(package, "evil", f"[stagetwin.bridges]\nevil = {target}\n")
        (package / "evil.py").write_text(EVIL)
        stage = folder / "plant.usda"
        stage.write_text(PLANT.replace("MODE", mode))
        self.socket = folder / "run" / "s.sock"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "stagetwin", "run", str(stage), *options),
                *("--socket", str(self.socket), "--state-dir", str(folder / "state")),
            ],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(package)},
        )

    def status(self) -> dict[str, Any]:
        with ControlClient(self.socket) as client:
            return client.ask(op="status")

    def until(self, what: Any, timeout: float = 20.0) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()[1]
            try:
                status = self.status()
            except ServiceError:
                status = None
            if status and what(status):
                return status
            time.sleep(0.05)
        raise AssertionError(f"it never came true: {self.status()}")

    def end(self) -> str:
        self.process.terminate()
        try:
            return self.process.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture
def evil(tmp_path: Path) -> Iterator[Any]:
    made: list[Evil] = []

    def make(mode: str, *options: str) -> Evil:
        made.append(Evil(tmp_path, mode, *options))
        return made[-1]

    yield make
    for each in made:
        each.process.kill()
        each.process.communicate()


def good_is_online(status: dict[str, Any]) -> bool:
    link = status["connections"].get("good")
    return bool(link) and link["state"] == "online"


@pytest.mark.parametrize("mode", ["load", "check_connection", "check_channel", "defaults"])
def test_a_bridge_that_cannot_be_asked_costs_its_bindings_alone(evil: Any, mode: str) -> None:
    service = evil(mode)
    status = service.until(good_is_online)
    assert status["error_count"] >= 1
    assert any("evil" in line for line in status["errors"])
    service.end()
    assert service.process.returncode == 0


@pytest.mark.parametrize("mode", ["bridge", "start", "state", "columns"])
def test_a_bridge_that_falls_is_started_again_and_the_other_stays(evil: Any, mode: str) -> None:
    service = evil(mode)
    status = service.until(
        lambda s: good_is_online(s) and s["connections"]["evil"]["restarts"] >= 1
    )
    assert status["connections"]["good"]["restarts"] == 0
    service.end()
    assert service.process.returncode == 0


@pytest.mark.parametrize("mode", ["vouch", "channels"])
def test_what_a_bridge_says_of_channels_that_do_not_exist_is_refused(evil: Any, mode: str) -> None:
    service = evil(mode)
    service.until(lambda s: good_is_online(s) and s["connections"]["evil"]["state"] == "online")
    if mode == "channels":
        status = service.until(lambda s: s["fates"]["received"] == 3)
        assert status["fates"]["rejected"] == 3
    service.end()
    assert service.process.returncode == 0


@pytest.mark.parametrize("mode", ["bridge", "start"])
def test_in_process_a_bridge_that_does_not_start_fails_alone(evil: Any, mode: str) -> None:
    service = evil(mode, "--in-process")
    status = service.until(
        lambda s: good_is_online(s) and s["connections"]["evil"]["state"] == "failed"
    )
    assert "evil in" in status["connections"]["evil"]["cause"]
    service.end()
    assert service.process.returncode == 0


def test_what_a_bridge_delivers_while_it_stops_is_taken(evil: Any) -> None:
    service = evil("last words")
    service.until(lambda s: good_is_online(s) and s["connections"]["evil"]["state"] == "online")
    log = service.end()
    assert service.process.returncode == 0
    # One sample of a thousand is the newest; the others are superseded, none is lost.
    assert "stopped, 1 samples applied" in log


def test_a_killed_bridge_leaves_a_gap_on_record(evil: Any) -> None:
    service = evil("online")
    status = service.until(
        lambda s: good_is_online(s) and s["connections"]["evil"]["state"] == "online"
    )
    os.kill(status["connections"]["evil"]["pid"], signal.SIGKILL)
    status = service.until(lambda s: s["connections"]["evil"]["restarts"] == 1)
    gaps = [row for row in status["rejections"] if row["reason"] == "lost"]
    assert [(row["connection"], row["count"]) for row in gaps] == [("evil", 0)]


def test_a_service_that_stood_still_reads_what_its_bridge_kept(evil: Any) -> None:
    """A stall of ours must not be taken for a hang of the bridge's."""
    service = evil("online")
    service.until(lambda s: good_is_online(s) and s["connections"]["evil"]["state"] == "online")
    os.kill(service.process.pid, signal.SIGSTOP)
    time.sleep(17)
    os.kill(service.process.pid, signal.SIGCONT)
    time.sleep(1)
    status = service.until(good_is_online)
    assert {link["restarts"] for link in status["connections"].values()} == {0}
