"""The demo's scenes with vehicles: goals, an edit of the stage, a cancel, a vehicle that dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from stagetwin.drafts import Drafts
from stagetwin.service import ControlClient
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.commands._fleet_cast import FleetCast, Goal
from stagetwin_bridges.commands._observer import Observer
from stagetwin_bridges.commands._plant import DemoPlant
from stagetwin_bridges.commands._vehicles import FleetPark
from stagetwin_bridges.commands._words import evidence_text, way_text

__all__ = ["FleetScenes"]

Row = dict[str, Any]

_DRIVE_TIMEOUT = 120.0
_TIMEOUT = 45.0
_TAKEN = ("ACKNOWLEDGED", "VERIFIED")
_ATTEMPTS = 4
_UNDER_WAY = 4.0
"""How long a vehicle has driven when its order is cancelled [s]."""


class FleetScenes:
    """Plays one scene with vehicles after the other.

    Args:
        plant: whose stage is edited.
        observer: sees the service.
        vehicles: their processes.
        cast: which vehicle plays which part.
        say: tells what happens: kind (info, good, bad, note) and words.
    """

    def __init__(
        self,
        plant: DemoPlant,
        observer: Observer,
        vehicles: FleetPark,
        cast: FleetCast,
        say: Callable[[str, str], None],
    ) -> None:
        self._plant, self._observer, self._vehicles = plant, observer, vehicles
        self._cast, self._say = cast, say

    # -- goals

    def drive(self) -> None:
        """Send vehicles to stations, and see them arrive."""
        asked = [(goal, self._order(goal, goal.station)) for goal in self._cast.drivers]
        for goal, row in asked:
            row = self._observer.wait_for_end(row["id"], _DRIVE_TIMEOUT)
            self._expect(goal, row, "VERIFIED")
            self._say("good", f"{goal.name} is there, VERIFIED: {evidence_text(row)}")

    # -- an edit of the stage, and a cancel

    def edit_and_cancel(self) -> None:
        """Edit a goal on a stage of one's own, and cancel the order that it became."""
        goal = self._part(self._cast.edited)
        self._say("info", f"an editor sets {goal.label} = {goal.station} on a layer of its own")
        row = self._taken(goal, lambda: self._edit(goal))
        self._say("good", f"the edit rested and became an order: {way_text(row)}")
        self._observer.rest(_UNDER_WAY)
        cancel = self._observer.request(goal.cancel, True, "the demo has thought better of it")
        done = self._observer.wait_for_end(cancel["id"], _TIMEOUT)
        self._expect(goal, done, "VERIFIED")
        row = self._observer.wait_for_end(row["id"], _TIMEOUT)
        self._expect(goal, row, "FAILED")
        self._say("good", f"cancelled, VERIFIED; and its goal FAILED: {row['cause']}")

    def _edit(self, goal: Goal) -> Row:
        """Edit the stage as a person's tool does; return the command that it became."""
        mirror = self._plant.mirror()
        drafts = Drafts(mirror, lambda: ControlClient(self._plant.socket))
        try:
            until = time.monotonic() + _TIMEOUT
            while drafts.fault:
                self._poll(drafts, until)
            mirror.SetEditTarget(drafts.layer)
            mirror.GetAttributeAtPath(goal.command.target).Set(goal.station)
            while goal.command.path not in drafts.published:
                self._poll(drafts, until)
            return dict(drafts.published[goal.command.path])
        finally:
            drafts.close()

    def _poll(self, drafts: Drafts, until: float) -> None:
        if time.monotonic() > until:
            said = "; ".join(each.cause for each in drafts.drafts) or drafts.fault or "nothing"
            raise BridgeError(f"the edit of the stage became no command: {said}")
        drafts.poll()
        self._observer.rest(0.05)

    # -- a vehicle dies

    def lose(self) -> None:
        """Kill a vehicle's process: its last will shows, it takes no order, and comes back."""
        goal, see = self._part(self._cast.lost), self._observer
        pid = self._vehicles.kill(goal.vehicle)
        self._say("bad", f"the process of {goal.name} is killed (SIGKILL to process {pid})")
        took = see.wait_until(
            lambda: see.reading(goal.online).value is False,
            _TIMEOUT,
            f"nobody noticed that {goal.name} is gone",
        )
        others = f"{goal.command.asset}."
        see.wait_until(
            lambda: self._stale(others) > 0, _TIMEOUT, f"no signal of {goal.name} went stale"
        )
        self._say(
            "info",
            f"the broker published its last will: {goal.name} is offline within {took + 0.05:.1f} "
            f"s, {self._stale(others)} of its signals are stale, all others go on",
        )
        row = see.command(goal.command.path, goal.node, "the demo asks who is not there")
        if row["state"] not in ("REJECTED", "FAILED"):
            raise BridgeError(f"{goal.label}: expected no order to a lost vehicle: {_told(row)}")
        self._say("good", f"{goal.label} → {goal.node} meanwhile: {row['state']}, {row['cause']}")
        self._vehicles.start()
        back = time.monotonic()
        see.wait_until(
            lambda: see.reading(goal.online).value is True and not self._stale(others),
            _TIMEOUT,
            f"{goal.name} did not come back",
        )
        self._say(
            "info", f"started again, {goal.name} is online after {time.monotonic() - back:.1f} s"
        )

    def work_again(self) -> None:
        """Send the vehicle that came back, and see it drive."""
        goal, see = self._part(self._cast.lost), self._observer
        row = see.wait_for_end(self._order(goal, goal.node)["id"], _DRIVE_TIMEOUT)
        self._expect(goal, row, "VERIFIED")
        self._say("good", f"and drives again, VERIFIED: {evidence_text(row)}")

    def _stale(self, prefix: str) -> int:
        model = self._observer.model
        return sum(
            reading.quality == "stale"
            for signal, reading in zip(model.signals, model.readings, strict=True)
            if signal.path.startswith(prefix)
        )

    # -- parts

    def _order(self, goal: Goal, place: str) -> Row:
        """Send a vehicle somewhere; returns the command's row once the vehicle has taken it."""
        self._say("info", f"asked for: {goal.label} → {place}")
        request = self._observer.request
        return self._taken(goal, lambda: request(goal.command.path, place, "the demo asks"))

    def _taken(self, goal: Goal, ask: Callable[[], Row]) -> Row:
        """Ask until the vehicle has taken the order: on a busy machine not a byte may leave."""
        row: Row = {}
        for _ in range(_ATTEMPTS):
            row = self._answered(ask()["id"])
            if row["state"] in _TAKEN:
                return row
            if row["code"] != "withheld":
                break
            self._observer.rest(1.0)
        raise BridgeError(f"{goal.label}: the order was not taken: {_told(row)}")

    def _answered(self, command: str) -> Row:
        row: Row = {}

        def answered() -> bool:
            nonlocal row
            row = self._observer.row(command)
            return row["state"] in _TAKEN or bool(row["ended"])

        self._observer.wait_until(answered, _TIMEOUT, "a vehicle did not answer")
        return row

    def _expect(self, goal: Goal, row: Row, state: str) -> None:
        if row["state"] != state:
            raise BridgeError(f"{goal.name}: expected {state}, got {_told(row)}")

    def _part(self, goal: Goal | None) -> Goal:
        if goal is None:
            raise BridgeError("the plant has no vehicle for this scene")
        return goal


def _told(row: Row) -> str:
    why = f": {row['cause']}" if row["cause"] else ""
    return f"{row['state']} ({row['code'] or 'no code'}){why}"
