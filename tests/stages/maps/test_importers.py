"""Foreign maps: VDMA LIF, Open-RMF buildings, MovingAI grids."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.maps import (
    Grid,
    MapError,
    NoRouteError,
    Obstacle,
    RoadMap,
    Zone,
    import_grid,
    import_lif,
    import_open_rmf,
)
from tests.stages.maps.floors import SHARED, by_id

shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the foreign files are not beside this")

# -- LIF

LIF: dict[str, Any] = {
    "metaInformation": {"lifVersion": "1.0.0"},
    "layouts": [
        {
            "layoutId": "ground",
            "layoutVersion": "4",
            "nodes": [
                {
                    "nodeId": "n1",
                    "nodeName": "Gate",
                    "mapId": "hall",
                    "nodePosition": {"x": 1, "y": 2.5},
                    "vehicleTypeNodeProperties": [
                        {"vehicleTypeId": "A", "theta": 1.5},
                        {"vehicleTypeId": "B", "theta": 1.5},
                    ],
                },
                {
                    "nodeId": "n2",
                    "mapId": "hall",
                    "nodePosition": {"x": 5, "y": 2.5},
                    "vehicleTypeNodeProperties": [
                        {
                            "vehicleTypeId": "A",
                            "actions": [{"actionType": "pick", "blockingType": "HARD"}],
                        }
                    ],
                },
            ],
            "edges": [
                {
                    "edgeId": "e1",
                    "startNodeId": "n1",
                    "endNodeId": "n2",
                    "vehicleTypeEdgeProperties": [
                        {"vehicleTypeId": "B", "maxSpeed": 1.2, "vehicleOrientation": 180},
                        {"vehicleTypeId": "A", "maxSpeed": 0.8, "vehicleOrientation": 180},
                    ],
                },
                {
                    "edgeId": "e2",
                    "startNodeId": "n2",
                    "endNodeId": "n1",
                    "vehicleTypeEdgeProperties": [
                        {
                            "vehicleTypeId": "A",
                            "maxRotationSpeed": 0.4,
                            "trajectory": {
                                "degree": 2,
                                "knotVector": [0, 0, 0, 1, 1, 1],
                                "controlPoints": [
                                    {"x": 5, "y": 2.5},
                                    {"x": 3, "y": 6.5, "weight": 2},
                                    {"x": 1, "y": 2.5},
                                ],
                            },
                        }
                    ],
                },
            ],
            "stations": [
                {
                    "stationId": "s1",
                    "stationName": "Infeed",
                    "interactionNodeIds": ["n2"],
                    "stationHeight": 0.7,
                    "stationPosition": {"x": 5.5, "y": 3.5, "theta": -0.5},
                }
            ],
        }
    ],
}


def lif(tmp_path: Path, edit: Any = None) -> Path:
    data = copy.deepcopy(LIF)
    if edit is not None:
        edit(data["layouts"][0])
    path = tmp_path / "plant.lif.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_a_layout_is_a_map(tmp_path: Path) -> None:
    road_map = import_lif(lif(tmp_path)).one("hall")
    assert road_map.version == "4"
    gate = road_map.nodes["n1"]
    assert (gate.x, gate.y, gate.theta, gate.name) == (1.0, 2.5, 1.5, "Gate")
    straight, bent = road_map.lanes["e1"], road_map.lanes["e2"]
    assert (straight.start, straight.end, straight.path) == ("n1", "n2", ())
    assert straight.vehicle_types == ("A", "B")
    assert straight.maximum_speed == 0.8  # the least of its vehicle types
    assert straight.orientation == math.pi
    assert bent.maximum_rotation_speed == 0.4
    # A conic of weight 2 passes its middle at two thirds of the way to the control point.
    assert max(y for _, y in bent.path) == pytest.approx(2.5 + 4 * 2 / 3)
    station = road_map.stations["s1"]
    assert (station.kind, station.nodes, station.height) == ("pick", ("n2",), 0.7)
    assert (station.x, station.y, station.theta) == (5.5, 3.5, -0.5)
    assert [fault for fault in road_map.faults() if fault.severity == "error"] == []


def test_an_origin_moves_and_turns_everything(tmp_path: Path) -> None:
    road_map = import_lif(lif(tmp_path), origin=(10.0, 20.0, math.pi / 2)).one()
    gate, station = road_map.nodes["n1"], road_map.stations["s1"]
    assert (gate.x, gate.y) == (7.5, 21.0)
    assert gate.theta == pytest.approx(1.5 + math.pi / 2)
    assert (station.x, station.y) == (6.5, 25.5)
    assert station.theta == pytest.approx(-0.5 + math.pi / 2)
    x, y = max(road_map.lanes["e2"].path, key=lambda point: -point[0])
    assert (x, y) == pytest.approx((10 - 2.5 - 8 / 3, 23.0))


def test_headings_beyond_half_a_turn_are_degrees(tmp_path: Path) -> None:
    def edit(layout: Any) -> None:
        layout["nodes"][0]["vehicleTypeNodeProperties"] = [{"vehicleTypeId": "A", "theta": 270}]

    imported = import_lif(lif(tmp_path, edit))
    assert imported.one().nodes["n1"].theta == pytest.approx(-math.pi / 2)
    assert any("in degrees" in note for note in imported.notes)
    radians = import_lif(lif(tmp_path, edit), degrees=False).one()
    assert radians.nodes["n1"].theta == pytest.approx(math.remainder(270, 2 * math.pi))


def remove(*path: str | int) -> Any:
    def edit(layout: Any) -> None:
        at = layout
        for key in path[:-1]:
            at = at[key]
        del at[path[-1]]

    return edit


def put(value: Any, *path: str | int) -> Any:
    def edit(layout: Any) -> None:
        at = layout
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (remove("nodes"), r"layouts\[0\]\.nodes: is missing; a list"),
        (remove("layoutId"), r"layouts\[0\]\.layoutId: is missing"),
        (remove("nodes", 1, "nodeId"), r"nodes\[1\]\.nodeId: is missing"),
        (remove("nodes", 0, "nodePosition"), r"nodes\[0\]\.nodePosition: is missing"),
        (remove("nodes", 0, "nodePosition", "y"), r"nodePosition\.y: is missing; a number"),
        (
            put("1,5", "nodes", 0, "nodePosition", "x"),
            r"nodePosition\.x: must be a number, got tex",
        ),
        (put(True, "nodes", 0, "nodePosition", "x"), "must be a number, got true or false"),
        (put({}, "edges"), r"layouts\[0\]\.edges: must be a list, got an object"),
        (put(7, "edges", 0), r"edges\[0\]: must be an object, got 7"),
        (remove("edges", 0, "endNodeId"), r"edges\[0\]\.endNodeId: is missing"),
        (
            put(-1, "edges", 1, "vehicleTypeEdgeProperties", 0, "maxSpeed"),
            "maxSpeed must be 0 or more, got -1",
        ),
    ],
)
def test_what_a_layout_lacks_is_named_with_file_and_field(
    tmp_path: Path, edit: Any, says: str
) -> None:
    path = lif(tmp_path, edit)
    with pytest.raises(MapError, match=says) as caught:
        import_lif(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "says", "lanes", "stations"),
    [
        (put("gone", "edges", 0, "endNodeId"), "edge 'e1' leads to 'gone'", 1, 1),
        (put("e1", "edges", 1, "edgeId"), "id 'e1' is there already", 1, 1),
        (
            put([0, 1], "edges", 1, "vehicleTypeEdgeProperties", 0, "trajectory", "knotVector"),
            "need 6 knots, got 2; the lane is straight",
            2,
            1,
        ),
        (
            put(["gone", "n2"], "stations", 0, "interactionNodeIds"),
            "'gone', which is no node",
            2,
            1,
        ),
        (
            put(90.5, "edges", 0, "vehicleTypeEdgeProperties", 0, "vehicleOrientation"),
            "differ in orientation",
            2,
            1,
        ),
    ],
)
def test_what_is_not_taken_as_it_stands_is_noted(
    tmp_path: Path, edit: Any, says: str, lanes: int, stations: int
) -> None:
    imported = import_lif(lif(tmp_path, edit))
    assert any(says in note and "layouts[0]" in note for note in imported.notes), imported.notes
    assert (len(imported.one().lanes), len(imported.one().stations)) == (lanes, stations)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no JSON"),
        ('{"layouts": [}', "line 1 column 14"),
        ("[1]", "must be an object, got a list"),
        ("{}", "layouts: is missing"),
    ],
)
def test_what_is_no_lif_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(MapError, match=says):
        import_lif(path)
    with pytest.raises(MapError, match="No such file"):
        import_lif(tmp_path / "none.json")
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(MapError, match="no UTF-8"):
        import_lif(path)


@shared
def test_the_standards_own_example_is_read() -> None:
    imported = import_lif(SHARED / "lif" / "example.lif.json")
    main = imported.one("map-001")
    assert sorted(main.nodes) == ["node-001", "node-002"]
    assert main.lanes["edge-001"].maximum_speed == 1.5
    assert main.lanes["edge-002"].orientation == math.pi
    assert main.stations["station-001"].nodes == ("node-001", "node-002")
    assert len(imported.maps) == 2
    # Its only trajectory has two control points for a degree of 3.
    assert any("degree 3 needs 4 control points or more, got 2" in note for note in imported.notes)


# -- Open-RMF


def vertex(x: float, y: float, name: str = "", **parameters: Any) -> list[Any]:
    codes = {str: 1, int: 2, float: 3, bool: 4}
    return [x, y, 0, name, {key: [codes[type(v)], v] for key, v in parameters.items()}]


def lane(a: int, b: int, **parameters: Any) -> list[Any]:
    return [a, b, vertex(0, 0, **parameters)[4]]


def building() -> dict[str, Any]:
    return {
        "name": "b",
        "coordinate_system": "reference_image",
        "levels": {
            "L1": {
                "vertices": [
                    vertex(0, 0),
                    vertex(100, 0),
                    vertex(100, 200, "dock", is_charger=True, dock_name="d1"),
                    vertex(300, 200, "", pickup_dispenser="cans", dropoff_ingestor="bin"),
                    vertex(300, 400, "lobby", is_parking_spot=True),
                    vertex(500, 400, "lost", is_charger=True),
                ],
                "measurements": [[0, 1, {"distance": [3, 5.0]}]],
                "lanes": [
                    lane(2, 3, bidirectional=True, graph_idx=0, speed_limit=0.5),
                    lane(3, 4, bidirectional=False, graph_idx=0, orientation="backward"),
                    lane(4, 2, bidirectional=False, graph_idx=1, speed_limit=0.0),
                ],
                "walls": [[0, 1, {}]],
                "floors": [{"vertices": [0, 1, 4], "parameters": {}}],
            }
        },
    }


def written(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "b.building.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_a_building_is_in_metres_with_y_up(tmp_path: Path) -> None:
    imported = import_open_rmf(written(tmp_path, building()))
    road_map = imported.one("L1")
    # 100 pixels are 5 m, and the drawing's y points down.
    assert {n.id: (n.x, n.y) for n in road_map.nodes.values()} == {
        "dock": (5.0, -10.0),
        "v3": (15.0, -10.0),
        "lobby": (15.0, -20.0),
    }
    both = road_map.lanes["0:dock-v3"]
    assert (both.both, both.maximum_speed, both.vehicle_types) == (True, 0.5, ("graph 0",))
    assert road_map.lanes["0:v3-lobby"].orientation == math.pi
    assert road_map.lanes["1:lobby-dock"].maximum_speed is None
    stations = {s.id: (s.kind, s.nodes, s.name) for s in road_map.stations.values()}
    assert stations == {
        "dock": ("charge", ("dock",), "d1"),
        "v3": ("transfer", ("v3",), "cans"),
        "lobby": ("park", ("lobby",), ""),
    }
    (wall,) = road_map.obstacles
    assert {(round(x, 6), round(y, 6)) for x, y in wall.polygon} == {
        (-0.05, -0.05),
        (5.05, -0.05),
        (5.05, 0.05),
        (-0.05, 0.05),
    }
    assert road_map.extent == (0.0, -20.0, 15.0, 0.0)
    assert any("'lost' lies on no lane" in note for note in imported.notes)


def test_one_graph_is_for_everybody(tmp_path: Path) -> None:
    path = written(tmp_path, building())
    road_map = import_open_rmf(path, graph=0, origin=(100.0, 50.0, 0.0)).one()
    assert sorted(road_map.lanes) == ["dock-v3", "v3-lobby"]
    assert {each.vehicle_types for each in road_map.lanes.values()} == {()}
    assert (road_map.nodes["dock"].x, road_map.nodes["dock"].y) == (105.0, 40.0)
    with pytest.raises(NoRouteError):  # the only lane back is of the other graph
        road_map.route("lobby", "dock")


def test_a_level_without_a_measurement_is_placed_by_fiducials(tmp_path: Path) -> None:
    data = building()
    first = data["levels"]["L1"]
    first["fiducials"] = [[0, 0, "p"], [200, 0, "q"]]
    # Drawn at half the size, turned by a quarter, and shifted.
    second = {"vertices": [vertex(10, 20), vertex(10, 70)], "lanes": [lane(0, 1)]}
    second["fiducials"] = [[10, 20, "p"], [10, 120, "q"]]
    data["levels"][2] = second
    data["reference_level_name"] = "L1"
    road_map = import_open_rmf(written(tmp_path, data), level="2").one()
    places = [(n.x, n.y) for n in road_map.nodes.values()]
    assert places == [pytest.approx((0.0, 0.0)), pytest.approx((5.0, 0.0))]


def test_metric_buildings_have_y_up_already(tmp_path: Path) -> None:
    data = building()
    data["coordinate_system"] = "cartesian_meters"
    assert import_open_rmf(written(tmp_path, data)).one().nodes["dock"].y == 200.0


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda b: b.pop("levels"), "levels: is missing"),
        (lambda b: b.update(coordinate_system="wgs84"), "reference_image, cartesian_meters"),
        (
            lambda b: b["levels"]["L1"].pop("measurements"),
            r"L1\.measurements: the scale is not kno",
        ),
        (
            lambda b: b["levels"]["L1"]["measurements"][0][2].update(distance=[3, 0.0]),
            r"measurements\[0\]: a measurement has a distance above 0 m, got 0",
        ),
        (
            lambda b: b["levels"]["L1"]["lanes"].append([0, 99, {}]),
            r"lanes\[3\]: begins with two vertices, 0 to 5, got \[0, 99",
        ),
        (lambda b: b["levels"]["L1"]["vertices"].append([1]), r"vertices\[6\]: a vertex is \[x, y"),
        (
            lambda b: b["levels"]["L1"]["vertices"].append(["a", 1, 0, ""]),
            r"vertices\[6\]\[0\]: must be a number, got text",
        ),
        (
            lambda b: b["levels"]["L1"]["lanes"][0][2].update(graph_idx=[2]),
            r"lanes\[0\]: graph_idx must be \[type, value\]",
        ),
    ],
)
def test_what_a_building_lacks_is_named(tmp_path: Path, edit: Any, says: str) -> None:
    data = building()
    edit(data)
    path = written(tmp_path, data)
    with pytest.raises(MapError, match=says) as caught:
        import_open_rmf(path)
    assert str(path) in str(caught.value)


def test_broken_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("levels:\n  L1: [1\n  x: 3\n")
    with pytest.raises(MapError, match="line 3, column"):
        import_open_rmf(path)
    with pytest.raises(MapError, match="no level 'L9'; levels: L1"):
        import_open_rmf(written(tmp_path, building()), level="L9")


@shared
def test_the_office_of_open_rmf_is_read() -> None:
    path = SHARED / "open-rmf" / "office.building.yaml"
    road_map = import_open_rmf(path, graph=0).one("L1")
    assert [fault for fault in road_map.faults() if fault.severity == "error"] == []
    raw = yaml.safe_load(path.read_text())["levels"]["L1"]
    used = {v for row in raw["lanes"] for v in row[:2]}
    assert len(road_map.nodes) == len(used)
    assert len(road_map.lanes) == len(raw["lanes"])
    assert {s.kind for s in road_map.stations.values()} == {"charge", "pick", "drop", "park"}
    # The building is some 21 m wide, and the coffee is delivered along the corridors.
    assert road_map.extent is not None
    assert 15 < road_map.extent[2] - road_map.extent[0] < 30
    assert road_map.route("pantry", "hardware_2").length > 5


# -- grids


def grid_text(rows: list[str]) -> str:
    return "\n".join(["type octile", f"height {len(rows)}", f"width {len(rows[0])}", "map", *rows])


@given(
    st.integers(1, 9).flatmap(
        lambda width: st.lists(
            st.text(".GS@OTW", min_size=width, max_size=width), min_size=1, max_size=9
        )
    )
)
def test_rectangles_cover_what_is_shut_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.map"
    path.write_text(grid_text(rows))
    road_map, grid = import_grid(path, 0.5, origin=(3.0, -2.0, 0.0))
    shut = sum(mark in "@OTW" for row in rows for mark in row)
    assert (~grid.free).sum() == shut
    areas = [
        (p[2][0] - p[0][0]) * (p[2][1] - p[0][1]) for p in (o.polygon for o in road_map.obstacles)
    ]
    assert sum(areas) == pytest.approx(shut * 0.25)
    # The first row of the file is the northernmost.
    assert grid.free[-1].tolist() == [mark in ".GS" for mark in rows[0]]
    again = Grid.of(road_map, "grid")
    assert (again.free == grid.free).all()
    assert (again.x, again.y, again.cell) == (grid.x, grid.y, grid.cell)
    assert grid.at(*grid.centre(0, len(rows[0]) - 1)) == (0, len(rows[0]) - 1)
    assert grid.at(2.9, 0.0) is None
    assert [f for f in road_map.faults() if f.severity == "error"] == []


def test_cells_of_a_slanted_zone_lie_in_it_whole() -> None:
    zone = Zone(
        id="z",
        authority="grid",
        cell=1.0,
        polygon=((0.0, 0.0), (4.0, 0.0), (4.0, 1.0), (2.0, 3.0), (0.0, 3.0)),
    )
    crate = Obstacle(polygon=((0.5, 0.5), (1.0, 0.5), (0.5, 1.0)))
    grid = Grid.of(RoadMap(id="m", zones=by_id(zone), obstacles=(crate,)), zone)
    assert grid.free.tolist() == [
        [False, True, True, True],
        [True, True, True, False],
        [True, True, False, False],
    ]
    for broken in (None, 0.0):
        with pytest.raises(MapError, match="cell above 0 m"):
            Grid.of(RoadMap(id="m"), Zone(id="z", polygon=zone.polygon, cell=broken))
    with pytest.raises(MapError, match="no zone 'x'"):
        Grid.of(RoadMap(id="m"), "x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("type octile\nheight 1\nwidth 2\n..", "no line 'map'"),
        ("height x\nwidth 2\nmap\n..", "height must be a whole number above 0, got 'x'"),
        ("height 1\nmap\n..", "width must be a whole number above 0, got ''"),
        ("height 2\nwidth 2\nmap\n..", "height is 2, got 1 rows"),
        ("height 1\nwidth 2\nmap\n...", "line 4: width is 2, got 3 cells"),
        ("height 1\nwidth 2\nmap\n.?", r"line 4: cells are \. G S @ O T W, got '\?'"),
        ("height 99999\nwidth 99999\nmap\n", "cells, 50000000 are allowed"),
    ],
)
def test_what_is_no_grid_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.map"
    path.write_text(text)
    with pytest.raises(MapError, match=says):
        import_grid(path)


@pytest.mark.parametrize("cell", [0.0, -1.0, math.nan, math.inf])
def test_a_cell_has_a_size(tmp_path: Path, cell: float) -> None:
    path = tmp_path / "a.map"
    path.write_text(grid_text([".."]))
    with pytest.raises(MapError, match="above 0 m"):
        import_grid(path, cell)
    with pytest.raises(MapError, match="along the axes"):
        import_grid(path, origin=(0.0, 0.0, 0.1))


@shared
@pytest.mark.parametrize("name", ["den312d", "maze-32-32-4", "random-64-64-20", "empty-48-48"])
def test_public_grids_are_read(name: str) -> None:
    path = SHARED / "grids" / f"{name}.map"
    road_map, grid = import_grid(path)
    rows = path.read_text().split("map\n", 1)[1].split()
    assert grid.free.shape == (len(rows), len(rows[0]))
    assert int(grid.free.sum()) == sum(row.count(".") + row.count("G") for row in rows)
    assert np.array_equal(Grid.of(road_map, "grid").free, grid.free)
