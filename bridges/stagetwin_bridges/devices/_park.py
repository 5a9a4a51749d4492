"""All simulated devices of a plant, one process a connection or a group of assets."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stagetwin import ServiceError
from stagetwin.bindings import read_bindings
from stagetwin.opening import open_stage
from stagetwin.ports import Credential
from stagetwin.service import ControlClient
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.devices._config import DeviceConfig, ServerOptions
from stagetwin_bridges.devices._finding import chosen, place_of
from stagetwin_bridges.devices._log import Entry, read_log

__all__ = ["DeviceGroup", "DevicePark"]

_START = 40.0
"""How long a process may take until it can be reached [s]."""
_END = 8.0


@dataclass(frozen=True, slots=True)
class DeviceGroup:
    """What one process serves.

    Attributes:
        connection: name of the connection.
        assets: prim paths; empty is all of the connection's.
        name: of the process; the connection's by default.
    """

    connection: str
    assets: tuple[str, ...] = ()
    name: str = ""

    @property
    def label(self) -> str:
        """What the process is called."""
        return self.name or self.connection


@dataclass(slots=True)
class _Child:
    config: DeviceConfig
    process: subprocess.Popen[bytes] | None = None
    socket: Path = field(default_factory=Path)


class DevicePark:
    """Simulated devices for a plant, ended with their context.

    Args:
        stage: root layer of the plant.
        folder: private folder for sockets, logs and configurations; a short path.
        sidecars: layers with bindings for the plant, strongest first.
        endpoints: endpoints to use in place of the stage's, by connection name.
        credentials: what devices present to their broker, by connection name.
        groups: what each process serves; by default one process for each connection of realm
            simulation that carries something and whose protocol is mqtt, mqtts or opc.tcp.
        servers: how OPC UA devices guard themselves, by connection name.
        rate: telemetry messages of each signal per second [Hz].
        seed: of everything random.
        models: whether models of the stage stand in for the machines.
        faults: script of faults, whose time begins with `start`.
    """

    def __init__(
        self,
        stage: Path,
        folder: Path,
        *,
        sidecars: Sequence[Path] = (),
        endpoints: Mapping[str, str] | None = None,
        credentials: Mapping[str, Credential] | None = None,
        groups: Sequence[DeviceGroup] | None = None,
        servers: Mapping[str, ServerOptions] | None = None,
        rate: float = 5.0,
        seed: int = 1,
        models: bool = True,
        faults: Path | None = None,
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._children: dict[str, _Child] = {}
        self._began = 0.0
        wanted = groups if groups is not None else _groups(stage, sidecars, endpoints or {})
        for group in wanted:
            if group.label in self._children:
                raise BridgeError(f"two groups are called {group.label!r}")
            config = DeviceConfig(
                stage=stage,
                sidecars=tuple(sidecars),
                endpoints=dict(endpoints or {}),
                connection=group.connection,
                assets=group.assets,
                credential=(credentials or {}).get(group.connection),
                rate=rate,
                seed=seed,
                control=folder / f"{group.label}.device.sock",
                log=folder / f"{group.label}.log.jsonl",
                server=(servers or {}).get(group.connection, ServerOptions()),
                models=models,
                faults=faults,
                siblings=tuple(
                    folder / f"{each.label}.log.jsonl"
                    for each in wanted
                    if each.label != group.label
                ),
            )
            self._children[group.label] = _Child(config)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- processes

    def start(self) -> None:
        """Start every process and wait until all can be reached.

        Raises:
            BridgeError: one ended, or could not be reached in time; tells the end of its log.
        """
        self._began = time.time()
        try:
            for name in self._children:
                self._spawn(name)
            for name in self._children:
                self._await_ready(name)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all processes; their logs stay."""
        for child in self._children.values():
            if child.process is not None and child.process.stdin is not None:
                with contextlib.suppress(OSError):
                    child.process.stdin.close()
        for child in self._children.values():
            _reap(child, _END)

    def kill(self, name: str) -> None:
        """End a process at once, as a power cut would."""
        child = self._child(name)
        if child.process is not None:
            child.process.kill()
        _reap(child, _END)

    def restart(self, name: str) -> None:
        """Start a process again, as after a power cut: machines begin anew, the log goes on."""
        _reap(self._child(name), 0.0)
        self._spawn(name)
        self._await_ready(name)

    @property
    def names(self) -> list[str]:
        """Names of the processes."""
        return list(self._children)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of those that run."""
        return {
            name: child.process.pid
            for name, child in self._children.items()
            if child.process is not None and child.process.poll() is None
        }

    # -- devices

    def devices(self) -> list[dict[str, Any]]:
        """Return all devices that run, as their control sockets describe them."""
        return [row for name in self.pids for row in self._ask(name, op="devices")["devices"]]

    def misbehave(self, asset: str, mode: str) -> None:
        """Let a device misbehave; `none` ends it.

        Args:
            asset: id, name or prim path.
            mode: as `Misbehaviour.parse` reads it.

        Raises:
            BridgeError: there is no such asset; names those that are nearly called so.
        """
        rows = [
            {**row, "process": name}
            for name in self.pids
            for row in self._ask(name, op="devices")["devices"]
        ]
        row = chosen(rows, asset)
        try:
            self._ask(row["process"], op="misbehave", asset=row["asset"], mode=mode)
        except ServiceError as error:
            raise BridgeError(str(error)) from None

    def fault(self, where: str, kind: str, **how: Any) -> None:
        """Let a machine or a sensor fail from now on; the kind `none` ends it.

        Args:
            where: id, name or prim path of a device, or that with `.signal` behind it.
            kind: as `stagetwin devices fault DEVICE` lists them.
            how: `amount`, `unit`, `model`, `ramp` [s], `lasts` [s].

        Raises:
            BridgeError: nobody has such a machine or signal, or it cannot fail so.
        """
        rows = [row for name in self.pids for row in self._ask(name, op="devices")["devices"]]
        place = place_of(rows, where)
        request = {"op": "fault", "where": place, "kind": kind, "how": how}
        try:
            taken = [self._ask(name, **request)["taken"] for name in self.pids]
        except ServiceError as error:
            raise BridgeError(str(error)) from None
        if not any(taken):
            raise BridgeError(f"{place} cannot fail: there is no such machine or signal")

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults that are in force or still to come, of processes that run."""
        return [row for name in self.pids for row in self._ask(name, op="faults")["faults"]]

    def log(self) -> list[Entry]:
        """Return what became of every command, oldest first, of processes that ended too."""
        entries = [e for child in self._children.values() for e in read_log(child.config.log)]
        return sorted(entries, key=lambda entry: entry.time)

    def executed(self) -> list[Entry]:
        """Return the commands that moved a machine, oldest first."""
        return [entry for entry in self.log() if entry.outcome == "executed"]

    # -- parts

    def _child(self, name: str) -> _Child:
        if name not in self._children:
            known = ", ".join(self._children) or "none"
            raise BridgeError(f"no device process {name!r}; there are {known}")
        return self._children[name]

    def _ask(self, name: str, **request: Any) -> dict[str, Any]:
        with ControlClient(self._child(name).config.control) as client:
            return client.ask(**request)

    def _spawn(self, name: str) -> None:
        child = self._child(name)
        path = self.folder / f"{name}.json"
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(child.config.model_copy(update={"began": self._began}).to_json())
        with (self.folder / f"{name}.stderr").open("wb") as errors:
            child.process = subprocess.Popen(
                [sys.executable, "-m", "stagetwin_bridges.devices", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                # Ctrl-C is for whoever holds this park, who then ends the devices.
                start_new_session=True,
            )

    def _await_ready(self, name: str) -> None:
        process = self._child(name).process
        assert process is not None
        assert process.stdout is not None
        until = time.monotonic() + _START
        line = b""
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise BridgeError(f"device {name!r} is not ready after {_START:g} s")
            more = os.read(process.stdout.fileno(), 4096)
            if not more:
                said = (self.folder / f"{name}.stderr").read_text(errors="replace").splitlines()
                raise BridgeError(f"device {name!r} ended: {' | '.join(said[-5:]) or 'no word'}")
            line += more
        # There may be secrets in it, and it was read.
        (self.folder / f"{name}.json").unlink(missing_ok=True)
        if not json.loads(line)["ready"]:
            raise BridgeError(f"device {name!r} cannot reach its broker")


def _reap(child: _Child, timeout: float) -> None:
    """Wait for a process, kill it where that takes too long, and close its pipes."""
    process, child.process = child.process, None
    if process is None:
        return
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    child.config.control.unlink(missing_ok=True)


def _groups(
    stage: Path, sidecars: Sequence[Path], endpoints: Mapping[str, str]
) -> list[DeviceGroup]:
    table = read_bindings(open_stage(stage, sidecars, endpoints))
    used = {b.connection for b in (*table.telemetry.values(), *table.commands)}
    return [
        DeviceGroup(name)
        for name, spec in table.connections.items()
        if name in used
        and spec.realm == "simulation"
        and spec.endpoint.startswith(("mqtt://", "mqtts://", "opc.tcp://"))
    ]
