"""Simulated vehicles that a velocity policy drives, each from the bundle alone."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import Leg, VehicleType
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._drive import Body, cast_fan, wrap
from stagetwin_sim.policies._inputs import OF_ACTION
from stagetwin_sim.policies._keys import load_trusted
from stagetwin_sim.policies._runner import Runner
from stagetwin_sim.policies._senses import (
    KEPT_FREE,
    KNOWN,
    THERE,
    TURNED,
    dock,
    edges_of,
    room_ahead,
    sense,
)

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["PolicyBodies", "make_policy_bodies"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEAR, PASSED = 0.3, 0.5
"""Where a plain controller takes over from the policy, and where a point on the way counts [m]."""
_OPTIONS = ("bundle", "trust", "untrusted")


class _Driver:
    """What one vehicle drives, and the runner that drives it."""

    def __init__(self, runner: Runner, body: Body) -> None:
        self.runner, self.body = runner, body
        self.points: deque[tuple[float, float, float]] = deque()  # theta is NaN on the way
        self.ends: deque[int] = deque()  # points left of each leg
        self.limits: deque[tuple[float, float]] = deque()
        self.kept = self.plugged = self.blocked = False
        self.charge, self.speed_limit, self.done = 1.0, math.inf, 0
        self.command = (0.0, 0.0)
        self.next_act = 0.0
        self.docking = False
        self.mass = 0.0


class PolicyBodies:
    """Vehicles of one floor, each driven by a policy; satisfies `stagetwin.fleets.Bodies`.

    The policy heads for the end of the leg, and for the points of its path on the way. The last
    stretch to a leg's end, where a station wants centimetres and the policy was trained for less,
    is driven by a plain controller, and so is a turn on the spot. A protective field stops the
    vehicle whatever the policy says.

    Args:
        bundle: of a policy of kind `velocity` with `speed` and `rotation` as actions.
        types: of the vehicles.
        poses: where they stand, shape (count, 3).
        road_map: for its obstacles; None for an open floor.
        untrusted: whether a bundle that nobody signed will do, in a simulation.

    Attributes:
        count: how many vehicles.
        counts: of steps by status and of fallbacks by cause, of all runners together.

    Raises:
        PolicyError: the bundle is no such policy, or sees what a vehicle here cannot measure.
    """

    def __init__(
        self,
        bundle: Bundle,
        types: Sequence[VehicleType],
        poses: Floats,
        road_map: RoadMap | None = None,
        *,
        untrusted: bool = False,
    ) -> None:
        spec = bundle.spec
        said = [one.term.name for one in spec.actions]
        unknown = [
            one.term.name
            for one in spec.observations
            if one.term.name not in KNOWN and one.term.source != OF_ACTION
        ]
        if spec.kind != "velocity" or said != ["speed", "rotation"] or unknown:
            raise PolicyError(
                f"policy {spec.name!r}: vehicles here take speed and rotation and know "
                f"{', '.join(KNOWN)}, got {said} and {', '.join(unknown) or 'nothing else'}"
            )
        at = np.asarray(poses, np.float64).reshape(-1, 3)
        self.bundle, self.count = bundle, len(at)
        kinds = list(types) * self.count if len(types) == 1 else list(types)
        self._now = 0.0
        self._drivers = [
            _Driver(Runner(bundle, lambda: self._now, untrusted=untrusted), Body(kind, *pose))
            for kind, pose in zip(kinds, at.tolist(), strict=True)
        ]
        lidar = [one.term for one in spec.observations if one.term.name == "lidar"]
        self._rays = lidar[0].size if lidar else 0
        self._reach = lidar[0].high if lidar else 0.0
        self._edges = edges_of(road_map)
        self._rest = 0.0

    @property
    def counts(self) -> Counter[str]:
        """Of steps by status, and of fallbacks by cause."""
        return sum((driver.runner.counts for driver in self._drivers), Counter())

    # -- what is seen

    def poses(self) -> Floats:
        """See Bodies."""
        return np.array([(d.body.x, d.body.y, d.body.theta) for d in self._drivers]).reshape(-1, 3)

    def velocities(self) -> Floats:
        """See Bodies."""
        return np.array([(d.body.v, 0.0, d.body.omega) for d in self._drivers]).reshape(-1, 3)

    def charge(self) -> Floats:
        """See Bodies."""
        return np.array([driver.charge for driver in self._drivers], np.float64)

    def done(self) -> Ints:
        """See Bodies."""
        return np.array([driver.done for driver in self._drivers], np.int64)

    def blocked(self) -> Bools:
        """See Bodies."""
        return np.array([driver.blocked for driver in self._drivers], np.bool_)

    # -- what is asked

    def drive(self, vehicle: int, legs: Sequence[Leg]) -> None:
        """See Bodies."""
        driver = self._drivers[vehicle]
        for leg in legs:
            driver.points += [(x, y, math.nan) for x, y in leg.path]
            driver.points.append((leg.x, leg.y, leg.theta))
            driver.ends.append(len(leg.path) + 1)
            driver.limits.append((leg.speed, leg.rotation_speed))

    def stop(self, vehicle: int, *, keep: bool = False) -> None:
        """See Bodies."""
        driver = self._drivers[vehicle]
        driver.kept, driver.docking = keep, False
        if not keep:
            driver.points.clear()
            driver.ends.clear()
            driver.limits.clear()

    def resume(self, vehicle: int) -> None:
        """See Bodies."""
        self._drivers[vehicle].kept = False

    def place(self, vehicle: int, x: float, y: float, theta: float) -> None:
        """See Bodies; here the vehicle is where it believes to be."""
        body = self._drivers[vehicle].body
        body.x, body.y, body.theta, body.v, body.omega = x, y, wrap(theta), 0.0, 0.0
        self._drivers[vehicle].runner.reset()

    def load(self, vehicle: int, mass: float, length: float, width: float) -> None:
        """See Bodies."""
        driver = self._drivers[vehicle]
        kind, body = driver.body.type, driver.body
        driver.mass = mass
        body.length = max(kind.length, length) if mass > 0.0 else kind.length
        body.width = max(kind.width, width) if mass > 0.0 else kind.width
        body.front = kind.front + (body.length - kind.length) / 2

    def plug(self, vehicle: int, on: bool) -> None:
        """See Bodies."""
        self._drivers[vehicle].plugged = on

    def limit(self, vehicle: int, speed: float) -> None:
        """See Bodies."""
        self._drivers[vehicle].speed_limit = speed

    def step(self, seconds: float) -> None:
        """Move on, in steps of a fifth of the policy's period or less."""
        dt = self.bundle.spec.period / max(1.0, math.ceil(self.bundle.spec.period / 0.02))
        self._rest += seconds
        while self._rest >= dt * (1.0 - 1e-9):
            self._rest -= dt
            self._now += dt
            circles = [(d.body.x, d.body.y, d.body.radius) for d in self._drivers]
            for i, driver in enumerate(self._drivers):
                self._advance(driver, [*circles[:i], *circles[i + 1 :]], dt)

    # -- one vehicle

    def _advance(
        self, driver: _Driver, others: Sequence[tuple[float, float, float]], dt: float
    ) -> None:
        body = driver.body
        if self._now >= driver.next_act:
            driver.next_act = self._now + self.bundle.spec.period * (1.0 - 1e-6)
            driver.command = self._decide(driver, others)
        speed, rotation = driver.command
        top, spin = driver.limits[0] if driver.limits else (math.inf, math.inf)
        top = min(top, driver.speed_limit)
        speed = min(max(speed, -top), top)
        body.step(speed, min(max(rotation, -spin), spin), dt)
        self._arrive(driver)
        kind = body.type
        power = kind.draw_idle + kind.draw_driving * abs(body.v) / kind.speed
        power -= kind.charge_power if driver.plugged and body.v == 0.0 else 0.0
        driver.charge = min(max(driver.charge - power * dt / (3600.0 * kind.battery), 0.0), 1.0)

    def _decide(
        self, driver: _Driver, others: Sequence[tuple[float, float, float]]
    ) -> tuple[float, float]:
        body = driver.body
        rays = cast_fan(body, max(self._rays, 24), max(self._reach, 3.0), self._edges, others)
        if driver.kept or not driver.points:
            driver.runner.reset()
            driver.blocked = False
            return 0.0, 0.0
        goal = self._goal(driver)
        last = driver.ends[0] == 1
        far = math.hypot(goal[0] - body.x, goal[1] - body.y)
        if last and (driver.docking or far <= NEAR):
            if not driver.docking:
                driver.runner.reset()
            driver.docking = True
            speed, rotation = dock(body, driver.points[0])
        else:
            seen = np.minimum(rays, self._reach)[: self._rays] if self._rays else rays
            action = driver.runner.act(sense(self.bundle, body, goal, seen, self._now))
            speed = float(action.values["speed"][0])
            rotation = float(action.values["rotation"][0])
        room = room_ahead(body, rays) - KEPT_FREE
        top = math.sqrt(max(2.0 * body.type.deceleration * room, 0.0)) if room < 3.0 else math.inf
        # The field takes back what the decision lasts for.
        top = max(0.0, top - body.type.deceleration * self.bundle.spec.period)
        driver.blocked = speed > 0.05 and top <= 0.0
        return min(speed, top), rotation

    def _goal(self, driver: _Driver) -> tuple[float, float, float]:
        """Return the pose to head for; where any heading will do, the one that leads there."""
        x, y, theta = driver.points[0]
        if math.isnan(theta):
            theta = math.atan2(y - driver.body.y, x - driver.body.x)
            if len(driver.points) > 1 and driver.ends[0] > 1:
                theta = math.atan2(driver.points[1][1] - y, driver.points[1][0] - x)
        return x, y, theta

    def _arrive(self, driver: _Driver) -> None:
        """Let go of points and legs that are driven."""
        while driver.points:
            x, y, theta = driver.points[0]
            body = driver.body
            far = math.hypot(x - body.x, y - body.y)
            if driver.ends[0] > 1:
                if far > PASSED:
                    return
                driver.points.popleft()
                driver.ends[0] -= 1
                continue
            turned = math.isnan(theta) or abs(wrap(theta - body.theta)) <= TURNED
            still = abs(body.v) < 1e-3 and abs(body.omega) < 0.02
            if not (driver.docking and far <= THERE and turned and still) or driver.kept:
                return
            driver.points.popleft()
            driver.ends.popleft()
            driver.limits.popleft()
            driver.docking = False
            driver.done += 1


def make_policy_bodies(
    types: Sequence[VehicleType],
    poses: Floats,
    road_map: RoadMap | None,
    *,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> PolicyBodies:
    """Make vehicles that a policy drives: `policy` in the entry points `stagetwin.fleets`.

    Args:
        types: one for all, or one each.
        poses: where they stand, shape (count, 3).
        road_map: for its obstacles.
        seed: nothing here is drawn.
        options: `bundle`: a file, or a `Bundle`; `trust`: files or folders of public keys;
            `untrusted`: true for a bundle that nobody signed.

    Raises:
        BundleError: the file is damaged, or signed by none of the keys.
        PolicyError: an option that is not known, or a policy that cannot drive.
    """
    given = dict(options or {})
    if unknown := sorted(set(given) - set(_OPTIONS)):
        raise PolicyError(f"options are {', '.join(_OPTIONS)}, got {', '.join(unknown)}")
    bundle, untrusted = given.get("bundle"), bool(given.get("untrusted", False))
    if isinstance(bundle, (str, Path)):
        bundle = Bundle.read(bundle, load_trusted(given.get("trust", ())), unsigned=untrusted)
    if not isinstance(bundle, Bundle):
        raise PolicyError(f"option bundle: a file of a policy, got {bundle!r}")
    return PolicyBodies(bundle, types, poses, road_map, untrusted=untrusted)
