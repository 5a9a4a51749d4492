"""Policies without learning, to compare a trained one with."""

from __future__ import annotations

import math

import torch

from stagetwin_sim.environments import Environment
from stagetwin_sim.training._policies import Policy

__all__ = ["RandomPolicy", "RulePolicy", "baselines", "columns_of"]


def baselines(task: str) -> tuple[Policy, ...]:
    """Return what a task's policies are compared with: random, and a rule where there is one.

    Args:
        task: name.
    """
    found: list[Policy] = [RandomPolicy()]
    if task in ("navigation", "kinematics"):
        found.append(RulePolicy())
    if task == "navigation":
        from stagetwin_sim.training._orca import OrcaPolicy

        found.append(OrcaPolicy())
    if task == "zone-release":
        from stagetwin_sim.training._first_come import FirstComePolicy

        found.append(FirstComePolicy())
    if task == "arm-reach":
        from stagetwin_sim.training._resolved_rate import ResolvedRatePolicy

        found.append(ResolvedRatePolicy())
    if task == "cart-pole":
        from stagetwin_sim.training._feedback import FeedbackPolicy

        found.append(FeedbackPolicy())
    return tuple(found)


def columns_of(environment: Environment, name: str) -> torch.Tensor | None:
    """Return the physical values [unit] of a term that the policy sees, shape (worlds, n).

    None where the environment has no such term.
    """
    column = 0
    for term in environment.observation_terms:
        if term.name == name:
            numbers = environment.observation[:, column : column + term.size]
            return numbers * term.scale + term.offset
        column += term.size
    return None


class RandomPolicy:
    """Says any number, each as likely; drawn anew each step.

    Args:
        seed: of the drawing.
    """

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def begin(self, environment: Environment) -> None:
        """See Policy."""
        self._generator = torch.Generator().manual_seed(self._seed)

    def act(self, environment: Environment) -> torch.Tensor:
        """See Policy."""
        shape = (environment.worlds, environment.action_count)
        drawn = torch.rand(shape, generator=self._generator) * 2.0 - 1.0
        return drawn.to(environment.device)


class RulePolicy:
    """Turns to the goal and drives, away from what the rays show to be near; turns at the goal.

    Each ray shorter than `heed` pushes away from what it met, the more the nearer; the goal pulls.
    The speed goes with how well the vehicle heads where that points, and with how much room is
    ahead. Source: Khatib, Real-Time Obstacle Avoidance for Manipulators and Mobile Robots,
    International Journal of Robotics Research 5, 1986 (potential fields).

    Args:
        heed: how near an obstacle counts [m].
        push: its weight against the goal's.
    """

    name = "rule"

    def __init__(self, heed: float = 1.4, push: float = 0.9) -> None:
        self._heed, self._push = heed, push

    def begin(self, environment: Environment) -> None:
        """See Policy."""

    def act(self, environment: Environment) -> torch.Tensor:
        """See Policy."""
        distance = columns_of(environment, "goal_distance")
        direction = columns_of(environment, "goal_direction")
        assert distance is not None
        assert direction is not None
        far = distance[:, 0]
        wish = direction.clone()
        ahead = torch.full_like(far, math.inf)
        rays = columns_of(environment, "lidar")
        if rays is not None:
            count = rays.shape[1]
            angles = torch.arange(count, device=rays.device) * (2.0 * math.pi / count)
            rays_out = torch.stack([torch.cos(angles), torch.sin(angles)], dim=1)
            # What is behind the goal is no obstacle on the way to it.
            near = (1.0 - rays / torch.clamp(far, 0.6, self._heed)[:, None]).clamp(0.0, 1.0)
            wish = wish - self._push * (near**2) @ rays_out
            ahead = rays[:, torch.cos(angles) > 0.85].min(dim=1).values
        return heading(environment, wish, far, ahead)


def heading(
    environment: Environment, wish: torch.Tensor, far: torch.Tensor, ahead: torch.Tensor
) -> torch.Tensor:
    """Return actions that drive where a vector points, and turn as asked for at the goal.

    Args:
        environment: with `speed` and `rotation` as actions.
        wish: in the vehicle's frame, shape (worlds, 2).
        far: how far the goal is [m], shape (worlds,).
        ahead: how much room is ahead [m], shape (worlds,).
    """
    speed_term, rotation_term = environment.action_terms
    angle = torch.atan2(wish[:, 1], wish[:, 0])
    turn = 2.0 * angle
    room = torch.minimum(far, (ahead - 0.55).clamp(min=0.0))
    speed = torch.sqrt(0.8 * room) * torch.cos(angle).clamp(0.0, 1.0) ** 4
    asked = columns_of(environment, "goal_heading")
    if asked is not None:
        there = far < 0.22
        left = torch.atan2(asked[:, 1], asked[:, 0])
        turn = torch.where(there, 1.5 * left, turn)
        speed = torch.where(there, torch.zeros_like(speed), speed)
    values = torch.stack([speed, turn], dim=1)
    scales = torch.tensor([speed_term.scale, rotation_term.scale], device=values.device)
    return (values / scales).clamp(-1.0, 1.0)
