"""Connects a client to a server, once; nothing here tries again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from typing import Any, Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from cryptography import x509

from stagetwin.ports import ConnectionSpec, Credential
from stagetwin_bridges._errors import NotConnectedError, RefusedError
from stagetwin_bridges.opcua._options import Endpoint
from stagetwin_bridges.opcua._security import POLICIES, Security

__all__ = ["close_client", "open_client"]

_SESSION_TIMEOUT: Final = 30_000
"""How long a server keeps a session that says nothing [ms]."""
_CHANNEL_LIFETIME: Final = 3_600_000
_RENEW_AFTER: Final = 0.75
"""Part of a channel's lifetime after which it is renewed (OPC UA Part 4, 5.5.2.1)."""
_ATTEMPT: Final = 3.0
"""How many answer times a whole attempt may take."""
_GOODBYE: Final = 1.0
_REFUSALS: Final = (
    "BadCertificate",
    "BadSecurity",
    "BadUser",
    "BadIdentity",
    "BadApplicationSignature",
    "BadTcpEndpointUrlInvalid",
)
_NONE_URI: Final = "http://opcfoundation.org/UA/SecurityPolicy#None"


class _Client(Client):
    """A client without a will of its own: no watchdog, no reconnection, no publish loop."""

    renewal: asyncio.Task[None] | None = None

    async def renew(self) -> None:
        """Renew the secure channel as long as the connection stands."""
        try:
            while True:
                await asyncio.sleep(self.secure_channel_timeout * _RENEW_AFTER / 1000)
                await self.open_secure_channel(renew=True)
                self.uaclient.revolve_security_token()
        except Exception:
            # Without a channel there is no connection; whoever uses it sees that it has gone.
            abort(self)


def abort(client: Client) -> None:
    """End the connection at once, whatever is still to be sent."""
    protocol = client.uaclient.protocol
    if protocol is not None and protocol.transport is not None:
        protocol.transport.abort()


async def open_client(
    connection: ConnectionSpec, endpoint: Endpoint, credential: Credential | None, *, name: str
) -> Client:
    """Return a new client with an active session; close it with `close_client`.

    Args:
        connection: as the stage declares it.
        endpoint: its endpoint, parsed.
        credential: for the server; None is anonymous.
        name: what the session is for; the server shows it.

    Raises:
        ConnectionConfigError: profile, options and credential do not fit together.
        RefusedError: one side does not accept the other.
        NotConnectedError: the server does not answer.
    """
    _silence()
    security = Security.of(connection, endpoint, credential)
    limit = endpoint.options.timeout
    client = _Client(endpoint.url, timeout=limit)
    client.name = "stagetwin"
    client.description = f"stagetwin {connection.name} {name}"
    client.session_timeout = _SESSION_TIMEOUT
    client.secure_channel_timeout = _CHANNEL_LIFETIME
    try:
        async with asyncio.timeout(limit * _ATTEMPT):
            if security.identity is not None:
                await _secure(client, security)
            await client.connect_socket()
            _without_delay(client)
            await client.send_hello()
            await client.open_secure_channel()
            await client.create_session()
            await client.activate_session(security.username or None, security.password or None)
    except BaseException as error:
        abort(client)
        if isinstance(error, Exception):
            raise _failure(error, endpoint) from error
        raise
    client.renewal = asyncio.create_task(client.renew(), name=f"opcua-renew-{connection.name}")
    return client


async def close_client(client: Client) -> None:
    """Say goodbye and disconnect. Takes a second at most, and raises nothing."""
    if isinstance(client, _Client) and client.renewal is not None:
        client.renewal.cancel()
        await asyncio.wait([client.renewal])
    protocol = client.uaclient.protocol
    try:
        async with asyncio.timeout(_GOODBYE):
            await client.disconnect()
    except Exception:  # noqa: S110
        # It was to go, and is gone; asyncua raises what it happens to.
        pass
    finally:
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abort()


async def _secure(client: Client, security: Security) -> None:
    """Ask the server for its endpoints, choose one, and trust its certificate or raise."""
    identity = security.identity
    if identity is None:
        return
    found = await client.connect_and_get_server_endpoints()
    name, chosen = _choose(found, security)
    chain = _chain(chosen.ServerCertificate)
    security.verify(chain, str(chosen.Server.ApplicationUri))
    client.application_uri = identity.uri
    # From here on the channel can be read and answered by the holder of that certificate alone.
    client.security_policy = POLICIES[name](
        chain[0], identity.certificate, identity.key, ua.MessageSecurityMode.SignAndEncrypt
    )
    client.uaclient.set_security(client.security_policy)


def _choose(
    found: Sequence[ua.EndpointDescription], security: Security
) -> tuple[str, ua.EndpointDescription]:
    for name in security.policies:
        for one in found:
            if (
                one.SecurityPolicyUri == POLICIES[name].URI
                and one.SecurityMode == ua.MessageSecurityMode.SignAndEncrypt
                and one.ServerCertificate
            ):
                return name, one
    offered = {
        f"{str(one.SecurityPolicyUri).rpartition(chr(35))[2]} "
        f"{ua.MessageSecurityMode(one.SecurityMode).name}"
        for one in found
    }
    raise RefusedError(
        f"{security.endpoint.where} offers no endpoint that signs and encrypts by "
        f"{' or '.join(security.policies)}; it offers {', '.join(sorted(offered)) or 'none'}"
    )


def _chain(blob: bytes) -> list[x509.Certificate]:
    """Return the certificates of a DER blob, the server's own first."""
    chain: list[x509.Certificate] = []
    while blob:
        # Two bytes of tag and kind of length, two of length: no certificate is shorter.
        size = int.from_bytes(blob[2:4], "big") + 4
        chain.append(x509.load_der_x509_certificate(blob[:size]))
        blob = blob[size:]
    return chain


def _failure(error: Exception, endpoint: Endpoint) -> Exception:
    """Return what an attempt's failure means."""
    where = endpoint.where
    match error:
        case NotConnectedError():
            return error
        case UaStatusCodeError():
            name = ua.StatusCode(error.code).name
            refused = name.startswith(_REFUSALS)
            kind = RefusedError if refused else NotConnectedError
            return kind(f"{where} refuses: {name}" if refused else f"{where} answers: {name}")
        case TimeoutError():
            return NotConnectedError(
                f"no answer from {where} within {endpoint.options.timeout:g} s"
            )
        case socket.gaierror():
            return NotConnectedError(f"host name {endpoint.host!r} is not known: {error.strerror}")
        case ConnectionRefusedError():
            return NotConnectedError(f"nothing listens at {where} (connection refused)")
        case UaError() if "No matching endpoints" in str(error):
            return RefusedError(f"{where} offers no endpoint without encryption")
        case OSError():
            return NotConnectedError(f"cannot reach {where}: {error}")
    return NotConnectedError(f"{where}: {type(error).__name__}: {error}")


def _without_delay(client: Client) -> None:
    protocol = client.uaclient.protocol
    plug: Any = (
        protocol.transport.get_extra_info("socket")
        if protocol is not None and protocol.transport is not None
        else None
    )
    if plug is not None:
        with contextlib.suppress(OSError):
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _silence() -> None:
    """Keep asyncua from logging: passwords at its debug level, and every failure as an error."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
