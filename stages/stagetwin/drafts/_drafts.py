"""The mirror's side of commands: drafts that settle or wait to be published."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from pxr import Sdf, Usd

from stagetwin._authoring import Owner
from stagetwin._errors import CommandError
from stagetwin.clock import Clock, WallClock
from stagetwin.drafts._courier import Courier, Outcome, Publication, Service
from stagetwin.drafts._edits import Edit, Ignored, by_place
from stagetwin.drafts._pending import Draft, DraftState, KnownTarget, Own, Pending
from stagetwin.drafts._places import Places
from stagetwin.drafts._probe import DraftProbe, Watched
from stagetwin.identifiers import uuid7
from stagetwin.values import plain

__all__ = ["Draft", "DraftState", "Drafts"]

TARGETS_EVERY = 1.0
"""How often the service is asked for its targets [s]."""

RETRY_EVERY = 1.0
RETRY_FOR = 10.0
"""How long a publication that did not get through is tried again [s]: nobody expects a machine to
move long after the edit. Past it, it takes a person to publish it."""

IGNORED_KEPT = 256

_UNSENT_ENDS = frozenset({"REJECTED", "DENIED", "CANCELLED", "SUPERSEDED", "EXPIRED"})
"""Ends of a command of which nothing left: the edit is a draft again."""


class Drafts:
    """Drafts in a mirror's own layer; `poll` belongs into the tick of the thread that owns it.

    Attributes:
        layer: the draft layer.
        fault: why the service cannot be asked at the moment; empty while it can.
        ignored: newest changes that do not publish by themselves, and why.
        published: newest row of what was published from here, by command.
        targets: rows of what can be commanded, by command, as the service said it last.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        connect: Callable[[], Service],
        *,
        layer: Sdf.Layer | None = None,
        clock: Clock | None = None,
        watched: Watched = {},  # noqa: B006  # never changed
        targets_every: float = TARGETS_EVERY,
    ) -> None:
        """Begin to watch the draft layer.

        Args:
            stage: the mirror; its own word on what settles counts for nothing.
            connect: returns a new connection to the service, or raises ServiceError.
            layer: the layer that people edit; an anonymous one on top of the session layer's
                sublayers is made if there is none.
            clock: what rest is measured on.
            watched: see `DraftProbe`.
            targets_every: how often the service is asked for its targets by itself [s].
        """
        self._owner = Owner()
        self._stage = stage
        self._clock = clock if clock is not None else WallClock()
        self._inserted = layer is None
        self.layer = layer if layer is not None else Sdf.Layer.CreateAnonymous("draft.usda")
        if self._inserted:
            stage.GetSessionLayer().subLayerPaths.insert(0, self.layer.identifier)
        self.fault = "the service was not asked yet"
        self.ignored: deque[Ignored] = deque(maxlen=IGNORED_KEPT)
        self.published: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, dict[str, Any]] = {}
        self._targets: dict[str, KnownTarget] = {}
        self._own: dict[str, Own] = {}
        self._pending: dict[str, Pending] = {}
        self._places = Places(stage, self.layer)
        self._probe = DraftProbe(self.layer, watched, self._beneath, self._followers)
        for each in self._probe.opened():
            self._hold(each)
        self._courier = Courier(connect, self._clock)
        self._asking = False
        self._least = self._every = targets_every
        self._asked = self._clock.steady() - targets_every

    @property
    def drafts(self) -> list[Draft]:
        """What is not published, oldest first."""
        return [
            Draft(command=p.command, path=p.path, value=p.value, state=p.state, cause=p.cause)
            for p in self._pending.values()
        ]

    def poll(self) -> bool:
        """Take edits and answers, publish what settled; returns whether the drafts changed."""
        self._owner.check()
        before = self.drafts
        for change in self._probe.take():
            if isinstance(change, Edit):
                self._edited(change)
            else:
                self._hold(change)
        for outcome in self._courier.outcomes():
            self._heard(outcome)
        now = self._clock.steady()
        for pending in list(self._pending.values()):
            self._settle(pending, now)
        if not self._asking and now - self._asked >= self._every:
            self._asking, self._asked = self._courier.ask_targets(), now
        return self.drafts != before

    def publish(self, path: str, reason: str = "") -> str:
        """Ask for a draft to be published, whatever its target does by itself; returns its id.

        Args:
            path: the command `/Prim.name`, or the path of the edited attribute.
            reason: for the record.

        Raises:
            CommandError: there is no such draft, or too many questions wait already.
        """
        self._owner.check()
        self.poll()
        found = [p for p in self._pending.values() if path in (p.command, p.path)]
        if not found:
            others = ", ".join(self._pending) or "none"
            raise CommandError(f"no draft of {path}; drafts: {others}")
        if len(found) > 1:
            commands = ", ".join(p.command for p in found)
            raise CommandError(f"{path} is the place of several drafts, publish each: {commands}")
        (pending,) = found
        if pending.state is DraftState.SENDING and pending.sent is not None:
            return pending.sent.id
        if pending.fault:
            raise CommandError(f"{pending.command} is not published: {pending.fault}")
        if not self._send(pending, "explicit", reason):
            raise CommandError(f"{path} is not published: too many questions to the service wait")
        assert pending.sent is not None  # it was just sent
        return pending.sent.id

    def discard(self, path: str) -> None:
        """Take an opinion out of the draft layer, published or not: the mirror shows what is below.

        Args:
            path: the path of the edited attribute.
        """
        self._owner.check()
        spec = self.layer.GetAttributeAtPath(path)
        if spec is not None:
            spec.ClearDefaultValue()
        elif (rel := self.layer.GetRelationshipAtPath(path)) is not None:
            rel.targetPathList.ClearEdits()

    def look(self) -> None:
        """Have the service asked for its targets with the next `poll`: something happened."""
        self._owner.check()
        self._asked = -math.inf

    def close(self) -> None:
        """Stop watching, and take the layer out of the stage if it was made here."""
        self._owner.check()
        for pending in self._pending.values():
            _withdraw(pending)
        self._probe.close()
        self._courier.close()
        if self._inserted:
            self._stage.GetSessionLayer().subLayerPaths.remove(self.layer.identifier)

    def _beneath(self, path: str) -> Any:
        """Return what the mirror says of an attribute without the draft."""
        if by_place(path) and (said := self._places.named_beneath(path)):
            return said
        attr = self._stage.GetAttributeAtPath(path)
        for spec in attr.GetPropertyStack(Usd.TimeCode.Default()) if attr else []:
            if spec.layer != self.layer and spec.default is not None:
                return None if isinstance(spec.default, Sdf.ValueBlock) else spec.default
        return None

    def _followers(self, prim: str) -> dict[str, bool]:
        """Return the commands whose place lies at or below a prim: see `Places.followers`."""
        return self._places.followers(prim, self.targets)

    def _edited(self, edit: Edit) -> None:
        pending = self._replace(edit, DraftState.HELD, "it waits to be published")
        target = self._targets.get(edit.command)
        if pending.fault:
            pending.cause = pending.fault
        elif target is None:
            pending.cause = "the service did not know this command when it was edited"
        elif target.settles:
            pending.state, pending.cause = DraftState.RESTING, ""

    def _hold(self, change: Ignored) -> None:
        self.ignored.append(change)
        if change.new is None:
            gone = self._pending.pop(change.command, None)
            if gone is not None:
                _withdraw(gone)
        else:
            pending = self._replace(change, DraftState.HELD, str(change.reason))
            pending.cause = pending.fault or pending.cause

    def _replace(self, change: Edit | Ignored, state: DraftState, cause: str) -> Pending:
        """Put a draft in the place of the one before, which is not sent any more."""
        command = change.command
        before = self._pending.pop(command, None)
        base, after = self._seen(command)
        if before is not None:
            # The editor has seen nothing newer: the draft hides what is desired meanwhile.
            _withdraw(before)
            base, after = before.base, before.after
            if before.sent is not None:
                after = before.sent.id
        value, fault = plain(change.new), ""
        if by_place(change.path):
            value, fault = self._places.value(command, self.targets.get(command))
        pending = self._pending[command] = Pending(
            command=command,
            path=change.path,
            value=value,
            fault=fault,
            state=state,
            cause=cause,
            since=self._clock.steady(),
            base=base,
            after=after,
        )
        return pending

    def _seen(self, command: str) -> tuple[int | None, str]:
        """Return the revision that the mirror shows, and the own command that may be newer."""
        target, own = self._targets.get(command), self._own.get(command)
        known = None if target is None else target.revision
        if own is None:
            return known, ""
        if own.revision:
            return max(known or 0, own.revision), ""
        return known, own.id if known == own.base else ""

    def _settle(self, pending: Pending, now: float) -> None:
        if pending.state is not DraftState.RESTING or now < pending.again_at:
            return
        target = self._targets.get(pending.command)
        if pending.sent is None and (target is None or not target.settles):
            pending.state, pending.cause = DraftState.HELD, "it waits to be published"
        elif pending.sent is not None and now - pending.first_sent > RETRY_FOR:
            pending.state = DraftState.HELD
            pending.cause = f"the service was not reached in {RETRY_FOR:g} s: {pending.cause}"
        elif pending.sent is not None or (target and now - pending.since >= target.debounce):
            self._send(pending, "settled", "")

    def _send(self, pending: Pending, mode: str, reason: str) -> bool:
        """Hand a draft to the courier; one that may have arrived goes again as it was."""
        now = self._clock.steady()
        again, said = pending.sent, self._places.parameters(pending.command)
        if again is not None and mode == "explicit" and again.parameters != said:
            # Other words are another request; the one before may have arrived.
            again.withdrawn, pending.after, again = True, again.id, None
        if again is None:
            base = pending.base
            if base is None and (target := self._targets.get(pending.command)) is not None:
                base = target.revision
            pending.first_sent = now
            again = Publication(
                id=uuid7(),
                command=pending.command,
                value=pending.value,
                revision=base,
                after=pending.after,
                reason=reason,
                mode=mode,
                deadline=now + RETRY_FOR,
                parameters=said,
            )
        elif mode == "explicit":
            pending.first_sent = now
            again.deadline = now + RETRY_FOR
        if not self._courier.publish(again):
            pending.cause = "too many questions to the service wait"
            return False
        pending.sent, pending.state, pending.cause = again, DraftState.SENDING, ""
        return True

    def _heard(self, outcome: Outcome) -> None:
        publication = outcome.publication
        if publication is None:
            self._asking = False
            # A plant with many targets is asked less often.
            self._every = max(self._least, 20 * (self._clock.steady() - self._asked))
            self.fault = outcome.fault
            if outcome.targets is not None:
                self._know(outcome.targets)
            return
        pending = self._pending.get(publication.command)
        newest = pending is not None and pending.sent is publication
        if outcome.row is not None:
            self._recorded(publication, outcome.row, pending if newest else None)
        elif newest and pending is not None:
            if outcome.refused:
                pending.sent, pending.base = None, publication.revision
                pending.state, pending.cause = DraftState.HELD, outcome.refused
            else:
                # Tried again with the same id while it is the newest edit: see `_settle`.
                pending.state, pending.cause = DraftState.RESTING, outcome.fault
                pending.again_at = self._clock.steady() + RETRY_EVERY
        if not publication.withdrawn:
            self.fault = outcome.fault

    def _recorded(
        self, publication: Publication, row: dict[str, Any], pending: Pending | None
    ) -> None:
        command = publication.command
        self.published[command] = row
        revision = int(row["revision"])
        refused = row["state"] in _UNSENT_ENDS
        if refused:
            revision = 0
        else:
            self._own[command] = Own(publication.id, publication.revision, revision)
        newer = self._pending.get(command)
        if newer is not None and newer is not pending and newer.after == publication.id:
            if refused:
                newer.after = ""
            elif revision:
                newer.base, newer.after = revision, ""
        if pending is None:
            return
        if refused:
            # Its editor is told; to publish it again is to have seen the newest revision.
            pending.sent, pending.base, pending.after = None, None, ""
            pending.state = DraftState.HELD
            pending.cause = f"{row['state']}: {row['cause']}"
        else:
            del self._pending[command]

    def _know(self, rows: list[dict[str, Any]]) -> None:
        self.targets = {str(row["path"]): row for row in rows}
        self._targets = {
            str(row["path"]): KnownTarget(
                int(row["revision"]), row["publish"] == "settled", float(row["debounce"])
            )
            for row in rows
        }
        # The list was made after what it answers: it counts own commands that have a revision.
        self._own = {command: own for command, own in self._own.items() if not own.revision}


def _withdraw(pending: Pending) -> None:
    if pending.sent is not None:
        pending.sent.withdrawn = True
