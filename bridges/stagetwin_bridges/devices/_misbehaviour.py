"""How a device may misbehave, so that one can see what its twin makes of it."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Self

from stagetwin_bridges._errors import BridgeError

__all__ = ["Misbehaviour", "Mode"]

_MEANINGS = {
    "none": "behaves",
    "refuse": "says no to every command",
    "delay": "acts and answers late: delay:SECONDS",
    "drift": "read-backs drift away from their setpoints",
    "freeze": "repeats old values with fresh times; says yes to commands and does nothing",
    "lie": "says yes, reports the setpoint as read-back, and does nothing",
    "offline": "leaves, with the whole gateway it hangs on",
    "mute": "acts and never answers",
}


class Mode(enum.StrEnum):
    """Kinds of misbehaviour; `meaning` tells them in words."""

    NONE = "none"
    REFUSE = "refuse"
    DELAY = "delay"
    DRIFT = "drift"
    FREEZE = "freeze"
    LIE = "lie"
    OFFLINE = "offline"
    MUTE = "mute"

    @property
    def meaning(self) -> str:
        """What a device does in this mode."""
        return _MEANINGS[self.value]

    @property
    def deaf(self) -> bool:
        """Whether commands are accepted and come to nothing."""
        return self in (Mode.FREEZE, Mode.LIE)


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """A mode and its measure.

    Attributes:
        mode: what it does.
        seconds: of DELAY.
    """

    mode: Mode = Mode.NONE
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `refuse`, `delay:2.5` and so on.

        Raises:
            BridgeError: names what is allowed.
        """
        name, colon, number = text.partition(":")
        allowed = ", ".join(f"{m}{':SECONDS' if m is Mode.DELAY else ''}" for m in Mode)
        if name not in list(Mode):
            raise BridgeError(f"misbehaviour {text!r}: expected one of {allowed}")
        mode = Mode(name)
        if (mode is Mode.DELAY) != bool(colon):
            raise BridgeError(f"misbehaviour {text!r}: only delay has a number, as delay:2.5")
        if not colon:
            return cls(mode)
        try:
            seconds = float(number)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise BridgeError(f"misbehaviour {text!r}: expected seconds above 0, got {number!r}")
        return cls(mode, seconds)

    def __str__(self) -> str:
        return f"{self.mode}:{self.seconds:g}" if self.mode is Mode.DELAY else str(self.mode)
