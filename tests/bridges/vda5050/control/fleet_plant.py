"""A plant with a vehicle on a map, and a service that may command it."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pxr import Usd

from stagetwin.guards import GuardBook, GuardStage
from stagetwin.maps import RoadMap, author_map
from stagetwin.opening import open_stage
from stagetwin.ports import Credential
from stagetwin_bridges.broker import LocalBroker, Role
from stagetwin_bridges.vda5050.messages import Codec, Connection, Headers, Identity, topic_of
from tests.bridges.plant_service import PlantService, wait_for
from tests.stages.plants import HEADER, asset, command, prim, telemetry

USER = getpass.getuser()
AMR = "/World/AMR1"
GOAL = f"{AMR}.goal"


def value_of(path: str, signal: str) -> str:
    """Return the property of a signal's value."""
    return f"{path}.twin:telemetry:{signal}:value"


class FleetLine:
    """A broker whose endpoint speaks VDA 5050."""

    def __init__(self, broker: LocalBroker, **options: Any) -> None:
        self._broker, self._options = broker, options

    def endpoint(self, query: str = "") -> str:
        """Return the endpoint; its options are those of the fleet."""
        del query
        options = "&".join(f"{key}={value}" for key, value in self._options.items())
        return f"vda5050+mqtt://127.0.0.1:{self._broker.port}/vda5050?{options}"

    def credential(self, role: Role) -> Credential:
        """Return the broker's credential."""
        return self._broker.credential(role)


def plant(folder: Path, road_map: RoadMap, **goal: Any) -> Path:
    """Write a plant: a map, a gate that permits, and a vehicle that takes goals."""
    settings: dict[str, Any] = {
        "address": "KIT/0001",
        "field": "order",
        "approval": "none",
        "settleTime": 40.0,
        "expiry": 10.0,
        "readback": value_of(AMR, "node"),
        "permissives": value_of(AMR, "open"),
        **goal,
    }
    stage = folder / "plant.usda"
    line = prim(
        "fleet",
        'uniform string twin:endpoint = "vda5050+mqtt://127.0.0.1:1/vda5050"\n'
        'uniform string twin:credential = "reader"\n'
        'uniform string twin:commandCredential = "commander"\n'
        'uniform token twin:map = "floor"\n',
        type_name="TwinConnection",
    )
    amr = prim(
        "AMR1",
        asset("amr1", "twin", "fleet", ["operator"]),
        telemetry("open", "bool", "KIT/GATE", field="online"),
        telemetry("node", "string", "KIT/0001", field="state.lastNodeId"),
        telemetry("ahead", "bool", "KIT/0001", field="order.remaining"),
        telemetry("paused", "bool", "KIT/0001", field="state.paused"),
        command("goal", "string", **settings),
        command(
            "cancel",
            "bool",
            "KIT/0001",
            field="cancelOrder",
            approval="none",
            readback=value_of(AMR, "ahead"),
            safe="true",
        ),
        command(
            "pause",
            "bool",
            "KIT/0001",
            field="instantAction.startPause",
            approval="none",
            readback=value_of(AMR, "paused"),
            safe="true",
        ),
    )
    stage.write_text(HEADER + prim("World", line, amr), encoding="utf-8")
    opened = Usd.Stage.Open(str(stage))
    author_map(opened, "/World/Map", road_map)
    opened.Save()
    return stage


def fleet_service(stage: Path, folder: Path, line: FleetLine) -> PlantService:
    """Return a service that may command, with the guards of the stage approved."""
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    opened = open_stage(stage, (), {"fleet": line.endpoint()})
    book = GuardBook(state / "guards.json")
    book.approve(GuardStage(opened.GetRootLayer()).hashes(), "tests", time.time())
    return PlantService(
        stage,
        folder,
        line,  # type: ignore[arg-type]
        {"fleet": "reader"},
        roles={"operator": USER},
        commanders=("commander",),
    )


class Gate:
    """What permits the vehicle to be sent: a participant that says ONLINE while it is open."""

    def __init__(self, broker: LocalBroker, version: str) -> None:
        self._headers = Headers(Identity("vda5050", version, "KIT", "GATE"))
        self._codec = Codec(version)
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        credential = broker.credential("device")
        self._client.username_pw_set(credential.username, credential.password.get_secret_value())
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def set(self, is_open: bool) -> None:
        """Open or close it."""
        word = self._headers.stamp(Connection(connection_state="ONLINE" if is_open else "OFFLINE"))
        data = self._codec.encode(word)
        topic = topic_of(self._headers.identity, word.topic)
        self._client.publish(topic, data, qos=1, retain=True).wait_for_publish(10)

    @property
    def connected(self) -> bool:
        """Whether it is connected."""
        return self._client.is_connected()

    def close(self) -> None:
        """End it."""
        self._client.disconnect()
        self._client.loop_stop()


def known(service: PlantService) -> None:
    """Wait until the vehicle is known and may be sent."""

    def good() -> bool:
        seen = service.seen()
        return all(
            seen[name]["quality"] == "good" and seen[name]["value"] not in (None, "")
            for name in (f"{AMR}.node", f"{AMR}.open")
        )

    wait_for(lambda: service.status()["commands"]["clients"]["fleet"]["state"] == "online")
    wait_for(good)
