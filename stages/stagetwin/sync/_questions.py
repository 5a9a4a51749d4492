"""Questions to the service that wait for their answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stagetwin import _errors
from stagetwin._errors import ServiceError

__all__ = ["Answer", "Questions"]

MOST_QUESTIONS = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question.

    Attributes:
        reply: the answer's fields; empty if it was refused or lost.
        error: why there is none, in words; empty if there is.
        kind: name of the error's class.
        lost: whether it is not known what the service made of the question.
    """

    reply: Mapping[str, Any]
    error: str = ""
    kind: str = ""
    lost: bool = False

    def fields(self) -> dict[str, Any]:
        """Return the answer's fields.

        Raises:
            ServiceError: the service refused; of the class that it named.
        """
        if not self.error:
            return dict(self.reply)
        found = getattr(_errors, self.kind) if self.kind in _errors.__all__ else ServiceError
        raise (found if issubclass(found, ServiceError) else ServiceError)(self.error)


@dataclass(slots=True)
class _Question:
    done: Callable[[Answer], None]
    deadline: float


class Questions:
    """Each is answered once: by the service, by its deadline, or by the end of the connection."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._number = 0
        self._open: dict[int, _Question] = {}

    def add(self, done: Callable[[Answer], None]) -> int | None:
        """Return the number of a new question; None if too many wait, which was answered then."""
        with self._lock:
            self._number += 1
            number, full = self._number, len(self._open) >= MOST_QUESTIONS
            if not full:
                self._open[number] = _Question(done, time.monotonic() + self._timeout)
        if full:
            done(Answer({}, f"{MOST_QUESTIONS} questions wait for an answer already"))
        return None if full else number

    def answer(self, number: Any, answer: Answer) -> None:
        """Answer a question, unless it was already."""
        with self._lock:
            question = self._open.pop(number, None) if isinstance(number, int) else None
        if question is not None:
            question.done(answer)

    def expire(self) -> None:
        """Answer those that waited too long."""
        now = time.monotonic()
        with self._lock:
            late = [n for n, question in self._open.items() if question.deadline < now]
        for number in late:
            self.answer(number, Answer({}, "the service did not answer in time", lost=True))

    def fail(self, cause: str) -> None:
        """Answer all of them: nothing comes any more."""
        with self._lock:
            numbers = list(self._open)
        for number in numbers:
            self.answer(number, Answer({}, cause, lost=True))
