"""From a device's message through a real broker to an attribute, in the processes users run."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from stagetwin import factory_folder
from stagetwin_bridges.broker import BrokerFiles, LocalBroker
from tests.bridges.conftest import Authority
from tests.bridges.plant_service import PlantService, toml, wait_for

SHOWN = "/World/M{n}.twin:telemetry:{signal}:value"
MACHINES = 12

SIGNALS: dict[str, tuple[str, str]] = {
    # signal: (USD type, how it is bound)
    "speed": ("double", 'address = "m/{prim.name}/speed"'),
    "flow": ("float", 'address = "m/{prim.name}/json"\nfield = "process.flow"'),
    "count": ("int", 'address = "m/{prim.name}/json"\nfield = "count"'),
    "total": ("int64", 'address = "m/{prim.name}/json"\nfield = "total"'),
    "on": ("bool", 'address = "m/{prim.name}/json"\nfield = "on"'),
    "name": ("string", 'address = "m/{prim.name}/json"\nfield = "[\\"the name\\"]"'),
    "state": ("token", 'address = "m/{prim.name}/state"\nencoding = "text"'),
    "place": ("double3", 'address = "m/{prim.name}/json"\nfield = "place"'),
    "turn": ("quatf", 'address = "m/{prim.name}/turn"'),
    "pose": ("matrix4d", 'address = "m/{prim.name}/pose"'),
    "load": ("double[]", 'address = "m/{prim.name}/load"'),
    "raw": ("float", 'address = "m/{prim.name}/raw"\nfield = "<f@2"\nencoding = "struct"'),
}
JSON_FIELDS = ("flow", "count", "total", "on", "name", "place")


def stage_text(credential: str = "reader") -> str:
    lines = [
        "#usda 1.0",
        'def Xform "World" {',
        '    uniform token twin:connection = "field"',
        '    def TwinConnection "field" {',
        '        uniform string twin:endpoint = "mqtt://127.0.0.1:1"',
        f'        uniform string twin:credential = "{credential}"',
        "    }",
    ]
    apis = ", ".join(f'"TwinTelemetryAPI:{name}"' for name in SIGNALS)
    for n in range(MACHINES):
        lines.append(f'    def Xform "M{n}" ( prepend apiSchemas = ["TwinAssetAPI", {apis}] ) {{')
        for signal_name, (type_name, binding) in SIGNALS.items():
            lines.append(f"        {type_name} twin:telemetry:{signal_name}:value")
            for part in binding.splitlines():
                key, _, value = part.partition(" = ")
                kind = "token" if key == "encoding" else "string"
                lines.append(f"        uniform {kind} twin:telemetry:{signal_name}:{key} = {value}")
        lines.append("    }")
    lines.append("}")
    return "\n".join(lines) + "\n"


class Field:
    """The machines: publishes random changes and remembers what every attribute must hold."""

    def __init__(self, broker: LocalBroker) -> None:
        self.expected: dict[str, Any] = {}
        self._random = random.Random(20261121)
        self._documents: dict[int, dict[str, Any]] = {}
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        credential = broker.credential("publisher")
        self._client.username_pw_set(credential.username, credential.password.get_secret_value())
        if credential.ca_file:
            self._client.tls_set(ca_certs=credential.ca_file)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        wait_for(self._client.is_connected)

    def send(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        assert info.rc == paho.MQTT_ERR_SUCCESS
        self._last = info

    def settle(self) -> None:
        self._last.wait_for_publish(30)
        assert self._last.is_published()

    def change(self) -> None:
        """Change one random signal of one random machine."""
        draw = self._random
        n, name = draw.randrange(MACHINES), draw.choice(list(SIGNALS))
        value, wire = getattr(self, f"_{name}", self._plain)(name)
        self.expected[SHOWN.format(n=n, signal=name)] = value
        if name in JSON_FIELDS:
            document = self._documents.setdefault(n, self._first_document(n))
            if name == "flow":
                document["process"]["flow"] = wire
            else:
                document["the name" if name == "name" else name] = wire
            self.send(f"m/M{n}/json", json.dumps(document))
        else:
            self.send(f"m/M{n}/{name}", wire)

    def _first_document(self, n: int) -> dict[str, Any]:
        document: dict[str, Any] = {"process": {}}
        for name in JSON_FIELDS:
            value, wire = getattr(self, f"_{name}", self._plain)(name)
            self.expected.setdefault(SHOWN.format(n=n, signal=name), value)
            if name == "flow":
                document["process"]["flow"] = wire
            else:
                document["the name" if name == "name" else name] = wire
        return document

    def _plain(self, name: str) -> tuple[Any, Any]:
        del name
        value = self._random.uniform(-1e6, 1e6)
        return value, repr(value)

    def _single(self) -> float:
        """A number that float holds exactly."""
        number: float = struct.unpack("<f", struct.pack("<f", self._random.uniform(-1e3, 1e3)))[0]
        return number

    def _flow(self, _: str) -> tuple[Any, Any]:
        value = self._single()
        return value, value

    def _count(self, _: str) -> tuple[Any, Any]:
        value = self._random.randrange(-(2**31), 2**31)
        return value, value

    def _total(self, _: str) -> tuple[Any, Any]:
        value = self._random.randrange(-(2**63), 2**63)
        return value, value

    def _on(self, _: str) -> tuple[Any, Any]:
        value = self._random.random() < 0.5
        return value, value

    def _name(self, _: str) -> tuple[Any, Any]:
        value = "".join(self._random.choices('abcäöü€"\\{}😀 ', k=8))
        return value, value

    def _state(self, _: str) -> tuple[Any, Any]:
        value = self._random.choice(["idle", "run", "fault", "42", "true"])
        return value, value

    def _place(self, _: str) -> tuple[Any, Any]:
        value = [self._random.uniform(-1e4, 1e4) for _ in range(3)]
        return value, dict(zip("xyz", value, strict=True))

    def _turn(self, _: str) -> tuple[Any, Any]:
        value = self._random.choice([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        return value, json.dumps(value)

    def _pose(self, _: str) -> tuple[Any, Any]:
        value = [[self._random.uniform(-10, 10) for _ in range(4)] for _ in range(4)]
        return value, json.dumps(value)

    def _load(self, _: str) -> tuple[Any, Any]:
        value = [self._random.uniform(0, 1) for _ in range(self._random.randrange(5))]
        return value, json.dumps(value)

    def _raw(self, _: str) -> tuple[Any, Any]:
        value = self._single()
        return value, b"\x07\x00" + struct.pack("<f", value) + b"\xff"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def plain_broker() -> Iterator[LocalBroker]:
    with LocalBroker("mosquitto") as broker:
        yield broker


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    path = tmp_path / "plant.usda"
    path.write_text(stage_text())
    return path


def read_bare(snapshot: Path, paths: list[str]) -> dict[str, Any]:
    """Read attributes in a process that knows nothing of stagetwin."""
    code = """
import json, sys
from pxr import Gf, Usd
def plain(v):
    if isinstance(v, (Gf.Quatf, Gf.Quatd)):
        return [*v.GetImaginary(), v.GetReal()]
    if isinstance(v, str) or not hasattr(v, "__len__"):
        return v
    return [plain(v[i]) for i in range(len(v))]
stage = Usd.Stage.Open(sys.argv[1])
paths = json.load(sys.stdin)
print(json.dumps({p: plain(stage.GetAttributeAtPath(p).Get()) for p in paths}))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code, str(snapshot)],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        check=True,
    )
    values: dict[str, Any] = json.loads(answer.stdout)
    return values


def assert_all_as_published(service: PlantService, field: Field, folder: Path) -> None:
    """Every bound attribute of a snapshot, read by bare USD, holds what was published last."""
    out = folder / "still.usdc"
    service.ask(op="snapshot", path=str(out))
    seen = read_bare(out, sorted(field.expected))
    wrong = {p: (seen[p], v) for p, v in field.expected.items() if seen[p] != v}
    assert not wrong, dict(list(wrong.items())[:5])
    fates = service.status()["fates"]
    used = ("applied", "unchanged", "deadband", "superseded", "status_only", "rejected")
    assert fates["received"] == sum(fates[name] for name in used)


@pytest.mark.parametrize(
    ("version", "encrypted"), [("5", False), ("3.1.1", False), ("5", True), ("3.1.1", True)]
)
def test_after_ten_thousand_changes_every_attribute_is_what_was_published_last(
    stage: Path, tmp_path: Path, authority: Authority, version: str, encrypted: bool
) -> None:
    tls = None
    if encrypted:
        cert_file, key_file = authority.issue("127.0.0.1")
        tls = BrokerFiles(authority.ca_file, cert_file, key_file)
    with (
        LocalBroker("mosquitto", tls=tls) as broker,
        PlantService(stage, tmp_path, broker, {"field": "reader"}, f"version={version}") as service,
    ):
        field = Field(broker)
        for _ in range(10_000):
            field.change()
        field.settle()
        time.sleep(2)
        assert len(field.expected) == MACHINES * len(SIGNALS)
        assert_all_as_published(service, field, tmp_path)
        assert not service.rejected()
        field.close()


def test_a_broker_that_dies_and_returns_is_survived(
    plain_broker: LocalBroker, stage: Path, tmp_path: Path
) -> None:
    with PlantService(stage, tmp_path, plain_broker, {"field": "reader"}) as service:
        field = Field(plain_broker)
        field.send("m/M0/speed", "1")
        wait_for(lambda: service.seen("/World/M0")["/World/M0.speed"]["value"] == 1)
        plain_broker.kill()
        wait_for(lambda: service.status()["connections"]["field"]["state"] != "online")
        # What was known stays on the stage while the broker is away.
        assert service.seen("/World/M0")["/World/M0.speed"]["value"] == 1
        plain_broker.restart()
        wait_for(service.online)
        again = Field(plain_broker)
        for _ in range(300):
            again.change()
        again.settle()
        time.sleep(1)
        assert_all_as_published(service, again, tmp_path)
        for client in (field, again):
            client.close()


def test_a_bridge_killed_in_full_traffic_comes_back_and_the_rest_is_unharmed(
    plain_broker: LocalBroker, stage: Path, tmp_path: Path
) -> None:
    with PlantService(stage, tmp_path, plain_broker, {"field": "reader"}) as service:
        field = Field(plain_broker)
        stop = threading.Event()

        def traffic() -> None:
            while not stop.is_set():
                field.change()
                time.sleep(0.002)

        thread = threading.Thread(target=traffic)
        thread.start()
        first = service.status()["connections"]["field"]["pid"]
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: service.status()["connections"]["field"]["restarts"] == 1)
        wait_for(service.online)
        stop.set()
        thread.join()
        for _ in range(3_000):
            field.change()
        field.settle()
        time.sleep(2)
        # What changed while the bridge was dead was QoS 0 to it; the changes after it count.
        assert_all_as_published(service, field, tmp_path)
        field.close()


def test_ten_thousand_malformed_payloads_are_counted_and_harm_nothing(
    plain_broker: LocalBroker, stage: Path, tmp_path: Path
) -> None:
    bad = [
        ("m/M0/speed", "not a number", "malformed"),
        ("m/M0/json", '{"process": {"flow": ', "malformed"),
        ("m/M0/pose", "[1, 2, 3]", "type_mismatch"),
        ("m/M0/raw", b"\x07\x00\x01", "malformed"),
        ("m/M0/speed", "NaN", "not_finite"),
    ]
    with PlantService(stage, tmp_path, plain_broker, {"field": "reader"}) as service:
        field = Field(plain_broker)
        for round_ in range(2_000):
            for topic, payload, _ in bad:
                field.send(topic, payload)
            field.send("m/M1/speed", str(round_))
        field.settle()
        wait_for(lambda: service.seen("/World/M1")["/World/M1.speed"]["value"] == 1_999)
        counts = service.rejected()
        # A document that cannot be read is one message, however many fields are bound to it.
        assert counts == {"malformed": 6_000, "type_mismatch": 2_000, "not_finite": 2_000}
        examples = " ".join(
            text for row in service.ask(op="rejections")["examples"] for text in row["examples"]
        )
        assert "/World/M0" in examples
        assert "m/M0/speed" in examples
        field.close()


def test_a_binding_changed_while_it_runs_is_followed(
    plain_broker: LocalBroker, stage: Path, tmp_path: Path
) -> None:
    with PlantService(stage, tmp_path, plain_broker, {"field": "reader"}) as service:
        field = Field(plain_broker)
        field.send("m/M0/speed", "1")
        field.send("m/M1/speed", "11")
        wait_for(lambda: service.seen("/World/M1")["/World/M1.speed"]["value"] == 11)
        text = stage.read_text().replace("m/{prim.name}/speed", "n/{prim.name}/speed")
        stage.write_text(text)
        wait_for(
            lambda: (
                {s["address"] for s in service.ask(op="values", prim="/World/M0")["signals"]}
                >= {"n/M0/speed"}
            )
        )
        # The property forgot a value that came from another address.
        assert service.seen("/World/M0")["/World/M0.speed"]["value"] is None
        field.send("m/M0/speed", "2")

        def followed() -> bool:
            # The bridge, in a process of its own, subscribes a moment later.
            field.send("n/M0/speed", "3")
            return bool(service.seen("/World/M0")["/World/M0.speed"]["value"] == 3)

        wait_for(followed)
        assert service.status()["connections"]["field"]["restarts"] == 0
        field.close()


def test_a_sidecar_makes_an_existing_stage_live(plain_broker: LocalBroker, tmp_path: Path) -> None:
    """`rpm:live` and `vib:live` of a pump on a stage that never heard of us."""
    plant = tmp_path / "customer.usda"
    plant.write_text("""#usda 1.0
(
    defaultPrim = "Hall"
    upAxis = "Y"
    metersPerUnit = 0.01
)

def Xform "Hall"
{
    def Xform "Pump"
    {
        custom double rpm:live = 0
        custom float vib:live = 0
    }
}
""")
    sidecar = tmp_path / "live.usda"
    sidecar.write_text("""#usda 1.0

def Scope "Twin"
{
    def TwinConnection "field"
    {
        uniform string twin:endpoint = "mqtt://127.0.0.1:1"
        uniform string twin:credential = "reader"
    }
}

over "Hall"
{
    over "Pump" (
        prepend apiSchemas = ["TwinTelemetryAPI:rpm", "TwinTelemetryAPI:vib"]
    )
    {
        uniform token twin:connection = "field"
        uniform string twin:telemetry:rpm:address = "hall/pump"
        uniform string twin:telemetry:rpm:field = "rpm"
        rel twin:telemetry:rpm:target = </Hall/Pump.rpm:live>
        uniform string twin:telemetry:vib:address = "hall/pump"
        uniform string twin:telemetry:vib:field = "vib"
        rel twin:telemetry:vib:target = </Hall/Pump.vib:live>
    }
}
""")
    before = plant.read_bytes()
    with PlantService(
        plant, tmp_path, plain_broker, {"field": "reader"}, sidecars=(sidecar,)
    ) as service:
        field = Field(plain_broker)
        field.send("hall/pump", '{"rpm": 1450.5, "vib": 0.25}')
        wait_for(lambda: service.seen("/Hall/Pump")["/Hall/Pump.rpm"]["value"] == 1450.5)
        out = tmp_path / "still.usdc"
        service.ask(op="snapshot", path=str(out))
        paths = ["/Hall/Pump.rpm:live", "/Hall/Pump.vib:live"]
        assert read_bare(out, paths) == dict(zip(paths, (1450.5, 0.25), strict=True))
        field.close()
    assert plant.read_bytes() == before


def test_a_retained_value_is_uncertain_until_a_fresh_one_comes(
    plain_broker: LocalBroker, stage: Path, tmp_path: Path
) -> None:
    field = Field(plain_broker)
    field.send("m/M0/speed", "7", retain=True)
    field.settle()
    with PlantService(stage, tmp_path, plain_broker, {"field": "reader"}) as service:
        wait_for(lambda: service.seen("/World/M0")["/World/M0.speed"]["value"] == 7)
        assert service.seen("/World/M0")["/World/M0.speed"]["quality"] == "uncertain"
        field.send("m/M0/speed", "7")
        wait_for(lambda: service.seen("/World/M0")["/World/M0.speed"]["quality"] == "good")
        field.close()


RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "skab" / "valve1"


@pytest.mark.parametrize("speed", ["0", "2000"])
def test_the_recorded_pump_test_bed_plays_end_to_end(
    plain_broker: LocalBroker, tmp_path: Path, speed: str
) -> None:
    """Every cell of the file is on the stage or counted, and the last row is what is seen."""
    recording = RECORDED / "7.csv"
    if not recording.exists() and os.environ.get("CI") != "true":
        pytest.skip("the recorded data is not beside this checkout")
    with recording.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    stage = factory_folder() / "pump_station.usda"
    with PlantService(stage, tmp_path, plain_broker, {"testbed": "testbed-reader"}) as service:
        publisher = tmp_path / "publisher.toml"
        publisher.write_text(toml("testbed-reader", plain_broker.credential("publisher")))
        publisher.chmod(0o600)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "stagetwin", "replay", str(recording)),
                *("--stage", str(stage), "--connection", "testbed", "--speed", speed),
                *("--endpoint", f"testbed={plain_broker.endpoint()}"),
                *("--credentials", str(publisher)),
            ],
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr
        cells = len(rows) * (len(rows[0]) - 1)
        wait_for(lambda: service.status()["fates"]["received"] == cells)
        time.sleep(0.2)
        fates = service.status()["fates"]
        assert not service.rejected()
        used = ("applied", "unchanged", "deadband", "superseded", "status_only", "rejected")
        assert sum(fates[name] for name in used) == cells
        out = tmp_path / "still.usdc"
        service.ask(op="snapshot", path=str(out))
        signals = service.ask(op="values")["signals"]
        targets = {s["field"]: s["target"] for s in signals}
        seen = read_bare(out, list(targets.values()))
        for column, cell in rows[-1].items():
            if column == "datetime":
                continue
            field_name = column if column in targets else json.dumps([column])
            value = seen[targets[field_name]]
            assert value == pytest.approx(float(cell), rel=1e-6), column
        link = service.status()["connections"]["testbed"]
        assert link["realm"] == "replay"
