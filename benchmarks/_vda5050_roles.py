"""The two processes of the benchmark `vda5050` that are measured: the vehicles, and the stage."""

from __future__ import annotations

import gc
import json
import math
import sys
import threading
import time
from typing import IO, Any

import numpy as np
import psutil  # type: ignore[import-untyped]
from pxr import Sdf, Usd
from pydantic import SecretStr

import stagetwin  # noqa: F401 - registers the schema before the first stage
from stagetwin.fleets import VehicleType
from stagetwin.ports import ConnectionSpec, Credential, find_protocol
from stagetwin.service._bridges import ConnectionSink
from stagetwin.twin import Twin
from stagetwin_bridges.vda5050.virtual import Pace, VirtualFleet, allow_open_files

__all__ = [
    "INTERFACE",
    "MANUFACTURER",
    "PER_STATE",
    "SPACING",
    "SPEED",
    "generate",
    "names",
    "show",
]

MANUFACTURER = "bench"
INTERFACE = "vda5050"
SPACING = 2.0
SPEED = 1.5
SIGNALS = {
    "pose": ("matrix4d", "pose"),
    "charge": ("double", "state.powerSupply.stateOfCharge"),
    "driving": ("bool", "state.driving"),
    "node": ("string", "state.lastNodeId"),
}
PER_STATE = len(SIGNALS)
"""Signals that a state feeds; a visualization feeds the pose alone."""


def endpoint(port: int) -> str:
    """Return where the fleet connects to."""
    return f"vda5050+mqtt://127.0.0.1:{port}/{INTERFACE}?version=3.0"


def names(count: int) -> list[str]:
    """Return the vehicles."""
    return [f"{MANUFACTURER}/{k:04d}" for k in range(count)]


def credential(stream: IO[str]) -> Credential:
    """Read an account from a pipe: arguments can be read by everybody."""
    username, password = json.loads(stream.readline())
    return Credential(username=username, password=SecretStr(password))


# -- the generator, a process of its own


def generate(port: int, count: int) -> None:
    """Run vehicles; answers each line on standard input with what was sent so far."""
    allow_open_files(2 * count)
    poses = np.zeros((count, 3))
    poses[:, 1] = SPACING * np.arange(count)
    fleet = VirtualFleet(
        ConnectionSpec(
            name="fleet",
            prim="/World/fleet",
            endpoint=endpoint(port),
            realm="simulation",
            credential="device",
        ),
        names(count),
        poses,
        [VehicleType(speed=SPEED)],
        credential=credential(sys.stdin),
        pace=Pace(
            step=0.2,
            slices=20,
            state_interval=1.0,
            visualization_interval=0.2,
            keepalive=60,
        ),
    )
    keep_for_good()  # as the command `virtual-fleet` does
    with fleet:
        while fleet.online < count:
            time.sleep(0.1)
        say({"online": fleet.online})
        for line in sys.stdin:
            nodes: list[str] = []
            if line.strip() == "stop":
                fleet.stop()
                nodes = [vehicle.last_node_id for vehicle in fleet.vehicles.values()]
            counts = fleet.counts
            say({
                "nodes": nodes,
                "sent": dict(counts.sent),
                "unread": counts.unread,
                "late": counts.late,
                "losses": counts.losses,
                "lost": counts.lost,
                "heard": counts.heard,
                "cpu": time.process_time(),
                "at": time.time(),
            })  # fmt: skip


# -- the stage, a process of its own


def plant(port: int, count: int) -> Sdf.Layer:
    """Return a root layer with the vehicles."""
    # One filter a topic instead of three a vehicle.
    topics = ("state", "visualization", "connection")
    filters = "".join(f"&subscribe={INTERFACE}/v3/%2B/%2B/{topic}" for topic in topics)
    lines = [
        "#usda 1.0",
        'def Xform "World" {',
        '    uniform token twin:connection = "fleet"',
        '    def TwinConnection "fleet" {',
        f'        uniform string twin:endpoint = "{endpoint(port)}{filters}"',
        '        uniform token twin:realm = "simulation"',
        "    }",
    ]
    apis = ", ".join(f'"TwinTelemetryAPI:{name}"' for name in SIGNALS)
    for k, vehicle in enumerate(names(count)):
        lines.append(f'    def Xform "v{k}" ( prepend apiSchemas = [{apis}] ) {{')
        for name, (kind, field) in SIGNALS.items():
            prefix = f"twin:telemetry:{name}"
            lines.append(f"        {kind} {prefix}:value")
            lines.append(f'        uniform string {prefix}:address = "{vehicle}"')
            lines.append(f'        uniform string {prefix}:field = "{field}"')
        lines.append("    }")
    lines.append("}")
    layer = Sdf.Layer.CreateAnonymous("plant.usda")
    layer.ImportFromString("\n".join(lines) + "\n")
    return layer


class Stage:
    """Bridge, hub and live layer; the thread that made it ticks."""

    def __init__(self, port: int, count: int, account: Credential) -> None:
        self.stage = Usd.Stage.Open(plant(port, count))
        self.twin = Twin(self.stage)
        assert not self.twin.table.problems, self.twin.table.problems[0]
        connection = self.twin.table.connections["fleet"]
        self._sink = ConnectionSink("fleet", self.twin.hub)
        self._bridge = find_protocol(connection.endpoint).bridge(
            connection, self.twin.table.channels("fleet"), self._sink, account
        )
        before = {thread.native_id for thread in threading.enumerate()}
        self._bridge.start()
        while self._sink.read()[0] != "online":
            time.sleep(0.01)
        time.sleep(0.3)  # the subscription is acknowledged
        self._own = {t.native_id for t in threading.enumerate()} - before
        self._lags: list[np.ndarray] = []
        self._known = np.full(self.twin.hub.latest.size, -math.inf)

    def tick(self) -> None:
        """Put what came on the stage, and note how old it is."""
        self.twin.tick()
        latest, now = self.twin.hub.latest, time.time()
        newer = latest.source_time > self._known
        if newer.any():
            self._lags.append(now - latest.source_time[newer])
            self._known[newer] = latest.source_time[newer]

    def figures(self) -> dict[str, Any]:
        """Return what happened since it was asked last."""
        lags, self._lags = self._lags, []
        all_lags = np.concatenate(lags) if lags else np.zeros(1)
        p50, p99 = (float(x) for x in np.percentile(all_lags, (50, 99)))
        fates = self.twin.hub.fates
        bridge = sum(
            t.user_time + t.system_time for t in psutil.Process().threads() if t.id in self._own
        )
        return {
            "received": fates.received,
            "rejected": {why: n for (_, why), n in self.twin.hub.rejections.counts().items()},
            "p50": p50,
            "p99": p99,
            "cpu": time.process_time(),
            "bridge_cpu": bridge,
        }

    def last_nodes(self, count: int) -> list[str]:
        """Return what the stage holds of where vehicles passed last."""
        return [
            str(self.stage.GetAttributeAtPath(f"/World/v{k}.twin:telemetry:node:value").Get())
            for k in range(count)
        ]

    def close(self) -> None:
        """End the bridge."""
        self._bridge.stop()


def show(port: int, count: int) -> None:
    """Tick at 60 Hz; answers each line on standard input with figures."""
    stage = Stage(port, count, credential(sys.stdin))
    keep_for_good()  # as the service does
    asked: list[str] = []
    threading.Thread(target=lambda: asked.extend(sys.stdin), daemon=True).start()
    lines = iter_lines(asked)
    say({"online": True})
    due = time.monotonic()
    while True:
        stage.tick()
        line = next(lines)
        if line == "stop":
            stage.close()
            stage.tick()
            say({**stage.figures(), "nodes": stage.last_nodes(count)})
            return
        if line:
            say(stage.figures())
        due = max(due + 1 / 60, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def keep_for_good() -> None:
    """Spare the garbage collector what lives as long as the process: else it pauses for 0.2 s."""
    gc.collect()
    gc.freeze()


def iter_lines(asked: list[str]) -> Any:
    """Yield what was asked, an empty text while there is nothing."""
    at = 0
    while True:
        if at < len(asked):
            at += 1
            yield asked[at - 1].strip()
        else:
            yield ""


def say(what: dict[str, Any]) -> None:
    """Answer."""
    print(json.dumps(what), flush=True)
