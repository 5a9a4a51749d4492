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
from stagetwin_sim.traffic._lane_state_kernels import LaneRoutes, LaneState, NetTable

__all__ = ["NEVER", "QUEUE", "reserve_lanes"]

wp.set_module_options({"enable_backward": False})

QUEUE = wp.constant(wp.int32(6))
"""Vehicles that may be queued at a cell."""

NEVER = wp.constant(wp.int32(0x3FFFFFFF))

STILL = wp.constant(wp.float32(0.03))
"""Slower than this a vehicle stands [m/s, rad/s]."""

_STREAM = wp.constant(wp.int32(8))


@wp.func
def _remove(lanes: LaneState, world: wp.int32, i: wp.int32, cell: wp.int32):
    """Take the oldest entry of a vehicle off the queue of a cell."""
    best = wp.int32(-1)
    for k in range(QUEUE):
        slot = cell * QUEUE + k
        if lanes.queue[world, slot] == i:
            if best < 0:  # noqa: SIM114 - `and` reads both sides
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
    if command == 4:
        lanes.driven[world, i] = 1
        return
    takes = command != 2
    held = lanes.rest[world, i]
    fresh = lanes.ordered[world, i]
    keep = wp.int32(-1)
    if takes and held >= 0:  # noqa: SIM102 - `and` reads both sides
        if routes.cell[routes.begin[fresh]] == held:
            keep = wp.int32(held)
    _drop(lanes, routes, world, i, keep)
    lanes.asked[world, i] = NEVER
    lanes.waits_for[world, i] = -1
    lanes.reported[world, i] = 0.0
    for d in range(delays):
        lanes.reports[world, i, d] = -1.0
        lanes.grants[world, i, d] = -1.0
    lanes.route[world, i] = wp.where(takes, fresh, -1)
    lanes.driven[world, i] = wp.where(command == 1, 1, 0)
    lanes.gate[world, i] = 0
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
            if j >= 0 and j != i:  # noqa: SIM102 - `and` reads both sides
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
            # What the vehicle says now, and what comes in of what it said before; its progress is
            # that on another path while it does not drive this one.
            told = wp.where(lanes.driven[world, i] != 0, fleet.s[world, i], -1.0)
            if loss > 0.0:  # noqa: SIM102 - `and` reads both sides
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
                    told = lanes.reported[world, i]
                    leaving = routes.leave[first + low] + 0.02 < told
                    # At its goal it needs no more than the place where it can turn.
                    if lanes.high[world, i] == routes.count[route]:
                        leaving = leaving or told > routes.length[route] - 0.03
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
            last = routes.count[route] - 1
            gate = routes.gate[route]
            if gate <= last and lanes.gate[world, i] == 0:  # noqa: SIM102 - `and` reads both sides
                if lanes.high[world, i] > last:  # noqa: SIM102 - `and` reads both sides
                    if not _before(net, lanes, world, i, routes.cell[first + last]):
                        lanes.gate[world, i] = 1
            going = wp.bool(True)
            while going:
                go = lanes.go[world, i]
                going = go < lanes.high[world, i]
                if going and go >= gate:
                    going = lanes.gate[world, i] == 2
                if going:
                    going = not _before(net, lanes, world, i, routes.cell[first + go])
                if going:
                    lanes.go[world, i] = go + 1
            go = lanes.go[world, i]
            shut = go == gate and go < lanes.high[world, i] and lanes.gate[world, i] == 1
            if shut:
                lanes.waits_for[world, i] = -1
                lanes.waits_at[world, i] = routes.cell[first + last]
            if go == lanes.high[world, i] and lanes.asked[world, i] == NEVER:
                lanes.waits_for[world, i] = -1
            waits = shut or lanes.waits_for[world, i] >= 0
            if waits and fleet.mode[world, i] == 1:  # noqa: SIM102 - `and` reads both sides
                if wp.abs(fleet.v[world, i]) < STILL and wp.abs(fleet.omega[world, i]) < STILL:
                    here = routes.cell[first + wp.max(go - 1, 0)]
                    # What a queue waits for is what its first waits for.
                    there = lanes.waits_at[world, i]
                    ahead = lanes.waits_for[world, i]
                    for _hop in range(16):
                        if ahead >= 0:
                            further = lanes.waits_for[world, ahead]
                            if further >= 0:
                                there = lanes.waits_at[world, ahead]
                            ahead = further
                    lanes.waiting[world, here] = lanes.waiting[world, here] + period
                    lanes.caused[world, there] = lanes.caused[world, there] + period
            clear = wp.float32(-1.0)
            if go == routes.count[route]:
                clear = routes.length[route]
            elif go > 0:
                clear = wp.max(routes.enter[first + go], 0.0)
            if loss > 0.0:  # noqa: SIM102 - `and` reads both sides
                if wp.randf(lot) < loss:
                    clear = wp.float32(-1.0)
                    lanes.lost[world] = lanes.lost[world] + 1
            lanes.grants[world, i, slot] = clear
            if fleet.mode[world, i] == 1 and lanes.driven[world, i] != 0:
                fleet.s_max[world, i] = wp.max(fleet.s_max[world, i], lanes.grants[world, i, then])
