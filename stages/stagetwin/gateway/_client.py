"""One client on the WebSocket: what it is told, when, and that nothing queues for it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from stagetwin._errors import SyncError
from stagetwin.gateway._door import Visitor
from stagetwin.gateway._store import Store, Told
from stagetwin.people import Principal
from stagetwin.sync._selection import Selection

__all__ = ["Client", "Counts", "Socket", "Subscription"]

MAX_RATE = 60.0
MAX_PRIMS = 256
MAX_PATH = 1024
MAX_OUTBOX = 4096
"""Things that a client may not have been told of yet beside those that stand, whose texts the store
holds anyway; past it, it is too slow to be served."""

ALIVE = 1.0
"""Time after which a client is told that what it has is still so [s]."""

_POSES = ("channels", "moves", "none")


class Socket(Protocol):
    """The sending side of a connection."""

    async def drained(self) -> None:
        """Wait until what was sent has left for the most part."""
        ...

    async def send(self, message: str | bytes) -> None:
        """Send a message."""
        ...


@dataclass(slots=True)
class Counts:
    """What all clients were sent since the start."""

    frames: int = 0
    messages: int = 0
    bytes: int = 0
    slow: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a client wants.

    Attributes:
        prims: paths; what is at or below one of them.
        rate: frames a second at most [Hz].
        values: whether it wants channels.
        poses: `channels`, `moves` or `none`.
        expected: whether it wants what models expect.
    """

    prims: tuple[str, ...] = ("/",)
    rate: float = 30.0
    values: bool = True
    poses: str = "channels"
    expected: bool = False

    @classmethod
    def of(cls, message: dict[str, Any]) -> Subscription:
        """Return the subscription of a message.

        Raises:
            SyncError: a field is wrong.
        """
        prims = message.get("prims", ["/"])
        if not isinstance(prims, list) or len(prims) > MAX_PRIMS:
            raise SyncError(f"prims must be a list of at most {MAX_PRIMS} paths")
        for prim in prims:
            if not isinstance(prim, str) or not prim.startswith("/") or len(prim) > MAX_PATH:
                raise SyncError(f"prims must be paths from the root, got {prim!r:.80}")
        rate = message.get("rate", 30.0)
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= MAX_RATE:
            raise SyncError(f"rate must be in (0, {MAX_RATE:g}] Hz, got {rate!r:.80}")
        values, poses = message.get("values", True), message.get("poses", "channels")
        if not isinstance(values, bool):
            raise SyncError(f"values must be true or false, got {values!r:.80}")
        if poses not in _POSES:
            raise SyncError(f"poses must be one of {', '.join(_POSES)}, got {poses!r:.80}")
        expected = message.get("expected", False)
        if not isinstance(expected, bool):
            raise SyncError(f"expected must be true or false, got {expected!r:.80}")
        return cls(tuple(prims), float(rate), values, poses, expected)


class Client:
    """What one client is sent. Messages are states of things: a newer one takes the older's place.

    Attributes:
        visitor: who it is.
        session: id of this connection.
        roots: prims below which it may read.
        program: name of the program.
        wake: set when there may be something to send.
        due: when the next frame may go [s, loop's clock].
        wanted: what it subscribed, None before it did.
    """

    def __init__(
        self,
        visitor: Visitor,
        session: str,
        roots: tuple[str, ...],
        store: Store,
        socket: Socket,
        counts: Counts,
    ) -> None:
        self.visitor = visitor
        self.session = session
        self.roots = roots
        self.program = ""
        self.wake = asyncio.Event()
        self.due = 0.0
        self.wanted: Subscription | None = None
        self._store, self._socket, self._counts = store, socket, counts
        self._outbox: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._resume: tuple[int, int] | None = None
        self._selection: Selection | None = None
        self._version = -1
        self._since = 0
        self._said = 0.0

    @property
    def who(self) -> Principal:
        """Who it is."""
        return self.visitor.who

    # -- what it is to be told

    def put(self, op: str, key: str, text: str) -> None:
        """Have a message sent; it takes the place of one of the same op and key.

        Raises:
            SyncError: the client is too slow to be served.
        """
        self._outbox.pop((op, key), None)
        if len(self._outbox) >= MAX_OUTBOX + self._store.standing:
            raise SyncError("too slow: more is to be told than can be kept")
        self._outbox[op, key] = text
        self.wake.set()

    def tell(self, told: Told, before: Told | None = None) -> None:
        """Have something told that the service told, as far as the client may see it."""
        if told.to and told.to != self.session:
            return
        if told.visible(self.roots):
            self.put(told.op, told.key, told.text)
        elif before is not None and before.visible(self.roots):
            self.put(told.op, told.key, told.gone)

    def subscribe(self, wanted: Subscription, resume: tuple[int, int] | None = None) -> None:
        """Replace the subscription.

        Args:
            wanted: what it wants from now on.
            resume: table and tick of what it has, None for nothing.
        """
        self.wanted = wanted
        self._resume = resume
        self._selection = None
        self.due = 0.0
        self.wake.set()

    @property
    def behind(self) -> bool:
        """Whether there may be news for it on the board."""
        if self.wanted is None:
            return False
        return self._since < self._store.board.tick or self._version != self._store.version

    @property
    def quiet(self) -> float:
        """Return how long ago anything was sent of the board [s]."""
        return time.monotonic() - self._said

    # -- sending

    async def serve(self) -> None:
        """Send what there is, newest state each time, until cancelled or the client leaves."""
        loop = asyncio.get_running_loop()
        while True:
            self.wake.clear()
            await self._socket.drained()
            if self._outbox:
                _, text = self._outbox.popitem(last=False)
                await self._send(text)
            elif self.wanted is None:
                await self.wake.wait()
            elif self._selection is None or self._version != self._store.version:
                await self._send_table(self.wanted)
            elif self.behind and loop.time() >= self.due:
                await self._send_frame(self._selection, loop.time(), self.wanted.rate)
            elif self.quiet >= ALIVE and self._store.alive:
                board = self._store.board
                self._said = time.monotonic()
                await self._send(f'{{"op":"alive","tick":{board.tick},"time":{board.time:.6f}}}')
            else:
                await self.wake.wait()

    async def _send(self, message: str | bytes) -> None:
        self._counts.messages += 1
        self._counts.bytes += len(message)
        await self._socket.send(message)

    async def _send_table(self, wanted: Subscription) -> None:
        """Say what frames name from now on; what the client has of it may stay."""
        board = self._store.board
        self._version = self._store.version
        before = self._selection
        selection = self._selection = board.select(
            wanted.prims,
            within=self.roots,
            values=wanted.values,
            moves=wanted.poses == "moves",
            poses=wanted.poses == "channels",
            expected=wanted.expected,
        )
        resumed = False
        if self._resume is not None:
            table, tick = self._resume
            resumed = table == selection.number and 0 < tick <= board.tick
            self._since = tick if resumed else 0
        elif before is not None and before.number == selection.number:
            return  # another table, and the same to this client
        else:
            self._since = 0
        self._resume = None
        self.due = 0.0
        await self._send(board.message(selection, resumed=resumed))

    async def _send_frame(self, selection: Selection, now: float, rate: float) -> None:
        board = self._store.board
        data = board.encoded(selection, self._since)
        self._since = board.tick
        # On a common beat, so that clients of one rate are sent the same bytes.
        self.due = (int(now * rate) + 1) / rate
        if data:
            self._said = time.monotonic()
            self._counts.frames += 1
            await self._send(data)


def message(op: str, **fields: Any) -> str:
    """Return a message as text."""
    return msgspec.json.encode({"op": op, **fields}).decode()


def paths(found: Iterable[Any]) -> list[str]:
    """Return those of some things that are paths, at most a hundred."""
    listed = [p for p in found if isinstance(p, str) and p.startswith("/") and len(p) <= MAX_PATH]
    return listed[:100]
