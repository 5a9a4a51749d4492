"""What a simulator is told: measured numbers and set-points in force, and which of them changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf

from stagetwin._authoring import declared_value
from stagetwin.alarms import trusted_signals
from stagetwin.signals import Quality
from stagetwin.twin import Twin

__all__ = ["Measured"]

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int32]

_STALE = np.uint8(Quality.STALE)


class Measured:
    """The numbers that a simulator wants to hear of, by positions in its table.

    A session could bind a signal to another address, and a rehearsal would believe it. So a channel
    counts only where it is the very one that the plant binds; else its signal is stale.

    A set-point that was asked for and has not left yet is none in force: a rehearsal would compare
    the command with itself, and models would expect what nobody told the machine.
    """

    def __init__(self, twin: Twin, displaced: Callable[[], Mapping[str, Any]] = dict) -> None:
        """Begin to tell of nothing.

        Args:
            twin: whose numbers.
            displaced: returns what is in force in place of requests that have not left, by the path
                of the property; None where nothing ever was.
        """
        self._twin, self._displaced = twin, displaced
        self._paths: Sequence[str] = ()
        self._distrusted: set[int] = set()
        self._since: dict[int, float] = {}
        self.bind(())

    def bind(self, paths: Sequence[str]) -> None:
        """Begin to tell of some properties: all of them are news."""
        self._paths = tuple(paths)
        self._sent = np.full(len(paths), math.nan)
        self._sent_quality = np.full(len(paths), 255, np.uint8)
        self.rebind()

    def rebind(self) -> None:
        """Take the bindings in force; call whenever they changed."""
        twin = self._twin
        self._single: list[tuple[int, int]] = []
        self._spares: list[tuple[int, npt.NDArray[np.intp]]] = []
        self._desired: list[tuple[int, str]] = []
        self._authored: dict[str, float] = {}
        if self._paths:
            self._find(twin)
        self._at = np.array([p for p, _ in self._single], np.intp)
        self._channel = np.array([c for _, c in self._single], np.intp)

    def _find(self, twin: Twin) -> None:
        """Find where the number of each path comes from."""
        plant = twin.guarded if twin.guarded is not None else twin.table
        signals = trusted_signals(plant, twin.table)
        trusted = {s.channel for s in signals if s.trusted}
        # What was another's word a moment ago counts again from its next sample.
        now = twin.clock.steady()
        self._since.update(dict.fromkeys(self._distrusted & trusted, now))
        self._distrusted = set(twin.table.telemetry) - trusted
        channels: dict[str, list[int]] = {}
        broken: set[str] = set()
        for signal in signals:
            binding = signal.binding
            at = f"[{binding.element}]" if binding.element >= 0 else ""
            path = f"{binding.target}{at}"
            channels.setdefault(path, []).append(signal.channel)
            if not signal.trusted:
                broken.add(path)
        commands = {c.target for c in plant.commands}
        for position, path in enumerate(self._paths):
            found = channels.get(path, []) if path not in broken else []
            if len(found) == 1:
                self._single.append((position, found[0]))
            elif found:
                self._spares.append((position, np.array(found, np.intp)))
            elif path in commands:
                self._desired.append((position, path))
        ignored = {twin.stage.GetSessionLayer().identifier}
        ignored |= {getattr(twin.layers, name).identifier for name in ("desired", "predicted")}
        self._authored = {
            path: _number(declared_value(twin.stage.GetAttributeAtPath(path), ignored))
            for _, path in self._desired
        }

    def all(self) -> tuple[Floats, Bytes]:
        """Return value and quality of each property, shape (path_count,); NaN where unknown."""
        latest = self._twin.hub.latest
        values = np.full(len(self._paths), math.nan)
        quality = np.full(len(self._paths), _STALE, np.uint8)
        if latest.size:
            for position, spares in self._spares:
                best = int(spares[int(np.argmin(latest.quality[spares]))])
                values[position], quality[position] = latest.value[best], latest.quality[best]
            values[self._at] = latest.value[self._channel]
            quality[self._at] = latest.quality[self._channel]
            unseen = ~latest.arrived[self._channel]
            for channel, since in self._since.items():
                unseen |= (self._channel == channel) & (latest.accepted[channel] <= since)
            values[self._at[unseen]], quality[self._at[unseen]] = math.nan, _STALE
        displaced = self._displaced() if self._desired else {}
        for position, path in self._desired:
            values[position] = number = self._in_force(path, displaced)
            quality[position] = Quality.STALE if math.isnan(number) else Quality.GOOD
        quality[~np.isfinite(values)] = _STALE
        return values, quality

    def _in_force(self, path: str, displaced: Mapping[str, Any]) -> float:
        if path in displaced:
            before = displaced[path]
            return self._authored[path] if before is None else _number(before)
        spec = self._twin.layers.desired.GetAttributeAtPath(Sdf.Path(path))
        if spec is not None and spec.HasDefaultValue():
            return _number(spec.default)
        return self._authored[path]

    def news(self) -> tuple[Rows, Floats, Bytes]:
        """Return positions, values and qualities of what changed since this was asked last."""
        values, quality = self.all()
        same = (values == self._sent) | (np.isnan(values) & np.isnan(self._sent))
        same &= quality == self._sent_quality
        index = np.flatnonzero(~same)
        self._sent, self._sent_quality = values, quality
        return index.astype(np.int32), values[index], quality[index]


def _number(value: object) -> float:
    return float(value) if isinstance(value, (bool, int, float)) else math.nan
