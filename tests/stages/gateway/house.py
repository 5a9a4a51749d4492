"""A running plant for the tests of the gateway, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import websockets
from websockets.asyncio.client import ClientConnection

from stagetwin import ServiceError
from stagetwin.gateway import ListenConfig
from stagetwin.people import Passwords
from stagetwin.people._passwords import hash_of_token
from stagetwin.service import ControlClient, ServiceConfig
from stagetwin.sync import Frame, decode_frame
from tests.stages.plants import HEADER, asset, command, connection, prim, telemetry

WAIT = 60.0
"""How long anything may take on a machine that is loaded [s]."""

PASSWORD = "correct horse battery"
PROTOCOL = "stagetwin.sync.1"

PUMPS = 4
SIGNALS = 25


def pump(line: int, number: int) -> str:
    """A pump with signals, a shape that differs by line, and a command."""
    return prim(
        f"P{number}",
        asset(f"l{line}p{number}", connection="field", level="twin"),
        *(telemetry(f"s{i}", address=f"l{line}/p{number}/s{i}") for i in range(SIGNALS)),
        telemetry("tag", "token", f"l{line}/p{number}/tag"),
        telemetry(
            "place",
            "double3",
            f"l{line}/p{number}/place",
            target=f"/World/Line{line}/P{number}.xformOp:translate",
        ),
        command("speed", address=f"l{line}/p{number}/set", approval="none"),
        "double3 xformOp:translate = (0, 0, 0)",
        'uniform token[] xformOpOrder = ["xformOp:translate"]',
        f'def Cube "Body" {{\ndouble size = {line + number * 0.1}\n}}',
        meta='kind = "component"',
    )


def plant_text(name: str) -> str:
    """A plant of two lines."""
    lines = [
        prim(f"Line{line}", *(pump(line, n) for n in range(1, PUMPS + 1)), meta='kind = "group"')
        for line in (1, 2)
    ]
    world = prim("World", connection("field", f"soft://{name}"), *lines, meta='kind = "assembly"')
    return HEADER.replace("(", '(\n    defaultPrim = "World"', 1) + world


def policy(path: Path) -> None:
    """Write who may what: ada everything, lin line 1 alone; a token of each kind."""
    hashed = Passwords().hash(PASSWORD)
    lines = ["version = 1"]
    for name in ("ada", "lin", "bob"):
        lines += [f"[accounts.{name}]", "disabled = false", f'password = "{hashed}"']
    for name, account in (("ada", "ada"), ("lin", "lin"), ("meter", "")):
        lines += [
            f"[tokens.{name}]",
            f'account = "{account}"',
            "expires = 2099-01-01T00:00:00+00:00",
            f'hash = "{hash_of_token(token(name))}"',
        ]
    for who, role, below in (
        ("ada", "operator", "/"),
        ("ada", "engineer", "/"),
        ("lin", "viewer", "/World/Line1"),
        ("token:meter", "viewer", "/World/Line2"),
    ):
        lines += ["[[grants]]", f'who = "{who}"', f'role = "{role}"', f'below = "{below}"']
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)


def token(name: str) -> str:
    """Return the secret of a program."""
    return f"stagetwin_{name:x<43}"


def wait_for(what: Callable[[], Any], seconds: float = WAIT) -> Any:
    """Return the first true answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ServiceError, httpx.HTTPError):
            if answer := what():
                return answer
        time.sleep(0.03)
    raise AssertionError("it never came true")


class House:
    """A service and its gateway, running.

    Attributes:
        url: where browsers find it.
        stage: file of the plant.
        people: file of accounts, None in local mode.
    """

    def __init__(self, folder: Path, *, people: bool = True, **listen: Any) -> None:
        name = folder.name
        self.stage = folder / "plant.usda"
        self.stage.write_text(plant_text(name))
        self.people = folder / "people.toml" if people else None
        if self.people is not None:
            policy(self.people)
        self.socket = folder / "s.sock"
        self.config = ServiceConfig(
            stage=self.stage,
            socket=self.socket,
            state_dir=folder / "state",
            in_process=True,
            allow_commands=True,
            people=self.people,
            listen=ListenConfig(**listen),
        )
        described = folder / "config.json"
        described.write_text(self.config.model_dump_json())
        self._log = (folder / "log.txt").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stages.gateway.plant_process", str(described), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        try:
            self.url = wait_for(self._listens)
        except BaseException:
            self._process.kill()
            self.close()
            raise

    def _listens(self) -> str:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        url: str = self.web()["url"]
        return "" if url.endswith(":0") else url

    def web(self) -> dict[str, Any]:
        """Return how the owner comes in."""
        with ControlClient(self.socket) as client:
            return client.ask(op="web")

    def tell(self, *line: Any) -> Any:
        """Have something done in the service's process; return its answer."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    def log(self) -> str:
        """Return what the service logged."""
        return Path(self._log.name).read_text()

    def close(self) -> None:
        """End it; it must end well."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._log.close()

    # -- clients

    def http(self, who: str = "ada", **more: Any) -> httpx.Client:
        """Return a program that shows a token."""
        headers = {"Authorization": f"Bearer {token(who)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=WAIT, **more)

    @contextlib.asynccontextmanager
    async def socket_of(
        self, who: str = "ada", secret: str = "", **more: Any
    ) -> AsyncIterator[ClientConnection]:
        """Connect a program to /sync."""
        headers = {"Authorization": f"Bearer {secret or token(who)}"}
        async with websockets.connect(
            f"{self.url.replace('http', 'ws', 1)}/sync",
            subprotocols=[websockets.Subprotocol(PROTOCOL)],
            additional_headers=headers,
            max_size=2**26,
            open_timeout=WAIT,
            compression=None,
            **more,
        ) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def viewer(
        self,
        who: str = "ada",
        *,
        resume: dict[str, Any] | None = None,
        secret: str = "",
        subscribe: dict[str, Any] | None = None,
        **more: Any,
    ) -> AsyncIterator[Viewer]:
        """Connect a client that says hello, subscribes, and keeps what it is sent."""
        async with self.socket_of(who, secret, **more) as connection:
            viewer = Viewer(connection)
            hello: dict[str, Any] = {"op": "hello", "client": "test"}
            if resume is not None:
                hello["resume"] = resume
            if subscribe is not None:
                hello["subscribe"] = subscribe
            await viewer.send(**hello)
            yield viewer


class Viewer:
    """Applies what it is sent, as any client does.

    Attributes:
        said: messages, in order.
        frames: how many came.
        values: newest value by path; of a vector a list.
        qualities: newest by path.
        table: the newest `channels` message.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.said: list[dict[str, Any]] = []
        self.frames: list[Frame] = []
        self.values: dict[str, Any] = {}
        self.qualities: dict[str, int] = {}
        self.table: dict[str, Any] = {}

    async def send(self, **message: Any) -> None:
        """Send a message."""
        await self.connection.send(json.dumps(message))

    async def take(self) -> dict[str, Any] | Frame:
        """Take the next message or frame."""
        async with asyncio.timeout(WAIT):
            data = await self.connection.recv()
        if isinstance(data, str):
            message: dict[str, Any] = json.loads(data)
            self.said.append(message)
            if message["op"] == "channels" and not message.get("resumed"):
                self.table = message
                self.values.clear()
            return message
        frame = decode_frame(data)
        self._apply(frame)
        return frame

    def _apply(self, frame: Frame) -> None:
        self.frames.append(frame)
        if frame.table != self.table.get("table"):
            return
        rows = self.table["channels"]
        for section in frame.sections:
            if section.kind >= 16:
                continue
            values = section.values
            listed = values.tolist() if isinstance(values, np.ndarray) else values
            for i, row in enumerate(section.rows.tolist()):
                if listed is not None:
                    self.values[rows[row]["path"]] = listed[i]
                if section.qualities is not None:
                    self.qualities[rows[row]["path"]] = int(section.qualities[i])

    async def until(self, what: Callable[[], Any]) -> Any:
        """Take messages until something is so."""
        async with asyncio.timeout(WAIT):
            while not (answer := what()):
                await self.take()
        return answer

    async def message(self, op: str, **fields: Any) -> dict[str, Any]:
        """Take messages until one of that kind, with those fields, has come."""

        def found() -> dict[str, Any] | None:
            for message in self.said:
                if message["op"] == op and all(message.get(k) == v for k, v in fields.items()):
                    return message
            return None

        return await self.until(found)

    async def ask(self, number: int, **request: Any) -> dict[str, Any]:
        """Ask, and return the reply."""
        await self.send(op="ask", id=number, request=request)
        return await self.message("reply", id=number)

    def paths(self) -> set[str]:
        """Return the paths of the channels."""
        return {row["path"] for row in self.table.get("channels", ())}
