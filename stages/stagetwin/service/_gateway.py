"""The gateway under the service: fed after each tick, asked for nothing, answered when it asks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import logging
import math
import os
import pwd
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from stagetwin._errors import ServiceError, StagetwinError
from stagetwin.commands import Command
from stagetwin.gateway import ListenConfig, wire
from stagetwin.identifiers import uuid7
from stagetwin.people import Principal
from stagetwin.service._allowance import Allowance, Pace
from stagetwin.service._config import ServiceConfig
from stagetwin.service._control import asking_as
from stagetwin.service._desk import Desk
from stagetwin.service._events import Event, Events
from stagetwin.service._feed import Feed
from stagetwin.service._gateway_scene import SceneFeed
from stagetwin.service._host_process import HostProcess
from stagetwin.twin import Twin

__all__ = ["NO_GATEWAY", "OPERATIONS", "Gateway"]

_log = logging.getLogger(__name__)

Reply = dict[str, Any]

NO_GATEWAY = "this service has no way in for browsers; start it with --listen HOST:PORT"

OPERATIONS = frozenset(
    {
        *("values", "status", "targets", "commands", "command", "publish", "cancel"),
        *("approve_command", "deny_command", "halt"),
        *("alarms", "acknowledge_alarm", "shelve_alarm", "unshelve_alarm"),
        *("topics", "topic", "topic_snapshot", "review", "proposals", "proposal"),
        *("bcf_export", "bcf_import"),
        *("models", "model", "rehearse", "present", "what_if", "job", "cancel_job"),
    }
)
"""What may be asked over the network; everything else stays with the control socket."""

_READS = frozenset(
    {
        *("values", "status", "targets", "commands", "command", "alarms", "models", "model", "job"),
        *("topics", "topic", "topic_snapshot", "proposals", "bcf_export"),
    }
)
"""What is answered at a stroke, so that the time it takes is its own."""

MAX_WAITING = 2**21
"""What the gateway may leave in its pipe before ticks are put together for it [B]."""

MAX_EVENTS_WAITING = 2**25
"""What it may leave there before events are left out, and told as a whole later [B]."""

MAX_ASKED = 256
"""Requests that are answered at once."""

MAX_SESSIONS = 1000

ALIVE = 1.0
"""Time between two states while nothing changes [s]."""

TOKEN_LIFE = 600.0
"""How long a word that lets a browser in is good [s]."""

_PARTS = ("argon2", "starlette", "uvicorn", "websockets")

_REFUSED = (StagetwinError, LookupError, TypeError, ValueError, ArithmeticError, OSError)


class Gateway(HostProcess):
    """Keeps the gateway's process, and tells it what is.

    Attributes:
        run_id: id of this life of the service.
        port: where it listens, 0 while it does not.
    """

    module = "stagetwin.gateway"

    def __init__(
        self,
        config: ServiceConfig,
        listen: ListenConfig,
        twin: Twin,
        events: Events,
        answer: Callable[[Reply], AsyncIterator[Reply]],
        metrics: Callable[[], str],
    ) -> None:
        """Prepare.

        Args:
            config: of the service.
            listen: where to listen.
            twin: what is looked at.
            events: what happens.
            answer: answers requests, as on the control socket.
            metrics: returns the service's metrics as text.

        Raises:
            ServiceError: it would let strangers in, see `ListenConfig.check`, or what it is made of
                is not installed.
        """
        super().__init__("gateway")
        listen.check(config.people)
        listen.check_place()
        missing = [name for name in _PARTS if importlib.util.find_spec(name) is None]
        if missing:
            raise ServiceError(
                f"--listen needs {', '.join(missing)}: python -m pip install 'stagetwin[web]'"
            )
        self._config, self._listen_at = config, listen
        self._answers, self._metrics = answer, metrics
        self._owner = Principal(_own_name(), owner=True)
        self._desk: Desk | None = None
        self._feed = Feed(twin)
        self._scene = SceneFeed(twin)
        self._sent = 0.0
        self._up = False
        self._asked: set[asyncio.Task[None]] = set()
        self._allowance, self._pace = Allowance(), Pace()
        self._sessions: dict[str, wire.SessionMade] = {}
        self._tokens: dict[str, float] = {}
        self._bearer = secrets.token_urlsafe(32)
        self._untold = False
        self._connections: dict[str, Reply] = {}
        self.run_id = uuid7()
        self.port = listen.port
        events.listen(self._tell)

    async def run(self) -> None:
        """Keep the process running until cancelled."""
        try:
            await self.keep()
        finally:
            for task in list(self._asked):
                task.cancel()
            self._scene.close()

    def attach(self, desk: Desk | None) -> None:
        """Follow the commands of a desk."""
        self._desk = desk
        if desk is not None:
            desk.path.records.on_entered.append(self._tell_command)

    # -- letting the owner in

    @property
    def url(self) -> str:
        """Where browsers find it."""
        host = f"[{self._listen_at.host}]" if ":" in self._listen_at.host else self._listen_at.host
        scheme = "https" if self._listen_at.certificate else "http"
        return f"{scheme}://{host}:{self.port}"

    def enter(self) -> Reply:
        """Return how to come in: for the service's own user, on the control socket.

        Without people that is an URL that is good once, and the word that programs show.
        """
        if self._config.people is not None:
            return {"url": self.url, "login": f"{self.url}/login", "token": ""}
        word = secrets.token_urlsafe(32)
        now = time.time()
        self._tokens = {d: until for d, until in self._tokens.items() if until > now}
        token = wire.Token(_digest(word), now + TOKEN_LIFE)
        self._tokens[token.digest] = token.until
        self.post(wire.encode(wire.Kind.TOKEN, token))
        return {"url": self.url, "login": f"{self.url}/login?token={word}", "token": self._bearer}

    # -- see HostProcess

    def opening(self) -> bytes:
        """Return everything that a gateway must know before it may listen."""
        listen, config = self._listen_at, self._config
        opening = wire.Opening(
            run=self.run_id,
            stage=config.stage.name,
            tick_rate=config.tick_rate,
            commands=self._desk is not None,
            host=listen.host,
            port=self.port,
            certificate=str(listen.certificate or ""),
            key=str(listen.key or ""),
            people=str(config.people.resolve()) if config.people is not None else "",
            origins=list(listen.origins),
            clients=listen.clients,
            owner=self._owner.name,
            bearer=_digest(self._bearer) if config.people is None else "",
            sessions=list(self._sessions.values()),
            tokens=[wire.Token(digest, until) for digest, until in self._tokens.items()],
        )
        self._feed.want(False, False)
        self._scene.forget()
        return wire.encode(wire.Kind.OPEN, opening) + self._table()

    def starting(self) -> None:
        """See HostProcess."""

    def answers(self, alive: bool) -> None:
        """See HostProcess."""
        if not alive:
            _log.warning("the gateway does not answer")

    def ended(self, cause: str, pause: float) -> None:
        """See HostProcess."""
        self._up = False
        _log.error("%s; again in %.1f s", cause, pause)

    def take(self, kind: int, body: bytes) -> None:
        """See HostProcess."""
        if kind == wire.Kind.LISTENING:
            self._listening(wire.decode(body, wire.Listening))
        elif kind == wire.Kind.ASK:
            self._take_question(wire.decode(body, wire.Ask))
        elif kind == wire.Kind.WANTS:
            wants: wire.Wants = wire.decode(body, wire.Wants)
            self._feed.want(wants.moves, wants.expected)
        elif kind == wire.Kind.SESSION_MADE:
            self._remember(wire.decode(body, wire.SessionMade))
        elif kind == wire.Kind.SESSION_ENDED:
            self._sessions.pop(wire.decode(body, wire.SessionEnded).digest, None)

    def _listening(self, said: wire.Listening) -> None:
        if said.cause:
            _log.error("the gateway cannot listen: %s", said.cause)
            return
        self._up, self._connections = True, {}
        self.port = said.port
        _log.info("viewers find %s at %s", self._config.stage, self.url)
        if self._config.people is None:
            _log.info("`stagetwin open %s` lets a browser in", self._config.stage)
        self._start(self._tell_all())

    def _remember(self, session: wire.SessionMade) -> None:
        self._tokens.pop(session.token, None)
        self._sessions[session.digest] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))

    # -- what is

    def rebound(self) -> None:
        """Tell of another table; call after the bindings changed."""
        self._scene.rebound()
        self.post(self._table())

    def _table(self) -> bytes:
        return wire.encode(wire.Kind.TABLE, self._feed.bind(self._scene.epoch))

    def after_tick(self) -> None:
        """Send what changed, if the gateway keeps up; never waits."""
        self._scene.step()
        if not self.pid:
            return
        now = time.monotonic()
        if self.waiting > MAX_WAITING:
            self._feed.coalesced += 1
            return
        if self._feed.expected.outdated:
            self.rebound()  # models give other things than before
        if self._untold and self._up:
            self._untold = False
            self._start(self._tell_all())
        if self._feed.stirred or now - self._sent >= ALIVE:
            self._sent = now
            self.post(wire.encode(wire.Kind.STATE, self._feed.state()))
        while self.waiting <= MAX_WAITING and (frame := self._scene.next_frame()) is not None:
            self.post(frame)

    @property
    def coalesced(self) -> int:
        """Ticks that were put together because the gateway did not keep up."""
        return self._feed.coalesced

    # -- what happens

    def _tell(self, event: Event) -> None:
        if not self._up:
            return  # it is told all that is once it listens
        if self.waiting > MAX_EVENTS_WAITING:
            self._untold = True
            return
        body = wire.Event(event.op, event.prim, event.body, event.to)
        self.post(wire.encode(wire.Kind.EVENT, body))

    def _tell_command(self, command: Command) -> None:
        desk = self._desk
        if desk is not None and self._up:
            row = desk.row(command, history=True)
            self._tell(Event("command", _prim_of(command.target), {"command": row}))

    async def _tell_all(self) -> None:
        """Tell of everything that is open: commands, alarms, topics."""
        asked: tuple[tuple[str, Reply, str], ...] = (
            ("commands", {"open": True, "limit": 1000}, "command"),
            ("alarms", {"limit": 5000}, "alarm"),
            ("topics", {"limit": 5000}, "topic"),
            ("proposals", {}, "proposal"),
        )
        for operation, more, op in asked:
            with contextlib.suppress(ServiceError):
                reply = await self._one_reply(self._owner, {"op": operation, **more})
                told = reply.get(operation, ())
                for row in told:
                    prim = str(row.get("prim") or _prim_of(str(row.get("target", "/"))))
                    self._tell(Event(op, prim, {op: row}))
                # What ended while events were left out is no more.
                if len(told) < more.get("limit", math.inf):
                    ids = [str(row["id"]) for row in told]
                    self._tell(Event("standing", "/", {"of": op, "ids": ids}))

    def connections(self, states: dict[str, Reply]) -> None:
        """Tell of connections, by name, if anything of them changed."""
        if self._up and states != self._connections:
            self._connections = states
            self._tell(Event("connections", "/", {"connections": states}))

    # -- what is asked

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    def _take_question(self, ask: wire.Ask) -> None:
        if len(self._asked) >= MAX_ASKED:
            self._reply(ask.number, ServiceError("too much is asked at once; try again"))
        else:
            self._start(self._answer(ask))

    async def _answer(self, ask: wire.Ask) -> None:
        # With accounts nobody comes in as the owner, not even by a gateway that was taken over.
        who = Principal(ask.user, ask.owner and self._config.people is None, ask.via)
        try:
            operation = ask.request.get("op")
            if operation == "metrics" and ask.owner and not ask.session:
                reply = {"metrics": self._metrics()}  # the gateway's own question
            elif operation not in OPERATIONS:
                raise ServiceError(f"{operation!r:.80} cannot be asked over the network")
            elif operation == "publish":
                # Each leaves an entry in the ledger, whatever becomes of it.
                self._pace.count(who.name)
                reply = await self._one_reply(who, ask.request)
            elif operation in _READS:
                with self._allowance.spent_by(who.name):
                    reply = await self._one_reply(who, ask.request)
            else:
                reply = await self._one_reply(who, ask.request)
        except _REFUSED as error:
            self._reply(ask.number, error)
        except Exception:
            # A fault in one answer must not take the gateway, nor the next answer.
            _log.exception("a request was not answered: %r", ask.request.get("op"))
            self._reply(ask.number, ServiceError("the service failed at this; its log says why"))
        else:
            self.post(wire.encode(wire.Kind.ANSWER, wire.Answer(ask.number, True, reply)))

    def _reply(self, number: int, error: BaseException) -> None:
        body = {"error": str(error), "kind": type(error).__name__}
        self.post(wire.encode(wire.Kind.ANSWER, wire.Answer(number, False, body)))

    async def _one_reply(self, who: Principal, request: Reply) -> Reply:
        with asking_as(who):
            replies = self._answers(request)
            try:
                async for reply in replies:
                    return reply
                return {}
            finally:
                await replies.aclose()  # type: ignore[attr-defined]


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid-{os.geteuid()}"


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def _prim_of(path: str) -> str:
    return path.partition(".")[0]
