"""One edge of the base with the node at its end, as a way on the floor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stagetwin.fleets import Leg
from stagetwin_bridges.vda5050.messages import Edge, Node
from stagetwin_bridges.vda5050.vehicle._geometry import Point, Way, turn
from stagetwin_bridges.vda5050.vehicle._shape import curve_of

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["Stretch", "drives_backward", "place_of"]

_ALIGNED = 1e-3
"""How exactly an edge's orientation is backward [rad]."""

_STANDS = ("SOFT", "HARD")


def place_of(node: Node, road_map: RoadMap | None) -> Point | None:
    """Return where a node is [m]: as the order says, else as the map does; None if neither does."""
    if node.node_position is not None:
        return node.node_position.x, node.node_position.y
    if road_map is not None and (known := road_map.nodes.get(node.node_id)) is not None:
        return known.x, known.y
    return None


def drives_backward(edge: Edge) -> bool:
    """Return whether an edge asks for driving backward along it (3.0, 7.3; 2.1, 6.6.6)."""
    return (
        edge.orientation is not None
        and edge.orientation_type != "GLOBAL"
        and abs(turn(edge.orientation - math.pi)) < _ALIGNED
    )


class Stretch:
    """One edge of the base with the node at its end.

    Attributes:
        edge, node: of the order.
        way: from the node before to this one.
        guided: whether its path was laid down by the order or the map.
        map_id: of the node's map; empty where it names none.
        backward: whether it is driven backward.
    """

    def __init__(self, start: Point, edge: Edge, node: Node, road_map: RoadMap | None) -> None:
        """Make it.

        Raises:
            ValueError: nothing says where the node is.
        """
        end = place_of(node, road_map)
        if end is None:
            raise ValueError(f"node {node.node_id!r} has no position")
        between: list[Point] = []
        self.guided = False
        if edge.trajectory is not None:
            between = curve_of(edge.trajectory)
            self.guided = True
        elif road_map is not None and (lane := road_map.lanes.get(edge.edge_id)) is not None:
            between = list(lane.path)
            # A lane that may be driven both ways has its path from start to end.
            if lane.end != node.node_id and lane.start == node.node_id:
                between.reverse()
            self.guided = True
        self.way = Way([start, *between, end])
        self.edge, self.node = edge, node
        self.backward = drives_backward(edge)
        self.map_id = node.node_position.map_id if node.node_position is not None else ""

    @property
    def node_stands(self) -> bool:
        """Whether the node has an action at which the vehicle stands."""
        return any(action.blocking_type in _STANDS for action in self.node.actions)

    @property
    def edge_stands(self) -> bool:
        """Whether the edge has one."""
        return any(action.blocking_type in _STANDS for action in self.edge.actions)

    def leg(self, low: float, high: float, tolerance: float) -> Leg:
        """Return the leg from one distance along to another [m].

        Args:
            low: where it begins.
            high: where it ends; at the end of the way it ends as the node demands.
            tolerance: how exactly a heading can be reached [rad].
        """
        points = self.way.cut(low, high)
        x, y = points[-1]
        theta, through = math.nan, True
        position = self.node.node_position
        if high >= self.way.length and position is not None and position.theta is not None:
            allowed = max(position.allowed_deviation_theta or 0.0, tolerance)
            heading = self.way.at(high)[2] if self.way.length > tolerance else math.nan
            heading += math.pi if self.backward else 0.0
            if not abs(turn(position.theta - heading)) <= allowed:
                theta, through = position.theta, False
        if self.node_stands and high >= self.way.length:
            through = False
        return Leg(
            x=x,
            y=y,
            theta=theta,
            path=tuple(points[1:-1]),
            speed=self.edge.maximum_speed or math.inf,
            rotation_speed=self.edge.maximum_rotation_speed or math.inf,
            through=through,
            backward=self.backward,
        )
