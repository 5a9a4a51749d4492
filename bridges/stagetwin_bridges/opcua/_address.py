"""Addresses of OPC UA nodes, as text.

    nsu=http://plant.example/pumps;s=Pump_1.Speed      namespace by its URI: preferred
    ns=2;s=Pump_1.Speed                                namespace by its index
    i=2258                                             a node of OPC UA itself

The identifier is a number (`i=`), a string (`s=`), a GUID (`g=`) or bytes in base64 (`b=`). A
server may number its namespaces anew at every start; only the URI stays. In a URI `;` is written
`%3B` and `%` is written `%25`. The notation is that of OPC UA Part 6, 5.3.1.10.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from asyncua import ua

from stagetwin_bridges._errors import FieldError, NamespaceError

__all__ = ["Address", "MethodAddress"]

_PARTS = re.compile(
    r"(?:ns=(?P<index>\d{1,5});|nsu=(?P<uri>[^;]+);)?(?P<letter>[isgb])=(?P<text>.+)", re.DOTALL
)
_BOUNDARY = re.compile(r" (?=(?:ns=\d+;|nsu=[^;]+;)?[isgb]=)")
_EXPECTED: Final = (
    "expected a NodeId such as nsu=http://plant.example/pumps;s=Pump_1.Speed, ns=2;s=Pump_1.Speed "
    "or i=2258"
)
_LONGEST: Final = 4096

Identifier = int | str | bytes | uuid.UUID


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or int(text) >= 2**32:
        raise ValueError(f"expected a number from 0 to 4294967295 after i=, got {text:.40}")
    return int(text)


def _string(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"expected at most {_LONGEST} characters after s=, got {len(text)}")
    return text


def _guid(text: str) -> uuid.UUID:
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text):
        raise ValueError(f"expected a GUID of 8-4-4-4-12 digits after g=, got {text:.40}")
    return uuid.UUID(text)


def _opaque(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"expected base64 after b=, got {text:.40}") from None


_READ: Final[dict[str, Callable[[str], Identifier]]] = {
    "i": _number,
    "s": _string,
    "g": _guid,
    "b": _opaque,
}


@dataclass(frozen=True, slots=True)
class Address:
    """A node, named so that it can be found on a server.

    Attributes:
        identifier: number, string, GUID or bytes.
        uri: URI of the namespace; empty where it is named by its index.
        index: index of the namespace; 0 where it is named by its URI.
    """

    identifier: Identifier
    uri: str = ""
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse the text of a NodeId.

        Raises:
            FieldError: malformed; says what is allowed.
        """
        return _parse(text)

    def __str__(self) -> str:
        if self.uri:
            where = f"nsu={self.uri.replace('%', '%25').replace(';', '%3B')};"
        else:
            where = f"ns={self.index};" if self.index else ""
        match self.identifier:
            case int():
                return f"{where}i={self.identifier}"
            case str():
                return f"{where}s={self.identifier}"
            case bytes():
                return f"{where}b={base64.b64encode(self.identifier).decode()}"
        return f"{where}g={self.identifier}"

    def resolve(self, namespaces: Sequence[str]) -> ua.NodeId:
        """Return the node's id on a server.

        Args:
            namespaces: the server's NamespaceArray.

        Raises:
            NamespaceError: the server has no such namespace.
        """
        index = self.index
        if self.uri:
            try:
                index = namespaces.index(self.uri)
            except ValueError:
                has = ", ".join(namespaces) or "none"
                raise NamespaceError(
                    f"{self}: the server has no namespace {self.uri!r}; it has {has}"
                ) from None
        elif index and index >= len(namespaces):
            raise NamespaceError(
                f"{self}: the server has {len(namespaces)} namespaces, numbered from 0"
            )
        identifier: Any = self.identifier  # asyncua annotates with its own names of these types
        return ua.NodeId(identifier, ua.Int16(index))


# A plant names few different nodes, many times.
@lru_cache(maxsize=65_536)
def _parse(text: str) -> Address:
    match = _PARTS.fullmatch(text)
    if not match:
        raise FieldError(f"address {text!r}: {_EXPECTED}")
    try:
        identifier = _READ[match["letter"]](match["text"])
    except ValueError as error:
        raise FieldError(f"address {text!r}: {error}") from None
    if any(ord(character) < 32 for character in text):
        raise FieldError(f"address {text!r}: expected no control characters")
    index = int(match["index"] or 0)
    if index > 65_535:
        raise FieldError(f"address {text!r}: expected a namespace from 0 to 65535, got {index}")
    uri = (match["uri"] or "").replace("%3B", ";").replace("%3b", ";").replace("%25", "%")
    return Address(identifier, uri, index)


@dataclass(frozen=True, slots=True)
class MethodAddress:
    """A method, and the object on which it is called.

    Attributes:
        on: the object.
        method: the method.
    """

    on: Address
    method: Address

    @classmethod
    def parse(cls, text: str) -> MethodAddress:
        """Parse the object's NodeId, one space, and the method's NodeId.

        Raises:
            FieldError: malformed, or there is more than one way to read it.
        """
        cuts = [match.start() for match in _BOUNDARY.finditer(text)]
        if not cuts:
            raise FieldError(
                f"address {text!r}: expected the object's NodeId, one space, and the method's"
            )
        if len(cuts) > 1:
            raise FieldError(
                f"address {text!r}: expected two NodeIds, got {len(cuts) + 1} separated by spaces"
            )
        return cls(Address.parse(text[: cuts[0]]), Address.parse(text[cuts[0] + 1 :]))

    def __str__(self) -> str:
        return f"{self.on} {self.method}"
