"""Readers made to measure: one typed decode yields just those parts of a message that are bound.

A reader is a msgspec struct with the attributes that are needed, under 3.0's names, decoded from
the names of the version spoken. What is absent is UNSET. It takes only what needs no second look;
what it refuses is read field by field elsewhere, which then says what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec

from stagetwin.ports import ValueKind
from stagetwin_bridges.fields import FieldPath
from stagetwin_bridges.vda5050.messages import SHAPES, Shape

__all__ = ["HEADER", "Need", "needs_at", "reader", "reader_type"]

Need = tuple[tuple[str, ...], ValueKind]
"""Steps to a value in 3.0's names, `[]` for every element of an array, and what it must be."""

HEADER: Final[frozenset[Need]] = frozenset(
    {(("headerId",), ValueKind.INTEGER), (("timestamp",), ValueKind.TEXT)}
)

_EACH = "[]"
_PLAIN: Final = Shape()
_TYPES: Final[dict[ValueKind, Any]] = {
    ValueKind.NUMBER: float,
    # A larger integer would lose digits in a column of float64.
    ValueKind.INTEGER: Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | float,
    ValueKind.BOOLEAN: bool,
    ValueKind.TEXT: str,
    ValueKind.COMPOSITE: Any,
}


def reader_type(version: str, topic: str, needs: Iterable[Need]) -> Any:
    """Return the struct that holds what is needed of the messages of a topic.

    Args:
        version: of the standard that they are in.
        topic: last level of the topic.
        needs: what of it.
    """
    return _made(version, topic, frozenset(needs))


def reader(version: str, topic: str, needs: Iterable[Need]) -> Callable[[bytes], Any]:
    """Return a function from a payload to the struct of `reader_type`."""
    return _decoder(version, topic, frozenset(needs)).decode


@lru_cache(maxsize=1024)
def _decoder(version: str, topic: str, needs: frozenset[Need]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_made(version, topic, needs))


@lru_cache(maxsize=1024)
def _made(version: str, topic: str, needs: frozenset[Need]) -> Any:
    tree: dict[str, Any] = {}
    # Ordered, so that a field of two kinds is always taken for the same one.
    for path, kind in sorted(needs):
        here = tree
        for step in path[:-1]:
            here = here.setdefault(step, {})
        here.setdefault(path[-1], _TYPES[kind])
    return _struct(tree, SHAPES.get(topic, _PLAIN) if version == "2.1.0" else _PLAIN)


def _struct(tree: dict[str, Any], shape: Shape) -> Any:
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    for name, below in tree.items():
        names[name] = shape.names.get(name, name)
        kind = _type(below, shape.parts.get(name, _PLAIN))
        fields.append((name, kind | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct("Parts", fields, rename=names, gc=False)


def _type(below: Any, shape: Shape) -> Any:
    if not isinstance(below, dict):
        return below
    return list[_type(below[_EACH], shape)] if _EACH in below else _struct(below, shape)  # type: ignore[misc]


def needs_at(version: str, topic: str, path: FieldPath, kind: ValueKind) -> Need | None:
    """Return what a reader needs for a plain path; None where only the whole document tells.

    That is so for arrays and whatever is found by an index, and for what 2.1 says in another way.
    """
    keys = path.keys
    if keys is None or kind is ValueKind.COMPOSITE or not all(key.isidentifier() for key in keys):
        return None
    shape = SHAPES.get(topic, _PLAIN) if version == "2.1.0" else _PLAIN
    for key in keys:
        if key in shape.made:
            return None
        shape = shape.parts.get(key, _PLAIN)
    return keys, kind
