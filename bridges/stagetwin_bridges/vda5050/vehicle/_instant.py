"""Instant actions: taken, refused, done (3.0, 6.2.1 and table 4)."""

from __future__ import annotations

from collections.abc import Callable

from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.vda5050.messages import Action, InstantActions, seconds_of
from stagetwin_bridges.vda5050.vehicle._clearing import begin_clearing
from stagetwin_bridges.vda5050.vehicle._effects import EFFECTS
from stagetwin_bridges.vda5050.vehicle._parts import Parts
from stagetwin_bridges.vda5050.vehicle._performer import Performer
from stagetwin_bridges.vda5050.vehicle._rules import Cause, Until
from stagetwin_bridges.vda5050.vehicle._runs import Run

__all__ = ["Instants"]

_FLEET_CONTROL = "FLEET_CONTROL"


class Instants:
    """Takes instant actions of a vehicle."""

    def __init__(self, parts: Parts, performer: Performer, *, at_node: bool) -> None:
        self._parts = parts
        self._performer = performer
        self._at_node = at_node
        self._own: dict[str, Callable[[Run, float], None]] = {
            "cancelOrder": self._cancel,
            "startPause": self._pause,
            "stopPause": self._unpause,
            "trigger": self._trigger,
            "retry": self._retry,
            "skipRetry": self._skip,
            "startHibernation": self._hibernate,
            "stopHibernation": self._wake,
            "shutdown": self._shut_down,
        }

    def take(self, message: InstantActions, now: float) -> None:
        """Take a message; an action whose id is known already is the same one again."""
        most = self._parts.sheet.protocol_limits.maximum_array_lengths.instant_actions
        for at, action in enumerate(message.actions):
            if action.action_id in self._parts.instant_runs:
                continue
            if self._parts.hibernation == "on" and action.action_type != "stopHibernation":
                # Nothing else is answered while it hibernates.
                continue
            run = Run(action, "INSTANT")
            if most and at >= most:
                why = f"at most {most} instant actions in a message, got {len(message.actions)}"
            else:
                why = self._fault(action)
            self._keep(run, now)
            if why:
                self._refuse(run, why, now)
            else:
                self._begin(run, now)
        self._parts.dirty = True

    # -- parts -----------------------------------------------------------------------------------

    def _fault(self, action: Action) -> str:
        parts = self._parts
        if parts.mode not in parts.rules.instant_in and action.action_type != "stopHibernation":
            allowed = parts.mode == "INTERVENED" and action.action_type == "cancelOrder"
            if not allowed:
                return f"no instant action is taken in operating mode {parts.mode}"
        if parts.rules.modern and action.blocking_type != "NONE":
            return f"an instant action has blockingType NONE, got {action.blocking_type}"
        if action.action_id in parts.order_runs:
            return f"actionId {action.action_id!r} is one of the order's"
        return parts.abilities.action_fault(action, "INSTANT")

    def _keep(self, run: Run, now: float) -> None:
        parts = self._parts
        parts.instant_runs[run.action.action_id] = run
        most = parts.options.instant_states
        if len(parts.instant_runs) <= most:
            return
        why = f"there are {len(parts.instant_runs)} instant actions in the state; clear them"
        parts.faults.report(Cause.INSTANT_FULL, now, why)
        if len(parts.instant_runs) > 2 * most:
            # The oldest that is over goes: memory has an end as well.
            oldest = next((n for n, r in parts.instant_runs.items() if r.ended), None)
            if oldest is not None:
                del parts.instant_runs[oldest]

    def _refuse(self, run: Run, why: str, now: float) -> None:
        self._parts.set_status(run, "FAILED", why)
        references = {
            "topic": "instantActions",
            "actionId": run.action.action_id,
            "actionType": run.kind,
        }
        self._parts.faults.report(Cause.INSTANT_ACTION, now, why, references)

    def _begin(self, run: Run, now: float) -> None:
        self._parts.faults.end(Until.INSTANT)
        effect = EFFECTS.get(run.kind)
        if effect is not None and effect.maps:
            self._parts.faults.end(Until.MAP)
        own = self._own.get(run.kind)
        if own is not None:
            own(run, now)
        else:
            self._performer.begin(run, now)

    def _finish(self, run: Run) -> None:
        self._parts.set_status(run, "FINISHED")

    # -- what concerns the vehicle as a whole ----------------------------------------------------

    def _cancel(self, run: Run, now: float) -> None:
        parts = self._parts
        held = parts.held
        wanted = run.action.parameter("orderId")
        active = parts.active and held is not None
        if held is None or not active or wanted not in (None, held.order_id):
            name = held.order_id if held is not None and active else ""
            why = "there is no active order" if not name else f"the active order is {name!r}"
            parts.set_status(run, "FAILED", why)
            references = {"topic": "instantActions", "actionId": run.action.action_id}
            parts.faults.report(Cause.NOTHING_TO_CANCEL, now, why, references)
            return
        held.cancelled = True
        parts.set_status(run, "RUNNING")
        begin_clearing(
            parts, self._performer, now, lambda _: self._finish(run), at_node=self._at_node
        )

    def _pause(self, run: Run, now: float) -> None:
        if not self._parts.paused:
            self._parts.paused = True
            self._performer.pause(now)
        self._parts.set_status(run, "RUNNING" if self._parts.chassis.moving else "FINISHED")

    def _unpause(self, run: Run, now: float) -> None:
        if self._parts.paused:
            self._parts.paused = False
            self._performer.resume(now)
            for other in self._pausing():
                self._parts.set_status(other, "FAILED", "the pause was ended before it stood")
        self._finish(run)

    def step(self) -> None:
        """End what began a pause once the vehicle stands."""
        if not self._parts.chassis.moving:
            for run in self._pausing():
                self._finish(run)

    def _pausing(self) -> list[Run]:
        runs = self._parts.instant_runs.values()
        return [run for run in runs if run.kind == "startPause" and run.status == "RUNNING"]

    def _trigger(self, run: Run, now: float) -> None:
        del now
        self._parts.triggers.add(_FLEET_CONTROL)
        self._finish(run)

    def _retry(self, run: Run, now: float) -> None:
        other = self._retriable(run, now)
        if other is not None:
            self._performer.retry(other, now)
            self._finish(run)

    def _skip(self, run: Run, now: float) -> None:
        other = self._retriable(run, now)
        if other is not None:
            self._performer.skip(other)
            self._finish(run)

    def _retriable(self, run: Run, now: float) -> Run | None:
        name = str(run.action.parameter("actionId"))
        other = self._parts.order_runs.get(name) or self._parts.zone_runs.get(name)
        if other is None or other.status != "RETRIABLE":
            self._refuse(run, f"no action {name!r} is RETRIABLE", now)
            return None
        return other

    # -- hibernation and shutdown ----------------------------------------------------------------

    def _hibernate(self, run: Run, now: float) -> None:
        parts = self._parts
        if parts.hibernation:
            self._finish(run)
            return
        wake_at = None
        if (text := run.action.parameter("wakeUpTime")) is not None:
            try:
                wake_at = seconds_of(str(text))
            except MessageError as error:
                self._refuse(run, str(error), now)
                return
        parts.set_status(run, "RUNNING")

        def end(_: float) -> None:
            self._finish(run)
            parts.hibernation, parts.wake_at = "asked", wake_at

        begin_clearing(parts, self._performer, now, end, at_node=False)

    def _wake(self, run: Run, now: float) -> None:
        del now
        if self._parts.hibernation:
            self._parts.hibernation = ""
        self._finish(run)

    def _shut_down(self, run: Run, now: float) -> None:
        if not self._parts.idle or self._parts.chassis.moving:
            self._refuse(run, "the vehicle must be idle to shut down", now)
            return
        self._finish(run)
        self._parts.shutting_down = True
