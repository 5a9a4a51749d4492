"""The demo's plant: a private folder, layers and approvals of its own, and the real service."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pxr import Sdf, Usd

from stagetwin._data import factory_folder
from stagetwin._errors import ServiceError
from stagetwin.bindings import BindingTable, read_bindings
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.opening import open_stage
from stagetwin.ports import ConnectionSpec, Credential, scheme_of
from stagetwin_bridges._errors import BridgeError, RealmError
from stagetwin_bridges.broker import LocalBroker, Role
from stagetwin_bridges.commands._demo_endpoints import SERVED, endpoints_at
from stagetwin_bridges.commands._fleet_cast import FleetCast, is_fleet
from stagetwin_bridges.commands._vehicles import FleetGroup, FleetPark
from stagetwin_bridges.devices import DeviceGroup, DevicePark, ServerOptions, ServerUser

__all__ = ["DemoPlant"]

_BENCH = Sdf.Path("/World/TestBed")
_BENCH_CONNECTION = Sdf.Path("/World/Connections/testbed")
_BENCH_PLACE = (16.0, -24.0, 0.0)
"""Where the test bed stands in the factory [m]: beside the AMR area."""
_CREDENTIAL, _COMMAND_CREDENTIAL = "demo", "demo-commander"
_VEHICLES = "demo-vehicles"
"""Credential of the vehicles."""
_STALE_AFTER = 2.5
"""Signals of the demo are stale after this long [s], so that one need not wait to see it."""


class DemoPlant:
    """The example plant with the recorded test bed beside it, or another, on a private broker.

    Attributes:
        stage: the composed stage, as the service opens it.
        table: its bindings.
        stage_path: root layer.
        socket: control socket of the service.
        devices: folder with the control sockets of the simulated devices.
        bench_topic: address that the recording goes to; empty if there is no test bed.
    """

    def __init__(self, broker: LocalBroker, stage: Path | None = None) -> None:
        """Write everything that the service needs.

        Args:
            broker: where connections lead, whatever their endpoints say; those of OPC UA lead to
                a server on a free port of this host.
            stage: root layer of another plant than the example.

        Raises:
            StageError: the plant's files are missing or cannot be opened.
            BridgeError: no signal is bound on it.
            RealmError: a connection leads to a plant, where machines are real.
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
        self._broker = broker
        self.stage_path = stage or factory_folder() / "factory.usda"
        self.socket = self._folder / "s.sock"
        self.devices = self._folder / "devices"
        self._state = self._folder / "state"
        self._credentials = self._folder / "credentials.toml"
        self._sidecars = [self._write_sidecar()]
        endpoints = endpoints_at(broker, read_bindings(open_stage(self.stage_path, self._sidecars)))
        self.stage = open_stage(self.stage_path, self._sidecars, endpoints)
        self._endpoints_in_use = endpoints
        self.table = read_bindings(self.stage)
        if not self.table.telemetry:
            raise BridgeError(f"{self.stage_path}: no signal is bound, so there is nothing to show")
        for name, spec in self.table.connections.items():
            if spec.realm == "plant":
                raise RealmError(
                    f"{spec.prim}: connection {name!r} leads to a plant; the demo's machines are "
                    f"made up, allowed: realm simulation or replay"
                )
        self.bench_topic = self._bench_topic(self.table)
        self._roles = _roles_of(self.table.connections.values())
        self._write_credentials()
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
        commanded = {binding.connection for binding in table.commands}
        for name, spec in table.connections.items():
            # Nobody is let in here without a password, and who reads may not command.
            if not spec.credential:
                _author(layer, spec, "twin:credential", _CREDENTIAL)
            if name in commanded and not spec.command_credential:
                _author(layer, spec, "twin:commandCredential", _COMMAND_CREDENTIAL)
            if scheme_of(spec.endpoint) == SERVED:
                _author(layer, spec, "twin:securityProfile", "none")
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

    def _bench_topic(self, table: BindingTable) -> str:
        replayed = {name for name, spec in table.connections.items() if spec.realm == "replay"}
        addresses = {
            b.address
            for b in table.telemetry.values()
            if (b.prim.startswith(str(_BENCH)) if self._is_example else b.connection in replayed)
        }
        return addresses.pop() if len(addresses) == 1 else ""

    def _write_credentials(self) -> None:
        fd = os.open(self._credentials, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            roles: dict[str, Role] = {**self._roles, _VEHICLES: "device"}
            for name, role in sorted(roles.items()):
                file.write(_toml(name, self._broker.credential(role)))

    def _approve(self) -> None:
        """Approve the guards, in a book of the demo's own: commands reach made-up machines."""
        self._state.mkdir(mode=0o700)
        hashes = GuardStage(self.stage.GetRootLayer()).hashes()
        GuardBook(self._state / "guards.json").approve(hashes, _user(), time.time())

    # -- the devices

    def device_park(
        self, rate: float, recorded: str = "", faults: Path | None = None
    ) -> DevicePark:
        """Return machines for every connection, not yet started.

        Args:
            rate: telemetry messages of each signal per second [Hz].
            recorded: address that a recording plays to; no machine does.
            faults: script of faults.
        """
        connections = self.table.connections
        bindings = (*self.table.telemetry.values(), *self.table.commands)
        groups: list[DeviceGroup] = []
        for name, spec in connections.items():
            if is_fleet(spec):
                continue
            played = {b.asset for b in bindings if recorded and b.address == recorded}
            assets = {b.asset for b in bindings if b.connection == name}
            if made_up := assets - played:
                # No assets named is all of them.
                named = () if made_up == assets else tuple(sorted(made_up))
                groups.append(DeviceGroup(name, named))
        served = {n: s for n, s in connections.items() if scheme_of(s.endpoint) == SERVED}
        return DevicePark(
            self.stage_path,
            self.devices,
            sidecars=self._sidecars,
            endpoints=self._endpoints_in_use,
            credentials={
                name: self._broker.credential("device") for name in connections.keys() - served
            },
            groups=groups,
            servers={name: self._server(spec) for name, spec in served.items()},
            rate=rate,
            faults=faults,
        )

    def fleet_park(self, cast: FleetCast) -> FleetPark:
        """Return the vehicles of every fleet, not yet started.

        Args:
            cast: who plays; one whose process is to die has one of its own.
        """
        alone = cast.lost.vehicle if cast.lost else ""
        groups: list[FleetGroup] = []
        for connection, vehicles in cast.vehicles:
            together = tuple(name for name in vehicles if name != alone)
            groups += [FleetGroup(connection, names) for names in (together, (alone,)) if names]
            if alone not in vehicles:
                groups.pop()
        return FleetPark(
            self.stage_path,
            self._folder,
            groups,
            credentials=self._credentials,
            credential=_VEHICLES,
            sidecars=self._sidecars,
            endpoints=self._endpoints_in_use,
        )

    def mirror(self) -> Usd.Stage:
        """Return the stage as an editor opens it, to be edited."""
        return open_stage(self.stage_path, self._sidecars)

    def _server(self, spec: ConnectionSpec) -> ServerOptions:
        """Return who may come in: who reads, and who commands."""
        users: dict[str, ServerUser] = {}
        for name in filter(None, (spec.credential, spec.command_credential)):
            role = self._roles[name]
            known = self._broker.credential(role)
            users[role] = ServerUser(
                username=known.username, password=known.password, commands=role != "subscriber"
            )
        return ServerOptions(users=tuple(users.values()))

    # -- the service

    @property
    def viewed(self) -> bool:
        """Whether browsers are let in: what serves them is installed."""
        return importlib.util.find_spec("uvicorn") is not None

    def start(self) -> None:
        """Start the service in a process of its own; whoever runs the demo holds every role."""
        roles = {role for asset in self.table.assets.values() for role in asset.roles}
        command = [
            *(sys.executable, "-m", "stagetwin", "run", str(self.stage_path)),
            *(f"--sidecar={path}" for path in self._sidecars),
            *(f"--endpoint={name}={uri}" for name, uri in self._endpoints_in_use.items()),
            "--allow-commands",
            *(f"--role={role}={_user()}" for role in sorted(roles)),
            f"--credentials={self._credentials}",
            f"--socket={self.socket}",
            f"--state-dir={self._state}",
            *(["--listen=127.0.0.1:0"] if self.viewed else []),
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

    def stop(self) -> None:
        """Ask the service to end, without waiting for it."""
        if self._process is not None:
            self._process.terminate()

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


def _user() -> str:
    """Return who runs this, as the service will see it at the other end of its socket."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


def _roles_of(connections: Iterable[ConnectionSpec]) -> dict[str, Role]:
    """Return what each credential's name stands for."""
    specs = list(connections)
    readers = {spec.credential for spec in specs if spec.credential}
    commanders = {spec.command_credential for spec in specs if spec.command_credential}
    roles: dict[str, Role] = dict.fromkeys(readers, "subscriber")
    for name in commanders:
        # One name for both ways must be let through both ways.
        roles[name] = "device" if name in readers else "commander"
    return roles


def _author(layer: Sdf.Layer, spec: ConnectionSpec, name: str, value: str) -> None:
    type_name = Sdf.ValueTypeNames.Token
    if name.endswith("redential"):
        type_name = Sdf.ValueTypeNames.String
    prim = Sdf.CreatePrimInLayer(layer, spec.prim)
    Sdf.AttributeSpec(prim, name, type_name, Sdf.VariabilityUniform).default = value


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
