"""The connection of a viewer: a thread of its own, and a mailbox that stays small."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from stagetwin._errors import FrameError, ServiceError
from stagetwin.sync._client_state import ClientState
from stagetwin.sync._frames import decode_frame
from stagetwin.sync._mailbox import Mail, Mailbox
from stagetwin.sync._questions import Answer, Questions
from stagetwin.sync._wire import Address, Lost, Refused, Wire

__all__ = ["Asking", "SyncClient"]

_log = logging.getLogger(__name__)

Message = dict[str, Any]
Callback = Callable[["Answer"], None]

SUBPROTOCOL = "stagetwin.sync.1"
SHORTEST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Times between two tries to connect [s]; each failure doubles them, chance spreads them."""

SILENCE = 60.0
"""Nothing at all for this long, while pings are answered, is a service that is no service [s]."""

LOOK_EVERY = 0.25


def wait_after(failures: int) -> float:
    """Return how long to wait before the next try after so many failed ones [s].

    Chance keeps a hundred viewers from coming back at the same moment.
    """
    longest = min(SHORTEST_WAIT * 2.0 ** min(failures, 30), LONGEST_WAIT)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # no secret


class Asking:
    """A client as a draft courier sees it: to close it leaves the client alone."""

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def ask(self, **request: Any) -> Message:
        """Ask, and wait for the answer; raises ServiceError if it is refused or lost."""
        return self._client.ask(**request)

    def close(self) -> None:
        """Leave the client to its owner."""


class SyncClient:
    """Follows a service on a thread of its own, and connects again for as long as it is not closed.

    The token goes into the header of the handshake alone.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        subscribe: Mapping[str, Any] | None = None,
        ca_file: str = "",
        program: str = "stagetwin",
        timeout: float = 10.0,
    ) -> None:
        """Begin to connect.

        Args:
            url: of the service, `https://host:port` or `wss://...`; without TLS on loopback only.
            token: bearer token; empty for none.
            subscribe: `prims`, `rate`, `values`, `poses` of the subscription.
            ca_file: PEM file of the authorities to trust; empty trusts the system's.
            program: name of the viewer, for the service's list of sessions.
            timeout: how long a question waits for its answer [s].

        Raises:
            ServiceError: the URL is none that a secret may go to, or `websockets` is not installed.
        """
        self._address = Address.of(url, ca_file)
        self._token = token
        self._program = program
        self._timeout = timeout
        self._subscription = {"prims": ["/"], "rate": 30.0, "values": True, "poses": "channels"}
        self._subscription |= dict(subscribe or {})
        self._mailbox = Mailbox()
        self._lock = threading.Lock()
        self._state = ClientState()
        self._questions = Questions(timeout)
        self._answers: deque[tuple[Callback, Answer]] = deque()
        self._closing = threading.Event()
        self._wire: Wire | None = None
        self._table: int | None = None
        self._tick = 0
        self._epoch = 0
        self._resyncing = False
        Wire.require()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"SyncClient({self._address.text!r}, {self._state.state})"

    # -- the owner's side; any thread

    @property
    def state(self) -> ClientState:
        """How the connection stands."""
        return self._state

    def take(self) -> Mail:
        """Return what came, after calling back what was asked by `post`; it never waits."""
        for _ in range(len(self._answers)):
            done, answer = self._answers.popleft()
            done(answer)
        return self._mailbox.take()

    def subscribe(self, **subscription: Any) -> None:
        """Change the subscription: `prims`, `rate`, `values`, `poses`; what is not named stays."""
        with self._lock:
            self._subscription |= subscription
        self.resync()

    def resync(self) -> None:
        """Have everything that is subscribed sent anew."""
        with self._lock:
            self._resyncing, self._table = True, None
            message = {"op": "subscribe", **self._subscription}
        self._send(message)

    def say(self, message: Mapping[str, Any]) -> bool:
        """Send something ephemeral, presence or a draft; false if there is no connection."""
        return self._state.state == "live" and self._send(message)

    def ask(self, **request: Any) -> Message:
        """Ask the service, and wait for the answer; for threads that may wait.

        Raises:
            ServiceError: it refused, there is no connection, or no answer came in time.
        """
        if threading.current_thread() is self._thread:
            raise ServiceError("the thread of the connection cannot wait for itself")
        came = threading.Event()
        found: list[Answer] = []

        def done(answer: Answer) -> None:
            found.append(answer)
            came.set()

        self._ask(request, done)
        came.wait()
        return found[0].fields()

    def post(self, request: Mapping[str, Any], callback: Callback) -> None:
        """Ask the service at once, and have the answer called back within a later `take`."""
        self._ask(request, lambda answer: self._answers.append((callback, answer)))

    def service(self) -> Asking:
        """Return what `stagetwin.drafts.Drafts` asks.

        Raises:
            ServiceError: there is no connection.
        """
        if self._state.state != "live":
            raise ServiceError(self._gone())
        return Asking(self)

    def close(self, timeout: float = 5.0) -> bool:
        """Leave; false if the thread has not ended within `timeout` [s]."""
        self._closing.set()
        wire = self._wire
        if wire is not None:
            wire.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _gone(self) -> str:
        state = self._state
        return f"no connection to {self._address.text}: {state.cause or state.state}"

    def _ask(self, request: Mapping[str, Any], done: Callback) -> None:
        number = self._questions.add(done)
        message = {"op": "ask", "id": number, "request": dict(request)}
        if number is not None and not self.say(message):
            self._questions.answer(number, Answer({}, self._gone(), lost=True))

    def _send(self, message: Mapping[str, Any]) -> bool:
        wire = self._wire
        if wire is None:
            return False
        try:
            wire.send(json.dumps(message, allow_nan=False))
        except Lost:
            return False
        return True

    # -- the thread's side

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            before = self._state.connections
            cause, state = "", "lost"
            try:
                self._serve()
            except Refused as error:
                cause, state = str(error), "refused"
            except Lost as error:
                cause = str(error)
            except Exception as error:
                # Whatever a service may send: the viewer is told, and it is tried again.
                _log.exception("the connection to %s failed", self._address.text)
                cause = f"{type(error).__name__}: {error}"
            self._leave(state, cause)
            if self._state.connections > before:
                failures = 0
            if self._closing.wait(LONGEST_WAIT if state == "refused" else wait_after(failures)):
                break
            failures += 1
        self._leave("closed", "it was closed")

    def _leave(self, state: str, cause: str) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        self._state = replace(self._state, state=state, cause=cause)
        self._questions.fail("the connection broke before the answer")

    def _serve(self) -> None:
        with Wire(self._address, self._token, SUBPROTOCOL) as wire:
            self._wire = wire
            if self._closing.is_set():
                return
            hello: Message = {"op": "hello", "client": self._program}
            with self._lock:
                if self._table is not None and self._state.run:
                    hello["resume"] = {
                        "run": self._state.run,
                        "epoch": self._epoch,
                        "tick": self._tick,
                        "table": self._table,
                    }
                self._resyncing = False
                subscription = {"op": "subscribe", **self._subscription}
            wire.send(json.dumps(hello))
            wire.send(json.dumps(subscription, allow_nan=False))
            heard = time.monotonic()
            while not self._closing.is_set():
                message = wire.receive(LOOK_EVERY)
                self._questions.expire()
                if message is None:
                    if time.monotonic() - heard > SILENCE:
                        raise Lost(f"the service said nothing for {SILENCE:g} s")
                    continue
                heard = time.monotonic()
                self._hear(message)

    def _hear(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._hear_frame(message)
            return
        try:
            said = json.loads(message)
            operation = said["op"]
        except (ValueError, LookupError, TypeError):
            raise Lost("the service sent what is no message of this protocol") from None
        if operation in _HEARD:
            getattr(self, _HEARD[operation])(said)
            return
        try:
            self._mailbox.event(said)
        except (LookupError, TypeError, ValueError):
            _log.debug("an event %s without a subject", operation)

    def _hear_welcome(self, said: Message) -> None:
        known = self._state
        self._state = ClientState(
            state="live",
            run=str(said.get("run", "")),
            session=str(said.get("session", "")),
            user=str(said.get("user", "")),
            stage=str(said.get("stage", "")),
            tick_rate=float(said.get("tick_rate", 0.0)),
            rights=said.get("rights", ()),
            commands=bool(said.get("commands", False)),
            tick=int(said.get("tick", 0)),
            time=float(said.get("time", known.time)),
            heard=time.monotonic(),
            connections=known.connections + 1,
            torn=known.torn,
        )
        self._mailbox.welcome(said)

    def _hear_channels(self, said: Message) -> None:
        table = int(said["table"])
        if said.get("resumed") and self._table != table:
            self.resync()  # it has lists in mind that are not here
            return
        with self._lock:
            self._table, self._epoch = table, int(said.get("epoch", 0))
            self._resyncing = False
        if not said.get("resumed"):
            self._tick = 0
            self._mailbox.channels(said)

    def _hear_frame(self, data: bytes) -> None:
        try:
            frame = decode_frame(data)
        except FrameError as error:
            _log.warning("a frame of %s is torn: %s", self._address.text, error)
            self._state = replace(self._state, torn=self._state.torn + 1)
            self._resync_once()
            return
        self._alive(frame.tick, frame.time)
        if frame.table != self._table or self._resyncing:
            return
        if frame.since > self._tick or (frame.since and not self._tick):
            self._resync_once()
            return
        self._tick = max(self._tick, frame.tick)
        self._mailbox.frame(frame)

    def _resync_once(self) -> None:
        if not self._resyncing:
            self.resync()

    def _hear_alive(self, said: Message) -> None:
        self._alive(int(said.get("tick", 0)), float(said.get("time", 0.0)))

    def _alive(self, tick: int, now: float) -> None:
        self._state = replace(self._state, tick=tick, time=now, heard=time.monotonic())

    def _hear_reply(self, said: Message) -> None:
        number = said.pop("id", None)
        if said.pop("ok", False):
            said.pop("op")
            self._questions.answer(number, Answer(said))
        else:
            error = str(said.get("error") or "the service refused without a word")
            self._questions.answer(number, Answer({}, error, str(said.get("kind", ""))))

    def _hear_bye(self, said: Message) -> None:
        cause = said.get("reason") or said.get("why") or said.get("cause") or "the service said bye"
        raise Lost(str(cause))


_HEARD: Mapping[str, str] = {
    "welcome": "_hear_welcome",
    "channels": "_hear_channels",
    "alive": "_hear_alive",
    "reply": "_hear_reply",
    "bye": "_hear_bye",
}
