"""The service as its users meet it: real processes, a real socket, real signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pxr import Usd

from stagetwin import ServiceError, StageError
from stagetwin.service import ControlClient, Service, ServiceConfig, default_socket, write_snapshot
from stagetwin.soft import soft_bridge

PLANT = """#usda 1.0
(
    defaultPrim = "World"
    upAxis = "Z"
    metersPerUnit = 1
)

def Xform "World"
{
    def TwinConnection "field"
    {
        uniform string twin:endpoint = "soft://NAME"
    }

    def Xform "P1" (
        prepend apiSchemas = ["TwinAssetAPI", "TwinTelemetryAPI:flow", "TwinTelemetryAPI:tag"]
    )
    {
        uniform string twin:id = "p1"
        uniform token twin:connection = "field"
        uniform string twin:telemetry:flow:address = "{twin:id}/flow"
        uniform string twin:telemetry:flow:unit = "m3/h"
        double twin:telemetry:flow:value (
            limits = {
                dictionary hard = {
                    double maximum = 100
                    double minimum = 0
                }
            }
        )
        uniform string twin:telemetry:tag:address = "{twin:id}/tag"
        token twin:telemetry:tag:value
    }
}
"""
FLOW = "/World/P1.twin:telemetry:flow:value"


def wait_for(what: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Return the first true answer; fail after `timeout` [s]."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if answer := what():
                return answer
        except ServiceError:
            pass
        time.sleep(0.05)
    raise AssertionError("it never came true")


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    path = tmp_path / "plant.usda"
    path.write_text(PLANT.replace("NAME", tmp_path.name))
    return path


@pytest.fixture
def config(plant: Path, tmp_path: Path) -> ServiceConfig:
    return ServiceConfig(
        stage=plant,
        socket=tmp_path / "run" / "s.sock",
        state_dir=tmp_path / "state",
        in_process=True,
    )


def command_line(config: ServiceConfig, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "stagetwin", "run", str(config.stage)),
        *("--socket", str(config.socket), "--state-dir", str(config.state_dir), *more),
    ]


@pytest.fixture
def running(config: ServiceConfig) -> Iterator[subprocess.Popen[str]]:
    """A service with its bridge as a process of its own, JSON logs, and metrics."""
    process = subprocess.Popen(
        command_line(config, "--log-format", "json"),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    wait_for(lambda: online(config))
    yield process
    process.kill()
    process.communicate()


def online(config: ServiceConfig) -> dict[str, Any] | None:
    with ControlClient(config.socket) as client:
        link = client.ask(op="status")["connections"].get("field", {})
    return link if link.get("state") == "online" else None


def serve(config: ServiceConfig, scenario: Callable[[Service], Any]) -> None:
    """Run a service in this process and a scenario against it."""

    async def both() -> None:
        service = Service(config)
        run = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), 10)
        try:
            await scenario(service)
        finally:
            service.stop()
            await asyncio.wait_for(run, 10)

    asyncio.run(both())


async def until(what: Callable[[], Any], timeout: float = 10.0) -> None:
    async with asyncio.timeout(timeout):
        while not what():
            await asyncio.sleep(0.01)


def test_values_reach_the_stage_and_the_control_socket(config: ServiceConfig) -> None:
    async def scenario(service: Service) -> None:
        await until(lambda: "field" in service.status()["connections"])
        bridge = soft_bridge(config.stage.parent.name)
        measured = time.time() - 0.5
        bridge.send("p1/flow", 42.5, source_time=measured)
        bridge.send("p1/tag", "running")
        stage = service.twin.stage
        await until(lambda: stage.GetAttributeAtPath(FLOW).Get() == 42.5)
        time_attr = stage.GetAttributeAtPath("/World/P1.twin:telemetry:flow:time")
        assert time_attr.Get() == measured
        reply = await asyncio.to_thread(_ask, config.socket, op="values", prim="/World/P1")
        by_name = {s["signal"]: f for s, f in zip(reply["signals"], reply["frame"], strict=True)}
        assert by_name["flow"]["value"] == 42.5
        assert by_name["flow"]["quality"] == "good"
        assert by_name["tag"]["value"] == "running"

    serve(config, scenario)


def _ask(socket_path: Path, /, **request: Any) -> dict[str, Any]:
    with ControlClient(socket_path) as client:
        return client.ask(**request)


def test_a_snapshot_opens_in_bare_usd_with_the_values_seen(
    config: ServiceConfig, tmp_path: Path
) -> None:
    out = tmp_path / "still.usdc"

    async def scenario(service: Service) -> None:
        await until(lambda: "field" in service.status()["connections"])
        soft_bridge(config.stage.parent.name).send("p1/flow", 7.25)
        await until(lambda: service.twin.stage.GetAttributeAtPath(FLOW).Get() == 7.25)
        reply = await asyncio.to_thread(_ask, config.socket, op="snapshot", path=str(out))
        assert reply["bytes"] == out.stat().st_size

    serve(config, scenario)
    # A process without stagetwin, as somebody else's tool would open it.
    code = (
        f"from pxr import Usd; stage = Usd.Stage.Open({str(out)!r}); "
        f"print(stage.GetAttributeAtPath({FLOW!r}).Get())"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "7.25"


def test_a_refused_snapshot_leaves_the_old_file(tmp_path: Path) -> None:
    stage = Usd.Stage.CreateInMemory()
    out = tmp_path / "still.usdc"
    write_snapshot(stage, out)
    before = out.read_bytes()
    with pytest.raises(StageError, match=r"\.usdc or \.usda"):
        write_snapshot(stage, tmp_path / "still.png")
    with pytest.raises(StageError, match="cannot write"):
        write_snapshot(stage, tmp_path / "nowhere" / "still.usdc")
    assert out.read_bytes() == before
    assert os.listdir(tmp_path) == ["still.usdc"]


def test_a_watcher_gets_frames_and_new_signals_after_an_edit(config: ServiceConfig) -> None:
    async def scenario(service: Service) -> None:
        reader, writer = await asyncio.open_unix_connection(str(config.socket))

        async def receive() -> dict[str, Any]:
            reply: dict[str, Any] = json.loads(await asyncio.wait_for(reader.readline(), 10))
            assert reply["ok"], reply
            return reply

        writer.write(b'{"op": "watch", "prim": "/World", "rate": 50}\n')
        first = await receive()
        assert [s["signal"] for s in first["signals"]] == ["flow", "tag"]
        assert len((await receive())["frame"]) == 2
        text = config.stage.read_text().replace("{twin:id}/flow", "{twin:id}/flux")
        config.stage.write_text(text)
        while "signals" not in (reply := await receive()):
            pass
        addresses = {s["signal"]: s["address"] for s in reply["signals"]}
        assert addresses["flow"] == "p1/flux"
        writer.close()

    serve(config, scenario)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"op": "dance"}, "no operation 'dance'"),
        ({"op": "values", "prim": "/Nowhere"}, "no signal is bound at or below /Nowhere"),
        ({"op": "watch", "rate": 1e9}, "rate must be in"),
        ({"op": "watch", "rate": "fast"}, "could not convert string to float"),
        ({"op": "watch", "rate": 10**400}, "too large"),
        ({"op": "snapshot", "path": "relative.usdc"}, "must be absolute"),
        ({"op": "snapshot", "path": "/tmp/a\0b/c.usdc"}, "null"),
        ({"op": "snapshot", "path": "/proc/none/c.usdc"}, "cannot write a snapshot"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(
    config: ServiceConfig, request_: dict[str, Any], message: str
) -> None:
    async def scenario(service: Service) -> None:
        del service
        with pytest.raises(ServiceError, match=message):
            await asyncio.to_thread(_ask, config.socket, **request_)
        assert await asyncio.to_thread(_ask, config.socket, op="status")

    serve(config, scenario)


def test_a_snapshot_onto_a_folder_is_refused(config: ServiceConfig, tmp_path: Path) -> None:
    folder = tmp_path / "still.usdc"
    folder.mkdir()

    async def scenario(service: Service) -> None:
        del service
        with pytest.raises(ServiceError, match=r"still\.usdc"):
            await asyncio.to_thread(_ask, config.socket, op="snapshot", path=str(folder))

    serve(config, scenario)
    assert not list(tmp_path.glob(".still*"))


def test_replies_are_json_where_a_signal_never_came(config: ServiceConfig) -> None:
    async def scenario(service: Service) -> None:
        service.twin.refresh_health()
        reader, writer = await asyncio.open_unix_connection(str(config.socket))
        writer.write(b'{"op": "status"}\n')
        line = await asyncio.wait_for(reader.readline(), 10)
        writer.close()

        def no_json(word: str) -> None:
            raise AssertionError(word)

        assert json.loads(line, parse_constant=no_json)["health"]["oldestAge"] is None

    serve(config, scenario)


@pytest.mark.parametrize("sent", [b"", b'{"ok": tr'])
def test_a_service_that_ends_before_it_answers_is_an_error(tmp_path: Path, sent: bytes) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        with ControlClient(path) as client:
            other, _ = listener.accept()
            with other:
                other.sendall(sent)
                other.shutdown(socket.SHUT_WR)
                with pytest.raises(ServiceError, match="the service ended the connection"):
                    client.ask(op="status")


@pytest.mark.parametrize("stem", ["p" * 110, "水" * 60, "plant"])
def test_a_long_name_of_a_stage_still_makes_a_socket(tmp_path: Path, stem: str) -> None:
    run = {"XDG_RUNTIME_DIR": "/run/user/1000"}
    one, two = (default_socket(tmp_path / f"{stem}{n}.usda", run) for n in "12")
    assert len(os.fsencode(one)) <= 107
    assert one != two
    assert one.name.startswith(stem[:10])


def test_a_socket_path_that_is_too_long_is_refused(config: ServiceConfig) -> None:
    path = Path("/tmp") / ("s" * 103)
    with pytest.raises(ServiceError, match="at most 107 bytes"):
        ControlClient(path)
    with pytest.raises(ServiceError, match="at most 107 bytes"):
        asyncio.run(Service(config.model_copy(update={"socket": path})).run())


def test_garbage_on_the_socket_hurts_nobody_else(config: ServiceConfig) -> None:
    async def scenario(service: Service) -> None:
        del service
        for garbage in (b"\x00\xff\n", b"[]\n", b"{}\n", b"x" * 100, b"null\n"):
            reader, writer = await asyncio.open_unix_connection(str(config.socket))
            writer.write(garbage)
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 10)
            assert not answer or json.loads(answer)["ok"] is False
            writer.close()
        assert await asyncio.to_thread(_ask, config.socket, op="status")

    serve(config, scenario)


def test_the_control_socket_is_for_its_owner_alone(config: ServiceConfig) -> None:
    async def scenario(service: Service) -> None:
        del service
        assert stat.S_IMODE(config.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(config.socket.parent.stat().st_mode) == 0o700

    serve(config, scenario)
    assert not config.socket.exists()


def test_a_socket_folder_that_others_may_write_is_refused(config: ServiceConfig) -> None:
    config.socket.parent.mkdir(mode=0o777)
    config.socket.parent.chmod(0o777)
    with pytest.raises(ServiceError, match="can be written by others"):
        asyncio.run(Service(config).run())


def test_a_socket_folder_that_is_a_link_is_refused(config: ServiceConfig, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    config.socket.parent.symlink_to(tmp_path / "other")
    with pytest.raises(ServiceError, match="is a link"):
        asyncio.run(Service(config).run())
    (tmp_path / "other").rmdir()
    with pytest.raises(ServiceError, match="no folder for a socket"):
        asyncio.run(Service(config).run())


def test_a_socket_folder_that_others_may_read_will_do(config: ServiceConfig) -> None:
    config.socket.parent.mkdir()
    config.socket.parent.chmod(0o755)

    async def scenario(service: Service) -> None:
        del service
        assert stat.S_IMODE(config.socket.stat().st_mode) == 0o600

    serve(config, scenario)


def test_a_second_service_on_the_socket_is_refused(config: ServiceConfig) -> None:
    async def scenario(service: Service) -> None:
        del service
        with pytest.raises(ServiceError, match="another service listens"):
            await Service(config).run()

    serve(config, scenario)


def test_a_connection_without_its_credential_fails_and_says_so(config: ServiceConfig) -> None:
    text = config.stage.read_text().replace(
        "uniform string twin:endpoint",
        'uniform string twin:credential = "hall-7"\n        uniform string twin:endpoint',
    )
    config.stage.write_text(text)

    async def scenario(service: Service) -> None:
        await until(lambda: "field" in service.status()["connections"])
        link = service.status()["connections"]["field"]
        assert link["state"] == "failed"
        assert "hall-7" in link["cause"]
        attr = service.twin.stage.GetAttributeAtPath("/World/field.twin:state")
        await until(lambda: attr.Get() == "failed")

    serve(config, scenario)


def test_a_killed_bridge_is_started_again_and_its_state_is_on_the_stage(
    config: ServiceConfig, running: subprocess.Popen[str]
) -> None:
    first = wait_for(lambda: online(config))
    os.kill(first["pid"], signal.SIGKILL)
    again = wait_for(lambda: (link := online(config)) and link["pid"] != first["pid"] and link)
    assert again["restarts"] == 1
    running.terminate()
    assert running.wait(15) == 0
    assert running.stderr is not None
    events = [json.loads(line)["message"] for line in running.stderr]
    assert any("ended with status -9" in event for event in events)


def test_sigterm_stops_cleanly_and_leaves_no_bridge(
    config: ServiceConfig, running: subprocess.Popen[str]
) -> None:
    bridge = wait_for(lambda: online(config))["pid"]
    running.terminate()
    assert running.wait(15) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(bridge, 0)
    assert not config.socket.exists()


def test_a_killed_service_takes_its_bridge_with_it(
    config: ServiceConfig, running: subprocess.Popen[str]
) -> None:
    bridge = wait_for(lambda: online(config))["pid"]
    running.kill()
    running.wait()

    def gone() -> bool:
        # A child of a killed parent is reaped by init; until then it is a zombie.
        try:
            status = Path(f"/proc/{bridge}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        return status == "Z"

    wait_for(gone)


def test_metrics_tell_what_the_health_prim_tells(config: ServiceConfig) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def scenario(service: Service) -> None:
        await until(lambda: "field" in service.status()["connections"])
        bridge = soft_bridge(config.stage.parent.name)
        bridge.send("p1/flow", 1.0)
        bridge.send("p1/flow", 1e9)
        await until(lambda: service.status()["health"].get("received") == 2)
        url = f"http://127.0.0.1:{port}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
        assert "stagetwin_samples_received_total 2.0" in page
        assert 'stagetwin_rejected_total{connection="field",reason="out_of_range"} 1.0' in page
        assert 'stagetwin_connection_online{connection="field"} 1.0' in page
        health = service.twin.stage.GetPrimAtPath("/StageTwin/Health")
        assert health.GetAttribute("twin:health:received").Get() == 2
        assert health.GetAttribute("twin:health:applied").Get() == 1

    serve(config.model_copy(update={"metrics_port": port}), scenario)
