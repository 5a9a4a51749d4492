"""What an operation makes of a topic: a pure function, the same when a log is read again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from stagetwin._errors import ReviewError
from stagetwin.reviews._operations import (
    MAX_COMMENTS,
    MAX_VALUES,
    AnchorInput,
    AnchorsOperation,
    CommentOperation,
    CreateOperation,
    EditOperation,
    JudgeOperation,
    Operation,
    SectionInput,
    StatusOperation,
    ValuesOperation,
    ViewpointInput,
    parse_operation,
)
from stagetwin.reviews._topic import Anchor, Comment, FrozenValue, Section, Topic, Viewpoint

__all__ = ["Entry", "ReviewConflictError", "apply"]

_CONTENT = {"title", "description", "viewpoint", "sections", "snapshot"}


class ReviewConflictError(ReviewError):
    """An operation was made on a revision that is no more.

    Attributes:
        present: row of the topic or proposal as it is now, to merge with.
    """

    def __init__(self, message: str, present: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.present = present if present is not None else {}


@dataclass(frozen=True, slots=True)
class Entry:
    """An operation that was accepted, with what was true when it was.

    Attributes:
        sequence: number in the log.
        operation: what was asked; a snapshot is its hash by now.
        digest: of the operation as it was asked, and who asked.
        author: who asked.
        time: when it was accepted [s, Unix].
        topic: id of the topic.
        places: `twin:id` and relative path of each anchor.
        values: what the signals were.
    """

    sequence: int
    operation: Operation
    digest: str
    author: str
    time: float
    topic: str
    places: tuple[tuple[str, str], ...] = ()
    values: tuple[FrozenValue, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return it as the log keeps it."""
        return {
            "sequence": self.sequence,
            "operation": self.operation.model_dump(mode="json", by_alias=True, exclude_unset=True),
            "digest": self.digest,
            "author": self.author,
            "time": self.time,
            "topic": self.topic,
            "places": self.places,
            "values": [
                [v.path, v.prim, v.value, v.unit, v.quality, v.source_time, v.time]
                for v in self.values
            ],
        }

    @classmethod
    def of(cls, record: dict[str, Any]) -> Entry:
        """Return the entry of a record.

        Raises:
            ReviewError, LookupError, TypeError, ValueError: that is none.
        """
        return cls(
            int(record["sequence"]),
            parse_operation(record["operation"]),
            str(record["digest"]),
            str(record["author"]),
            float(record["time"]),
            str(record["topic"]),
            tuple((str(a), str(b)) for a, b in record["places"]),
            tuple(FrozenValue(*fields) for fields in record["values"]),
        )


def apply(topic: Topic | None, entry: Entry) -> Topic:
    """Return the topic as the operation leaves it.

    Raises:
        ReviewConflictError: the operation was made on another revision.
        ReviewError: there is no such topic, or it does not allow that.
    """
    operation = entry.operation
    if isinstance(operation, CreateOperation):
        if topic is not None:
            raise ReviewError(f"topic {topic.id} is there already")
        return _created(operation, entry)
    if topic is None:
        raise ReviewError(f"there is no topic {operation.topic}")
    if isinstance(operation, CommentOperation):
        return _commented(topic, operation, entry)
    if operation.revision != topic.revision:
        raise ReviewConflictError(
            f"topic {topic.id} is at revision {topic.revision}, the {operation.kind} was made "
            f"on {operation.revision}"
        )
    if topic.status == "closed" and not isinstance(operation, StatusOperation):
        raise ReviewError(f"topic {topic.id} is closed: it takes comments and a status only")
    return replace(
        _edited(topic, operation, entry), revision=topic.revision + 1, changed=entry.time
    )


def _created(operation: CreateOperation, entry: Entry) -> Topic:
    return Topic(
        id=entry.topic,
        born=operation.id,
        title=operation.title,
        author=entry.author,
        created=entry.time,
        changed=entry.time,
        description=operation.description,
        type=operation.type,
        priority=operation.priority,
        approval=operation.approval,
        editor=entry.author,
        assigned=operation.assigned,
        labels=operation.labels,
        anchors=_anchors(operation.anchors, entry, ()),
        viewpoint=_viewpoint(operation.viewpoint),
        sections=_sections(operation.sections),
        values=entry.values,
        snapshot=operation.snapshot,
    )


def _commented(topic: Topic, operation: CommentOperation, entry: Entry) -> Topic:
    if len(topic.comments) >= MAX_COMMENTS:
        raise ReviewError(f"topic {topic.id} has {MAX_COMMENTS} comments, the most there may be")
    if operation.replaces:
        old = next((c for c in topic.comments if c.id == operation.replaces), None)
        if old is None:
            raise ReviewError(f"topic {topic.id} has no comment {operation.replaces}")
        if old.author != entry.author:
            raise ReviewError(f"comment {old.id} is {old.author}'s, who alone may replace it")
    comment = Comment(
        operation.id,
        entry.author,
        entry.time,
        operation.text,
        operation.replaces,
        _viewpoint(operation.viewpoint),
    )
    return replace(topic, comments=(*topic.comments, comment), changed=entry.time)


def _edited(topic: Topic, operation: Operation, entry: Entry) -> Topic:
    if isinstance(operation, StatusOperation):
        return replace(topic, status=operation.status)
    if isinstance(operation, JudgeOperation):
        return _judged(topic, operation, entry)
    if isinstance(operation, AnchorsOperation):
        anchors = _anchors(operation.anchors, entry, topic.anchors)
        return replace(topic, anchors=anchors, editor=entry.author, approval="none")
    if isinstance(operation, ValuesOperation):
        values = (*topic.values, *entry.values)
        if len(values) > MAX_VALUES:
            raise ReviewError(
                f"topic {topic.id} may hold {MAX_VALUES} values, it would have {len(values)}"
            )
        return replace(topic, values=values)
    assert isinstance(operation, EditOperation)  # the other kinds are above
    named = operation.model_fields_set
    changes: dict[str, Any] = {
        name: value
        for name in ("title", "description", "type", "priority", "assigned", "labels", "snapshot")
        if (value := getattr(operation, name)) is not None
    }
    if "viewpoint" in named:
        changes["viewpoint"] = _viewpoint(operation.viewpoint)
    if operation.sections is not None:
        changes["sections"] = _sections(operation.sections)
    if named & _CONTENT:
        # What was approved is not what stands there now.
        changes |= {"editor": entry.author, "approval": "none"}
    if operation.approval is not None:
        changes["approval"] = operation.approval
    return replace(topic, **changes)


def _judged(topic: Topic, operation: JudgeOperation, entry: Entry) -> Topic:
    if entry.author in (topic.author, topic.editor):
        raise ReviewError(f"topic {topic.id} is {entry.author}'s own: somebody else must judge it")
    comments = topic.comments
    if operation.text:
        if len(comments) >= MAX_COMMENTS:
            raise ReviewError(f"topic {topic.id} has {MAX_COMMENTS} comments, no more fit")
        comments = (*comments, Comment(operation.id, entry.author, entry.time, operation.text))
    word = "approved" if operation.kind == "approve" else "rejected"
    return replace(topic, approval=word, comments=comments)


def _anchors(
    inputs: tuple[AnchorInput, ...], entry: Entry, old: tuple[Anchor, ...]
) -> tuple[Anchor, ...]:
    made: list[Anchor] = []
    for given, (identity, relative) in zip(inputs, entry.places, strict=True):
        history: tuple[str, ...] = ()
        if given.replaces is not None:
            if given.replaces >= len(old):
                raise ReviewError(f"there is no anchor {given.replaces} to replace")
            before = old[given.replaces]
            history = before.history
            if before.prim != given.prim:
                history = (*history, before.prim)[-20:]
        made.append(
            Anchor(
                given.prim, given.point, given.normal, given.instance, identity, relative, history
            )
        )
    return tuple(made)


def _viewpoint(given: ViewpointInput | None) -> Viewpoint | None:
    if given is None:
        return None
    return Viewpoint(
        given.position, given.target, given.up, given.fov, given.orthographic, given.space
    )


def _sections(given: tuple[SectionInput, ...]) -> tuple[Section, ...]:
    return tuple(Section(each.prim, each.point, each.normal) for each in given)
