"""What people ask for in a shell's window, as one call: shells differ in how they show it alone."""

from __future__ import annotations

from typing import Any

from stagetwin.sync._session import LiveSession

__all__ = ["ask_session"]


def ask_session(
    session: LiveSession, what: str, subject: str, value: Any, reason: str, selected: str
) -> None:
    """Do what somebody asks for.

    Args:
        session: the connection.
        what: `draft`, `move`, `publish`, `withdraw`, `approve`, `deny`, `halt` or `acknowledge`.
        subject: path of the command; id of the command to approve or deny, or of the alarm.
        value: of a draft; the hash that is approved.
        reason: for the record.
        selected: path of the prim that is moved, or at and below which everything is to stop.

    Raises:
        StagetwinError: it is refused; the message says why.
    """
    if what == "draft":
        session.draft(subject, value)
    elif what == "move":
        session.draft_move(selected, subject)
    elif what == "publish":
        session.publish(subject, reason)
    elif what == "withdraw":
        session.withdraw(subject)
    elif what == "approve":
        session.approve(subject, str(value))
    elif what == "deny":
        session.deny(subject, reason)
    elif what == "halt":
        session.halt(selected)
    elif what == "acknowledge":
        session.acknowledge(subject)
