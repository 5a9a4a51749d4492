"""One command: what was asked for, and everything that became of it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from stagetwin.actuation import Token
from stagetwin.commands._states import ENDS, State
from stagetwin.identifiers import uuid7
from stagetwin.values import json_text

__all__ = ["MAX_REASON", "Command", "Evidence", "Moment", "Origin", "PublishRequest"]

Origin = Literal["human", "rule", "policy", "stop"]

MAX_VALUE = 65_536
"""Longest value of a command as JSON text [characters]: an array."""

MAX_SCALAR = 4096
"""Longest value that is no array or object, as JSON text [characters]."""

_SHORT = 200
"""Characters that are kept of a value that was refused, or is one of many in a list."""

MAX_REASON = 1000
"""Longest reason that an author gives [characters]."""


class PublishRequest(BaseModel):
    """What a client sends to make a draft a request. Its author is known by other means.

    Attributes:
        id: UUIDv7; made up where the client has none. The same id with the same content is ignored.
        target: prim path and command name, `/World/Pump.speed`.
        value: plain data, held to the type of the command.
        revision: revision of `desired` that its author saw.
        reason: for the record.
        ttl: time to live [s], at most the command's own.
        mode: `explicit`, or `settled` for an edit that rested.
        parameters: what is said beside the value, by key; the plant's own words where not given.
        session: of the policy whose loop asks; empty for a person.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(
        default_factory=uuid7,
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    )
    target: str = Field(max_length=4096)
    value: Any
    revision: int | None = Field(default=None, strict=True)
    reason: str = Field(default="", max_length=MAX_REASON)
    ttl: float | None = Field(default=None, gt=0, allow_inf_nan=False, strict=True)
    mode: Literal["explicit", "settled"] = "explicit"
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=32)
    session: str = Field(default="", max_length=64)

    @field_validator("value", "parameters")
    @classmethod
    def _carried(cls, value: Any, info: ValidationInfo) -> Any:
        try:
            text = json_text(value)
            text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"a value must be plain data that JSON can carry: {error}") from None
        long = isinstance(value, (list, tuple, dict)) and info.field_name == "value"
        most = MAX_VALUE if long else MAX_SCALAR
        if len(text) > most:
            raise ValueError(f"such a value has at most {most} characters as JSON")
        return value


class Evidence(msgspec.Struct, frozen=True):
    """What a verification rests on.

    Attributes:
        kind: `stored` (the written node itself) or `process` (another signal).
        signal: prim path and name of the signal.
        value: what it said.
        before: what it said before the command was sent; None where nothing was known.
        after: time from sending to this reading [s].
    """

    kind: str
    signal: str
    value: Any
    before: Any
    after: float


class Moment(msgspec.Struct, frozen=True):
    """One entry of a command's history.

    Attributes:
        state: the state that was entered, or `NOTE` for what was learned after the end.
        time: when [s, Unix].
        cause: why, in words.
        code: why, as a stable name.
    """

    state: str
    time: float
    cause: str = ""
    code: str = ""


@dataclass(slots=True, eq=False)
class Command:
    """One command on its way.

    Attributes:
        id: UUIDv7.
        target: prim path and command name.
        value: plain data; of a long one that was refused, the beginning of its JSON text.
        unit: UCUM unit of the value.
        author: user name; the rule's path for a rule.
        origin: `human`, `rule`, `policy` or `stop`.
        reason: the author's.
        mode: `explicit` or `settled`.
        base: revision that the author saw, None for machines.
        ttl: time to live [s].
        created: when it was requested [s, Unix].
        expires: end of its time to live [s, steady clock].
        realm: realm of its connection.
        asset: prim path of the asset it commands.
        number: order of requests within this service; ids are made by clients, whose clocks differ.
        guard: hash of the guards it was validated under.
        needs: how many people other than the author must approve.
        approvals: who did.
        state: state in force.
        code, cause: why.
        revision: revision of `desired` after it was validated.
        token: fencing token, once armed.
        before: what the read-back said before it was sent.
        evidence: what its verification rests on.
        rehearsal: what its rehearsal came to: verdict, cause, hash, and evidence.
        history: states with their times.
        parameters: what was said beside the value, by key; once validated, all that is sent.
        place: path of the prim whose place was asked for; empty for none.
    """

    id: str
    target: str
    value: Any
    unit: str
    author: str
    origin: Origin
    reason: str
    mode: str
    base: int | None
    ttl: float
    created: float
    expires: float
    realm: str
    asset: str
    number: int = 0
    guard: str = ""
    needs: int = 0
    approvals: list[str] = field(default_factory=list)
    state: State = State.DRAFT
    code: str = ""
    cause: str = ""
    revision: int = 0
    token: Token = (0, 0)
    before: Any = None
    evidence: Evidence | None = None
    rehearsal: dict[str, Any] | None = None
    history: list[Moment] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    place: str = ""
    _asked: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing can follow."""
        return self.state in ENDS

    @property
    def fingerprint(self) -> str:
        """Hash of what its author asked for: the same id must have the same."""
        if self._asked:
            return self._asked
        asked = [self.target, json_text(self.value), self.author, self.origin, self.mode]
        asked += [json_text(self.parameters)] if self.parameters else []
        return hashlib.sha256(msgspec.msgpack.encode([self.id, *asked])).hexdigest()

    @property
    def hash(self) -> str:
        """Hash that an approval is bound to: what was asked for, under which guards, where."""
        whole = [self.fingerprint, self.unit, self.base, self.realm, self.asset, self.guard]
        if self.place or self.parameters:
            whole += [json_text(self.value), json_text(self.parameters), self.place]
        return hashlib.sha256(msgspec.msgpack.encode(whole)).hexdigest()

    @property
    def size(self) -> int:
        """About how much memory it takes [B]: a number of a list takes 32 B, and 2 as text."""
        evidence = 0 if self.rehearsal is None else len(json_text(self.rehearsal))
        said = len(json_text(self.value)) + len(json_text(self.parameters))
        return 2000 + 16 * said + 8 * evidence

    def resolve(self, value: Any, parameters: dict[str, Any], place: str) -> None:
        """Take what its value and parameters come to; what was asked for stays what it was.

        Args:
            value: plain data.
            parameters: all that is sent beside it.
            place: path of the prim that the value was found by; empty for none.
        """
        self._asked = self.fingerprint
        self.value, self.parameters, self.place = value, parameters, place

    def shorten(self) -> None:
        """Keep only the beginning of a long value; the ledger has it all."""
        short = _shortened(self.value)
        if short is not self.value:
            self._asked = self.fingerprint
            self.value = short

    @property
    def asked_for(self) -> dict[str, Any]:
        """What the ledger has of the request."""
        names = ("target", "value", "unit", "author", "origin", "reason", "mode", "base", "ttl")
        body = {name: getattr(self, name) for name in (*names, "realm", "asset", "needs")}
        body["fingerprint"] = self.fingerprint
        if self.parameters:
            body["parameters"] = self.parameters
        return body

    def remaining(self, now: float) -> float:
        """Return what is left of its time to live [s]; `now` is on the steady clock."""
        return max(self.expires - now, 0.0)

    def row(self, now: float, *, history: bool = False) -> dict[str, Any]:
        """Return it as clients see it; `now` is on the steady clock [s]."""
        left = self.remaining(now)
        row: dict[str, Any] = {
            "id": self.id,
            "target": self.target,
            "value": self.value if history else _shortened(self.value),
            "unit": self.unit,
            "author": self.author,
            "origin": self.origin,
            "reason": self.reason,
            "state": str(self.state),
            "code": self.code,
            "cause": self.cause,
            "ended": self.ended,
            "realm": self.realm,
            "asset": self.asset,
            "hash": "" if self.ended else self.hash,
            "created": self.created,
            "revision": self.revision,
            "expires_in": None if self.ended or not math.isfinite(left) else left,
            "approvals": list(self.approvals),
            "needs": self.needs,
            "evidence": None if self.evidence is None else msgspec.structs.asdict(self.evidence),
            "parameters": dict(self.parameters),
            "place": self.place,
        }
        if self.rehearsal is not None:
            kept = ("verdict", "cause", "hash", "evidence") if history else ("verdict", "hash")
            row["rehearsal"] = {k: v for k, v in self.rehearsal.items() if k in kept}
        if history:
            row["history"] = [msgspec.structs.asdict(moment) for moment in self.history]
        return row


def _shortened(value: Any) -> Any:
    """Return a value that is long as the beginning of its JSON text; another as it is."""
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    text = json_text(value)
    return value if len(text) <= MAX_SCALAR else f"{text[:_SHORT]}..."
