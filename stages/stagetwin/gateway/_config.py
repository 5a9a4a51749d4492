"""Where the gateway listens, and what that takes."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from stagetwin._errors import ServiceError

__all__ = ["ListenConfig", "is_loopback", "origin_of", "parse_listen", "server_tls"]

MAX_CLIENTS = 200


class ListenConfig(BaseModel):
    """One listener for browsers, shells and programs.

    Attributes:
        host: address or name to listen at.
        port: 0 for any free one.
        certificate: PEM file of the certificate and what signed it.
        key: PEM file of its private key; in `certificate` if None.
        origins: origins (`https://plant.example`) of a reverse proxy in front of it.
        clients: most clients at once; a tenth of them is kept for loopback.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    certificate: Path | None = None
    key: Path | None = None
    origins: tuple[str, ...] = ()
    clients: int = Field(default=MAX_CLIENTS, ge=1, le=10_000)

    @property
    def loopback(self) -> bool:
        """Whether only this host can reach it."""
        return is_loopback(self.host)

    def check(self, people: Path | None) -> None:
        """Refuse what would let strangers in.

        Args:
            people: file of accounts and rights, None where there is none.

        Raises:
            ServiceError: it leaves loopback without TLS or without accounts, or a file or an
                origin is unfit.
        """
        if not self.loopback:
            missing = []
            if self.certificate is None:
                missing.append("a certificate (--certificate, --key)")
            if people is None:
                missing.append("people (--people)")
            if missing:
                raise ServiceError(
                    f"{self.host}:{self.port} can be reached from other machines and needs "
                    f"{' and '.join(missing)}; without them listen at 127.0.0.1"
                )
        if self.key is not None and self.certificate is None:
            raise ServiceError(f"the key {self.key} has no certificate (--certificate)")
        if self.certificate is not None:
            server_tls(self.certificate, self.key)
        for origin in self.origins:
            origin_of(origin)

    def check_place(self) -> None:
        """Refuse a place where nobody can listen: at a start that is a slip, later it may pass.

        Raises:
            ServiceError: it is taken, or is none of this host's.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            socket.create_server((self.host, self.port), family=family).close()
        except OSError as error:
            raise ServiceError(
                f"cannot listen at {self.host}:{self.port}: {error.strerror or error}"
            ) from None


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, `[IPV6]:PORT` or `PORT`.

    Raises:
        ServiceError: it is none of these.
    """
    host, _, port = text.rpartition(":")
    host = host or "127.0.0.1"
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ServiceError(f"an IPv6 address stands in brackets, as in [::1]:8080, got {text!r}")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ServiceError(f"where to listen is HOST:PORT with a port up to 65535, got {text!r}")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Tell whether an address or name can be reached from this host alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(text: str) -> tuple[str, str]:
    """Return scheme and `host[:port]` of an origin, as a browser writes them.

    Raises:
        ServiceError: it is none.
    """
    parts = urlsplit(text)
    bare = not parts.path and not parts.query and not parts.fragment and not parts.username
    if parts.scheme not in ("http", "https") or not parts.hostname or not bare:
        raise ServiceError(f"an origin is https://HOST[:PORT] and nothing more, got {text!r}")
    return parts.scheme, parts.netloc.lower()


def server_tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return what a listener with a certificate speaks: TLS 1.2 or newer.

    Raises:
        ServiceError: the files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        # A missing file names itself; what OpenSSL says of a wrong one does not.
        said = getattr(error, "strerror", None) or str(error)
        raise ServiceError(
            f"certificate {certificate}{f' with key {key}' if key else ''} cannot be used: {said}"
        ) from None
    return context
