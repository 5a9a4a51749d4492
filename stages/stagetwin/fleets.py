"""Vehicles as the core knows them: what a type of vehicle can do, and the port of what drives.

A third party adds what drives vehicles by an entry point in the group `stagetwin.fleets`: a
function that satisfies `MakeBodies`. `simulated` drives them in a simulation.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from typing import Protocol as TypingProtocol

import msgspec
import numpy as np
import numpy.typing as npt

from stagetwin._errors import ProtocolNotFoundError

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["Bodies", "Leg", "MakeBodies", "VehicleType", "find_bodies"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

GROUP = "stagetwin.fleets"


class VehicleType(msgspec.Struct, frozen=True, kw_only=True):
    """What a type of vehicle can do. Lengths are in the vehicle's frame: x forward, y left.

    Attributes:
        name: of the series.
        speed: highest speed forward [m/s].
        reverse_speed: highest speed backward [m/s]; 0 where it cannot reverse.
        acceleration: [m/s2].
        deceleration: of service braking [m/s2].
        rotation_speed: [rad/s].
        rotation_acceleration: [rad/s2].
        length: over all, empty [m].
        width: over all, empty [m].
        loaded_length: over all with the largest load [m].
        loaded_width: over all with the largest load [m].
        front: from the kinematic centre to the front end, empty [m].
        mass: empty [kg].
        payload: the largest load [kg].
        battery: capacity [W.h].
        draw_idle: power standing [W].
        draw_driving: power on top of that at full speed [W].
        charge_power: [W].
    """

    name: str = "amr"
    speed: float = 1.5
    reverse_speed: float = 0.3
    acceleration: float = 0.8
    deceleration: float = 1.0
    rotation_speed: float = 1.5
    rotation_acceleration: float = 2.0
    length: float = 0.9
    width: float = 0.6
    loaded_length: float = 1.0
    loaded_width: float = 0.7
    front: float = 0.45
    mass: float = 150.0
    payload: float = 200.0
    battery: float = 1200.0
    draw_idle: float = 40.0
    draw_driving: float = 200.0
    charge_power: float = 1500.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name == "name":
                continue
            low = 0.0 if name in _MAY_BE_ZERO else math.ulp(0.0)
            if not (math.isfinite(value) and value >= low):
                kind = "0 or more" if low == 0.0 else "above 0"
                raise ValueError(f"vehicle type {self.name!r}: {name} must be {kind}, got {value}")

    @classmethod
    def from_factsheet(cls, factsheet: Mapping[str, Any]) -> VehicleType:
        """Return the type that a VDA 5050 factsheet describes, of version 2.1 or 3.0.

        What the sheet does not say keeps its default.

        Raises:
            ValueError: a figure that no vehicle can have; names it.
        """
        kind = factsheet.get("typeSpecification") or {}
        body = factsheet.get("physicalParameters") or {}
        said = {
            "speed": body.get("maximumSpeed", body.get("speedMax")),
            "acceleration": body.get("maximumAcceleration", body.get("accelerationMax")),
            "deceleration": body.get("maximumDeceleration", body.get("decelerationMax")),
            "rotation_speed": body.get("maximumAngularSpeed", body.get("angularSpeedMax")),
            "length": body.get("length"),
            "width": body.get("width"),
            "payload": kind.get("maximumLoadMass", kind.get("maxLoadMass")),
        }
        given = {name: float(value) for name, value in said.items() if value is not None}
        for axis in ("length", "width"):
            if axis in given:
                given[f"loaded_{axis}"] = given[axis]
        if "length" in given:
            given["front"] = given["length"] / 2
        return cls(name=str(kind.get("seriesName", "amr")), **given)


_MAY_BE_ZERO = {"reverse_speed", "payload", "draw_idle", "draw_driving"}


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the way, driven to its end before the next begins.

    Attributes:
        x: where it ends, in the map's frame [m].
        y: likewise.
        theta: heading at its end [rad]; NaN leaves it to the vehicle.
        path: points on the way, the end not among them; none is straight.
        speed: highest speed [m/s].
        rotation_speed: highest [rad/s].
        through: whether it need not stop at the end.
        backward: whether it is driven backward; only for bodies whose `reverses` is true.
    """

    x: float
    y: float
    theta: float = math.nan
    path: tuple[tuple[float, float], ...] = ()
    speed: float = math.inf
    rotation_speed: float = math.inf
    through: bool = False
    backward: bool = False


class Bodies(TypingProtocol):
    """Vehicles that drive, many at once, behind whoever speaks for them.

    Attributes:
        count: how many there are.

    Bodies that can drive legs backward have an attribute `reverses` that is true; without it no
    such leg is given to them.
    """

    count: int

    def poses(self) -> Floats:
        """Return x [m], y [m], theta [rad] as the vehicles believe them, shape (count, 3)."""
        ...

    def velocities(self) -> Floats:
        """Return vx, vy [m/s], omega [rad/s] in the vehicles' frames, shape (count, 3)."""
        ...

    def charge(self) -> Floats:
        """Return the state of charge, 0 to 1, shape (count,)."""
        ...

    def done(self) -> Ints:
        """Return how many legs each has finished since the start, shape (count,)."""
        ...

    def blocked(self) -> Bools:
        """Return whether something stands in a protective field, shape (count,)."""
        ...

    def drive(self, vehicle: int, legs: Sequence[Leg]) -> None:
        """Append legs to what a vehicle drives."""

    def stop(self, vehicle: int, *, keep: bool = False) -> None:
        """Brake to a stand; what was still to be driven is forgotten unless it is kept."""

    def resume(self, vehicle: int) -> None:
        """Go on with the legs that a stop kept."""

    def place(self, vehicle: int, x: float, y: float, theta: float) -> None:
        """Let a vehicle believe that it stands here (initial position)."""

    def load(self, vehicle: int, mass: float, length: float, width: float) -> None:
        """Let a vehicle carry [kg, m, m]; mass 0 takes the load off."""

    def plug(self, vehicle: int, on: bool) -> None:
        """Begin or end to charge."""

    def limit(self, vehicle: int, speed: float) -> None:
        """Bound the speed [m/s] whatever a leg says; inf takes the bound away."""

    def step(self, seconds: float) -> None:
        """Move on."""


class MakeBodies(TypingProtocol):
    """What an entry point in `stagetwin.fleets` is."""

    def __call__(
        self,
        types: Sequence[VehicleType],
        poses: Floats,
        road_map: RoadMap | None,
        *,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> Bodies:
        """Make vehicles of `types` that stand at `poses`, shape (count, 3)."""
        ...


def find_bodies(name: str = "simulated") -> MakeBodies:
    """Return what makes vehicles that drive.

    Raises:
        ProtocolNotFoundError: no installed package offers it.
    """
    entries = importlib.metadata.entry_points(group=GROUP)
    for entry in entries:
        if entry.name == name:
            found: MakeBodies = entry.load()
            return found
    names = ", ".join(sorted(entry.name for entry in entries)) or "none"
    raise ProtocolNotFoundError(f"nothing drives vehicles by the name {name!r}; installed: {names}")
