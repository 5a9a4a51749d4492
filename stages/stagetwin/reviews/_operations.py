"""What a client may ask of the review: one operation, held to its bounds before anything else.

Ids make prim names, so they are UUIDs in one spelling. Texts never become names; they may not hold
control characters, nor what XML cannot carry.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pxr import Sdf
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from stagetwin._errors import ReviewError

__all__ = [
    "MAX_COMMENTS",
    "MAX_LINE",
    "MAX_TOPICS",
    "MAX_VALUES",
    "AnchorInput",
    "AnchorsOperation",
    "CommentOperation",
    "CreateOperation",
    "EditOperation",
    "Id",
    "JudgeOperation",
    "Line",
    "Number",
    "Operation",
    "Part",
    "PrimPath",
    "SectionInput",
    "StatusOperation",
    "Text",
    "ValuesOperation",
    "Vector",
    "ViewpointInput",
    "digest_of",
    "is_id",
    "is_prim_path",
    "parse_operation",
    "validated",
]

MAX_LINE = 200
MAX_TEXT = 8000
MAX_TOPICS = 5000
MAX_COMMENTS = 2000
MAX_VALUES = 200
MAX_ANCHORS = 64
MAX_PATH = 1000
MAX_SIZE = 4 * 2**20
"""Longest operation [bytes of JSON]; a snapshot is most of it."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEAST_NORMAL = 1e-9


def _identifier(text: str) -> str:
    if not is_id(text):
        raise ValueError("must be a UUID in small letters, such as 0198c0de-...")
    return text


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for sign in text:
        banned = unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\n\t"
        if banned or sign in "\ufffe\uffff":
            raise ValueError(f"must not hold the character U+{ord(sign):04X}")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("must be one line")
    return text


def is_id(text: str) -> bool:
    """Tell whether a text is an id: a UUID in small letters."""
    return _UUID.fullmatch(text) is not None


def is_prim_path(text: str) -> bool:
    """Tell whether a text is the absolute path of a prim."""
    # Asking first: making a path of nonsense warns on the console.
    valid = text.startswith("/") and "{" not in text and Sdf.Path.IsValidPathString(text)[0]
    return bool(valid) and Sdf.Path(text).IsPrimPath() and str(Sdf.Path(text)) == text


def _prim_path(text: str) -> str:
    if not is_prim_path(text):
        raise ValueError("must be the path of a prim, such as /World/P101")
    return text


def _space(text: str) -> str:
    return text if text == "/" else _prim_path(text)


Id = Annotated[str, AfterValidator(_identifier)]
Line = Annotated[str, Field(max_length=MAX_LINE), AfterValidator(_clean), AfterValidator(_one_line)]
Word = Annotated[str, Field(max_length=64), AfterValidator(_clean), AfterValidator(_one_line)]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_clean)]
PrimPath = Annotated[str, Field(max_length=MAX_PATH), AfterValidator(_prim_path)]
Number = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
Vector = tuple[Number, Number, Number]
Revision = Annotated[int, Field(ge=0, le=2**31 - 1)]
Signal = Annotated[str, Field(max_length=MAX_PATH, pattern=r"^/[^\s]+$"), AfterValidator(_clean)]


def _direction(vector: Vector) -> Vector:
    if sum(abs(x) for x in vector) < _LEAST_NORMAL:
        raise ValueError("must have a length")
    return vector


Direction = Annotated[Vector, AfterValidator(_direction)]


class Part(BaseModel):
    """What operations are made of: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnchorInput(Part):
    """Where a topic is pinned; point and normal in the prim's own space."""

    prim: PrimPath
    point: Vector | None = (0.0, 0.0, 0.0)
    normal: Direction | None = None
    instance: int = Field(default=-1, ge=-1, le=2**31 - 1)
    replaces: int | None = Field(default=None, ge=0, lt=MAX_ANCHORS)


class SectionInput(Part):
    """A plane that cuts, in the prim's own space, or with `/` in the stage's."""

    prim: Annotated[str, Field(max_length=MAX_PATH), AfterValidator(_space)]
    point: Vector
    normal: Direction


class ViewpointInput(Part):
    """From where to look, in the space of prim `in`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    position: Vector
    target: Vector
    up: Direction = (0.0, 0.0, 1.0)
    fov: float = Field(default=45.0, gt=0.1, lt=179)
    orthographic: float | None = Field(default=None, gt=0, le=1e12)
    space: Annotated[str, Field(max_length=MAX_PATH), AfterValidator(_space)] = Field(
        default="/", alias="in"
    )

    @model_validator(mode="after")
    def _sees(self) -> ViewpointInput:
        _direction(tuple(a - b for a, b in zip(self.target, self.position, strict=True)))  # type: ignore[arg-type]
        return self


Anchors = Annotated[tuple[AnchorInput, ...], Field(max_length=MAX_ANCHORS)]
Sections = Annotated[tuple[SectionInput, ...], Field(max_length=16)]
Signals = Annotated[tuple[Signal, ...], Field(max_length=MAX_VALUES)]
Labels = Annotated[tuple[Word, ...], Field(max_length=20)]
Priority = Literal["low", "normal", "high", "critical"]
Snapshot = Annotated[str, Field(max_length=2**21)]


class CreateOperation(Part):
    """A new topic."""

    id: Id
    kind: Literal["create"]
    topic: Id = ""
    title: Annotated[Line, Field(min_length=1)]
    description: Text = ""
    type: Word = "comment"
    priority: Priority = "normal"
    assigned: Word = ""
    labels: Labels = ()
    anchors: Anchors = ()
    viewpoint: ViewpointInput | None = None
    sections: Sections = ()
    values: Signals = ()
    snapshot: Snapshot = ""
    approval: Literal["none", "requested"] = "none"


class CommentOperation(Part):
    """A comment, or another wording of one's own."""

    id: Id
    kind: Literal["comment"]
    topic: Id
    text: Annotated[Text, Field(min_length=1)]
    replaces: Id = ""
    viewpoint: ViewpointInput | None = None


class _Swap(Part):
    id: Id
    topic: Id
    revision: Revision


class EditOperation(_Swap):
    """Other words, another view; what is not named stays."""

    kind: Literal["edit"]
    title: Annotated[Line, Field(min_length=1)] | None = None
    description: Text | None = None
    type: Word | None = None
    priority: Priority | None = None
    assigned: Word | None = None
    labels: Labels | None = None
    viewpoint: ViewpointInput | None = None
    sections: Sections | None = None
    snapshot: Snapshot | None = None
    approval: Literal["none", "requested"] | None = None


class StatusOperation(_Swap):
    """Another status."""

    kind: Literal["status"]
    status: Literal["open", "in_progress", "resolved", "closed"]


class JudgeOperation(_Swap):
    """A word of an approver."""

    kind: Literal["approve", "reject"]
    text: Text = ""


class AnchorsOperation(_Swap):
    """All anchors anew."""

    kind: Literal["anchor"]
    anchors: Anchors


class ValuesOperation(_Swap):
    """Signals to freeze now."""

    kind: Literal["values"]
    values: Annotated[Signals, Field(min_length=1)]


Operation = (
    CreateOperation
    | CommentOperation
    | EditOperation
    | StatusOperation
    | JudgeOperation
    | AnchorsOperation
    | ValuesOperation
)
_ADAPTER: TypeAdapter[Operation] = TypeAdapter(Annotated[Operation, Field(discriminator="kind")])

T = TypeVar("T")


def parse_operation(operation: Any) -> Operation:
    """Return an operation that is within its bounds.

    Raises:
        ReviewError: it is not; says which field, and what was got.
    """
    return validated(_ADAPTER, operation)


def validated(adapter: TypeAdapter[T], operation: Any) -> T:
    """Return an operation of one family, strictly as JSON knows types.

    Raises:
        ReviewError: it is malformed.
    """
    if not isinstance(operation, Mapping):
        raise ReviewError(f"operation must be an object, got {type(operation).__name__}")
    try:
        text = json.dumps(operation, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ReviewError(f"operation is no JSON: {error}") from None
    if len(text) > MAX_SIZE:
        raise ReviewError(f"operation must have at most {MAX_SIZE} bytes, got {len(text)}")
    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(at) for at in first["loc"]) or "operation"
        raise ReviewError(f"{where}: {first['msg']}, got {first['input']!r:.80}") from None


def digest_of(operation: Mapping[str, Any], author: str) -> str:
    """Return what tells two operations of one id apart."""
    text = json.dumps([author, operation], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
