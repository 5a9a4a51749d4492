"""Long questions: begun, looked at, given up; whoever asked comes back for the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from stagetwin._errors import ServiceError, StagetwinError
from stagetwin.identifiers import uuid7
from stagetwin.service._simulator import Progress

__all__ = ["Job", "Jobs"]

Row = dict[str, Any]

MAX_JOBS = 16
"""Jobs that are known at once; the oldest that have ended go first."""

MAX_RUNNING = 4


@dataclass(slots=True, eq=False)
class Job:
    """One long question.

    Attributes:
        id: UUIDv7.
        what: operation.
        author: who asked.
        done: how far it has come, 0 to 1.
        text: what is being done.
        state: `running`, `done`, `failed` or `cancelled`.
        result: what came of it.
        error: why nothing did.
        began: when [s, Unix].
    """

    id: str
    what: str
    author: str
    done: float = 0.0
    text: str = ""
    state: str = "running"
    result: Row | None = None
    error: str = ""
    began: float = field(default_factory=time.time)
    task: asyncio.Task[None] | None = None

    def row(self) -> Row:
        """Return it as clients see it."""
        names = ("id", "what", "author", "done", "text", "state", "result", "error", "began")
        return {name: getattr(self, name) for name in names}


class Jobs:
    """Long questions of everybody, on one event loop."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def begin(
        self, what: str, author: str, work: Callable[[Progress], Coroutine[Any, Any, Row]]
    ) -> Job:
        """Begin a job.

        Args:
            what: operation.
            author: who asks.
            work: does it, and returns the result.

        Raises:
            ServiceError: too many run.
        """
        if sum(job.state == "running" for job in self._jobs.values()) >= MAX_RUNNING:
            raise ServiceError(f"{MAX_RUNNING} long questions run already; wait, or cancel one")
        for job in [j for j in self._jobs.values() if j.state != "running"]:
            if len(self._jobs) >= MAX_JOBS:
                del self._jobs[job.id]
        made = Job(uuid7(), what, author)

        def progress(done: float, text: str) -> None:
            made.done, made.text = done, text

        async def run() -> None:
            try:
                made.result = await work(progress)
                made.state, made.done = "done", 1.0
            except asyncio.CancelledError:
                made.state = "cancelled"
                raise
            except (StagetwinError, OSError) as error:
                made.state, made.error = "failed", str(error)
            except Exception as error:
                # Of the work alone: whoever asked reads it in the job, and the service goes on.
                made.state, made.error = "failed", f"{type(error).__name__}: {error}"

        self._jobs[made.id] = made
        made.task = asyncio.get_running_loop().create_task(run(), name=f"{what} {made.id}")
        return made

    def find(self, job_id: object, author: str) -> Job:
        """Return somebody's own job; raises ServiceError for none."""
        job = self._jobs.get(job_id) if isinstance(job_id, str) else None
        if job is None or job.author != author:
            raise ServiceError(f"there is no job {job_id!r:.80} of yours")
        return job

    def cancel(self, job: Job) -> None:
        """Give a job up; one that has ended stays as it is."""
        if job.state == "running" and job.task is not None:
            job.task.cancel()
            job.state = "cancelled"

    def close(self) -> None:
        """Give everything up."""
        for job in self._jobs.values():
            self.cancel(job)
