"""The demo's vehicles: virtual fleets in processes of their own, one of which may die."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stagetwin_bridges._errors import BridgeError

__all__ = ["FleetGroup", "FleetPark"]

_END = 8.0
_LOG_LINES = 5


@dataclass(frozen=True, slots=True)
class FleetGroup:
    """What one process is.

    Attributes:
        connection: name of the connection.
        vehicles: `MANUFACTURER/SERIAL` of each.
    """

    connection: str
    vehicles: tuple[str, ...]


class FleetPark:
    """Virtual fleets for a plant, each a process that runs `stagetwin virtual-fleet`.

    Args:
        stage: root layer of the plant.
        folder: private folder for logs.
        groups: what each process is.
        credentials: TOML file with what vehicles present to the broker.
        credential: its name in there.
        sidecars: layers with bindings for the plant, strongest first.
        endpoints: endpoints to use in place of the stage's, by connection name.
    """

    def __init__(
        self,
        stage: Path,
        folder: Path,
        groups: Sequence[FleetGroup],
        *,
        credentials: Path,
        credential: str,
        sidecars: Sequence[Path] = (),
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        self._folder, self._groups = folder, tuple(groups)
        self._common = [
            *(sys.executable, "-m", "stagetwin", "virtual-fleet", str(stage)),
            *(f"--credentials={credentials}", f"--credential={credential}"),
            *(f"--sidecar={path}" for path in sidecars),
            *(f"--endpoint={name}={uri}" for name, uri in (endpoints or {}).items()),
        ]
        self._processes: dict[FleetGroup, subprocess.Popen[bytes]] = {}

    @property
    def vehicles(self) -> int:
        """How many there are."""
        return sum(len(group.vehicles) for group in self._groups)

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that run."""
        return [each.pid for each in self._processes.values() if each.poll() is None]

    def start(self) -> None:
        """Start what does not run; vehicles connect in their own time."""
        for group in self._groups:
            if group not in self._processes:
                self._processes[group] = self._spawn(group)

    def kill(self, vehicle: str) -> int:
        """End the process of a vehicle at once, as a crash would; returns its id.

        Raises:
            BridgeError: it has none.
        """
        group = next((g for g in self._processes if vehicle in g.vehicles), None)
        if group is None:
            raise BridgeError(f"no process runs the vehicle {vehicle}")
        process = self._processes.pop(group)
        process.kill()
        process.wait()
        return process.pid

    def check_alive(self) -> None:
        """Raise BridgeError with the end of its log if a process has ended by itself."""
        for group, process in self._processes.items():
            if process.poll() is not None:
                log = self._log(group).read_text(errors="replace").splitlines()
                said = " | ".join(log[-_LOG_LINES:]) or "no log"
                raise BridgeError(f"the vehicles of {group.connection} have ended: {said}")

    def stop(self) -> None:
        """Let all vehicles say goodbye, and end."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(timeout=_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = {}

    def _spawn(self, group: FleetGroup) -> subprocess.Popen[bytes]:
        command = [
            *self._common,
            f"--connection={group.connection}",
            *(f"--vehicle={name}" for name in group.vehicles),
        ]
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self._log(group).open("ab"))
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the demo, which then ends them in its own time.
                start_new_session=True,
            )

    def _log(self, group: FleetGroup) -> Path:
        return self._folder / f"vehicles-{self._groups.index(group)}.log"
