"""Maps of floors: read from a stage, from foreign formats, and as data in processes without USD."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stagetwin._errors import MapError, NoRouteError
from stagetwin.maps._faults import AUTHORITIES, KINDS, LIMITATIONS, ZONE_TYPES, MapFault
from stagetwin.maps._graph import Route
from stagetwin.maps._grids import Grid, import_grid
from stagetwin.maps._imported import Imported
from stagetwin.maps._lif import import_lif
from stagetwin.maps._open_rmf import import_open_rmf
from stagetwin.maps._poses import Poses, PoseTrack, import_poses
from stagetwin.maps._road_map import Lane, Node, Obstacle, RoadMap, Station, Zone
from stagetwin.maps._splines import nurbs_points
from stagetwin.maps.geometry import Point

if TYPE_CHECKING:
    from stagetwin.maps._author import author_map
    from stagetwin.maps._frame import MapFrame
    from stagetwin.maps._read import MAP_APIS, MapReading, read_map, read_maps
    from stagetwin.maps._replay import author_poses

__all__ = [
    "AUTHORITIES",
    "KINDS",
    "LIMITATIONS",
    "MAP_APIS",
    "ZONE_TYPES",
    "Grid",
    "Imported",
    "Lane",
    "MapError",
    "MapFault",
    "MapFrame",
    "MapReading",
    "NoRouteError",
    "Node",
    "Obstacle",
    "Point",
    "PoseTrack",
    "Poses",
    "RoadMap",
    "Route",
    "Station",
    "Zone",
    "author_map",
    "author_poses",
    "import_grid",
    "import_lif",
    "import_open_rmf",
    "import_poses",
    "nurbs_points",
    "read_map",
    "read_maps",
]

# What needs USD, which bridges and command clients do without.
_ON_STAGES = {
    "MAP_APIS": "_read",
    "MapFrame": "_frame",
    "MapReading": "_read",
    "author_map": "_author",
    "author_poses": "_replay",
    "read_map": "_read",
    "read_maps": "_read",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_STAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ON_STAGES[name]}"), name)
