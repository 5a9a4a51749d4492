"""The task `zone-release`: who goes first at a junction, said once a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stagetwin.fleets import VehicleType
from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments import _episode_kernels as episodes
from stagetwin_sim.environments import _junction_kernels as junction
from stagetwin_sim.environments import _zone_release_kernels as kernels
from stagetwin_sim.environments._config import EnvironmentConfig, Figure, Layout, Parameter
from stagetwin_sim.environments._terms import (
    ActionTerm,
    EventTerm,
    ObservationTerm,
    Randomization,
    Range,
    RewardTerm,
    TerminationTerm,
)
from stagetwin_sim.policies import Term

__all__ = ["ZoneReleaseConfig"]

_VEHICLE = VehicleType()
_PATIENCE = 20.0
"""How long nobody in the junction may move before it counts as a deadlock [s]."""


def _shares(name: str, shape: tuple[int, ...], high: float, source: str) -> Term:
    return Term(name=name, shape=shape, low=0.0, high=high, source=source)


@dataclass(frozen=True, kw_only=True)
class ZoneReleaseConfig(EnvironmentConfig):
    """A junction of four approaches; the first of each is released or held.

    Attributes:
        vehicle: type of all vehicles.
        slots: vehicles that there may be from each approach.
        approach, leave: lengths of the lanes to and from the junction [m].
        half: half of the junction's sides [m].
        lane: of the middle of each lane from the road's [m].
        gap: that vehicles keep in a lane [m].
        near: below that it is a near miss [m]; less than the gap.
    """

    task: ClassVar[str] = "zone-release"
    figure: ClassVar[Figure | None] = Figure("throughput", "vehicles/h", reward="throughput")
    sides: ClassVar[int] = 4

    vehicle: VehicleType = _VEHICLE
    slots: int = 5
    approach: float = 12.0
    leave: float = 8.0
    half: float = 1.8
    lane: float = 0.7
    gap: float = 0.4
    near: float = 0.3
    dt: float = 0.1
    decimation: int = 10
    episode: float = 120.0
    actions: tuple[ActionTerm, ...] = (
        ActionTerm(
            term=Term(
                name="release",
                shape=(4,),
                scale=0.5,
                offset=0.5,
                low=0.0,
                high=1.0,
                source="command",
            ),
            delay=Range(0, 1, "integers"),
        ),
    )
    observations: tuple[ObservationTerm, ...] = (
        ObservationTerm(
            term=_shares("first_in_line", (4, 9), 2.0, "requests"),
            function=kernels.first_in_line,
            params=(30.0,),
        ),
        ObservationTerm(term=_shares("crossing", (4, 5), 1.0, "zone"), function=kernels.crossing),
        ObservationTerm(term=_shares("exits", (4, 2), 1.0, "zone"), function=kernels.exits),
        ObservationTerm(
            term=Term(name="last_action", shape=(4,), low=-1.0, high=1.0, source="action"),
            function=episodes.last_action,
        ),
    )
    rewards: tuple[RewardTerm, ...] = (
        RewardTerm(name="throughput", function=kernels.left, weight=1.0, once=True),
        RewardTerm(name="driving", function=kernels.driven, weight=1.0),
        RewardTerm(name="waiting", function=kernels.waiting, weight=-0.02, params=(30.0,)),
        RewardTerm(name="near_miss", function=kernels.near_misses, weight=-0.5, once=True),
        RewardTerm(name="failure", function=episodes.failed, weight=-150.0, once=True),
    )
    terminations: tuple[TerminationTerm, ...] = (
        TerminationTerm(name="collision", function=kernels.collided),
        TerminationTerm(name="deadlock", function=kernels.deadlocked, params=(_PATIENCE,)),
        TerminationTerm(name="time_out", function=episodes.time_is_up, time_out=True),
    )
    events: tuple[EventTerm, ...] = (
        EventTerm(name="lanes", function=kernels.fill_lanes, params=(2.0,)),
        EventTerm(
            name="blocked_exit",
            function=kernels.block_exit,
            mode="interval",
            params=(4.0, 10.0),
            interval=Range(15.0, 40.0),
        ),
    )
    randomization: tuple[Randomization, ...] = (
        Randomization(parameter="acceleration_gain", range=Range(0.8, 1.2)),
        Randomization(parameter="braking_gain", range=Range(0.9, 1.2)),
        Randomization(parameter="arrivals", range=Range(0.03, 0.1)),
        Randomization(parameter="length", range=Range(_VEHICLE.length, _VEHICLE.loaded_length)),
    )

    def layout(self) -> Layout:
        """See EnvironmentConfig.

        Raises:
            TaskError: a length cannot be.
        """
        vehicle = self.vehicle
        if self.slots < 1 or not 0.5 * vehicle.width < self.lane < self.half:
            raise TaskError(
                f"{self.task}: slots is at least 1 and lane within ({0.5 * vehicle.width:.2f}, "
                f"{self.half}) m, got {self.slots} and {self.lane}"
            )
        vehicles = (4 * self.slots,)
        names = ("along", "speed", "turn", "released", "waited", "poses")
        return Layout(
            state=junction.ZoneReleaseState,
            sizes={**dict.fromkeys(names, vehicles), "blocked": (4,)},
            values={
                "slots": self.slots,
                "approach": self.approach,
                "leave": self.leave,
                "half": self.half,
                "lane": self.lane,
                "limit": vehicle.speed,
                "acceleration": vehicle.acceleration,
                "deceleration": vehicle.deceleration,
                "width": vehicle.width,
                "gap": self.gap,
                "near": self.near,
            },
            prepare=junction.prepare_releases,
            advance=junction.advance_vehicles,
            physics=(
                Parameter("acceleration_gain", 1.0, 0.1, 3.0),
                Parameter("braking_gain", 1.0, 0.1, 3.0),
                Parameter("arrivals", 0.06, 0.0, 5.0, "Hz"),
                Parameter("length", vehicle.length, 0.1, 10.0, "m"),
            ),
        )
