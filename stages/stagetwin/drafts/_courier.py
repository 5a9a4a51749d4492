"""Asking the service without keeping the viewer's thread waiting."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from stagetwin._errors import ServiceError
from stagetwin.clock import Clock

__all__ = ["Courier", "Outcome", "Publication", "Service"]

Reply = dict[str, Any]


class Service(Protocol):
    """What of a connection to the service is used; `ControlClient` is one."""

    def ask(self, **request: Any) -> Reply:
        """Send a request and return its reply; raises ServiceError if it is refused or lost."""
        ...

    def close(self) -> None:
        """Leave."""


@dataclass(slots=True, kw_only=True)
class Publication:
    """One draft on its way to the service.

    Attributes:
        id: UUIDv7 of the command; the same however often this is sent.
        command: prim path and command name.
        value: plain data.
        revision: revision of `desired` that the editor saw.
        after: id of the editor's own command before it, whose revision was not known yet.
        reason: the editor's.
        mode: `explicit` or `settled`.
        deadline: it is not sent after this [s, steady clock].
        parameters: what is said beside the value, by key.
        withdrawn: set when a newer edit took its place: it is not sent any more.
    """

    id: str
    command: str
    value: Any
    revision: int | None
    after: str
    reason: str
    mode: str
    deadline: float
    parameters: dict[str, Any] = field(default_factory=dict)
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a question.

    Attributes:
        publication: what was published; None for the list of targets.
        row: the command as the service sees it.
        targets: the service's targets, where these were asked for.
        refused: why the service said no; nothing was recorded.
        fault: why it is not known what the service made of it.
        sent: whether the request may have reached the service.
    """

    publication: Publication | None = None
    row: Reply | None = None
    targets: list[Reply] | None = None
    refused: str = ""
    fault: str = ""
    sent: bool = True


class Courier:
    """One thread that talks to the service, one question after the other."""

    def __init__(self, connect: Callable[[], Service], clock: Clock, capacity: int = 64) -> None:
        """Begin.

        Args:
            connect: returns a new connection, or raises ServiceError.
            clock: what deadlines are on.
            capacity: questions that may wait.
        """
        self._connect = connect
        self._clock = clock
        self._service: Service | None = None
        self._closing = threading.Event()
        self._questions: queue.Queue[Publication | str | None] = queue.Queue(capacity)
        self._outcomes: deque[Outcome] = deque()
        self._thread = threading.Thread(target=self._run, name="draft courier", daemon=True)
        self._thread.start()

    def publish(self, publication: Publication) -> bool:
        """Hand over a publication; false if too many wait already."""
        return self._hand_over(publication)

    def ask_targets(self, prim: str = "/") -> bool:
        """Ask for the targets at or below a prim; false if too many questions wait already."""
        return self._hand_over(prim)

    def _hand_over(self, question: Publication | str) -> bool:
        try:
            self._questions.put_nowait(question)
        except queue.Full:
            return False
        return True

    def outcomes(self) -> list[Outcome]:
        """Return what became of questions since the last call, in order."""
        found = []
        while self._outcomes:
            found.append(self._outcomes.popleft())
        return found

    def close(self, timeout: float = 2.0) -> bool:
        """End the thread; false if the service kept it for longer than `timeout` [s].

        What was not sent never is.
        """
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._questions.put_nowait(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (question := self._questions.get()) is not None and not self._closing.is_set():
            if isinstance(question, str):
                self._outcomes.append(self._targets(question))
            else:
                self._outcomes.append(self._publish(question))
        self._leave()

    def _targets(self, prim: str) -> Outcome:
        try:
            return Outcome(targets=list(self._reach().ask(op="targets", prim=prim)["targets"]))
        except Exception as error:
            # Whatever it is, the thread goes on: the viewer is told.
            self._leave()
            return Outcome(fault=_text(error))

    def _publish(self, publication: Publication) -> Outcome:
        sent = False
        try:
            service = self._reach()
            revision = self._revision(service, publication)
            if publication.withdrawn or self._clock.steady() > publication.deadline:
                return Outcome(publication=publication, fault="it was not sent in time", sent=False)
            sent = True
            reply = service.ask(
                op="publish",
                id=publication.id,
                target=publication.command,
                value=publication.value,
                revision=revision,
                reason=publication.reason,
                mode=publication.mode,
                **({"parameters": publication.parameters} if publication.parameters else {}),
            )
            return Outcome(publication=publication, row=dict(reply["command"]))
        except Exception as error:
            if sent and self._still_there():
                return Outcome(publication=publication, refused=_text(error))
            self._leave()
            return Outcome(publication=publication, fault=_text(error), sent=sent)

    def _revision(self, service: Service, publication: Publication) -> int | None:
        """Return the revision that the editor saw, own commands on their way counted as seen."""
        if not publication.after:
            return publication.revision
        try:
            row = service.ask(op="command", id=publication.after)["command"]
        except ServiceError:
            if not self._still_there():
                raise
            return publication.revision  # it never arrived
        return int(row["revision"]) or publication.revision

    def _still_there(self) -> bool:
        """Tell a refusal from a lost connection: after a refusal the service goes on answering."""
        if self._service is None:
            return False
        try:
            self._service.ask(op="commands", limit=1)
        except Exception:
            return False
        return True

    def _reach(self) -> Service:
        if self._service is None:
            self._service = self._connect()
        return self._service

    def _leave(self) -> None:
        if self._service is not None:
            self._service.close()
            self._service = None


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, ServiceError) else f"{type(error).__name__}: {error}"
