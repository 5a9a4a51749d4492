"""BCF 3.0 out of a review desk and into one, in somebody's name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from pxr import Usd

from stagetwin._errors import ReviewError
from stagetwin.people import Principal
from stagetwin.reviews._bcf_archive import MAX_ARCHIVE
from stagetwin.reviews._bcf_read import FoundTopic, operations_of, read_bcf
from stagetwin.reviews._bcf_space import BcfSpace
from stagetwin.reviews._bcf_write import write_bcf
from stagetwin.reviews._desk import ReviewDesk
from stagetwin.reviews._topic import Topic

__all__ = ["BcfExchange"]


class BcfExchange:
    """Writes topics for other tools, and reads theirs. Belongs to the stage's thread."""

    def __init__(self, stage: Usd.Stage, desk: ReviewDesk) -> None:
        self._desk = desk
        self._space = BcfSpace.of_stage(stage, desk.places.space)

    def export(
        self, who: Principal, ids: Collection[str] | None = None, prim: str = "/"
    ) -> tuple[bytes, int]:
        """Return an archive of the topics that somebody may see, and their number; see `chosen`."""
        write, count = self.chosen(who, ids, prim)
        return write(), count

    def chosen(
        self, who: Principal, ids: Collection[str] | None = None, prim: str = "/"
    ) -> tuple[Callable[[], bytes], int]:
        """Return what writes an archive of topics as they are now, on any thread; how many.

        Args:
            who: who asks.
            ids: only these; None for all.
            prim: only those that name something at or below it.

        Raises:
            ReviewError: one of the ids is none that they may see; on writing: there is too much.
        """
        topics = [topic for topic in self._desk.topics(who) if self._names(topic, prim)]
        if ids is not None:
            missing = set(ids) - {topic.id for topic in topics}
            if missing:
                raise ReviewError(f"there is no topic {min(missing):.40}")
            topics = [topic for topic in topics if topic.id in ids]
        views = [v for t in topics for v in (t.viewpoint, *(c.viewpoint for c in t.comments)) if v]
        planes = [section.prim for topic in topics for section in topic.sections]
        space = self._space.frozen({*planes, *(view.space for view in views)})
        pictures = {topic.id: topic.snapshot for topic in topics}
        read = self._desk.snapshots.read

        def write() -> bytes:
            data = write_bcf(topics, space, lambda identity: read(pictures[identity]))
            if len(data) > MAX_ARCHIVE:
                raise ReviewError(
                    f"the archive would have {len(data)} bytes, at most {MAX_ARCHIVE}: name fewer"
                )
            return data

        return write, len(topics)

    def _names(self, topic: Topic, prim: str) -> bool:
        """Tell whether a topic names something at or below a prim."""
        named = topic.prims(self._desk.places.resolve)
        return prim == "/" or any(f"{path}/".startswith(f"{prim}/") for path in named)

    def read(self, data: bytes) -> tuple[list[FoundTopic], list[str]]:
        """Return the topics of an archive, and what cannot be read of it; on any thread.

        Raises:
            ReviewError: it is no BCF 3 archive.
        """
        return read_bcf(data, self._space)

    def operations(self, found: FoundTopic, who: Principal) -> Iterator[dict[str, Any]]:
        """Yield the operations that bring a topic in, in somebody's name; none if all is there."""
        topic = self._desk.find(who, found.id)
        known = [comment.id for comment in topic.comments] if topic is not None else None
        yield from operations_of(found, known)
