"""A pole kept upright by linear feedback of the whole state: a baseline of the cart-pole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from stagetwin_sim.environments import CartPoleConfig, Environment
from stagetwin_sim.training._baselines import columns_of

__all__ = ["FeedbackPolicy"]

_GRAVITY = 9.81
_COSTS = (10.0, 0.1, 1.0, 0.1)
"""Of angle, its rate, position and its rate, squared."""
_ROUNDS = 2000


class FeedbackPolicy:
    """Pushes the cart by a linear-quadratic regulator of the pole that is nearly upright.

    Source: Anderson and Moore, Optimal Control: Linear Quadratic Methods, 1990, chapter 2 (the
    regulator in discrete time, by the Riccati recursion).

    Args:
        effort: cost of a force, squared [1/N2].
    """

    name = "rule"

    def __init__(self, effort: float = 1e-3) -> None:
        self._effort = effort

    def begin(self, environment: Environment) -> None:
        """See Policy."""
        config = environment.config
        assert isinstance(config, CartPoleConfig)
        gains = _gains(config, environment.step_seconds, self._effort)
        self._gains = torch.tensor(gains, dtype=torch.float32, device=environment.device)

    def act(self, environment: Environment) -> torch.Tensor:
        """See Policy."""
        names = ("pole_angle", "pole_speed", "cart_position", "cart_speed")
        columns = [columns_of(environment, name) for name in names]
        state = torch.cat([column for column in columns if column is not None], dim=1)
        force = -(state @ self._gains)[:, None]
        return (force / environment.action_terms[0].scale).clamp(-1.0, 1.0)


def _gains(config: CartPoleConfig, seconds: float, effort: float) -> npt.NDArray[np.float64]:
    """Return the force for each part of the state [N/unit]."""
    half, pole = 0.5 * config.pole_length, config.pole_mass
    about_hinge = pole * config.pole_length**2 / 3.0  # of a thin rod about its end
    masses = np.array([[about_hinge, pole * half], [pole * half, config.cart_mass + pole]])
    pulls, pushes = np.array([pole * _GRAVITY * half, 0.0]), np.array([0.0, 1.0])
    angular, linear = np.linalg.solve(masses, np.stack([pulls, pushes], axis=1))
    # Angle, its rate, position, its rate; held over a step to the second order.
    a = np.zeros((4, 4))
    a[0, 1] = a[2, 3] = 1.0
    a[1, 0], a[3, 0] = angular[0], linear[0]
    b = np.array([0.0, angular[1], 0.0, linear[1]])
    b = (seconds * np.eye(4) + 0.5 * seconds**2 * a) @ b
    a = np.eye(4) + seconds * a + 0.5 * seconds**2 * (a @ a)
    worth = np.diag(_COSTS)
    gains = np.zeros(4)
    for _ in range(_ROUNDS):
        gains = (b @ worth @ a) / (effort + b @ worth @ b)
        worth = np.diag(_COSTS) + a.T @ worth @ (a - np.outer(b, gains))
    return gains
