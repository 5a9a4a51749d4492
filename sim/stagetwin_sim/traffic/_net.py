"""Lanes cut into cells: what is reserved, what meets what, and where one may rest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

from stagetwin.fleets import VehicleType
from stagetwin.maps import Point, RoadMap, Route
from stagetwin.maps.geometry import along, convex_hull, lengths, wrapped
from stagetwin_sim.traffic._footprint import Footprint, meeting
from stagetwin_sim.traffic._route import Cell, LaneRoute, Step

__all__ = ["LaneNet"]

SPOT = 0.55
"""A corner sharper than this is turned at a stand, and takes room for it [rad]."""

AT_NODE = 0.15
"""How far before and after a node one is at it [m]."""


class LaneNet:
    """The cells of a map's lanes for one kind of fleet.

    A vehicle that stands on a cell where it is only in the way of those behind it may rest there;
    everywhere else it must be able to drive on before it drives in.

    Args:
        road_map: the map.
        types: of vehicles; cells are swept by the largest of them, loaded.
        piece: length of a cell, about [m].
        gap: between vehicles [m].
        only: lanes to take; None is all.
        places: areas of nodes that are no circles, by id: the cells of a grid.
        gates: nodes at which vehicles enter and leave a grid.

    Attributes:
        road_map, footprint, piece: as given.
        lanes: ids of those that were taken.
        gates: the cells of gates.
        cells: by number.
        meets: for each cell the cells that cannot be another's at the same time, itself included.
        rests: whether a vehicle may rest on a cell.
        of_node: the cell of each node.
        of_lane: the cells of each lane in each direction, in driving order.
    """

    def __init__(
        self,
        road_map: RoadMap,
        types: Sequence[VehicleType],
        *,
        piece: float = 0.5,
        gap: float = 0.2,
        only: Iterable[str] | None = None,
        places: Mapping[str, Sequence[Point]] | None = None,
        gates: Collection[str] = (),
    ) -> None:
        self.road_map = road_map
        self.piece = piece
        self.footprint = Footprint.of(types, gap)
        self.cells: list[Cell] = []
        self.of_node: dict[str, int] = {}
        self.of_lane: dict[tuple[str, bool], list[int]] = {}
        for name, node in sorted(road_map.nodes.items()):
            self.of_node[name] = len(self.cells)
            area = (places or {}).get(name) or self.footprint.turned(node.x, node.y)
            self.cells.append(Cell(tuple(area), node=name, x=node.x, y=node.y))
        self.gates = frozenset(self.of_node[name] for name in gates)
        taken = set(road_map.lanes if only is None else only)
        self.lanes: list[str] = []
        for name, lane in sorted(road_map.lanes.items()):
            if name in taken and lane.start in road_map.nodes and lane.end in road_map.nodes:
                self.lanes.append(name)
                for forward in (True, False) if lane.both else (True,):
                    self._cut(name, forward)
        self.meets = meeting([cell.area for cell in self.cells])
        self.rests = self._resting()

    def points(self, lane: str, forward: bool = True) -> tuple[Point, ...]:
        """Return a lane's polyline in a direction [m]."""
        points = self.road_map.lane_points(lane)
        return points if forward else tuple(reversed(points))

    def heading(self, lane: str, forward: bool, end: bool) -> float:
        """Return the tangent at the begin or the end of a lane in a direction [rad]."""
        points = self.points(lane, forward)
        a, b = (points[-2], points[-1]) if end else (points[0], points[1])
        return math.atan2(b[1] - a[1], b[0] - a[0])

    def label(self, cell: int) -> str:
        """Return what people call a cell: its lane or its node."""
        return self.label_of(self.cells[cell])

    def label_of(self, cell: Cell) -> str:
        """See `label`."""
        return cell.lane or cell.node

    def _cut(self, lane: str, forward: bool) -> None:
        points = self.points(lane, forward)
        far = lengths(points)
        count = max(1, math.ceil(far[-1] / self.piece - 1e-6))
        numbers: list[int] = []
        for k in range(count):
            begin, end = far[-1] * k / count, far[-1] * (k + 1) / count
            poses, turns = self._poses(points, far, begin, end)
            area = self.footprint.swept(poses)
            if turns:
                round_ = [p for x, y in turns for p in self.footprint.turned(x, y)]
                area = convex_hull((*area, *round_))
            x, y, _ = along(points, (begin + end) / 2)
            numbers.append(len(self.cells))
            self.cells.append(Cell(area, lane, forward, begin, end, "", x, y))
        self.of_lane[lane, forward] = numbers

    def _poses(
        self, points: Sequence[Point], far: Sequence[float], begin: float, end: float
    ) -> tuple[list[tuple[float, float, float]], list[Point]]:
        """Return poses of a vehicle within a piece of a lane, and where it turns on the spot."""
        x, y, _ = along(points, begin)
        poses: list[tuple[float, float, float]] = []
        turns: list[Point] = []
        for i in range(1, len(points)):
            low, high = max(begin, far[i - 1]), min(end, far[i])
            if high <= low and not (high == low == begin == end):
                continue
            (ax, ay), (bx, by) = points[i - 1], points[i]
            theta = math.atan2(by - ay, bx - ax)
            if poses and abs(wrapped(theta - poses[-1][2])) > SPOT:
                turns.append((ax, ay))
            step = max(far[i] - far[i - 1], 1e-9)
            for s in (low, high):
                t = (s - far[i - 1]) / step
                poses.append((ax + (bx - ax) * t, ay + (by - ay) * t, theta))
        return poses or [(x, y, 0.0)], turns

    def _resting(self) -> list[bool]:
        """Tell which cells are in nobody's way but that of vehicles behind on the same chain."""
        chain = self._chains()
        rests: list[bool] = []
        for cell, met in zip(self.cells, self.meets, strict=True):
            own = chain.get((cell.lane, cell.forward), -1)
            free = bool(cell.lane)
            for other in met if free else ():
                there = self.cells[other]
                if there.node:
                    free = self._plain.get(there.node, -2) == own
                else:
                    free = chain[there.lane, there.forward] == own
                if not free:
                    break
            rests.append(free)
        return rests

    def _chains(self) -> dict[tuple[str, bool], int]:
        """Number the lanes so that those that follow each other without a junction are alike."""
        into: dict[str, list[tuple[str, bool]]] = {}
        out: dict[str, list[tuple[str, bool]]] = {}
        for name, forward in self.of_lane:
            lane = self.road_map.lanes[name]
            start, end = (lane.start, lane.end) if forward else (lane.end, lane.start)
            out.setdefault(start, []).append((name, forward))
            into.setdefault(end, []).append((name, forward))
        chain = {way: i for i, way in enumerate(self.of_lane)}
        self._plain: dict[str, int] = {}
        plain: list[tuple[str, tuple[str, bool]]] = []
        for node in sorted(into):
            through = len(into[node]) == 1 and len(out.get(node, ())) == 1
            if through and self.of_node[node] not in self.gates:
                (a,), (b,) = into[node], out[node]
                turn = wrapped(self.heading(*b, end=False) - self.heading(*a, end=True))
                if a[0] != b[0] and abs(turn) <= SPOT:
                    old, new = chain[b], chain[a]
                    chain = {way: new if n == old else n for way, n in chain.items()}
                    plain.append((node, a))
        self._plain = {node: chain[way] for node, way in plain}
        return chain

    # -- ways

    def route(self, route: Route, *, speed: float = math.inf) -> LaneRoute:
        """Return a route of the map as cells.

        Args:
            route: by lanes that are in the net.
            speed: highest [m/s].
        """
        nodes = self.road_map.nodes
        steps = [self._node_step(route.nodes[0], 0.0)]
        points: list[Point] = [(nodes[route.nodes[0]].x, nodes[route.nodes[0]].y)]
        limits: list[float] = []
        s, before = 0.0, math.nan
        for number, (lane, forward) in enumerate(zip(route.lanes, route.forward, strict=True)):
            turn = wrapped(self.heading(lane, forward, end=False) - before) if number else 0.0
            if abs(turn) > SPOT:
                steps.append(self._node_step(route.nodes[number], s))
            before = self.heading(lane, forward, end=True)
            s = self._add_lane(steps, points, limits, lane, forward, s, speed)
        if route.lanes:
            steps.append(self._node_step(route.nodes[-1], s))
        goal = nodes[route.nodes[-1]]
        ended = Step(steps[-1].cell, min(steps[-1].begin, s), max(s, 0.0), True)
        return LaneRoute(
            (*steps[:-1], ended),
            tuple(points),
            tuple(limits),
            math.nan if goal.theta is None else goal.theta,
            goal.id,
            tuple(route.nodes),
        )

    def _add_lane(
        self,
        steps: list[Step],
        points: list[Point],
        limits: list[float],
        lane: str,
        forward: bool,
        s: float,
        speed: float,
        within: int | None = None,
    ) -> float:
        """Add a lane, or what is left of it, to a way that is `s` long; returns how long then."""
        numbers = self.of_lane[lane, forward][within or 0 :]
        begin = self.cells[numbers[0]].begin
        for number in numbers:
            cell = self.cells[number]
            steps.append(
                Step(number, s + cell.begin - begin, s + cell.end - begin, self.rests[number])
            )
        line = self.points(lane, forward)
        top = self.road_map.lanes[lane].maximum_speed
        at = 0.0 if within is None else self.cells[numbers[0]].end
        rest = [p for p, far in zip(line, lengths(line), strict=True) if far > at + 1e-9]
        points += rest
        limits += [self.limit_on(lane, speed if top is None else min(speed, top))] * len(rest)
        return steps[-1].end

    def limit_on(self, lane: str, speed: float) -> float:
        """Return the speed on a lane [m/s], negative where vehicles go backward on it."""
        turned = self.road_map.lanes[lane].orientation
        return -speed if turned is not None and abs(wrapped(turned)) > math.pi / 2 else speed

    def _node_step(self, node: str, s: float) -> Step:
        return Step(self.of_node[node], s - AT_NODE, s + AT_NODE, False)

    def onward(self, cell: int, route: Route | None, *, speed: float = math.inf) -> LaneRoute:
        """Return the way from within a lane to its end, and on by a route from there."""
        here = self.cells[cell]
        numbers = self.of_lane[here.lane, here.forward]
        steps: list[Step] = []
        points: list[Point] = [self.standing(cell)[:2]]
        limits: list[float] = []
        first = numbers.index(cell)
        lane = self.road_map.lanes[here.lane]
        # From the end of its cell on, also where that is the lane's first.
        s = self._add_lane(steps, points, limits, here.lane, here.forward, 0.0, speed, first)
        while len(points) > 1 and math.dist(points[0], points[1]) < 1e-6:
            points.pop(1)
            limits.pop(0)
        # The vehicle rests at the end of its cell.
        cut = here.end - here.begin
        steps = [Step(a, b - cut, e - cut, r) for a, b, e, r in steps]
        s -= cut
        end = lane.end if here.forward else lane.start
        if route is None or not route.lanes:
            node = self.road_map.nodes[end]
            steps.append(Step(self.of_node[end], s - AT_NODE, max(s, 1e-3), True))
            theta = math.nan if node.theta is None else node.theta
            if len(points) == 1:
                points.append((node.x, node.y))
                limits.append(math.inf)
            return LaneRoute(tuple(steps), tuple(points), tuple(limits), theta, end, (end,))
        rest = self.route(route, speed=speed)
        turn = wrapped(
            self.heading(route.lanes[0], route.forward[0], end=False)
            - self.heading(here.lane, here.forward, end=True)
        )
        more = [Step(a, b + s, e + s, r) for a, b, e, r in rest.steps]
        steps += more if abs(turn) > SPOT else more[1:]
        return LaneRoute(
            tuple(steps),
            (*points, *rest.points[1:]),
            (*limits, *rest.limits),
            rest.theta,
            rest.goal,
            rest.nodes,
        )

    def retreat(self, cell: int, route: Route | None, *, speed: float, reverse: float) -> LaneRoute:
        """Return the way from within a lane backward to where it begins, and on from there.

        Args:
            cell: where the vehicle rests.
            route: from the begin of the lane on; None ends there.
            speed, reverse: highest, forward and backward [m/s].
        """
        here = self.cells[cell]
        lane = self.road_map.lanes[here.lane]
        node = lane.start if here.forward else lane.end
        numbers = self.of_lane[here.lane, here.forward]
        behind = numbers[: numbers.index(cell) + 1]
        steps: list[Step] = []
        points: list[Point] = []
        for number in reversed(behind):
            far = here.end - self.cells[number].end
            steps.append(Step(number, far - 0.05, here.end - self.cells[number].begin, False))
            points.append(self.standing(number)[:2])
        points.append((self.road_map.nodes[node].x, self.road_map.nodes[node].y))
        limits = [-reverse] * (len(points) - 1)
        if route is None or not route.lanes:
            theta = self.road_map.nodes[node].theta
            steps.append(Step(self.of_node[node], here.end - AT_NODE, here.end, True))
            end = math.nan if theta is None else theta
            return LaneRoute(tuple(steps), tuple(points), tuple(limits), end, node, (node,))
        rest = self.route(route, speed=speed)
        more = [Step(a, b + here.end, e + here.end, r) for a, b, e, r in rest.steps]
        return LaneRoute(
            (*steps, *more),
            (*points, *rest.points[1:]),
            (*limits, *rest.limits),
            rest.theta,
            rest.goal,
            rest.nodes,
        )

    def standing(self, cell: int) -> tuple[float, float, float]:
        """Return where a vehicle rests on a cell: x, y [m], heading [rad]."""
        here = self.cells[cell]
        if here.node:
            return here.x, here.y, 0.0
        return along(self.points(here.lane, here.forward), here.end)

    # -- ways out of the way

    @cached_property
    def moves(self) -> list[list[tuple[int, bool]]]:
        """For each cell the cells that one can move to, and whether backward.

        On a lane to its next and last cell; from a node onto every lane that touches it, in the
        direction of the lane where that is allowed and backward where not.
        """
        moves: list[list[tuple[int, bool]]] = [[] for _ in self.cells]
        for (name, forward), numbers in self.of_lane.items():
            lane = self.road_map.lanes[name]
            start, end = (lane.start, lane.end) if forward else (lane.end, lane.start)
            for a, b in itertools.pairwise(numbers):
                moves[a].append((b, False))
                moves[b].append((a, True))
            moves[numbers[-1]].append((self.of_node[end], False))
            moves[numbers[0]].append((self.of_node[start], True))
            moves[self.of_node[start]].append((numbers[0], False))
            if not lane.both:
                moves[self.of_node[end]].append((numbers[-1], True))
        return moves
