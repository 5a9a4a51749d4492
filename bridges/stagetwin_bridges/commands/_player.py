"""The demo's recording, played in a loop beside the simulated machines."""

from __future__ import annotations

import threading

from stagetwin.ports import Publisher
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.recording import Recording, play

__all__ = ["Player"]


class Player:
    """Plays a recording in a loop, in a thread of its own.

    Attributes:
        failed: why it ended too early, empty if it did not.
    """

    def __init__(
        self, recording: Recording, publisher: Publisher, topic: str, speed: float
    ) -> None:
        self.failed = ""
        self._interrupt = threading.Event()
        self._thread = threading.Thread(
            target=self._run,
            args=(recording, publisher, topic, speed),
            name="demo recording",
            daemon=True,
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._interrupt.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=15)

    def _run(self, recording: Recording, publisher: Publisher, topic: str, speed: float) -> None:
        try:
            play(
                recording,
                publisher,
                topic,
                speed=speed,
                loop=True,
                rebase=True,
                interrupt=self._interrupt,
            )
        except BridgeError as error:
            self.failed = str(error)
