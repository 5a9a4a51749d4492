"""Deadlocks on lanes: circles of vehicles at rest, cleared by sending one out of the way."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Collection, Iterable

import numpy as np

from stagetwin_sim.fleet import Motion
from stagetwin_sim.traffic._drive import Drivers
from stagetwin_sim.traffic._lanes import LaneAuthority
from stagetwin_sim.traffic._net import LaneNet
from stagetwin_sim.traffic._options import FleetOptions
from stagetwin_sim.traffic._records import Deadlock, Job, Phase, WorldRecord
from stagetwin_sim.traffic._reserve_kernels import NEVER
from stagetwin_sim.traffic._route import LaneRoute, Step

__all__ = ["Clearing", "way_out"]

_BACKWARD = 3.0
"""Cost of driving backward, against forward."""

_PUSH = 25.0
"""Cost of driving through where somebody must be sent away first [m]."""

_DEPTH = 4
"""How many are sent away for one at most."""

_LONGEST = 20.0
"""After which one that let others pass goes on all the same [s]."""


def way_out(
    net: LaneNet, start: int, avoid: Collection[int], taken: Collection[int], soft: Collection[int]
) -> tuple[list[tuple[int, bool]], float] | None:
    """Return the shortest way from a cell to one that is in nobody's way, and what it costs.

    Source: E. W. Dijkstra, "A note on two problems in connexion with graphs", Numerische
    Mathematik 1 (1959).

    Args:
        net: the cells.
        start: where the vehicle rests.
        avoid: cells that others need; it must come to rest where it meets none of them.
        taken: cells that it cannot use.
        soft: cells from which somebody else would have to be sent away.

    Returns:
        The cells from `start` on, each with whether it is driven to backward.
    """
    best: dict[tuple[int, bool], float] = {(start, False): 0.0, (start, True): 0.0}
    came: dict[tuple[int, bool], tuple[int, bool]] = {}
    heap = [(0.0, start, False)]
    done: set[tuple[int, bool]] = set()
    while heap:
        cost, cell, backward = heapq.heappop(heap)
        if (cell, backward) in done:
            continue
        done.add((cell, backward))
        if cell != start and cell not in soft and not any(c in avoid for c in net.meets[cell]):
            way = [(cell, backward)]
            while way[-1] in came:
                way.append(came[way[-1]])
            return way[::-1], cost
        here = net.cells[cell]
        for other, back in net.moves[cell]:
            if other in taken:
                continue
            there = net.cells[other]
            if here.lane and there.lane and back != backward and cell != start:
                continue  # gear is changed at nodes, or at the begin
            far = max(there.end - there.begin, here.end - here.begin, 0.1)
            more = far * (_BACKWARD if back else 1.0) + (_PUSH if other in soft else 0.0)
            state = (other, back)
            if cost + more < best.get(state, math.inf):
                best[state] = cost + more
                came[state] = (cell, backward)
                heapq.heappush(heap, (cost + more, other, back))
    return None


def route_of(net: LaneNet, way: list[tuple[int, bool]], speed: float, reverse: float) -> LaneRoute:
    """Return a way from cell to cell as a route; it is reserved as a whole."""
    x, y, _ = net.standing(way[0][0])
    points, limits = [(x, y)], list[float]()
    steps: list[Step] = []
    s = 0.0

    def to(x: float, y: float, limit: float) -> float:
        far = math.dist(points[-1], (x, y))
        if far > 1e-6:
            points.append((x, y))
            limits.append(limit)
        return s + far

    steps.append(Step(way[0][0], -1.0, 0.1, False))
    for (before, _), (cell, back) in itertools.pairwise(way):
        here, last = net.cells[cell], net.cells[before]
        begin = s
        if back and last.lane:
            # Back over the cell on which it is, to where the one behind it ends.
            where = net.standing(cell)[:2]
            s = to(*where, -reverse)
            steps[-1] = steps[-1]._replace(end=s + 0.1)
            steps.append(Step(cell, s - 0.05, s + 0.1, False))
        elif back:
            # From a node onto the end of a lane that leads to it: there it is already.
            steps.append(Step(cell, s - 0.05, s + 0.1, False))
        else:
            where = (here.x, here.y) if here.node else net.standing(cell)[:2]
            s = to(*where, speed)
            steps.append(Step(cell, begin - 0.05, s + 0.1, False))
    last_step = steps[-1]
    steps[-1] = Step(last_step.cell, min(last_step.begin, s), max(s, 1e-3), True)
    goal = net.cells[way[-1][0]].node
    return LaneRoute(tuple(steps), tuple(points), tuple(limits), math.nan, goal)


class Clearing:
    """Watches for circles of vehicles that wait for each other, and for idle ones in the way.

    Args:
        drivers: take vehicles along.
        worlds: what is remembered.
        options: how long a circle must last, and whether it is cleared.
    """

    def __init__(self, drivers: Drivers, worlds: list[WorldRecord], options: FleetOptions) -> None:
        self._drivers, self._worlds, self._options = drivers, worlds, options
        self._lanes: LaneAuthority = drivers.lanes
        self._motion: Motion = drivers.motion
        net = self._lanes.net
        # Nobody is sent onto a grid, or to where others come from one.
        self._gates = {cell for gate in net.gates for cell in net.meets[gate]}

    def look(self, time: float) -> None:
        """Find circles, count them, and send somebody out of the way."""
        lanes, state = self._lanes, self._motion.state
        if not lanes.routes:
            return
        waits = (lanes.column("asked") != NEVER) & (lanes.column("resting") == 1)
        waits &= lanes.column("waits_for") >= 0
        waits &= lanes.column("go") == lanes.column("high")
        waits &= np.abs(state.v.numpy()) < 0.02
        self._go_on(time)
        for world in np.flatnonzero(waits.any(axis=1) | self._known()).tolist():
            self._look_at(world, np.flatnonzero(waits[world]).tolist(), time)

    def _known(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.array([bool(record.stuck) for record in self._worlds])

    def _look_at(self, world: int, waiting: list[int], time: float) -> None:
        record = self._worlds[world]
        whom = self._lanes.column("waits_for")[world]
        known = set(waiting)
        found: dict[str, tuple[list[int], bool]] = {}
        for first in waiting:
            seen = [first]
            while True:
                then = int(whom[seen[-1]])
                if then in seen:
                    ring = seen[seen.index(then) :]
                    found["+".join(map(str, sorted(ring)))] = (ring, True)
                    break
                if then not in known:
                    if self._idle(world, then):
                        found[f"{seen[-1]}>{then}"] = ([seen[-1], then], False)
                    break
                seen.append(then)
        for key in [k for k in record.stuck if k not in found]:
            del record.stuck[key]
            for each in record.deadlocks:
                if each.ended < 0 and "+".join(map(str, sorted(each.vehicles))) == key:
                    each.ended = time
        for key, (ring, circle) in sorted(found.items()):
            begun = record.stuck.setdefault(key, time)
            lasted = time - begun
            open_ = any(
                d.ended < 0 and "+".join(map(str, sorted(d.vehicles))) == key
                for d in record.deadlocks
            )
            if lasted < self._options.deadlock_time:
                continue
            if circle and not open_:
                record.deadlocks.append(Deadlock(begun, sorted(ring), self._places(world, ring)))
            if self._options.clear and self._clear(world, ring, circle, time):
                record.yields += int(not circle)

    def _idle(self, world: int, vehicle: int) -> bool:
        each = self._worlds[world].vehicles[vehicle]
        if each.phase != Phase.REST:
            return False
        return (
            each.job == Job.IDLE or (each.job == Job.TO_DROP and not each.goal) or (each.after >= 0)
        )

    def _places(self, world: int, ring: Iterable[int]) -> list[str]:
        rest = self._lanes.column("rest")[world]
        return [self._lanes.net.label(int(rest[v])) for v in sorted(ring) if rest[v] >= 0]

    # -- out of the way

    def _clear(self, world: int, ring: list[int], circle: bool, time: float) -> bool:
        """Send the one of a circle away that has the shortest way; returns whether one could."""
        pairs = (
            [(ring[k - 1], ring[k]) for k in range(len(ring))] if circle else [(ring[0], ring[1])]
        )
        best: tuple[float, int, int, list[tuple[int, bool]]] | None = None
        for waiting, blocking in pairs:
            need = self._needed(world, waiting)
            found = self._way(world, blocking, need, (waiting,))
            if found is not None and (best is None or (found[1], blocking) < best[:2]):
                best = found[1], blocking, waiting, found[0]
        if best is None:
            return False
        _, blocking, waiting, way = best
        return self._send(world, blocking, waiting, way, self._needed(world, waiting), time, 0)

    def _needed(self, world: int, vehicle: int) -> set[int]:
        """Return the cells that a vehicle has yet to drive over, and where it is."""
        route = self._lanes.route_of(world, vehicle)
        assert route is not None
        low = int(self._lanes.column("low")[world, vehicle])
        return {step.cell for step in route.steps[low:]}

    def _resting(self, world: int, but: Collection[int]) -> dict[int, int]:
        """Return who rests where, others than some: vehicles by cells that they make unusable."""
        net = self._lanes.net
        rest = self._lanes.column("rest")[world]
        return {
            cell: v
            for v in range(len(rest))
            if v not in but and rest[v] >= 0
            for cell in net.meets[int(rest[v])]
        }

    def _way(
        self, world: int, vehicle: int, avoid: set[int], friends: tuple[int, ...]
    ) -> tuple[list[tuple[int, bool]], float] | None:
        start = int(self._lanes.column("rest")[world, vehicle])
        if start < 0:
            return None
        occupied = self._resting(world, (vehicle,))
        hard = {c for c, v in occupied.items() if v in friends or not self._movable(world, v)}
        hard |= self._gates
        return way_out(self._lanes.net, start, avoid, hard, occupied.keys() - hard)

    def _movable(self, world: int, vehicle: int) -> bool:
        """Tell whether a vehicle stands, and could be sent away."""
        each = self._worlds[world].vehicles[vehicle]
        lanes = self._lanes
        if abs(float(self._motion.state.v.numpy()[world, vehicle])) > 0.02:
            return False
        if each.phase == Phase.LANES:
            go = int(lanes.column("go")[world, vehicle])
            asked = int(lanes.column("asked")[world, vehicle])
            return go == int(lanes.column("high")[world, vehicle]) and asked != NEVER
        return self._idle(world, vehicle)

    def _send(
        self,
        world: int,
        vehicle: int,
        waiting: int,
        way: list[tuple[int, bool]],
        avoid: set[int],
        time: float,
        depth: int,
    ) -> bool:
        """Send a vehicle away, or first whoever is in its way."""
        occupied = self._resting(world, (vehicle,))
        first = next((occupied[c] for c, _ in way[1:] if c in occupied), None)
        if first is not None:
            if depth >= _DEPTH:
                return False
            wide = avoid | {cell for cell, _ in way}
            found = self._way(world, first, wide, (vehicle, waiting))
            if found is None:
                return False
            return self._send(world, first, vehicle, found[0], wide, time, depth + 1)
        if not self._movable(world, vehicle):
            return False
        drivers = self._drivers
        each = drivers.record(world, vehicle)
        kind = self._motion.plan.types[self._motion.plan.type_indices()[vehicle]]
        backward = any(back for _, back in way[1:])
        if backward and kind.reverse_speed <= 0:
            return False
        route = route_of(self._lanes.net, way, kind.speed, max(kind.reverse_speed, 0.05))
        each.after = waiting
        each.mark = (
            int(self._lanes.column("route")[world, waiting]),
            int(self._lanes.column("high")[world, waiting]),
        )
        each.due = time + _LONGEST if each.job == Job.IDLE else each.due
        drivers.follow(world, vehicle, route)
        each.due = time + _LONGEST
        return True

    def _go_on(self, time: float) -> None:
        """Let those who were sent away go on when the others have passed."""
        lanes = self._lanes
        for world, record in enumerate(self._worlds):
            for vehicle, each in enumerate(record.vehicles):
                if each.after < 0 or each.phase != Phase.REST:
                    continue
                number, high = each.mark
                moved = int(lanes.column("route")[world, each.after]) != number
                moved = moved or int(lanes.column("high")[world, each.after]) > high
                if not moved and time < each.due:
                    continue
                each.after, each.due = -1, 1e300
                if each.goal:
                    self._drivers.go(world, vehicle, each.goal)
                elif each.job == Job.TO_DROP:
                    each.due = time
