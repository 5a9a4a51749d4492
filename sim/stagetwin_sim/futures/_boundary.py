"""The boundary of a future: forecasts, set-points and actuators, in place of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import warp as wp

from stagetwin_sim.engine import Context, Saved
from stagetwin_sim.futures._arrays import Arrays, device_array, ragged
from stagetwin_sim.futures._boundary_kernels import drive_kernel, link_kernel
from stagetwin_sim.futures._forecast import Forecast, Mode
from stagetwin_sim.plant import Feed

__all__ = ["Boundary", "BoundaryPlan", "Course", "Link", "LinksPlan", "Row"]


@dataclass(frozen=True, slots=True)
class Course:
    """How a row moves in one world.

    Attributes:
        mode: of `Mode`.
        numbers: what the mode needs: of SINE the wave, of RATE [unit/s], of LAG the part of the
            way that a frame covers.
        points: times [s] and values, of SETPOINT, LINEAR and STEPPED.
    """

    mode: int = Mode.NONE
    numbers: tuple[float, ...] = ()
    points: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, forecast: Forecast) -> Course:
        """Return the course of a forecast."""
        numbers = forecast.wave if forecast.mode == Mode.SINE else ()
        return cls(forecast.mode, numbers, forecast.points)


@dataclass(frozen=True, slots=True)
class Row:
    """One signal or set-point that moves.

    Attributes:
        slot: column that holds it.
        feeds: columns of models that take it.
        courses: one for each world.
        source: column that an actuator follows, -1 for none.
    """

    slot: int
    feeds: tuple[Feed, ...]
    courses: Sequence[Course]
    source: int = -1


@dataclass(frozen=True, slots=True)
class Link:
    """A prediction that stands for a signal: `bus[target] = bus[source] * scale + offset`.

    Attributes:
        source, target: columns.
        scale, offset: of it.
        open: in which worlds; None is all.
    """

    source: int
    target: int
    scale: float
    offset: float
    open: tuple[bool, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class BoundaryPlan:
    """What a Boundary is made from. More worlds than it was made for repeat its own.

    Attributes:
        rows: what moves.
        starts: ticks at the fork, shape (worlds,).
    """

    rows: Sequence[Row]
    starts: Sequence[int]
    name: str = "future:boundary"

    def build(self, context: Context) -> Boundary:
        """See SystemPlan."""
        return Boundary(self, context)


class Boundary:
    """The rows of a boundary in every world. Its state is all of what they are told."""

    captured = True

    def __init__(self, plan: BoundaryPlan, context: Context) -> None:
        self.name = plan.name
        self.rate = 1 / context.frame
        self._context = context
        # Actuators go last, for they read what the others set in the same frame.
        rows = sorted(plan.rows, key=lambda row: row.source >= 0)
        self._free = sum(row.source < 0 for row in rows)
        self._bound = len(rows) - self._free
        device, worlds = context.device, context.worlds
        courses = [[row.courses[w % len(row.courses)] for row in rows] for w in range(worlds)]
        tables: dict[tuple[tuple[float, float], ...], int] = {}
        points: list[tuple[float, float]] = []
        # Of all worlds that were planned, however many there are here: a state may come from any.
        for course in (c for row in rows for c in row.courses):
            if course.points not in tables:
                tables[course.points] = len(points)
                points.extend(course.points)
        numbers = np.zeros((worlds, len(rows), 4))
        for w, world in enumerate(courses):
            for r, course in enumerate(world):
                numbers[w, r, : len(course.numbers)] = course.numbers
        self._state = Arrays(plan.name, device)
        self._state.add("modes", _grid([[c.mode for c in world] for world in courses]), "i")
        self._state.add("numbers", numbers, "f")
        begins = [[tables[c.points] for c in world] for world in courses]
        self._state.add("begins", _grid(begins), "i")
        counts = [[len(c.points) for c in world] for world in courses]
        self._state.add("counts", _grid(counts), "i")
        self._state.add("starts", np.resize(plan.starts, worlds), "l")
        self._slots = device_array([row.slot for row in rows], "i", device)
        self._sources = device_array([row.source for row in rows], "i", device)
        self._times = device_array([t for t, _ in points], "f", device)
        self._points = device_array([v for _, v in points], "f", device)
        feeds = [list(row.feeds) for row in rows]
        flat = [feed for each in feeds for feed in each]
        self._feed_begins = device_array(ragged(feeds), "i", device)
        self._feed_columns = device_array([feed.column for feed in flat], "i", device)
        self._feed_scales = device_array([feed.scale for feed in flat], "f", device)
        self._feed_offsets = device_array([feed.offset for feed in flat], "f", device)

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        for first, count in ((0, self._free), (self._free, self._bound)):
            if count:
                self._drive(first, count)

    def _drive(self, first: int, count: int) -> None:
        context, state = self._context, self._state
        wp.launch(
            drive_kernel,
            dim=(context.worlds, count),
            inputs=[
                first,
                self._slots,
                state["modes"],
                state["numbers"],
                self._sources,
                state["begins"],
                state["counts"],
                self._times,
                self._points,
                self._feed_begins,
                self._feed_columns,
                self._feed_scales,
                self._feed_offsets,
                context.ticks,
                state["starts"],
                wp.float64(context.frame),
            ],
            outputs=[context.bus],
            device=context.device,
        )

    def save(self) -> Saved:
        """See System."""
        return self._state.save()

    def load(self, saved: Saved) -> None:
        """See System."""
        self._state.load(saved)


@dataclass(frozen=True, kw_only=True)
class LinksPlan:
    """What Links are made from."""

    links: Sequence[Link]
    name: str = field(default="future:links")

    def build(self, context: Context) -> Links:
        """See SystemPlan."""
        return Links(self, context)


class Links:
    """What models predicted, taken to the models and rules that would have measured it."""

    captured = True

    def __init__(self, plan: LinksPlan, context: Context) -> None:
        self.name = plan.name
        self.rate = 1 / context.frame
        self._context = context
        self._count = len(plan.links)
        device = context.device
        links = plan.links
        switched = [link for link in links if link.open is not None]
        switches = [switched.index(link) if link.open is not None else -1 for link in links]
        opened = [np.resize(link.open or (), context.worlds) for link in switched]
        self._state = Arrays(plan.name, device)
        self._state.add("open", np.array(opened).reshape(-1, context.worlds).T, "i")
        self._fixed: Mapping[str, wp.array[Any]] = {
            "sources": device_array([link.source for link in links], "i", device),
            "targets": device_array([link.target for link in links], "i", device),
            "scales": device_array([link.scale for link in links], "f", device),
            "offsets": device_array([link.offset for link in links], "f", device),
            "switches": device_array(switches, "i", device),
        }

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        if self._count:
            wp.launch(
                link_kernel,
                dim=(self._context.worlds, self._count),
                inputs=[*self._fixed.values(), self._state["open"]],
                outputs=[self._context.bus],
                device=self._context.device,
            )

    def save(self) -> Saved:
        """See System."""
        return self._state.save()

    def load(self, saved: Saved) -> None:
        """See System."""
        self._state.load(saved)


def _grid(values: Sequence[Sequence[int]]) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return values by world, shape (worlds, rows), also where there are no rows."""
    return np.array(values, np.int32).reshape(len(values), -1)
