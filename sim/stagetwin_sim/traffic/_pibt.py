"""PIBT on a grid, in many worlds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import TrafficError
from stagetwin_sim.traffic._grid import GridMap
from stagetwin_sim.traffic._grid_kernels import step_grid
from stagetwin_sim.traffic._pibt_kernels import PibtState, PibtTable

__all__ = ["Pibt", "make_agents", "make_table"]

Ints = npt.NDArray[np.int32]


def make_table(grid: GridMap, goals: Sequence[int], device: str) -> Any:
    """Return a grid and the way to each of its goals as kernels take them."""
    table = PibtTable()
    table.neighbours = wp.array(grid.neighbours, dtype=wp.int32, device=device)
    table.distances = wp.array(grid.distances(goals), dtype=wp.uint16, device=device)
    return table


def make_agents(grid: GridMap, at: Ints, seeds: Ints, device: str) -> Any:
    """Return agents of all worlds that are on cells `at`, shape (worlds, agents), -1 for none."""
    worlds, count = at.shape
    now = np.full((worlds, grid.count), -1, np.int32)
    for world in range(worlds):
        here = at[world][at[world] >= 0]
        if len(np.unique(here)) != len(here):
            raise TrafficError(f"world {world}: two agents begin on one cell")
        now[world, here] = np.flatnonzero(at[world] >= 0)
    noise = np.stack([np.random.default_rng(int(s)).random(count) for s in seeds])
    order = np.argsort(-noise, axis=1, kind="stable")

    def made(values: Any, dtype: Any = wp.int32) -> Any:
        return wp.array(values, dtype=dtype, device=device)

    agents = PibtState()
    agents.at = made(at)
    agents.to = made(np.full((worlds, count), -1, np.int32))
    agents.goal = made(np.full((worlds, count), -1, np.int32))
    agents.held = made(np.zeros((worlds, count), np.int32))
    agents.waited = made(np.zeros((worlds, count), np.int32))
    agents.noise = made(0.999 * noise, wp.float32)
    agents.order = made(order)
    agents.now = made(now)
    agents.then = made(np.full((worlds, grid.count), -1, np.int32))
    agents.gate = made(np.full((worlds, grid.count), -1, np.int32))
    agents.stack = made(np.zeros((worlds, count), np.int32))
    agents.choices = made(np.zeros((worlds, count), np.int32))
    return agents


class Pibt:
    """Agents that step on a grid, lifelong or to a goal each; one thread steps a world.

    Args:
        grid: where they are.
        goals: cells that may be goals.
        at: cell of each agent, shape (worlds, agents).
        goal: number of each one's goal among `goals`, likewise.
        seed: of the lots; worlds have their own.
        lifelong: whether who has come to its goal gets another by lot.
        rings: whether agents may go round in a ring of which every cell is taken, as PIBT does;
            vehicles cannot do that one after the other.
        device: Warp's name of it.

    Raises:
        TrafficError: two agents begin on one cell, or a cell is not free.
    """

    def __init__(
        self,
        grid: GridMap,
        goals: Sequence[int],
        at: npt.ArrayLike,
        goal: npt.ArrayLike,
        *,
        seed: int = 0,
        lifelong: bool = True,
        rings: bool = True,
        device: str = "cpu",
    ) -> None:
        places = np.atleast_2d(np.asarray(at, np.int32))
        if (places < 0).any() or not grid.free.reshape(-1)[places].all():
            raise TrafficError("every agent begins on a free cell")
        worlds = places.shape[0]
        seeds = (np.arange(worlds) + 7919 * seed).astype(np.int32)
        self.agents = make_agents(grid, places, seeds, device)
        self.agents.goal = wp.array(
            np.broadcast_to(np.asarray(goal, np.int32), places.shape).copy(),
            dtype=wp.int32,
            device=device,
        )
        self.finished: wp.array[Any] = wp.zeros(places.shape, dtype=wp.int32, device=device)
        self._ticks: wp.array[Any] = wp.zeros(worlds, dtype=wp.int32, device=device)
        self._inputs = [
            make_table(grid, goals, device),
            wp.array(np.asarray(goals, np.int32), dtype=wp.int32, device=device),
            wp.array(seeds, dtype=wp.int32, device=device),
            int(rings),
            int(lifelong),
        ]
        self._worlds, self._device = worlds, device

    def step(self, count: int = 1) -> None:
        """Step all agents of all worlds."""
        for _ in range(count):
            wp.launch(
                step_grid,
                dim=self._worlds,
                inputs=self._inputs,
                outputs=[self.agents, self._ticks, self.finished],
                device=self._device,
            )

    def at(self) -> Ints:
        """Return the cell of each agent, shape (worlds, agents)."""
        cells: Ints = self.agents.at.numpy().copy()
        return cells
