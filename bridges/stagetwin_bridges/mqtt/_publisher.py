"""Sends values the way a device would."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Mapping, Sequence

import msgspec

from stagetwin.ports import ConnectionSpec, Payload
from stagetwin_bridges._errors import NotConnectedError, RealmError
from stagetwin_bridges.mqtt._bridge import MakeClient
from stagetwin_bridges.mqtt._client import ClientSettings
from stagetwin_bridges.mqtt._options import MqttOptions
from stagetwin_bridges.mqtt._times import TIME_UNITS

__all__ = ["MqttPublisher"]

_TIMEOUT = 10.0


class MqttPublisher:
    """`Publisher` of one MQTT connection, and the `Receiver` of its client.

    Messages carry the connection's realm as MQTT 5 user property `stagetwin-realm`, so that a
    bridge to a plant refuses them; MQTT 3.1.1 has no place for it. JSON objects also carry the
    source time and the sequence where the connection's options say where those lie.
    """

    def __init__(
        self,
        connection: ConnectionSpec,
        options: MqttOptions,
        settings: ClientSettings,
        make_client: MakeClient,
        timeout: float = _TIMEOUT,
    ) -> None:
        """Connect.

        Raises:
            RealmError: the connection leads to a plant.
            NotConnectedError: the broker did not accept within `timeout` [s], or refused.
        """
        if connection.realm == "plant":
            raise RealmError(
                f"{connection.prim}: nothing is published to a plant; allowed realms are "
                f"simulation and replay"
            )
        self._options = options
        self._realm = connection.realm
        self._timeout = timeout
        self._counters: dict[str, int] = {}
        self._began: float | None = None
        self._settled = threading.Event()
        self._online = False
        self._refusal = ""
        self._cause = "no answer"
        self._client = make_client(settings, self)
        self._client.start()
        self._settled.wait(timeout)
        if not self._online:
            self._client.close()
            raise NotConnectedError(f"{connection.prim}: {self._refusal or self._cause}")

    # -- Publisher -------------------------------------------------------------------------------

    def publish(self, address: str, payload: Payload, *, time: float) -> None:
        """See Publisher. Waits while 1000 messages are unacknowledged.

        Raises:
            NotConnectedError: they stayed so for ten seconds.
        """
        self.send(address, self._encode(address, payload, time))

    def send(
        self, topic: str, payload: bytes, *, qos: int | None = None, retain: bool = False
    ) -> None:
        """Send bytes as they are, marked with the realm; waits as `publish` does.

        Raises:
            NotConnectedError: too many messages waited, for too long.
        """
        self._client.publish(topic, payload, self._realm, self._timeout, qos=qos, retain=retain)

    def drain(self, timeout: float) -> int:
        """See Publisher. Messages that the broker refused are among those returned."""
        return self._client.drain(timeout)

    def close(self) -> None:
        """See Publisher."""
        self._client.close()

    def _encode(self, address: str, payload: Payload, time: float) -> bytes:
        if isinstance(payload, bytes):
            return payload
        if isinstance(payload, str):
            return payload.encode()
        if not isinstance(payload, Mapping):
            return msgspec.json.encode(payload)
        options = self._options
        document = dict(payload)
        if options.time is not None:
            options.time.place(document, self._time(time))
        if options.sequence is not None:
            number = self._counters.get(address, 0) + 1
            self._counters[address] = number
            options.sequence.place(document, number)
        return msgspec.json.encode(document)

    def _time(self, time: float) -> float | int | str:
        unit = self._options.time_unit
        if unit == "iso":
            return datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat()
        if unit == "relative":
            if self._began is None:
                self._began = time
            return time - self._began
        return time if unit == "s" else round(time / TIME_UNITS[unit])

    # -- Receiver --------------------------------------------------------------------------------

    def connecting(self) -> None:
        """See Receiver."""

    def connected(self, session_present: bool) -> None:
        """See Receiver."""
        self._online = True
        self._settled.set()

    def lost(self, cause: str, refused: bool) -> None:
        """See Receiver. A refusal does not heal by waiting; everything else may."""
        self._cause = cause
        if refused:
            self._refusal = cause
            self._settled.set()

    def subscribed(self) -> None:
        """See Receiver."""

    def refused(self, filters: Sequence[str], cause: str) -> None:
        """See Receiver."""

    def messages(self, batch: Sequence[tuple[bytes, bytes, int, str]]) -> None:
        """See Receiver."""

    def drained(self) -> float | None:
        """See Receiver."""
        return None

    def alive(self) -> None:
        """See Receiver."""
