"""The live view on a terminal: frames from the service, keys from the user, no flicker."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from stagetwin._errors import ServiceError
from stagetwin.cli._keys import Keyboard
from stagetwin.cli._model import WatchModel
from stagetwin.cli._view import View, body_height, render, rows_of
from stagetwin.service import ControlClient

__all__ = ["Feed", "Screen"]

_QUIET: Callable[[], Sequence[Text]] = list


class Feed:
    """Follows a service in the background.

    Attributes:
        ended: why there will be no more; empty while there is more to come.
        failed: whether that is an error, rather than the service's regular end.
    """

    def __init__(self, socket: Path, prim: str = "/", rate: float = 5.0) -> None:
        """Connect; raises ServiceError if no service listens there."""
        self.ended = ""
        self.failed = False
        self._client = ControlClient(socket, timeout=max(10.0, 3 / rate))
        # More than a moment's worth is not wanted: what is old is not live.
        self._replies: deque[tuple[float, dict[str, Any]]] = deque(maxlen=240)
        self._arrived = threading.Event()
        self._closing = False
        self._thread = threading.Thread(
            target=self._follow, args=(prim, rate), name="watch feed", daemon=True
        )
        self._thread.start()

    def _follow(self, prim: str, rate: float) -> None:
        reason = "the service has stopped"
        try:
            for reply in self._client.follow(op="watch", prim=prim, rate=rate):
                self._replies.append((time.monotonic(), reply))
                self._arrived.set()
                if self._closing:
                    break
        except (ServiceError, ValueError) as error:
            reason, self.failed = str(error), True
        finally:
            self.ended = reason
            self._arrived.set()
            self._client.close()

    def wait(self, timeout: float) -> bool:
        """Return whether something came, after at most `timeout` [s]."""
        return self._arrived.wait(timeout)

    def apply_to(self, model: WatchModel) -> bool:
        """Put what came into a model; returns whether there was anything."""
        self._arrived.clear()
        any_came = False
        while self._replies:
            arrived, reply = self._replies.popleft()
            model.apply(reply, arrived)
            any_came = True
        return any_came

    def close(self) -> None:
        """Leave; a service that does not answer is not waited for."""
        self._closing = True
        self._thread.join(timeout=1.0)


class Screen:
    """The live view on a terminal.

    Args:
        feed: where frames come from.
        console: the terminal.
        panel: lines to show below the signals.
        done: asked several times a second whether to leave.
    """

    def __init__(
        self,
        feed: Feed,
        console: Console,
        panel: Callable[[], Sequence[Text]] = _QUIET,
        done: Callable[[], bool] = lambda: False,
    ) -> None:
        self._feed = feed
        self._console = console
        self._panel = panel
        self._done = done
        self._model = WatchModel()
        self._view = View()
        self._drawn: tuple[object, ...] = ()

    def run(self) -> str:
        """Show the view until it is left; returns why the feed ended, empty if it did not.

        Ctrl-C leaves as `q` does; SIGTERM raises SystemExit. The terminal is restored either way.
        """
        with (
            _sigterm_raises(),
            Keyboard(sys.stdin.fileno()) as keyboard,
            Live(console=self._console, screen=True, auto_refresh=False) as live,
            contextlib.suppress(KeyboardInterrupt, EOFError),
        ):
            while not self._done():
                if any(self._press(key) for key in keyboard.read(0.05)):
                    return ""
                fresh = not self._view.paused and self._feed.apply_to(self._model)
                self._draw(live, fresh)
                if self._feed.ended:
                    return self._feed.ended
        return ""

    def _press(self, key: str) -> bool:
        width, height = self._console.size
        page = body_height(self._model, width, height, self._panel())
        self._drawn = ()
        return self._view.press(key, len(rows_of(self._model, self._view)), page)

    def _draw(self, live: Live, fresh: bool) -> None:
        panel = self._panel()
        width, height = self._console.size
        about = (width, height, [str(line) for line in panel], time.strftime("%H:%M:%S"))
        if not fresh and about == self._drawn:
            return
        self._drawn = about
        lines = render(self._model, self._view, width, height, about[3], panel)
        live.update(Group(*lines), refresh=True)


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that the terminal is restored on the way."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
