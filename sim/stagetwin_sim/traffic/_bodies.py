"""Vehicles that drive legs in a simulation: what is behind `stagetwin.fleets` as `simulated`."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import Leg, VehicleType
from stagetwin_sim._errors import TrafficError
from stagetwin_sim._quiet import begin_quietly
from stagetwin_sim.fleet import Motion, MotionPlan, Noise, Obstacles
from stagetwin_sim.traffic._legs import check_leg, ends_of, polyline, rotation_within

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["SimulatedBodies", "make_bodies"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_OPTIONS = {"step": float, "device": str, "noise": Noise, "field": bool, "path_points": int}
_NEAR = 0.02
"""How far before its end a leg that goes on counts as driven [m]."""

_SAME = 0.1
"""A leg begins where the one before ended if the vehicle is that near to it [m]."""

_CHUNK = 0.1
"""How often a leg's end is looked for at least [s]."""


@dataclass(slots=True)
class _Task:
    """What one vehicle drives.

    Attributes:
        under_way: legs on its path now, with where each ends along it [m].
        waiting: legs after those.
        last: where the leg before ended [m]; None where nobody knows.
        kept: whether a stop keeps its legs.
        braking: whether it comes to a stand before its next leg.
        speed: highest that it was told to drive [m/s].
        rotation_speed: highest that its legs allow where it is [rad/s].
    """

    under_way: deque[tuple[Leg, float]] = field(default_factory=deque)
    waiting: deque[Leg] = field(default_factory=deque)
    last: tuple[float, float] | None = None
    kept: bool = False
    braking: bool = False
    speed: float = math.inf
    rotation_speed: float = math.inf


class SimulatedBodies:
    """Vehicles of one simulated world; satisfies `stagetwin.fleets.Bodies`.

    Args:
        motion: one world; this alone steps it and gives its vehicles ways.

    Attributes:
        count: how many vehicles.
        motion: as given.
        reverses: whether legs may be driven backward, by types that can.
    """

    reverses = True

    def __init__(self, motion: Motion) -> None:
        self.motion = motion
        self.count = motion.plan.vehicles
        self._tasks = [_Task() for _ in range(self.count)]
        self._done: Ints = np.zeros(self.count, np.int64)
        # Of the leg under way: where it ends, and whether the vehicle must stand there.
        self._end: Floats = np.full(self.count, math.inf)
        self._stands: Bools = np.zeros(self.count, bool)
        self._braking: set[int] = set()
        # Vehicles with legs that bound their rotation.
        self._bounded: set[int] = set()
        self._rest = 0.0

    # -- what is seen

    def poses(self) -> Floats:
        """See Bodies."""
        return self._columns("seen_x", "seen_y", "seen_theta")

    def velocities(self) -> Floats:
        """See Bodies."""
        speed, spin = self._read("v"), self._read("omega")
        return np.stack([speed, np.zeros(self.count), spin], axis=1).astype(np.float64)

    def charge(self) -> Floats:
        """See Bodies."""
        return self._read("charge").astype(np.float64)

    def done(self) -> Ints:
        """See Bodies."""
        return self._done.copy()

    def blocked(self) -> Bools:
        """See Bodies."""
        return np.asarray(self._read("blocked") != 0)

    # -- what they are told

    def drive(self, vehicle: int, legs: Sequence[Leg]) -> None:
        """See Bodies.

        Raises:
            TrafficError: a leg is nowhere, or its limits are not above 0; no leg is taken then.
        """
        task = self._task(vehicle)
        for leg in legs:
            check_leg(leg, vehicle)
        task.waiting.extend(legs)
        if task.waiting and not task.kept and not task.braking:
            self._go_on(vehicle)

    def stop(self, vehicle: int, *, keep: bool = False) -> None:
        """See Bodies."""
        task = self._task(vehicle)
        self.motion.stop(0, vehicle)
        if keep:
            task.kept = True
        else:
            task.under_way.clear()
            task.waiting.clear()
            task.last, task.kept = None, False
            self._brake(vehicle)
        self._watch(vehicle)

    def resume(self, vehicle: int) -> None:
        """See Bodies."""
        task = self._task(vehicle)
        if task.kept:
            task.kept = False
            self._again(vehicle)

    def place(self, vehicle: int, x: float, y: float, theta: float) -> None:
        """See Bodies. What is simulated stands where it believes to stand."""
        task = self._task(vehicle)
        if not all(map(math.isfinite, (x, y, theta))):
            raise TrafficError(f"vehicle {vehicle}: a pose is finite, got {(x, y, theta)}")
        self.motion.place(0, vehicle, x, y, theta)
        task.last = None
        if not task.kept:
            self._again(vehicle)

    def load(self, vehicle: int, mass: float, length: float, width: float) -> None:
        """See Bodies."""
        self._task(vehicle)
        self.motion.carry(0, vehicle, int(mass > 0), mass, length, width)

    def plug(self, vehicle: int, on: bool) -> None:
        """See Bodies."""
        self._task(vehicle)
        self.motion.plug(0, vehicle, on)

    def limit(self, vehicle: int, speed: float) -> None:
        """See Bodies."""
        self._task(vehicle)
        if not speed >= 0:
            raise TrafficError(f"vehicle {vehicle}: a limit is 0 m/s or more, got {speed}")
        task = self._tasks[vehicle]
        task.speed = speed
        self.motion.limit(0, vehicle, speed, task.rotation_speed)

    def step(self, seconds: float) -> None:
        """See Bodies. What is no whole number of steps is made up for the next time."""
        self._rest += seconds
        step = self.motion.plan.step
        chunk = max(1, int(_CHUNK / step))
        while (left := int(self._rest / step + 1e-9)) > 0:
            count = min(left, chunk)
            self.motion.step(count)
            self._rest -= count * step
            self._look()

    # -- from leg to leg

    def _look(self) -> None:
        """Go on with the vehicles that have come to the end of a leg."""
        arrived = self._read("arrived") != 0
        passed = self._read("s") >= self._end - _NEAR
        passed &= ~self._stands | arrived
        for vehicle in np.flatnonzero(passed).tolist():
            self._passed(vehicle, bool(arrived[vehicle]))
        for vehicle in sorted(self._bounded):
            self._bound(vehicle)
        if self._braking:
            speed = self._read("v")
            for vehicle in [v for v in sorted(self._braking) if abs(speed[v]) < 0.01]:
                self._braking.discard(vehicle)
                self._tasks[vehicle].braking = False
                if not self._tasks[vehicle].kept:
                    self._again(vehicle)

    def _passed(self, vehicle: int, arrived: bool) -> None:
        task = self._tasks[vehicle]
        if task.kept:
            return
        at = float(self._read("s")[vehicle])
        while task.under_way and task.under_way[0][1] <= at + _NEAR:
            leg, _ = task.under_way[0]
            if len(task.under_way) == 1 and not arrived:
                break
            task.under_way.popleft()
            task.last = (leg.x, leg.y)
            self._done[vehicle] += 1
        if task.waiting:
            self._go_on(vehicle)
        self._watch(vehicle)

    def _go_on(self, vehicle: int) -> None:
        """Put what waits on the path, as far as it is driven without a stand."""
        task = self._tasks[vehicle]
        if not task.under_way:
            self._begin(vehicle)
            return
        if not task.under_way[-1][0].through:
            return
        legs = self._taken(task, len(task.under_way))
        if legs:
            points, limits = polyline(legs)
            ends = ends_of((task.under_way[-1][0].x, task.under_way[-1][0].y), legs)
            first = task.under_way[-1][1]
            lost = self.motion.extend_path(0, vehicle, points, limits=limits, theta=legs[-1].theta)
            on = [(leg, end - lost) for leg, end in task.under_way]
            on += [(leg, first - lost + end) for leg, end in zip(legs, ends, strict=True)]
            task.under_way = deque(on)
            self.motion.clear(0, vehicle, math.inf)
        self._watch(vehicle)

    def _begin(self, vehicle: int) -> None:
        """Begin with what waits where the vehicle is."""
        task = self._tasks[vehicle]
        legs = self._taken(task, 0)
        x = float(self._read("seen_x")[vehicle])
        y = float(self._read("seen_y")[vehicle])
        if task.last is not None and math.dist((x, y), task.last) < _SAME:
            x, y = task.last
        points, limits = polyline(legs)
        self.motion.set_path(
            0,
            vehicle,
            [(x, y), *points],
            limits=limits,
            theta=legs[-1].theta,
            s_max=math.inf,
        )
        task.under_way = deque(zip(legs, ends_of((x, y), legs), strict=True))
        self._watch(vehicle)

    def _again(self, vehicle: int) -> None:
        """Go on from where the vehicle is now."""
        task = self._tasks[vehicle]
        if task.under_way:
            task.waiting.extendleft(leg for leg, _ in reversed(task.under_way))
            task.under_way.clear()
        if task.waiting and not task.braking:
            speed = float(self._read("v")[vehicle])
            if abs(speed) < 0.01:
                self._begin(vehicle)
            else:
                self.motion.stop(0, vehicle)
                self._brake(vehicle)
        self._watch(vehicle)

    def _taken(self, task: _Task, before: int) -> list[Leg]:
        """Take legs off what waits, up to a stand, and no more than a path holds."""
        room = (
            self.motion.plan.path_points
            - 2
            - sum(len(leg.path) + 1 for leg, _ in itertools.islice(task.under_way, before))
        )
        taken: list[Leg] = []
        while task.waiting:
            room -= len(task.waiting[0].path) + 1
            if room < 0:
                break
            taken.append(task.waiting.popleft())
            if not taken[-1].through:
                break
        return taken

    def _brake(self, vehicle: int) -> None:
        self._tasks[vehicle].braking = True
        self._braking.add(vehicle)

    def _watch(self, vehicle: int) -> None:
        task = self._tasks[vehicle]
        here = bool(task.under_way) and not task.kept
        self._end[vehicle] = task.under_way[0][1] if here else math.inf
        self._stands[vehicle] = len(task.under_way) == 1
        bounds = any(leg.rotation_speed < math.inf for leg, _ in task.under_way)
        if bounds or vehicle in self._bounded:
            self._bounded.add(vehicle)
            self._bound(vehicle)
            if not bounds:
                self._bounded.discard(vehicle)

    def _bound(self, vehicle: int) -> None:
        """Let a vehicle turn no faster than its legs allow where it is."""
        task = self._tasks[vehicle]
        limit = rotation_within(task.under_way, float(self._read("s")[vehicle]))
        if limit != task.rotation_speed:
            task.rotation_speed = limit
            self.motion.limit(0, vehicle, task.speed, limit)

    def _task(self, vehicle: int) -> _Task:
        if not 0 <= vehicle < self.count:
            raise TrafficError(f"vehicle must be in [0, {self.count}), got {vehicle}")
        return self._tasks[vehicle]

    def _read(self, name: str) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = getattr(self.motion.state, name).numpy()[0]
        return values

    def _columns(self, *names: str) -> Floats:
        return np.stack([self._read(name) for name in names], axis=1).astype(np.float64)


def make_bodies(
    types: Sequence[VehicleType],
    poses: Floats,
    road_map: RoadMap | None,
    *,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> SimulatedBodies:
    """Make simulated vehicles; see `stagetwin.fleets.MakeBodies`.

    Args:
        types: one for all, or one for each.
        poses: x, y [m], theta [rad] of each, shape (count, 3).
        road_map: whose obstacles are in the way; None is an empty floor.
        seed: of noise and slip.
        options: `step` [s], `device`, `noise`, `field`, `path_points`; see docs/fleet-traffic.md.

    Raises:
        TrafficError: an option is unknown or of another type.
        FleetError: the poses or a figure cannot be.
    """
    given = dict(options or {})
    for name, value in given.items():
        if name not in _OPTIONS:
            raise TrafficError(f"bodies have no option {name!r}; they have {', '.join(_OPTIONS)}")
        wanted: Any = (int, float) if _OPTIONS[name] is float else _OPTIONS[name]
        if not isinstance(value, wanted):
            raise TrafficError(f"option {name} is {_OPTIONS[name].__name__}, got {value!r}")
    begin_quietly()  # whoever finds bodies by name need not know of Warp
    places = np.asarray(poses, np.float64).reshape(-1, 3)
    known = list(dict.fromkeys(types))
    if len(types) not in (1, len(places)):
        raise TrafficError(f"types must be 1 or {len(places)}, got {len(types)}")
    kinds = [known.index(kind) for kind in types] * (len(places) if len(types) == 1 else 1)
    plan = MotionPlan(
        types=known,
        poses=places,
        vehicle_types=kinds,
        obstacles=Obstacles([o.polygon for o in road_map.obstacles] if road_map else []),
        noise=given.get("noise", Noise()),
        step=float(given.get("step", 0.05)),
        fields=given.get("field", True),
        path_points=given.get("path_points", 128),
    )
    return SimulatedBodies(Motion(plan, 1, seed, given.get("device", "cpu")))
