"""Reservation of cells: who may drive how far, one thread a world.

A vehicle asks for cells in batches, each up to where it may rest. A batch is appended to the queues
of all its cells at once, so that everybody waits for those before it and for nobody else; and it is
appended only if no vehicle rests on a cell that it meets. So those under way cannot wait for each
other in a circle: what is left are circles of vehicles at rest, which are looked for elsewhere. It
is the order of an action dependency graph (W. Hönig, S. Kiesel, A. Tinka, J. W. Durham, N. Ayanian,
"Persistent and Robust Execution of MAPF Schedules in Warehouses", IEEE RA-L 4 (2019)), made while
the vehicles drive.
"""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._options_kernels import draw_of
from stagetwin_sim.fleet._state_kernels import FleetState

__all__ = ["LaneRoutes", "LaneState", "NetTable", "reserve_lanes"]

wp.set_module_options({"enable_backward": False})

QUEUE = wp.constant(wp.int32(6))
"""Vehicles that may be queued at a cell."""

NEVER = wp.constant(wp.int32(0x3FFFFFFF))

STILL = wp.constant(wp.float32(0.03))
"""Slower than this a vehicle stands [m/s, rad/s]."""

_STREAM = wp.constant(wp.int32(8))


@wp.struct
class NetTable:
    """Cells and which of them meet: those of cell c are meets[begin[c]:begin[c + 1]]."""

    begin: wp.array(dtype=wp.int32)
    meets: wp.array(dtype=wp.int32)


@wp.struct
class LaneRoutes:
    """Routes one after another.

    Attributes:
        begin, count: steps of each route.
        length: of each [m].
        cell: of each step.
        enter, leave: between which distances the centre is in it [m].
        rest: whether a batch may end with it.
    """

    begin: wp.array(dtype=wp.int32)
    count: wp.array(dtype=wp.int32)
    length: wp.array(dtype=wp.float32)
    cell: wp.array(dtype=wp.int32)
    enter: wp.array(dtype=wp.float32)
    leave: wp.array(dtype=wp.float32)
    rest: wp.array(dtype=wp.int32)


@wp.struct
class LaneState:
    """What vehicles hold; shape (worlds, vehicles) where nothing else is said.

    Attributes:
        route: number; -1 where it drives none.
        command: 1 takes `ordered` as its route, 2 gives everything back; 0 once it is done.
        ordered: number of a route.
        low, high: steps of the route that it holds, from and up to.
        go: up to which of these it may drive.
        rest: cell on which it will rest; -1 for none.
        asked: tick since which it waits for a batch.
        waits_for: the vehicle that it waits for; -1 for none.
        waits_at: the cell that it waits for.
        resting: 1 where that vehicle rests there, 0 where it is to go first.
        reported: progress as control knows it [m].
        order: vehicles by how long they have waited.
        reports, grants: messages under way, -1 for a lost one, shape (worlds, vehicles, delays).
        queue, stamps: who is queued at a cell, -1 for a free slot, and when it came,
            shape (worlds, cells x QUEUE).
        rests: who rests on a cell, -1 for nobody, shape (worlds, cells).
        stamp: the latest, shape (worlds,).
        waiting, caused: how long vehicles have stood on a cell, and for a cell, for the sake of
            others [s], shape (worlds, cells).
        passed: vehicles that have left a cell behind, likewise.
        lost: messages, shape (worlds,).
        full: batches refused because a queue was full, shape (worlds,).
    """

    route: wp.array2d(dtype=wp.int32)
    command: wp.array2d(dtype=wp.int32)
    ordered: wp.array2d(dtype=wp.int32)
    low: wp.array2d(dtype=wp.int32)
    high: wp.array2d(dtype=wp.int32)
    go: wp.array2d(dtype=wp.int32)
    rest: wp.array2d(dtype=wp.int32)
    asked: wp.array2d(dtype=wp.int32)
    waits_for: wp.array2d(dtype=wp.int32)
    waits_at: wp.array2d(dtype=wp.int32)
    resting: wp.array2d(dtype=wp.int32)
    reported: wp.array2d(dtype=wp.float32)
    order: wp.array2d(dtype=wp.int32)
    reports: wp.array3d(dtype=wp.float32)
    grants: wp.array3d(dtype=wp.float32)
    queue: wp.array2d(dtype=wp.int32)
    stamps: wp.array2d(dtype=wp.int32)
    rests: wp.array2d(dtype=wp.int32)
    waiting: wp.array2d(dtype=wp.float32)
    caused: wp.array2d(dtype=wp.float32)
    passed: wp.array2d(dtype=wp.int32)
    stamp: wp.array(dtype=wp.int32)
    lost: wp.array(dtype=wp.int32)
    full: wp.array(dtype=wp.int32)


@wp.func
def _remove(lanes: LaneState, world: wp.int32, i: wp.int32, cell: wp.int32):
    """Take the oldest entry of a vehicle off the queue of a cell."""
    best = wp.int32(-1)
    for k in range(QUEUE):
        slot = cell * QUEUE + k
        if lanes.queue[world, slot] == i:
            if best < 0:
                best = wp.int32(slot)
            elif lanes.stamps[world, slot] < lanes.stamps[world, best]:
                best = wp.int32(slot)
    if best >= 0:
        lanes.queue[world, best] = -1


@wp.func
def _append(lanes: LaneState, world: wp.int32, i: wp.int32, cell: wp.int32, stamp: wp.int32):
    slot = wp.int32(-1)
    for k in range(QUEUE):
        if lanes.queue[world, cell * QUEUE + k] < 0:
            slot = wp.int32(cell * QUEUE + k)
    lanes.queue[world, slot] = i
    lanes.stamps[world, slot] = stamp


@wp.func
def _drop(lanes: LaneState, routes: LaneRoutes, world: wp.int32, i: wp.int32, but: wp.int32):
    """Give back all that a vehicle holds, but for a cell."""
    route = lanes.route[world, i]
    if route >= 0:
        first = routes.begin[route]
        for k in range(lanes.low[world, i], lanes.high[world, i]):
            cell = routes.cell[first + k]
            if cell == but:
                but = wp.int32(-1)
            else:
                _remove(lanes, world, i, cell)
    rest = lanes.rest[world, i]
    if rest >= 0:
        lanes.rests[world, rest] = -1
        lanes.rest[world, i] = -1


@wp.func
def _obey(lanes: LaneState, routes: LaneRoutes, world: wp.int32, i: wp.int32, delays: wp.int32):
    """Take a new route, or give back what is held."""
    command = lanes.command[world, i]
    if command == 0:
        return
    lanes.command[world, i] = 0
    held = lanes.rest[world, i]
    fresh = lanes.ordered[world, i]
    keep = wp.int32(-1)
    if command == 1 and held >= 0:
        if routes.cell[routes.begin[fresh]] == held:
            keep = wp.int32(held)
    _drop(lanes, routes, world, i, keep)
    lanes.asked[world, i] = NEVER
    lanes.waits_for[world, i] = -1
    lanes.reported[world, i] = 0.0
    for d in range(delays):
        lanes.reports[world, i, d] = -1.0
        lanes.grants[world, i, d] = -1.0
    lanes.route[world, i] = wp.where(command == 1, fresh, -1)
    lanes.low[world, i] = 0
    lanes.high[world, i] = 0
    lanes.go[world, i] = 0
    if keep >= 0:
        lanes.high[world, i] = 1
        lanes.go[world, i] = 1
        lanes.rest[world, i] = keep
        lanes.rests[world, keep] = i


@wp.func
def _refused(
    net: NetTable,
    lanes: LaneState,
    routes: LaneRoutes,
    world: wp.int32,
    i: wp.int32,
    first: wp.int32,
    end: wp.int32,
) -> wp.bool:
    """Return whether a batch may not be appended; who is in its way is noted."""
    for n in range(first, end):
        cell = routes.cell[n]
        room = wp.bool(False)
        for k in range(QUEUE):
            room = room or lanes.queue[world, cell * QUEUE + k] < 0
        if not room:
            lanes.full[world] = lanes.full[world] + 1
            lanes.waits_for[world, i] = lanes.queue[world, cell * QUEUE]
            lanes.waits_at[world, i] = cell
            lanes.resting[world, i] = 0
            return True
        for m in range(net.begin[cell], net.begin[cell + 1]):
            other = lanes.rests[world, net.meets[m]]
            if other >= 0 and other != i:
                lanes.waits_for[world, i] = other
                lanes.waits_at[world, i] = net.meets[m]
                lanes.resting[world, i] = 1
                return True
    return False


@wp.func
def _ask(
    net: NetTable,
    lanes: LaneState,
    routes: LaneRoutes,
    world: wp.int32,
    i: wp.int32,
    need: wp.float32,
    tick: wp.int32,
):
    """Ask for batches until a vehicle can go `need` [m] further."""
    route = lanes.route[world, i]
    first = routes.begin[route]
    count = routes.count[route]
    asking = wp.bool(True)
    while asking:
        high = lanes.high[world, i]
        asking = high < count
        if asking:
            asking = routes.enter[first + high] - lanes.reported[world, i] < need
        if asking:
            end = wp.int32(high)
            while end < count - 1 and routes.rest[first + end] == 0:
                end = end + 1
            if _refused(net, lanes, routes, world, i, first + high, first + end + 1):
                lanes.asked[world, i] = wp.min(lanes.asked[world, i], tick)
                asking = False
            else:
                stamp = lanes.stamp[world] + 1
                lanes.stamp[world] = stamp
                for n in range(high, end + 1):
                    _append(lanes, world, i, routes.cell[first + n], stamp)
                before = lanes.rest[world, i]
                if before >= 0:
                    lanes.rests[world, before] = -1
                last = routes.cell[first + end]
                lanes.rest[world, i] = last
                lanes.rests[world, last] = i
                lanes.high[world, i] = end + 1
                lanes.asked[world, i] = NEVER
                lanes.waits_for[world, i] = -1


@wp.func
def _before(
    net: NetTable, lanes: LaneState, world: wp.int32, i: wp.int32, cell: wp.int32
) -> wp.bool:
    """Return whether somebody is to leave what meets a cell before a vehicle enters it."""
    own = wp.int32(NEVER)
    for k in range(QUEUE):
        slot = cell * QUEUE + k
        if lanes.queue[world, slot] == i:
            own = wp.min(own, lanes.stamps[world, slot])
    for m in range(net.begin[cell], net.begin[cell + 1]):
        other = net.meets[m]
        for k in range(QUEUE):
            j = lanes.queue[world, other * QUEUE + k]
            if j >= 0 and j != i:
                if lanes.stamps[world, other * QUEUE + k] < own:
                    lanes.waits_for[world, i] = j
                    lanes.waits_at[world, i] = other
                    lanes.resting[world, i] = 0
                    return True
    return False


@wp.kernel
def reserve_lanes(
    # in:
    net: NetTable,
    routes: LaneRoutes,
    need: wp.float32,
    period: wp.float32,
    delay: wp.int32,
    loss: wp.float32,
    seeds: wp.array(dtype=wp.int32),
    # in and out:
    ticks: wp.array(dtype=wp.int32),
    lanes: LaneState,
    fleet: FleetState,
):
    """Say to every vehicle on lanes how far it may go; over (worlds,)."""
    world = wp.tid()
    count = lanes.route.shape[1]
    delays = lanes.reports.shape[2]
    tick = ticks[world]
    ticks[world] = tick + 1
    slot = tick % delays
    then = (tick + delays - delay) % delays
    lot = draw_of(seeds[world], tick, _STREAM)
    for i in range(count):
        _obey(lanes, routes, world, i, delays)
        if lanes.route[world, i] >= 0:
            # What the vehicle says now, and what comes in of what it said before.
            told = fleet.s[world, i]
            if loss > 0.0:
                if wp.randf(lot) < loss:
                    told = wp.float32(-1.0)
                    lanes.lost[world] = lanes.lost[world] + 1
            lanes.reports[world, i, slot] = told
            lanes.reported[world, i] = wp.max(
                lanes.reported[world, i], lanes.reports[world, i, then]
            )
    # Who has waited longest asks first.
    for n in range(1, count):
        i = lanes.order[world, n]
        j = wp.int32(n)
        while j > 0:
            other = lanes.order[world, j - 1]
            mine = lanes.asked[world, i]
            theirs = lanes.asked[world, other]
            if theirs > mine or (theirs == mine and other > i):
                lanes.order[world, j] = other
                j = j - 1
            else:
                lanes.order[world, j] = i
                j = wp.int32(-1)
        if j == 0:
            lanes.order[world, 0] = i
    for n in range(count):
        i = lanes.order[world, n]
        route = lanes.route[world, i]
        if route >= 0:
            first = routes.begin[route]
            # What it has left behind is the next one's; where it will rest is not.
            leaving = wp.bool(True)
            while leaving:
                low = lanes.low[world, i]
                leaving = low < lanes.go[world, i] and low < lanes.high[world, i] - 1
                if leaving:
                    leaving = routes.leave[first + low] + 0.02 < lanes.reported[world, i]
                if leaving:
                    left = routes.cell[first + low]
                    _remove(lanes, world, i, left)
                    lanes.passed[world, left] = lanes.passed[world, left] + 1
                    lanes.low[world, i] = low + 1
            _ask(net, lanes, routes, world, i, need, tick)
    for i in range(count):
        route = lanes.route[world, i]
        if route >= 0:
            first = routes.begin[route]
            going = wp.bool(True)
            while going:
                go = lanes.go[world, i]
                going = go < lanes.high[world, i]
                if going:
                    going = not _before(net, lanes, world, i, routes.cell[first + go])
                if going:
                    lanes.go[world, i] = go + 1
            go = lanes.go[world, i]
            if go == lanes.high[world, i] and lanes.asked[world, i] == NEVER:
                lanes.waits_for[world, i] = -1
            if lanes.waits_for[world, i] >= 0 and fleet.mode[world, i] == 1:
                if wp.abs(fleet.v[world, i]) < STILL and wp.abs(fleet.omega[world, i]) < STILL:
                    here = routes.cell[first + wp.max(go - 1, 0)]
                    there = lanes.waits_at[world, i]
                    lanes.waiting[world, here] = lanes.waiting[world, here] + period
                    lanes.caused[world, there] = lanes.caused[world, there] + period
            clear = wp.float32(-1.0)
            if go == routes.count[route]:
                clear = routes.length[route]
            elif go > 0:
                clear = wp.max(routes.enter[first + go], 0.0)
            if loss > 0.0:
                if wp.randf(lot) < loss:
                    clear = wp.float32(-1.0)
                    lanes.lost[world] = lanes.lost[world] + 1
            lanes.grants[world, i, slot] = clear
            if fleet.mode[world, i] == 1:
                fleet.s_max[world, i] = wp.max(
                    fleet.s_max[world, i], lanes.grants[world, i, then]
                )
