"""What a motion is made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import VehicleType
from stagetwin_sim._errors import FleetError
from stagetwin_sim.fleet._near_kernels import MAX_NEIGHBOURS
from stagetwin_sim.fleet._obstacles import Obstacles

__all__ = ["MotionPlan", "Noise", "People"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What is not as a vehicle believes or commands.

    Errors of localisation come and go (an Ornstein-Uhlenbeck process); slip is drawn anew for each
    step, as the magnitude of a normal variable, at most 0.5.

    Attributes:
        position: standard deviation in x and in y [m].
        heading: likewise [rad].
        time: in which an error is forgotten [s].
        slip: typical share of the speed that the wheels lose.
        slip_rotation: likewise of the rotation.
        lag: time constant of the drives [s].
    """

    position: float = 0.0
    heading: float = 0.0
    time: float = 2.0
    slip: float = 0.0
    slip_rotation: float = 0.0
    lag: float = 0.0

    def __post_init__(self) -> None:
        for name in ("position", "heading", "slip", "slip_rotation", "lag"):
            _check(f"noise: {name}", getattr(self, name), 0.0)
        _check("noise: time", self.time, 1e-6)


@dataclass(frozen=True, kw_only=True)
class People:
    """Those who walk between the vehicles and give way to nobody.

    Each walks straight to a place in the area that obstacles leave clear, stands a while, and
    chooses another.

    Attributes:
        places: where they begin [m], shape (people, 2).
        speed: of each [m/s], or of all.
        radius: of each [m], or of all.
        area: left, bottom, right, top of where they walk [m]; the floor's where it is None.
        rest: how long each stands at most [s].
    """

    places: Sequence[Sequence[float]]
    speed: float | Sequence[float] = 1.2
    radius: float | Sequence[float] = 0.3
    area: tuple[float, float, float, float] | None = None
    rest: float = 5.0

    def __post_init__(self) -> None:
        places = np.asarray(self.places, np.float64)
        if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
            raise FleetError(f"people: places must be finite (people, 2), got {places.shape}")
        for name in ("speed", "radius"):
            values = np.broadcast_to(np.asarray(getattr(self, name), np.float64), len(places))
            if not ((values > 0.0) & np.isfinite(values)).all():
                raise FleetError(f"people: {name} must be above 0, got {values.min()}")
        _check("people: rest", self.rest, 0.0)

    @property
    def count(self) -> int:
        """How many they are in each world."""
        return len(self.places)


@dataclass(frozen=True, kw_only=True)
class MotionPlan:
    """What a Motion is made from; one plan serves any number of worlds.

    Attributes:
        types: of vehicles.
        poses: where the vehicles begin: x, y [m], theta [rad], shape (vehicles, 3), or
            (worlds, vehicles, 3).
        vehicle_types: index of each vehicle's type; shape (vehicles,); all are of the first where
            it is None.
        obstacles: one layout, or several.
        world_layouts: index of each world's layout; 0 where it is None.
        people: who walks there.
        noise: what is not as believed or commanded.
        step: length of a step [s].
        bounds: left, bottom, right, top of the floor [m], for the grid of neighbours alone: who is
            outside is still seen. Found from obstacles and poses where it is None.
        neighbours: how many others one avoids at most.
        neighbour_distance: up to where others are avoided [m].
        horizon: for which no collision with others is wanted [s].
        wall_horizon: likewise with obstacles [s].
        tracking_error: by which a vehicle may be off the velocity that avoidance chose [m]; added
            to its radius.
        tracking_time: in which it turns to that velocity where it can [s].
        perturbation: largest turn of preferred velocities, one for each vehicle [rad], which parts
            those who would mirror each other for ever.
        preferred: `goal`: velocities that vehicles would like come from their goals; `given`: from
            `FleetState.preferred`.
        goal_tolerance: how near to a goal is there [m].
        look_ahead: of path following, shortest [m].
        spot_angle: a corner sharper than this is turned at a stand [rad].
        margin: how far before its clearance a vehicle plans to stand [m].
        path_points: how many points a vehicle's path may have.
        shared_paths: polylines that any vehicle may follow, [m], beside those of its own.
        shared_limits: highest speed on each segment of these; negative is backward; None is any.
        fields: whether protective fields are watched; each vehicle's is on at first.
        field_reaction: time before brakes act, of the field's depth [s].
        field_front, field_side: what the field has beyond the braking distance, and beside [m].
        counting: whether collisions and near misses are counted.
        near_distance, near_speed, near_time: bounds of a near miss [m, m/s, s].
        charge: of the batteries at first, 0 to 1.
        discs: vehicles are discs of their width that move at once as avoidance chooses, without a
            drive: the model of ORCA itself, for comparison with other implementations.

    Raises:
        FleetError: a figure is out of range.
    """

    types: Sequence[VehicleType]
    poses: Sequence[Sequence[float]] | Floats
    vehicle_types: Sequence[int] | None = None
    obstacles: Obstacles | Sequence[Obstacles] = field(default_factory=Obstacles)
    world_layouts: Sequence[int] | None = None
    people: People | None = None
    noise: Noise = field(default_factory=Noise)
    step: float = 0.05
    bounds: tuple[float, float, float, float] | None = None
    neighbours: int = MAX_NEIGHBOURS
    neighbour_distance: float = 6.0
    horizon: float = 3.0
    wall_horizon: float = 2.0
    tracking_error: float = 0.15
    tracking_time: float = 0.4
    perturbation: float = 0.05
    preferred: str = "goal"
    goal_tolerance: float = 0.05
    look_ahead: float = 0.3
    spot_angle: float = 0.6
    margin: float = 0.002
    path_points: int = 64
    shared_paths: Sequence[Sequence[Sequence[float]]] = ()
    shared_limits: Sequence[Sequence[float] | None] = ()
    fields: bool = True
    field_reaction: float = 0.1
    field_front: float = 0.1
    field_side: float = 0.03
    counting: bool = True
    near_distance: float = 0.1
    near_speed: float = 0.3
    near_time: float = 0.5
    charge: float = 1.0
    discs: bool = False

    def __post_init__(self) -> None:
        poses = np.asarray(self.poses, np.float64)
        if poses.ndim not in (2, 3) or poses.shape[-1] != 3 or poses.shape[-2] < 1:
            text = "(vehicles, 3) or (worlds, vehicles, 3), with a vehicle"
            raise FleetError(f"poses must have shape {text}, got {poses.shape}")
        if not np.isfinite(poses).all():
            at = np.argwhere(~np.isfinite(poses))[0].tolist()
            raise FleetError(f"poses must be finite, got {poses[tuple(at)]} at {at}")
        if not self.types:
            raise FleetError("types: a fleet has at least one type of vehicle, got none")
        kinds = self.type_indices()
        if len(kinds) != self.vehicles or kinds.min() < 0 or kinds.max() >= len(self.types):
            text = f"an index below {len(self.types)} for each of {self.vehicles} vehicles"
            raise FleetError(f"vehicle_types must have {text}, got {kinds.tolist()}")
        if not 0 <= self.neighbours <= MAX_NEIGHBOURS:
            raise FleetError(f"neighbours must be 0 to {MAX_NEIGHBOURS}, got {self.neighbours}")
        if self.preferred not in ("goal", "given"):
            raise FleetError(f"preferred must be goal or given, got {self.preferred!r}")
        if self.path_points < 2:
            raise FleetError(f"path_points must be 2 or more, got {self.path_points}")
        if not 0.0 <= self.margin < 0.005:
            raise FleetError(f"margin must be in [0, 0.005) m, got {self.margin}")
        if not 0.0 <= self.charge <= 1.0:
            raise FleetError(f"charge must be 0 to 1, got {self.charge}")
        for name in _ABOVE_ZERO:
            _check(name, getattr(self, name), 1e-6)
        for name in _NOT_NEGATIVE:
            _check(name, getattr(self, name), 0.0)

    @property
    def vehicles(self) -> int:
        """How many there are in each world."""
        return int(np.asarray(self.poses).shape[-2])

    def type_indices(self) -> npt.NDArray[np.int32]:
        """Return the type of each vehicle, shape (vehicles,)."""
        if self.vehicle_types is None:
            return np.zeros(self.vehicles, np.int32)
        return np.asarray(self.vehicle_types, np.int32).reshape(-1)

    def layouts(self) -> Sequence[Obstacles]:
        """Return the layouts."""
        return (self.obstacles,) if isinstance(self.obstacles, Obstacles) else self.obstacles

    def largest(self) -> float:
        """Return the largest radius of anybody, loaded, with its tracking error [m]."""
        if self.discs:
            return max(0.5 * kind.width for kind in self.types)
        reach = 0.0
        for kind in self.types:
            far = abs(kind.front - 0.5 * kind.length) + 0.5 * max(kind.length, kind.loaded_length)
            reach = max(reach, math.hypot(far, 0.5 * max(kind.width, kind.loaded_width)))
        people = np.max(self.people.radius) if self.people and self.people.count else 0.0
        return max(reach + self.tracking_error, float(people))

    def fastest(self) -> float:
        """Return the highest speed of anybody [m/s]."""
        people = np.max(self.people.speed) if self.people and self.people.count else 0.0
        return max(max(kind.speed for kind in self.types), float(people))

    def floor(self) -> tuple[float, float, float, float]:
        """Return bounds that hold all obstacles and start poses [m]."""
        places = np.asarray(self.poses, np.float64)[..., :2].reshape(-1, 2)
        corners = [places.min(axis=0), places.max(axis=0)]
        if self.people and self.people.count:
            corners += [np.min(self.people.places, axis=0), np.max(self.people.places, axis=0)]
        for each in self.layouts():
            found = each.bounds()
            if found is not None:
                corners += [np.array(found[:2]), np.array(found[2:])]
        if self.bounds is not None:
            corners += [np.array(self.bounds[:2]), np.array(self.bounds[2:])]
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


_ABOVE_ZERO = (
    "step",
    "neighbour_distance",
    "horizon",
    "wall_horizon",
    "tracking_time",
    "goal_tolerance",
    "look_ahead",
    "spot_angle",
)
_NOT_NEGATIVE = (
    "tracking_error",
    "perturbation",
    "field_reaction",
    "field_front",
    "field_side",
    "near_distance",
    "near_speed",
    "near_time",
)


def _check(name: str, value: float, low: float) -> None:
    if not (math.isfinite(value) and value >= low):
        raise FleetError(f"{name} must be finite and at least {low:g}, got {value}")
