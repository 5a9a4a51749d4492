"""A command on its way: the command, and what the service holds for it while it lives."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

from stagetwin.actuation import Renewal, Transmission
from stagetwin.bindings import CommandBinding
from stagetwin.commands._command import Command
from stagetwin.commands._evidence import Watch
from stagetwin.commands._judge import Sent
from stagetwin.commands._states import UNSENT
from stagetwin.commands._targets import Desired, Target
from stagetwin.ports import ChannelSpec, ConnectionState

__all__ = ["Life", "Transport"]


@dataclass(slots=True, eq=False)
class Life:
    """One command that has not ended, or whose late evidence is still looked for.

    Attributes:
        command: the command.
        target: what it commands.
        inputs: paths of further signals that led to it.
        value: attribute value, once validated.
        displaced: what stood as `desired` before it.
        asked: the command's binding when it was asked for.
        approved: hash of the asset's guards then; empty where they were not approved.
        committing: whether its sending is being written ahead: from here on it counts as sent.
        armed: when its permissives were read last [s, steady clock].
        watch: evidence, once sent; None without a read-back.
        until: when its read-back must have come [s, steady clock].
        answer_until: when its answer must have come [s, steady clock].
        unanswered: whether no answer will come.
        next_read: when the device itself is asked next [s, steady clock].
        reading: number of the question that is out, 0 for none.
        faulty: whether judging its read-back failed with an error.
        left: whether its client said that it left.
        sent: its setpoint, once it was handed over.
        sent_before: the setpoint that had been sent before it.
    """

    command: Command
    target: Target
    inputs: tuple[str, ...] = ()
    value: Any = None
    displaced: Desired = (None, "")
    committing: bool = False
    armed: float = -math.inf
    watch: Watch | None = None
    until: float = math.inf
    answer_until: float = math.inf
    unanswered: bool = False
    next_read: float = math.inf
    reading: int = 0
    faulty: bool = False
    left: bool = False
    sent: Sent | None = None
    sent_before: Sent | None = None
    asked: CommandBinding = field(init=False)
    approved: str = ""

    def __post_init__(self) -> None:
        self.asked = self.target.binding

    @property
    def unsent(self) -> bool:
        """Whether nothing has left, and nothing is about to."""
        return self.command.state in UNSENT and not self.committing


class Transport(Protocol):
    """How commands reach their command clients; every call returns at once."""

    def send(self, connection: str, transmission: Transmission) -> None:
        """Hand a command to the client of a connection; its reports come as events."""

    def read(self, connection: str, number: int, channel: ChannelSpec) -> bool:
        """Ask the device for a value; False where the protocol cannot."""
        ...

    def link(self, connection: str) -> tuple[ConnectionState, str]:
        """Return state and cause of a connection's command client."""
        ...

    def renews(self, connection: str) -> bool:
        """Tell whether more of a command may leave after it was sent, while it is renewed."""
        ...

    def repeats(self, connection: str) -> bool:
        """Tell whether what nobody confirmed is written again until the command expires."""
        ...

    def renew(self, connection: str, renewal: Renewal) -> None:
        """Hand leave to go on with a command to the client of a connection."""

    def authorise(self, guards: dict[str, str]) -> None:
        """Give all clients the guards in force, hashes by asset path."""
