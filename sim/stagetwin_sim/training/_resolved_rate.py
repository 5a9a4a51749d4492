"""An arm led straight to its target by its own kinematics: a baseline of reaching."""

from __future__ import annotations

import numpy as np
import torch

from stagetwin_sim.environments import Environment
from stagetwin_sim.training._baselines import columns_of

__all__ = ["ResolvedRatePolicy"]

_PULL = 2.5
"""Speed of the tool over the way that is left [1/s]."""


class ResolvedRatePolicy:
    """Turns joints so that the tool goes straight to the target, more slowly near singular poses.

    Sources: Whitney, Resolved Motion Rate Control of Manipulators and Human Prostheses, IEEE
    Transactions on Man-Machine Systems 10, 1969; Wampler, Manipulator Inverse Kinematic Solutions
    Based on Vector Formulations and Damped Least-Squares Methods, IEEE Transactions on Systems,
    Man, and Cybernetics 16, 1986 (the damping).

    Args:
        damping: of the least squares [m].
    """

    name = "rule"

    def __init__(self, damping: float = 0.1) -> None:
        self._damping = damping

    def begin(self, environment: Environment) -> None:
        """See Policy."""
        chain = environment.config.layout().values
        self._parents, self._children, self._axes = (
            torch.tensor(np.array(chain[name], np.float32), device=environment.device)
            for name in ("parents", "children", "axes")
        )

    def act(self, environment: Environment) -> torch.Tensor:
        """See Policy."""
        joints = columns_of(environment, "joint_positions")
        tool, way = columns_of(environment, "tool"), columns_of(environment, "target_left")
        assert joints is not None
        assert tool is not None
        assert way is not None
        jacobian = self.jacobian(joints, tool)
        damped = jacobian @ jacobian.mT
        damped = damped + self._damping**2 * torch.eye(3, device=damped.device)
        speeds = jacobian.mT @ torch.linalg.solve(damped, _PULL * way[..., None])
        numbers = speeds[..., 0] / environment.action_terms[0].scale
        # All more slowly where one joint is too slow for it: the tool's way stays straight.
        fastest = numbers.abs().amax(dim=1, keepdim=True)
        limited: torch.Tensor = numbers / fastest.clamp(min=1.0)
        return limited

    def jacobian(self, joints: torch.Tensor, tool: torch.Tensor) -> torch.Tensor:
        """Return how the tool moves with each joint [m/rad], shape (worlds, 3, joints).

        Args:
            joints: angles [rad], shape (worlds, joints).
            tool: in the base's frame [m], shape (worlds, 3).
        """
        base = self._parents[0, :3]
        at = torch.zeros(len(joints), 3, device=joints.device)
        facing = torch.zeros(len(joints), 4, device=joints.device)
        facing[:, 3] = 1.0
        columns = []
        for j, axis in enumerate(self._axes):
            parent, child = self._parents[j], self._children[j]
            at = at + _turn(facing, parent[:3].expand_as(at))
            facing = _product(facing, parent[3:].expand_as(facing))
            line = _turn(facing, axis.expand_as(at))
            columns.append(torch.linalg.cross(line, tool + base - at))
            half = 0.5 * joints[:, j : j + 1]
            turned = torch.cat([torch.sin(half) * axis, torch.cos(half)], dim=1)
            facing = _product(facing, turned)
            back = torch.cat([-child[3:6], child[6:]]).expand_as(facing)
            facing = _product(facing, back)
            at = at - _turn(facing, child[:3].expand_as(at))
        return torch.stack(columns, dim=2)


def _product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return products of quaternions (x, y, z, w), shape (n, 4)."""
    u, v = a[:, :3], b[:, :3]
    vector = a[:, 3:] * v + b[:, 3:] * u + torch.linalg.cross(u, v)
    return torch.cat([vector, a[:, 3:] * b[:, 3:] - (u * v).sum(dim=1, keepdim=True)], dim=1)


def _turn(q: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return vectors turned by quaternions, shape (n, 3)."""
    twice = 2.0 * torch.linalg.cross(q[:, :3], v)
    turned: torch.Tensor = v + q[:, 3:] * twice + torch.linalg.cross(q[:, :3], twice)
    return turned
