"""Who goes first, what vehicles of a fleet do, and what came of it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stagetwin_sim.traffic._bodies import SimulatedBodies, make_bodies
from stagetwin_sim.traffic._compare import (
    Comparison,
    Row,
    Study,
    Variant,
    compare,
    read_study,
    varied,
)
from stagetwin_sim.traffic._compare_picture import draw_comparison
from stagetwin_sim.traffic._fleet import FleetSimulation
from stagetwin_sim.traffic._grid import GridMap
from stagetwin_sim.traffic._grid_authority import GridAuthority
from stagetwin_sim.traffic._lanes import LaneAuthority
from stagetwin_sim.traffic._net import LaneNet
from stagetwin_sim.traffic._options import FleetOptions
from stagetwin_sim.traffic._pibt import Pibt
from stagetwin_sim.traffic._picture import draw_fleet
from stagetwin_sim.traffic._report import (
    Bottleneck,
    Figure,
    FleetReport,
    PlaceReport,
    interval,
    report_of,
)
from stagetwin_sim.traffic._route import LaneRoute

if TYPE_CHECKING:
    from stagetwin_sim.traffic._family import FLEETS
    from stagetwin_sim.traffic._stage import author_congestion, write_congestion

__all__ = [
    "FLEETS",
    "Bottleneck",
    "Comparison",
    "Figure",
    "FleetOptions",
    "FleetReport",
    "FleetSimulation",
    "GridAuthority",
    "GridMap",
    "LaneAuthority",
    "LaneNet",
    "LaneRoute",
    "Pibt",
    "PlaceReport",
    "Row",
    "SimulatedBodies",
    "Study",
    "Variant",
    "author_congestion",
    "compare",
    "draw_comparison",
    "draw_fleet",
    "interval",
    "make_bodies",
    "read_study",
    "report_of",
    "varied",
    "write_congestion",
]

# What needs USD, which bodies behind a bridge do without.
_ON_STAGES = {"FLEETS": "_family", "author_congestion": "_stage", "write_congestion": "_stage"}


def __getattr__(name: str) -> Any:
    if name not in _ON_STAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ON_STAGES[name]}"), name)
