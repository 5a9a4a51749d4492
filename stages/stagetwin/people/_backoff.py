"""Back-off after failed logins: twice as long after each, and never more memory."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

__all__ = ["Backoff", "Doorkeeper"]

FORGET_AFTER = 900.0
"""Time without a failure after which earlier ones count no more [s]."""

MAX_KEPT = 10_000
"""Accounts, or addresses, that are remembered."""

SLOTS = 4096
"""Counters that all unknown names share: guessing names takes no memory."""

TRUSTED = 8
"""Addresses of an account's last logins that are counted by themselves."""


class Backoff:
    """Counts failures by key, and says how long to wait."""

    def __init__(self, free: int, longest: float, clock: Callable[[], float]) -> None:
        """Begin.

        Args:
            free: failures without a wait.
            longest: longest wait [s].
            clock: returns a steady time [s].
        """
        self._free, self._longest, self._clock = free, longest, clock
        self._kept: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def wait(self, key: Hashable) -> float:
        """Return how long nobody may try there [s]; 0 if somebody may."""
        count, last = self._kept.get(key, (0, 0.0))
        if count < self._free:
            return 0.0
        pause = min(2.0 ** min(count - self._free, 32), self._longest)
        return max(last + pause - self._clock(), 0.0)

    def failed(self, key: Hashable) -> None:
        """Take note of a failure."""
        now = self._clock()
        count, last = self._kept.pop(key, (0, now))
        self._kept[key] = (1 if now - last > FORGET_AFTER else count + 1, now)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def succeeded(self, key: Hashable) -> None:
        """Forget failures."""
        self._kept.pop(key, None)


class Doorkeeper:
    """Who must wait before the next login, by account and by address; any thread may ask.

    Names that are no accounts are counted like accounts, so that nobody learns which are. Whoever
    logged in from an address before is counted there alone: strangers cannot keep them out.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._lock = threading.Lock()
        self._accounts = Backoff(free=5, longest=30.0, clock=clock)
        self._addresses = Backoff(free=20, longest=300.0, clock=clock)
        self._trusted: dict[str, deque[str]] = {}
        self._key = secrets.token_bytes(16)

    def wait(self, name: str, known: bool, address: str) -> float:
        """Return how long a login has to wait [s]; 0 if it may be tried."""
        place = _place(address)
        with self._lock:
            key = self._account(name, known, place)
            # Behind a proxy, or one router, everybody has the address that a stranger fails from.
            own = isinstance(key, tuple)
            by_place = self._addresses.wait(place) if place and not own else 0.0
            return max(self._accounts.wait(key), by_place)

    def failed(self, name: str, known: bool, address: str) -> None:
        """Take note of a login that failed."""
        place = _place(address)
        with self._lock:
            self._accounts.failed(self._account(name, known, place))
            if place:
                self._addresses.failed(place)

    def succeeded(self, name: str, address: str) -> None:
        """Take note of a login; the address keeps its failures, which may be of other names."""
        place = _place(address)
        with self._lock:
            self._accounts.succeeded(self._account(name, True, place))
            trusted = self._trusted.setdefault(name, deque(maxlen=TRUSTED))
            if place and place not in trusted:
                trusted.append(place)

    def _account(self, name: str, known: bool, place: str) -> Hashable:
        if not known:
            digest = hashlib.blake2b(name.encode("utf-8", "replace"), key=self._key).digest()
            return int.from_bytes(digest[:4], "little") % SLOTS
        return (name, place) if place and place in self._trusted.get(name, ()) else name


def _place(address: str) -> str:
    """Return what one holder of addresses has in common: an IPv6 address's network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
