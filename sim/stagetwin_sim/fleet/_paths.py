"""Where the polylines of vehicles lie, and how the host writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import FleetError
from stagetwin_sim.fleet._plan import MotionPlan
from stagetwin_sim.fleet._state_kernels import PathTable

__all__ = ["Paths", "measured"]

Floats = npt.NDArray[np.float64]


def measured(points: Sequence[Sequence[float]], what: str) -> tuple[Floats, Floats]:
    """Return the points of a polyline and the arc length at each [m].

    A point at the place of the one before it is left out.

    Raises:
        FleetError: there is no point, or one is not finite.
    """
    given = np.asarray(points, np.float64)
    if given.ndim != 2 or given.shape[1] != 2 or not len(given) or not np.isfinite(given).all():
        raise FleetError(f"{what}: a path has finite points (x, y), got shape {given.shape}")
    apart = np.hypot(*np.diff(given, axis=0).T)
    kept = np.concatenate([[True], apart > 1e-4])
    # The end is where it was asked for, so that of two that coincide there the last one stays.
    if len(given) > 1 and not kept[-1]:
        kept[np.nonzero(kept)[0][-1]] = kept.sum() == 1 and len(given) == 1
        kept[-1] = True
    given = given[kept]
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(given, axis=0).T))])
    return given, along


class Paths:
    """The path table of a motion: a row for each vehicle of each world, and the shared paths.

    Attributes:
        table: the arrays, a `PathTable`.
        capacity: points of a row.
        shared: begin, count and length [m] of each shared path.
    """

    def __init__(self, plan: MotionPlan, worlds: int, device: str) -> None:
        self.capacity = plan.path_points
        self._vehicles = plan.vehicles
        own = worlds * plan.vehicles * self.capacity
        points, along, limits = [np.zeros((own, 2))], [np.zeros(own)], [np.full(own, math.inf)]
        self.shared: list[tuple[int, int, float]] = []
        begin = own
        for number, line in enumerate(plan.shared_paths):
            xy, s = measured(line, f"shared path {number}")
            said = plan.shared_limits[number] if number < len(plan.shared_limits) else None
            points.append(xy)
            along.append(s)
            limits.append(limits_of(said, len(xy), f"shared path {number}"))
            self.shared.append((begin, len(xy), float(s[-1])))
            begin += len(xy)
        self.table: Any = PathTable()
        joined = np.vstack(points).astype(np.float32)
        self.table.points = wp.array(joined, dtype=wp.vec2, device=device)
        self.table.along = wp.array(
            np.concatenate(along).astype(np.float32), dtype=wp.float32, device=device
        )
        self.table.limits = wp.array(
            np.concatenate(limits).astype(np.float32), dtype=wp.float32, device=device
        )
        self._own = own

    def row(self, world: int, vehicle: int) -> int:
        """Return where a vehicle's own row begins in the table."""
        return (world * self._vehicles + vehicle) * self.capacity

    def own(self) -> dict[str, wp.array[Any]]:
        """Return the part of the table that rows of vehicles are, as arrays."""
        table = self.table
        return {
            "path_points": table.points[: self._own],
            "path_along": table.along[: self._own],
            "path_limits": table.limits[: self._own],
        }


def limits_of(given: Sequence[float] | float | None, count: int, what: str) -> Floats:
    """Return a limit of speed for each point of a path [m/s]; of the last it says nothing.

    Raises:
        FleetError: there is not one for each segment, or one is 0 or not a number.
    """
    segments = max(count - 1, 1)
    values = np.full(segments, math.inf) if given is None else np.asarray(given, np.float64)
    values = np.broadcast_to(values, segments) if values.ndim == 0 else values
    if len(values) != segments or np.isnan(values).any() or (values == 0.0).any():
        text = f"limits must be {segments}, not 0, for each segment one"
        raise FleetError(f"{what}: {text}, got {np.asarray(given).tolist()}")
    return np.concatenate([values, values[-1:]])[:count]
