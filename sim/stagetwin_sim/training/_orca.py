"""ORCA as a baseline of navigation: it is told where everything is, and needs no rays."""

from __future__ import annotations

import math
from typing import Any

import torch
import warp as wp

from stagetwin_sim.environments import Environment
from stagetwin_sim.training._baselines import columns_of, heading
from stagetwin_sim.training._orca_kernels import choose_velocities

__all__ = ["OrcaPolicy"]


class OrcaPolicy:
    """Drives as ORCA chooses, with the true places of everything (no sensor, no noise).

    Source: van den Berg, Guy, Lin and Manocha, Reciprocal n-body collision avoidance, Robotics
    Research (ISRR 2009), 2011. A differential drive follows the chosen velocity only as far as it
    can turn, so the radius is that of its footprint and a margin for the way that it makes
    meanwhile.

    Args:
        horizon: for which no collision is wanted [s].
        margin: on the radius [m].
        share: of the way out that it takes; the others of the task yield only by standing still.
    """

    name = "ORCA"

    def __init__(self, horizon: float = 3.0, margin: float = 0.08, share: float = 1.0) -> None:
        self._horizon, self._margin, self._share = horizon, margin, share

    def begin(self, environment: Environment) -> None:
        """See Policy."""
        config: Any = environment.config
        vehicle = config.vehicle
        reach = math.hypot(max(vehicle.front, vehicle.length - vehicle.front), vehicle.width / 2)
        self._chosen = wp.zeros(environment.worlds, dtype=wp.vec2, device=environment.device)
        self._inputs: list[Any] = [
            *[
                wp.from_torch(environment.state(name), dtype=dtype)
                for name, dtype in (
                    ("pose", wp.vec3),
                    ("twist", wp.vec2),
                    ("goal", wp.vec3),
                    ("pillars", wp.vec3),
                    ("others", wp.vec4),
                )
            ],
            config.room / 2.0,
            reach + self._margin,
            config.other_radius,
            vehicle.speed,
            self._horizon,
            self._share,
            environment.step_seconds,
        ]

    def act(self, environment: Environment) -> torch.Tensor:
        """See Policy."""
        wp.launch(
            choose_velocities,
            dim=environment.worlds,
            inputs=self._inputs,
            outputs=[self._chosen],
            device=environment.device,
        )
        chosen: torch.Tensor = wp.to_torch(self._chosen)
        theta = environment.state("pose")[:, 2]
        c, n = torch.cos(theta), torch.sin(theta)
        wish = torch.stack(
            [c * chosen[:, 0] + n * chosen[:, 1], c * chosen[:, 1] - n * chosen[:, 0]], dim=1
        )
        distance = columns_of(environment, "goal_distance")
        assert distance is not None
        speed = chosen.norm(dim=1)
        # The speed that ORCA chose, as room to brake in: `heading` brakes at 0.8 m/s2.
        return heading(environment, wish, distance[:, 0], speed * speed / 0.8 + 0.55)
