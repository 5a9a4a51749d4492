"""The soft protocol: a bridge without a wire, for tests, demos and embedding.

A connection whose endpoint is `soft://NAME` is fed in process: `soft_bridge(NAME).send(...)`. It
has the same port, the same columns and the same states as a bridge with a network behind it.
Commands end in a function: `soft_device(NAME, function)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from stagetwin._errors import RealmError, ServiceError
from stagetwin.actuation import (
    CommandGate,
    CommandSink,
    CommandTarget,
    Fate,
    Reading,
    Report,
    Transmission,
)
from stagetwin.ports import (
    AddressDefaults,
    ChannelSpec,
    ConnectionSpec,
    ConnectionState,
    Credential,
    Payload,
    Reject,
    Sink,
)
from stagetwin.signals import SampleBuffer, Status

__all__ = [
    "SoftBridge",
    "SoftCommander",
    "SoftDevice",
    "SoftProtocol",
    "SoftPublisher",
    "soft_bridge",
    "soft_device",
]

_running: dict[str, SoftBridge] = {}


def soft_bridge(name: str) -> SoftBridge:
    """Return the running bridge of endpoint `soft://NAME`.

    Raises:
        ServiceError: none is running in this process.
    """
    try:
        return _running[name]
    except KeyError:
        known = ", ".join(sorted(_running)) or "none"
        raise ServiceError(f"no soft bridge {name!r} runs here; running: {known}") from None


class SoftBridge:
    """A connection fed by calls.

    Attributes:
        channels: what is bound, by address.
    """

    def __init__(
        self, connection: ConnectionSpec, channels: Sequence[ChannelSpec], sink: Sink
    ) -> None:
        self._name = connection.endpoint.partition("://")[2]
        self._sink = sink
        self.channels: dict[str, list[ChannelSpec]] = {}
        self.rebind(channels)

    def start(self) -> None:
        """Go online at once."""
        _running[self._name] = self
        self._sink.state(ConnectionState.ONLINE)

    def rebind(self, channels: Sequence[ChannelSpec]) -> None:
        """Replace the channels."""
        by_address: dict[str, list[ChannelSpec]] = {}
        for channel in channels:
            by_address.setdefault(channel.address, []).append(channel)
        self.channels = by_address

    def stop(self) -> None:
        """Go offline."""
        _running.pop(self._name, None)
        self._sink.state(ConnectionState.OFFLINE, "stopped")

    def cut(self, cause: str = "cut") -> None:
        """Pretend that the connection broke."""
        self._sink.state(ConnectionState.OFFLINE, cause)

    def mend(self) -> None:
        """Pretend that it came back."""
        self._sink.state(ConnectionState.ONLINE)

    def send(
        self, address: str, value: Any, *, source_time: float = float("nan"), status: int = 0
    ) -> None:
        """Deliver one message: a value, or a mapping of field to value for channels with fields."""
        buffer = SampleBuffer()
        now = time.time()
        bound = self.channels.get(address, [])
        if not bound:
            self._sink.rejected(Reject.UNBOUND, 1, f"nothing is bound to {address}")
        for channel in bound:
            item = value
            if channel.field:
                if not isinstance(value, Mapping) or channel.field not in value:
                    text = f"{channel.prim}.{channel.signal} at {address}: no field {channel.field}"
                    self._sink.rejected(Reject.MISSING_FIELD, 1, text)
                    continue
                item = value[channel.field]
            if isinstance(item, float) or (isinstance(item, int) and abs(item) <= 2**53):
                buffer.add(channel.index, float(item), source_time, now, status)
            else:
                buffer.add_object(channel.index, item, source_time, now, status)
        if batch := buffer.take():
            self._sink.samples(batch)


class SoftPublisher:
    """Publishes to the soft bridge of the same endpoint."""

    def __init__(self, name: str) -> None:
        self._name = name

    def publish(self, address: str, payload: Payload, *, time: float) -> None:
        """Send one message."""
        soft_bridge(self._name).send(address, payload, source_time=time)

    def drain(self, timeout: float) -> int:
        """Return 0: calls arrive at once."""
        del timeout
        return 0

    def close(self) -> None:
        """Do nothing."""


SoftDevice = Callable[[Transmission], str | None]
"""Takes a command; returns why it refuses, empty if it accepts, None if it never answers."""

_devices: dict[str, SoftDevice] = {}


def soft_device(name: str, device: SoftDevice | None) -> None:
    """Put a device behind the commands of endpoint `soft://NAME`, or take it away."""
    if device is None:
        _devices.pop(name, None)
    else:
        _devices[name] = device


class SoftCommander:
    """A command client whose wire is a call."""

    def __init__(self, connection: ConnectionSpec, sink: CommandSink) -> None:
        self._name = connection.endpoint.partition("://")[2]
        self._sink = sink
        self._gate = CommandGate()
        self._running = False

    def start(self) -> None:
        """Go online at once."""
        self._running = True
        self._sink.state(ConnectionState.ONLINE)

    def rebind(self, targets: Sequence[CommandTarget]) -> None:
        """Do nothing: any address will do."""

    def authorise(self, guards: Mapping[str, str]) -> None:
        """Take the guards in force."""
        self._gate.authorise(guards)

    def send(self, transmission: Transmission) -> None:
        """Call the device."""
        device = _devices.get(self._name)
        if not self._running or device is None:
            self._report(transmission, Fate.WITHHELD, "offline: no device")
        elif why := self._gate.withheld(transmission):
            self._report(transmission, Fate.WITHHELD, why)
        else:
            self._report(transmission, Fate.SENT)
            refused = device(transmission)
            if refused is not None:
                self._report(transmission, Fate.REFUSED if refused else Fate.ACKNOWLEDGED, refused)

    def _report(self, transmission: Transmission, fate: Fate, cause: str = "") -> None:
        self._sink.report(Report(id=transmission.id, fate=fate, cause=cause, time=time.time()))

    def read(self, request: int, channel: ChannelSpec) -> None:
        """Answer that there is nothing to read from."""
        self._sink.reading(
            Reading(request=request, status=Status.BAD, cause=f"{channel.address} cannot be read")
        )

    def stop(self) -> None:
        """Go offline."""
        self._running = False
        self._sink.state(ConnectionState.OFFLINE, "stopped")


class SoftProtocol:
    """The protocol behind `soft://NAME` endpoints."""

    schemes: ClassVar[tuple[str, ...]] = ("soft",)
    reads: ClassVar[bool] = False

    def check_connection(self, connection: ConnectionSpec) -> list[str]:
        """Return what is wrong: a missing name."""
        name = connection.endpoint.partition("://")[2]
        return [] if name else ["the endpoint must be soft://NAME"]

    def check_channel(self, channel: ChannelSpec) -> list[str]:
        """Return nothing: any address will do."""
        del channel
        return []

    def defaults(self, connection: ConnectionSpec) -> AddressDefaults:
        """Return no defaults."""
        del connection
        return AddressDefaults()

    def bridge(
        self,
        connection: ConnectionSpec,
        channels: Sequence[ChannelSpec],
        sink: Sink,
        credential: Credential | None,
    ) -> SoftBridge:
        """Make a bridge."""
        del credential
        return SoftBridge(connection, channels, sink)

    def publisher(self, connection: ConnectionSpec, credential: Credential | None) -> SoftPublisher:
        """Make a publisher; refuses the realm plant."""
        del credential
        if connection.realm == "plant":
            raise RealmError(
                f"connection {connection.name!r} is a plant; nothing is published there"
            )
        return SoftPublisher(connection.endpoint.partition("://")[2])

    def check_command(self, target: CommandTarget) -> list[str]:
        """Return nothing: any address will do."""
        del target
        return []

    def commander(
        self,
        connection: ConnectionSpec,
        targets: Sequence[CommandTarget],
        sink: CommandSink,
        credential: Credential | None,
    ) -> SoftCommander:
        """Make a commander."""
        del targets, credential
        return SoftCommander(connection, sink)
