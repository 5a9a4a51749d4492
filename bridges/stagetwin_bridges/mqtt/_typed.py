"""Readers for JSON objects whose numeric fields are known: one typed decode yields all of them.

A reader is a msgspec struct made to measure, with the payload's keys as field names. It accepts
only what needs no second look; whatever it refuses is decoded field by field elsewhere, which
then says what was wrong.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from stagetwin.ports import ValueKind
from stagetwin_bridges.mqtt._values import EXACT

__all__ = ["typed_reader"]

_TYPES: dict[str, Any] = {
    ValueKind.NUMBER: float,
    # A larger integer would lose digits in the float64 column.
    ValueKind.INTEGER: Annotated[int, msgspec.Meta(ge=-EXACT, le=EXACT)] | float,
    ValueKind.BOOLEAN: bool | Annotated[int, msgspec.Meta(ge=0, le=1)],
    ValueKind.TEXT: str,
}

Reader = Callable[[bytes], tuple[Any, ...]]


def _struct(tree: dict[str, Any]) -> Any:
    fields: list[tuple[str, Any]] = []
    names: dict[str, str] = {}
    for number, (key, below) in enumerate(tree.items()):
        name = f"f{number}"
        names[name] = key
        fields.append((name, _struct(below) if isinstance(below, dict) else below[1]))
    return msgspec.defstruct("Payload", fields, rename=names, gc=False)


def _grow(tree: dict[str, Any], keys: Sequence[str], leaf: tuple[str, Any]) -> bool:
    """Put a leaf into the tree; False where another leaf is in the way or has another type."""
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            return False
    return bool(tree.setdefault(keys[-1], leaf) == leaf)


def _attribute(tree: dict[str, Any], keys: Sequence[str]) -> str:
    names: list[str] = []
    for key in keys:
        names.append(f"f{list(tree).index(key)}")
        tree = tree[key]
    return ".".join(names)


@lru_cache(maxsize=4096)
def typed_reader(fields: tuple[tuple[tuple[str, ...], ValueKind], ...]) -> Reader | None:
    """Return a function from a payload to the values of its fields, or None if there is none.

    Args:
        fields: keys from the outermost object inwards, and what lies there.

    Raises (the function):
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: not as expected.
    """
    tree: dict[str, Any] = {}
    for keys, kind in fields:
        if not keys or not _grow(tree, keys, (kind, _TYPES[kind])):
            return None
    decode = msgspec.json.Decoder(_struct(tree)).decode
    if len(fields) == len(tree) and all(len(keys) == 1 for keys, _ in fields):
        as_tuple = msgspec.structs.astuple
        return lambda payload: as_tuple(decode(payload))
    get = operator.attrgetter(*(_attribute(tree, keys) for keys, _ in fields))
    if len(fields) == 1:
        return lambda payload: (get(decode(payload)),)
    return lambda payload: get(decode(payload))
