"""Simulated vehicles that a velocity policy drives, each from the bundle alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import Leg, VehicleType
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._runner import Runner
from stagetwin_sim.policies._senses import SENSES, Sight, sense, unknown_to
from stagetwin_sim.policies._way import Way

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap
    from stagetwin_sim.fleet import LidarFan, Motion, Noise

__all__ = ["PolicyBodies"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STEP = 0.05
"""Longest step of the drive [s]; as of the simulated vehicles."""
PATH_POINTS = 128
"""Points of a leg that is driven backward, at most."""
THERE, TURNED = 0.02, 0.03
"""What counts as the end of a leg [m, rad]."""


class _Driver:
    """What one vehicle drives, and the runner that drives it."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.way = Way()
        self.kept = False
        self.speed_limit = math.inf
        self.load = 0.0
        self.docking = self.braking = False
        self.tries = 0


class PolicyBodies:
    """Vehicles of one floor, each driven by a policy; satisfies `stagetwin.fleets.Bodies`.

    The drive is the fleet's (`stagetwin_sim.fleet.Motion`), with its limits, lag, slip, errors of
    localisation and protective field, and rays are those of its lidar. The policy heads for the end
    of the leg, and for the points of its path on the way. The last stretch to a leg's end, where a
    station wants centimetres and the policy was trained for less, and turns on the spot are driven
    as a path, and so are legs that are driven backward, which no training had. The protective field
    stops the vehicle whatever the policy says.

    Args:
        bundle: of a policy of kind `velocity` with `speed` and `rotation` as actions.
        types: of the vehicles, one for all or one each.
        poses: where they stand, shape (count, 3).
        road_map: for its obstacles; None for an open floor.
        untrusted: whether a bundle that nobody signed will do, in a simulation.
        seed: of noise, slip and lidar.
        noise: what is not as believed or commanded; none where it is None.
        field: whether protective fields are watched.
        lidar_noise: standard deviation of a range [m].
        lidar_dropout: share of rays that come back with nothing.
        device: Warp's name of it.

    Attributes:
        count: how many vehicles.
        reverses: that it takes legs that are driven backward.
        motion: what moves them; this alone steps it and tells its vehicles what to do.

    Raises:
        PolicyError: the bundle is no such policy, or sees what a vehicle here cannot measure.
    """

    reverses = True

    def __init__(
        self,
        bundle: Bundle,
        types: Sequence[VehicleType],
        poses: Floats,
        road_map: RoadMap | None = None,
        *,
        untrusted: bool = False,
        seed: int = 0,
        noise: Noise | None = None,
        field: bool = True,
        lidar_noise: float = 0.0,
        lidar_dropout: float = 0.0,
        device: str = "cpu",
    ) -> None:
        spec = bundle.spec
        said = [one.term.name for one in spec.actions]
        unknown = unknown_to(spec)
        if spec.kind != "velocity" or said != ["speed", "rotation"] or unknown:
            raise PolicyError(
                f"policy {spec.name!r}: vehicles here take speed and rotation and know "
                f"{', '.join(SENSES)}, got {said} and {', '.join(unknown) or 'nothing else'}"
            )
        at = np.asarray(poses, np.float64).reshape(-1, 3)
        self.bundle, self.count = bundle, len(at)
        self._every = max(1, math.ceil(spec.period / STEP - 1e-9))
        self._steps = 0
        self._rest = 0.0
        self._drivers = [
            _Driver(Runner(bundle, self._time, untrusted=untrusted)) for _ in range(self.count)
        ]
        # Warp comes in here and not with the package: a runner beside a vehicle needs none.
        from stagetwin_sim._quiet import begin_quietly
        from stagetwin_sim.fleet import Lidar, LidarFan, Motion, MotionPlan, Noise, Obstacles

        begin_quietly()
        noise = noise or Noise()
        known = list(dict.fromkeys(types))
        if len(types) not in (1, self.count):
            raise PolicyError(f"types must be 1 or {self.count}, got {len(types)}")
        kinds = [known.index(kind) for kind in types] * (self.count if len(types) == 1 else 1)
        plan = MotionPlan(
            types=known,
            poses=at,
            vehicle_types=kinds,
            obstacles=Obstacles() if road_map is None else Obstacles.from_map(road_map),
            noise=noise,
            step=spec.period / self._every,
            fields=field,
            path_points=PATH_POINTS,
        )
        self.motion: Motion = Motion(plan, 1, seed, device)
        fans = [one.term for one in spec.observations if one.term.name == "lidar"]
        self._fan: LidarFan | None = None
        if fans:
            lidar = Lidar(
                rays=fans[0].size,
                first=0.0,
                last=2.0 * math.pi,
                far=fans[0].high,
                noise=lidar_noise,
                dropout=lidar_dropout,
            )
            self._fan = LidarFan(self.motion, lidar)
        # Who is wrong about where they are cannot be held to less than that.
        self._there = max(THERE, 3.0 * noise.position)
        self._turned = max(TURNED, 3.0 * noise.heading)

    def _time(self) -> float:
        """Return the time of the simulation [s]."""
        return self._steps * self.bundle.spec.period / self._every

    @property
    def counts(self) -> Counter[str]:
        """Steps by status and fallbacks by cause, of all runners together."""
        return sum((driver.runner.counts for driver in self._drivers), Counter())

    # -- what is seen

    def poses(self) -> Floats:
        """See Bodies."""
        return self._columns("seen_x", "seen_y", "seen_theta")

    def velocities(self) -> Floats:
        """See Bodies."""
        moving = self._columns("v", "omega")
        return np.stack([moving[:, 0], np.zeros(self.count), moving[:, 1]], axis=1)

    def charge(self) -> Floats:
        """See Bodies."""
        return self._columns("charge")[:, 0]

    def done(self) -> Ints:
        """See Bodies."""
        return np.array([driver.way.done for driver in self._drivers], np.int64)

    def blocked(self) -> Bools:
        """See Bodies."""
        return np.asarray(self._columns("blocked")[:, 0] != 0.0)

    def _columns(self, *names: str) -> Floats:
        state: Any = self.motion.state
        columns = [getattr(state, name).numpy()[0] for name in names]
        return np.stack(columns, axis=1).astype(np.float64)

    # -- what is asked

    def drive(self, vehicle: int, legs: Sequence[Leg]) -> None:
        """See Bodies.

        Raises:
            PolicyError: a leg backward is not for this type, or has too many points; none is taken.
        """
        kind = self.motion.plan.types[self.motion.plan.type_indices()[vehicle]]
        for leg in legs:
            fits = kind.reverse_speed > 0.0 and len(leg.path) <= PATH_POINTS - 2
            if leg.backward and not fits:
                raise PolicyError(
                    f"vehicle {vehicle}: backward it drives at {kind.reverse_speed:g} m/s by at "
                    f"most {PATH_POINTS - 2} points, got {len(leg.path)}"
                )
        self._drivers[vehicle].way.extend(legs)

    def stop(self, vehicle: int, *, keep: bool = False) -> None:
        """See Bodies."""
        driver = self._drivers[vehicle]
        driver.kept = keep
        if not keep:
            driver.way.clear()
        self._leave_to_nobody(vehicle)

    def resume(self, vehicle: int) -> None:
        """See Bodies."""
        self._drivers[vehicle].kept = False

    def place(self, vehicle: int, x: float, y: float, theta: float) -> None:
        """See Bodies; here the vehicle is where it believes to be."""
        self.motion.place(0, vehicle, x, y, theta)
        self._leave_to_nobody(vehicle)

    def load(self, vehicle: int, mass: float, length: float, width: float) -> None:
        """See Bodies."""
        self._drivers[vehicle].load = mass
        self.motion.carry(0, vehicle, int(mass > 0.0), mass, length, width)

    def plug(self, vehicle: int, on: bool) -> None:
        """See Bodies."""
        self.motion.plug(0, vehicle, on)

    def limit(self, vehicle: int, speed: float) -> None:
        """See Bodies."""
        self._drivers[vehicle].speed_limit = speed
        self._bound(vehicle)

    def step(self, seconds: float) -> None:
        """See Bodies; what is no whole number of the drive's steps is made up for next time."""
        self._rest += seconds
        step = self.motion.plan.step
        while (left := int(self._rest / step + 1e-9)) > 0:
            if self._steps % self._every == 0:
                self._decide()
            count = min(left, self._every - self._steps % self._every)
            self.motion.step(count)
            self._steps += count
            self._rest -= count * step

    # -- decisions

    def _decide(self) -> None:
        """Tell every vehicle what to do until the next decision."""
        seen = self._columns("seen_x", "seen_y", "seen_theta", "v", "omega", "arrived").tolist()
        ranges = np.zeros((self.count, 0))
        if self._fan is not None and any(d.way and not d.kept for d in self._drivers):
            self._fan.launch()
            ranges = self._fan.ranges.numpy()[0].astype(np.float64)
        for vehicle, (x, y, theta, v, omega, arrived) in enumerate(seen):
            driver = self._drivers[vehicle]
            if driver.kept:
                continue
            if driver.docking and arrived and not driver.braking:
                self._arrive(vehicle, (x, y, theta))
            if driver.way.pass_points(x, y):
                driver.docking = driver.braking = False  # that was to an end that is passed
            if not driver.way:
                self._leave_to_nobody(vehicle)
            elif driver.docking or driver.way.backward or driver.way.is_near(x, y):
                self._dock(vehicle, (x, y, theta), v)
            else:
                sight = Sight(
                    pose=(x, y, theta),
                    twist=(v, omega),
                    goal=driver.way.goal(x, y),
                    rays=ranges[vehicle],
                    load=driver.load,
                    time=self._time(),
                )
                said = driver.runner.act(sense(self.bundle.spec, sight)).values
                self._bound(vehicle)
                self.motion.command(0, vehicle, float(said["speed"][0]), float(said["rotation"][0]))

    def _bound(self, vehicle: int) -> None:
        """Keep a vehicle to the limits of its leg, and to that of whoever sends it."""
        driver = self._drivers[vehicle]
        top, spin = driver.speed_limit, math.inf
        if driver.way:
            leg = driver.way.legs[0]
            top, spin = min(top, leg.speed), leg.rotation_speed
        self.motion.limit(0, vehicle, top, spin)

    def _leave_to_nobody(self, vehicle: int) -> None:
        """Let a vehicle brake; whoever drives it next begins anew."""
        driver = self._drivers[vehicle]
        driver.docking = driver.braking = False
        driver.tries = 0
        driver.runner.reset()
        self.motion.stop(0, vehicle)

    # -- the last stretch

    def _dock(self, vehicle: int, pose: tuple[float, float, float], v: float) -> None:
        """Take a vehicle from where the policy left it to the end of its leg, as a path."""
        driver = self._drivers[vehicle]
        if driver.docking and not driver.braking:
            return  # on its way
        if not driver.docking:
            driver.docking, driver.tries = True, 0
            driver.runner.reset()
            self._bound(vehicle)
        x, y, theta = pose
        end_x, end_y, final = driver.way.end
        kind = self.motion.plan.types[self.motion.plan.type_indices()[vehicle]]
        far = math.dist((x, y), (end_x, end_y))
        # Who is too fast for what is left stands first, and begins from there.
        rolls = v * v / (2.0 * kind.deceleration) + abs(v) * (STEP + self.motion.plan.noise.lag)
        backward = driver.way.backward
        driver.braking = abs(v) > 0.02 and (backward or rolls > 0.7 * far)
        if driver.braking:
            self.motion.stop(0, vehicle)
            return
        if far <= 0.5 * self._there:
            self.motion.set_path(0, vehicle, [(x, y)], theta=final, s_max=math.inf)
            return
        off = math.atan2(end_y - y, end_x - x) - theta
        back = backward or (math.cos(off) < -0.1 and kind.reverse_speed > 0.0)
        limits = -kind.reverse_speed if back else math.inf
        on_the_way = driver.way.points if backward and driver.tries == 0 else []
        points = [(x, y), *on_the_way, (end_x, end_y)]
        self.motion.set_path(0, vehicle, points, limits=limits, theta=final, s_max=math.inf)

    def _arrive(self, vehicle: int, pose: tuple[float, float, float]) -> None:
        """Count a leg as driven if it is; else try again, and be content with a little less."""
        driver = self._drivers[vehicle]
        end_x, end_y, final = driver.way.end
        driver.tries += 1
        slack = 1.0 + 0.5 * (driver.tries - 1)
        turned = math.isnan(final) or 1.0 - math.cos(final - pose[2]) <= (
            0.5 * (slack * self._turned) ** 2
        )
        if turned and math.dist(pose[:2], (end_x, end_y)) <= slack * self._there:
            driver.way.finish()
            driver.docking = False
        else:
            driver.braking = True  # a new path, from where it stands
