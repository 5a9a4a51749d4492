"""The task `arm-reach`: a six-axis arm of a stage brings its tool to a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stagetwin._data import factory_folder
from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments import _arm_reach_kernels as kernels
from stagetwin_sim.environments import _episode_kernels as episodes
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
from stagetwin_sim.policies import Term

__all__ = ["ArmReachConfig"]

_JOINTS = 6
_AT_TARGET = (0.05, 0.5)
"""Distance [m] and speed of the fastest joint [rad/s] that count as having arrived."""


def _seen(name: str, unit: str, size: int, most: float, scale: float, source: str) -> Term:
    return Term(
        name=name,
        unit=unit,
        frame="base" if unit == "m" else "",
        shape=(size,),
        scale=scale,
        low=-most,
        high=most,
        source=source,
    )


def _joint_terms(joints: int, speed: float) -> tuple[ActionTerm, ...]:
    speeds = _seen("joint_speeds", "rad/s", joints, speed, speed, "command")
    return (ActionTerm(term=speeds, delay=Range(0, 3, "integers")),)


@dataclass(frozen=True, kw_only=True)
class ArmReachConfig(EnvironmentConfig):
    """An arm on a stage, whose drives are led as fast as a policy says; no contacts are computed.

    Attributes:
        stage: file with the arm; empty is the example cell.
        arm: path of the arm; nothing else below it moves.
        tool: path of the prim on its last body that is brought to points.
        starts: angles at the begin of an episode [rad].
        floor: height below which no target lies [m].
    """

    task: ClassVar[str] = "arm-reach"

    stage: str = ""
    arm: str = "/World/Arm"
    tool: str = "/World/Arm/Link6/Tool"
    starts: tuple[float, ...] = (0.3, 0.4, 0.2, 0.1, 1.0, -0.2)
    floor: float = 0.3
    dt: float = 1.0 / 120.0
    decimation: int = 4
    episode: float = 8.0
    actions: tuple[ActionTerm, ...] = _joint_terms(_JOINTS, 1.0)
    observations: tuple[ObservationTerm, ...] = (
        ObservationTerm(
            term=_seen("joint_positions", "rad", _JOINTS, 6.3, 1.0, "joints"),
            function=kernels.joint_positions,
            noise=0.002,
        ),
        ObservationTerm(
            term=_seen("joint_speeds", "rad/s", _JOINTS, 10.0, 1.0, "joints"),
            function=kernels.joint_speeds,
            noise=0.01,
        ),
        ObservationTerm(term=_seen("tool", "m", 3, 4.0, 1.0, "tool"), function=kernels.tool_at),
        ObservationTerm(
            term=_seen("target_left", "m", 3, 4.0, 1.0, "goal"), function=kernels.target_left
        ),
        ObservationTerm(
            term=_seen("last_action", "1", _JOINTS, 1.0, 1.0, "action"),
            function=episodes.last_action,
        ),
    )
    rewards: tuple[RewardTerm, ...] = (
        RewardTerm(name="progress", function=kernels.nearer, weight=2.0, once=True),
        RewardTerm(name="target", function=episodes.succeeded, weight=5.0, once=True),
        RewardTerm(name="action_change", function=episodes.action_change, weight=-0.02),
        RewardTerm(name="time", function=episodes.always, weight=-0.2),
    )
    terminations: tuple[TerminationTerm, ...] = (
        TerminationTerm(name="target", function=kernels.at_target, params=_AT_TARGET, success=True),
        TerminationTerm(name="time_out", function=episodes.time_is_up, time_out=True),
    )
    events: tuple[EventTerm, ...] = (
        EventTerm(name="joints", function=kernels.begin_near_rest, params=(0.3,)),
    )
    commands: tuple[CommandTerm, ...] = (
        CommandTerm(name="target", function=kernels.target_in_reach, params=(0.4, 1.2)),
    )
    curriculum: tuple[CurriculumTerm, ...] = (
        CurriculumTerm(name="width", function=episodes.advance_on_success, params=(0.1, 0.05)),
    )
    randomization: tuple[Randomization, ...] = (
        Randomization(parameter="stiffness_gain", range=Range(0.7, 1.3)),
        Randomization(parameter="damping_gain", range=Range(0.7, 1.3)),
    )

    def layout(self) -> Layout:
        """See EnvironmentConfig; imports newton.

        Raises:
            TaskError: the arm has another number of joints than the terms.
            ArmError: the tool is not on a chain of joints that turn.
            BodiesError: the arm cannot be read.
        """
        import warp as wp
        from pxr import Usd

        from stagetwin_sim.arms import read_chain
        from stagetwin_sim.bodies import read_scene
        from stagetwin_sim.environments._newton import NewtonWorlds

        path = self.stage or str(factory_folder() / "bodies" / "pick.usda")
        opened = Usd.Stage.Open(path)
        scene = read_scene(opened, self.arm)
        chain = read_chain(opened, scene, self.tool)
        builder: Any = scene.builder
        joints = len(chain.joints)
        commanded = sum(term.term.size for term in self.actions)
        if joints != builder.joint_coord_count or not joints == commanded == len(self.starts):
            raise TaskError(
                f"{self.arm}: {builder.joint_coord_count} joints move and {joints} lead to "
                f"{self.tool}; actions have {commanded} and starts {len(self.starts)}"
            )
        order = [int(i) for i in chain.coordinates]
        if order != list(range(joints)):
            raise TaskError(f"{self.arm}: joints are in newton's order {order}, from base to tool")

        def poses(given: Any) -> Any:
            return [tuple(given[j]) for j in range(joints)]

        def simulation(worlds: int, device: str) -> NewtonWorlds:
            return NewtonWorlds(
                builder, worlds, device, dt=self.dt, substeps=self.decimation, efforts=False
            )

        first = tuple(builder.joint_X_p[0])
        return Layout(
            state=kernels.ArmReachState,
            values={
                "parents": poses(builder.joint_X_p),
                "children": poses(builder.joint_X_c),
                "axes": chain.axes,
                "lower": chain.lower,
                "upper": chain.upper,
                "starts": self.starts,
                "nominal_stiffness": list(builder.joint_target_ke),
                "nominal_damping": list(builder.joint_target_kd),
                "site": wp.transform(*chain.site.pose),
                "base": wp.vec3(*first[:3]),
                "floor": self.floor,
            },
            prepare=kernels.lead_targets,
            physics=(
                Parameter("stiffness_gain", 1.0, 0.1, 10.0),
                Parameter("damping_gain", 1.0, 0.1, 10.0),
            ),
            simulation=simulation,
            simulated=("joint_q", "joint_qd", "target", "stiffness", "damping"),
        )
