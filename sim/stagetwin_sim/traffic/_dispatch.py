"""Who fetches what: lifelong tasks, charging and parking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from stagetwin.fleets import VehicleType
from stagetwin.maps import RoadMap, Station
from stagetwin_sim.fleet import Motion
from stagetwin_sim.traffic._drive import Drivers
from stagetwin_sim.traffic._options import FleetOptions
from stagetwin_sim.traffic._records import Job, Phase, TaskRecord, VehicleRecord, WorldRecord

__all__ = ["Dispatch", "draw"]

NEVER = 1e300
_AHEAD = 2
"""Vehicles that may be on their way to a drop that is taken."""

_AGAIN = 2.0
"""After which somebody who found no place asks again [s]."""


def draw(seed: int, number: int) -> float:
    """Return the n-th number of a seed, in (0, 1).

    Source: G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators",
    OOPSLA 2014 (SplitMix64).
    """
    mask = 0xFFFFFFFFFFFFFFFF
    z = (seed * 0xD1B54A32D192ED03 + (number + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return ((z ^ (z >> 31)) + 0.5) / 2.0**64


class Dispatch:
    """Gives the vehicles of all worlds something to do.

    Args:
        road_map: the map.
        types: of vehicles.
        options: how the fleet works.
        motion: moves the vehicles.
        worlds: what is remembered.
        seeds: of the worlds.
    """

    def __init__(
        self,
        road_map: RoadMap,
        types: Sequence[VehicleType],
        options: FleetOptions,
        motion: Motion,
        worlds: list[WorldRecord],
        seeds: Sequence[int],
    ) -> None:
        self.road_map, self.types, self.options = road_map, types, options
        self.motion, self.worlds, self._seeds = motion, worlds, seeds
        self.drivers: Drivers
        self.time = 0.0
        self._kinds = motion.plan.type_indices().tolist()
        served = {s.id: s for s in road_map.stations.values() if self._nodes(s)}
        self.picks = _of(served, "pick", "transfer")
        self.drops = _of(served, "drop", "transfer")
        self.chargers = _of(served, "charge")
        self.parks = _of(served, "park")
        self._stations_at: dict[str, list[Station]] = {}
        for station in served.values():
            for node in self._nodes(station):
                self._stations_at.setdefault(node, []).append(station)
        working = {n for s in (*self.picks, *self.drops) for n in self._nodes(s)}
        self._working = working
        self._capacities: dict[str, int] = {}
        self._aheads: dict[str, int] = {}
        self._busy: list[bool] = [True] * len(worlds)

    def _nodes(self, station: Station) -> tuple[str, ...]:
        return tuple(n for n in station.nodes if n in self.road_map.nodes)

    # -- loads

    def begin(self) -> None:
        """Let the first loads come."""
        for world, record in enumerate(self.worlds):
            for station in self.picks:
                record.waiting[station.id] = []
                if station.id in self.options.arrivals:
                    record.next[station.id] = self._gap(world, station.id)
                else:
                    record.waiting[station.id].append(0.0)

    def _gap(self, world: int, station: str) -> float:
        rate = self.options.arrivals[station]
        if rate == 0:
            return NEVER
        return -math.log(self.lot(world)) * 3600.0 / rate

    def lot(self, world: int) -> float:
        """Return a number in (0, 1) of a world's own."""
        record = self.worlds[world]
        record.draws += 1
        return draw(self._seeds[world], record.draws)

    def _arrive(self, world: int) -> None:
        record = self.worlds[world]
        for station, due in record.next.items():
            at = due
            while at <= self.time:
                if len(record.waiting[station]) < self.options.queue:
                    record.waiting[station].append(at)
                    self._busy[world] = True
                else:
                    record.turned_away += 1
                at += self._gap(world, station)
            record.next[station] = at

    # -- a round

    def look(self, time: float) -> None:
        """End what is due, and give those without work something to do."""
        self.time = time
        for world, record in enumerate(self.worlds):
            if record.next:
                self._arrive(world)
            for vehicle, each in enumerate(record.vehicles):
                if each.due <= time and each.phase == Phase.REST:
                    each.due = NEVER
                    self._due(world, vehicle, each)
                    self._busy[world] = True
            if self._busy[world]:
                self._busy[world] = False
                self._assign(world)

    def wake(self) -> None:
        """Look at all worlds in the next round."""
        self._busy = [True] * len(self.worlds)

    def arrived(self, world: int, vehicle: int) -> None:
        """Go on with the job of a vehicle that is where it was sent."""
        record = self.drivers.record(world, vehicle)
        each = record
        self._busy[world] = True
        if each.job in (Job.TO_PICK, Job.TO_DROP):
            assert each.task is not None
            each.job = Job.PICK if each.job == Job.TO_PICK else Job.DROP
            if each.job == Job.PICK:
                each.task.reached = self.time
            else:
                each.task.brought = self.time
            each.due = self.time + self.options.transfer_time
            self._hold(world, vehicle, True)
        elif each.job == Job.TO_CHARGE:
            each.job = Job.CHARGE
            self.motion.plug(world, vehicle, True)
            each.due = self.time + _AGAIN
            self._hold(world, vehicle, True)
        elif each.job == Job.TO_PARK:
            each.job = Job.TO_DROP if each.loaded else Job.IDLE
            each.due = self.time + _AGAIN if each.loaded else NEVER

    def _hold(self, world: int, vehicle: int, on: bool) -> None:
        for grid in self.drivers.grids.values():
            if grid.on(world, vehicle):
                grid.hold(world, vehicle, on)

    def _due(self, world: int, vehicle: int, each: VehicleRecord) -> None:
        if each.job == Job.PICK:
            assert each.task is not None
            each.task.picked = self.time
            each.loaded = True
            kind = self.types[self._kinds[vehicle]]
            mass = min(self.options.load_mass, kind.payload)
            self.motion.carry(world, vehicle, 1, mass, kind.loaded_length, kind.loaded_width)
            each.job = Job.TO_DROP
            self._hold(world, vehicle, False)
            self._bring(world, vehicle, each)
        elif each.job == Job.TO_DROP:
            self._bring(world, vehicle, each)
        elif each.job == Job.DROP:
            self._given(world, vehicle, each)
        elif each.job == Job.CHARGE:
            charge = float(self.motion.state.charge.numpy()[world, vehicle])
            if charge >= self.options.charge_to:
                self.motion.plug(world, vehicle, False)
                each.job, each.station = Job.IDLE, ""
                self._hold(world, vehicle, False)
            else:
                each.due = self.time + _AGAIN

    def _given(self, world: int, vehicle: int, each: VehicleRecord) -> None:
        assert each.task is not None
        self.motion.carry(world, vehicle, 0, 0.0, 0.0, 0.0)
        task = each.task
        task.done = self.time
        task.waited = self._waited(world, vehicle) - task.waited
        task.distance = self._distance(world, vehicle) - task.distance
        self.worlds[world].done.append(task)
        each.job, each.task, each.loaded, each.station = Job.IDLE, None, False, ""
        self._hold(world, vehicle, False)

    def _waited(self, world: int, vehicle: int) -> float:
        return float(self.motion.state.waited.numpy()[world, vehicle])

    def _distance(self, world: int, vehicle: int) -> float:
        return float(self.motion.state.distance.numpy()[world, vehicle])

    # -- where to

    def _bring(self, world: int, vehicle: int, each: VehicleRecord) -> None:
        """Send a loaded vehicle to a drop; where all are taken it makes room, or waits."""
        assert each.task is not None
        drops = [s for s in self.drops if s.id != each.task.source]
        reachable = [
            (station, node)
            for station in drops
            for node in self._nodes(station)
            if self.drivers.can_go(world, vehicle, node)
        ]
        if not each.task.target and reachable:
            names = sorted({station.id for station, _ in reachable})
            each.task.target = names[int(self.lot(world) * len(names))]
        free = [
            n
            for s, n in reachable
            if s.id == each.task.target and self._free(world, n, ahead=self._ahead(n))
        ]
        if free:
            node = min(free, key=lambda n: (self.drivers.departures.duration(world, vehicle, n), n))
            each.station = each.task.target
            self._send(world, vehicle, Job.TO_DROP, node)
        elif each.node in self._working and self._make_room(world, vehicle, each):
            pass
        else:
            each.due = self.time + _AGAIN

    def _ahead(self, node: str) -> int:
        """Return how many may be on their way to a drop that is taken, and queue on lanes."""
        if node not in self._aheads:
            here = self.road_map.nodes[node]
            queues = any(self.drivers.lanes.net.rests)
            lanes = self.road_map.authority_at(here.x, here.y) == "lanes"
            self._aheads[node] = _AHEAD if queues and lanes else 0
        return self._aheads[node]

    def _assign(self, world: int) -> None:
        record = self.worlds[world]
        idle = [
            v
            for v, each in enumerate(record.vehicles)
            if each.job == Job.IDLE and each.phase == Phase.REST
        ]
        if not idle:
            return
        charge = self.motion.state.charge.numpy()[world]
        low = [v for v in idle if charge[v] < self.options.charge_below]
        for vehicle in low:
            if self._charge(world, vehicle):
                idle.remove(vehicle)
        empty = [v for v in idle if charge[v] < 0.5 * self.options.charge_below and self.chargers]
        fit = [v for v in idle if v not in empty]
        for _, station in sorted(
            (record.waiting[s.id][0], s.id) for s in self.picks if record.waiting[s.id]
        ):
            if not fit:
                break
            self._fetch(world, station, fit)
        left = [v for v in idle if record.vehicles[v].job == Job.IDLE]
        for vehicle in left:
            each = record.vehicles[vehicle]
            if each.node in self._working or charge[vehicle] < self.options.charge_below:
                if not self._make_room(world, vehicle, each):
                    self._busy[world] = True
            elif each.node and self._in_the_way(each.node):
                self._make_room(world, vehicle, each, parks_only=True)

    def _in_the_way(self, node: str) -> bool:
        kinds = {s.kind for s in self._stations_at.get(node, ())}
        return not kinds & {"park", "charge"}

    def _fetch(self, world: int, station: str, idle: list[int]) -> None:
        """Send the nearest vehicle for the load that waits longest at a station."""
        record = self.worlds[world]
        nodes = self._nodes(self.road_map.stations[station])
        best: tuple[float, int, str] | None = None
        for vehicle in idle:
            for node in nodes:
                if self._free(world, node, vehicle):
                    far = self.drivers.departures.duration(world, vehicle, node)
                    if math.isfinite(far) and (best is None or (far, vehicle) < best[:2]):
                        best = far, vehicle, node
        if best is None:
            self._busy[world] = True
            return
        _, vehicle, node = best
        idle.remove(vehicle)
        created = record.waiting[station].pop(0)
        if station not in self.options.arrivals:
            record.waiting[station].append(self.time)
        each = record.vehicles[vehicle]
        each.task = TaskRecord(
            source=station,
            vehicle=vehicle,
            created=created,
            assigned=self.time,
            waited=self._waited(world, vehicle),
            distance=self._distance(world, vehicle),
        )
        each.station = station
        self._send(world, vehicle, Job.TO_PICK, node)

    def _charge(self, world: int, vehicle: int) -> bool:
        return self._to_one(world, vehicle, self.chargers, Job.TO_CHARGE)

    def _make_room(
        self, world: int, vehicle: int, each: VehicleRecord, *, parks_only: bool = False
    ) -> bool:
        """Send a vehicle to where it is in nobody's way; returns whether there is such a place."""
        if self._to_one(world, vehicle, self.parks, Job.TO_PARK):
            return True
        if not each.loaded and self._to_one(world, vehicle, self.chargers, Job.TO_CHARGE):
            return True
        if parks_only or each.loaded:
            return False
        gates = self.drivers.gates.gates
        others = [n for n in sorted(self.road_map.nodes) if n not in self._working | gates]
        free = [n for n in others if n != each.node and self._free(world, n)]
        far = [(self.drivers.departures.duration(world, vehicle, n), n) for n in free]
        found = min((f for f in far if math.isfinite(f[0])), default=None)
        if found is None:
            return False
        self._send(world, vehicle, Job.TO_PARK, found[1])
        return True

    def _to_one(self, world: int, vehicle: int, stations: Sequence[Station], job: Job) -> bool:
        free = [(s, n) for s in stations for n in self._nodes(s) if self._free(world, n, vehicle)]
        far = [(self.drivers.departures.duration(world, vehicle, n), s.id, n) for s, n in free]
        found = min((f for f in far if math.isfinite(f[0])), default=None)
        if found is None:
            return False
        self.drivers.record(world, vehicle).station = found[1]
        self._send(world, vehicle, job, found[2])
        return True

    def _capacity(self, node: str) -> int:
        if node not in self._capacities:
            self._capacities[node] = len(self.drivers.slots.at(node))
        return self._capacities[node]

    def _free(self, world: int, node: str, vehicle: int = -1, ahead: int = 0) -> bool:
        if node in self.options.closed:
            return False
        there = self.worlds[world].booked.get(node, [])
        return vehicle in there or (
            len([v for v in there if v >= 0]) < self._capacity(node) + ahead
        )

    def _send(self, world: int, vehicle: int, job: Job, node: str) -> None:
        each = self.drivers.record(world, vehicle)
        self.book(world, vehicle, node)
        each.job, each.due = job, NEVER
        if job != Job.CHARGE:
            self.motion.plug(world, vehicle, False)
        self._hold(world, vehicle, False)
        self.drivers.go(world, vehicle, node)

    def book(self, world: int, vehicle: int, node: str) -> None:
        """Let a vehicle have a place at a node, and give back the one that it had."""
        record = self.worlds[world]
        for there in record.booked.values():
            if vehicle in there:
                there[there.index(vehicle)] = -1
        slots = record.booked.setdefault(node, [])
        slot = next((k for k, v in enumerate(slots) if v < 0), len(slots))
        if slot == len(slots):
            slots.append(vehicle)
        slots[slot] = vehicle
        record.vehicles[vehicle].slot = slot


def _of(stations: Mapping[str, Station], *kinds: str) -> list[Station]:
    return [station for _, station in sorted(stations.items()) if station.kind in kinds]
