"""The map of the aisles: nodes, lanes, stations and zones of the vehicles, from its own table."""

from __future__ import annotations

from itertools import pairwise
from math import radians
from typing import Any

from pxr import Sdf

from stagetwin.maps import Lane, Node, RoadMap, Station, Zone, author_map

__all__ = ["write_map"]


def write_map(layer: Sdf.Layer, table: dict[str, Any]) -> None:
    """Author a map from its table, and name what stands in the way."""
    path = Sdf.Path(table["path"])
    with Sdf.ChangeBlock():
        for each in path.GetPrefixes()[:-1]:
            Sdf.CreatePrimInLayer(layer, each)
    author_map(layer, path, _road_map(table))
    if not table["obstacles"]:
        return
    prim = layer.GetPrimAtPath(path)
    rel = Sdf.RelationshipSpec(prim, "twin:map:obstacles", False)
    rel.targetPathList.explicitItems = [Sdf.Path(each) for each in table["obstacles"]]


def _road_map(table: dict[str, Any]) -> RoadMap:
    nodes = {
        name: Node(
            id=name, x=x, y=y, theta=radians(heading[0]) if heading else None, **table["node"]
        )
        for name, (x, y, *heading) in table["nodes"].items()
    }
    left, bottom, right, top = (float(value) for value in table["extent"])
    return RoadMap(
        id=table["id"],
        version=table["version"],
        nodes=nodes,
        lanes={lane.id: lane for row in table["lanes"] for lane in _lanes(row)},
        zones={name: Zone(id=name, **_zone(rule)) for name, rule in table["zones"].items()},
        stations={
            name: Station(
                id=name,
                x=nodes[rule["node"]].x,
                y=nodes[rule["node"]].y,
                theta=nodes[rule["node"]].theta,
                nodes=(rule["node"],),
                **{key: value for key, value in rule.items() if key != "node"},
            )
            for name, rule in table["stations"].items()
        },
        extent=(left, bottom, right, top),
    )


def _lanes(row: dict[str, Any]) -> list[Lane]:
    """Return the lanes of a row of nodes that are driven one after the other."""
    nodes = row["nodes"]
    rest = {key: value for key, value in row.items() if key != "nodes"}
    return [Lane(id=f"{a}-{b}", start=a, end=b, **rest) for a, b in pairwise(nodes)]


def _zone(rule: dict[str, Any]) -> dict[str, Any]:
    (left, bottom), (right, top) = rule["corners"]
    polygon = ((left, bottom), (right, bottom), (right, top), (left, top))
    return {**{k: v for k, v in rule.items() if k != "corners"}, "polygon": polygon}
