"""What endpoints of all protocols have in common: an URI whose query sets options."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Container
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from stagetwin_bridges._errors import ConnectionConfigError

__all__ = ["Parts", "is_loopback", "masked", "query_options", "said", "split"]


class Parts(NamedTuple):
    """Parts of an endpoint's URI; the port is None where it names none."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str


def masked(uri: str, known: Container[str] = ()) -> str:
    """Return an endpoint as a message may repeat it, without what may be a secret.

    Args:
        uri: the endpoint.
        known: options whose values are no secrets; the value of any other one is hidden.
    """
    start, found, query = uri.partition("?")
    parts = []
    for part in query.split("&"):
        name, given, value = part.partition("=")
        secret = given and value and urllib.parse.unquote(name) not in known
        parts.append(f"{name}=***" if secret else part)
    return f"{start}{found}{'&'.join(parts)}"


def split(uri: str, schemes: Container[str], expected: str) -> Parts:
    """Return the parts of an endpoint's URI, its host and port checked.

    Args:
        uri: the endpoint.
        schemes: allowed schemes.
        expected: the same in words.

    Raises:
        ConnectionConfigError: names what is wrong and what is allowed.
    """
    try:
        # An endpoint has no fragment: '#' in an address may stand as it is.
        parts = urllib.parse.urlsplit(uri.replace("#", "%23"))
        port = parts.port
    except ValueError as error:
        raise ConnectionConfigError(f"endpoint: {error}") from None
    if "@" in parts.netloc:
        # The URI is not repeated: what stands before the @ may be a password.
        raise ConnectionConfigError(
            "endpoint: user information is not allowed in a URI; name a credential instead"
        )
    if parts.scheme not in schemes:
        raise ConnectionConfigError(f"endpoint {masked(uri)!r}: expected the scheme {expected}")
    if not parts.hostname:
        raise ConnectionConfigError(f"endpoint {masked(uri)!r}: expected a host")
    if "%" in parts.netloc:
        raise ConnectionConfigError(
            f"endpoint {masked(uri)!r}: expected nothing between the port and the query"
        )
    return Parts(parts.scheme, parts.hostname, port, parts.path, parts.query)


def query_options(query: str, repeated: str = "") -> dict[str, Any]:
    """Return the options of a query by name.

    Args:
        query: of the URI.
        repeated: the one option that may be given more than once, whose value is a list.

    Raises:
        ConnectionConfigError: an option has no value, or is given twice.
    """
    # Not parse_qsl: it would turn the '+' of a topic filter into a space.
    given: dict[str, Any] = {}
    for part in filter(None, query.split("&")):
        key, found, value = (urllib.parse.unquote(text) for text in part.partition("="))
        if not found:
            raise ConnectionConfigError(f"option {key!r}: expected <name>=<value>")
        if repeated and key == repeated:
            given.setdefault(key, []).append(value)
        elif key in given:
            only = f"; only {repeated} may be" if repeated else ""
            raise ConnectionConfigError(f"option {key!r} is given twice{only}")
        else:
            given[key] = value
    return given


def said(error: ValidationError, options: type[BaseModel]) -> str:
    """Return pydantic's findings as one line, with the names that are allowed."""
    parts: list[str] = []
    for finding in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in finding["loc"])
        if finding["type"] == "extra_forbidden":
            known = ", ".join(sorted(options.model_fields))
            parts.append(f"unknown option {name!r}; allowed: {known}")
        else:
            parts.append(
                f"{name + ': ' if name else ''}{finding['msg']}, got {finding['input']!r:.60}"
            )
    return "; ".join(parts)


def is_loopback(host: str) -> bool:
    """Tell whether nothing leaves this machine on the way to a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
