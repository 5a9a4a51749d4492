"""Where virtual vehicles stand at first: where the stage shows them, else on nodes of the map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pxr import Gf, Usd

from stagetwin.bindings import BindingTable
from stagetwin.maps import Node, RoadMap
from stagetwin_bridges._errors import ConnectionConfigError

__all__ = ["Place", "places_on", "places_shown"]

Place = tuple[float, float, float]
"""x [m], y [m], theta [rad] in the map's frame."""

_SPACING = 2.0
"""Between vehicles without a map [m]."""
_NEAR = 0.5
"""How far from a node the stage may show a vehicle that stands on it [m]."""


def places_shown(stage: Usd.Stage, table: BindingTable, connection: str) -> dict[str, Place]:
    """Return where the stage shows vehicles before anything is live, by their addresses.

    Args:
        stage: the stage as it was authored.
        table: its bindings.
        connection: name of theirs.
    """
    shown: dict[str, Place] = {}
    for binding in table.telemetry.values():
        if binding.connection != connection or binding.field != "pose":
            continue
        value = stage.GetAttributeAtPath(binding.target).Get()
        if isinstance(value, Gf.Matrix4d):
            # Row vectors: the first says where the vehicle's front points, the last where it is.
            # Row vectors: the first is where the vehicle's front points, the last where it is.
            ahead, _, _, at = np.array(value, dtype=np.float64)
            theta = math.atan2(ahead[1], ahead[0])
            shown[binding.address] = (float(at[0]), float(at[1]), theta)
    return shown


def places_on(
    road_map: RoadMap | None, count: int, shown: Sequence[Place | None] = ()
) -> npt.NDArray[np.float64]:
    """Return where vehicles stand at first, shape (count, 3).

    Each stands on the node that the stage shows it on, if it has that for itself, else on a node
    that is free, those to park first. Without a map they stand in rows.

    Args:
        road_map: the connection's map.
        count: how many vehicles.
        shown: where the stage shows each; None, or nothing at the end, where it does not.

    Raises:
        ConnectionConfigError: the map has fewer nodes.
    """
    poses = np.zeros((count, 3))
    if road_map is None or not road_map.nodes:
        side = max(1, int(np.ceil(np.sqrt(count))))
        poses[:, 0] = _SPACING * (np.arange(count) % side)
        poses[:, 1] = _SPACING * (np.arange(count) // side)
        return poses
    if count > len(road_map.nodes):
        raise ConnectionConfigError(
            f"map {road_map.id!r} has {len(road_map.nodes)} nodes to stand on, {count} vehicles "
            f"were asked for"
        )
    free = _to_park_first(road_map)
    left: list[int] = []
    for index, place in enumerate([*shown[:count], *[None] * (count - len(shown))]):
        node = None if place is None else _nearest(place, free)
        if place is None or node is None:
            left.append(index)
            continue
        free.remove(node)
        poses[index] = node.x, node.y, place[2]
    for index, node in zip(left, free, strict=False):
        poses[index] = node.x, node.y, node.theta or 0.0
    return poses


def _nearest(place: Place, nodes: Sequence[Node]) -> Node | None:
    """Return the node that a place is on, None if it is on none."""
    near = min(nodes, key=lambda node: math.dist(place[:2], (node.x, node.y)), default=None)
    return near if near and math.dist(place[:2], (near.x, near.y)) <= _NEAR else None


def _to_park_first(road_map: RoadMap) -> list[Node]:
    parked = {
        node
        for station in road_map.stations.values()
        if station.kind in ("park", "charge")
        for node in station.nodes
    }
    return sorted(road_map.nodes.values(), key=lambda node: (node.id not in parked, node.id))
