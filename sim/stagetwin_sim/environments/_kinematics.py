"""The task `kinematics`: a bare vehicle that heads for a point; for benchmarks and first steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stagetwin.fleets import VehicleType
from stagetwin_sim.environments import _episode_kernels as episodes
from stagetwin_sim.environments import _kinematics_kernels as kernels
from stagetwin_sim.environments import _vehicle_kernels as vehicles
from stagetwin_sim.environments._config import EnvironmentConfig, Layout
from stagetwin_sim.environments._terms import (
    ActionTerm,
    CommandTerm,
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
    goal_observations,
    motion_observations,
    vehicle_physics,
    vehicle_randomization,
)

__all__ = ["KinematicsConfig"]

_VEHICLE = VehicleType()
_REACH = 10.0
_AT_GOAL = (0.3, 4.0, 2.0)
"""Within 0.3 m [m]; any turn [rad] and any speed [m/s] will do."""


@dataclass(frozen=True, kw_only=True)
class KinematicsConfig(EnvironmentConfig):
    """A vehicle with limits, lag, slip, gains and delays on an open floor; it sees without noise.

    Attributes:
        vehicle: its type; actions and observations are scaled for it by `of`.
    """

    task: ClassVar[str] = "kinematics"

    vehicle: VehicleType = _VEHICLE
    dt: float = 0.1
    episode: float = 20.0
    actions: tuple[ActionTerm, ...] = drive_actions(_VEHICLE, Range(0, 3, "integers"))
    observations: tuple[ObservationTerm, ...] = (
        *goal_observations(_REACH, 0.0),
        *motion_observations(_VEHICLE, 0.0),
    )
    rewards: tuple[RewardTerm, ...] = (
        RewardTerm(name="progress", function=vehicles.progress, weight=1.0, once=True),
        RewardTerm(name="goal", function=episodes.succeeded, weight=5.0, once=True),
        RewardTerm(name="time", function=episodes.always, weight=-0.2),
    )
    terminations: tuple[TerminationTerm, ...] = (
        TerminationTerm(
            name="goal", function=vehicles.at_goal, params=(0.3, 4.0, 2.0), success=True
        ),
        TerminationTerm(name="time_out", function=episodes.time_is_up, time_out=True),
    )
    events: tuple[EventTerm, ...] = (EventTerm(name="pose", function=kernels.begin_anywhere),)
    commands: tuple[CommandTerm, ...] = (
        CommandTerm(name="goal", function=kernels.goal_anywhere, params=(2.0, 6.0)),
    )
    randomization: tuple[Randomization, ...] = vehicle_randomization(_VEHICLE)

    @classmethod
    def of(cls, vehicle: VehicleType) -> KinematicsConfig:
        """Return the task for a type of vehicle."""
        return cls(
            vehicle=vehicle,
            actions=drive_actions(vehicle, Range(0, 3, "integers")),
            observations=(
                *goal_observations(_REACH, 0.0),
                *motion_observations(vehicle, 0.0),
            ),
            randomization=vehicle_randomization(vehicle),
        )

    def layout(self) -> Layout:
        """See EnvironmentConfig."""
        return Layout(
            state=kernels.KinematicsState,
            values={"limits": drive_limits_of(self.vehicle), "mass": self.vehicle.mass},
            prepare=vehicles.measure_goal,
            advance=vehicles.drive_on,
            physics=vehicle_physics(self.vehicle),
            noise_parameter="sensor_noise",
        )
