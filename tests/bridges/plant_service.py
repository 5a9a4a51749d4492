"""A real service over a real broker, for tests that go from end to end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stagetwin import ServiceError
from stagetwin.ports import Credential
from stagetwin.service import ControlClient
from stagetwin_bridges.broker import LocalBroker

__all__ = ["PlantService", "wait_for"]


def wait_for(what: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Return the first true answer; fail after `timeout` [s]."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(ServiceError):
            if answer := what():
                return answer
        time.sleep(0.05)
    raise AssertionError("it never came true")


class PlantService:
    """`stagetwin run` in a process of its own, its bridges in theirs.

    Args:
        stage: root layer.
        folder: private folder for socket, state and credentials.
        broker: where every connection of the stage leads.
        connections: their names, with the credential name each asks for.
        query: options of the endpoints.
        sidecars: layers on top of the stage.
        roles: who may command; None leaves the service read-only. Empty where a policy file says.
        commanders: credential names that stand for the broker's commander.
        extra: further words of the command line.
    """

    def __init__(
        self,
        stage: Path,
        folder: Path,
        broker: LocalBroker,
        connections: dict[str, str],
        query: str = "",
        sidecars: tuple[Path, ...] = (),
        roles: dict[str, str] | None = None,
        commanders: tuple[str, ...] = (),
        extra: tuple[str, ...] = (),
    ) -> None:
        self.stage = stage
        self.socket = folder / "run" / "s.sock"
        self._connections = connections
        credentials = folder / "credentials.toml"
        self.state_dir = folder / "state"
        readers = sorted(set(connections.values()))
        credentials.write_text(
            "\n".join(
                [
                    *(toml(name, broker.credential("subscriber")) for name in readers),
                    *(toml(name, broker.credential("commander")) for name in commanders),
                ]
            )
        )
        credentials.chmod(0o600)
        # A bare `?` drops the options that the stage's endpoint has.
        endpoint = broker.endpoint(query)
        self._command = [
            *(sys.executable, "-m", "stagetwin", "run", str(stage)),
            *("--socket", str(self.socket), "--state-dir", str(self.state_dir)),
            *("--credentials", str(credentials)),
            *(f"--endpoint={name}={endpoint}" for name in connections),
            *(f"--sidecar={path}" for path in sidecars),
            *(["--allow-commands"] if roles is not None else []),
            *(f"--role={role}={user}" for role, user in (roles or {}).items()),
            *extra,
        ]
        self._log = folder / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stderr=log, env={**os.environ, "PYTHONWARNINGS": "error"}
            )
        try:
            wait_for(self.online)
        except AssertionError:
            self.kill()
            raise AssertionError(f"the service is not online:\n{self.log}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        if error is None:
            assert self._process.returncode == 0, self.log
            assert "Traceback" not in self.log, self.log

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Process id of the service."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def ask(self, **request: Any) -> dict[str, Any]:
        """Ask the service."""
        with ControlClient(self.socket) as client:
            return client.ask(**request)

    def status(self) -> dict[str, Any]:
        """Return the service's status."""
        return self.ask(op="status")

    def online(self) -> bool:
        """Return whether every connection is online."""
        links = self.status()["connections"]
        return links.keys() == self._connections.keys() and all(
            link["state"] == "online" for link in links.values()
        )

    def seen(self, prim: str = "/") -> dict[str, dict[str, Any]]:
        """Return what is on the stage, by prim path and signal name."""
        reply = self.ask(op="values", prim=prim)
        return {
            f"{s['prim']}.{s['signal']}": frame
            for s, frame in zip(reply["signals"], reply["frame"], strict=True)
        }

    def rejected(self) -> dict[str, int]:
        """Return rejections by reason, over all connections."""
        counts: dict[str, int] = {}
        for row in self.status()["rejections"]:
            counts[row["reason"]] = counts.get(row["reason"], 0) + row["count"]
        return counts


def toml(name: str, credential: Credential) -> str:
    """Return a credential as a TOML table."""
    return (
        f'["{name}"]\nusername = "{credential.username}"\n'
        f'password = "{credential.password.get_secret_value()}"\n'
        f'ca_file = "{credential.ca_file}"\n'
    )
