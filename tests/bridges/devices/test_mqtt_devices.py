"""Devices in processes of their own, on a real broker."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stagetwin_bridges import BridgeError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.devices import DeviceGroup, DevicePark, Entry
from tests.bridges.devices.commanding import REPLIES, TestCommander
from tests.bridges.devices.plant_text import MQTT_PLANT, P1, V1
from tests.bridges.recording_sink import eventually

SPEED, RUN, OPENING = "plant/p1/cmd/speed", "plant/p1/cmd/run", "plant/v1/cmd/opening"


def park_of(stage: Path, folder: Path, broker: LocalBroker, **more: object) -> DevicePark:
    return DevicePark(
        stage,
        folder,
        endpoints={"line": broker.endpoint("availability=plant/line/online")},
        credentials={"line": broker.credential("device")},
        rate=20.0,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plant") / "plant.usda"
    path.write_text(MQTT_PLANT)
    return path


@pytest.fixture(scope="module")
def running(
    broker: LocalBroker, stage: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DevicePark]:
    with park_of(stage, tmp_path_factory.mktemp("d") / "dev", broker) as park:
        yield park


@pytest.fixture
def park(running: DevicePark) -> Iterator[DevicePark]:
    yield running
    for row in running.devices():
        if row["misbehaviour"] != "none":
            running.misbehave(row["asset"], "none")


def entries(park: DevicePark, order_id: str) -> list[Entry]:
    return [entry for entry in park.log() if entry.id == order_id]


def test_telemetry_flows_in_wire_units_and_says_its_realm(
    park: DevicePark, commander: TestCommander
) -> None:
    flow = commander.wait_for("plant/p1/flow")
    assert 0 < flow < 120
    # 80 % on the stage is 0.8 on the wire.
    assert 0 <= commander.wait_for("plant/v1/opening") <= 1
    realms = {h.user.get("stagetwin-realm") for h in commander.heard if "/p1/" in h.topic}
    assert realms == {"simulation"}
    assert {row["asset"] for row in park.devices()} >= {P1, V1}
    assert {row["kind"] for row in park.devices()} == {"pump", "valve", "tank"}


def test_a_command_is_answered_before_telemetry_shows_it_and_moves_the_machine(
    park: DevicePark, commander: TestCommander
) -> None:
    assert commander.order(OPENING, 1.0, "open", field="to")["ok"]
    assert commander.order(SPEED, 2700, "faster-1") == {"id": "faster-1", "ok": True}
    commander.wait_for("plant/p1/speed", lambda value: abs(value - 2700) < 10)
    commander.wait_for("plant/v1/opening", lambda value: value == 1.0)
    flow = commander.wait_for("plant/p1/flow")
    commander.forget()
    answer = commander.order(SPEED, 1200, "slower-1")
    assert answer["ok"]
    topics = [h.topic for h in commander.heard]
    before = [h.value for h in commander.heard[: topics.index(REPLIES)] if h.topic[-5:] == "speed"]
    assert all(abs(value - 2700) < 10 for value in before)
    commander.wait_for("plant/p1/speed", lambda value: abs(value - 1200) < 10)
    assert commander.wait_for("plant/p1/flow") < flow
    assert [e.outcome for e in entries(park, "slower-1")] == ["executed"]


def test_fresh_telemetry_follows_the_answer_at_once(
    park: DevicePark, commander: TestCommander
) -> None:
    commander.forget()
    commander.order(SPEED, 1500, "fresh-1")
    index = [h.topic for h in commander.heard].index(REPLIES)
    eventually(lambda: len(commander.heard) > index + 4)
    following = {h.topic for h in commander.heard[index + 1 : index + 5]}
    assert following < {f"plant/p1/{name}" for name in P1_SIGNALS}


P1_SIGNALS = ("running", "ready", "flow", "discharge_pressure", "speed")


def test_mqtt_5_properties_carry_id_expiry_and_reply(
    park: DevicePark, commander: TestCommander
) -> None:
    commander.send(
        SPEED,
        "1800",
        ResponseTopic="stagetwin/reply/five",
        CorrelationData=b"five-1",
        UserProperty=("stagetwin-expires-in", "5"),
    )
    answer = commander.wait_for("stagetwin/reply/five")
    assert answer == {"id": "five-1", "ok": True}
    assert [h.correlation for h in commander.heard if h.topic.endswith("five")] == [b"five-1"]
    commander.send(
        SPEED,
        "1900",
        ResponseTopic="stagetwin/reply/five",
        CorrelationData=b"five-2",
        UserProperty=[("stagetwin-expires-in", "5"), ("stagetwin-realm", "plant")],
    )
    answer = commander.wait_for("stagetwin/reply/five")
    assert not answer["ok"]
    assert "realm plant" in answer["cause"]
    assert [e.value for e in park.executed() if e.id.startswith("five")] == [1800]


def test_the_same_id_is_executed_once_and_answered_each_time(
    park: DevicePark, commander: TestCommander
) -> None:
    document = {"value": 1650, "id": "twice", "reply_to": REPLIES}
    for _ in range(3):
        commander.send(SPEED, document)
    assert commander.answer("twice", count=3) == {"id": "twice", "ok": True}
    assert [e.outcome for e in entries(park, "twice")] == ["executed", "duplicate", "duplicate"]


@pytest.mark.parametrize(
    ("name", "topic", "payload", "cause"),
    [
        ("high", SPEED, {"value": 9000}, "9000 is outside [600, 3600] 1/min"),
        ("text", SPEED, {"value": "fast"}, "expected a number"),
        ("truth", SPEED, {"value": True}, "expected a number"),
        ("nothing", SPEED, {"speed": 1500}, "expected 'value' in it"),
        ("number", RUN, {"value": 1}, "expected true or false"),
        ("late", SPEED, {"value": 1500, "expires_in": 0}, "expired"),
        ("old", SPEED, {"value": 1500, "expires_in": 5, "time": 1e9}, "expired"),
        ("odd", SPEED, {"value": 1500, "expires_in": "soon"}, "expired"),
    ],
)
def test_what_is_wrong_is_refused_in_words(
    park: DevicePark, commander: TestCommander, name: str, topic: str, payload: dict[str, object],
    cause: str,
) -> None:  # fmt: skip
    commander.send(topic, {**payload, "id": f"wrong-{name}", "reply_to": REPLIES})
    answer = commander.answer(f"wrong-{name}")
    assert not answer["ok"]
    assert cause in answer["cause"]
    assert [e.outcome for e in entries(park, f"wrong-{name}")] == ["refused"]


def test_a_machines_own_interlock_refuses_and_a_stop_always_passes(
    park: DevicePark, commander: TestCommander
) -> None:
    assert commander.order(RUN, False, "lock-stop")["ok"]
    answer = commander.order(SPEED, 2000, "lock-speed")
    assert answer == {"id": "lock-speed", "ok": False, "cause": "interlock: running is false"}
    assert commander.order(RUN, True, "lock-run")["ok"]
    assert commander.order(SPEED, 2000, "lock-again")["ok"]


def test_a_retained_command_is_never_obeyed(
    broker: LocalBroker, stage: Path, tmp_path: Path, commander: TestCommander
) -> None:
    commander.send(SPEED, {"value": 2222, "id": "kept"}, retain=True)
    commander.wait_for("plant/p1/speed")
    try:
        with park_of(stage, tmp_path / "d", broker) as late:
            assert commander.order(SPEED, 2000, "not-kept")["ok"]
            # The other device obeys the same topic: wait until this one has as well.
            assert {e.id for e in eventually(late.log)} == {"not-kept"}
    finally:
        commander.send(SPEED, b"", retain=True)


def test_a_device_comes_back_after_its_broker_did(stage: Path, tmp_path: Path) -> None:
    with LocalBroker("mosquitto") as own, park_of(stage, tmp_path / "d", own) as park:
        pids = park.pids
        own.kill()
        own.restart()
        with TestCommander(own) as client:
            client.wait_for("plant/p1/speed")
            assert client.order(SPEED, 2000, "after")["ok"]
        assert park.pids == pids


def test_mqtt_3_1_1_carries_everything_in_the_payload(stage: Path, tmp_path: Path) -> None:
    with LocalBroker("nats") as own, park_of(stage, tmp_path / "d", own) as park:
        with TestCommander(own) as client:
            client.wait_for("plant/p1/speed")
            assert client.order(SPEED, 2000, "old-1", expires_in=5)["ok"]
            assert not client.order(SPEED, 2000, "old-2", expires_in=0)["ok"]
        assert [e.id for e in park.executed()] == ["old-1"]


# -- misbehaviour


def test_refuse_says_no(park: DevicePark, commander: TestCommander) -> None:
    park.misbehave("p1", "refuse")
    answer = commander.order(SPEED, 2000, "refuse-1")
    assert answer == {"id": "refuse-1", "ok": False, "cause": "the device refuses"}
    park.misbehave("P1", "none")
    assert commander.order(SPEED, 2000, "refuse-2")["ok"]


def test_delay_acts_and_answers_late(park: DevicePark, commander: TestCommander) -> None:
    park.misbehave(P1, "delay:0.6")
    commander.send(SPEED, {"value": 2345, "id": "delay-1", "reply_to": REPLIES})
    commander.send(SPEED, {"value": 2345, "id": "delay-1", "reply_to": REPLIES})
    commander.send(OPENING, {"to": 0.9, "id": "delay-0", "reply_to": REPLIES})
    # Another device's answer overtakes, and a repetition in the meantime is executed once.
    commander.answer("delay-1", count=2)
    order = [v["id"] for v in commander.of(REPLIES)]
    assert order == ["delay-0", "delay-1", "delay-1"]
    assert [e.outcome for e in entries(park, "delay-1")] == ["executed", "duplicate"]


def test_drift_moves_the_read_back_away(park: DevicePark, commander: TestCommander) -> None:
    commander.order(SPEED, 2000, "drift-1")
    commander.wait_for("plant/p1/speed", lambda value: abs(value - 2000) < 5)
    park.misbehave(P1, "drift")
    commander.wait_for("plant/p1/speed", lambda value: value > 2040)
    park.misbehave(P1, "none")
    commander.wait_for("plant/p1/speed", lambda value: abs(value - 2000) < 5)


def test_freeze_repeats_old_values_and_moves_nothing(
    park: DevicePark, commander: TestCommander
) -> None:
    park.misbehave(P1, "freeze")
    commander.forget()
    frozen = commander.wait_for("plant/p1/flow")
    assert commander.order(SPEED, 3000, "freeze-1")["ok"]
    for _ in range(5):
        assert commander.wait_for("plant/p1/flow") == frozen
    assert [e.outcome for e in entries(park, "freeze-1")] == ["ignored"]


def test_lie_reports_the_setpoint_and_the_process_tells_the_truth(
    park: DevicePark, commander: TestCommander
) -> None:
    commander.order(OPENING, 1.0, "lie-0", field="to")
    commander.order(SPEED, 1400, "lie-1")
    commander.wait_for("plant/p1/speed", lambda value: abs(value - 1400) < 5)
    commander.wait_for("plant/v1/opening", lambda value: value == 1.0)
    flow = commander.wait_for("plant/p1/flow")
    park.misbehave(P1, "lie")
    assert commander.order(SPEED, 2900, "lie-2")["ok"]
    assert commander.wait_for("plant/p1/speed") == 2900
    assert abs(commander.wait_for("plant/p1/flow") - flow) < 0.2 * flow
    assert "lie-2" not in {e.id for e in park.executed()}


def test_mute_executes_and_says_nothing(park: DevicePark, commander: TestCommander) -> None:
    park.misbehave(P1, "mute")
    commander.send(SPEED, {"value": 2450, "id": "mute-1", "reply_to": REPLIES})
    commander.wait_for("plant/p1/speed", lambda value: abs(value - 2450) < 5)
    assert commander.order(OPENING, 0.8, "mute-2", field="to")["ok"]
    assert [v["id"] for v in commander.of(REPLIES)] == ["mute-2"]
    assert [e.outcome for e in entries(park, "mute-1")] == ["executed"]


def test_offline_leaves_with_the_last_will_and_comes_back(
    park: DevicePark, commander: TestCommander
) -> None:
    word = "plant/line/online"
    commander.forget()
    park.misbehave(P1, "offline")
    eventually(lambda: "offline" in commander.of(word), 20)
    # It says so while it is still there.
    (name,) = park.names
    eventually(lambda: not park._ask(name, op="devices")["online"], 20)
    commander.send(SPEED, {"value": 2000, "id": "away", "reply_to": REPLIES})
    # What was heard until now says nothing of whether it is back.
    commander.forget()
    park.misbehave(P1, "none")
    eventually(lambda: "online" in commander.of(word), 20)
    assert commander.order(SPEED, 2000, "back")["ok"]
    assert entries(park, "away") == []


def test_an_unknown_device_or_mode_is_refused_with_what_is_near(park: DevicePark) -> None:
    with pytest.raises(BridgeError, match="no device 'P11'; did you mean P1"):
        park.misbehave("P11", "mute")
    with pytest.raises(BridgeError, match="expected one of none, refuse, delay:SECONDS"):
        park.misbehave("P1", "sulk")


# -- processes


def test_a_device_ends_with_its_parent(broker: LocalBroker, stage: Path, tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from stagetwin.ports import Credential
from stagetwin_bridges.devices import DevicePark
credential = Credential(username="device", password={secret(broker)!r})
park = DevicePark(Path({str(stage)!r}), Path({str(tmp_path / "d")!r}),
    endpoints={{"line": {broker.endpoint()!r}}}, credentials={{"line": credential}})
park.start()
print(*park.pids.values(), flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        device = psutil.Process(int(parent.stdout.readline()))
        assert device.is_running()
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
    device.wait(20)
    assert not psutil.pid_exists(device.pid)


def secret(broker: LocalBroker) -> str:
    return broker.credential("device").password.get_secret_value()


def test_a_killed_device_can_be_started_again_and_its_log_goes_on(
    broker: LocalBroker, stage: Path, tmp_path: Path, commander: TestCommander
) -> None:
    groups = [DeviceGroup("line", (P1,), name="p1"), DeviceGroup("line", (V1,), name="v1")]
    with park_of(stage, tmp_path / "d", broker, groups=groups) as park:
        assert park.names == ["p1", "v1"]
        commander.order(SPEED, 2000, "life-1")
        pid = park.pids["p1"]
        park.kill("p1")
        assert list(park.pids) == ["v1"]
        assert [e.id for e in park.executed()] == ["life-1"]
        park.restart("p1")
        assert park.pids["p1"] != pid
        assert commander.order(SPEED, 2100, "life-2")["ok"]
        # The devices of the other park hear it too, and may have been the ones that answered.
        eventually(lambda: [e.id for e in park.executed()] == ["life-1", "life-2"], 20)
        pids = list(park.pids.values())
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_secrets_lie_in_a_private_file_until_they_are_read(
    park: DevicePark, broker: LocalBroker
) -> None:
    assert stat.S_IMODE(park.folder.stat().st_mode) == 0o700
    held = [p for p in park.folder.iterdir() if p.is_file() and secret(broker) in p.read_text()]
    assert held == []
    for pid in park.pids.values():
        assert secret(broker) not in " ".join(psutil.Process(pid).cmdline())
        assert secret(broker) not in str(psutil.Process(pid).environ())


def test_a_device_that_cannot_serve_says_why(stage: Path, tmp_path: Path) -> None:
    groups = [DeviceGroup("line", ("/World/Nowhere",))]
    with pytest.raises(BridgeError, match="carries no signal or command of /World/Nowhere"):
        DevicePark(stage, tmp_path / "d", groups=groups).start()
    assert [p.name for p in (tmp_path / "d").glob("*.sock")] == []
    plant = tmp_path / "real.usda"
    plant.write_text(
        MQTT_PLANT.replace("twin:endpoint", 'twin:realm = "plant"\nuniform string twin:endpoint')
        .replace("uniform string twin:realm", "uniform token twin:realm")
    )  # fmt: skip
    with pytest.raises(BridgeError, match="leads to a plant"):
        DevicePark(plant, tmp_path / "e", groups=[DeviceGroup("line")]).start()
    assert os.listdir(tmp_path / "e") != []


# -- the command line


def stagetwin(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stagetwin", "devices", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip


def test_the_command_line_lists_devices_and_lets_one_misbehave(
    park: DevicePark, commander: TestCommander
) -> None:
    listed = stagetwin("list", str(park.folder))
    assert listed.returncode == 0, listed.stderr
    assert [row.split()[:4] for row in listed.stdout.splitlines() if row.startswith("p1")] == [
        ["p1", "pump", "line", "mqtt"]
    ]
    done = stagetwin("misbehave", "v1", "refuse", "--devices", str(park.folder))
    assert done.returncode == 0, done.stderr
    assert "says no to every command" in done.stdout
    assert not commander.order(OPENING, 0.5, "cli-1", field="to")["ok"]
    socket = next(park.folder.glob("*.device.sock"))
    assert "refuse" in stagetwin("list", "--devices", str(socket)).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["misbehave", "v2", "refuse"], "no device 'v2'; did you mean"),
        (["misbehave", "v1", "sulk"], "expected one of none, refuse"),
        (["misbehave", "v1"], "expected: devices misbehave ASSET MODE"),
        (["dance"], "expected list, misbehave or fault"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    park: DevicePark, arguments: list[str], said: str
) -> None:
    done = stagetwin(*arguments, "--devices", str(park.folder))
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_command_line_says_where_no_device_runs(tmp_path: Path) -> None:
    done = stagetwin("list", str(tmp_path))
    assert done.returncode == 2
    assert "no device runs at" in done.stderr
