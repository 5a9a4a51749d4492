"""All clients: woken when there is news, told who else is here, sent away when rights change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from stagetwin._errors import SyncError
from stagetwin.gateway._client import Client, Counts, message, paths
from stagetwin.gateway._door import Door
from stagetwin.gateway._store import Store, Told, may_see, overlap

__all__ = ["Clients"]

COLOURS = (
    *("#3b82f6", "#ef4444", "#10b981", "#f59e0b", "#8b5cf6", "#ec4899"),
    *("#14b8a6", "#f97316", "#6366f1", "#84cc16", "#06b6d4", "#d946ef"),
)

PRESENCE_EVERY = 0.1
"""Time between two messages of who is here at least [s]."""

MAX_DRAFTS = 64
MAX_DRAFT_SIZE = 4096

_VECTORS = ("position", "target", "up")


class Clients:
    """Everybody who is connected.

    Attributes:
        counts: what was sent.
        moves: whether anybody wants the transforms of what moves.
        expected: whether anybody wants what models expect.
    """

    def __init__(self, store: Store, door: Door, want: Callable[[bool, bool], None]) -> None:
        """Begin.

        Args:
            store: what the service told.
            door: says who still is who they were.
            want: told whether moves, and expected values, come to be wanted, or no more.
        """
        self._store, self._door, self._want = store, door, want
        self._clients: dict[str, Client] = {}
        self._leave: dict[str, Callable[[str], None]] = {}
        self._people: dict[str, dict[str, Any]] = {}
        self._drafts: dict[str, dict[str, Any]] = {}
        self._colour = 0
        self._news = asyncio.Event()
        self._presence = asyncio.Event()
        self.counts = Counts()
        self.moves = self.expected = False
        store.on_state.append(self._news.set)
        store.on_told.append(self._tell)

    def __len__(self) -> int:
        return len(self._clients)

    def places_left(self, most: int, loopback: bool) -> int:
        """Return how many more may come; a tenth of the places is kept for loopback."""
        kept = 0 if loopback else max(1, most // 10)
        return most - kept - len(self._clients)

    # -- coming and going

    def join(self, client: Client, leave: Callable[[str], None]) -> None:
        """Take a client that has said hello, and tell it what is open.

        Args:
            client: who.
            leave: ends its connection, and says why.
        """
        self._clients[client.session] = client
        self._leave[client.session] = leave
        self._people[client.session] = {
            "session": client.session,
            "user": client.who.name,
            "program": client.program,
            "colour": COLOURS[self._colour % len(COLOURS)],
            "camera": None,
            "selection": [],
            "cursor": None,
        }
        self._colour += 1
        for told in [each for known in self._store.told.values() for each in known.values()]:
            client.tell(told)
        for session, drafts in self._drafts.items():
            other = self._clients[session]
            for target, value in drafts.items():
                self._tell_draft(client, other, target, value)
        self._presence.set()

    def part(self, client: Client) -> None:
        """Forget a client."""
        if self._clients.pop(client.session, None) is None:
            return
        self._leave.pop(client.session)
        self._people.pop(client.session)
        for target in self._drafts.pop(client.session, {}):
            self._relay_draft(client, target, None)
        self._presence.set()
        self.look_at_wishes()

    def look_at_wishes(self) -> None:
        """See whether anybody wants moves, and what models expect."""
        wanted = [c.wanted for c in self._clients.values() if c.wanted is not None]
        wishes = any(w.poses == "moves" for w in wanted), any(w.expected for w in wanted)
        if wishes != (self.moves, self.expected):
            self.moves, self.expected = wishes
            self._want(*wishes)

    def send_away(self, why: str) -> None:
        """Tell everybody that this ends, and why."""
        for session in list(self._clients):
            self._bid(session, why)

    def _bid(self, session: str, why: str) -> None:
        leave = self._leave.get(session)
        if leave is not None:
            leave(why)

    # -- what the service told

    def _tell(self, told: Told, before: Told | None) -> None:
        for client in list(self._clients.values()):
            try:
                client.tell(told, before)
            except SyncError as error:
                self._bid(client.session, str(error))

    # -- what clients tell each other

    def presence(self, client: Client, said: dict[str, Any]) -> None:
        """Take where somebody looks and what they select.

        Raises:
            SyncError: a field is wrong.
        """
        person = self._people[client.session]
        if "camera" in said:
            person["camera"] = _camera(said["camera"])
        if "selection" in said:
            selection = said["selection"]
            if not isinstance(selection, list):
                raise SyncError("selection must be a list of paths")
            person["selection"] = [p for p in paths(selection) if may_see(client.roots, _prim(p))]
        if "cursor" in said:
            person["cursor"] = _numbers("cursor", said["cursor"], 3) if said["cursor"] else None
        self._presence.set()

    def draft(self, client: Client, said: dict[str, Any]) -> None:
        """Take what somebody considers, and tell those who may see it.

        Raises:
            SyncError: a field is wrong, or there are too many.
        """
        target, value = said.get("target"), said.get("value")
        if not isinstance(target, str) or not paths([target]):
            raise SyncError(f"target must be the path of a command, got {target!r:.80}")
        if not may_see(client.roots, _prim(target)):
            raise SyncError(f"there is no {target:.200} here")
        if len(json.dumps(value)) > MAX_DRAFT_SIZE:
            raise SyncError(f"the value of a draft has at most {MAX_DRAFT_SIZE} characters")
        drafts = self._drafts.setdefault(client.session, {})
        if value is None:
            drafts.pop(target, None)
        elif len(drafts) >= MAX_DRAFTS and target not in drafts:
            raise SyncError(f"one client has at most {MAX_DRAFTS} drafts")
        else:
            drafts[target] = value
        self._relay_draft(client, target, value)

    def _relay_draft(self, author: Client, target: str, value: Any) -> None:
        for client in list(self._clients.values()):
            if client is not author:
                try:
                    self._tell_draft(client, author, target, value)
                except SyncError as error:
                    self._bid(client.session, str(error))

    @staticmethod
    def _tell_draft(client: Client, author: Client, target: str, value: Any) -> None:
        if may_see(client.roots, _prim(target)):
            text = message(
                "draft", session=author.session, user=author.who.name, target=target, value=value
            )
            client.put("draft", f"{author.session} {target}", text)

    # -- tasks

    async def beat(self) -> None:
        """Wake those for whom there is news, each at its rate, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            self._news.clear()
            while waiting := self._waiting():
                now = loop.time()
                later = [c.due for c in waiting if c.due > now]
                for client in waiting:
                    if client.due <= now:
                        client.wake.set()
                if not later:
                    break
                await asyncio.sleep(max(min(later) - now, 0.0005))

    def _waiting(self) -> list[Client]:
        return [c for c in self._clients.values() if c.behind and not c.wake.is_set()]

    async def tell_presence(self) -> None:
        """Tell everybody who is here when that changes, until cancelled."""
        while True:
            await self._presence.wait()
            self._presence.clear()
            made: dict[tuple[str, ...], str] = {}
            for client in list(self._clients.values()):
                if client.roots not in made:
                    made[client.roots] = message("presence", people=self._people_for(client))
                try:
                    client.put("presence", "", made[client.roots])
                except SyncError as error:
                    self._bid(client.session, str(error))
            await asyncio.sleep(PRESENCE_EVERY)

    def _people_for(self, client: Client) -> list[dict[str, Any]]:
        """Return who is here, of those who see something that a client sees."""
        people = []
        for session, person in self._people.items():
            other = self._clients[session]
            if overlap(client.roots, other.roots):
                seen = [p for p in person["selection"] if may_see(client.roots, _prim(p))]
                people.append({**person, "selection": seen})
        return people

    async def look_after(self) -> None:
        """Say that all is still so, and send away who may no more, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            for client in list(self._clients.values()):
                if not self._door.stands(client.visitor) or self._roots_changed(client):
                    self._bid(client.session, "rights changed")
                else:
                    client.wake.set()

    def _roots_changed(self, client: Client) -> bool:
        return self._door.access.readable(client.who) != client.roots


def _camera(camera: Any) -> dict[str, list[float]] | None:
    if camera is None:
        return None
    if not isinstance(camera, dict):
        raise SyncError("camera must have position, target and up")
    return {name: _numbers(name, camera.get(name), 3) for name in _VECTORS}


def _numbers(name: str, given: Any, size: int) -> list[float]:
    if not isinstance(given, list) or len(given) != size:
        raise SyncError(f"{name} must be {size} numbers, got {given!r:.80}")
    for number in given:
        finite = isinstance(number, (int, float)) and abs(number) < 1e12
        if isinstance(number, bool) or not finite:
            raise SyncError(f"{name} must be {size} finite numbers, got {given!r:.80}")
    return [float(number) for number in given]


def _prim(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]
