"""A policy that heads for its goal, written down instead of trained."""

from __future__ import annotations

import numpy as np

from stagetwin_sim.policies import (
    ActionSpec,
    Bundle,
    ModelSpec,
    ObservationSpec,
    PolicySpec,
    Term,
)

from .small_bundles import linear_model

__all__ = ["steering_bundle"]


def steering_bundle() -> Bundle:
    """Return a velocity policy with terms of the task `navigation`: it turns to the goal."""
    unit = {"low": -1.0, "high": 1.0}
    terms = (
        Term(name="goal_distance", unit="m", scale=10.0, low=0.0, high=10.0, source="goal"),
        Term(name="goal_direction", frame="vehicle", shape=(2,), source="goal", **unit),  # type: ignore[arg-type]
        Term(name="speed", unit="m/s", scale=1.5, low=-1.5, high=1.5, source="odometry"),
        Term(name="lidar", unit="m", shape=(24,), scale=6.0, low=0.0, high=6.0, source="lidar"),
        Term(name="last_action", shape=(2,), source="action", **unit),  # type: ignore[arg-type]
    )
    weights = np.zeros((30, 2), np.float32)
    weights[0], weights[1], weights[2] = (1.5, 0.0), (0.45, 0.0), (0.0, 1.2)
    spec = PolicySpec(
        name="steering",
        version="1",
        task="navigation",
        rate=10.0,
        observations=tuple(ObservationSpec(term=term, max_age=0.3) for term in terms),
        actions=(
            ActionSpec(
                term=Term(name="speed", unit="m/s", scale=1.5, low=-0.3, high=1.5, source="command")
            ),
            ActionSpec(
                term=Term(
                    name="rotation", unit="rad/s", scale=1.5, low=-1.5, high=1.5, source="command"
                )
            ),
        ),
        model=ModelSpec(opset=18),
    )
    return Bundle(spec=spec, model=linear_model(weights))
