"""Server processes for the tests: asyncua's, and a foreign one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["FOREIGN", "PUMPS", "ServerProcess", "foreign_server", "free_port", "node"]

PUMPS = "http://plant.example/pumps"
FOREIGN = "http://plant.example/foreign"

_HERE = Path(__file__).parent


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def node(name: str, uri: str = PUMPS) -> str:
    """Return the address of a node."""
    return f"nsu={uri};s={name}"


class ServerProcess:
    """A server process that holds some variables and does what it is told.

    Args:
        variables: by name, type and value.
        command: how to run it; asyncua's server where none is given.
        **plan: the rest of what the server is told first.
    """

    def __init__(
        self,
        variables: dict[str, tuple[str, Any]],
        command: list[str] | None = None,
        **plan: Any,
    ) -> None:
        self.plan: dict[str, Any] = {
            "port": free_port(),
            "namespaces": [PUMPS],
            "variables": variables,
            **plan,
        }
        self._command = command or [sys.executable, str(_HERE / "plant_server.py")]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.plan["port"])

    def endpoint(self, query: str = "", port: int | None = None) -> str:
        """Return its endpoint URI."""
        return f"opc.tcp://127.0.0.1:{port or self.port}/plant" + (f"?{query}" if query else "")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._ask(self.plan)["ready"]

    def _ask(self, said: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(said) + "\n")
        process.stdin.flush()
        while line := process.stdout.readline():
            # A server may have something to say for people, too.
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise AssertionError(f"the server ended with {process.wait()}")

    def write(self, name: str, value: Any, status: str = "Good", time: float | None = None) -> None:
        """Let a variable have a value, as its device would."""
        said: dict[str, Any] = {"name": name, "value": value, "status": status}
        self._ask(said if time is None else {**said, "time": time})

    def burst(self, name: str, values: list[Any]) -> None:
        """Let a variable have values one at once after the other."""
        self._ask({"name": name, "values": values})

    def add(self, name: str, kind: str, value: Any) -> None:
        """Add a variable."""
        self._ask({"do": "add", "name": name, "variable": [kind, value]})

    def read(self, name: str) -> dict[str, Any]:
        """Return value, type and source time of a variable."""
        return self._ask({"do": "read", "name": name})

    def sessions(self) -> int:
        """Return how many connections the server has."""
        return int(self._ask({"do": "sessions"})["sessions"])

    def suspend(self) -> None:
        """Stop the process where it is."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def restart(self) -> None:
        """End it and start it again."""
        self.kill()
        self.start()


def foreign_server(
    variables: dict[str, tuple[str, Any]], folder: Path, **plan: Any
) -> ServerProcess:
    """Return node-opcua's server, not started."""
    script = str(_HERE / "foreign" / "server.js")
    return ServerProcess(variables, ["node", script], folder=str(folder), **plan)
