"""What a protocol offers to carry commands, and the gate each of them passes before the wire.

A command client is another client than the telemetry bridge's, in another process, with nothing
that queues, keeps or repeats: what cannot be written now is withheld and reported. A protocol that
carries commands satisfies `CommandProtocol` beside `stagetwin.ports.Protocol`.

A command whose effect is released bit by bit (the route of a vehicle) is renewed: the service
judges it again each second, and without a `Renewal` nothing more of it leaves. A protocol whose
standard asks its sender to repeat what nobody confirmed says so by `repeats`.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, runtime_checkable
from typing import Protocol as TypingProtocol

import msgspec

from stagetwin.clock import Clock, WallClock
from stagetwin.ports import ChannelSpec, ConnectionSpec, ConnectionState, Credential, ValueKind

__all__ = [
    "RENEWED_FOR",
    "CommandGate",
    "CommandProtocol",
    "CommandSink",
    "CommandTarget",
    "Commander",
    "Fate",
    "Reading",
    "Renewal",
    "RenewedCommander",
    "Report",
    "Token",
    "Transmission",
]

Token = tuple[int, int]
"""A fencing token: the ledger's epoch, and a number that only rises within it."""

RENEWED_FOR = 2.0
"""How long a renewal is good for [s]."""


class CommandTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where commands of one binding go.

    Attributes:
        prim: path of the bound prim.
        command: name of the command.
        address: resolved address in the protocol: MQTT topic, OPC UA NodeId; for a method, the
            object's NodeId, a space, and the method's NodeId.
        field: path of the value in a JSON payload, or a struct format; empty is the whole payload.
        encoding: token of `encoding`.
        operation: `write`, `publish` or `method`.
        wire_type: exact type on the wire, or `auto`.
        kind: what the wire value is.
        type_name: USD type of the commanded attribute.
        parameters: keys of what may be said beside the value.
    """

    prim: str
    command: str
    address: str
    field: str = ""
    encoding: str = "auto"
    operation: str = "write"
    wire_type: str = "auto"
    kind: ValueKind = ValueKind.NUMBER
    type_name: str = "double"
    parameters: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Prim path and command name, as people write a command."""
        return f"{self.prim}.{self.command}"


class Transmission(msgspec.Struct, frozen=True, kw_only=True):
    """One command as it leaves.

    Attributes:
        id: id of the command (UUIDv7, text).
        target: where it goes.
        value: wire value, scale and offset undone: bool, int, float, str, or a list of these.
        asset: prim path of the asset.
        guard: hash of the guards under which it was approved.
        token: newer than that of every transmission before it.
        deadline: latest moment of the write to the socket [s, boot-time clock].
        expires: end of the time to live [s, boot-time clock]; a device is told what remains of it.
        realm: realm of the connection.
        parameters: what was said beside the value, by key.
    """

    id: str
    target: CommandTarget
    value: Any
    asset: str
    guard: str
    token: Token
    deadline: float
    expires: float
    realm: str = "simulation"
    parameters: dict[str, Any] = {}


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """Leave for a command that was sent to go on: its conditions were judged again, and hold.

    Attributes:
        id: id of the command.
        target: where it went.
        asset: prim path of the asset.
        guard: hash of the guards under which it was approved.
        until: how long it is good [s, boot-time clock].
    """

    id: str
    target: CommandTarget
    asset: str
    guard: str
    until: float


class Fate(enum.StrEnum):
    """What a commander knows of a transmission.

    `withheld`: not one byte left, and none will. `sent`: written to the socket, once, or for the
    first time where the protocol repeats. `acknowledged`: the device or server accepted it; a
    broker's PUBACK is not that. `refused`: the device or server said no, or gave up what it had
    accepted. `unknown`: it may have left, and nobody will ever say. `noted`: something else that
    belongs on record; it changes no state.
    """

    WITHHELD = "withheld"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOTED = "noted"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """News of a transmission.

    Attributes:
        id: id of the command.
        fate: what is known.
        cause: why, in words; empty where the fate says all.
        time: when it was known [s, Unix, by this machine's clock].
        final: whether no more news will come: after SENT, that no acknowledgement is possible.
        shows: what the read-back will show once it came true, where the protocol made something
            else of the value (a station is a node on the wire); any of them proves it. Empty for
            the value itself.
    """

    id: str
    fate: Fate
    cause: str = ""
    time: float = 0.0
    final: bool = False
    shows: tuple[Any, ...] = ()


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a `read`.

    Attributes:
        request: number that the question had.
        value: wire value; None where there is none.
        status: raw status code, OPC UA's numbering.
        cause: why there is no value.
        time: when the device was asked [s, Unix, by this machine's clock].
    """

    request: int
    value: Any = None
    status: int = 0
    cause: str = ""
    time: float = 0.0


class CommandSink(TypingProtocol):
    """Where a commander reports. Every method may be called from any thread and returns at once."""

    def state(self, state: ConnectionState, cause: str = "") -> None:
        """Tell the state of the command client; also called as a sign of life while online."""

    def report(self, report: Report) -> None:
        """Give news of a transmission."""

    def reading(self, reading: Reading) -> None:
        """Answer a `read`."""


class Commander(TypingProtocol):
    """A running command client of one connection."""

    def start(self) -> None:
        """Begin to connect, in the background, and keep trying until stopped."""

    def rebind(self, targets: Sequence[CommandTarget]) -> None:
        """Replace the targets that may be commanded; what is under way goes on."""

    def authorise(self, guards: Mapping[str, str]) -> None:
        """Take the guards in force, hashes by asset path; what differs from them is withheld."""

    def send(self, transmission: Transmission) -> None:
        """Write it at most once, now or never; returns at once, the sink is told what became of it.

        Exactly one of WITHHELD or SENT is reported first. After SENT at most one of ACKNOWLEDGED,
        REFUSED or UNKNOWN; where the protocol renews, ACKNOWLEDGED may follow UNKNOWN, and REFUSED
        may follow both.
        """

    def read(self, request: int, channel: ChannelSpec) -> None:
        """Ask the device itself for a signal's value; the sink gets the answer, within 5 s.

        Only called where the protocol's `reads` is true.
        """

    def stop(self) -> None:
        """Disconnect and end every thread; returns when that is done. Nothing leaves after it."""


@runtime_checkable
class RenewedCommander(Commander, TypingProtocol):
    """A command client whose protocol's `renews` is true."""

    def renew(self, renewal: Renewal) -> None:
        """Take leave to go on with a command; returns at once."""


@runtime_checkable
class CommandProtocol(TypingProtocol):
    """What a protocol offers beside `Protocol` if it carries commands.

    It may also have class variables, false where it has none: `renews`, whether more of a
    command may leave after it was sent, for as long as it is renewed; and `repeats`, whether the
    identical message is written again until it is confirmed or the command has expired, which its
    receiver must ignore. That is an exception to "at most once", for a standard that asks for it.
    A third one is `parameters`, whether it carries what is said beside a value. And it may have
    a method `takes_place(target) -> bool`, for commands whose value is a place of the
    connection's map: the id of a node or station, or x, y and theta in three numbers.

    Attributes:
        reads: whether a commander can ask the device for a value.
    """

    reads: ClassVar[bool]

    def check_command(self, target: CommandTarget) -> list[str]:
        """Return what is wrong with an address, field, operation or wire type; empty if nothing."""
        ...

    def commander(
        self,
        connection: ConnectionSpec,
        targets: Sequence[CommandTarget],
        sink: CommandSink,
        credential: Credential | None,
    ) -> Commander:
        """Make a commander; it does nothing before `start`."""
        ...


class CommandGate:
    """The last check, made by a commander immediately before it writes to the socket.

    It holds the guards in force and the newest token that passed; a token passes once.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock if clock is not None else WallClock()
        self._lock = threading.Lock()
        self._guards: dict[str, str] = {}
        self._newest: Token = (0, 0)

    def authorise(self, guards: Mapping[str, str]) -> None:
        """Take the guards in force, hashes by asset path."""
        with self._lock:
            self._guards = dict(guards)

    def withheld(self, transmission: Transmission) -> str:
        """Return why a transmission must not be written; empty if it may, and its token is used up.

        A refusal uses up no token.
        """
        now = self._clock.steady()
        with self._lock:
            if transmission.token <= self._newest:
                return f"token {list(transmission.token)} is not newer than {list(self._newest)}"
            held = self._guards.get(transmission.asset)
            if held is None or held != transmission.guard:
                return f"the guards of {transmission.asset} are not those it was approved under"
            # Not turned around: what cannot be compared does not pass.
            if not now <= transmission.deadline:
                return f"{(now - transmission.deadline) * 1e3:.0f} ms after its deadline"
            if not now < transmission.expires:
                return "its time to live is over"
            self._newest = transmission.token
        return ""

    def lapsed(self, asset: str, guard: str, until: float) -> str:
        """Return why nothing more of a command that was sent may be written; empty if it may.

        Args:
            asset: prim path of the asset.
            guard: hash of the guards under which it was approved.
            until: how long its newest renewal is good [s, boot-time clock].
        """
        now = self._clock.steady()
        with self._lock:
            if self._guards.get(asset) != guard:
                return f"the guards of {asset} are not those it was approved under"
        # Not turned around: what cannot be compared does not pass; nor does what lasts too long.
        if not now <= until <= now + RENEWED_FOR:
            return f"it was not renewed for {RENEWED_FOR:g} s"
        return ""

    def is_guarded(self, prim: str) -> bool:
        """Tell whether the guards of the asset at or above a prim are approved."""
        with self._lock:
            return any(prim == asset or prim.startswith(f"{asset}/") for asset in self._guards)

    def remaining(self, transmission: Transmission) -> float:
        """Return what is left of the time to live [s], not below 0."""
        return max(transmission.expires - self._clock.steady(), 0.0)
