"""What a signal of a vehicle may name as its field.

`TOPIC.path` in the words of 3.0 (`state.powerSupply.stateOfCharge`), whichever version the vehicle
speaks, or the name of something computed (`pose`, `errors.count`). A field that the standard does
not have, for vendors may add their own, is written in brackets: `state["vendorSpeed"]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec

from stagetwin.ports import ValueKind
from stagetwin_bridges._errors import FieldError
from stagetwin_bridges.fields import FieldPath
from stagetwin_bridges.vda5050.messages import MESSAGES

__all__ = ["COMPUTED", "TOPICS", "Field", "field_of", "kind_problem"]

TOPICS: Final = ("state", "visualization", "connection", "factsheet")
"""What vehicles publish."""

_COUNT = frozenset({ValueKind.NUMBER, ValueKind.INTEGER, ValueKind.BOOLEAN})
_NUMBER = frozenset({ValueKind.NUMBER, ValueKind.INTEGER})
_TEXT = frozenset({ValueKind.TEXT})
_ARRAY = frozenset({ValueKind.COMPOSITE})
_PLACES = ("visualization", "state")

COMPUTED: Final[Mapping[str, tuple[tuple[str, ...], frozenset[ValueKind]]]] = {
    "pose": (_PLACES, _ARRAY),
    "position": (_PLACES, _ARRAY),
    "point": (_PLACES, _ARRAY),
    "orientation": (_PLACES, _ARRAY),
    "map": (_PLACES, _TEXT),
    "online": (("connection",), frozenset({ValueKind.BOOLEAN})),
    "errors.count": (("state",), _COUNT),
    "errors.fatal": (("state",), _COUNT),
    "errors.text": (("state",), _TEXT),
    "actions.running": (("state",), _COUNT),
    "actions.failed": (("state",), _COUNT),
    "loads.count": (("state",), _COUNT),
    "loads.mass": (("state",), _NUMBER),
    "order.remaining": (("state",), _COUNT),
    "order.base": (("state",), _COUNT),
    "zones.enabled": (("state",), _TEXT),
    "zones.requests": (("state",), _COUNT),
}
"""By name: the topics that it comes from, and what it is. A count is true where it is not 0."""

_ACTION = "action."


@dataclass(frozen=True, slots=True)
class Field:
    """A field, parsed.

    Attributes:
        topics: where it comes from.
        path: path in the message, in the words of 3.0; None where it is computed.
        computed: name in COMPUTED, or `action`.
        action: id of the action whose state it is.
        kinds: what it is.
    """

    topics: tuple[str, ...]
    path: FieldPath | None
    computed: str
    action: str
    kinds: frozenset[ValueKind]


@lru_cache(maxsize=4096)
def field_of(text: str) -> Field:
    """Return what a field stands for.

    Raises:
        FieldError: malformed, or nothing that the standard has; says what it has there.
    """
    if text in COMPUTED:
        topics, kinds = COMPUTED[text]
        return Field(topics, None, text, "", kinds)
    if text.startswith(_ACTION) and len(text) > len(_ACTION):
        return Field(("state",), None, "action", text[len(_ACTION) :], _TEXT)
    path = FieldPath.parse(text)
    topic = path.steps[0] if path.steps else ""
    if topic not in TOPICS or len(path.steps) < 2:
        raise FieldError(
            f"field {text!r}: expected TOPIC.path with TOPIC one of {', '.join(TOPICS)}, or one of "
            f"{', '.join(COMPUTED)}, action.ID"
        )
    assert isinstance(topic, str)  # one of TOPICS is
    inner = FieldPath(path.steps[1:])
    return Field((topic,), inner, "", "", _kinds(text, topic, inner))


def kind_problem(text: str, field: Field, kind: ValueKind) -> str:
    """Return why a signal of a kind cannot take a field; empty if it can."""
    if kind in field.kinds:
        return ""
    allowed = " or ".join(sorted(field.kinds))
    return f"field {text!r}: it is a {allowed}, the signal takes a {kind}"


def _kinds(text: str, topic: str, path: FieldPath) -> frozenset[ValueKind]:
    """Return what lies at a path.

    Raises:
        FieldError: the standard has nothing there, and it is not marked as a vendor's own.
    """
    here: Any = _type(topic)
    done = topic
    for step in path.steps:
        if isinstance(here, msgspec.inspect.StructType) and isinstance(step, str):
            names = {f.encode_name: f.type for f in here.fields}
            if step not in names:
                if "[" in text:
                    return frozenset(ValueKind)
                raise FieldError(
                    f"field {text!r}: {done} has no {step!r}; it has {', '.join(names)} "
                    f'(a vendor\'s own is written {done}["{step}"])'
                )
            here = _given(names[step])
        elif isinstance(here, msgspec.inspect.VarTupleType) and isinstance(step, int):
            here = _given(here.item_type)
        elif isinstance(here, (msgspec.inspect.AnyType, msgspec.inspect.DictType)):
            return frozenset(ValueKind)
        else:
            what = "an array" if isinstance(here, msgspec.inspect.VarTupleType) else "no object"
            raise FieldError(f"field {text!r}: {done} is {what}, nothing lies at {step!r}")
        done = f"{done}[{step}]" if isinstance(step, int) else f"{done}.{step}"
    return _kinds_of(here)


@lru_cache(maxsize=len(TOPICS))
def _type(topic: str) -> Any:
    return msgspec.inspect.type_info(MESSAGES[topic])


def _given(kind: Any) -> Any:
    """Return the type of an optional field where it is there."""
    if isinstance(kind, msgspec.inspect.UnionType):
        kind = next(t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType))
    return kind


def _kinds_of(kind: Any) -> frozenset[ValueKind]:
    if isinstance(kind, msgspec.inspect.BoolType):
        return frozenset({ValueKind.BOOLEAN})
    if isinstance(kind, (msgspec.inspect.IntType, msgspec.inspect.FloatType)):
        return _NUMBER
    if isinstance(kind, (msgspec.inspect.StrType, msgspec.inspect.LiteralType)):
        return _TEXT
    return frozenset(ValueKind) if isinstance(kind, msgspec.inspect.AnyType) else _ARRAY
