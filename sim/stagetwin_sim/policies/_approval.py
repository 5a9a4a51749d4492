"""Who lets a policy close a loop: once for a session, and for an envelope.

The envelope itself is `stagetwin.envelopes.Envelope`: the service holds a loop to it as well.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._keys import SigningKey, VerifyKey

__all__ = ["Approval", "Session"]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an adviser: what an approval is bound to.

    Attributes:
        id: made up anew for each session.
        bundle: digest of the policy's bundle.
        envelope: digest of the envelope.
        author: id of the key of whoever began it.
    """

    id: str
    bundle: str
    envelope: str
    author: str


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that a session may close its loop.

    Attributes:
        session: that it is for, and for no other.
        approver: id of the key that signed it.
        reason: in words.
        time: when, for the record [s, Unix].
        signature: base64 of Ed25519 over all else.
    """

    session: Session
    approver: str
    reason: str
    time: float
    signature: str = ""

    @classmethod
    def give(cls, session: Session, key: SigningKey, *, reason: str, time: float) -> Approval:
        """Sign it.

        Raises:
            PolicyError: whoever signs is the author of the session.
        """
        if key.public.id == session.author:
            raise PolicyError("an approver is not the author of the session")
        made = cls(session=session, approver=key.public.id, reason=reason, time=time)
        signature = base64.b64encode(key.sign(made.statement)).decode()
        return msgspec.structs.replace(made, signature=signature)

    @property
    def statement(self) -> bytes:
        """What is signed."""
        content: dict[str, Any] = msgspec.to_builtins(self)
        content.pop("signature")
        return b"stagetwin policy approval\n" + json.dumps(content, sort_keys=True).encode()

    @classmethod
    def of(cls, content: object) -> Approval:
        """Read it from plain data.

        Raises:
            PolicyError: it is none.
        """
        try:
            return msgspec.convert(content, cls)
        except msgspec.ValidationError as error:
            raise PolicyError(f"no approval: {error}") from None

    def refusal(self, session: Session, approvers: Iterable[VerifyKey]) -> str:
        """Return why it does not let a session close its loop; empty if it does.

        Args:
            session: that asks.
            approvers: keys of those who may approve.
        """
        if self.session != session:
            return "the approval is for another session, bundle or envelope"
        if self.approver == session.author:
            return "the approver is the author of the session"
        keys = {key.id: key for key in approvers}
        if self.approver not in keys:
            return f"{self.approver} may not approve"
        try:
            signature = base64.b64decode(self.signature, validate=True)
        except (ValueError, binascii.Error):
            return "the approval's signature cannot be read"
        if not keys[self.approver].holds(signature, self.statement):
            return "the approval's signature does not hold"
        return ""
