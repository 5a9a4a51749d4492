"""How far a policy may go by itself: which commands, with which values, how long, how often."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from stagetwin._errors import CommandError

__all__ = ["Bounds", "Envelope"]

MAX_COMMANDS = 1000
"""Commands of one envelope at most."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be asked of one command.

    Attributes:
        target: prim path and name, `/World/AMR1.goal`.
        values: that may be asked for, where they are words or switches.
        low, high: where they are numbers; NaN where they are none.

    Raises:
        CommandError: one of low and high alone, one that is infinite, or low above high.
    """

    target: str
    values: tuple[str | bool, ...] = ()
    low: float = math.nan
    high: float = math.nan

    def __post_init__(self) -> None:
        # Written as JSON, where an end that is left out must never mean that there is none.
        none = math.isnan(self.low) and math.isnan(self.high)
        if not none and not (math.isfinite(self.low) and self.low <= self.high < math.inf):
            raise CommandError(
                f"{self.target}: low and high of an envelope are finite, low at most high, or both "
                f"are left out, got {self.low} and {self.high}"
            )

    def holds(self, value: object) -> bool:
        """Tell whether a value is within; what is not named is not."""
        if isinstance(value, (bool, str)):
            return any(type(one) is type(value) and one == value for one in self.values)
        if isinstance(value, (int, float)):
            return self.low <= value <= self.high
        return False


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a policy may go by itself.

    Attributes:
        commands: those that it may give; no others.
        seconds: how long a loop may last from its approval on [s].
        per_minute: commands in any minute.
        basis: digest of what else an approval is of: which signals the policy reads, and what its
            numbers become; empty where nobody says.

    Raises:
        CommandError: a time or a number of commands that cannot be.
    """

    commands: tuple[Bounds, ...]
    seconds: float = 3600.0
    per_minute: int = 20
    basis: str = ""

    def __post_init__(self) -> None:
        if not (0.0 < self.seconds < math.inf) or self.per_minute < 1:
            raise CommandError(
                f"an envelope lasts above 0 s and has at least 1 command a minute, "
                f"got {self.seconds} and {self.per_minute}"
            )
        if len(self.commands) > MAX_COMMANDS:
            raise CommandError(
                f"an envelope has at most {MAX_COMMANDS} commands, got {len(self.commands)}"
            )

    @classmethod
    def of(cls, content: object) -> Envelope:
        """Read it from plain data.

        Raises:
            CommandError: it is none.
        """
        try:
            return msgspec.convert(content, cls)
        except msgspec.ValidationError as error:
            raise CommandError(f"no envelope: {error}") from None

    def plain(self) -> dict[str, Any]:
        """Return it as plain data that JSON can carry."""
        said: dict[str, Any] = _without_nan(msgspec.to_builtins(self))
        return said

    @property
    def digest(self) -> str:
        """SHA-256 of everything it says."""
        text = json.dumps(self.plain(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def refusal(self, target: str, value: object) -> str:
        """Return why a command is outside; empty if it is not."""
        bounds = [one for one in self.commands if one.target == target]
        if not bounds:
            return f"{target} is not in the envelope"
        if not any(one.holds(value) for one in bounds):
            return f"{target} = {value!r:.80} is outside the envelope"
        return ""


def _without_nan(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {
            name: _without_nan(value)
            for name, value in content.items()
            if not (isinstance(value, float) and math.isnan(value))
        }
    if isinstance(content, (list, tuple)):
        return [_without_nan(value) for value in content]
    return content
