"""BCF 3.0 out of a review desk and into one, in somebody's name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pxr import Usd

from stagetwin._errors import ReviewError
from stagetwin.people import Principal
from stagetwin.reviews._bcf_archive import MAX_ARCHIVE
from stagetwin.reviews._bcf_read import FoundTopic, operations_of, read_bcf
from stagetwin.reviews._bcf_space import BcfSpace
from stagetwin.reviews._bcf_write import write_bcf
from stagetwin.reviews._desk import ReviewDesk

__all__ = ["BcfExchange"]


class BcfExchange:
    """Writes topics for other tools, and reads theirs. Belongs to the stage's thread."""

    def __init__(self, stage: Usd.Stage, desk: ReviewDesk) -> None:
        self._desk = desk
        self._space = BcfSpace(stage, desk.places.space)

    def export(
        self, who: Principal, ids: Collection[str] | None = None, prim: str = "/"
    ) -> tuple[bytes, int]:
        """Return an archive of the topics that somebody may see, and how many they are.

        Args:
            who: who asks.
            ids: only these; None for all.
            prim: only those that name something at or below it.

        Raises:
            ReviewError: one of the ids is none that they may see, or there is too much.
        """
        below = {row["id"] for row in self._desk.rows(who, prim)}
        topics = [topic for topic in self._desk.topics(who) if topic.id in below]
        if ids is not None:
            missing = set(ids) - {topic.id for topic in topics}
            if missing:
                raise ReviewError(f"there is no topic {min(missing):.40}")
            topics = [topic for topic in topics if topic.id in ids]
        data = write_bcf(topics, self._space, lambda identity: self._desk.snapshot(who, identity))
        if len(data) > MAX_ARCHIVE:
            raise ReviewError(
                f"the archive would have {len(data)} bytes, at most {MAX_ARCHIVE}: name fewer"
            )
        return data, len(topics)

    def read(self, data: bytes) -> tuple[list[FoundTopic], list[str]]:
        """Return the topics of an archive, and what cannot be read of it; on any thread.

        Raises:
            ReviewError: it is no BCF 3 archive.
        """
        return read_bcf(data, self._space)

    def operations(self, found: FoundTopic, who: Principal) -> Iterator[dict[str, Any]]:
        """Yield the operations that bring a topic in, in somebody's name; none if all is there."""
        known: list[str] | None = None
        for topic in self._desk.topics(who):
            if topic.id == found.id:
                known = [comment.id for comment in topic.comments]
        yield from operations_of(found, known)
