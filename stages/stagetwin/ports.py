"""The ports: what a bridge and a model are to the core, and how they are found.

A third party adds a protocol by an entry point in the group `stagetwin.bridges`, named by the
URI scheme it speaks, whose object is a class that satisfies `Protocol`; and a machine's behaviour
by one in `stagetwin.models`, named by the model's kind.
"""

from __future__ import annotations

import enum
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal
from typing import Protocol as TypingProtocol

import msgspec
from pydantic import BaseModel, ConfigDict, SecretStr

from stagetwin._errors import ProtocolNotFoundError
from stagetwin._kinds import ValueKind
from stagetwin.signals import Samples

__all__ = [
    "AddressDefaults",
    "Bridge",
    "ChannelSpec",
    "ConnectionSpec",
    "ConnectionState",
    "Credential",
    "Payload",
    "Protocol",
    "Publisher",
    "Reject",
    "Sink",
    "ValueKind",
    "find_model",
    "find_protocol",
    "installed_protocols",
    "scheme_of",
]

Realm = Literal["plant", "simulation", "replay"]

Payload = Mapping[str, Any] | float | str | bytes
"""What a device sends: an object, one number, text, or a frame of its own making."""


class ConnectionState(enum.StrEnum):
    """Allowed tokens of `twin:state`."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    ONLINE = "online"
    FAILED = "failed"


class Reject(enum.StrEnum):
    """Why a message or sample was not used. The names are the label values of the metrics."""

    MALFORMED = "malformed"
    MISSING_FIELD = "missing_field"
    TYPE_MISMATCH = "type_mismatch"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    LATE = "late"
    DUPLICATE = "duplicate"
    OVERFLOW = "overflow"
    LOST = "lost"
    UNBOUND = "unbound"
    RETIRED = "retired"
    REALM = "realm"


class ConnectionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One connection as the stage declares it.

    Attributes:
        name: name of the TwinConnection prim.
        prim: its path.
        endpoint: URI; the scheme picks the protocol, the query sets its options.
        realm: what is at the other end.
        security_profile: token of `twin:securityProfile`.
        credential: name of a credential, never a secret; empty is anonymous.
        command_credential: name of the credential for commands; empty is the same as `credential`.
        map: what `stagetwin.maps.RoadMap.encode` gave, as text, of the map that vehicles on this
            connection drive by; empty for none.
    """

    name: str
    prim: str
    endpoint: str
    realm: Realm = "simulation"
    security_profile: str = "strict"
    credential: str = ""
    command_credential: str = ""
    map: str = ""


class ChannelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One channel as a bridge needs to know it.

    Attributes:
        index: row of the channel table, repeated in `Samples.channel`.
        prim: path of the bound prim.
        signal: name of the signal.
        address: resolved address in the protocol.
        field: resolved field path or struct format; empty is the whole payload.
        encoding: token of `encoding`.
        kind: what the wire value must be.
        availability: resolved availability address of the device; empty if none.
    """

    index: int
    prim: str
    signal: str
    address: str
    field: str = ""
    encoding: str = "auto"
    kind: ValueKind = ValueKind.NUMBER
    availability: str = ""


class AddressDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """Templates that a connection (a preset, an option) supplies to the bindings that have none."""

    address: str = ""
    field: str = ""
    availability: str = ""


class Credential(BaseModel):
    """What a credential name stands for on this host. Secrets are masked in repr and logs.

    Attributes:
        username: user name, empty for none.
        password: password.
        ca_file: PEM file of the authorities to trust; empty trusts the system's.
        cert_file: PEM file of the client certificate.
        key_file: PEM file of its private key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Sink(TypingProtocol):
    """Where a bridge delivers. Every method may be called from any thread and returns at once."""

    def samples(self, batch: Samples) -> None:
        """Deliver samples."""

    def state(self, state: ConnectionState, cause: str = "") -> None:
        """Tell the state of the connection; also called as a sign of life while it is online."""

    def rejected(self, reason: Reject, count: int, example: str = "") -> None:
        """Count messages or samples that were not used; `example` names prim, address and range."""

    def vouch(self, channels: Sequence[int], alive: bool) -> None:
        """Say of devices behind channels that they live (report by exception), or have gone."""


class Bridge(TypingProtocol):
    """A running connection of one protocol."""

    def start(self) -> None:
        """Begin to connect, in the background, and keep trying until stopped."""

    def rebind(self, channels: Sequence[ChannelSpec]) -> None:
        """Replace the channels; what stays bound is not interrupted."""

    def stop(self) -> None:
        """Disconnect and end every thread; returns when that is done."""


class Publisher(TypingProtocol):
    """Sends values the way a device would, for replay and simulation."""

    def publish(self, address: str, payload: Payload, *, time: float) -> None:
        """Send one message taken at `time` [s, Unix]; raises where the realm forbids it."""

    def drain(self, timeout: float) -> int:
        """Wait until all is acknowledged or `timeout` [s] is over; return how many are not."""
        ...

    def close(self) -> None:
        """Disconnect."""


class Protocol(TypingProtocol):
    """A protocol that bridges can speak: the object behind an entry point."""

    schemes: ClassVar[tuple[str, ...]]

    def check_connection(self, connection: ConnectionSpec) -> list[str]:
        """Return what is wrong with an endpoint's options or security; empty if nothing."""
        ...

    def check_channel(self, channel: ChannelSpec) -> list[str]:
        """Return what is wrong with an address, field or encoding; empty if nothing."""
        ...

    def defaults(self, connection: ConnectionSpec) -> AddressDefaults:
        """Return the templates that the connection supplies to its bindings."""
        ...

    def bridge(
        self,
        connection: ConnectionSpec,
        channels: Sequence[ChannelSpec],
        sink: Sink,
        credential: Credential | None,
    ) -> Bridge:
        """Make a bridge; it does nothing before `start`."""
        ...

    def publisher(self, connection: ConnectionSpec, credential: Credential | None) -> Publisher:
        """Make a connected publisher; raises RealmError on a plant connection."""
        ...


def scheme_of(endpoint: str) -> str:
    """Return the URI scheme of an endpoint in lower case, empty if it has none."""
    scheme, found, _ = endpoint.partition("://")
    return scheme.lower() if found else ""


def _entries(group: str) -> Iterable[importlib.metadata.EntryPoint]:
    return importlib.metadata.entry_points(group=group)


def installed_protocols() -> list[str]:
    """Return the URI schemes that installed bridges speak, sorted."""
    return sorted({entry.name for entry in _entries("stagetwin.bridges")})


def find_protocol(endpoint: str) -> Protocol:
    """Return the protocol that speaks an endpoint's scheme.

    Raises:
        ProtocolNotFoundError: no installed bridge does.
    """
    scheme = scheme_of(endpoint)
    for entry in _entries("stagetwin.bridges"):
        if entry.name == scheme:
            try:
                protocol: Protocol = entry.load()()
            except Exception as error:
                # A third party's package: whatever it raises concerns its connections alone.
                raise ProtocolNotFoundError(
                    f"the bridge for {scheme!r} is installed and cannot be loaded: "
                    f"{type(error).__name__}: {error}"
                ) from error
            return protocol
    # The endpoint itself is not repeated: a password may have been put into it.
    what = f"the scheme {scheme!r}" if scheme else "an endpoint without a scheme"
    installed = ", ".join(installed_protocols()) or "none"
    raise ProtocolNotFoundError(f"no installed bridge speaks {what}; installed: {installed}")


def find_model(kind: str) -> Any:
    """Return the class of a model kind.

    Raises:
        ProtocolNotFoundError: no installed package offers the kind.
    """
    for entry in _entries("stagetwin.models"):
        if entry.name == kind:
            return entry.load()
    kinds = sorted(entry.name for entry in _entries("stagetwin.models"))
    raise ProtocolNotFoundError(f"no installed model {kind!r}; installed: {', '.join(kinds)}")
