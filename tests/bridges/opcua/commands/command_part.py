"""A command server in a process of its own, a sink, and what a proxy saw of the commands."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stagetwin.actuation import CommandTarget, Fate, Reading, Report, Transmission
from stagetwin.clock import WallClock
from stagetwin.ports import ConnectionState, ValueKind
from tests.bridges.recording_sink import eventually

PLANT = "http://stagetwin.example/plant"
GUARD = "guards-1"
ASSET = "/World/Pump"


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as plug:
        return int(plug.getsockname()[1])


class ServerProcess:
    """`command_server.py`, running; it ends with the `with` block."""

    def __init__(self, port: int, *options: str) -> None:
        self.port = port
        self._script = Path(__file__).with_name("command_server.py")
        self._process = subprocess.Popen(
            [sys.executable, str(self._script), str(port), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.told: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._listen, name="command-server", daemon=True)
        self._thread.start()
        assert self._lines.get(timeout=60).strip() == "ready"

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self.told.append(json.loads(line))
            else:
                self._lines.put(line)


class CommandRecorder:
    """`CommandSink` that keeps everything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.states: list[tuple[ConnectionState, str]] = []
        self.reports: list[Report] = []
        self.readings: list[Reading] = []

    def state(self, state: ConnectionState, cause: str = "") -> None:
        with self._lock:
            self.states.append((state, cause))

    def report(self, report: Report) -> None:
        with self._lock:
            self.reports.append(report)

    def reading(self, reading: Reading) -> None:
        with self._lock:
            self.readings.append(reading)

    def online(self) -> bool:
        with self._lock:
            return bool(self.states) and self.states[-1][0] is ConnectionState.ONLINE

    def of(self, id: str) -> list[Report]:
        with self._lock:
            return [report for report in self.reports if report.id == id]

    def fates(self, id: str) -> list[Fate]:
        return [report.fate for report in self.of(id)]

    def end(self, id: str, timeout: float = 20.0) -> Report:
        """Return the last report of a transmission, when there is one."""

        def final() -> Report | None:
            return next((report for report in self.of(id) if report.final), None)

        found: Report = eventually(final, timeout)
        return found


def target(
    name: str,
    operation: str = "write",
    wire_type: str = "auto",
    kind: ValueKind = ValueKind.NUMBER,
    uri: str = PLANT,
    address: str = "",
) -> CommandTarget:
    """Return the command of a pump that goes to a node, or to a method of the pump."""
    node = f"nsu={uri};s={name}"
    if operation == "method":
        node = f"nsu={uri};s=Pump {node}"
    return CommandTarget(
        prim=ASSET,
        command=name.lower(),
        address=address or node,
        operation=operation,
        wire_type=wire_type,
        kind=kind,
    )


class Issuer:
    """Makes transmissions, each with a newer token."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(
        self,
        to: CommandTarget,
        value: Any,
        *,
        deadline: float = 5.0,
        expires: float = 10.0,
        guard: str = GUARD,
        number: int | None = None,
        realm: str = "simulation",
    ) -> Transmission:
        self._number += 1
        now = WallClock().steady()
        return Transmission(
            id=str(uuid.uuid4()),
            target=to,
            value=value,
            asset=ASSET,
            guard=guard,
            token=(1, self._number if number is None else number),
            deadline=now + deadline,
            expires=now + expires,
            realm=realm,
        )


def told(server: ServerProcess, name: str) -> list[dict[str, Any]]:
    """Return what a server was told to do with a node or method, in order."""
    return [line for line in server.told if name in (line.get("write"), line.get("call"))]


_WRITE, _CALL = 673, 712


def commands_in(sent: Iterable[bytes]) -> int:
    """Return how many WriteRequests and CallRequests lie in what clients sent, without security."""
    count = 0
    for stream in sent:
        position = 0
        while position + 28 <= len(stream):
            kind = stream[position : position + 4]
            size = int.from_bytes(stream[position + 4 : position + 8], "little")
            body = stream[position + 24 : position + size]
            if kind == b"MSGF" and body[:2] == b"\x01\x00":
                count += int.from_bytes(body[2:4], "little") in (_WRITE, _CALL)
            position += max(size, 8)
    return count


def written_in(sent: Iterable[bytes], name: str) -> list[tuple[int, int]]:
    """Return the mask of the DataValue and the type byte of every write of a node, as they left.

    Behind the node's name lie the attribute (13 is Value) and an index range that is null.
    """
    mark = name.encode() + b"\x0d\0\0\0\xff\xff\xff\xff"
    found: list[tuple[int, int]] = []
    for stream in sent:
        position = stream.find(mark)
        while position >= 0:
            end = position + len(mark)
            # A Read names the node in the same way, and then a null encoding instead of a mask.
            if stream[end : end + 2] != b"\0\0":
                found.append((stream[end], stream[end + 1]))
            position = stream.find(mark, end)
    return found
