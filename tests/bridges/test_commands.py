"""`stagetwin replay` and `stagetwin demo`, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from stagetwin import RealmError, StagetwinError
from stagetwin.bindings import read_bindings
from stagetwin_bridges import ConnectionConfigError
from stagetwin_bridges._messages import MessagePlan
from stagetwin_bridges.broker import LocalBroker, find_broker
from stagetwin_bridges.commands._cast import Cast
from stagetwin_bridges.commands._demo import DemoRequest, run_demo
from stagetwin_bridges.commands._replay import ReplayRequest, mismatch, run_replay, topic_of
from stagetwin_bridges.commands._story import Timing
from stagetwin_bridges.commands._words import fault_text
from stagetwin_bridges.recording import Recording
from tests.bridges.plant_service import PlantService, toml, wait_for
from tests.stages.plants import (
    HEADER,
    asset,
    command,
    connection,
    plant,
    prim,
    stage_of,
    table_of,
    telemetry,
)

STAGETWIN = [sys.executable, "-m", "stagetwin"]
BENCH = HEADER + connection(
    "bench", "mqtt://127.0.0.1:1?time=ts", realm="replay", credential="bench-reader"
)
PUMP = prim(
    "Pump",
    asset("p1", connection="bench"),
    telemetry("flow", "double", "bench/p1", field='["Volume Flow"]', unit="L/min"),
    telemetry("current", "double", "bench/p1", field="Current", unit="A"),
)
ROWS = "datetime;Volume Flow;Current\n" + "".join(
    f"2026-01-01 08:00:{i:02d};{100 + i};{'' if i == 3 else i / 10}\n" for i in range(10)
)


def run(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*STAGETWIN, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalBroker]:
    with LocalBroker() as each:
        yield each


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    path = tmp_path / "bench.usda"
    path.write_text(BENCH + PUMP)
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return path


# -- replay


def test_a_recording_goes_through_the_broker_onto_the_stage(
    broker: LocalBroker, stage: Path, recording: Path, tmp_path: Path
) -> None:
    credentials = tmp_path / "publisher.toml"
    credentials.write_text(toml("bench-reader", broker.credential("publisher")))
    credentials.chmod(0o600)
    with PlantService(stage, tmp_path, broker, {"bench": "bench-reader"}, "time=ts") as service:
        done = run(
            *("replay", str(recording), "--stage", str(stage), "--connection", "bench"),
            *("--credentials", str(credentials), "--speed", "20"),
            *("--endpoint", f"bench={broker.endpoint('time=ts')}"),
        )
        assert done.returncode == 0, done.stderr
        assert "10 rows of rows.csv in 10 messages to bench/p1" in done.stdout
        assert "19 values, 1 cells missing, 0 messages unacknowledged" in done.stdout
        wait_for(lambda: service.seen()["/Pump.flow"]["value"] == 109.0)
        seen = service.seen()
        assert seen["/Pump.current"]["value"] == 0.9
        assert seen["/Pump.flow"]["time"] == 1_767_254_409.0
        assert service.status()["fates"]["received"] == 19
        assert service.rejected() == {"missing_field": 1}


def opened(folder: Path, columns: str) -> Recording:
    path = folder / "some.csv"
    path.write_text(f"datetime;{columns}\n2026-01-01 08:00:00{';1' * len(columns.split(';'))}\n")
    return Recording.open(path)


def test_columns_and_signals_that_do_not_meet_are_named(tmp_path: Path) -> None:
    bindings = list(table_of(BENCH + PUMP).telemetry.values())
    fitting = opened(tmp_path, "Volume Flow;Current")
    assert mismatch(fitting, bindings, "bench/p1") == ([], [])
    assert mismatch(fitting, bindings, "bench/p2") == (["Volume Flow", "Current"], [])
    other = opened(tmp_path, "volume flow;Current;Pressure")
    assert mismatch(other, bindings, "bench/p1") == (["volume flow", "Pressure"], ["/Pump.flow"])
    by_column = BENCH + prim(
        "Pump",
        asset("p1", connection="bench"),
        telemetry("flow", "double", "some/flow"),
        telemetry("level", "double", "some/level"),
    )
    bindings = list(table_of(by_column).telemetry.values())
    columns = opened(tmp_path, "flow;speed")
    assert mismatch(columns, bindings, "{stem}/{column}") == (["speed"], ["/Pump.level"])


def test_a_replay_that_feeds_nothing_says_so(
    broker: LocalBroker, stage: Path, tmp_path: Path
) -> None:
    credentials = tmp_path / "publisher.toml"
    credentials.write_text(toml("bench-reader", broker.credential("publisher")))
    credentials.chmod(0o600)
    done = run(
        *("replay", str(opened(tmp_path, "Flow;Current").path), "--stage", str(stage)),
        *("--connection", "bench", "--credentials", str(credentials)),
        *("--endpoint", f"bench={broker.endpoint('time=ts')}"),
    )
    assert done.returncode == 0, done.stderr
    assert "no signal on bench/p1 reads 1 column: Flow\n" in done.stderr
    assert "no column feeds 1 signal on bench/p1: /Pump.flow\n" in done.stderr


def test_a_plant_is_never_played_to(tmp_path: Path, recording: Path) -> None:
    path = tmp_path / "plant.usda"
    path.write_text((BENCH + PUMP).replace('"replay"', '"plant"'))
    done = run("replay", str(recording), "--stage", str(path), "--connection", "bench")
    assert done.returncode == 2
    assert "leads to a plant" in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(RealmError):
        run_replay(ReplayRequest(recording=recording, stage=path, connection="bench"))


def test_an_unknown_connection_is_named_with_those_there_are(stage: Path, recording: Path) -> None:
    with pytest.raises(ConnectionConfigError, match=r"no connection 'x'.*bench"):
        run_replay(ReplayRequest(recording=recording, stage=stage, connection="x"))


def test_the_topic_is_the_address_that_all_signals_share() -> None:
    assert topic_of(table_of(BENCH + PUMP), "bench") == "bench/p1"


def test_with_several_addresses_the_topic_must_be_named() -> None:
    more = prim("Tank", asset("t", connection="bench"), telemetry("level", "double", "bench/t"))
    with pytest.raises(ConnectionConfigError, match="--topic: bench/p1, bench/t"):
        topic_of(table_of(BENCH + PUMP + more), "bench")
    with pytest.raises(ConnectionConfigError, match="no signal is bound"):
        topic_of(table_of(BENCH), "bench")


def test_a_credential_must_be_there(stage: Path, recording: Path, tmp_path: Path) -> None:
    credentials = tmp_path / "c.toml"
    credentials.write_text('[other]\nusername = "u"\n')
    credentials.chmod(0o600)
    with pytest.raises(ConnectionConfigError, match=r"no credential named 'bench-reader'.*other"):
        run_replay(
            ReplayRequest(
                recording=recording, stage=stage, connection="bench", credentials=credentials
            )
        )


# -- messages


def messages_of(text: str, values: dict[str, Any]) -> dict[str, Any]:
    bindings = list(read_bindings(stage_of(text)).telemetry.values())
    plan = MessagePlan(bindings)
    return {m.address: m.payload for m in plan.messages([values[b.signal] for b in bindings])}


def test_signals_of_one_address_are_fields_of_one_message() -> None:
    text = plant(
        prim(
            "M",
            telemetry("current", "double", "m", field="motor.current"),
            telemetry("volume", "double", "m", field="motor.volume", scale=0.001),
            telemetry("first", "double", "m", field="temperatures[0]"),
            telemetry("third", "double", "m", field="temperatures[2]"),
            telemetry("on", "bool", "m", field='["is on"]'),
        )
    )
    values = {"current": 1.5, "volume": 0.25, "first": 20.0, "third": 22.0, "on": True}
    assert messages_of(text, values) == {
        "m": {
            "motor": {"current": 1.5, "volume": 250.0},
            "temperatures": [20.0, None, 22.0],
            "is on": True,
        }
    }


def test_binary_frames_and_arrays_are_sent_as_devices_send_them() -> None:
    text = plant(
        prim(
            "M",
            telemetry("power", "double", "frame", field="<f@4", encoding="struct", scale=0.001),
            telemetry("energy", "double", "frame", field="<d@8", encoding="struct"),
            telemetry("force", "double3", "force"),
        )
    )
    sent = messages_of(text, {"power": 2.0, "energy": 7.5, "force": [1.0, 2.0, 3.0]})
    frame = sent["frame"]
    assert struct.unpack_from("<f", frame, 4) == (2000.0,)
    assert struct.unpack_from("<d", frame, 8) == (7.5,)
    assert json.loads(sent["force"]) == [1.0, 2.0, 3.0]


# -- demo


def left_behind(pattern: str) -> list[str]:
    """Return processes whose command line names one of the demo's folders."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if re.search(pattern, " ".join(process.info["cmdline"] or [])):
            found.append(str(process.info["cmdline"]))
    return found


def demo_folder(output: str) -> str:
    match = re.search(r"--socket (\S+)/s.sock", output)
    assert match, output
    return match[1]


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for the demo's sockets below it."""
    with tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as folder:
        yield Path(folder)


def demo(short: Path, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a demo to its end; afterwards nothing of it is left, whatever became of it."""
    done = subprocess.run(
        [*STAGETWIN, "demo", *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "TMPDIR": str(short)},
        check=False,
    )
    assert left_behind(re.escape(str(short))) == []
    assert list(short.iterdir()) == []
    assert "Traceback" not in done.stderr
    return done


STORY = [
    r"548 signals of 5 connections are live on the stage, commands can leave on 3",
    r"asked for: P101\.speed 2,\d+ → 2,\d+ 1/min",
    r"REQUESTED \d+, VALIDATED \d+, REHEARSED \d+, APPROVED \d+, ARMED \d+, SENT \d+",
    r"VERIFIED: P101\.speed reads 2,\d+ 1/min, was 2,\d+, \d\.\d s after sending",
    r"and its flow went from [\d.]+ to [\d.]+ m³/h",
    r"is made to refuse every command",
    r"FAILED, and not asked again: the device refused",
    r"P101 is made to lie",
    r"VERIFIED all the same: P101\.speed reads 2,\d+",
    r"but its flow stayed: [\d.]+ before, [\d.]+ m³/h after",
    r"VERIFIED says what was read back",
    r"the gateway of plc drops off",
    r"noticed within [\d.]+ s: plc is offline",
    r"C101\.speed → [\d.]+ m/s meanwhile: REJECTED, plc is offline",
    r"plc is online again .* no machine ever saw it",
    r"broker killed",
    r"energy, fleet, plant, testbed offline; plc needs no broker and stays",
    r"P101\.speed → 2,\d+ 1/min meanwhile: REJECTED, plant is offline",
    r"\d+ signals are stale by now",
    r"broker started again",
    r"all connections online again",
    r"recovered: no signal is stale",
    r"commands work again, VERIFIED: P101\.speed reads 2,\d+",
]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("kind", "refusing", "cause"),
    [
        ("mosquitto", "P102", "the device refuses"),
        # Over MQTT 3.1.1 a bare setpoint carries no id to answer to: a server refuses instead.
        ("nats", "C101", "BadInvalidState"),
    ],
)
def test_the_demo_plays_its_story_and_leaves_nothing_behind(
    kind: str, refusing: str, cause: str, short: Path
) -> None:
    if find_broker(kind) is None:  # type: ignore[arg-type]
        assert not os.environ.get("CI"), f"{kind} is missing"
        pytest.skip(f"{kind} is not installed")
    done = demo(short, "--broker", kind, timeout=170)
    text = done.stdout
    assert done.returncode == 0, text + done.stderr
    place = 0
    for line in STORY:
        found = re.compile(line).search(text, place)
        assert found, f"{line} does not follow {text[:place][-200:]}\n{text}"
        place = found.end()
    assert f"{refusing} is made to refuse" in text
    assert re.search(rf"FAILED.*{cause}", text)
    most = int(re.search(r"(\d+) signals are stale by now", text)[1])  # type: ignore[index]
    assert most > 200
    assert re.search(r"testbed\w* online", text)
    socket = demo_folder(text)
    for line in (
        rf"set \S+factory\.usda /World/Line1/P101\.speed 2400 --socket {socket}/s\.sock",
        rf"devices misbehave line1-{refusing.lower()} refuse --devices {socket}/devices",
        rf"commands list \S+factory\.usda --socket {socket}/s\.sock",
        rf"halt \S+factory\.usda /World/Line2 --socket {socket}/s\.sock",
    ):
        assert re.search(rf"stagetwin {line}\n", text), line


@pytest.mark.slow
def test_the_demo_brings_another_stage_to_life(tmp_path: Path, short: Path) -> None:
    path = tmp_path / "own.usda"
    tank = prim("Tank", asset("t1", connection="line"), telemetry("level", "double", "t/level"))
    path.write_text(BENCH + connection("line", "opcua://10.0.0.1:4840?namespace=2") + PUMP + tank)
    done = demo(short, "--stage", str(path), "--no-failure")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "own.usda: 3 signals" in done.stdout
    assert "3 signals of 2 connections are live on the stage" in done.stdout
    for word in ("plays into", "asked for", "stagetwin set", "misbehave"):
        assert word not in done.stdout


def drive(settle: float) -> str:
    """A machine on a server, whose speed takes a second or two to follow its setpoint."""
    return prim(
        "Drive",
        asset("d1", "twin", "plc", ["operator"]),
        telemetry("speed", "double", "nsu=urn:own;s=D.speed", unit="1/min"),
        command(
            "speed",
            "double",
            "nsu=urn:own;s=D.speed.set",
            approval="none",
            hard=(0, 3000),
            settleTime=settle,
            tolerance=5.0,
            readback="/Drive.twin:telemetry:speed:value",
            unit="1/min",
        ),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "ctrl-c"]
)
def test_a_demo_that_is_told_to_stop_leaves_nothing_behind(
    number: signal.Signals, status: int, tmp_path: Path, short: Path
) -> None:
    path = tmp_path / "own.usda"
    path.write_text(HEADER + connection("plc", "opc.tcp://10.0.0.1") + drive(settle=10.0))
    process = subprocess.Popen(
        [*STAGETWIN, "demo", "--stage", str(path), "--no-failure"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(short), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    # One is told in the middle of a command, the other in the middle of starting.
    last = "asked for" if number is signal.SIGTERM else "made-up machines"
    text = ""
    for line in process.stdout:
        text += line
        if last in line:
            break
    if number is signal.SIGTERM:
        folder = Path(demo_folder(text))
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "credentials.toml").stat().st_mode & 0o777 == 0o600
        assert (folder / "devices").stat().st_mode & 0o777 == 0o700
    assert left_behind(re.escape(str(short))) != []
    process.send_signal(number)
    text += process.communicate(timeout=30)[0]
    assert process.returncode == status, text
    assert "✖" not in text
    assert left_behind(re.escape(str(short))) == []
    assert list(short.iterdir()) == []


@pytest.mark.alone
@pytest.mark.slow
def test_a_stage_of_servers_alone_is_commanded_through_one_credential(
    tmp_path: Path, short: Path
) -> None:
    path = tmp_path / "own.usda"
    line = connection(
        "plc", "opc.tcp://10.0.0.1?trust=any", credential="both", commandCredential="both"
    )
    path.write_text(HEADER + line + drive(settle=10.0))
    done = demo(short, "--stage", str(path), "--no-failure")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"VERIFIED: Drive\.speed reads \d+", done.stdout)
    for word in ("killed", "made to", "drops off"):
        assert word not in done.stdout


@pytest.mark.slow
def test_a_scene_that_comes_out_otherwise_fails_the_demo(tmp_path: Path, short: Path) -> None:
    path = tmp_path / "own.usda"
    path.write_text(HEADER + connection("plc", "opc.tcp://10.0.0.1") + drive(settle=0.1))
    done = demo(short, "--stage", str(path), "--no-failure")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Drive.speed: expected VERIFIED, got UNVERIFIED" in done.stdout


def test_a_demo_without_machines_to_command_has_no_parts() -> None:
    assert Cast.of(table_of(BENCH + PUMP)) == Cast()


def test_setpoints_are_round_and_stay_within_limits_and_rate() -> None:
    line = connection("line", "mqtt://127.0.0.1:1")

    def part(low: float, high: float, **more: Any) -> Any:
        body = (
            telemetry("speed", "double", "d/speed"),
            command(
                "speed",
                "double",
                "d/cmd",
                approval="none",
                hard=(low, high),
                readback="/Drive.twin:telemetry:speed:value",
                **more,
            ),
        )
        machine = prim("Drive", asset("d1", "twin", "line", ["operator"]), *body)
        found = Cast.of(table_of(HEADER + line + machine)).obeys
        assert found is not None
        return found

    assert part(600, 3600).another_value(2280.7) == 2750.0
    assert part(600, 3600).another_value(3500.0) == 3050.0
    assert part(600, 3600, rateLimit=20.0, settleTime=5.0).another_value(2280.7) == 2360.0
    assert part(0, 1).another_value(0.5) == 0.65
    assert part(600, 3600).rounded(2280.7) == 2300.0


def test_times_fit_what_was_asked_for() -> None:
    assert Timing.within(None, failure=True, attended=False).ends == float("inf")
    brief = Timing.within(20.0, failure=True)
    assert brief.ends == 20.0
    assert brief.pause < Timing().pause
    assert brief.away < Timing().away


def test_the_demo_reaches_no_plant(tmp_path: Path, short: Path) -> None:
    path = tmp_path / "plant.usda"
    path.write_text((BENCH + PUMP).replace('"replay"', '"plant"'))
    done = demo(short, "--stage", str(path))
    assert done.returncode == 2
    assert "leads to a plant" in done.stderr


def test_the_demo_refuses_a_stage_without_signals(tmp_path: Path) -> None:
    path = tmp_path / "bare.usda"
    path.write_text(HEADER)
    done = run("demo", "--stage", str(path))
    assert done.returncode == 2
    assert "no signal is bound" in done.stderr


def test_the_demo_refuses_a_broker_that_is_none() -> None:
    done = run("demo", "--broker", "rabbit")
    assert done.returncode == 2
    assert "expected mosquitto or nats" in done.stderr


def test_the_demo_refuses_a_bad_script_of_faults_before_anything_starts(tmp_path: Path) -> None:
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\nasset = "/World/Line1/P102"\namount = 0.1\n')
    with pytest.raises(StagetwinError, match=r"fault 1\.kind: Field required"):
        run_demo(DemoRequest(faults=script))


def test_a_fault_is_told_with_its_unit() -> None:
    row = {"where": "/World/P.flow", "kind": "bias", "amount": 2.0, "unit": "m3/h"}
    assert fault_text(row) == "P.flow: bias 2.000 m³/h"
    assert fault_text({**row, "kind": "freeze", "amount": None}) == "P.flow: freeze"
