"""The errors that a vehicle reports, each for as long as the standard says (3.0, 6.6.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stagetwin_bridges.vda5050.messages import ErrorEntry, ErrorLevel, ErrorReference
from stagetwin_bridges.vda5050.vehicle._rules import Cause, Level, Rules, Until

__all__ = ["Faults"]

_LEVELS: dict[Level, ErrorLevel] = {
    Level.WARNING: "WARNING",
    Level.URGENT: "URGENT",
    Level.CRITICAL: "CRITICAL",
    Level.FATAL: "FATAL",
}


@dataclass(frozen=True, slots=True)
class _Fault:
    since: float
    entry: ErrorEntry


class Faults:
    """Errors by cause and key; the newest of a cause and key replaces the one before.

    Attributes:
        changed: whether they changed since somebody last set this to False.
        holds: whether one of them keeps the vehicle from driving.
    """

    def __init__(self, rules: Rules, seconds: float) -> None:
        """Make it; `seconds` is how long an error is shown that lasts a while [s]."""
        self._rules = rules
        self._seconds = seconds
        self._faults: dict[tuple[Cause, str], _Fault] = {}
        self.changed = False
        self.holds = False

    def __bool__(self) -> bool:
        return bool(self._faults)

    def __contains__(self, cause: Cause) -> bool:
        return any(each is cause for each, _ in self._faults)

    @property
    def fatal(self) -> bool:
        """Whether one of them keeps the vehicle from taking orders."""
        return any(cause.level is Level.FATAL for cause, _ in self._faults)

    def report(
        self,
        cause: Cause,
        now: float,
        description: str,
        references: Mapping[str, str] | None = None,
        *,
        key: str = "",
    ) -> None:
        """Report an error.

        Args:
            cause: of it.
            now: [s].
            description: for people: what, what is allowed, what was got.
            references: what it refers to.
            key: tells errors of one cause apart that are reported side by side.
        """
        entry = ErrorEntry(
            error_type=cause.word,
            error_level=_LEVELS[cause.level],
            error_description=description,
            error_references=tuple(
                ErrorReference(reference_key=name, reference_value=value)
                for name, value in (references or {}).items()
            ),
        )
        before = self._faults.get((cause, key))
        if before is not None and before.entry == entry and cause.until is not Until.TIME:
            return
        self._faults[cause, key] = _Fault(now, entry)
        self._note()

    def withdraw(self, cause: Cause, key: str | None = None) -> None:
        """Take back the errors of a cause, or the one of them with this key."""
        gone = [k for k in self._faults if k[0] is cause and key in (None, k[1])]
        self._remove(gone)

    def end(self, until: Until) -> None:
        """Take back what is reported until this happened."""
        if self._faults:
            self._remove([k for k in self._faults if k[0].until is until])

    def expire(self, now: float) -> None:
        """Take back what has been shown for its while."""
        if self._faults:
            self._remove(
                [
                    key
                    for key, fault in self._faults.items()
                    if key[0].until is Until.TIME and now - fault.since >= self._seconds
                ]
            )

    def entries(self) -> tuple[ErrorEntry, ...]:
        """Return them as a state has them."""
        return tuple(fault.entry for fault in self._faults.values())

    def _remove(self, keys: list[tuple[Cause, str]]) -> None:
        for key in keys:
            del self._faults[key]
        if keys:
            self._note()

    def _note(self) -> None:
        self.changed = True
        self.holds = any(self._rules.holds(cause) for cause, _ in self._faults)
