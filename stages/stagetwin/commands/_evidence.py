"""Evidence: whether the plant shows what was commanded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stagetwin._errors import WireError
from stagetwin.actuation import Reading
from stagetwin.bindings import CommandBinding, TelemetryBinding
from stagetwin.commands._command import Evidence
from stagetwin.commands._inputs import Known
from stagetwin.commands._states import Code
from stagetwin.values import plain, stage_value, value_type

__all__ = ["Watch", "kind_of", "matches", "value_of_reading"]

_RELATIVE = {"half": 1e-3, "float": 1e-6, "double": 1e-9}
"""How near two numbers are that differ by what the type cannot hold."""


def matches(binding: CommandBinding, readback: TelemetryBinding, value: Any, wanted: Any) -> bool:
    """Tell whether a read-back value is within tolerance of what was commanded.

    The stage knows a signal to its deadband, so no tolerance is narrower than that.
    """
    relative = max(_relative(binding.type_name), _relative(readback.type_name))
    tolerance = max(binding.tolerance, readback.deadband)
    if _near(value, wanted, tolerance, relative):
        return True
    # A quaternion and its negative are one rotation.
    turned = binding.type_name.startswith("quat") and not binding.type_name.endswith("[]")
    return turned and _near(value, [-part for part in wanted], tolerance, relative)


def _relative(type_name: str) -> float:
    name = type_name.removesuffix("[]")
    if name.startswith("half") or name.endswith("h"):
        return _RELATIVE["half"]
    single = name.startswith("float") or name.endswith("f")
    return _RELATIVE["float" if single else "double"]


def _near(value: Any, wanted: Any, tolerance: float, relative: float) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int) and isinstance(wanted, int):
        return abs(value - wanted) <= tolerance
    if isinstance(value, (int, float)) and isinstance(wanted, (int, float)):
        return math.isclose(value, wanted, rel_tol=relative, abs_tol=tolerance)
    if isinstance(value, Sequence) and isinstance(wanted, Sequence) and not isinstance(value, str):
        return len(value) == len(wanted) and all(
            _near(a, b, tolerance, relative) for a, b in zip(value, wanted, strict=True)
        )
    return bool(value == wanted)


def kind_of(binding: CommandBinding, readback: TelemetryBinding) -> str:
    """Return `stored` where the read-back is the written node itself, else `process`."""
    read = readback.connection, readback.address, readback.field
    same = read == (binding.connection, binding.address, binding.field)
    return "stored" if same else "process"


def value_of_reading(readback: TelemetryBinding, reading: Reading) -> Any:
    """Return the stage value of what a device answered, as plain data; None if it is not usable."""
    kind = value_type(readback.type_name)
    if kind is None or reading.value is None or reading.status >> 30:
        return None
    try:
        if kind.scalable or readback.scale == 1:
            value = kind.convert(
                reading.value,
                readback.scale,
                readback.offset,
                readback.limits.hard_min,
                readback.limits.hard_max,
            )
            return plain(value)
        return plain(stage_value(readback.type_name, reading.value))
    except WireError:
        return None


class Watch:
    """Watches the read-back of one sent command until it is verified or its time is over.

    Attributes:
        before: what the read-back said before the command was sent.
    """

    def __init__(
        self, binding: CommandBinding, readback: TelemetryBinding, wanted: Any, before: Any
    ) -> None:
        self._binding, self._readback = binding, readback
        self._wanted, self.before = [wanted], before
        self.handed_wall = math.nan
        self.handed = math.nan
        self.sent_wall = math.nan
        self.acknowledged_wall = math.nan
        self._within_since: float | None = None
        self._was_within = False
        self._last: Any = None
        self._last_within = False
        self._as_before = False

    def handed_over(self, wall: float, steady: float) -> None:
        """Take note of the moment before the command may leave: wall [s, Unix] and steady [s]."""
        self.handed_wall = self.sent_wall = wall
        self.handed = steady

    def expect(self, shows: Sequence[Any]) -> None:
        """Take what the read-back will show in place of the commanded value, any of it."""
        self._wanted = list(shows)

    def transmitted(self, wall: float) -> None:
        """Take note of when it surely had left [s, Unix]."""
        self.sent_wall = max(wall, self.handed_wall)

    def acknowledged(self, wall: float) -> None:
        """Take note of the acknowledgement [s, Unix]."""
        self.acknowledged_wall = max(wall, self.handed_wall)

    def sample(
        self, known: Known, now: float, *, without_answer: bool = False, left: bool = True
    ) -> Evidence | None:
        """Judge the newest sample of the read-back; `now` is on the steady clock [s].

        What counts is a sample received after the acknowledgement, or one received since the
        command could leave that shows the commanded value while the one before it did not:
        telemetry and answer come by different ways, and either may be first. `without_answer` says
        that none will come; then a sample received after the sending counts. Where nobody says that
        the command `left`, only a value that moved proves anything.
        """
        # Redundant signals take turns.
        self._readback = known.binding
        if not known.fresh or math.isnan(known.received):
            self._within_since = None
            return None
        within = self._is_wanted(known.value)
        moved = self._moved(within)
        since = self.sent_wall if without_answer else self.acknowledged_wall
        if moved:
            since = self.handed_wall
        # Both clocks must say so: the wall clock may have been set back in between.
        if not (known.received > since and known.accepted >= self.handed):
            return None
        if not left and within and not moved:
            self._as_before = True
            return None
        return self._judge(known.value, within, now)

    def reading(self, value: Any, now: float, *, left: bool = True) -> Evidence | None:
        """Judge what the device itself answered after the acknowledgement.

        Where nobody says that the command `left`, it must have moved.
        """
        if value is None:
            self._within_since = None
            return None
        within = self._is_wanted(value)
        if not left and within and not self._moved(within):
            self._as_before = True
            return None
        return self._judge(value, within, now)

    def _moved(self, within: bool) -> bool:
        before = self.before
        known = before is not None
        return within and known and not self._is_wanted(before)

    def _is_wanted(self, value: Any) -> bool:
        return any(matches(self._binding, self._readback, value, each) for each in self._wanted)

    def _judge(self, value: Any, within: bool, now: float) -> Evidence | None:
        self._last, self._last_within = value, within
        if not within:
            self._within_since = None
            return None
        self._was_within = True
        if self._within_since is None:
            self._within_since = now
        if now - self._within_since < self._binding.dwell:
            return None
        return Evidence(
            kind_of(self._binding, self._readback),
            self._readback.path,
            value,
            self.before,
            max(now - self.handed, 0.0),
        )

    def verdict(self) -> tuple[Code, str]:
        """Return why it could not be verified."""
        name, last = self._readback.path, self._shown()
        wanted = " or ".join(map(str, self._wanted))
        if self._last_within and self._within_since is None:
            return Code.NO_SAMPLE, f"{name} was as commanded, and is not fresh any more"
        if self._last_within:
            dwell = f"{self._binding.dwell:g} s"
            return Code.MISMATCH, f"{name} is {last}, too late to stay so for {dwell}"
        if self._was_within:
            text = f"{name} was as commanded and is {last} now: overwritten"
            return Code.OVERWRITTEN, text
        if self._last is None and self._as_before:
            text = f"{name} is as commanded, as it was before, and nothing says that it left"
            return Code.NO_ANSWER, text
        if self._last is None:
            return Code.NO_SAMPLE, f"{name} gave no fresh value after the command was sent"
        if not isinstance(self._last, str | bool):
            wanted = f"{wanted} +/- {self._binding.tolerance:g}"
        return Code.MISMATCH, f"{name} is {last}, {wanted} was commanded"

    def _shown(self) -> str:
        """Return what was read last, with its unit if it has one: a name has none."""
        unit = self._readback.unit
        plain = isinstance(self._last, str | bool) or unit in ("", "1")
        return f"{self._last}" if plain else f"{self._last} {unit}"
