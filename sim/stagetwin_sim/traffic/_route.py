"""Cells of lanes, and routes over them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from stagetwin.maps import Point

__all__ = ["Cell", "LaneRoute", "Step"]


@dataclass(frozen=True)
class Cell:
    """A piece of a lane in one direction, or the place of a node.

    Attributes:
        area: what vehicles sweep while their centre is in it.
        lane: whose; empty for a node.
        forward: in which direction of the lane.
        begin, end: along the lane in that direction [m].
        node: of which node; empty for a lane.
        x, y: its middle [m].
    """

    area: tuple[Point, ...]
    lane: str = ""
    forward: bool = True
    begin: float = 0.0
    end: float = 0.0
    node: str = ""
    x: float = 0.0
    y: float = 0.0


class Step(NamedTuple):
    """A cell on a route.

    Attributes:
        cell: number.
        begin, end: between which distances along the route the centre is in it [m].
        rest: whether a vehicle may stand at its end for as long as it likes.
    """

    cell: int
    begin: float
    end: float
    rest: bool


@dataclass(frozen=True)
class LaneRoute:
    """A way by lanes, as a vehicle drives it.

    Attributes:
        steps: cells in driving order.
        points: polyline [m].
        limits: highest speed on each of its segments [m/s]; negative is backward.
        theta: heading at the end [rad]; NaN for any.
        goal: the node where it ends; empty on the way.
        nodes: ids on the way, where it goes by nodes.
    """

    steps: tuple[Step, ...]
    points: tuple[Point, ...]
    limits: tuple[float, ...]
    theta: float = math.nan
    goal: str = ""
    nodes: tuple[str, ...] = ()

    @property
    def length(self) -> float:
        """Length of the way [m]."""
        return self.steps[-1].end
