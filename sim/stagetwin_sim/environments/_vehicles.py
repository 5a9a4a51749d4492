"""What tasks with a vehicle share: its physics, its actions, and terms about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stagetwin.fleets import VehicleType
from stagetwin_sim.environments import _episode_kernels as episodes
from stagetwin_sim.environments import _room_kernels as room
from stagetwin_sim.environments import _vehicle_kernels as vehicles
from stagetwin_sim.environments._config import Parameter
from stagetwin_sim.environments._terms import (
    ActionTerm,
    ObservationTerm,
    Randomization,
    Range,
)
from stagetwin_sim.policies import Term

__all__ = [
    "drive_actions",
    "drive_limits_of",
    "field_limits_of",
    "goal_observations",
    "heading_observation",
    "load_observation",
    "motion_observations",
    "vehicle_physics",
    "vehicle_randomization",
]


def vehicle_physics(vehicle: VehicleType) -> tuple[Parameter, ...]:
    """Return the parameters of a vehicle, in the order of the columns of the physics."""
    return (
        Parameter("speed_gain", 1.0, 0.0, 2.0),
        Parameter("rotation_gain", 1.0, 0.0, 2.0),
        Parameter("lag", 0.1, 0.0, 5.0, "s"),
        Parameter("slip", 0.0, -0.5, 0.5),
        Parameter("rotation_slip", 0.0, -0.5, 0.5),
        Parameter("mass", vehicle.mass, 0.1, 1e5, "kg"),
        Parameter("friction", 0.7, 0.01, 2.0),
        Parameter("sensor_noise", 1.0, 0.0, 10.0),
    )


def vehicle_randomization(vehicle: VehicleType) -> tuple[Randomization, ...]:
    """Return ranges that are plausible where nothing was calibrated."""
    loaded = vehicle.mass + vehicle.payload
    return (
        Randomization(parameter="speed_gain", range=Range(0.9, 1.1)),
        Randomization(parameter="rotation_gain", range=Range(0.9, 1.1)),
        Randomization(parameter="lag", range=Range(0.05, 0.25)),
        Randomization(parameter="slip", range=Range(0.0, 0.05)),
        Randomization(parameter="rotation_slip", range=Range(0.0, 0.1)),
        Randomization(parameter="mass", range=Range(vehicle.mass, loaded)),
        Randomization(parameter="friction", range=Range(0.4, 0.9)),
        Randomization(parameter="sensor_noise", range=Range(0.5, 1.5)),
    )


def drive_limits_of(vehicle: VehicleType) -> Any:
    """Return a vehicle's limits as the struct of its kernels; the lag is of the physics."""
    limits: Any = vehicles.DriveLimits()
    for name in (
        "speed",
        "reverse_speed",
        "acceleration",
        "deceleration",
        "rotation_speed",
        "rotation_acceleration",
    ):
        setattr(limits, name, getattr(vehicle, name))
    limits.lag = 0.0
    return limits


def field_limits_of(
    vehicle: VehicleType, ranges: Sequence[Randomization], *, on: bool, clear: float
) -> Any:
    """Return a protective field that holds for the worst vehicle of some ranges, as a struct.

    Args:
        vehicle: its type.
        ranges: of the physics: the heaviest load and the least friction count.
        on: whether there is a field.
        clear: what it keeps free about the vehicle [m].
    """
    drawn = {one.parameter: one.range for one in ranges}
    plain = {one.name: one.default for one in vehicle_physics(vehicle)}
    mass = drawn["mass"].high if "mass" in drawn else plain["mass"]
    friction = drawn["friction"].low if "friction" in drawn else plain["friction"]
    heavier = vehicle.mass / mass
    field: Any = room.FieldLimits()
    field.on = int(on)
    field.deceleration = min(vehicle.deceleration * heavier, friction * vehicles.GRAVITY)
    field.rotation_deceleration = vehicle.rotation_acceleration * heavier
    field.clear = clear
    # A vehicle that stands at all of them leaves no gap on its way to the farthest stop.
    way = vehicle.speed * vehicle.speed / (2.0 * field.deceleration)
    field.looks = max(1, math.ceil(way / vehicle.length))
    return field


def drive_actions(vehicle: VehicleType, delay: Range) -> tuple[ActionTerm, ...]:
    """Return commands of speed and rotation: 0 is a stand, 1 the highest forward or to the left."""
    speed = Term(
        name="speed",
        unit="m/s",
        frame="vehicle",
        scale=vehicle.speed,
        low=-max(vehicle.reverse_speed, 1e-6),
        high=vehicle.speed,
        source="command",
    )
    rotation = Term(
        name="rotation",
        unit="rad/s",
        frame="vehicle",
        scale=vehicle.rotation_speed,
        low=-vehicle.rotation_speed,
        high=vehicle.rotation_speed,
        source="command",
    )
    return ActionTerm(term=speed, delay=delay), ActionTerm(term=rotation, delay=delay)


def goal_observations(reach: float, noise: float) -> tuple[ObservationTerm, ...]:
    """Return where the goal is.

    Args:
        reach: the farthest that is told apart [m].
        noise: standard deviation of a distance [m], and of a direction [rad].
    """
    distance = Term(name="goal_distance", unit="m", scale=reach, low=0.0, high=reach, source="goal")
    direction = Term(
        name="goal_direction", frame="vehicle", shape=(2,), low=-1.0, high=1.0, source="goal"
    )
    return (
        ObservationTerm(term=distance, function=vehicles.goal_distance, noise=noise),
        ObservationTerm(term=direction, function=vehicles.goal_direction, noise=noise),
    )


def heading_observation(noise: float) -> ObservationTerm:
    """Return the heading asked for against the vehicle's own, as cosine and sine."""
    heading = Term(
        name="goal_heading", frame="vehicle", shape=(2,), low=-1.0, high=1.0, source="goal"
    )
    return ObservationTerm(term=heading, function=vehicles.goal_heading, noise=noise)


def motion_observations(vehicle: VehicleType, noise: float) -> tuple[ObservationTerm, ...]:
    """Return how the vehicle moves, and what was said last."""
    speed = Term(
        name="speed",
        unit="m/s",
        frame="vehicle",
        scale=vehicle.speed,
        low=-vehicle.speed,
        high=vehicle.speed,
        source="odometry",
    )
    rotation = Term(
        name="rotation",
        unit="rad/s",
        frame="vehicle",
        scale=vehicle.rotation_speed,
        low=-vehicle.rotation_speed,
        high=vehicle.rotation_speed,
        source="odometry",
    )
    last = Term(name="last_action", shape=(2,), low=-1.0, high=1.0, source="action")
    return (
        ObservationTerm(term=speed, function=vehicles.motion_of, params=(0,), noise=noise),
        ObservationTerm(term=rotation, function=vehicles.motion_of, params=(1,), noise=noise),
        ObservationTerm(term=last, function=episodes.last_action),
    )


def load_observation(vehicle: VehicleType) -> ObservationTerm:
    """Return what the vehicle carries, as VDA 5050 tells of `loads`."""
    most = max(vehicle.payload, 1.0)
    load = Term(name="load", unit="kg", scale=most, low=0.0, high=most, source="load")
    return ObservationTerm(term=load, function=vehicles.load_of)
