"""The demo's plant: a private folder, layers and approvals of its own, and the real service."""

from __future__ import annotations

import contextlib
import getpass
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from pxr import Sdf, Usd

from stagetwin._data import factory_folder
from stagetwin._errors import ServiceError
from stagetwin.bindings import BindingTable, read_bindings
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.opening import open_stage
from stagetwin.ports import Credential
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.broker import LocalBroker

__all__ = ["DemoPlant"]

_BENCH = Sdf.Path("/World/TestBed")
_BENCH_CONNECTION = Sdf.Path("/World/Connections/testbed")
_BENCH_PLACE = (16.0, -24.0, 0.0)
"""Where the test bed stands in the factory [m]: beside the AMR area."""
_CREDENTIAL = "demo"
_STALE_AFTER = 2.5
"""Signals of the demo are stale after this long [s], so that one need not wait to see it."""


class DemoPlant:
    """The example plant with the recorded test bed beside it, or another, on a private broker.

    Attributes:
        stage: the composed stage, as the service opens it.
        table: its bindings.
        stage_path: root layer.
        socket: control socket of the service.
        bench_topic: address that the recording goes to; empty if there is no test bed.
    """

    def __init__(self, broker: LocalBroker, stage: Path | None = None) -> None:
        """Write everything that the service needs.

        Args:
            broker: where all connections lead, whatever their endpoints say.
            stage: root layer of another plant than the example.

        Raises:
            StageError: the plant's files are missing or cannot be opened.
            BridgeError: no signal is bound on it.
        """
        # Short, since people copy it from a terminal.
        self._folder = Path(tempfile.mkdtemp(prefix="stw-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._prepare(broker, stage)
        except BaseException:
            self.close()
            raise

    def _prepare(self, broker: LocalBroker, stage: Path | None) -> None:
        self._is_example = stage is None
        self.stage_path = stage or factory_folder() / "factory.usda"
        self.socket = self._folder / "s.sock"
        self._state = self._folder / "state"
        self._credentials = self._folder / "credentials.toml"
        self._sidecars = [self._write_sidecar()]
        endpoints = self._endpoints(open_stage(self.stage_path, self._sidecars), broker)
        self.stage = open_stage(self.stage_path, self._sidecars, endpoints)
        self._endpoint_pairs = [f"{name}={uri}" for name, uri in endpoints.items()]
        self.table = read_bindings(self.stage)
        if not self.table.telemetry:
            raise BridgeError(f"{self.stage_path}: no signal is bound, so there is nothing to show")
        self.bench_topic = self._bench_topic(self.table)
        self._write_credentials(broker)
        self._approve()

    # -- what it writes

    def _write_sidecar(self) -> Path:
        """Write the layer that makes signals impatient, and puts the test bed into the example."""
        path = self._folder / "demo.usda"
        layer = Sdf.Layer.CreateNew(str(path))
        layer.comment = "What the demo adds to the plant. Made anew each time."
        plant = open_stage(self.stage_path)
        if self._is_example and not plant.GetPrimAtPath(_BENCH):
            self._add_bench(layer)
        layer.Save()
        table = read_bindings(open_stage(self.stage_path, [path]))
        for binding in table.telemetry.values():
            if math.isfinite(binding.stale_after):
                name = f"twin:telemetry:{binding.signal}:staleAfter"
                prim = Sdf.CreatePrimInLayer(layer, binding.prim)
                if name not in prim.attributes:
                    Sdf.AttributeSpec(
                        prim, name, Sdf.ValueTypeNames.Double, Sdf.VariabilityUniform
                    ).default = _STALE_AFTER
        for spec in table.connections.values():
            # The broker here lets nobody in without a password.
            if not spec.credential:
                Sdf.AttributeSpec(
                    Sdf.CreatePrimInLayer(layer, spec.prim),
                    "twin:credential",
                    Sdf.ValueTypeNames.String,
                    Sdf.VariabilityUniform,
                ).default = _CREDENTIAL
        layer.Save()
        return path

    @staticmethod
    def _add_bench(layer: Sdf.Layer) -> None:
        bench = factory_folder() / "pump_station.usda"
        if bench.is_file():
            for place, type_name in ((_BENCH, "Xform"), (_BENCH_CONNECTION, "TwinConnection")):
                prim = Sdf.CreatePrimInLayer(layer, place)
                prim.specifier, prim.typeName = Sdf.SpecifierDef, type_name
                prim.referenceList.prependedItems = [Sdf.Reference(str(bench), place)]
            prim = layer.GetPrimAtPath(_BENCH)
            op = "xformOp:translate:demo"
            attr = Sdf.AttributeSpec(prim, op, Sdf.ValueTypeNames.Double3)
            attr.default = _BENCH_PLACE
            order = Sdf.AttributeSpec(
                prim, "xformOpOrder", Sdf.ValueTypeNames.TokenArray, Sdf.VariabilityUniform
            )
            order.default = [op]

    @staticmethod
    def _endpoints(stage: Usd.Stage, broker: LocalBroker) -> dict[str, str]:
        """Return this broker's address for every connection, with the options that it has."""
        table = read_bindings(stage)
        endpoints: dict[str, str] = {}
        for name, spec in sorted(table.connections.items()):
            # Options of another protocol mean nothing here; an empty query keeps them out.
            spoken = spec.endpoint.startswith("mqtt")
            options = [spec.endpoint.partition("?")[2] if spoken else ""]
            if broker.kind == "nats":
                # It grants 65535 unacknowledged messages a session, 1024 a subscription: 63 of
                # them. So one for each area of the plant, in place of one a topic.
                topics = {channel.address for channel in table.channels(name)}
                options += sorted({f"subscribe={quote(_area(topic))}" for topic in topics})
            uri = broker.endpoint("&".join(filter(None, options)))
            endpoints[name] = uri if "?" in uri else f"{uri}?"
        return endpoints

    def _bench_topic(self, table: BindingTable) -> str:
        replayed = {name for name, spec in table.connections.items() if spec.realm == "replay"}
        addresses = {
            b.address
            for b in table.telemetry.values()
            if (b.prim.startswith(str(_BENCH)) if self._is_example else b.connection in replayed)
        }
        return addresses.pop() if len(addresses) == 1 else ""

    def _write_credentials(self, broker: LocalBroker) -> None:
        reader = broker.credential("subscriber")
        names = sorted({c.credential for c in self.table.connections.values() if c.credential})
        fd = os.open(self._credentials, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            for name in names:
                file.write(_toml(name, reader))

    def _approve(self) -> None:
        """Approve the guards, in a book of the demo's own: commands reach the private broker."""
        self._state.mkdir(mode=0o700)
        hashes = GuardStage(self.stage.GetRootLayer()).hashes()
        GuardBook(self._state / "guards.json").approve(hashes, getpass.getuser(), time.time())

    # -- the service

    def start(self) -> None:
        """Start the service in a process of its own."""
        command = [
            *(sys.executable, "-m", "stagetwin", "run", str(self.stage_path)),
            *(f"--sidecar={path}" for path in self._sidecars),
            *(f"--endpoint={pair}" for pair in self._endpoint_pairs),
            f"--credentials={self._credentials}",
            f"--socket={self.socket}",
            f"--state-dir={self._state}",
            "--log-level=warning",
        ]
        with (self._folder / "service.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the demo, which then ends the service in its own time.
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """Process id of the service."""
        return self._process.pid if self._process is not None else None

    def check_alive(self) -> None:
        """Raise BridgeError with the end of its log if the service has ended."""
        if self._process is not None and self._process.poll() is not None:
            log = (self._folder / "service.log").read_text(errors="replace").splitlines()
            raise BridgeError(f"the service has ended: {' | '.join(log[-5:]) or 'no log'}")

    def close(self) -> None:
        """End the service and remove everything."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=8)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder)


def _area(topic: str) -> str:
    """Return the filter of all topics that share the first two levels, of a shorter one itself."""
    levels = topic.split("/")
    return "/".join([*levels[:2], "#"]) if len(levels) > 2 else topic


def _toml(name: str, credential: Credential) -> str:
    values: Mapping[str, str] = {
        "username": credential.username,
        "password": credential.password.get_secret_value(),
    }
    for value in values.values():
        if any(c in value for c in '"\\\n'):
            raise ServiceError("a generated credential cannot be written as TOML")
    lines = "".join(f'{key} = "{value}"\n' for key, value in values.items())
    return f'["{name}"]\n{lines}\n'
