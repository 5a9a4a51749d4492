"""What a training is like for each task, where nobody says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DEFAULTS"]

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "arm-reach": {"iterations": 120, "minibatches": 4},
    "cart-pole": {"iterations": 80, "steps": 16, "minibatches": 4},
    "kinematics": {"worlds": 256, "iterations": 40, "minibatches": 4},
    # An episode lasts 300 steps, and ways out of corners are found by those who still explore.
    "navigation": {
        "worlds": 1024,
        "iterations": 550,
        "steps": 24,
        "minibatches": 4,
        "hidden": (128, 128),
        "gamma": 0.995,
        "entropy": 0.006,
        "settle": 0.6,
    },
    # What a release brings about is over within half a minute; a step is a second.
    "zone-release": {
        "iterations": 600,
        "steps": 24,
        "minibatches": 4,
        "epochs": 4,
        "gamma": 0.97,
        "init_std": 0.6,
    },
}
"""Fields of `TrainingConfig` by task."""
