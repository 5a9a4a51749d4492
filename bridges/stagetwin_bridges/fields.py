"""Field paths over decoded JSON, and struct formats over raw bytes.

A path is a chain of keys and indices, parsed once and then followed for every message:

    motor.current[0]      ["Volume Flow"]      [2].x      stations['line 1'].state

Bare keys hold neither white space, dots, brackets nor quotes; every other key is quoted inside
brackets, with JSON's escapes. An empty path is the whole document.

A struct format says its byte order, the items, and where they begin: `<f@12` is a little-endian
float at byte 12. Native order is refused, because what it means depends on the reader's machine.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from stagetwin_bridges._errors import FieldError

__all__ = ["MISSING", "FieldPath", "StructFormat", "is_struct"]


class _Missing:
    """What a path finds where there is nothing."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()

_BARE = re.compile(r"""[^\s.\[\]"'<>=!][^\s.\[\]"']*""")
_INDEX = re.compile(r"\[(\d+)\]")
_QUOTED = re.compile(r"""\[("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\]""", re.DOTALL)
_STRUCT = re.compile(r"(.+?)(?:@(\d+))?", re.DOTALL)
_LARGEST_OFFSET = 2**28


def is_struct(text: str) -> bool:
    """Return whether a field is written as a struct format: it begins with a byte order."""
    return text[:1] in ("<", ">", "!") and text != ""


def _unquote(quoted: str, text: str, position: int) -> str:
    """Return the key inside quotes of either kind."""
    body = quoted[1:-1]
    if quoted[0] == "'":
        body = re.sub(r"\\(.)|(\")", _double_quoted, body, flags=re.DOTALL)
    try:
        key = json.loads(f'"{body}"', strict=False)
        key.encode()
    except ValueError as error:
        raise FieldError(f"field {text!r}, position {position}: {error} in a quoted key") from None
    return str(key)


def _double_quoted(match: re.Match[str]) -> str:
    if match[2]:
        return '\\"'
    return "'" if match[1] == "'" else match[0]


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A path into decoded JSON.

    Attributes:
        steps: keys of objects (str) and indices of arrays (int), outermost first.
    """

    steps: tuple[str | int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> FieldPath:
        """Parse a path.

        Raises:
            FieldError: malformed; says at which position and what is allowed there.
        """
        return _parse(text)

    def __str__(self) -> str:
        parts: list[str] = []
        for step in self.steps:
            if isinstance(step, int):
                parts.append(f"[{step}]")
            elif _BARE.fullmatch(step):
                parts.append(f".{step}" if parts else step)
            else:
                parts.append(f"[{json.dumps(step, ensure_ascii=False)}]")
        return "".join(parts)

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The steps where all of them are keys, else None."""
        names = tuple(step for step in self.steps if isinstance(step, str))
        return names if len(names) == len(self.steps) else None

    def find(self, document: Any) -> Any:
        """Return what lies at the path, or MISSING; never raises."""
        for step in self.steps:
            if isinstance(step, str):
                if not isinstance(document, dict) or step not in document:
                    return MISSING
                document = document[step]
            elif isinstance(document, list) and step < len(document):
                document = document[step]
            else:
                return MISSING
        return document

    def compile(self) -> Callable[[Any], Any]:
        """Return the fastest function that does what `find` does."""
        if len(self.steps) == 1 and isinstance(key := self.steps[0], str):
            return lambda document: (
                document.get(key, MISSING) if type(document) is dict else MISSING
            )
        return self.find

    def place(self, document: dict[str, Any], value: Any) -> None:
        """Put a value where the path points, unless something is there; objects are made.

        Raises:
            FieldError: the path has an index, is empty, or meets something that is no object.
        """
        keys = self.keys
        if not keys:
            raise FieldError(f"field {str(self)!r}: only a path of keys can be written")
        for key in keys[:-1]:
            document = document.setdefault(key, {})
            if not isinstance(document, dict):
                raise FieldError(f"field {str(self)!r}: {key!r} is taken by a value")
        document.setdefault(keys[-1], value)


def _unexpected(text: str, position: int, expected: str) -> FieldError:
    got = repr(text[position : position + 10]) if position < len(text) else "the end"
    return FieldError(f"field {text!r}, position {position}: expected {expected}, got {got}")


# A plant names few different fields, many times.
@lru_cache(maxsize=16_384)
def _parse(text: str) -> FieldPath:
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        start = position
        if text[position] == "[":
            if match := _INDEX.match(text, position):
                steps.append(int(match[1]))
            elif match := _QUOTED.match(text, position):
                steps.append(_unquote(match[1], text, position + 1))
        else:
            if steps:
                if text[position] != ".":
                    raise _unexpected(text, position, "'.' or '['")
                start += 1
            if match := _BARE.match(text, start):
                steps.append(match[0])
        if not match:
            raise _unexpected(
                text, start, 'a key, an index such as [0], or a quoted key such as ["a b"]'
            )
        position = match.end()
    return FieldPath(tuple(steps))


@dataclass(frozen=True, slots=True)
class StructFormat:
    """Items in raw bytes.

    Attributes:
        format: format of the `struct` module, byte order first.
        offset: where the first item begins [byte].
        count: how many items there are.
        text: whether the first item is text (`s` or `p`).
    """

    format: str
    offset: int = 0
    count: int = field(init=False, compare=False)
    text: bool = field(init=False, compare=False)
    _struct: struct.Struct = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not is_struct(self.format):
            raise FieldError(
                f"struct format {self.format!r}: expected '<', '>' or '!' (the byte order) first"
            )
        try:
            compiled = struct.Struct(self.format)
            items = compiled.unpack(bytes(compiled.size))
        except (struct.error, MemoryError, OverflowError) as error:
            raise FieldError(f"struct format {self.format!r}: {error}") from None
        if not items:
            raise FieldError(f"struct format {self.format!r}: expected at least one item")
        if self.offset > _LARGEST_OFFSET:
            raise FieldError(f"struct format {str(self)!r}: no payload reaches byte {self.offset}")
        object.__setattr__(self, "_struct", compiled)
        object.__setattr__(self, "count", len(items))
        object.__setattr__(self, "text", isinstance(items[0], bytes))

    @classmethod
    def parse(cls, text: str) -> StructFormat:
        """Parse a format with an optional `@offset`.

        Raises:
            FieldError: no byte order, an unknown item, no item at all.
        """
        match = _STRUCT.fullmatch(text)
        if not match:
            raise FieldError("struct format '': expected a format such as '<f@12'")
        return cls(match[1], int(match[2] or 0))

    def __str__(self) -> str:
        return f"{self.format}@{self.offset}" if self.offset else self.format

    @property
    def end(self) -> int:
        """Length that a payload must have at least [byte]."""
        return self.offset + self._struct.size

    def unpack(self, payload: bytes) -> tuple[Any, ...]:
        """Return the items.

        Raises:
            struct.error: the payload ends before `end`.
        """
        return self._struct.unpack_from(payload, self.offset)
