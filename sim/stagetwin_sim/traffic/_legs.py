"""Legs as a polyline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from stagetwin.fleets import Leg
from stagetwin_sim._errors import TrafficError

__all__ = ["check_leg", "ends_of", "polyline", "rotation_within"]

_REACH = 1.5
"""A leg's limit holds from so far before its begin, so that a bend is not entered too fast [m]."""


def check_leg(leg: Leg, vehicle: int) -> None:
    """Refuse a leg that nobody can drive.

    Raises:
        TrafficError: it is nowhere, or its limits are not above 0.
    """
    places = [(leg.x, leg.y), *leg.path]
    if not all(math.isfinite(v) for place in places for v in place) or math.isinf(leg.theta):
        raise TrafficError(f"vehicle {vehicle}: a leg's places are finite, got {leg}")
    if not (leg.speed > 0 and leg.rotation_speed > 0):
        raise TrafficError(f"vehicle {vehicle}: a leg's speeds are above 0, got {leg}")


def polyline(legs: Sequence[Leg]) -> tuple[list[tuple[float, float]], list[float]]:
    """Return the points of legs without their begin [m], and the speed on each segment [m/s]."""
    points: list[tuple[float, float]] = []
    limits: list[float] = []
    for leg in legs:
        points += [*leg.path, (leg.x, leg.y)]
        # A segment whose limit is negative is driven backward.
        limits += [-leg.speed if leg.backward else leg.speed] * (len(leg.path) + 1)
    return points, limits


def ends_of(start: tuple[float, float], legs: Sequence[Leg]) -> list[float]:
    """Return how far along the path of legs each of them ends [m]."""
    ends, far, here = [], 0.0, start
    for leg in legs:
        for place in (*leg.path, (leg.x, leg.y)):
            far += math.dist(here, place)
            here = place
        ends.append(far)
    return ends


def rotation_within(legs: Iterable[tuple[Leg, float]], at: float) -> float:
    """Return how fast a vehicle may turn where it is, on its leg and those near ahead [rad/s].

    Args:
        legs: under way, with where each ends along the path [m].
        at: how far along it is [m].
    """
    limit, begin = math.inf, -math.inf
    for leg, end in legs:
        if begin > at + _REACH:
            break
        limit = min(limit, leg.rotation_speed)
        begin = end
    return limit
