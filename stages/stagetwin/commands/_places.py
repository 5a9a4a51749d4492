"""Places that are asked for by a prim: where it was put decides which node a vehicle is sent to.

An editor moves a station or a marker, or names another one. That is an intent, and no change of
the map: the node is looked for in the map that guards the command, whatever the editor's stage
says of nodes and lanes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from stagetwin._errors import MapError, ProtocolNotFoundError
from stagetwin.bindings import CommandBinding
from stagetwin.maps import Node, RoadMap, Station
from stagetwin.ports import ConnectionSpec, find_protocol

__all__ = ["Place", "map_of", "place_of", "prim_of"]

_SAME = 1e-3
"""A prim that was moved by less than this was not moved [m]."""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a prim was put.

    Attributes:
        prim: its path.
        x: in the map's frame [m].
        y: likewise.
        theta: heading of its x axis [rad].
    """

    prim: str
    x: float
    y: float
    theta: float = 0.0

    @classmethod
    def of(cls, value: Any) -> Place | None:
        """Return a value as a place; None where it is none."""
        if not isinstance(value, Mapping):
            return None
        try:
            place = msgspec.convert(dict(value), cls)
        except (msgspec.ValidationError, TypeError):
            return None
        finite = all(map(math.isfinite, (place.x, place.y, place.theta)))
        return place if finite else None

    def __str__(self) -> str:
        return f"{self.prim} at ({self.x:.2f}, {self.y:.2f})"


def map_of(spec: ConnectionSpec, binding: CommandBinding) -> RoadMap | None:
    """Return the map in which a command names a place; None for another kind of command."""
    if not spec.map:
        return None
    try:
        takes_place = getattr(find_protocol(spec.endpoint), "takes_place", None)
    except ProtocolNotFoundError:
        return None
    return _decoded(spec.map) if takes_place is not None and takes_place(binding.wire()) else None


@lru_cache(maxsize=16)
def _decoded(encoded: str) -> RoadMap | None:
    try:
        return RoadMap.decode(encoded)
    except MapError:
        return None


def prim_of(road_map: RoadMap, name: Any) -> str:
    """Return the prim of a station or node by its id; empty where there is none."""
    if not isinstance(name, str):
        return ""
    found = road_map.stations.get(name) or road_map.nodes.get(name)
    return found.prim if found is not None else ""


def place_of(road_map: RoadMap, place: Place, *, pose: bool) -> tuple[Any, str]:
    """Return what a command is given for a place, and how that was found, in words.

    A station or node of the map that stands where the map has it is itself. One that was moved,
    and any other prim, means the nearest node within that node's `deviation`; a station keeps its
    offset to the node that it is served from.

    Args:
        road_map: the map in force.
        place: what was asked for.
        pose: whether the command takes x [m], y [m], theta [rad]; else an id.

    Raises:
        MapError: it lies on no node; says which is nearest, and what is allowed.
    """
    named = _named(road_map, place.prim)
    if named is not None and math.dist((named.x, named.y), (place.x, place.y)) <= _SAME:
        node = road_map.nodes[road_map.nodes_of(named.id)[0]]
        value = _pose(node, place.theta) if pose else named.id
        return value, f"{place.prim} is {named.id!r} of map {road_map.id!r}"
    best: tuple[float, Node, tuple[float, float]] | None = None
    for x, y in _served_at(road_map, named, place):
        near = road_map.nearest(x, y)
        if near is None:
            raise MapError(f"{place}: map {road_map.id!r} has no node")
        far = math.dist((near.x, near.y), (x, y))
        if far <= near.deviation:
            words = f"{place}: node {near.id!r}, {far:.2f} m away"
            return (_pose(near, place.theta) if pose else near.id), words
        if best is None or far < best[0]:
            best = far, near, (x, y)
    if pose and road_map.authority_at(place.x, place.y) == "free":
        return [place.x, place.y, place.theta], f"{place}, in a free zone"
    assert best is not None
    far, near, (x, y) = best
    served = "" if (x, y) == (place.x, place.y) else f", served from ({x:.2f}, {y:.2f}),"
    raise MapError(
        f"{place}{served} lies on no node of map {road_map.id!r}: the nearest is {near.id!r} at "
        f"({near.x:.2f}, {near.y:.2f}), {far:.2f} m away; at most {near.deviation:g} m are allowed"
    )


def _named(road_map: RoadMap, prim: str) -> Station | Node | None:
    for things in (road_map.stations, road_map.nodes):
        for thing in things.values():
            if prim and thing.prim == prim:
                return thing
    return None


def _served_at(
    road_map: RoadMap, named: Station | Node | None, place: Place
) -> list[tuple[float, float]]:
    """Return where a vehicle must stand for a place, the best first [m]."""
    nodes = [road_map.nodes[n] for n in getattr(named, "nodes", ()) if n in road_map.nodes]
    if named is None or not nodes:
        return [(place.x, place.y)]
    return [(place.x + node.x - named.x, place.y + node.y - named.y) for node in nodes]


def _pose(node: Node, theta: float) -> list[float]:
    return [node.x, node.y, theta if node.theta is None else node.theta]
