"""A plant of sensors and actuators over a real broker, and the devices behind it."""

from __future__ import annotations

import getpass
import json
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stagetwin.guards import GuardBook, GuardStage
from stagetwin.opening import open_stage
from stagetwin_bridges.broker import LocalBroker
from tests.bridges.plant_service import PlantService, wait_for
from tests.stages.plants import HEADER, Part, asset, command, prim, telemetry

USER = getpass.getuser()
CONNECTION = (
    'uniform string twin:endpoint = "mqtt://127.0.0.1:1"\n'
    'uniform string twin:credential = "reader"\n'
    'uniform string twin:commandCredential = "commander"\n'
)


def value_of(path: str, signal: str) -> str:
    """Return the property of a signal's value."""
    return f"{path}.twin:telemetry:{signal}:value"


def drive(name: str, *more: Part | str, level: str = "twin", **fields: Any) -> str:
    """A machine with a setpoint, its read-back, and a permissive."""
    path = f"/World/{name}"
    settings: dict[str, Any] = {
        "hard": (0, 3000),
        "approval": "none",
        "settleTime": 2.0,
        "readback": value_of(path, "speed"),
        "permissives": value_of(path, "ready"),
        **fields,
    }
    return prim(
        name,
        asset(name.lower(), level, "line", ["operator"]),
        telemetry("speed", address=f"{name.lower()}/speed"),
        telemetry("ready", "bool", f"{name.lower()}/ready"),
        command("speed", address=f"{name.lower()}/cmd/speed", **settings),
        *more,
    )


def plant_text(*bodies: str) -> str:
    """Return a plant whose machines are on the connection `line`."""
    line = prim("line", CONNECTION, type_name="TwinConnection")
    return HEADER + prim("World", line, *bodies)


class Field:
    """Devices: they hold values, obey commands, and say what they hold.

    Attributes:
        values: what each topic says now.
        executed: how often each command id was executed.
        obeying: whether commands are obeyed; else they are refused.
        answering: whether commands are answered.
    """

    def __init__(self, broker: LocalBroker) -> None:
        self.values: dict[str, Any] = {}
        self.executed: Counter[str] = Counter()
        self.orders: list[tuple[str, Any]] = []
        self.obeying = self.answering = True
        self._lock = threading.Lock()
        credential = broker.credential("device")
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.username_pw_set(credential.username, credential.password.get_secret_value())
        self._client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._client.on_message = self._obey
        self._client.on_connect = lambda client, *_: client.subscribe("+/cmd/#", 0)
        self._listens = threading.Event()
        self._client.on_subscribe = lambda *_: self._listens.set()
        self._client.on_disconnect = lambda *_: self._listens.clear()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._listens.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def listens(self) -> bool:
        """Tell whether the devices hear commands: the broker took their subscription."""
        return self._listens.is_set()

    def say(self, topic: str, value: Any) -> None:
        """Hold a value and say it."""
        with self._lock:
            self.values[topic] = value
            self._client.publish(topic, json.dumps(value), qos=1)

    def repeat(self) -> None:
        """Say everything again."""
        with self._lock:
            for topic, value in self.values.items():
                self._client.publish(topic, json.dumps(value), qos=1)

    def _obey(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        asked: Any = message.properties
        command_id = asked.CorrelationData.decode()
        value = json.loads(message.payload)
        if isinstance(value, dict):
            value = value["value"]
        device = message.topic.partition("/")[0]
        with self._lock:
            self.orders.append((message.topic, value))
            self.executed[command_id] += self.obeying
            if self.obeying:
                self.values[f"{device}/{message.topic.rpartition('/')[2]}"] = value
        if self.answering:
            answer = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            answer.CorrelationData = asked.CorrelationData
            reply = {"id": command_id, "ok": self.obeying, "cause": "jammed"}
            client.publish(asked.ResponseTopic, json.dumps(reply), properties=answer)
        if self.obeying:
            topic = f"{device}/{message.topic.rpartition('/')[2]}"
            client.publish(topic, json.dumps(value), qos=1)


def approve(stage: Path, folder: Path, endpoint: str) -> None:
    """Approve the guards as the service will see them."""
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    opened = open_stage(stage, (), {"line": endpoint})
    book = GuardBook(state / "guards.json")
    book.approve(GuardStage(opened.GetRootLayer()).hashes(), "tests", time.time())


def command_service(stage: Path, folder: Path, broker: LocalBroker, **more: Any) -> PlantService:
    """Return a service that may command, with the guards of the stage approved."""
    approve(stage, folder, more.pop("endpoint", broker.endpoint()))
    return PlantService(
        stage,
        folder,
        broker,
        {"line": "reader"},
        roles=more.pop("roles", {"operator": USER}),
        commanders=("commander",),
        **more,
    )


def ready(service: PlantService, *, fresh: bool = True) -> None:
    """Wait until commands can leave, and the read-backs are known."""

    def reached() -> bool:
        clients = service.status()["commands"]["clients"]
        return bool(clients) and all(each["state"] == "online" for each in clients.values())

    wait_for(reached)
    if fresh:
        wait_for(lambda: all(t["reported"] is not None for t in targets(service).values()))


def heard_again(service: PlantService, field: Field) -> None:
    """Let the devices repeat what they hold until the service has heard all of it anew."""

    def received() -> int:
        return int(service.status()["fates"]["received"])

    # What was heard before still counts as good for a while.
    before = received()

    def good() -> bool:
        field.repeat()
        heard = received() >= before + len(field.values)
        return heard and all(signal["quality"] == "good" for signal in service.seen().values())

    wait_for(good, 40)


def targets(service: PlantService) -> dict[str, dict[str, Any]]:
    """Return what can be commanded, by path."""
    return {t["path"]: t for t in service.ask(op="targets", prim="/")["targets"]}


def publish(service: PlantService, path: str, value: Any, **more: Any) -> dict[str, Any]:
    """Ask for a command and return its first row."""
    revision = more.pop("revision", targets(service)[path]["revision"])
    row = service.ask(op="publish", target=path, value=value, revision=revision, **more)["command"]
    return dict(row)


def ended(service: PlantService, command_id: str, timeout: float = 20.0) -> dict[str, Any]:
    """Return a command's row once it has ended."""

    def row() -> dict[str, Any] | None:
        found = service.ask(op="command", id=command_id)["command"]
        return dict(found) if found["ended"] else None

    return dict(wait_for(row, timeout))


def states(row: dict[str, Any]) -> list[str]:
    """Return the states that a command went through."""
    return [moment["state"] for moment in row["history"]]
