"""Who lets a policy close a loop: once for a session, and for an envelope."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterable
from typing import Any

import msgspec

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._keys import SigningKey, VerifyKey

__all__ = ["Approval", "Bounds", "Envelope", "Session"]


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of one command.

    Attributes:
        target: prim path and name, `/World/AMR1.goal`.
        values: that may be asked for, where they are words or switches.
        low, high: where they are numbers.
    """

    target: str
    values: tuple[str | bool, ...] = ()
    low: float = math.nan
    high: float = math.nan

    def holds(self, value: object) -> bool:
        """Tell whether a value is within; what is not named is not."""
        if isinstance(value, (bool, str)):
            return any(type(one) is type(value) and one == value for one in self.values)
        if isinstance(value, (int, float)):
            return self.low <= value <= self.high
        return False


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """How far a policy may go by itself.

    Attributes:
        commands: those that it may give; no others.
        seconds: how long a loop may last from its approval on [s].
        per_minute: commands in any minute.
    """

    commands: tuple[Bounds, ...]
    seconds: float = 3600.0
    per_minute: int = 20

    def __post_init__(self) -> None:
        if not (0.0 < self.seconds < math.inf) or self.per_minute < 1:
            raise PolicyError(
                f"an envelope lasts above 0 s and has at least 1 command a minute, "
                f"got {self.seconds} and {self.per_minute}"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of everything it says."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    def refusal(self, target: str, value: object) -> str:
        """Return why a command is outside; empty if it is not."""
        bounds = [one for one in self.commands if one.target == target]
        if not bounds:
            return f"{target} is not in the envelope"
        if not any(one.holds(value) for one in bounds):
            return f"{target} = {value!r} is outside the envelope"
        return ""


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
