"""The order in which nodes are eliminated, found once on the host."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Schedule", "eliminate"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the nodes of one network are eliminated.

    Attributes:
        order: the nodes as given, first eliminated first; all else counts in this order.
        columns: for each node the later nodes that it is joined to when its turn comes.
        entries: place of the conductance between two nodes, the earlier first.
        targets: for each pair of a node's entries, in order, the entry that they add to.
    """

    order: tuple[int, ...]
    columns: tuple[tuple[int, ...], ...]
    entries: dict[tuple[int, int], int]
    targets: tuple[int, ...]


def eliminate(count: int, edges: Iterable[tuple[int, int]]) -> Schedule:
    """Order the nodes of a graph by least degree (Tinney & Walker, Proc. IEEE 55, 1967, scheme 2).

    Args:
        count: of nodes.
        edges: pairs of different nodes; repeated ones count once.
    """
    near: list[set[int]] = [set() for _ in range(count)]
    for i, j in edges:
        near[i].add(j)
        near[j].add(i)
    queue = [(len(near[i]), i) for i in range(count)]
    heapq.heapify(queue)
    order: list[int] = []
    joined: list[list[int]] = []
    place = [-1] * count
    while queue:
        degree, node = heapq.heappop(queue)
        if place[node] >= 0 or degree != len(near[node]):
            continue  # of an earlier degree
        place[node] = len(order)
        order.append(node)
        left = sorted(near[node])
        joined.append(left)
        for i in left:
            near[i].discard(node)
            near[i].update(j for j in left if j != i)
        for i in left:
            heapq.heappush(queue, (len(near[i]), i))
    columns = tuple(tuple(sorted(place[i] for i in left)) for left in joined)
    entries: dict[tuple[int, int], int] = {}
    for i, column in enumerate(columns):
        for j in column:
            entries[i, j] = len(entries)
    targets = tuple(
        entries[i, j] for column in columns for at, i in enumerate(column) for j in column[at + 1 :]
    )
    return Schedule(tuple(order), columns, entries, targets)
