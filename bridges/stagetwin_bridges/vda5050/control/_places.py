"""Where an order begins and ends: the vehicle's place on the map, and the goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stagetwin.maps import MapError, Node, NoRouteError, RoadMap
from stagetwin.maps.geometry import nearest_on
from stagetwin_bridges._errors import OrderError
from stagetwin_bridges.vda5050.control._limits import Limits
from stagetwin_bridges.vda5050.control._plan import (
    Plan,
    Stop,
    Way,
    join,
    lane_way,
    plan_of,
    polyline_length,
)
from stagetwin_bridges.vda5050.messages import MobileRobotPosition, State

__all__ = ["Pose", "plan_to", "pose_of", "surely_driven"]

Pose = tuple[float, float, float]
"""x [m], y [m], theta [rad] in the map's frame."""

_BESIDE = 0.5
"""How far from a lane a vehicle may stand and still begin on it [m]."""

_PIECES = 1000
"""Into so many pieces a way is cut at most."""

_TURN = 0.2
"""How near a commanded heading is met where a node itself asks for none [rad]."""


def pose_of(value: Any) -> Pose | None:
    """Return a goal pose that was commanded; None where the value is an id.

    Raises:
        OrderError: it is neither.
    """
    if isinstance(value, str):
        return None
    if isinstance(value, Sequence) and len(value) == 3:
        x, y, theta = (float(part) for part in value)
        if all(map(math.isfinite, (x, y, theta))):
            return x, y, math.remainder(theta, 2 * math.pi)
    raise OrderError(f"expected the id of a station or node, or x, y, theta, got {value!r:.80}")


def plan_to(
    road_map: RoadMap,
    state: State,
    goal: str | Pose,
    limits: Limits,
    *,
    snap: float,
    start_id: str,
    longest: float = math.inf,
) -> Plan:
    """Return the plan from where a vehicle stands to a goal.

    Args:
        road_map: the map.
        state: the vehicle's newest.
        goal: id of a station or node, or a pose.
        limits: the vehicle's.
        snap: how far from a goal pose the node may lie that is taken for it [m].
        start_id: id of a node that is made where the vehicle stands between two.
        longest: a straight way through a free zone that is longer is cut into pieces [m].

    Raises:
        OrderError: the vehicle is not on the map, or there is no way.
    """
    place = None if isinstance(goal, str) else goal
    try:
        if place is None:
            assert isinstance(goal, str)
            plan = _from_here(road_map, state, goal, limits, start_id)
        elif (node := _snapped(road_map, place, limits, snap)) is not None:
            plan = _turned(_from_here(road_map, state, node.id, limits, start_id), place[2])
        else:
            plan = _into_the_open(road_map, state, place, limits, start_id)
    except (MapError, NoRouteError) as error:
        raise OrderError(str(error)) from None
    return _in_pieces(road_map, plan, longest)


def _in_pieces(road_map: RoadMap, plan: Plan, longest: float) -> Plan:
    """Return a plan whose ways off the lanes are no longer than may be released at once."""
    stops, ways = [plan.stops[0]], list[Way]()
    for way, end in zip(plan.ways, plan.stops[1:], strict=True):
        count = math.ceil(min(way.length / longest, _PIECES))
        if way.id in road_map.lanes or count < 2:
            ways, stops = [*ways, way], [*stops, end]
            continue
        (ax, ay), (bx, by) = way.points[0], way.points[-1]
        for k in range(1, count + 1):
            share = k / count
            point = ax + (bx - ax) * share, ay + (by - ay) * share
            stop = end if k == count else Stop(id=f"{way.id}.{k}", x=point[0], y=point[1])
            points = (stops[-1].x, stops[-1].y), (stop.x, stop.y)
            piece = replace(way, id=f"{way.id}.{k}", points=points, length=math.dist(*points))
            ways, stops = [*ways, piece], [*stops, stop]
    return Plan(plan.map_id, tuple(stops), tuple(ways))


def surely_driven(plan: Plan, passed: int, state: State) -> float:
    """Return how far a vehicle has surely come behind the last stop that it passed [m]."""
    where, here = state.mobile_robot_position, (state.last_node_id, state.last_node_sequence_id)
    if where is None or not where.localized or where.map_id != plan.map_id:
        return 0.0
    if here != (plan.stops[passed].id, 2 * passed):
        return 0.0  # it tells its place on another way than this
    driven = plan.driven(passed, where.x, where.y)
    if state.distance_since_last_node is None:
        return driven
    # A way that bends back passes close to where it was before.
    return min(driven, max(state.distance_since_last_node, 0.0))


def _snapped(road_map: RoadMap, pose: Pose, limits: Limits, snap: float) -> Node | None:
    """Return the node that a pose means; None where the vehicle drives to the pose itself."""
    near = road_map.nearest(pose[0], pose[1])
    if near is None:
        raise OrderError(f"map {road_map.id!r} has no node")
    far = math.dist((near.x, near.y), pose[:2])
    if limits.free and road_map.authority_at(*pose[:2]) == "free" and far > near.deviation:
        return None
    if far > snap:
        raise OrderError(
            f"the nearest node to ({pose[0]:g}, {pose[1]:g}) is {near.id!r}, {far:.2f} m away; "
            f"at most {snap:g} m are allowed"
        )
    return near


def _turned(plan: Plan, theta: float) -> Plan:
    """Return a plan that ends at a heading, where the goal's node asks for none."""
    goal = plan.stops[-1]
    if goal.theta is not None or len(plan.stops) == 1:
        return plan
    turned = replace(goal, theta=theta, deviation_theta=min(goal.deviation_theta, _TURN))
    return replace(plan, stops=(*plan.stops[:-1], turned))


def _position(road_map: RoadMap, state: State) -> MobileRobotPosition | None:
    where = state.mobile_robot_position
    if where is None:
        return None
    if not where.localized:
        raise OrderError("it has not localized itself")
    if where.map_id != road_map.id:
        raise OrderError(f"it is on map {where.map_id!r}, the connection's is {road_map.id!r}")
    return where


def _from_here(road_map: RoadMap, state: State, goal: str, limits: Limits, start_id: str) -> Plan:
    """Return the plan from a vehicle's place to a node or station."""
    road_map.nodes_of(goal)  # an id that the map has not is said first
    where = _position(road_map, state)
    node = _standing_on(road_map, state, where)
    if node is not None:
        return _along(road_map, node, goal, limits)
    if where is None or limits.on_rails:
        raise OrderError("it stands on no node of the map, and can begin nowhere else")
    best: Plan | None = None
    for head in _ways_off(road_map, where, limits, start_id):
        try:
            plan = join(head, _along(road_map, head.stops[-1].id, goal, limits))
        except NoRouteError:
            continue
        if best is None or plan.length < best.length:
            best = plan
    if best is None:
        raise OrderError(
            f"it stands at ({where.x:.2f}, {where.y:.2f}), on no node, and within {_BESIDE:g} m of "
            f"no lane that leads to {goal!r}"
        )
    return best


def _along(road_map: RoadMap, start: str, goal: str, limits: Limits) -> Plan:
    route = road_map.route(start, goal, speed=limits.speed, vehicle_type=limits.type_name)
    return plan_of(road_map, route, speed=limits.speed)


def _standing_on(road_map: RoadMap, state: State, where: MobileRobotPosition | None) -> str | None:
    """Return the node that a vehicle stands on: the one it names first, then the nearest."""
    last = road_map.nodes.get(state.last_node_id)
    if where is None:
        return last.id if last is not None else None
    for node in (last, road_map.nearest(where.x, where.y)):
        if node is not None and math.dist((node.x, node.y), (where.x, where.y)) <= node.deviation:
            return node.id
    return None


def _ways_off(
    road_map: RoadMap, where: MobileRobotPosition, limits: Limits, start_id: str
) -> list[Plan]:
    """Return the ways from a place between nodes to the nodes that its lane leads to.

    The first node is made where the vehicle stands (3.0, 6.1.3.1).
    """
    here = Stop(id=start_id, x=where.x, y=where.y)
    if limits.free and road_map.authority_at(where.x, where.y) == "free":
        near = road_map.nearest(where.x, where.y)
        return [] if near is None else [_straight(road_map, here, Stop.at(near), limits)]
    found = road_map.nearest_lane(where.x, where.y, _BESIDE)
    if found is None:
        return []
    lane = found[0]
    if lane.vehicle_types and limits.type_name not in lane.vehicle_types:
        return []
    heads = []
    for forward in (True, False) if lane.both else (True,):
        way = lane_way(road_map, lane.id, forward=forward, speed=limits.speed)
        driven = nearest_on(way.points, where.x, where.y, first=0.0)[0]
        points = ((where.x, where.y), *_rest(way.points, driven))
        rest = replace(way, points=points, length=max(polyline_length(points), 1e-3))
        end = road_map.nodes[lane.end if forward else lane.start]
        heads.append(Plan(road_map.id, (here, Stop.at(end)), (rest,)))
    return heads


def _rest(points: Sequence[tuple[float, float]], driven: float) -> tuple[tuple[float, float], ...]:
    """Return the points of a polyline that lie beyond a distance along it [m]."""
    far, left = 0.0, [points[-1]]
    for i in range(1, len(points)):
        far += math.dist(points[i - 1], points[i])
        if far > driven + 1e-6:
            left = list(points[i:])
            break
    return tuple(left)


def _straight(road_map: RoadMap, start: Stop, end: Stop, limits: Limits) -> Plan:
    """Return one straight way between two stops of a free zone."""
    points = ((start.x, start.y), (end.x, end.y))
    length = max(polyline_length(points), 1e-3)
    way = Way(id=f"{start.id}-{end.id}", points=points, length=length, speed=limits.speed)
    return Plan(road_map.id, (start, end), (way,))


def _into_the_open(
    road_map: RoadMap, state: State, pose: Pose, limits: Limits, start_id: str
) -> Plan:
    """Return the plan to a pose that is no node, in a free zone.

    From within the zone it goes straight there; from elsewhere by the lanes to the zone's node
    nearest to the pose, and on from that.
    """
    zones = [zone for zone in road_map.zones_at(*pose[:2]) if zone.authority == "free"]
    zone = zones[0].id
    goal = Stop(id=f"{start_id}.goal", x=pose[0], y=pose[1], theta=pose[2], deviation_theta=_TURN)
    where = _position(road_map, state)
    if where is not None and any(z.id == zone for z in road_map.zones_at(where.x, where.y)):
        here = Stop(id=start_id, x=where.x, y=where.y)
        return _straight(road_map, here, goal, limits)
    doors = [
        node
        for node in road_map.nodes.values()
        if any(z.id == zone for z in road_map.zones_at(node.x, node.y))
    ]
    doors.sort(key=lambda node: (math.dist((node.x, node.y), pose[:2]), node.id))
    for door in doors:
        try:
            head = _from_here(road_map, state, door.id, limits, start_id)
        except (NoRouteError, OrderError):
            continue
        return join(head, _straight(road_map, head.stops[-1], goal, limits))
    raise OrderError(f"no lane leads into the free zone {zone!r} of map {road_map.id!r}")
