"""Plans of PIBT driven by vehicles, through an action dependency graph that grows as they drive.

Source: W. Hönig, S. Kiesel, A. Tinka, J. W. Durham, N. Ayanian, "Persistent and Robust Execution of
MAPF Schedules in Warehouses", IEEE Robotics and Automation Letters 4 (2019), sections III and IV:
a vehicle may enter a cell when everybody who is there before it in the plan has left it. Only the
order of the plan counts, so that who is late delays others and never meets them.

A ring of vehicles that all move at once would be a circle in that graph: PIBT plans none here.
"""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._options_kernels import draw_of
from stagetwin_sim.fleet._state_kernels import FleetState, PathTable
from stagetwin_sim.traffic._grid_kernels import commit_step
from stagetwin_sim.traffic._pibt_kernels import PibtState, PibtTable, plan_step

__all__ = ["GraphState", "drive_grid"]

wp.set_module_options({"enable_backward": False})

RING = wp.constant(wp.int32(8))
"""Moves of a vehicle that are remembered; what is done needs no memory."""

AHEAD = wp.constant(wp.int32(3))
"""Moves that a vehicle may have before it."""

THERE = wp.constant(wp.float32(0.03))
"""How near to a cell's middle one is there [m]."""

_STREAM = wp.constant(wp.int32(9))
_MESSAGES = wp.constant(wp.int32(10))


@wp.struct
class GraphState:
    """Moves from cell to cell; shape (worlds, vehicles) where nothing else is said.

    Attributes:
        planned, done: moves since the start.
        heard: those of them that control knows to be done.
        begin: the move after which its path begins.
        go: moves up to which it may drive.
        told: those of them of which it has heard.
        busy: 1 for one that must not be moved now.
        lent: 1 for one that comes from lanes and is not there yet, 2 for one that has left for
            lanes and is not clear of its cell yet; others drive it.
        reports, grants: `done` and `go` under way, -1 for a lost message, shape (worlds, vehicles,
            delays).
        cell: where each move leads, shape (worlds, vehicles x RING).
        whom, which: the vehicle, and its move, that must be done before; -1 for none; likewise.
        left_by, left_with: who leaves a cell last in the plan, and with which move; -1 for nobody,
            shape (worlds, cells).
        waits_for: the vehicle that it waits for; -1 for none.
        waiting, caused: how long vehicles stood on a cell, and for a cell, for the sake of others
            [s], shape (worlds, cells).
        passed: vehicles that left a cell, likewise.
        idle: rounds since the last step of the plan, shape (worlds,).
        lost: messages, likewise.
    """

    planned: wp.array2d(dtype=wp.int32)
    done: wp.array2d(dtype=wp.int32)
    heard: wp.array2d(dtype=wp.int32)
    begin: wp.array2d(dtype=wp.int32)
    go: wp.array2d(dtype=wp.int32)
    told: wp.array2d(dtype=wp.int32)
    busy: wp.array2d(dtype=wp.int32)
    lent: wp.array2d(dtype=wp.int32)
    reports: wp.array3d(dtype=wp.int32)
    grants: wp.array3d(dtype=wp.int32)
    cell: wp.array2d(dtype=wp.int32)
    whom: wp.array2d(dtype=wp.int32)
    which: wp.array2d(dtype=wp.int32)
    left_by: wp.array2d(dtype=wp.int32)
    left_with: wp.array2d(dtype=wp.int32)
    waits_for: wp.array2d(dtype=wp.int32)
    waiting: wp.array2d(dtype=wp.float32)
    caused: wp.array2d(dtype=wp.float32)
    passed: wp.array2d(dtype=wp.int32)
    idle: wp.array(dtype=wp.int32)
    lost: wp.array(dtype=wp.int32)


@wp.func
def _keep_path(
    graph: GraphState,
    fleet: FleetState,
    paths: PathTable,
    world: wp.int32,
    i: wp.int32,
    capacity: wp.int32,
    edge: wp.float32,
):
    """Forget what lies behind on a path that is full."""
    count = fleet.path_count[world, i]
    shift = fleet.segment[world, i]
    if count >= capacity and shift > 0:
        row = fleet.path_begin[world, i]
        for k in range(shift, count):
            paths.points[row + k - shift] = paths.points[row + k]
            paths.limits[row + k - shift] = paths.limits[row + k]
        fleet.path_count[world, i] = count - shift
        fleet.segment[world, i] = 0
        fleet.s[world, i] = wp.max(fleet.s[world, i] - wp.float32(shift) * edge, 0.0)
        graph.begin[world, i] = graph.begin[world, i] + shift


@wp.func
def _plan(
    table: PibtTable,
    agents: PibtState,
    graph: GraphState,
    fleet: FleetState,
    paths: PathTable,
    places: wp.array(dtype=wp.vec2),
    world: wp.int32,
    capacity: wp.int32,
    edge: wp.float32,
    seed: wp.uint32,
):
    """Take a step of the plan: moves, and what each of them waits for."""
    count = agents.at.shape[1]
    for i in range(count):
        late = graph.planned[world, i] - graph.heard[world, i] >= AHEAD
        full = fleet.path_count[world, i] >= capacity
        held = wp.where(late or full, 1, 0)
        if graph.busy[world, i] != 0 or graph.lent[world, i] != 0:
            held = 2
        agents.held[world, i] = held
    plan_step(table, agents, world, count, seed, 0)
    # Who leaves is known before anybody asks whom it comes after.
    for i in range(count):
        here = agents.at[world, i]
        if here >= 0:  # noqa: SIM102 - `and` reads both sides
            if agents.to[world, i] != here:
                graph.left_by[world, here] = i
                graph.left_with[world, here] = graph.planned[world, i]
    for i in range(count):
        here = agents.at[world, i]
        if here >= 0:
            cell = agents.to[world, i]
            if cell != here:
                move = graph.planned[world, i]
                slot = i * RING + move % RING
                graph.cell[world, slot] = cell
                graph.whom[world, slot] = graph.left_by[world, cell]
                graph.which[world, slot] = graph.left_with[world, cell]
                graph.planned[world, i] = move + 1
                n = fleet.path_count[world, i]
                row = fleet.path_begin[world, i]
                paths.points[row + n] = places[cell]
                paths.limits[row + n] = paths.limits[row]
                paths.along[row + n] = wp.float32(n) * edge
                fleet.path_count[world, i] = n + 1
    commit_step(table, agents, world, count)


@wp.kernel
def drive_grid(
    # in:
    table: PibtTable,
    places: wp.array(dtype=wp.vec2),
    edge: wp.float32,
    capacity: wp.int32,
    patience: wp.int32,
    period: wp.float32,
    delay: wp.int32,
    loss: wp.float32,
    seeds: wp.array(dtype=wp.int32),
    # in and out:
    ticks: wp.array(dtype=wp.int32),
    agents: PibtState,
    graph: GraphState,
    fleet: FleetState,
    paths: PathTable,
):
    """Plan for all vehicles on a grid, and say how far each may go; over (worlds,)."""
    world = wp.tid()
    count = agents.at.shape[1]
    delays = graph.reports.shape[2]
    tick = ticks[world]
    ticks[world] = tick + 1
    slot = tick % delays
    then = (tick + delays - delay) % delays
    noise = draw_of(seeds[world], tick, _MESSAGES)
    movers = wp.int32(0)
    ready = wp.int32(0)
    for i in range(count):
        if agents.at[world, i] >= 0 and graph.lent[world, i] == 0:
            looking = wp.bool(True)
            while looking:
                done = graph.done[world, i]
                looking = done < graph.planned[world, i]
                if looking:
                    far = wp.float32(done + 1 - graph.begin[world, i]) * edge
                    looking = fleet.s[world, i] >= far - THERE
                if looking:
                    graph.done[world, i] = done + 1
            _keep_path(graph, fleet, paths, world, i, capacity, edge)
            # What the vehicle says now, and what comes in of what it said before.
            said = graph.done[world, i]
            if loss > 0.0:  # noqa: SIM102 - `and` reads both sides
                if wp.randf(noise) < loss:
                    said = wp.int32(-1)
                    graph.lost[world] = graph.lost[world] + 1
            graph.reports[world, i, slot] = said
            graph.heard[world, i] = wp.max(graph.heard[world, i], graph.reports[world, i, then])
            left = graph.planned[world, i] - graph.heard[world, i]
            goal = agents.goal[world, i]
            going = left > 0
            only = agents.gate[world, agents.at[world, i]]
            if goal >= 0:
                going = going or wp.int32(table.distances[goal, agents.at[world, i]]) > 0
            going = going or (only >= 0 and only != i)
            if going and graph.busy[world, i] == 0:
                movers = movers + 1
                if left < 2:
                    ready = ready + 1
    graph.idle[world] = graph.idle[world] + 1
    if movers > 0:  # noqa: SIM102 - `and` reads both sides
        if 2 * ready >= movers or (ready > 0 and graph.idle[world] >= patience):
            lot = draw_of(seeds[world], tick, _STREAM)
            _plan(table, agents, graph, fleet, paths, places, world, capacity, edge, lot)
            graph.idle[world] = 0
    for i in range(count):
        if agents.at[world, i] >= 0 and graph.lent[world, i] == 0:
            graph.waits_for[world, i] = -1
            going = wp.bool(True)
            while going:
                go = graph.go[world, i]
                going = go < graph.planned[world, i]
                if going:
                    entry = i * RING + go % RING
                    whom = graph.whom[world, entry]
                    if whom >= 0 and whom != i:
                        going = graph.heard[world, whom] > graph.which[world, entry]
                        if not going:
                            graph.waits_for[world, i] = whom
                            if wp.abs(fleet.v[world, i]) < 0.03:
                                there = graph.cell[world, entry]
                                graph.caused[world, there] = graph.caused[world, there] + period
                if going:
                    graph.passed[world, graph.cell[world, entry]] = (
                        graph.passed[world, graph.cell[world, entry]] + 1
                    )
                    graph.go[world, i] = go + 1
            granted = graph.go[world, i]
            if loss > 0.0:  # noqa: SIM102 - `and` reads both sides
                if wp.randf(noise) < loss:
                    granted = wp.int32(-1)
                    graph.lost[world] = graph.lost[world] + 1
            graph.grants[world, i, slot] = granted
            graph.told[world, i] = wp.max(graph.told[world, i], graph.grants[world, i, then])
            if fleet.mode[world, i] == 1:
                fleet.s_max[world, i] = (
                    wp.float32(graph.told[world, i] - graph.begin[world, i]) * edge
                )
