"""What is known of a machine before it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from stagetwin.bindings import CommandBinding, TelemetryBinding

__all__ = ["Nameplate", "name_of"]

Range = tuple[float, float]


def name_of(binding: TelemetryBinding | CommandBinding) -> str:
    """Return what a signal or command is called within its asset.

    The part below the asset stands before it where it is bound to one, and the element behind it
    where it drives one element of an array: `Motor.speed`, `positions[3]`.
    """
    part = binding.prim.removeprefix(binding.asset).strip("/")
    name = f"{part}.{binding.signal}" if part else binding.signal
    return name if binding.element < 0 else f"{name}[{binding.element}]"


@dataclass(frozen=True, slots=True)
class Nameplate:
    """The signals and commands of one asset, by name.

    Attributes:
        prim: path of the asset.
        telemetry: its signals.
        commands: its commands.
        words: allowed tokens of its texts, by signal name.
        ordinal: how many machines of the kind stand before it in its line.
    """

    prim: str
    telemetry: Mapping[str, TelemetryBinding]
    commands: Mapping[str, CommandBinding]
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ordinal: int = 0

    def has(self, *signals: str) -> bool:
        """Return whether it has all these signals."""
        return all(name in self.telemetry for name in signals)

    def hard(self, signal: str, default: Range) -> Range:
        """Return the hard limits of a signal [unit], `default` where none are authored."""
        return _range(self.telemetry.get(signal), default, soft=False)

    def soft(self, signal: str, default: Range) -> Range:
        """Return the soft limits of a signal [unit], else its hard ones, else `default`."""
        return _range(self.telemetry.get(signal), self.hard(signal, default), soft=True)

    def reach(self, command: str, default: Range) -> Range:
        """Return the hard limits of a command [unit], `default` where none are authored."""
        return _range(self.commands.get(command), default, soft=False)

    def word(self, signal: str, *wanted: str) -> str:
        """Return the first of these words that a text signal may say; the first if it may say all.

        The last of its own words where it may say none of them.
        """
        allowed = self.words.get(signal, ())
        known = [word for word in wanted if not allowed or word in allowed]
        return known[0] if known else allowed[-1]

    def says(self, signal: str, *wanted: str) -> bool:
        """Return whether a text signal may say one of these words."""
        return signal in self.telemetry and bool(set(wanted) & set(self.words.get(signal, ())))


def _range(
    binding: TelemetryBinding | CommandBinding | None, default: Range, *, soft: bool
) -> Range:
    if binding is None:
        return default
    limits = binding.limits
    low, high = (limits.soft_min, limits.soft_max) if soft else (limits.hard_min, limits.hard_max)
    if isinstance(low, tuple) or isinstance(high, tuple):
        return default
    return (
        low if math.isfinite(low) else default[0],
        high if math.isfinite(high) else default[1],
    )
