"""The task `navigation`: a vehicle to a pose, among pillars and other vehicles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from stagetwin.fleets import VehicleType
from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments import _episode_kernels as episodes
from stagetwin_sim.environments import _field_kernels as field
from stagetwin_sim.environments import _navigation_kernels as kernels
from stagetwin_sim.environments import _room_kernels as room
from stagetwin_sim.environments import _vehicle_kernels as vehicles
from stagetwin_sim.environments._config import EnvironmentConfig, Layout, Parameter
from stagetwin_sim.environments._terms import (
    ActionTerm,
    CommandTerm,
    CurriculumTerm,
    EventTerm,
    ObservationTerm,
    Randomization,
    Range,
    RewardTerm,
    TerminationTerm,
)
from stagetwin_sim.environments._vehicles import (
    drive_actions,
    drive_limits_of,
    field_limits_of,
    goal_observations,
    heading_observation,
    load_observation,
    motion_observations,
    vehicle_physics,
    vehicle_randomization,
)
from stagetwin_sim.policies import Term

__all__ = ["NavigationConfig"]

_VEHICLE = VehicleType()
_REACH = 10.0
_DELAY = Range(0, 3, "integers")
_AT_GOAL = (0.3, 0.6, 0.5)
"""Distance [m], turn [rad] and speed [m/s] that count as having arrived."""


def _observations(vehicle: VehicleType, rays: int, reach: float) -> tuple[ObservationTerm, ...]:
    fan = Term(
        name="lidar",
        unit="m",
        frame="vehicle",
        shape=(rays,),
        scale=reach,
        low=0.0,
        high=reach,
        source="lidar",
    )
    return (
        *goal_observations(_REACH, 0.02),
        heading_observation(0.02),
        *motion_observations(vehicle, 0.02),
        load_observation(vehicle),
        ObservationTerm(term=fan, function=kernels.lidar, params=(rays,), noise=0.02, dropout=0.01),
    )


def _privileged(others: int) -> tuple[ObservationTerm, ...]:
    physics = Term(name="physics", shape=(4,), low=-10.0, high=10.0)
    known = ObservationTerm(term=physics, function=episodes.physics_value, params=(0, 4))
    if not others:
        return (known,)
    seen = Term(
        name="others", frame="vehicle", shape=(others, 4), scale=_REACH, low=-30.0, high=30.0
    )
    return ObservationTerm(term=seen, function=kernels.others_seen), known


def _randomization(vehicle: VehicleType) -> tuple[Randomization, ...]:
    return (
        *vehicle_randomization(vehicle),
        Randomization(parameter="courtesy", range=Range(0.3, 1.2)),
    )


@dataclass(frozen=True, kw_only=True)
class NavigationConfig(EnvironmentConfig):
    """A square room with pillars and other vehicles; the vehicle sees by a fan of rays.

    Attributes:
        vehicle: its type; actions and observations are scaled for it by `of`.
        room: length of the room's sides [m].
        pillars: how many there are at most.
        others: how many other vehicles there are.
        other_radius: of them [m].
        patience: how long they stand at most where the vehicle is in their way, until they head
            elsewhere [s].
        reach: of the rays [m].
        gap: room between pillars, and between them and walls [m].
        turn_weight: what a radian left at the goal counts against a metre.
        field: whether the vehicle has a safety scanner, whose protective field slows it down so
            that it stops before what is in its way, be it as heavy and the floor as smooth as the
            ranges say.
        field_clear: what the field keeps free about the vehicle [m].
    """

    task: ClassVar[str] = "navigation"

    vehicle: VehicleType = _VEHICLE
    room: float = 10.0
    pillars: int = 6
    others: int = 2
    other_radius: float = 0.45
    patience: float = 5.0
    reach: float = 6.0
    gap: float = 1.3
    turn_weight: float = 0.5
    field: bool = True
    field_clear: float = 0.05
    dt: float = 0.1
    episode: float = 30.0
    actions: tuple[ActionTerm, ...] = drive_actions(_VEHICLE, _DELAY)
    observations: tuple[ObservationTerm, ...] = _observations(_VEHICLE, 24, 6.0)
    privileged: tuple[ObservationTerm, ...] = _privileged(2)
    rewards: tuple[RewardTerm, ...] = (
        RewardTerm(name="progress", function=kernels.pose_progress, weight=1.0, once=True),
        RewardTerm(name="goal", function=episodes.succeeded, weight=10.0, once=True),
        RewardTerm(name="collision", function=episodes.failed, weight=-10.0, once=True),
        RewardTerm(name="too_near", function=kernels.too_near, weight=-2.0, params=(0.4,)),
        RewardTerm(name="action_change", function=episodes.action_change, weight=-0.02),
        RewardTerm(name="time", function=episodes.always, weight=-0.4),
    )
    terminations: tuple[TerminationTerm, ...] = (
        TerminationTerm(name="collision", function=kernels.collided),
        TerminationTerm(name="goal", function=vehicles.at_goal, params=_AT_GOAL, success=True),
        TerminationTerm(name="time_out", function=episodes.time_is_up, time_out=True),
    )
    events: tuple[EventTerm, ...] = (
        EventTerm(name="pillars", function=kernels.place_pillars, params=(0.2, 0.5, 0.5)),
        EventTerm(name="pose", function=kernels.begin_vehicle, params=(0.3,)),
        EventTerm(name="others", function=kernels.begin_others, params=(0.2, 0.6)),
        EventTerm(
            name="floor",
            function=episodes.draw_again,
            mode="interval",
            params=(vehicles.SLIP, 2),
            interval=Range(5.0, 15.0),
        ),
    )
    commands: tuple[CommandTerm, ...] = (
        CommandTerm(name="goal", function=kernels.goal_in_room, params=(1.5, 8.0, 0.2, 2.0)),
    )
    curriculum: tuple[CurriculumTerm, ...] = (
        CurriculumTerm(name="distance", function=episodes.advance_on_success, params=(0.1, 0.05)),
    )
    randomization: tuple[Randomization, ...] = _randomization(_VEHICLE)

    @classmethod
    def of(
        cls, vehicle: VehicleType, *, rays: int = 24, reach: float = 6.0, others: int = 2
    ) -> NavigationConfig:
        """Return the task for a type of vehicle.

        Args:
            vehicle: as its factsheet says.
            rays: of its fan.
            reach: of the rays [m].
            others: how many other vehicles there are.
        """
        return cls(
            vehicle=vehicle,
            reach=reach,
            others=others,
            actions=drive_actions(vehicle, _DELAY),
            observations=_observations(vehicle, rays, reach),
            privileged=_privileged(others),
            randomization=_randomization(vehicle),
        )

    def layout(self) -> Layout:
        """See EnvironmentConfig.

        Raises:
            TaskError: the room is too small for the vehicle, or a number cannot be.
        """
        vehicle = self.vehicle
        radius = math.hypot(max(vehicle.front, vehicle.length - vehicle.front), vehicle.width / 2)
        if not self.room > 4.0 * radius or self.pillars < 0 or self.others < 0:
            raise TaskError(
                f"{self.task}: room is above {4.0 * radius:.2f} m and pillars and others at least "
                f"0, got {self.room}, {self.pillars} and {self.others}"
            )
        return Layout(
            state=room.NavigationState,
            sizes={
                "pillars": (self.pillars,),
                "others": (self.others,),
                "targets": (self.others,),
            },
            values={
                "limits": drive_limits_of(vehicle),
                "field": field_limits_of(
                    vehicle,
                    self.randomization,
                    on=self.field,
                    clear=self.field_clear,
                ),
                "mass": vehicle.mass,
                "half": self.room / 2.0,
                "front": vehicle.front,
                "rear": vehicle.length - vehicle.front,
                "side": vehicle.width / 2.0,
                "other_radius": self.other_radius,
                "gap": self.gap,
                "reach": self.reach,
                "turn_weight": self.turn_weight,
                "patience": max(1, round(self.patience / self.dt)),
            },
            prepare=room.remember,
            advance=field.advance,
            physics=(
                *vehicle_physics(vehicle),
                Parameter("courtesy", 0.8, 0.0, 10.0, "m"),
            ),
            noise_parameter="sensor_noise",
        )
