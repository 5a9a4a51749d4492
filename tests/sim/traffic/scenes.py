"""Small maps for tests of traffic."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from stagetwin.maps import Lane, Node, Obstacle, RoadMap, Station, Zone

__all__ = ["DEADLOCKS", "Scene", "grid_hall", "hall", "works"]


@dataclass(frozen=True)
class Scene:
    """Vehicles that will wait for each other.

    Attributes:
        road_map: the map.
        starts: where they begin.
        goals: where they want to go; None stays.
    """

    road_map: RoadMap
    starts: tuple[str, ...]
    goals: tuple[str | None, ...]


def _map(
    name: str,
    places: Mapping[str, tuple[float, float]],
    lanes: list[tuple[str, str]],
    *,
    both: bool = True,
    stations: dict[str, tuple[str, str]] | None = None,
) -> RoadMap:
    nodes = {n: Node(id=n, x=float(x), y=float(y)) for n, (x, y) in places.items()}
    return RoadMap(
        id=name,
        nodes=nodes,
        lanes={f"{a}-{b}": Lane(id=f"{a}-{b}", start=a, end=b, both=both) for a, b in lanes},
        stations={
            s: Station(id=s, x=nodes[n].x, y=nodes[n].y, kind=kind, nodes=(n,))
            for s, (kind, n) in (stations or {}).items()
        },
    )


def _corridor() -> Scene:
    places = {"a": (0, 0), "b": (4, 0), "c": (10, 0), "d": (14, 0), "p": (0, 3), "q": (14, 3)}
    lanes = [("a", "b"), ("b", "c"), ("c", "d"), ("b", "p"), ("c", "q")]
    return Scene(_map("corridor", places, lanes), ("b-c@2", "-b-c@2"), ("d", "a"))


def _ring() -> Scene:
    places = {"a": (0, 0), "b": (5, 0), "c": (5, 5), "d": (0, 5)}
    lanes = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    return Scene(_map("ring", places, lanes), ("a", "b", "c", "d"), ("b", "c", "d", "a"))


def _crossing() -> Scene:
    places = {"w": (0, 0), "e": (8, 0), "s": (4, -4), "m": (4, 0)}
    lanes = [("w", "m"), ("m", "e"), ("s", "m")]
    return Scene(_map("crossing", places, lanes), ("w", "e", "s"), ("e", "s", "w"))


def _swap() -> Scene:
    places = {"a": (0, 0), "b": (4, 0), "c": (8, 0), "d": (4, 4)}
    lanes = [("a", "b"), ("b", "c"), ("b", "d")]
    return Scene(_map("swap", places, lanes), ("a", "c"), ("c", "a"))


def _blocked_station() -> Scene:
    places = {"a": (0, 0), "p": (5, 0), "b": (10, 0), "q": (5, 4)}
    lanes = [("a", "p"), ("p", "b"), ("p", "q")]
    return Scene(_map("blocked station", places, lanes), ("a", "p"), ("b", None))


def _chain() -> Scene:
    places = {"a": (0, 0), "b": (4, 0), "c": (8, 0), "d": (12, 0), "e": (12, 4), "f": (16, 0)}
    lanes = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("d", "f")]
    return Scene(_map("chain", places, lanes), ("a", "b", "c"), ("f", "a", "b"))


DEADLOCKS = {
    "head-on in a corridor": _corridor,
    "ring": _ring,
    "crossing": _crossing,
    "swap of ends": _swap,
    "blocked station": _blocked_station,
    "chain": _chain,
}


def hall() -> RoadMap:
    """Return a one-way loop with picks, drops and a park on spurs."""
    places = {f"n{i}": (6.0 * i, 0.0) for i in range(5)}
    places |= {f"m{i}": (6.0 * i, 6.0) for i in range(5)}
    places |= {"p1": (6, -3), "p2": (12, -3), "d1": (6, 9), "d2": (18, 9), "c1": (18, -3)}
    loop = [(f"n{i}", f"n{i + 1}") for i in range(4)] + [("n4", "m4")]
    loop += [(f"m{i + 1}", f"m{i}") for i in range(3, -1, -1)] + [("m0", "n0")]
    spurs = [("n1", "p1"), ("n2", "p2"), ("m1", "d1"), ("m3", "d2"), ("n3", "c1")]
    nodes = {n: Node(id=n, x=float(x), y=float(y)) for n, (x, y) in places.items()}
    lanes = {f"{a}-{b}": Lane(id=f"{a}-{b}", start=a, end=b) for a, b in loop}
    lanes |= {f"{a}-{b}": Lane(id=f"{a}-{b}", start=a, end=b, both=True) for a, b in spurs}
    nodes["z"] = Node(id="z", x=27.5, y=0.0)
    lanes["n4-z"] = Lane(id="n4-z", start="n4", end="z", both=True)
    kinds = {"p1": "pick", "p2": "pick", "d1": "drop", "d2": "drop", "c1": "charge", "z": "park"}
    stations = {
        n.upper(): Station(
            id=n.upper(), x=nodes[n].x, y=nodes[n].y, kind=kind, nodes=(n,), capacity=4
        )
        for n, kind in kinds.items()
    }
    corners = ((25.2, -4.0), (33.0, -4.0), (33.0, 4.0), (25.2, 4.0))
    bay = Zone(id="Bay", polygon=corners, authority="free")
    return RoadMap(id="hall", nodes=nodes, lanes=lanes, stations=stations, zones={"Bay": bay})


def grid_hall(cell: float = 1.4) -> RoadMap:
    """Return a hall of 10 x 7 cells under PIBT, with two pillars."""
    columns, rows = 10, 7
    nodes: dict[str, Node] = {}
    stations: dict[str, Station] = {}

    def add(name: str, kind: str, row: int, column: int) -> None:
        x, y = (column + 0.5) * cell, (row + 0.5) * cell
        nodes[name] = Node(id=name, x=x, y=y)
        stations[name.upper()] = Station(id=name.upper(), x=x, y=y, kind=kind, nodes=(name,))

    for k in range(3):
        add(f"p{k}", "pick", 2 * k, 0)
        add(f"d{k}", "drop", 2 * k, columns - 1)
        add(f"z{k}", "park", rows - 1, 3 + 2 * k)

    def pillar(row: int, column: int) -> Obstacle:
        x, y = column * cell, row * cell
        return Obstacle(polygon=((x, y), (x + cell, y), (x + cell, y + cell), (x, y + cell)))

    width, height = columns * cell, rows * cell
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    zone = Zone(id="Grid", polygon=corners, authority="grid", cell=cell)
    return RoadMap(
        id="grid",
        nodes=nodes,
        stations=stations,
        zones={"Grid": zone},
        obstacles=(pillar(1, 4), pillar(3, 5)),
        extent=(0.0, 0.0, width, height),
    )


def works(*, gates: int = 2, cell: float = 1.4) -> RoadMap:
    """Return a plant with a one-way loop of lanes, a grid above it and a free bay beside it.

    Picks and drops are in all three, so that most loads cross. The grid has a gate for each
    direction, or one for both.
    """
    left, low, columns, rows = 5.3, 8.0, 7, 5
    places = {f"n{i}": (6.0 * i, 0.0) for i in range(5)}
    places |= {f"m{i}": (6.0 * i, 6.0) for i in range(5)}
    places |= {"x": (14.4, 6.0), "p1": (6.0, -3.0), "d1": (12.0, -3.0), "c1": (18.0, -3.0)}
    places |= {"z": (27.5, 0.0), "y": (30.5, 0.0)}

    def at(row: int, column: int) -> tuple[float, float]:
        return left + (column + 0.5) * cell, low + (row + 0.5) * cell

    places |= {"g1": at(0, 0), "g2": at(0, 6), "gp": at(4, 1), "gd": at(4, 5)}
    places |= {f"z{i}": at(2, column) for i, column in enumerate((1, 3, 5))} | {"z3": at(4, 3)}
    nodes = {n: Node(id=n, x=float(x), y=float(y)) for n, (x, y) in places.items()}
    loop = ["n0", "n1", "n2", "n3", "n4", "m4", "m3", "x", "m2", "m1", "m0", "n0"]
    lanes = {f"{a}-{b}": Lane(id=f"{a}-{b}", start=a, end=b) for a, b in itertools.pairwise(loop)}
    spurs = [("n1", "p1"), ("n2", "d1"), ("n3", "c1"), ("n4", "z"), ("z", "y")]
    both = [*spurs, *([("m1", "g1")] if gates == 1 else [])]
    lanes |= {f"{a}-{b}": Lane(id=f"{a}-{b}", start=a, end=b, both=True) for a, b in both}
    if gates > 1:
        lanes["m1-g1"] = Lane(id="m1-g1", start="m1", end="g1")
        lanes["g2-x"] = Lane(id="g2-x", start="g2", end="x")
    kinds = {"p1": "pick", "gp": "pick", "y": "pick", "d1": "drop", "gd": "drop", "z": "drop"}
    kinds |= {"c1": "charge"} | {f"z{i}": "park" for i in range(4)}
    stations = {
        n.upper(): Station(id=n.upper(), x=nodes[n].x, y=nodes[n].y, kind=kind, nodes=(n,))
        for n, kind in kinds.items()
    }
    right, top = left + columns * cell, low + rows * cell
    corners = ((left, low), (right, low), (right, top), (left, top))
    bay = ((25.2, -4.0), (34.0, -4.0), (34.0, 4.0), (25.2, 4.0))
    zones = {
        "Grid": Zone(id="Grid", polygon=corners, authority="grid", cell=cell),
        "Bay": Zone(id="Bay", polygon=bay, authority="free"),
    }
    return RoadMap(id="works", nodes=nodes, lanes=lanes, stations=stations, zones=zones)
