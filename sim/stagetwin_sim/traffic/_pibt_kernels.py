"""Who goes where among the cells of a grid, one step of all agents of a world at a time.

Source: K. Okumura, M. Machida, X. Défago, Y. Tamura, "Priority inheritance with backtracking for
iterative multi-agent path finding", Artificial Intelligence 310 (2022), algorithm 1. Its recursion
is a stack here; what it calls undefined is -1.
"""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["PibtState", "PibtTable", "add_waiting", "plan_step", "sort_agents"]

wp.set_module_options({"enable_backward": False})

FAR = wp.constant(wp.float32(1.0e6))
"""Distance of a cell from which there is no way."""

_Costs = wp.types.vector(5, wp.float32)
_Picks = wp.types.vector(5, wp.int32)


@wp.struct
class PibtTable:
    """The grid.

    Attributes:
        neighbours: of each cell, -1 for none, shape (cells, 4).
        distances: steps to each goal, shape (goals, cells); 65535 is no way.
    """

    neighbours: wp.array2d(dtype=wp.int32)
    distances: wp.array2d(dtype=wp.uint16)


@wp.struct
class PibtState:
    """Agents of all worlds; shape (worlds, agents) where nothing else is said.

    Attributes:
        at: cell in the plan; -1 for an agent that is not on the grid.
        to: cell after the step; -1 while undecided.
        goal: row of the distances; -1 where it goes nowhere.
        held: 1 for one that must stay and cannot be pushed, 2 where that may last.
        waited: steps since it was last at its goal.
        noise: what tells agents apart that waited as long, in [0, 1).
        order: agents by priority, the highest first.
        now, then: who is, and will be, on a cell, -1 for nobody, shape (worlds, cells).
        gate: the only agent that may come onto a cell, -1 where all may, likewise; another that is
            there leaves as soon as it can.
        stack: of inheritances.
        choices: cells that an agent may still try: three bits a candidate, the best lowest, 7 ends.
    """

    at: wp.array2d(dtype=wp.int32)
    to: wp.array2d(dtype=wp.int32)
    goal: wp.array2d(dtype=wp.int32)
    held: wp.array2d(dtype=wp.int32)
    waited: wp.array2d(dtype=wp.int32)
    noise: wp.array2d(dtype=wp.float32)
    order: wp.array2d(dtype=wp.int32)
    now: wp.array2d(dtype=wp.int32)
    then: wp.array2d(dtype=wp.int32)
    gate: wp.array2d(dtype=wp.int32)
    stack: wp.array2d(dtype=wp.int32)
    choices: wp.array2d(dtype=wp.int32)


@wp.func
def _distance(table: PibtTable, goal: wp.int32, cell: wp.int32) -> wp.float32:
    if goal < 0:
        return 0.0
    return wp.float32(wp.int32(table.distances[goal, cell]))


@wp.func
def _cell_of(table: PibtTable, here: wp.int32, choice: wp.int32) -> wp.int32:
    if choice == 4:
        return here
    return table.neighbours[here, choice]


@wp.func
def _ranked(
    table: PibtTable, agents: PibtState, world: wp.int32, i: wp.int32, seed: wp.uint32
) -> wp.int32:
    """Return an agent's candidates in the order in which it tries them, packed."""
    here = agents.at[world, i]
    goal = agents.goal[world, i]
    costs = _Costs(FAR, FAR, FAR, FAR, FAR)
    picks = _Picks(7, 7, 7, 7, 7)
    count = wp.int32(0)
    ahead = _distance(table, goal, here)
    barred = wp.float32(0.0)
    for k in range(5):
        cell = _cell_of(table, here, k)
        only = wp.int32(-1)
        if cell >= 0:
            only = agents.gate[world, cell]
            if k < 4 and only >= 0 and only != i:
                cell = wp.int32(-1)
        if cell >= 0:
            far = _distance(table, goal, cell)
            if far < 65535.0:
                # Nearest first; of those as near, a free one first; then by lot.
                cost = 4.0 * far + wp.randf(seed)
                if k < 4:
                    other = agents.now[world, cell]
                    if other >= 0:
                        cost = cost + 2.0
                        if far < ahead and agents.held[world, other] == 2:
                            barred = wp.float32(5.0)
                elif only >= 0 and only != i:
                    cost = wp.float32(0.5) * FAR  # it is to make room: anywhere else first
                elif goal >= 0:
                    # Who is in the way for long is gone round: aside first, then to stay.
                    cost = cost + 1.0 + barred
                else:
                    cost = wp.float32(-1.0)  # who goes nowhere stays if it may
                j = wp.int32(count)
                while j > 0:
                    if costs[j - 1] > cost:
                        costs[j] = costs[j - 1]
                        picks[j] = picks[j - 1]
                        j = j - 1
                    else:
                        costs[j] = cost
                        picks[j] = k
                        j = wp.int32(-1)
                if j == 0:
                    costs[0] = cost
                    picks[0] = k
                count = count + 1
    packed = wp.int32(0)
    for k in range(5):
        packed = packed + (picks[k] << (3 * k))
    return packed + (7 << 15)


@wp.func
def _closes_ring(agents: PibtState, world: wp.int32, i: wp.int32, cell: wp.int32) -> wp.bool:
    """Return whether those ahead of `i` on its way to a cell go round to where it is."""
    here = agents.at[world, i]
    follow = wp.int32(cell)
    while follow >= 0:
        k = agents.now[world, follow]
        if k < 0:
            follow = wp.int32(-1)
        else:
            ahead = agents.to[world, k]
            if ahead == here:
                return True
            if ahead == follow:
                ahead = wp.int32(-1)
            follow = ahead
    return False


@wp.func
def decide(
    table: PibtTable,
    agents: PibtState,
    world: wp.int32,
    first: wp.int32,
    seed: wp.uint32,
    rings: wp.int32,
):
    """Let an agent choose its next cell, with everybody who must give way to it."""
    depth = wp.int32(1)
    agents.stack[world, 0] = first
    agents.choices[world, first] = _ranked(table, agents, world, first, seed)
    while depth > 0:
        i = agents.stack[world, depth - 1]
        here = agents.at[world, i]
        left = agents.choices[world, i]
        choice = left & 7
        if choice == 7:
            # Nothing is left for it: it stays, and whoever pushed it tries something else.
            agents.to[world, i] = here
            agents.then[world, here] = i
            depth = depth - 1
            if depth > 0:
                parent = agents.stack[world, depth - 1]
                agents.to[world, parent] = -1
        else:
            agents.choices[world, i] = left >> 3
            cell = _cell_of(table, here, choice)
            free = agents.then[world, cell] < 0
            k = agents.now[world, cell]
            if free and k >= 0 and k != i:
                if agents.to[world, k] == here:
                    free = False  # they would change places
                elif rings == 0:
                    free = not _closes_ring(agents, world, i, cell)
            if free:
                agents.to[world, i] = cell
                agents.then[world, cell] = i
                pushes = wp.bool(False)
                if k >= 0 and k != i:
                    pushes = agents.to[world, k] < 0
                if pushes:
                    agents.stack[world, depth] = k
                    agents.choices[world, k] = _ranked(
                        table, agents, world, k, seed + wp.uint32(depth)
                    )
                    depth = depth + 1
                else:
                    # It may go, and so may all who pushed.
                    depth = wp.int32(0)


@wp.func
def sort_agents(agents: PibtState, world: wp.int32, count: wp.int32):
    """Sort agents by priority; they are nearly so from the step before."""
    for n in range(1, count):
        i = agents.order[world, n]
        mine = wp.float32(agents.waited[world, i]) + agents.noise[world, i]
        j = wp.int32(n)
        while j > 0:
            other = agents.order[world, j - 1]
            if wp.float32(agents.waited[world, other]) + agents.noise[world, other] < mine:
                agents.order[world, j] = other
                j = j - 1
            else:
                agents.order[world, j] = i
                j = wp.int32(-1)
        if j == 0:
            agents.order[world, 0] = i


@wp.func
def plan_step(
    table: PibtTable,
    agents: PibtState,
    world: wp.int32,
    count: wp.int32,
    seed: wp.uint32,
    rings: wp.int32,
):
    """Decide the next cell of every agent of a world; `now` and `then` stay as they are.

    Args:
        table: the grid.
        agents: `at`, `goal`, `held` and `now` are read; `then` is -1 everywhere.
        world: whose.
        count: of agents.
        seed: of the lots.
        rings: whether agents may go round in a ring of which every cell is taken.
    """
    sort_agents(agents, world, count)
    for i in range(count):
        here = agents.at[world, i]
        agents.to[world, i] = -1
        if here >= 0:  # noqa: SIM102 - `and` reads both sides
            if agents.held[world, i] != 0:
                agents.to[world, i] = here
                agents.then[world, here] = i
    for n in range(count):
        i = agents.order[world, n]
        if agents.at[world, i] >= 0:  # noqa: SIM102 - `and` reads both sides
            if agents.to[world, i] < 0:
                decide(table, agents, world, i, wp.rand_init(wp.int32(seed), n), rings)


@wp.func
def add_waiting(table: PibtTable, agents: PibtState, world: wp.int32, i: wp.int32, cell: wp.int32):
    """Count a step for the priority of an agent that is now on a cell."""
    if _distance(table, agents.goal[world, i], cell) == 0.0:
        agents.waited[world, i] = 0
    else:
        agents.waited[world, i] = agents.waited[world, i] + 1
