"""Topic filters: what they may look like, what they match, and which cover others.

Rules of MQTT 5.0, section 4.7, and shared subscriptions, section 4.8.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["FilterTree", "covering", "filter_problem", "is_wildcard", "topic_filter"]

T = TypeVar("T")

_LARGEST = 65_535
_VALUES = object()


def topic_filter(address: str) -> str:
    """Return the filter that decides what arrives: without `$share/<group>/`."""
    if address.startswith("$share/"):
        return address.split("/", 2)[2] if address.count("/") >= 2 else ""
    return address


def is_wildcard(topic: str) -> bool:
    """Return whether a filter matches more than one topic."""
    return "+" in topic or "#" in topic


def filter_problem(address: str) -> str:
    """Return what is wrong with a topic filter, empty if nothing."""
    topic = topic_filter(address)
    if not topic:
        return f"address {address!r}: expected a topic, got none"
    try:
        size = len(address.encode())
    except UnicodeEncodeError:
        return f"address {address!r}: not encodable as UTF-8"
    if size > _LARGEST:
        return f"address {address[:40]!r}...: longer than {_LARGEST} bytes"
    if "\x00" in address:
        return f"address {address!r}: a NUL character is not allowed"
    if address.startswith("$share/") and is_wildcard(address.split("/", 2)[1]):
        return f"address {address!r}: no wildcard in the name of a shared subscription"
    levels = topic.split("/")
    for number, level in enumerate(levels):
        if "#" in level and (level != "#" or number != len(levels) - 1):
            return f"address {address!r}: '#' stands alone, as the last level"
        if "+" in level and level != "+":
            return f"address {address!r}: '+' stands alone in its level"
    return ""


class FilterTree(Generic[T]):
    """Filters with values, to find the values of all that match a topic."""

    def __init__(self) -> None:
        self._root: dict[Any, Any] = {}

    def add(self, topic: str, value: T) -> None:
        """Add a filter."""
        node = self._root
        for level in topic.split("/"):
            node = node.setdefault(level, {})
        node.setdefault(_VALUES, []).append(value)

    def match(self, topic: str) -> list[T]:
        """Return the values of the filters that match a topic.

        Given a filter instead of a topic, return those of the filters that match all it does.
        """
        # Wildcards at the front do not see topics of the broker itself, such as $SYS.
        return list(self._walk(self._root, topic.split("/"), 0, topic.startswith("$")))

    def _walk(self, node: dict[Any, Any], levels: list[str], at: int, own: bool) -> Iterator[T]:
        if "#" in node and not (own and at == 0):
            yield from node["#"].get(_VALUES, ())
        if at == len(levels):
            yield from node.get(_VALUES, ())
            return
        level = levels[at]
        if level == "#":
            return
        if level != "+" and level in node:
            yield from self._walk(node[level], levels, at + 1, own)
        if "+" in node and not (own and at == 0):
            yield from self._walk(node["+"], levels, at + 1, own)


def covering(filters: Iterable[str]) -> list[str]:
    """Return the filters that are not covered by another, sorted.

    A broker may send a message once for every subscription that matches it. Filters that overlap
    only in part stay, and so do shared subscriptions: their messages go to one member only.
    """
    asked = set(filters)
    tree: FilterTree[str] = FilterTree()
    wide = [topic for topic in asked if is_wildcard(topic) and topic == topic_filter(topic)]
    for topic in wide:
        tree.add(topic, topic)
    return sorted(
        topic
        for topic in asked
        if topic != topic_filter(topic) or not any(w != topic for w in tree.match(topic))
    )
