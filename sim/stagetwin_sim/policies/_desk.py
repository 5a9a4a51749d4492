"""An adviser's desk at a running service: drafts in a mirror, requests over the control socket."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from stagetwin import ServiceError
from stagetwin.envelopes import Envelope
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._advisor import Stage
from stagetwin_sim.policies._approval import Approval, Session
from stagetwin_sim.policies._proposals import Proposal, Value

if TYPE_CHECKING:
    from pxr import Usd

    from stagetwin.drafts import Drafts
    from stagetwin.service import ControlClient

__all__ = ["ServiceDesk"]

_GOOD_ENDS = ("VERIFIED", "SUPERSEDED")

_REMEMBERED = 100
"""Newest requests that are kept; an adviser may run for months."""


class ServiceDesk:
    """Drafts go to a person's mirror; requests go to the service, as this process's user.

    A loop begins when the service has its approval: it checks by the plant's roles that whoever
    approves may, puts it into the ledger, and holds the loop to its envelope. The command path
    judges a request as it judges a person's: roles, limits, permissives, rehearsal and approval of
    the command stay what they are.

    Args:
        connect: opens the control socket.
        mirror: stage of the person who is advised; None shows drafts to nobody.
        drafts: of that mirror.
        ttl: time to live of a request [s]; None is the command's own.

    Attributes:
        published: newest rows of what was asked for, as the service took them.
        approval: that the service has of the session's loop; None for none.
        ready: whether it has advised for long enough that a loop may be approved.
    """

    def __init__(
        self,
        connect: Callable[[], ControlClient],
        mirror: Usd.Stage | None = None,
        drafts: Drafts | None = None,
        ttl: float | None = None,
    ) -> None:
        self._connect, self._mirror, self._drafts, self._ttl = connect, mirror, drafts, ttl
        self.published = deque[dict[str, Any]](maxlen=_REMEMBERED)
        self._open: list[str] = []
        self._own: dict[str, deque[str]] = {}
        self._session = ""
        self._begun = False
        self.approval: Approval | None = None
        self.ready = True

    # -- the session

    def open(self, session: Session, envelope: Envelope, policy: str) -> None:
        """See Desk.

        Raises:
            ServiceError: the service refuses it, is read-only or does not answer.
        """
        with self._connect() as client:
            client.ask(
                op="loop_open",
                session=msgspec.to_builtins(session),
                envelope=envelope.plain(),
                policy=policy,
            )
            client.ask(op="loop_beat", id=session.id, stage="advisory", ready=False)
        self._session = session.id

    def begin(self, approval: Approval) -> None:
        """See Desk: the service has checked that whoever approved may, and has it on record.

        Raises:
            PolicyError: it has not, or of another approval.
            ServiceError: the service does not answer.
        """
        self.beat(Stage.ADVISORY, {}, {})
        if self.approval != approval:
            raise PolicyError(f"session {self._session}: the service has no such approval")
        self._begun = True
        # What people gave since the loop before, and what became of that one, is no trouble of it.
        self._open, self._own = [], {}

    def beat(self, stage: Stage, counts: Mapping[str, int], advice: Mapping[str, Value]) -> None:
        """See Desk.

        Raises:
            PolicyError: the service has ended the loop.
            ServiceError: the service does not answer, or does not know the session.
        """
        if not self._session:
            return
        with self._connect() as client:
            loop = client.ask(
                op="loop_beat",
                id=self._session,
                stage=str(stage),
                ready=self.ready,
                counts=dict(counts),
                advice=dict(advice),
            )["loop"]
        begun = loop["state"] == "BEGUN"
        self.approval = Approval.of(loop["statement"]) if begun else None
        if self._begun and not begun:
            raise PolicyError(f"the service ended it: {loop['cause']}")

    def end(self, cause: str) -> None:
        """See Desk; a service that does not hear of it ends the loop by itself."""
        self._begun, self.approval = False, None
        if self._session:
            with contextlib.suppress(ServiceError), self._connect() as client:
                client.ask(op="loop_leave", id=self._session, reason=cause[:1000])

    def close(self) -> None:
        """Take leave of the service."""
        if self._session:
            with contextlib.suppress(ServiceError), self._connect() as client:
                client.ask(op="loop_close", id=self._session)
        self._session = ""

    # -- proposals

    def draft(self, proposal: Proposal, reason: str) -> None:
        """See Desk.

        Raises:
            PolicyError: there is no such command, or its edits publish themselves by resting.
        """
        if self._mirror is None or self._drafts is None:
            return
        from pxr import Usd

        from stagetwin.drafts import desired_of

        row = self._drafts.targets.get(proposal.target)
        if row is None or row["publish"] != "explicit":
            # An edit that publishes itself by resting would be a command that nobody gave.
            known = "not known" if row is None else f"published {row['publish']}"
            raise PolicyError(f"{proposal.target}: no draft of a command that is {known}")
        attribute = self._mirror.GetAttributeAtPath(desired_of(proposal.target))
        if not attribute:
            raise PolicyError(f"{proposal.target}: no such command in the mirror")
        # An edit of the person's own draft layer: nothing leaves until the person publishes it.
        with Usd.EditContext(self._mirror, self._drafts.layer):
            attribute.Set(proposal.value)

    def publish(self, proposal: Proposal, reason: str) -> None:
        """See Desk.

        Raises:
            PolicyError: there is no such command, or somebody else gave it since.
            ServiceError: the service refused it, or does not answer.
        """
        target = proposal.target
        with self._connect() as client:
            rows = client.ask(op="targets", prim=target.rpartition(".")[0])["targets"]
            row = next((one for one in rows if f"{one['prim']}.{one['command']}" == target), None)
            if row is None:
                raise PolicyError(f"{target}: the service knows no such command")
            own = self._own.setdefault(target, deque(maxlen=_REMEMBERED))
            if own and row["request"] and row["request"] not in own:
                raise PolicyError(f"{target}: somebody else commanded it ({row['request']})")
            reply = client.ask(
                op="publish",
                target=target,
                value=proposal.value,
                revision=row["revision"],
                reason=reason,
                ttl=self._ttl,
                session=self._session,
            )
        self.published.append(reply["command"])
        self._open.append(str(reply["command"]["id"]))
        # What was in force before is back in force where a request comes to nothing.
        own.extend({str(reply["command"]["id"]), str(row["request"])} - {*own})

    def trouble(self) -> str:
        """See Desk: a command that was refused, ran out or cannot be verified is trouble."""
        if not self._open:
            return ""
        with self._connect() as client:
            rows = [client.ask(op="command", id=each)["command"] for each in self._open]
        self._open = [str(row["id"]) for row in rows if not row["ended"]]
        for row in rows:
            if row["ended"] and row["state"] not in _GOOD_ENDS:
                return f"{row['target']} ended {row['state']}: {row['cause']}"
        return ""
