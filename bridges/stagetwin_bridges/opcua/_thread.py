"""A thread with an event loop, for one piece of work that lasts until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["LoopThread"]

logger = logging.getLogger(__name__)


class LoopThread:
    """Runs one coroutine on a thread of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._work: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._loop is not None

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin; a second call does nothing."""
        with self._lock:
            if self._thread is not None:
                return
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._run, args=(loop, work), name=self._name, daemon=True
            )
            self._thread.start()

    def call(self, function: Callable[..., object], *args: object) -> bool:
        """Call a function on the thread, soon; False where it is not running."""
        with self._lock:
            if self._loop is None:
                return False
            try:
                self._loop.call_soon_threadsafe(function, *args)
            except RuntimeError:
                return False  # the work has ended by itself, and its loop with it
            return True

    def stop(self, timeout: float) -> None:
        """Cancel the work and wait up to `timeout` [s] for its end."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is not None:
                # The work may have ended by itself, and its loop with it.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._cancel)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    # -- on the thread ---------------------------------------------------------------------------

    def _run(
        self, loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        asyncio.set_event_loop(loop)
        # What asyncua leaves unanswered when a connection ends is told in our words.
        loop.set_exception_handler(_on_stray)
        try:
            # Made before the loop runs, so that whoever stops it finds something to cancel.
            self._work = loop.create_task(work(), name=self._name)
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(self._work)
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        finally:
            asyncio.set_event_loop(None)
            # Not asyncio.run: it would wait for a look-up of the host's name, however long.
            loop.close()

    def _cancel(self) -> None:
        if self._work is not None:
            self._work.cancel()


def _on_stray(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    logger.debug("left over from a connection: %s", context.get("exception", context["message"]))
