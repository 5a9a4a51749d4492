"""What a device process asks of the protocol that it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

__all__ = ["Transport"]


class Transport(Protocol):
    """The network side of a device: up or down as a whole.

    Attributes:
        protocol: its name.
    """

    protocol: ClassVar[str]

    @property
    def online(self) -> bool:
        """Whether it can be reached."""
        ...

    async def start(self) -> None:
        """Come up; returns when it is reachable, or keeps trying in the background."""

    async def publish(self, values: Sequence[Any], *, seldom: bool) -> None:
        """Send telemetry, one value a binding.

        Args:
            values: in the stage's units.
            seldom: whether switches and texts are due too.
        """

    async def stop(self) -> None:
        """Leave."""
