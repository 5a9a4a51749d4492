"""PIBT as its paper writes it down, plainly, to compare with.

Okumura, Machida, Défago, Tamura, Artificial Intelligence 310 (2022), algorithm 1: recursive, with
priorities that grow while an agent is not at its goal.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["ReferencePibt"]


class ReferencePibt:
    """Agents of one world; `step` moves all of them on."""

    def __init__(
        self,
        neighbours: Sequence[Sequence[int]],
        distances: Sequence[Sequence[int]],
        goal_cells: Sequence[int],
        at: Sequence[int],
        goals: Sequence[int],
        seed: int,
    ) -> None:
        self.neighbours, self.distances, self.goal_cells = neighbours, distances, goal_cells
        self.at, self.goals = list(at), list(goals)
        self.lot = random.Random(seed)
        self.noise = [self.lot.random() for _ in at]
        self.waited = [0] * len(self.at)
        self.finished = 0

    def step(self) -> None:
        count = len(self.at)
        self.next: list[int] = [-1] * count
        self.now = {cell: i for i, cell in enumerate(self.at)}
        self.then: dict[int, int] = {}
        for i in sorted(range(count), key=lambda i: -(self.waited[i] + self.noise[i])):
            if self.next[i] < 0:
                self._pibt(i)
        self.at = self.next
        for i in range(count):
            if self.at[i] == self.goal_cells[self.goals[i]]:
                self.finished += 1
                self.waited[i] = 0
                self.goals[i] = self.lot.randrange(len(self.goal_cells))
            else:
                self.waited[i] += 1

    def _pibt(self, i: int) -> bool:
        here = self.at[i]
        far = self.distances[self.goals[i]]
        candidates = [c for c in self.neighbours[here] if c >= 0] + [here]
        self.lot.shuffle(candidates)
        candidates.sort(key=lambda c: (far[c], c in self.now))
        for cell in candidates:
            if cell in self.then:
                continue
            k = self.now.get(cell, -1)
            if k >= 0 and k != i and self.next[k] == here:
                continue
            self.next[i] = cell
            self.then[cell] = i
            if k >= 0 and k != i and self.next[k] < 0 and not self._pibt(k):
                continue
            return True
        self.next[i] = here
        self.then[here] = i
        return False
