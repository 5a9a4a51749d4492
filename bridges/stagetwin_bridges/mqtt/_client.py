"""The port between a bridge and an MQTT client library.

One adapter stands behind it, on paho-mqtt; a faster one needs these two protocols and one more
allowed value of the option `client`.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from stagetwin.ports import ConnectionSpec, Credential
from stagetwin_bridges._errors import ConnectionConfigError
from stagetwin_bridges.mqtt._options import Endpoint

__all__ = [
    "DUPLICATE",
    "REALM_PROPERTY",
    "RETAINED",
    "Client",
    "ClientSettings",
    "Message",
    "Receiver",
    "back_off",
    "made_up_id",
    "settings_of",
]

REALM_PROPERTY = "stagetwin-realm"
"""MQTT 5 user property that marks messages which are not from a plant."""

RETAINED = 0x01
DUPLICATE = 0x08


class Message(NamedTuple):
    """One message as it arrived. Adapters may hand over plain tuples of this order.

    Attributes:
        topic: topic name, UTF-8.
        payload: payload.
        flags: first byte of the PUBLISH packet: RETAINED, DUPLICATE.
        realm: value of the user property REALM_PROPERTY; empty if there is none, or nobody asked.
    """

    topic: bytes
    payload: bytes
    flags: int
    realm: str


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a client needs to know before it connects. The password is masked in repr."""

    host: str
    port: int
    version: str
    client_id: str
    keepalive: int
    clean: bool
    qos: int
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    read_realm: bool = False
    connect_timeout: float = 5.0


class Receiver(Protocol):
    """Whom a client tells. Everything comes on the client's own thread; nothing may raise."""

    def connecting(self) -> None:
        """Another attempt begins."""

    def connected(self, session_present: bool) -> None:
        """The broker accepted the connection; now is the time to subscribe."""

    def lost(self, cause: str, refused: bool) -> None:
        """The attempt failed or the connection ended. `refused`: it will not heal by itself."""

    def subscribed(self) -> None:
        """Every subscription asked for is answered."""

    def refused(self, filters: Sequence[str], cause: str) -> None:
        """The broker refused subscriptions."""

    def messages(self, batch: Sequence[tuple[bytes, bytes, int, str]]) -> None:
        """Messages, in order of arrival, as tuples in the order of `Message`."""

    def drained(self) -> float | None:
        """Input ran out for now. Return in how many seconds to call again at the latest."""

    def alive(self) -> None:
        """The connection stands; called about once a second."""


class Client(Protocol):
    """A connection to one broker, kept up in the background by a thread of its own."""

    def start(self) -> None:
        """Begin to connect, and connect again whenever that is needed."""

    def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe, if connected; not repeated after a reconnection."""

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Unsubscribe, if connected."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        realm: str,
        timeout: float,
        *,
        qos: int | None = None,
        retain: bool = False,
    ) -> None:
        """Queue a message; waits up to `timeout` [s] while too many are unacknowledged.

        Args:
            topic: topic name.
            payload: payload.
            realm: written as REALM_PROPERTY where it is not empty and the version has a place.
            timeout: longest wait [s].
            qos: quality of service; None is that of the settings.
            retain: whether the broker keeps it for those who subscribe later.
        """

    def drain(self, timeout: float) -> int:
        """Wait until all is acknowledged or `timeout` [s] is over; return how many are not."""
        ...

    def close(self) -> None:
        """Disconnect and end the thread."""


def back_off(shortest: float = 0.5, longest: float = 30.0) -> Iterator[float]:
    """Yield waiting times [s]: doubling, each shortened at random so that clients spread out."""
    wait = shortest
    while True:
        yield wait * random.uniform(0.5, 1.0)  # noqa: S311
        wait = min(wait * 2, longest)


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _tls_context(connection: ConnectionSpec, credential: Credential) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=credential.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _ClosingSocket
        if credential.cert_file:
            context.load_cert_chain(credential.cert_file, credential.key_file or None)
    except (OSError, ValueError) as error:
        raise ConnectionConfigError(
            f"credential {connection.credential!r} of {connection.prim}: ca_file, cert_file or "
            f"key_file cannot be used: {error}"
        ) from None
    return context


def made_up_id() -> str:
    """Return a client id that nobody else has."""
    return f"stagetwin-{random.getrandbits(48):012x}"


def settings_of(
    connection: ConnectionSpec, endpoint: Endpoint, credential: Credential | None
) -> ClientSettings:
    """Return the settings for a connection.

    Raises:
        ConnectionConfigError: the credential is not known here, or its files cannot be used.
    """
    if connection.credential and credential is None:
        raise ConnectionConfigError(
            f"{connection.prim}: credential {connection.credential!r} is not known on this host"
        )
    known = credential or Credential()
    options = endpoint.options
    return ClientSettings(
        host=endpoint.host,
        port=endpoint.port,
        version=options.version,
        client_id=options.client_id or made_up_id(),
        keepalive=options.keepalive,
        clean=options.clean,
        qos=options.qos,
        username=known.username,
        password=known.password.get_secret_value(),
        tls=_tls_context(connection, known) if endpoint.tls else None,
        read_realm=connection.realm == "plant",
    )
