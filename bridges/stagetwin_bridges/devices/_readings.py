"""What a device says its sensors read, which is not always what they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stagetwin.bindings import CommandBinding, TelemetryBinding
from stagetwin_bridges.devices._misbehaviour import Mode

__all__ = ["Readings"]

_DRIFT = 0.02
"""Of a drifting read-back, as a share of its range [1/s]."""
_FURTHEST = 0.35
"""Where the drift ends, as a share of the range."""


class Readings:
    """Turns measured values into told ones.

    Args:
        bindings: the signals, in the order of the values.
        commands: whose read-backs drift or lie.
    """

    def __init__(
        self, bindings: Sequence[TelemetryBinding], commands: Sequence[CommandBinding]
    ) -> None:
        self._bindings = tuple(bindings)
        self._rows: dict[str, list[int]] = {}
        for row, binding in enumerate(bindings):
            self._rows.setdefault(binding.asset, []).append(row)
        self._readbacks = {(c.asset, c.signal): self._rows_of(c) for c in commands}
        self._modes: dict[str, tuple[Mode, float]] = {}
        self._frozen: dict[str, dict[int, Any]] = {}
        self._promised: dict[str, dict[int, Any]] = {}
        self._newest: list[Any] = []

    def _rows_of(self, command: CommandBinding) -> list[int]:
        """Return the rows of a command's read-back, and of what is read from the same place."""
        found = [b for b in self._bindings if command.readback and b.target == command.readback]
        places = {(b.address, b.field) for b in found}
        same = [r for r, b in enumerate(self._bindings) if (b.address, b.field) in places]
        return [row for row in same if self._bindings[row].unit == command.unit]

    def misbehave(self, asset: str, mode: Mode, now: float) -> None:
        """Begin a misbehaviour at `now` [s, monotonic]; the one before is over."""
        self._modes[asset] = (mode, now)
        self._promised.pop(asset, None)
        self._frozen.pop(asset, None)
        if mode is Mode.FREEZE and self._newest:
            self._frozen[asset] = {row: self._newest[row] for row in self._rows.get(asset, [])}

    def promise(self, command: CommandBinding, value: Any) -> None:
        """Take what a deaf device accepted: a liar tells it from now on."""
        if self._modes.get(command.asset, (Mode.NONE, 0.0))[0] is Mode.LIE:
            told = self._promised.setdefault(command.asset, {})
            told.update(dict.fromkeys(self._readbacks[command.asset, command.signal], value))

    def told(self, measured: list[Any], now: float) -> list[Any]:
        """Return what is said at `now` [s, monotonic] where this was measured."""
        told = list(measured)
        for asset, (mode, since) in self._modes.items():
            if mode is Mode.DRIFT:
                self._drift(asset, told, now - since)
            for substitutes in (self._frozen.get(asset), self._promised.get(asset)):
                for row, value in (substitutes or {}).items():
                    told[row] = value
        self._newest = told
        return told

    def _drift(self, asset: str, told: list[Any], elapsed: float) -> None:
        for (of, _), rows in self._readbacks.items():
            for row in rows if of == asset else ():
                value = told[row]
                limits = self._bindings[row].limits
                low, high = limits.hard_min, limits.hard_max
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    continue
                if isinstance(low, tuple) or isinstance(high, tuple):
                    continue
                span = high - low if math.isfinite(high - low) else abs(value) + 1.0
                moved = min(_DRIFT * elapsed, _FURTHEST) * span
                # Towards where there is room, so that it is seen to drift and not to be cut off.
                away = value + moved if value + moved <= high else value - moved
                told[row] = type(value)(max(away, low) if math.isfinite(low) else away)
