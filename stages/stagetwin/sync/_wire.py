"""One WebSocket to a service: verified, silent about its secret, following nobody elsewhere."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stagetwin._errors import ServiceError

__all__ = ["Address", "Lost", "Refused", "Wire"]

LARGEST = 64 * 2**20
"""Longest message [bytes]: a snapshot of some million channels."""

OPEN_WITHIN = 10.0
CLOSE_WITHIN = 2.0
PING_EVERY, PONG_WITHIN = 5.0, 15.0
"""How soon a connection that leads nowhere any more is found out [s]."""

_TEXT_KEPT = 300

# The library tells headers at its lowest level: the token is one of them.
_quiet = logging.getLogger("stagetwin.sync.wire")
_quiet.setLevel(logging.INFO)


class Lost(Exception):
    """There is no connection, or no more; it is tried again."""


class Refused(Exception):
    """The service does not let this token in."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is.

    Attributes:
        text: `wss://host:port/path`; it never holds a secret.
        host, port: of its socket.
        tls: how its certificate is verified; None without TLS.
    """

    text: str
    host: str
    port: int
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str, ca_file: str = "") -> Address:
        """Return the address of a service's URL.

        Args:
            url: `https://host:port`, `wss://host:port/path`; `http` and `ws` on loopback.
            ca_file: PEM file of the authorities to trust; empty trusts the system's.

        Raises:
            ServiceError: it is none that may be connected to.
        """
        try:
            parts = urlsplit(url)
            scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ServiceError(f"the service's URL cannot be read: {error}") from None
        if scheme not in ("ws", "wss") or not host:
            raise ServiceError("a service's URL is https://host:port or wss://host:port")
        if parts.username is not None or parts.query or parts.fragment:
            # It is not repeated: somebody may have put a secret there.
            raise ServiceError(
                f"the URL of the service at {host} has a user, a query or a fragment; a token goes "
                "into `token`"
            )
        if scheme == "ws" and not _is_loopback(host):
            raise ServiceError(f"without TLS a service is reached on loopback only, not at {host}")
        path = parts.path.rstrip("/")
        path = path if path.endswith("/sync") else f"{path}/sync"
        shown = f"[{host}]" if ":" in host else host
        place = shown if port is None else f"{shown}:{port}"
        port = port or (443 if scheme == "wss" else 80)
        tls = _context(ca_file) if scheme == "wss" else None
        return cls(f"{scheme}://{place}{path}", host, port, tls)


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ServiceError(f"the authorities in {ca_file} cannot be read: {error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Wire:
    """A connection that stands; `send` and `close` from any thread, `receive` from one."""

    def __init__(self, address: Address, token: str, subprotocol: str) -> None:
        """Connect.

        Raises:
            Lost: it did not succeed.
            Refused: the service does not let this token in.
        """
        from websockets.exceptions import InvalidStatus, WebSocketException
        from websockets.sync.client import connect

        headers = {"Authorization": f"Bearer {token}"} if token else {}
        options: dict[str, Any] = {}
        if address.tls is not None:
            options = {"ssl": address.tls, "server_hostname": address.host}
        sock = _socket(address)
        try:
            # With a socket of ours it follows no redirect and asks no proxy.
            self._entered = connect(
                address.text,
                sock=sock,
                subprotocols=[subprotocol],  # type: ignore[list-item]
                compression=None,
                additional_headers=headers,
                open_timeout=OPEN_WITHIN,
                close_timeout=CLOSE_WITHIN,
                ping_interval=PING_EVERY,
                ping_timeout=PONG_WITHIN,
                max_size=LARGEST,
                logger=_quiet,
                **options,
            )
        except InvalidStatus as error:
            sock.close()
            code = error.response.status_code
            said = (error.response.body or b"").decode("utf-8", "replace")[:_TEXT_KEPT]
            text = f"the service answered {code}: {said.strip() or error.response.reason_phrase}"
            raise (Refused if code in (401, 403) else Lost)(text) from None
        except (WebSocketException, OSError, ValueError, EOFError) as error:
            sock.close()
            raise Lost(
                f"{address.text} cannot be reached: {error or type(error).__name__}"
            ) from None
        self._socket: Any = self._entered

    @staticmethod
    def require() -> None:
        """Raise ServiceError where the library for WebSockets is not installed."""
        try:
            importlib.import_module("websockets.sync.client")
        except ImportError:
            raise ServiceError(
                "a live session needs the package `websockets`: pip install stagetwin[web], or add "
                "it to the program's own Python"
            ) from None

    def __enter__(self) -> Wire:
        self._socket = self._entered.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, text: str) -> None:
        """Send a message; raises Lost."""
        from websockets.exceptions import WebSocketException

        try:
            self._socket.send(text)
        except (WebSocketException, OSError) as error:
            raise Lost(f"the connection broke: {error}") from None

    def receive(self, timeout: float) -> str | bytes | None:
        """Return the next message, None if there is none within `timeout` [s]; raises Lost."""
        from websockets.exceptions import WebSocketException

        try:
            message: str | bytes = self._socket.recv(timeout)
        except TimeoutError:
            return None
        except (WebSocketException, OSError) as error:
            raise Lost(f"the connection broke: {error}") from None
        return message

    def close(self) -> None:
        """Leave; returns within `CLOSE_WITHIN` or so."""
        self._socket.close()


def _socket(address: Address) -> socket.socket:
    try:
        made = socket.create_connection((address.host, address.port), OPEN_WITHIN)
        made.settimeout(None)
    except OSError as error:
        why = error.strerror or error
        raise Lost(f"{address.text} cannot be reached: {why}") from None
    return made
