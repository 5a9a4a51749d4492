"""A live session: a stage that follows the service, and the drafts of whoever looks at it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pxr import Sdf, Tf, Usd

from stagetwin._authoring import Owner
from stagetwin._errors import FrameError, SyncError
from stagetwin._paths import is_below
from stagetwin.clock import Clock
from stagetwin.drafts import Draft, Drafts, commanded_properties
from stagetwin.sync._client import SyncClient
from stagetwin.sync._editor import DraftEditor
from stagetwin.sync._heard import Heard
from stagetwin.sync._mirror import Mirror
from stagetwin.sync._questions import Answer
from stagetwin.sync._rows import Ghost, Row, Summary, row_of

__all__ = ["LiveSession"]

DOUBT_AFTER = 3.0
"""A service that was not heard for this long is not shown as if it had been [s]."""

SHARE = 1 / 3
"""Part of the owner's time that applying frames may take; what comes meanwhile is one frame."""

LONGEST_REST = 1.0
LOOK_EVERY = 1.0
PRESENCE_EVERY = 0.1
TARGETS_EVERY = 10.0
NOTICES_KEPT = 200
LISTED = 100

Reply = dict[str, Any]


class LiveSession:
    """What a shell needs, on the thread of its stage; `tick` belongs into the shell's own loop.

    It writes to two anonymous layers, which `close` takes off again. It never touches the edit
    target: what a person edits anywhere but in the draft layer is no draft, and is not published.

    Attributes:
        mirror: the service's state on the stage.
        client: the connection.
        notices: what came of what was asked, newest last.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        url: str,
        *,
        token: str = "",
        ca_file: str = "",
        prims: Sequence[str] = ("/",),
        rate: float = 30.0,
        program: str = "stagetwin",
        clock: Clock | None = None,
    ) -> None:
        """Begin.

        Args:
            stage: any stage of the plant; it follows the service from now on.
            url: of the service.
            token: bearer token; empty for none.
            ca_file: PEM file of the authorities to trust; empty trusts the system's.
            prims: what is followed.
            rate: most frames a second [Hz].
            program: name of the shell.
            clock: what the rest of drafts is measured on; the machine's if None.

        Raises:
            ServiceError: the URL is none that may be connected to.
        """
        self._owner = Owner()
        self._stage = stage
        subscription = {"prims": list(prims), "rate": rate, "expected": True}
        # First, since it is what may fail: the stage is not touched then.
        self.client = SyncClient(
            url, token=token, ca_file=ca_file, subscribe=subscription, program=program
        )
        try:
            self.mirror = Mirror(stage)
            self._drafts = Drafts(
                stage,
                self.client.service,
                clock=clock,
                watched=commanded_properties(stage),
                targets_every=TARGETS_EVERY,
            )
        except BaseException:
            self.client.close()
            raise
        self.notices: deque[str] = deque(maxlen=NOTICES_KEPT)
        self._heard = Heard()
        self._changed: set[str] = set()
        self._state = ""
        self._rest_until = self._looked = self._presented = -math.inf
        self._presence: Reply = {}
        self._targets: Mapping[str, Any] = {}
        self._editor = DraftEditor(stage, self._drafts, self.notices.append)
        self._own: dict[str, str] = {}
        self._resynced = False
        self._touched = False
        self._writing = False
        self._closed = False
        self._listener = Tf.Notice.Register(Usd.Notice.ObjectsChanged, self._stage_changed, stage)

    @property
    def layer(self) -> Sdf.Layer:
        """The layer of this person's drafts."""
        return self._drafts.layer

    # -- every tick

    def tick(self) -> Summary:
        """Bring the stage up to what came, and publish what settled.

        Raises:
            OwnershipError: called on another thread.
        """
        self._owner.check()
        applied, started = 0, time.monotonic()
        if not self._closed:
            self._writing = True
            try:
                if started >= self._rest_until:
                    applied = self._take()
                    spent = time.monotonic() - started
                    rest = min(spent * (1 / SHARE - 1), LONGEST_REST)
                    self._rest_until = time.monotonic() + rest
                state = self.client.state
                self.mirror.doubt(state.state != "live" or state.age > DOUBT_AFTER)
                self._follow_drafts()
                self._follow_stage(started)
            finally:
                self._writing = False
            self._present(started)
        return self._summary(applied)

    def _take(self) -> int:
        mail, applied = self.client.take(), 0
        if mail.welcome is not None:
            self._heard.begin()
            self.mirror.forget()
            self._changed |= {"alarms", "commands", "topics", "people", "drafts"}
        if mail.welcome is not None or mail.missed:
            self._editor.forget_told()
            self._drafts.look()
            self.client.post({"op": "commands", "limit": LISTED}, self._commands_listed)
        if mail.channels is not None:
            self._resynced = False
            try:
                self.mirror.channels(mail.channels)
            except SyncError as error:
                self.notices.append(str(error))
        for frame in mail.frames:
            try:
                applied += self.mirror.apply(frame)
            except FrameError as error:
                self.notices.append(str(error))
                self.mirror.needs_resync = True
        if self.mirror.needs_resync and not self._resynced:
            self._resynced = True
            self.client.resync()
        for event in mail.events:
            self.mirror.event(event)
            self._take_event(event)
        if applied:
            self._changed.add("values")
        return applied

    def _take_event(self, event: Mapping[str, Any]) -> None:
        changed = self._heard.event(event)
        if changed:
            self._changed.add(changed)
        if changed == "commands":
            # What stands as desired may be another now.
            self._drafts.look()
            row = event["command"]
            if row.get("id") in self._own and row.get("ended"):
                target = self._own.pop(row["id"])
                cause = f": {row['cause']}" if row.get("cause") else ""
                self.notices.append(f"{target}: {row['state']}{cause}")

    def _commands_listed(self, answer: Answer) -> None:
        self._heard.take_commands(list(answer.reply.get("commands", ())))
        self._changed.add("commands")

    def _follow_drafts(self) -> None:
        """Publish what settled, show what is desired, and tell the others what is considered."""
        if self._drafts.poll():
            self._changed.add("drafts")
        if self._drafts.targets is not self._targets:
            self._targets = self._drafts.targets
            self.mirror.targets(list(self._targets.values()))
            self._changed.add("commands")
        self._editor.tell(self.client.say)

    def _follow_stage(self, now: float) -> None:
        """Bind anew where prims came or went: a payload was loaded, a variant switched."""
        if self._touched and now - self._looked >= LOOK_EVERY:
            self._touched, self._looked = False, now
            if self.mirror.outdated():
                # The table comes again, and is bound to the stage as it is now.
                self.client.resync()

    def _stage_changed(self, notice: Usd.Notice.ObjectsChanged, _stage: Usd.Stage) -> None:
        # No more than this: an exception here would be raised in whoever writes the stage.
        if not self._writing and notice.GetResyncedPaths():
            self._touched = True

    def _present(self, now: float) -> None:
        due = self._presence and now - self._presented >= PRESENCE_EVERY
        if due and self.client.say({"op": "presence", **self._presence}):
            self._presented, self._presence = now, {}

    def _summary(self, applied: int) -> Summary:
        state = self.client.state
        if state.state != self._state:
            self._state = state.state
            self._changed.add("state")
        changed, self._changed = frozenset(self._changed), set()
        table = self.mirror.table
        return Summary(
            state=state.state,
            cause=state.cause,
            age=state.age,
            user=state.user,
            applied=applied,
            problems=len(table.problems) if table is not None else 0,
            alarms=self._heard.alarm_counts(),
            changed=changed,
        )

    # -- what a dock shows

    def rows(self, prim: str = "/") -> list[Row]:
        """Return the signals at or below a prim."""
        self._owner.check()
        table, now = self.mirror.table, self.client.state.now()
        if table is None:
            return []
        return [
            row_of(table.path(i), table.rows[i], self.mirror.reading(i), now)
            for i in range(len(table.rows))
            if not table.expected.mask[i] and is_below(str(table.rows[i]["path"]), prim)
        ]

    def alarms(self, prim: str = "/") -> list[Reply]:
        """Return the active alarms at or below a prim, newest first."""
        return self._heard.alarms(prim)

    def commands(self, prim: str = "/") -> list[Reply]:
        """Return commands at or below a prim, newest first."""
        return self._heard.commands_below(prim)

    def targets(self, prim: str = "/") -> list[Reply]:
        """Return what can be commanded at or below a prim."""
        return [dict(row) for path, row in self._drafts.targets.items() if is_below(path, prim)]

    def topics(self, prim: str = "/") -> list[Reply]:
        """Return the review topics that name a prim or one below it."""
        return self._heard.topics(prim)

    def people(self) -> list[Reply]:
        """Return who is here."""
        return list(self._heard.people)

    def drafts(self) -> list[Draft]:
        """Return this person's drafts."""
        return self._drafts.drafts

    def others(self) -> list[Ghost]:
        """Return what others consider."""
        own = self.client.state.session
        return [
            Ghost(session, user, target, value, prim, self._editor.ghost(target, value))
            for (session, target), (user, value) in self._heard.drafts.items()
            if session != own and (prim := target.rpartition(".")[0])
        ]

    def ghost(self, draft: Draft) -> tuple[float, ...] | None:
        """Return where a marker of a draft stands on the stage, None if it is no place."""
        return self._editor.ghost(draft.command, draft.value)

    # -- drafts

    def draft(self, command: str, value: Any) -> None:
        """Write a draft into this session's own layer, and nowhere else.

        Args:
            command: `/Prim.name`.
            value: plain data, or what an attribute of its type holds.

        Raises:
            CommandError: the service offers no such command, or it takes no such value; the
                message says what it takes.
        """
        self._owner.check()
        self._editor.write(command, value)

    def draft_move(self, prim: str, command: str, axis: str = "") -> None:
        """Write a draft of where a prim stands now, in the space of the command's own prim.

        Args:
            prim: path of the marker that was moved.
            command: of a matrix4d, a vector of three, a quaternion, or a number along an axis.
            axis: `X`, `Y` or `Z` for a number.

        Raises:
            CommandError: as `draft`, or a place is no value of the command's type.
        """
        self._owner.check()
        self._editor.write_move(prim, command, axis)

    def withdraw(self, command: str) -> None:
        """Take a draft back; what was published goes its way."""
        self._owner.check()
        for draft in self._drafts.drafts:
            if command in (draft.command, draft.path):
                self._drafts.discard(draft.path)

    def publish(self, command: str, reason: str = "") -> str:
        """Ask for a draft to become a request; returns the request's id.

        Raises:
            CommandError: there is no such draft.
        """
        self._owner.check()
        made = self._drafts.publish(command, reason)
        self._own[made] = command
        return made

    # -- questions; they return at once

    def approve(self, command_id: str, hash: str = "") -> None:  # the field's name
        """Approve a command, as it was seen with that hash."""
        request = {"op": "approve_command", "id": command_id}
        self._do({**request, "hash": hash} if hash else request, f"{command_id} approved")

    def deny(self, command_id: str, reason: str = "") -> None:
        """Deny a command."""
        self._do({"op": "deny_command", "id": command_id, "reason": reason}, f"{command_id} denied")

    def cancel(self, command_id: str, reason: str = "") -> None:
        """Cancel a command that has not left."""
        self._do({"op": "cancel", "id": command_id, "reason": reason}, f"{command_id} cancelled")

    def halt(self, prim: str, reason: str = "") -> None:
        """Ask everything below a prim to stop; no safety function."""
        self._do({"op": "halt", "prim": prim, "reason": reason}, f"stop requested below {prim}")

    def acknowledge(self, alarm: str, comment: str = "") -> None:
        """Say that an alarm is known."""
        request = {"op": "acknowledge_alarm", "id": alarm, "comment": comment}
        self._do(request, f"{alarm} acknowledged")

    def ask(self, request: Mapping[str, Any], callback: Callable[[Answer], None]) -> None:
        """Ask any operation; the callback runs in a later `tick`."""
        self._owner.check()
        self.client.post(request, callback)

    def _do(self, request: Mapping[str, Any], done: str) -> None:
        def answered(answer: Answer) -> None:
            self.notices.append(f"{request['op']}: {answer.error}" if answer.error else done)
            self._changed.add("commands")

        self.ask(request, answered)

    def present(
        self, camera: Mapping[str, Any] | None = None, selection: Sequence[str] | None = None
    ) -> None:
        """Tell the others where this person looks and what is selected; sent by `tick`."""
        self._owner.check()
        if camera is not None:
            self._presence["camera"] = dict(camera)
        if selection is not None:
            self._presence["selection"] = list(selection)

    def close(self) -> None:
        """Leave the service and the stage, which is as it was found."""
        self._owner.check()
        if self._closed:
            return
        self._closed = True
        self._listener.Revoke()
        # The client first: whatever waits for an answer of it ends then.
        self.client.close()
        self._drafts.close()
        self.mirror.detach()
