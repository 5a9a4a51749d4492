"""Actions on their way, and which of them may run side by side (3.0, 6.2.2 and 6.6.9)."""

from __future__ import annotations

from collections.abc import Iterable

from stagetwin_bridges.vda5050.messages import Action, ActionScope, ActionState, ActionStatus

__all__ = ["ActionQueue", "Run"]

_STANDS = ("SOFT", "HARD")
_ALONE = ("SINGLE", "HARD")


class Run:
    """One action and how far it is.

    Attributes:
        action: what is to be done.
        scope: where it was asked for.
        place: sequence id of its node or edge, or id of its zone.
        status: as the state has it.
        result: of it, or why it failed.
        resumes: status that a pause took from it; None while it is not paused.
    """

    __slots__ = ("action", "place", "result", "resumes", "scope", "status")

    def __init__(self, action: Action, scope: ActionScope, place: int | str = "") -> None:
        self.action = action
        self.scope = scope
        self.place = place
        self.status: ActionStatus = "WAITING"
        self.result = ""
        self.resumes: ActionStatus | None = None

    @property
    def kind(self) -> str:
        """Type of the action."""
        return self.action.action_type

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.status in ("FINISHED", "FAILED")

    @property
    def begun(self) -> bool:
        """Whether it was begun and is not over."""
        return self.status in ("INITIALIZING", "RUNNING", "PAUSED", "RETRIABLE")

    def state(self) -> ActionState:
        """Return it as a state has it."""
        return ActionState(
            action_id=self.action.action_id,
            action_type=self.action.action_type,
            action_descriptor=self.action.action_descriptor,
            action_status=self.status,
            action_result=self.result or None,
        )


class ActionQueue:
    """Triggered actions in their order; the blocking types say which go side by side.

    Source: VDA 5050 3.0, table 3 and figure 11.
    """

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def stands(self) -> bool:
        """Whether the vehicle must not drive: an action in the queue is SOFT or HARD."""
        return any(run.action.blocking_type in _STANDS for run in self._runs)

    @property
    def runs(self) -> tuple[Run, ...]:
        """What is in it."""
        return tuple(self._runs)

    def add(self, runs: Iterable[Run]) -> None:
        """Put triggered actions at its end."""
        self._runs.extend(runs)

    def prune(self) -> None:
        """Take out what is over."""
        if any(run.ended for run in self._runs):
            self._runs = [run for run in self._runs if not run.ended]

    def ready(self) -> list[Run]:
        """Return what may begin now."""
        found: list[Run] = []
        for at, run in enumerate(self._runs):
            alone = run.action.blocking_type in _ALONE
            if run.status == "WAITING":
                if alone:
                    # All that was collected before it must be over.
                    if at == 0:
                        found.append(run)
                    break
                found.append(run)
            elif alone:
                break
        return found
