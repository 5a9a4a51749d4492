"""A fleet at work, in many worlds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stagetwin.fleets import VehicleType
from stagetwin.maps import RoadMap
from stagetwin_sim._errors import SnapshotError, TrafficError
from stagetwin_sim.engine import host_copy
from stagetwin_sim.fleet import Motion, MotionPlan, Noise, Obstacles, People
from stagetwin_sim.traffic._clearing import Clearing
from stagetwin_sim.traffic._counts import Counts
from stagetwin_sim.traffic._departures import Departures
from stagetwin_sim.traffic._dispatch import Dispatch
from stagetwin_sim.traffic._drive import Drivers
from stagetwin_sim.traffic._gates import Gates
from stagetwin_sim.traffic._grid_authority import GridAuthority
from stagetwin_sim.traffic._lanes import LaneAuthority
from stagetwin_sim.traffic._latency import Latency
from stagetwin_sim.traffic._net import LaneNet
from stagetwin_sim.traffic._options import FleetOptions
from stagetwin_sim.traffic._places import start_places, walkers
from stagetwin_sim.traffic._records import VehicleRecord, WorldRecord
from stagetwin_sim.traffic._route import LaneRoute
from stagetwin_sim.traffic._ways import Ways

__all__ = ["FleetSimulation"]

_PATH_POINTS = 256

_Routes = tuple[list[LaneRoute], dict[str, int]]


class FleetSimulation:
    """Lifelong traffic on a map: loads, charging, people, and whoever goes first.

    Motion, reservation and grids run as kernels over all worlds; dispatching and the clearing of
    deadlocks run on the host, vehicle by vehicle, when something has come to its end. The same seed
    gives the same run.

    Args:
        road_map: the map.
        types: of vehicles.
        vehicles: how many in each world, or the type's index of each.
        worlds: how many.
        seed: of the first world, and one more for each after it; or one for each.
        options: how the fleet works.
        starts: where vehicles begin: ids of nodes, or `LANE@METRES`; found where it is None.
        device: Warp's name of it.

    Attributes:
        road_map, types, options, worlds: as given.
        time: since the start [s].
        motion, lanes, grids: what moves, and who says how far.
        records: what is remembered, by world.

    Raises:
        TrafficError: the map has no room for so many vehicles, or nothing to do.
    """

    def __init__(
        self,
        road_map: RoadMap,
        types: Sequence[VehicleType] = (VehicleType(),),
        *,
        vehicles: int | Sequence[int] = 10,
        worlds: int = 1,
        seed: int | Sequence[int] = 0,
        options: FleetOptions | None = None,
        starts: Sequence[str] | None = None,
        device: str = "cpu",
    ) -> None:
        self.road_map, self.types, self.worlds = road_map, tuple(types), worlds
        self.options = options = options or FleetOptions()
        _check_names(road_map, options)
        kinds = [0] * vehicles if isinstance(vehicles, int) else list(vehicles)
        if not kinds or worlds < 1:
            raise TrafficError(f"a fleet has a vehicle and a world, got {len(kinds)} and {worlds}")
        self.count = len(kinds)
        gates = Gates.of(road_map, self.types)
        only = [n for n in sorted(road_map.lanes) if gates.lanes[n] == "lanes"]
        net = LaneNet(
            road_map,
            self.types,
            piece=options.piece,
            gap=options.gap,
            only=[n for n in only if n not in options.closed],
            places=gates.places,
            gates=gates.gates,
        )
        gates = gates.beside(net)
        places = start_places(gates, net, self.types, kinds, options.closed, starts)
        self.seeds = [seed + world for world in range(worlds)] if isinstance(seed, int) else [*seed]
        walking = walkers(road_map, options.people, self.seeds[0])
        people = None
        if len(walking):
            people = People(places=walking.tolist(), speed=options.people_speed)
        plan = MotionPlan(
            types=self.types,
            poses=[place.pose for place in places],
            vehicle_types=kinds,
            obstacles=Obstacles([o.polygon for o in road_map.obstacles]),
            people=people,
            noise=Noise(
                position=options.noise_position,
                heading=options.noise_heading,
                slip=options.slip,
                slip_rotation=options.slip,
            ),
            step=options.step,
            bounds=road_map.extent,
            path_points=_PATH_POINTS,
        )
        self.motion = Motion(plan, worlds, self.seeds, device)
        self._begin_charge()
        delay = round(options.delay / options.period)
        self.lanes = LaneAuthority(
            net, self.motion, period=options.period, delay=delay, loss=options.loss
        )
        self.grids = self._make_grids(gates, delay)
        self.records = [
            WorldRecord(
                [
                    VehicleRecord(node=place.node, cell=place.cell, slot=place.slot)
                    for place in places
                ]
            )
            for _ in range(worlds)
        ]
        self.ways = [
            Ways(gates, net, kind.speed, kind.name, options.closed, self.lanes)
            for kind in self.types
        ]
        self.dispatch = Dispatch(
            road_map, self.types, options, self.motion, self.records, self.seeds
        )
        self.drivers = Drivers(
            gates,
            self.motion,
            self.lanes,
            self.grids,
            Departures(gates, self.motion, self.lanes, self.ways, self.records),
            self.records,
            Latency(options, self.dispatch.lot, self.records),
            self.dispatch.arrived,
        )
        self.dispatch.drivers = self.drivers
        self.clearing = Clearing(self.drivers, self.records, options)
        self.counts = Counts(self)
        self._steps = 0
        self._per_round = round(options.period / options.step)
        for world in range(worlds):
            for vehicle, place in enumerate(places):
                if place.node:
                    self.dispatch.book(world, vehicle, place.node)
                    self.records[world].vehicles[vehicle].slot = place.slot
                self.drivers.settle(world, vehicle)
        self.dispatch.begin()

    def _begin_charge(self) -> None:
        """Spread the charge of the batteries, so that not all want to charge at once."""
        first = self.options.charge_first
        spread = np.linspace(0.0, 0.2, self.count, endpoint=False)
        share = np.clip(first - spread, 0.0, 1.0).astype(np.float32)
        state, kinds = self.motion.state, self.motion.plan.type_indices()
        full = np.array([self.types[k].battery * 3600.0 for k in kinds])
        shape = (self.worlds, self.count)
        state.charge.assign(np.broadcast_to(share, shape).copy())
        state.store.assign(np.broadcast_to(share * full, shape).copy())

    def _make_grids(self, gates: Gates, delay: int) -> dict[str, GridAuthority]:
        made: dict[str, GridAuthority] = {}
        for name, grid in gates.grids.items():
            goals = sorted({cell for zone, cell in gates.cells.values() if zone == name})
            if goals:
                made[name] = GridAuthority(
                    grid,
                    self.motion,
                    goals,
                    period=self.options.period,
                    delay=delay,
                    loss=self.options.loss,
                )
        return made

    # -- time

    @property
    def time(self) -> float:
        """Time since the start [s]."""
        return self._steps * self.options.step

    def run(self, seconds: float, progress: Callable[[float], None] | None = None) -> None:
        """Move on.

        Args:
            seconds: for how long, up to the next step [s].
            progress: is told the share that is done, once a round.
        """
        steps = math.ceil(seconds / self.options.step - 1e-9)
        todo = steps
        while todo > 0:
            todo -= self.advance(todo)
            if progress is not None:
                progress(1 - todo / steps)

    def advance(self, most: int = 1) -> int:
        """Move on by some steps of motion, up to the next round; returns how many."""
        looks = round(self.options.look / self.options.period)
        round_, within = divmod(self._steps, self._per_round)
        if within == 0:
            if round_ % looks == 0:
                self.drivers.look(self.time)
                self.dispatch.look(self.time)
                self.clearing.look(self.time)
                self.counts.look(self.options.look)
            self.lanes.step()
            for grid in self.grids.values():
                grid.step()
        count = min(most, self._per_round - within)
        self.motion.step(count)
        self._steps += count
        return count

    def poses(self, world: int = 0) -> npt.NDArray[np.float64]:
        """Return x, y [m] and theta [rad] of the vehicles of a world, shape (vehicles, 3)."""
        state = self.motion.state
        columns = [host_copy(getattr(state, name))[world] for name in ("x", "y", "theta")]
        return np.stack(columns, axis=1).astype(np.float64)

    # -- the whole state

    def save(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the complete state; the first axis of each array is the world."""
        saved = {f"motion.{k}": v for k, v in self.motion.save().items()}
        for head, part in (
            ("lanes", self.lanes),
            ("drivers", self.drivers),
            ("counts", self.counts),
        ):
            saved |= {f"{head}.{k}": v for k, v in part.save().items()}
        for name, grid in self.grids.items():
            saved |= {f"grid.{name}.{k}": v for k, v in grid.save().items()}
        saved["steps"] = np.full((self.worlds, 1), self._steps, np.int64)
        routes = msgspec.msgpack.encode((self.lanes.routes, self.lanes.keys))
        saved["routes"] = _bytes([routes] * self.worlds)
        saved["records"] = _bytes([msgspec.msgpack.encode(each) for each in self.records])
        return saved

    def load(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what a simulation of the same map, fleet and options saved.

        Raises:
            SnapshotError: it does not fit.
        """

        def part(head: str) -> dict[str, npt.NDArray[Any]]:
            return {k.removeprefix(head): v for k, v in saved.items() if k.startswith(head)}

        try:
            self.motion.load(part("motion."))
            self.lanes.take_routes(*msgspec.msgpack.decode(saved["routes"][0], type=_Routes))
            self.lanes.load(part("lanes."))
            self.drivers.load(part("drivers."))
            self.counts.load(part("counts."))
            for name, grid in self.grids.items():
                grid.load(part(f"grid.{name}."))
            self._steps = int(saved["steps"][0, 0])
            for world in range(self.worlds):
                self.records[world] = msgspec.msgpack.decode(
                    saved["records"][world], type=WorldRecord
                )
        except (KeyError, IndexError, msgspec.DecodeError, ValueError) as error:
            raise SnapshotError(f"the saved fleet does not fit: {error}") from None
        for each in self.ways:
            each.forget()
        self.dispatch.wake()


def _bytes(texts: Sequence[bytes]) -> npt.NDArray[Any]:
    held = np.empty(len(texts), object)
    held[:] = list(texts)
    return held


def _check_names(road_map: RoadMap, options: FleetOptions) -> None:
    for name in options.closed:
        if name not in road_map.lanes and name not in road_map.nodes:
            raise TrafficError(f"closed: map {road_map.id!r} has no lane or node {name!r}")
    for name in options.arrivals:
        if name not in road_map.stations:
            known = ", ".join(sorted(road_map.stations)) or "none"
            raise TrafficError(
                f"arrivals: map {road_map.id!r} has no station {name!r}; it has {known}"
            )
