"""Grids that are stepped without vehicles: plans alone, for thousands of worlds."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.traffic._pibt_kernels import PibtState, PibtTable, add_waiting, plan_step

__all__ = ["commit_step", "step_grid"]

wp.set_module_options({"enable_backward": False})


@wp.func
def commit_step(table: PibtTable, agents: PibtState, world: wp.int32, count: wp.int32):
    """Let every agent of a world be where it decided to go."""
    for i in range(count):
        here = agents.at[world, i]
        if here >= 0:
            agents.now[world, here] = -1
    for i in range(count):
        cell = agents.to[world, i]
        if agents.at[world, i] >= 0:
            agents.then[world, cell] = -1
            agents.now[world, cell] = i
            agents.at[world, i] = cell
            add_waiting(table, agents, world, i, cell)


@wp.kernel
def step_grid(
    # in:
    table: PibtTable,
    goal_cells: wp.array(dtype=wp.int32),
    seeds: wp.array(dtype=wp.int32),
    rings: wp.int32,
    lifelong: wp.int32,
    # in and out:
    agents: PibtState,
    ticks: wp.array(dtype=wp.int32),
    finished: wp.array2d(dtype=wp.int32),
):
    """Step all agents of every world, and give who has come to its goal another; over (worlds,)."""
    world = wp.tid()
    count = agents.at.shape[1]
    tick = ticks[world]
    plan_step(table, agents, world, count, wp.rand_init(seeds[world], 2 * tick), rings)
    commit_step(table, agents, world, count)
    ticks[world] = tick + 1
    lot = wp.rand_init(seeds[world], 2 * tick + 1)
    for i in range(count):
        goal = agents.goal[world, i]
        if agents.at[world, i] >= 0 and goal >= 0:  # noqa: SIM102 - `and` reads both sides
            if agents.at[world, i] == goal_cells[goal]:
                finished[world, i] = finished[world, i] + 1
                if lifelong != 0:
                    other = wp.randi(lot, 0, goal_cells.shape[0])
                    agents.goal[world, i] = other
