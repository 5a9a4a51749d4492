"""What the demo sees of its service, and how it asks for commands."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from stagetwin._errors import ServiceError
from stagetwin.cli.view import Feed, Reading, WatchModel
from stagetwin.identifiers import uuid7
from stagetwin.service import ControlClient
from stagetwin_bridges._errors import BridgeError, UnheardError
from stagetwin_bridges.commands._cast import Part
from stagetwin_bridges.commands._plant import DemoPlant

__all__ = ["Observer", "StoppedError", "connect"]

Row = dict[str, Any]

_START_TIMEOUT = 40.0
_READY_TIMEOUT = 20.0
_STEADY, _STEADY_SHARE = 1.0, 0.004
"""A signal is steady when it moves by less than this share of itself in this time [s]."""
_STEP = 0.2
_ASK_EVERY = 0.1
_ATTEMPTS = 3
"""How often a command is asked for while somebody else commands the same machine."""


def connect(plant: DemoPlant, stopped: threading.Event) -> Feed:
    """Return a feed from the service as soon as it answers.

    Raises:
        BridgeError: the service ended.
        ServiceError: it does not answer in time.
    """
    until = time.monotonic() + _START_TIMEOUT
    while True:
        plant.check_alive()
        try:
            return Feed(plant.socket, rate=10.0)
        except ServiceError:
            if time.monotonic() > until or stopped.wait(0.1):
                raise


class StoppedError(Exception):
    """Ends the thread where it is."""


class Observer:
    """Follows the service for one thread, and publishes commands in the name of its user.

    Args:
        plant: whose service it is.
        model: what the newest frames say.
        stopped: ends whatever waits.
        check: called while something is waited for; raises if that can never come.
    """

    def __init__(
        self,
        plant: DemoPlant,
        model: WatchModel,
        stopped: threading.Event,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.model = model
        self._plant, self._stopped, self._check = plant, stopped, check
        self._feed = connect(plant, stopped)
        try:
            self._client = ControlClient(plant.socket)
        except ServiceError:
            self._feed.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._feed.close()
        self._client.close()

    # -- what is there

    def links(self) -> dict[str, str]:
        """Return the state of each telemetry connection by name."""
        return _states(self.model.status.get("connections"))

    def clients(self) -> dict[str, str]:
        """Return the state of each command client by connection name."""
        return _states((self.model.status.get("commands") or {}).get("clients"))

    def reading(self, path: str) -> Reading:
        """Return the newest reading of a signal, a stale one if there is no such signal."""
        for signal, reading in zip(self.model.signals, self.model.readings, strict=True):
            if signal.path == path:
                return reading
        return Reading()

    def number(self, path: str) -> float | None:
        """Return the newest good value of a signal if that is a number."""
        reading = self.reading(path)
        usable = isinstance(reading.value, (int, float)) and not isinstance(reading.value, bool)
        return float(reading.value) if usable and reading.quality != "stale" else None

    def target(self, path: str) -> Row:
        """Return what the service says of a command, by its path.

        Raises:
            BridgeError: it knows none.
        """
        for row in self._client.ask(op="targets", prim=path.rpartition(".")[0])["targets"]:
            if row["path"] == path:
                return dict(row)
        raise BridgeError(f"the service knows no command {path}")

    # -- commands

    def command(self, path: str, value: float | str | bool, reason: str) -> Row:
        """Publish a command and return its row once it has ended, its history included.

        Whoever plays along in another terminal may command the same machine at this moment: then
        it is asked for again.
        """
        row: Row = {}
        for _ in range(_ATTEMPTS):
            row = self._command(path, value, reason)
            if row["state"] != "SUPERSEDED" and row["code"] != "revision":
                break
        return row

    def _command(self, path: str, value: float | str | bool, reason: str) -> Row:
        return self.wait_for_end(self.request(path, value, reason)["id"])

    def request(self, path: str, value: float | str | bool, reason: str) -> Row:
        """Publish a command and return its row as it was taken."""
        revision = self.target(path)["revision"]
        row: Row = self._client.ask(
            op="publish",
            id=uuid7(),
            target=path,
            value=value,
            revision=revision,
            reason=reason,
            mode="explicit",
        )["command"]
        return row

    def row(self, command: str) -> Row:
        """Return the row of a command by its id, its history included."""
        return dict(self._client.ask(op="command", id=command)["command"])

    def wait_for_end(self, command: str, timeout: float = math.inf) -> Row:
        """Return the row of a command once it has ended.

        Raises:
            BridgeError: it did not within `timeout` [s].
        """
        until = time.monotonic() + timeout
        while not (row := self.row(command))["ended"]:
            if time.monotonic() > until:
                raise BridgeError(f"{row['target']} was still {row['state']} after {timeout:g} s")
            self.rest(_ASK_EVERY)
        return row

    # -- machines

    def value_of(self, part: Part) -> float:
        """Return what a machine's setpoint is read back as, waiting for it where need be.

        Raises:
            UnheardError: nothing is known of it.
        """
        until = time.monotonic() + _READY_TIMEOUT
        while (value := self.number(part.readback)) is None:
            if time.monotonic() > until:
                raise _unheard(part.readback)
            self.rest(_STEP)
        return value

    def settled(self, part: Part) -> float | None:
        """Return what a machine's witness says once it is steady; None if it has none.

        One that never rests tells its newest value.

        Raises:
            UnheardError: nothing is known of it.
        """
        if not part.witness:
            return None
        until = time.monotonic() + _READY_TIMEOUT
        before: float | None = None
        while True:
            value = self.number(part.witness)
            if value is not None and before is not None:
                moved = abs(value - before)
                if moved <= _STEADY_SHARE * max(abs(value), 1e-9) or time.monotonic() > until:
                    return value
            if time.monotonic() > until:
                raise _unheard(part.witness)
            before = value
            self.rest(_STEADY)

    def wait_until_ready(self, part: Part, timeout: float = _READY_TIMEOUT) -> None:
        """Wait until a command could leave: link online, read-back fresh, permissives true.

        Raises:
            BridgeError: none could within `timeout` [s].
        """
        link = part.command.connection

        def ready() -> bool:
            online = self.links().get(link) == self.clients().get(link) == "online"
            permitted = all(self.reading(path).value is True for path in part.permissives)
            paths = (part.readback, *part.permissives)
            return online and permitted and all(self.reading(p).quality == "good" for p in paths)

        self.wait_until(ready, timeout, f"{part.label} could not be commanded")

    # -- waiting

    def wait_until(self, condition: Callable[[], bool], timeout: float, otherwise: str) -> float:
        """Return how long it took until a condition came true [s].

        Raises:
            BridgeError: it did not within `timeout` [s]; says `otherwise`.
        """
        began = time.monotonic()
        while not condition():
            self._check()
            if time.monotonic() - began > timeout:
                raise BridgeError(f"{otherwise} within {timeout:g} s")
            self._step(_STEP)
        return time.monotonic() - began

    def rest(self, seconds: float) -> None:
        """Let time pass, and keep up with the service."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._step(min(left, _STEP))

    def _step(self, timeout: float) -> None:
        if self._stopped.is_set():
            raise StoppedError
        if self._feed.ended:
            self._plant.check_alive()
            raise ServiceError(self._feed.ended)
        if self._feed.wait(timeout):
            self._feed.apply_to(self.model)


def _unheard(path: str) -> UnheardError:
    return UnheardError(f"{path} is not known after {_READY_TIMEOUT:g} s: is the machine busy?")


def _states(links: Any) -> dict[str, str]:
    return {name: str(link.get("state", "")) for name, link in (links or {}).items()}
