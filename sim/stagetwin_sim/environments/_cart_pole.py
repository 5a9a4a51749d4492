"""The task `cart-pole`, on newton: for benchmarks beside others' figures.

Layout, times, limits and rewards follow the cart-pole that Isaac Lab documents; masses and lengths
are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagetwin_sim.environments import _cart_pole_kernels as kernels
from stagetwin_sim.environments import _episode_kernels as episodes
from stagetwin_sim.environments._config import EnvironmentConfig, Layout, Parameter
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

if TYPE_CHECKING:
    from stagetwin_sim.environments._newton import NewtonWorlds

__all__ = ["CartPoleConfig"]


def _seen(name: str, unit: str, most: float, scale: float) -> Term:
    return Term(name=name, unit=unit, scale=scale, low=-most, high=most, source="joints")


@dataclass(frozen=True, kw_only=True)
class CartPoleConfig(EnvironmentConfig):
    """A pole on a cart on a rail; a force on the cart keeps it upright.

    Attributes:
        cart_mass, pole_mass: [kg].
        pole_length: [m].
    """

    task: ClassVar[str] = "cart-pole"

    cart_mass: float = 1.0
    pole_mass: float = 0.1
    pole_length: float = 1.0
    dt: float = 1.0 / 120.0
    decimation: int = 2
    episode: float = 5.0
    actions: tuple[ActionTerm, ...] = (
        ActionTerm(
            term=Term(name="force", unit="N", scale=20.0, low=-20.0, high=20.0, source="command")
        ),
    )
    observations: tuple[ObservationTerm, ...] = (
        ObservationTerm(
            term=_seen("pole_angle", "rad", 3.2, 1.0), function=kernels.joint_position, params=(1,)
        ),
        ObservationTerm(
            term=_seen("pole_speed", "rad/s", 40.0, 4.0), function=kernels.joint_speed, params=(1,)
        ),
        ObservationTerm(
            term=_seen("cart_position", "m", 4.0, 1.0), function=kernels.joint_position, params=(0,)
        ),
        ObservationTerm(
            term=_seen("cart_speed", "m/s", 30.0, 2.0), function=kernels.joint_speed, params=(0,)
        ),
    )
    rewards: tuple[RewardTerm, ...] = (
        RewardTerm(name="upright", function=episodes.always, weight=1.0, once=True),
        RewardTerm(name="fallen", function=episodes.failed, weight=-2.0, once=True),
        RewardTerm(name="lean", function=kernels.leans, weight=-1.0, once=True),
        RewardTerm(
            name="cart_speed", function=kernels.rushes, weight=-0.01, params=(0,), once=True
        ),
        RewardTerm(
            name="pole_speed", function=kernels.rushes, weight=-0.005, params=(1,), once=True
        ),
    )
    terminations: tuple[TerminationTerm, ...] = (
        TerminationTerm(name="fallen", function=kernels.out_of_bounds, params=(3.0, math.pi / 2.0)),
        TerminationTerm(name="time_out", function=episodes.time_is_up, time_out=True),
    )
    events: tuple[EventTerm, ...] = (
        EventTerm(name="lean", function=kernels.begin_leaning, params=(math.pi / 4.0,)),
    )
    randomization: tuple[Randomization, ...] = (
        Randomization(parameter="force_gain", range=Range(0.9, 1.1)),
    )

    def layout(self) -> Layout:
        """See EnvironmentConfig."""
        return Layout(
            state=kernels.CartPoleState,
            prepare=kernels.push_cart,
            physics=(Parameter("force_gain", 1.0, 0.0, 3.0),),
            simulation=self._simulation,
            simulated=("joint_q", "joint_qd", "effort"),
        )

    def _simulation(self, worlds: int, device: str) -> NewtonWorlds:
        import newton
        import warp as wp

        from stagetwin_sim.environments._newton import NewtonWorlds

        builder: Any = newton.ModelBuilder(gravity=(0.0, 0.0, -9.81))
        newton.solvers.SolverSteel.register_custom_attributes(builder)
        cart = builder.add_link(
            mass=self.cart_mass, inertia=wp.mat33(*(0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01))
        )
        half, thin = self.pole_length / 2.0, self.pole_mass * 1e-3
        about = self.pole_mass * self.pole_length**2 / 12.0  # of a thin rod about its middle
        pole = builder.add_link(
            mass=self.pole_mass,
            inertia=wp.mat33(*(about, 0, 0, 0, about, 0, 0, 0, thin)),
        )
        joints = [
            builder.add_joint_prismatic(-1, cart, axis=newton.Axis.X, label="rail"),
            builder.add_joint_revolute(
                cart,
                pole,
                axis=newton.Axis.Y,
                child_xform=wp.transform(wp.vec3(0.0, 0.0, -half), wp.quat_identity()),
                label="hinge",
            ),
        ]
        builder.add_articulation(joints, label="cart_pole")
        return NewtonWorlds(
            builder, worlds, device, dt=self.dt, substeps=self.decimation, efforts=True
        )
