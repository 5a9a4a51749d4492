"""How a viewer's connection stands."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

__all__ = ["ClientState"]


@dataclass(frozen=True, slots=True)
class ClientState:
    """How the connection stands.

    Attributes:
        state: `connecting`, `live`, `lost`, `refused` (this token may not enter), or `closed`.
        cause: why it is not live.
        run, session, user, stage, tick_rate, rights, commands: as `welcome` said.
        tick: newest tick heard of.
        time: the service's clock then [s, Unix].
        heard: when that was [s, `time.monotonic`]; -inf for never.
        connections: how often a connection was made.
        torn: frames that could not be understood.
    """

    state: str = "connecting"
    cause: str = ""
    run: str = ""
    session: str = ""
    user: str = ""
    stage: str = ""
    tick_rate: float = 0.0
    rights: Any = ()
    commands: bool = False
    tick: int = 0
    time: float = 0.0
    heard: float = float("-inf")
    connections: int = 0
    torn: int = 0

    @property
    def age(self) -> float:
        """Time since the service was last heard [s]."""
        return time.monotonic() - self.heard

    def now(self) -> float:
        """Return the service's clock as far as it is known [s, Unix]; NaN if it never was."""
        return self.time + self.age if self.time else float("nan")
