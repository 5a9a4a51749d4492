"""What does a vehicle's actions other than driving: its load handling, sensors and downloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec

from stagetwin_bridges.vda5050.messages import Action, ZoneContents

__all__ = ["Device", "Progress", "TimedDevice"]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an action is.

    Attributes:
        status: of it.
        result: what it brought, or why it failed.
        zones: the zone set that a download brought.
    """

    status: Literal["INITIALIZING", "RUNNING", "FINISHED", "FAILED"] = "RUNNING"
    result: str = ""
    zones: ZoneContents | None = None


class Device(Protocol):
    """What does actions; a vehicle asks it once a step."""

    def begin(self, action: Action, now: float) -> None:
        """Begin an action, or begin it again."""

    def look(self, action: Action, now: float) -> Progress:
        """Return how far it is."""
        ...

    def hold(self, action: Action, now: float) -> None:
        """Pause it."""

    def go_on(self, action: Action, now: float) -> None:
        """Go on after a pause."""

    def cancel(self, action: Action, now: float) -> None:
        """Give it up; it is not asked about again."""


_SECONDS = {"pick": 5.0, "drop": 5.0, "finePositioning": 2.0, "detectObject": 1.0}


class TimedDevice:
    """A device whose actions take their time and succeed unless told otherwise.

    Args:
        seconds: how long a type of action runs [s]; what is not named takes no time.
        initializing: how long a type of action prepares before that [s].
        failure: tells why an action fails; empty lets it succeed. Asked each time it ends.
        zone_sets: what lies behind the links of zone sets.
    """

    def __init__(
        self,
        seconds: Mapping[str, float] | None = None,
        *,
        initializing: Mapping[str, float] | None = None,
        failure: Callable[[Action], str] | None = None,
        zone_sets: Mapping[str, ZoneContents] | None = None,
    ) -> None:
        self._seconds = {**_SECONDS, **(seconds or {})}
        self._initializing = dict(initializing or {})
        self._failure = failure or (lambda _: "")
        self._zone_sets = dict(zone_sets or {})
        self._begun: dict[str, float] = {}
        self._held: dict[str, float] = {}

    def begin(self, action: Action, now: float) -> None:
        """Begin an action, or begin it again."""
        self._begun[action.action_id] = now

    def look(self, action: Action, now: float) -> Progress:
        """Return how far it is."""
        run = now - self._begun[action.action_id] - self._initializing.get(action.action_type, 0.0)
        if run < 0.0:
            return Progress(status="INITIALIZING")
        if run < self._seconds.get(action.action_type, 0.0):
            return Progress(status="RUNNING")
        if why := self._failure(action):
            self._begun.pop(action.action_id)
            return Progress(status="FAILED", result=why)
        return self._end(action)

    def hold(self, action: Action, now: float) -> None:
        """Pause it."""
        self._held[action.action_id] = now

    def go_on(self, action: Action, now: float) -> None:
        """Go on after a pause."""
        held = self._held.pop(action.action_id, now)
        self._begun[action.action_id] += now - held

    def cancel(self, action: Action, now: float) -> None:
        """Give it up."""
        del now
        self._begun.pop(action.action_id, None)
        self._held.pop(action.action_id, None)

    def _end(self, action: Action) -> Progress:
        self._begun.pop(action.action_id, None)
        if action.action_type != "downloadZoneSet":
            return Progress(status="FINISHED")
        link = str(action.parameter("zoneSetDownloadLink"))
        zones = self._zone_sets.get(link)
        if zones is None:
            return Progress(status="FAILED", result=f"no zone set at {link}")
        return Progress(status="FINISHED", zones=zones)
