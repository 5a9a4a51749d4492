"""What came of a fleet's work: figures with intervals, and the bottleneck."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from stagetwin_sim.traffic._counts import SHARES

if TYPE_CHECKING:
    from stagetwin_sim.traffic._fleet import FleetSimulation

__all__ = ["FIGURES", "Bottleneck", "Figure", "FleetReport", "PlaceReport", "interval", "report_of"]

FIGURES = {
    "throughput": ("tasks an hour", "1/h"),
    "task_time": ("time of a task", "s"),
    "wait_per_task": ("waiting in a task", "s"),
    "driving": ("driving", "%"),
    "waiting": ("waiting", "%"),
    "loading": ("loading", "%"),
    "charging": ("charging", "%"),
    "idle": ("idle", "%"),
    "collisions": ("collisions", "1"),
    "bumps": ("bumped by people", "1"),
    "near_misses": ("near misses", "1"),
    "deadlocks": ("deadlocks", "1"),
    "deadlock_time": ("longest deadlock", "s"),
    "yields": ("sent out of the way", "1"),
    "turned_away": ("loads turned away", "1"),
    "energy_per_task": ("energy of a task", "W.h"),
}
"""Figures of a world: what they are, and their units."""


class Figure(msgspec.Struct, frozen=True):
    """A figure over all worlds.

    Attributes:
        mean: of the worlds.
        low, high: bounds of the mean with 95 % confidence; NaN for one world.
        values: of each world.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]


class PlaceReport(msgspec.Struct, frozen=True, kw_only=True):
    """How it went at a lane, a node or a station; over all worlds.

    Attributes:
        kind: `lane`, `node`, `station` or `zone`.
        name: its id.
        share: of all waiting, that it caused.
        caused: how long vehicles waited for it [s an hour].
        waited: how long vehicles waited on it [s an hour].
        passed: vehicles that left it behind [1/h].
    """

    kind: str
    name: str
    share: float
    caused: float
    waited: float
    passed: float


class Bottleneck(msgspec.Struct, frozen=True):
    """What most of the waiting is for.

    Attributes:
        kind: as in PlaceReport, or `none`.
        name: its id.
        share: of all waiting, that it causes.
        evidence: in words.
    """

    kind: str
    name: str
    share: float
    evidence: str


class FleetReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        map: id of the map.
        minutes: of the plant.
        vehicles, worlds, seed: as asked for.
        figures: by name, as in FIGURES.
        places: lanes, nodes and stations, what causes most waiting first.
        bottleneck: the first of them, with the evidence.
        lost_messages: of all worlds.
        people_waiting: share of the waiting that people in protective fields cause.
        spent: on the wall [s].
    """

    map: str
    minutes: float
    vehicles: int
    worlds: int
    seed: int
    figures: dict[str, Figure]
    places: tuple[PlaceReport, ...]
    bottleneck: Bottleneck
    lost_messages: int = 0
    people_waiting: float = 0.0
    spent: float = 0.0


def interval(values: Sequence[float]) -> Figure:
    """Return the mean of independent values and its 95 % interval.

    Source: Student, "The probable error of a mean", Biometrika 6 (1908).
    """
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return Figure(math.nan, math.nan, math.nan, tuple(values))
    mean = float(np.mean(known))
    if len(known) < 2:
        return Figure(mean, math.nan, math.nan, tuple(values))
    from scipy.stats import t  # loads slowly

    half = (
        float(t.ppf(0.975, len(known) - 1)) * float(np.std(known, ddof=1)) / math.sqrt(len(known))
    )
    return Figure(mean, mean - half, mean + half, tuple(values))


def report_of(fleet: FleetSimulation, spent: float = 0.0) -> FleetReport:
    """Return what came of a simulation so far."""
    columns: dict[str, list[float]] = {name: [] for name in FIGURES}
    for world in range(fleet.worlds):
        for name, value in _world(fleet, world).items():
            columns[name].append(value)
    places = _places(fleet)
    lost = int(fleet.lanes.column("lost").sum()) + sum(record.lost for record in fleet.records)
    lost += sum(int(grid.graph.lost.numpy().sum()) for grid in fleet.grids.values())
    total = float(fleet.counts.times[..., 1].sum())
    return FleetReport(
        map=fleet.road_map.id,
        minutes=fleet.time / 60,
        vehicles=fleet.count,
        worlds=fleet.worlds,
        seed=fleet.seeds[0],
        figures={name: interval(values) for name, values in columns.items()},
        places=tuple(places),
        bottleneck=_bottleneck(places),
        lost_messages=lost,
        people_waiting=float(fleet.counts.blocked.sum()) / total if total else 0.0,
        spent=spent,
    )


def _world(fleet: FleetSimulation, world: int) -> dict[str, float]:
    record, state = fleet.records[world], fleet.motion.state
    hours = max(fleet.time, 1e-9) / 3600
    done = record.done
    times = fleet.counts.times[world].sum(axis=0)
    share = 100 * times / max(float(times.sum()), 1e-9)
    ended = [
        (each.ended if each.ended >= 0 else fleet.time) - each.begun for each in record.deadlocks
    ]
    used = float(state.energy.numpy()[world].sum()) / 3600
    return {
        "throughput": len(done) / hours,
        "task_time": float(np.mean([t.done - t.assigned for t in done])) if done else math.nan,
        "wait_per_task": float(np.mean([t.waited for t in done])) if done else math.nan,
        **{name: float(share[i]) for i, name in enumerate(SHARES)},
        "collisions": float(state.collisions.numpy()[world].sum()),
        "bumps": float(state.bumps.numpy()[world].sum()),
        "near_misses": float(state.near_misses.numpy()[world].sum()),
        "deadlocks": float(len(record.deadlocks)),
        "deadlock_time": max(ended, default=0.0),
        "yields": float(record.yields),
        "turned_away": float(record.turned_away),
        "energy_per_task": used / len(done) if done else math.nan,
    }


def _places(fleet: FleetSimulation) -> list[PlaceReport]:
    """Return lanes, nodes, stations and grid zones by what waiting they cause."""
    net = fleet.lanes.net
    station_of = {n: s.id for s in fleet.road_map.stations.values() for n in s.nodes}
    table: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    columns = [fleet.lanes.column(n).sum(axis=0) for n in ("caused", "waiting")]
    passed = fleet.lanes.column("passed").sum(axis=0)
    last = {numbers[-1] for numbers in net.of_lane.values()}
    for number, cell in enumerate(net.cells):
        kind, name = ("lane", cell.lane) if cell.lane else ("node", cell.node)
        if kind == "node" and name in station_of:
            kind, name = "station", station_of[name]
        row = table[kind, name]
        row[0] += float(columns[0][number])
        row[1] += float(columns[1][number])
        if kind != "lane" or number in last:
            row[2] += float(passed[number])
    for name, wanted in zip(
        fleet.counts.station_ids, fleet.counts.wanting.sum(axis=0), strict=False
    ):
        table["station", name][0] += float(wanted)
    for name, grid in fleet.grids.items():
        for i, column in enumerate(("caused", "waiting", "passed")):
            table["zone", name][i] += float(getattr(grid.graph, column).numpy().sum())
    total = sum(row[0] for row in table.values())
    hours = max(fleet.time, 1e-9) / 3600 * fleet.worlds
    found = [
        PlaceReport(
            kind=kind,
            name=name,
            share=row[0] / total if total else 0.0,
            caused=row[0] / hours,
            waited=row[1] / hours,
            passed=row[2] / hours,
        )
        for (kind, name), row in table.items()
    ]
    return sorted(found, key=lambda p: (-p.share, p.kind, p.name))


def _bottleneck(places: Sequence[PlaceReport]) -> Bottleneck:
    if not places or places[0].share == 0:
        return Bottleneck("none", "", 0.0, "no vehicle waited for another")
    worst = places[0]
    more = next((p for p in places[1:] if p.share > 0), None)
    beside = f"; next is {more.kind} {more.name} with {more.share:.0%}" if more else ""
    return Bottleneck(
        worst.kind,
        worst.name,
        worst.share,
        f"vehicles wait {worst.caused / 60:.1f} min an hour for {worst.kind} {worst.name}, "
        f"{worst.share:.0%} of all their waiting{beside}",
    )
