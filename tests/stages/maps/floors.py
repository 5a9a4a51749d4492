"""Small maps for the tests of maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from stagetwin.maps import Lane, Node, Obstacle, RoadMap, Station, Zone

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "maps"

KINDS = ("nodes", "lanes", "zones", "stations")


def by_id(*things: Any) -> dict[str, Any]:
    return {thing.id: thing for thing in things}


def square() -> RoadMap:
    """Four nodes in a ring of 10 m, driven one way, with a short cut both ways across."""
    return RoadMap(
        id="square",
        nodes=by_id(
            Node(id="a", x=0.0, y=0.0),
            Node(id="b", x=10.0, y=0.0),
            Node(id="c", x=10.0, y=10.0, theta=0.5),
            Node(id="d", x=0.0, y=10.0),
        ),
        lanes=by_id(
            Lane(id="ab", start="a", end="b"),
            Lane(id="bc", start="b", end="c", path=((12.0, 5.0),), maximum_speed=0.5),
            Lane(id="cd", start="c", end="d"),
            Lane(id="da", start="d", end="a"),
            Lane(id="ac", start="a", end="c", both=True, vehicle_types=("small",)),
        ),
        stations=by_id(
            Station(id="S", x=10.0, y=11.0, kind="pick", nodes=("c",), serves="/Belt"),
            Station(id="T", x=5.0, y=-1.0, kind="drop", nodes=("a", "b"), theta=-1.5, height=0.8),
        ),
        zones=by_id(
            Zone(
                id="slow",
                type="SPEED_LIMIT",
                maximum_speed=0.5,
                polygon=((4.0, -1.0), (6.0, -1.0), (6.0, 1.0), (4.0, 1.0)),
            ),
            Zone(
                id="hall",
                authority="free",
                polygon=((-5.0, -5.0), (15.0, -5.0), (15.0, 15.0), (-5.0, 15.0)),
            ),
            Zone(
                id="cells",
                authority="grid",
                cell=0.5,
                polygon=((0.0, 0.0), (3.0, 0.0), (3.0, 3.0), (0.0, 3.0)),
            ),
        ),
        obstacles=(Obstacle(polygon=((3.0, 6.0), (4.0, 5.0), (5.0, 7.0))),),
        extent=(-5.0, -5.0, 15.0, 15.0),
    )


def changed(road_map: RoadMap, kind: str, id_: str, /, **fields: Any) -> RoadMap:
    """Return a map with fields of one of its things changed."""
    things = dict(getattr(road_map, kind))
    things[id_] = msgspec.structs.replace(things[id_], **fields)
    return msgspec.structs.replace(road_map, **{kind: things})


def bare(road_map: RoadMap) -> RoadMap:
    """Return a map without the paths of its prims, its things sorted."""

    def strip(thing: Any) -> Any:
        return msgspec.structs.replace(thing, prim="")

    things: dict[str, Any] = {
        kind: {key: strip(thing) for key, thing in sorted(getattr(road_map, kind).items())}
        for kind in KINDS
    }
    obstacles = tuple(map(strip, road_map.obstacles))
    return msgspec.structs.replace(road_map, prim="", obstacles=obstacles, **things)
