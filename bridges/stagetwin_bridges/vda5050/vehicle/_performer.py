"""Begins actions, follows them and ends them (3.0, 6.2 and 6.6.9)."""

from __future__ import annotations

from stagetwin_bridges.vda5050.vehicle._device import Progress
from stagetwin_bridges.vda5050.vehicle._effects import EFFECTS, Effect
from stagetwin_bridges.vda5050.vehicle._parts import Parts
from stagetwin_bridges.vda5050.vehicle._rules import Cause
from stagetwin_bridges.vda5050.vehicle._runs import Run

__all__ = ["Performer"]

_DEVICE = Effect(device=True)
_STOPPING = frozenset({"pick", "drop", "finePositioning", "startCharging", "initializePosition"})
"""Without these the rest of an order makes no sense; other failures are told and passed over."""


class Performer:
    """Begins actions, follows them and ends them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def begin(self, run: Run, now: float) -> None:
        """Begin an action, or begin it again after a failure."""
        parts, effect = self._parts, EFFECTS.get(run.kind, _DEVICE)
        if why := effect.check(parts, run, now):
            self._fail(run, why, now)
        elif effect.waits:
            parts.set_status(run, "RUNNING")
        elif effect.device:
            parts.device.begin(run.action, now)
            parts.set_status(run, "RUNNING")
            self._follow(run, now)
        else:
            self._finish(run, effect, Progress(status="FINISHED"), now)

    def step(self, now: float) -> None:
        """Follow what runs, and begin what may."""
        parts = self._parts
        for run in parts.instant_runs.values():
            if run.begun:
                self._follow(run, now)
        if not parts.queue:
            parts.triggers.clear()
            return
        for run in parts.queue.runs:
            self._follow(run, now)
        parts.triggers.clear()
        parts.queue.prune()
        if parts.paused or not parts.controlled:
            return
        # What ends at once lets the next begin in the same step.
        while ready := parts.queue.ready():
            for run in ready:
                self.begin(run, now)
            parts.queue.prune()

    def stop_edge(self, sequence_id: int, now: float) -> None:
        """End the actions of an edge that is left: those that ran are finished (6.6.2)."""
        for run in self._parts.queue.runs:
            if run.scope == "EDGE" and run.place == sequence_id:
                self.finish_early(run, now)

    def finish_early(self, run: Run, now: float) -> None:
        """End an action with what it was for: finished if it ran, else failed."""
        if run.begun:
            self._cancel_device(run, now)
            self._parts.set_status(run, "FINISHED")
        elif not run.ended:
            self._parts.set_status(run, "FAILED", "its edge or zone was left before it began")

    def cancel(self, run: Run, now: float) -> None:
        """Give an action up if that is allowed (6.1.3)."""
        if run.ended:
            return
        known = self._parts.abilities.action(run.kind)
        allowed = run.status in ("WAITING", "RETRIABLE") or EFFECTS.get(run.kind, _DEVICE).waits
        if allowed or (known is not None and known.cancel_allowed):
            self._cancel_device(run, now)
            self._parts.set_status(run, "FAILED", "cancelled")

    def retry(self, run: Run, now: float) -> None:
        """Begin an action again that is RETRIABLE."""
        self.begin(run, now)

    def skip(self, run: Run) -> None:
        """Let an action fail that is RETRIABLE."""
        self._parts.set_status(run, "FAILED", f"skipped: {run.result}" if run.result else "skipped")

    def pause(self, now: float) -> None:
        """Pause what can be paused."""
        for run in self._running():
            known = self._parts.abilities.action(run.kind)
            if self._parts.rules.pause_all or (known is not None and known.pause_allowed):
                run.resumes = run.status
                if not EFFECTS.get(run.kind, _DEVICE).waits:
                    self._parts.device.hold(run.action, now)
                self._parts.set_status(run, "PAUSED")

    def resume(self, now: float) -> None:
        """Go on with what was paused."""
        for run in self._parts.queue.runs:
            if run.status == "PAUSED" and run.resumes is not None:
                if not EFFECTS.get(run.kind, _DEVICE).waits:
                    self._parts.device.go_on(run.action, now)
                self._parts.set_status(run, run.resumes)
                run.resumes = None

    # -- parts -----------------------------------------------------------------------------------

    def _running(self) -> list[Run]:
        return [r for r in self._parts.queue.runs if r.status in ("INITIALIZING", "RUNNING")]

    def _follow(self, run: Run, now: float) -> None:
        if run.status not in ("INITIALIZING", "RUNNING"):
            return
        effect = EFFECTS.get(run.kind, _DEVICE)
        if effect.waits:
            if self._triggered(run):
                self._parts.set_status(run, "FINISHED")
            return
        if not effect.device:
            return
        progress = self._parts.device.look(run.action, now)
        if progress.status == "FINISHED":
            self._finish(run, effect, progress, now)
        elif progress.status == "FAILED":
            self._fail(run, progress.result or "it failed", now)
        else:
            self._parts.set_status(run, progress.status)

    def _triggered(self, run: Run) -> bool:
        wanted = run.action.parameter("triggerType")
        if wanted is None:
            return bool(self._parts.triggers)
        kinds = {wanted} if isinstance(wanted, str) else set(wanted)
        return bool(kinds & self._parts.triggers)

    def _finish(self, run: Run, effect: Effect, progress: Progress, now: float) -> None:
        if why := effect.finish(self._parts, run, progress, now):
            self._fail(run, why, now)
            return
        # An effect may have put a result there.
        self._parts.set_status(run, "FINISHED", progress.result)
        self._parts.dirty = True

    def _fail(self, run: Run, why: str, now: float) -> None:
        parts = self._parts
        if run.action.retriable and run.scope != "INSTANT":
            parts.set_status(run, "RETRIABLE", why)
            return
        parts.set_status(run, "FAILED", why)
        if run.scope == "INSTANT":
            return
        cause = Cause.ACTION_FAILED if run.kind in _STOPPING else Cause.ACTION_MISSED
        name = run.action.action_id
        text = f"action {run.kind} {name!r}: {why}"
        parts.faults.report(cause, now, text, {"actionId": name}, key=name)

    def _cancel_device(self, run: Run, now: float) -> None:
        effect = EFFECTS.get(run.kind, _DEVICE)
        if run.begun and effect.device:
            self._parts.device.cancel(run.action, now)
