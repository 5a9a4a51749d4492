"""The review desk: the one writer of the review layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from pxr import Sdf, Usd

from stagetwin._errors import AccessError, ReviewError
from stagetwin.live import Owner
from stagetwin.people import Principal, Right
from stagetwin.reviews._apply import Entry, ReviewConflictError, apply
from stagetwin.reviews._operations import (
    MAX_TOPICS,
    AnchorsOperation,
    CommentOperation,
    CreateOperation,
    EditOperation,
    JudgeOperation,
    Operation,
    ValuesOperation,
    digest_of,
    parse_operation,
)
from stagetwin.reviews._places import Places
from stagetwin.reviews._prims import author_topic, author_topics, topic_path
from stagetwin.reviews._snapshots import checked_png
from stagetwin.reviews._store import SEQUENCE_KEY, ReviewStore, Seen
from stagetwin.reviews._text import LayerText
from stagetwin.reviews._topic import FrozenValue, Topic, common_ancestor

__all__ = ["Judged", "ReviewAccess", "ReviewDesk"]

Row = dict[str, Any]

MAX_CONTENT = 64 * 2**20
"""All topics together, as text of the layer [characters]."""


class ReviewAccess(Protocol):
    """The one check that every access passes."""

    def may(self, who: Principal, right: Right, path: str) -> bool:
        """Tell whether somebody may do something at a prim."""
        ...

    def require(self, who: Principal, right: Right, path: str) -> None:
        """Raise AccessError unless somebody may do something at a prim."""
        ...

    def same_person(self, one: str, other: str) -> bool:
        """Tell whether two names may be one person."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """An operation that may be taken.

    Attributes:
        entry: what becomes of it; None where it was taken before.
        topic: id of its topic.
        snapshot: picture that goes with it.
    """

    entry: Entry | None
    topic: str
    snapshot: bytes = b""


def _ignore(_prim: str, _row: Row) -> None:
    pass


def _no_values(path: str) -> FrozenValue:
    raise ReviewError(f"there is no signal {path}")


class ReviewDesk:
    """Topics of one stage: judged, made durable, authored as prims, told of.

    An operation goes through three steps, so that a slow disk holds up no tick: `judge` and `take`
    on the thread that owns the stage, `write` on any; one operation at a time. `perform` does all
    three.

    Attributes:
        faults: what of the files could not be read, and where it is now.
        places: finds anchored prims.
        snapshots: the pictures.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        layer: Sdf.Layer,
        folder: Path,
        access: ReviewAccess,
        *,
        clock: Callable[[], float] = time.time,
        freeze: Callable[[str], FrozenValue] = _no_values,
        publish: Callable[[str, Row], None] = _ignore,
    ) -> None:
        """Read what an earlier life left.

        Args:
            stage: the composed stage.
            layer: its `review` session sublayer.
            folder: of the service's state.
            access: says who may what.
            clock: returns the time [s, Unix].
            freeze: returns what a signal, `/Prim.signal`, is now; ReviewError if there is none.
            publish: is told of each change: the prim it is about, and the topic's row.

        Raises:
            ReviewError: the folder cannot be used.
        """
        self._owner = Owner()
        self._layer = layer
        self._access = access
        self._clock = clock
        self._freeze = freeze
        self._publish = publish
        self.places = Places(stage)
        self._store = store = ReviewStore(folder)
        self.snapshots = store.snapshots
        self._topics = dict(store.topics)
        self._sequence = store.sequence
        self._saved = -1 if store.faults else store.sequence
        self.faults = store.faults
        self._resolved: dict[str, Any] = {}
        self._text = LayerText(layer)
        author_topics(layer, list(self._topics.values()), self.places.space)
        for topic in self._topics.values():
            self._resolved[topic.id] = self._resolution(topic)
            self._text.changed(topic_path(topic.id))
        self._text.parts({})  # now, and not while the twin is live

    # -- what is there

    def __len__(self) -> int:
        return len(self._topics)

    @property
    def broken(self) -> str:
        """Why nothing can be written any more; or empty."""
        return self._store.broken

    def rows(
        self, who: Principal, prim: str = "/", status: str = "", limit: int = 1000
    ) -> list[Row]:
        """Return the topics that somebody may see, newest change first, at most `limit`.

        With `prim` only those that name something at or below it, with `status` only such ones.
        """
        self._owner.check()
        found: list[Row] = []
        # Many topics are pinned to the same places, and looking one up asks the stage.
        resolve = self.places.remembering()
        for topic in sorted(self._topics.values(), key=lambda t: (t.changed, t.id), reverse=True):
            if status and topic.status != status:
                continue
            prims = topic.prims(resolve)
            if prim != "/" and not any(_is_below(each, prim) for each in prims):
                continue
            if self._sees(who, prims):
                found.append(topic.row(resolve))
            if len(found) >= limit:
                break
        return found

    def row(self, who: Principal, identity: str) -> Row:
        """Return one topic.

        Raises:
            ReviewError: there is none that this one may see.
        """
        return self._seen_by(who, identity).row(self.places.resolve)

    def snapshot(self, who: Principal, identity: str) -> bytes:
        """Return the picture of a topic.

        Raises:
            ReviewError: there is none that this one may see.
        """
        return self._store.snapshots.read(self._seen_by(who, identity).snapshot)

    def topics(self, who: Principal) -> list[Topic]:
        """Return the topics that somebody may see, by id."""
        seen = [t for t in self._topics.values() if self._sees(who, t.prims(self.places.resolve))]
        return sorted(seen, key=lambda topic: topic.id)

    def find(self, who: Principal, identity: str) -> Topic | None:
        """Return a topic, None where there is none that somebody may see."""
        topic = self._topics.get(identity)
        seen = topic is not None and self._sees(who, topic.prims(self.places.resolve))
        return topic if seen else None

    def _sees(self, who: Principal, prims: tuple[str, ...]) -> bool:
        return all(self._access.may(who, Right.READ, prim) for prim in prims)

    def _seen_by(self, who: Principal, identity: str) -> Topic:
        self._owner.check()
        if (topic := self.find(who, identity)) is None:
            # Whether there is one is not for everybody to know.
            raise ReviewError(f"there is no topic {identity:.40}")
        return topic

    # -- an operation

    def perform(self, operation: Mapping[str, Any], who: Principal) -> Row:
        """Do an operation, and return `topic` and whether it is a `duplicate`.

        Raises:
            AccessError: this one may not do that there.
            ReviewConflictError: it was made on another revision; carries the present topic.
            ReviewError: it is malformed, or not possible.
        """
        judged = self.judge(operation, who)
        self.write(judged)
        return self.take(judged)

    def judge(self, operation: Mapping[str, Any], who: Principal) -> Judged:
        """Say whether an operation can be taken; changes nothing. Errors as of `perform`."""
        self._owner.check()
        if self.broken:
            raise ReviewError(self.broken)
        if not who.name:
            raise AccessError("who asks is not known")
        asked = parse_operation(operation)
        digest = digest_of(operation, who.name)
        if (taken := self._taken(asked, digest, who)) is not None:
            self._seen_by(who, taken)
            return Judged(None, taken)
        topic = None if isinstance(asked, CreateOperation) else self._seen_by(who, asked.topic)
        self._allow(asked, topic, who)
        picture = b""
        if isinstance(asked, CreateOperation | EditOperation) and asked.snapshot:
            picture = checked_png(asked.snapshot)
            asked = asked.model_copy(update={"snapshot": self._store.snapshots.name(picture)})
        entry = self._entry(asked, digest, who, topic)
        try:
            after = apply(self._topics.get(entry.topic), entry)
        except ReviewConflictError as error:
            assert topic is not None  # what does not exist has no revision
            raise ReviewConflictError(str(error), topic.row(self.places.resolve)) from None
        if not self._sees(who, after.prims(self.places.resolve)):
            raise AccessError(f"{who.name} may not read all that the topic would name")
        return Judged(entry, entry.topic, picture)

    def _taken(self, asked: Operation, digest: str, who: Principal) -> str | None:
        """Return the topic of an operation that was taken before.

        Raises:
            ReviewError: its id was another operation's.
        """
        seen = self._store.seen.get(asked.id)
        if seen is not None:
            if seen.digest != digest:
                raise ReviewError(f"operation {asked.id} was another: its content differs")
            return seen.topic
        # Long after the log has forgotten it, a comment and a topic still bear its id.
        if isinstance(asked, CreateOperation):
            topic = self._topics.get(asked.topic or asked.id)
            if topic is not None and (topic.born, topic.author) == (asked.id, who.name):
                return topic.id
        elif isinstance(asked, CommentOperation) and asked.topic in self._topics:
            for comment in self._topics[asked.topic].comments:
                if comment.id == asked.id:
                    if (comment.author, comment.text) != (who.name, asked.text):
                        raise ReviewError(f"comment {asked.id} was another: its content differs")
                    return asked.topic
        return None

    def _allow(self, asked: Operation, topic: Topic | None, who: Principal) -> None:
        if isinstance(asked, JudgeOperation):
            assert topic is not None  # it was found
            for prim in topic.anchor_prims:
                self._access.require(who, Right.APPROVE, prim)
            for author in (topic.author, topic.editor):
                if self._access.same_person(author, who.name):
                    raise ReviewError(
                        f"topic {topic.id} is {author}'s: somebody else must judge it"
                    )
            return
        prims = set(topic.anchor_prims) if topic is not None else set()
        if isinstance(asked, CreateOperation | AnchorsOperation):
            prims |= {anchor.prim for anchor in asked.anchors} or {"/"}
        for prim in sorted(prims):
            self._access.require(who, Right.REVIEW, prim)
        if isinstance(asked, CreateOperation) and len(self._topics) >= MAX_TOPICS:
            raise ReviewError(f"there are {MAX_TOPICS} topics, the most there may be")
        if self._text.size > MAX_CONTENT:
            raise ReviewError(f"the review holds {MAX_CONTENT} characters, the most it may")

    def _entry(self, asked: Operation, digest: str, who: Principal, topic: Topic | None) -> Entry:
        identity = topic.id if topic is not None else ""
        if isinstance(asked, CreateOperation):
            identity = asked.topic or asked.id
            if identity in self._topics:
                raise ReviewError(f"topic {identity} is there already, made by another operation")
        entry = Entry(self._sequence + 1, asked, digest, who.name, self._clock(), identity)
        if isinstance(asked, CreateOperation | AnchorsOperation):
            places = tuple(self.places.place(anchor.prim) for anchor in asked.anchors)
            entry = replace(entry, places=places)
        if isinstance(asked, CreateOperation | ValuesOperation):
            for path in asked.values:
                # Before the value is looked up: whether there is one is not for all to know.
                self._access.require(who, Right.READ, path.partition(".")[0])
            entry = replace(entry, values=tuple(self._freeze(path) for path in asked.values))
        return entry

    def write(self, judged: Judged) -> None:
        """Make an operation durable; on any thread, one at a time.

        Raises:
            ReviewError: it cannot be written, and is not taken.
        """
        if judged.entry is not None:
            if judged.snapshot:
                self._store.snapshots.keep(judged.snapshot)
            self._store.append(judged.entry)

    def take(self, judged: Judged) -> Row:
        """Author an operation that is durable, tell of it, and return what `perform` does."""
        self._owner.check()
        entry = judged.entry
        if entry is None:
            row = self._topics[judged.topic].row(self.places.resolve)
            return {"topic": row, "duplicate": True}
        assert entry.sequence == self._sequence + 1  # one operation at a time
        old = self._topics.get(entry.topic)
        topic = apply(old, entry)
        self._topics[topic.id] = topic
        self._sequence = entry.sequence
        self._store.note(entry.operation.id, Seen(entry.digest, topic.id))
        author_topic(self._layer, topic, old, self.places.space)
        self._text.changed(topic_path(topic.id))
        self._resolved[topic.id] = self._resolution(topic)
        return {"topic": self._tell(topic), "duplicate": False}

    def _tell(self, topic: Topic) -> Row:
        row = topic.row(self.places.resolve)
        self._publish(common_ancestor(row["prims"]), row)
        return row

    # -- the stage moves on

    def refresh(self) -> None:
        """Look for anchors again after the stage's structure changed, and tell of those moved."""
        self._owner.check()
        self.places.forget()
        for topic in self._topics.values():
            resolved = self._resolution(topic)
            if resolved != self._resolved.get(topic.id):
                self._resolved[topic.id] = resolved
                self._tell(topic)

    def _resolution(self, topic: Topic) -> list[Any]:
        return [self.places.resolve(anchor) for anchor in topic.anchors]

    # -- on disk

    @property
    def unsaved(self) -> bool:
        """Whether the layer's file is older than the layer; the log has the rest."""
        return self._saved != self._sequence

    def text(self) -> tuple[list[str], int]:
        """Return the layer as text in parts, and the newest operation in it, for `store`."""
        self._owner.check()
        return self._text.parts({SEQUENCE_KEY: str(self._sequence)}), self._sequence

    def store(self, text: list[str], sequence: int) -> None:
        """Replace the layer's file; on any thread, while no operation is written.

        Raises:
            ReviewError: it cannot be written; the log has everything.
        """
        self._store.store("".join(text), sequence)
        self._saved = sequence

    def save(self) -> None:
        """Bring the layer's file up to date, here and now. Errors as of `store`."""
        if self.unsaved:
            self.store(*self.text())

    def close(self) -> None:
        """Save, and give the folder up."""
        try:
            self.save()
        finally:
            self._store.close()


def _is_below(path: str, prim: str) -> bool:
    return path == prim or path.startswith(f"{prim}/")
