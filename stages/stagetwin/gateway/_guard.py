"""What every request passes before anything looks at it: where it was sent, from, and how large."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stagetwin.gateway._problems import problem

__all__ = ["Guard", "content_security_policy"]

MAX_BODY = 2**20
"""Largest body of a request [B]."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def content_security_policy(scripts: Iterable[str] = ()) -> str:
    """Return the policy of every page.

    Args:
        scripts: hashes of inline import maps that pages may have.
    """
    hashes = "".join(f" '{each}'" for each in scripts)
    return (
        f"default-src 'none'; script-src 'self'{hashes}; style-src 'self'; "
        "img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


class Guard:
    """Refuses what a browser was tricked into sending, and what is too large; sets headers."""

    def __init__(
        self, app: ASGIApp, host: str, origins: Iterable[tuple[str, str]], secure: bool, policy: str
    ) -> None:
        """Begin.

        Args:
            app: what it guards.
            host: where it listens.
            origins: scheme and host of further origins.
            secure: whether the listener speaks TLS.
            policy: content security policy.
        """
        self._app = app
        self._origins = frozenset(origins)
        self._hosts = {name.partition(":")[0] for _, name in self._origins}
        self._hosts |= {"localhost", host.lower()}
        self._scheme = "https" if secure else "http"
        self._headers = {**_HEADERS, "Content-Security-Policy": policy}
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            if scope["type"] == "websocket":
                await receive()
            await refusal(scope, receive, self._dressed(send))
            return
        await self._app(scope, _limited(receive), self._dressed(send))

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._knows(host):
            # A name of somebody else's that was made to lead here (DNS rebinding).
            return problem(421, "this host name is not served here")
        websocket = scope["type"] == "websocket"
        if websocket or scope["method"] not in _SAFE:
            if not self._own(host, headers, websocket):
                return problem(403, "this page's origin may not ask here")
        elif self._foreign(headers):
            return problem(403, "other sites may not load this")
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return problem(400, "the length of the body is no number")
        if len(length) > 20 or int(length) > MAX_BODY:
            return problem(413, f"a body has at most {MAX_BODY} bytes, got {length:.20}")
        return None

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:
            # An address cannot be made to lead elsewhere.
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _own(self, host: str, headers: Headers, websocket: bool) -> bool:
        """Tell whether what changes something comes from our own page, or from no page at all."""
        site = headers.get("sec-fetch-site")
        if len(headers.getlist("origin")) > 1:
            return False
        origin = headers.get("origin")
        if origin is None:
            return site in (None, "same-origin", "none")
        if origin == "null":
            # Forms of pages that send no referrer have no origin either.
            return site == "same-origin" and not websocket
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        found = (parts.scheme, parts.netloc.lower())
        return found in self._origins or found == (self._scheme, host.lower())

    @staticmethod
    def _foreign(headers: Headers) -> bool:
        """Tell whether another site's page loads something of ours into itself."""
        site = headers.get("sec-fetch-site", "none")
        return site in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate"

    def _dressed(self, send: Send) -> Send:
        async def dressed(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return dressed


class TooLarge(Exception):
    """A body that did not say how long it is, and is too long."""


def _limited(receive: Receive) -> Receive:
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise TooLarge
        return message

    return limited
