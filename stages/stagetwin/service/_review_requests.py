"""What a client may ask about reviews. Who asks comes from the connection, never from a field."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from stagetwin._errors import AccessError, ReviewError
from stagetwin.people import Access, Principal, Right
from stagetwin.reviews import (
    BcfExchange,
    Freezer,
    Plant,
    ProposalDesk,
    ReviewConflictError,
    ReviewDesk,
)
from stagetwin.service._control import asking
from stagetwin.service._driven import Driven
from stagetwin.service._events import Events
from stagetwin.twin import Twin

__all__ = ["ReviewRequests"]

_log = logging.getLogger(__name__)

Reply = dict[str, Any]

MAX_LISTED = 5000
MAX_PROBLEMS = 100
SAVE_AFTER = 3.0
"""Time from a change to the new file [s]; until then the log alone has it."""


class ReviewRequests:
    """Answers requests about reviews, on the service's event loop; the disk has threads.

    Attributes:
        desk: topics; None while there are none.
        proposals: proposals; likewise.
        once: requests with one answer, by operation.
        streams: those that wait for the disk, by operation.
        fault: why there are no reviews; or empty.
    """

    def __init__(
        self,
        twin: Twin,
        access: Access,
        events: Events,
        folder: Path,
        site_layer: Path | None = None,
    ) -> None:
        self.fault = "reviews have not begun yet"
        self._twin, self._access, self._events, self._folder = twin, access, events, folder
        self._site_layer = site_layer
        self._lock = asyncio.Lock()
        self._archiving = False
        self._works: set[asyncio.Task[Any]] = set()
        self._unsaved_since: float | None = None
        self.desk: ReviewDesk | None = None
        self.proposals: ProposalDesk | None = None
        self.once: dict[str, Callable[[Reply], Reply]] = {
            "topics": self._topics,
            "topic": self._topic,
            "topic_snapshot": self._snapshot,
            "proposals": self._listed,
        }
        self.streams: dict[str, Callable[[Reply], AsyncIterator[Reply]]] = {
            "review": self._review,
            "proposal": self._proposal,
            "bcf_export": self._bcf_export,
            "bcf_import": self._bcf_import,
        }

    def start(self) -> None:
        """Take up what a service before this one left.

        Raises:
            ReviewError: the site layer that was named is none of the stage's: going on without
                would leave people with a service that is not what its owner asked for.
        """
        twin, events = self._twin, self._events
        try:
            self.desk = ReviewDesk(
                twin.stage,
                twin.layers.review,
                self._folder,
                self._access,
                clock=twin.clock.wall,
                freeze=Freezer(twin),
                publish=lambda prim, row: events.publish("topic", prim, topic=row),
            )
            twin.on_rebind.append(self.desk.refresh)
            driven = Driven(twin)
            self.proposals = ProposalDesk(
                Plant(twin.stage, self._site_layer, driven, driven.asset_of),
                self._folder,
                self._access,
                clock=twin.clock.wall,
                publish=lambda prim, row: events.publish("proposal", prim, proposal=row),
            )
            self.proposals.on_site.append(twin.look_at_files)
            self.fault = ""
        except ReviewError as error:
            if self._site_layer is not None and self.desk is not None:
                raise
            # A plant that nobody can write about is still watched and commanded.
            self.fault = f"nothing can be reviewed: {error}"
            _log.error("%s", self.fault)

    def status(self) -> Reply:
        """Return how reviews are doing."""
        faults = [self.fault] if self.fault else []
        if self.desk is not None:
            faults += [*self.desk.faults, *filter(None, [self.desk.broken])]
        if self.proposals is not None:
            faults += self.proposals.faults
        return {"faults": faults}

    # -- topics

    @property
    def _open_desk(self) -> ReviewDesk:
        if self.desk is None:
            raise ReviewError(self.fault)
        return self.desk

    def _topics(self, request: Reply) -> Reply:
        limit = request.get("limit", 1000)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MAX_LISTED:
            raise ReviewError(f"limit must be a number in [1, {MAX_LISTED}], got {limit!r:.80}")
        prim, status = _text(request, "prim", "/"), _text(request, "status", "")
        return {"topics": self._open_desk.rows(asking(), prim, status, limit)}

    def _topic(self, request: Reply) -> Reply:
        return {"topic": self._open_desk.row(asking(), _text(request, "id"))}

    def _snapshot(self, request: Reply) -> Reply:
        png = self._open_desk.snapshot(asking(), _text(request, "id"))
        return {"png": base64.b64encode(png).decode()}

    async def _review(self, request: Reply) -> AsyncIterator[Reply]:
        who, operation = asking(), request.get("operation")
        try:
            yield await self._work(lambda: self._perform(operation, who))
        except ReviewConflictError as error:
            yield {"conflict": str(error), "topic": error.present}

    async def _perform(self, operation: Any, who: Principal) -> Reply:
        desk = self._open_desk
        judged = desk.judge(operation, who)
        await asyncio.to_thread(desk.write, judged)
        return desk.take(judged)

    # -- BCF

    @contextlib.contextmanager
    def _one_archive(self) -> Iterator[None]:
        """Keep other archives out meanwhile: nothing that is asked for costs more."""
        if self._archiving:
            raise ReviewError("another archive is being read or written; try again")
        self._archiving = True
        try:
            yield
        finally:
            self._archiving = False

    async def _bcf_export(self, request: Reply) -> AsyncIterator[Reply]:
        ids = request.get("ids")
        if ids is not None and not (isinstance(ids, list) and all(isinstance(i, str) for i in ids)):
            raise ReviewError("ids must be a list of ids of topics")
        exchange = BcfExchange(self._twin.stage, self._open_desk)
        with self._one_archive():
            write, count = exchange.chosen(asking(), ids, _text(request, "prim", "/"))
            data = await asyncio.to_thread(lambda: base64.b64encode(write()).decode())
            yield {"bcf": data, "topics": count}

    async def _bcf_import(self, request: Reply) -> AsyncIterator[Reply]:
        who, text = asking(), request.get("bcf")
        if not any(Right.REVIEW in row["rights"] for row in self._access.rights(who)):
            raise AccessError(f"{who.name or 'who asks'} may not review anything here")
        with self._one_archive():
            yield await self._import(who, text)

    async def _import(self, who: Principal, text: Any) -> Reply:
        try:
            data = base64.b64decode(text if isinstance(text, str) else "", validate=True)
        except ValueError:
            raise ReviewError("bcf must be the base64 of an archive") from None
        exchange = BcfExchange(self._twin.stage, self._open_desk)
        topics, problems = await asyncio.to_thread(exchange.read, data)
        created = commented = unchanged = 0
        for found in topics:
            operations = list(exchange.operations(found, who))
            unchanged += not operations
            for operation in operations:
                try:
                    await self._work(functools.partial(self._perform, operation, who))
                except (ReviewError, AccessError) as error:
                    problems.append(f"{found.id}: {error}")
                    if operation["kind"] == "create":
                        break
                else:
                    created += operation["kind"] == "create"
                    commented += operation["kind"] == "comment"
        return {
            "created": created,
            "commented": commented,
            "unchanged": unchanged,
            "problems": problems[:MAX_PROBLEMS],
        }

    # -- proposals

    @property
    def _open_proposals(self) -> ProposalDesk:
        if self.proposals is None:
            raise ReviewError(self.fault)
        return self.proposals

    def _listed(self, request: Reply) -> Reply:
        prim, status = _text(request, "prim", "/"), _text(request, "status", "")
        return {"proposals": self._open_proposals.rows(asking(), prim, status)}

    async def _proposal(self, request: Reply) -> AsyncIterator[Reply]:
        who, operation = asking(), request.get("operation")
        if operation is None:
            yield {"proposal": self._open_proposals.show(who, _text(request, "id"))}
            return
        try:
            yield await self._work(lambda: self._propose(operation, who))
        except ReviewConflictError as error:
            yield {"conflict": str(error), "proposal": error.present}

    async def _propose(self, operation: Any, who: Principal) -> Reply:
        desk = self._open_proposals
        ready = desk.judge(operation, who)
        await asyncio.to_thread(desk.write, ready)
        return desk.take(ready)

    async def _work(self, work: Callable[[], Any]) -> Any:
        """Do one thing at a time, to its end, also if whoever asked for it leaves meanwhile."""

        async def alone() -> Any:
            async with self._lock:
                return await work()

        task = asyncio.ensure_future(alone())
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return await asyncio.shield(task)

    # -- files

    def housekeeping(self) -> None:
        """Write the layer's file a while after a change; call about once a second."""
        desk = self.desk
        if desk is None or not desk.unsaved:
            self._unsaved_since = None
            return
        now = time.monotonic()
        if self._unsaved_since is None:
            self._unsaved_since = now
        elif now - self._unsaved_since >= SAVE_AFTER and not self._works:
            self._unsaved_since = None
            task = asyncio.ensure_future(self._save(desk))
            self._works.add(task)
            task.add_done_callback(self._works.discard)

    async def _save(self, desk: ReviewDesk) -> None:
        async with self._lock:
            try:
                await asyncio.to_thread(desk.store, *desk.text())
            except ReviewError as error:
                _log.error("%s", error)

    async def close(self) -> None:
        """Finish what was begun, and write the files."""
        if self._works:
            await asyncio.wait(self._works)
        if self.desk is not None:
            try:
                self.desk.close()
            except ReviewError as error:
                _log.error("%s", error)
            self._twin.on_rebind.remove(self.desk.refresh)
        self.desk = self.proposals = None
        self.fault = "the service is ending"


def _text(request: Reply, key: str, default: str | None = None) -> str:
    value = request.get(key, default)
    if not isinstance(value, str) or len(value) > 1000 or (default is None and not value):
        raise ReviewError(f"{key} must be a text, got {value!r:.80}")
    return value
