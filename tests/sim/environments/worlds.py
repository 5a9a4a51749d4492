"""What the tests of environments share: random actions, and the state of an environment."""

from __future__ import annotations

import torch

from stagetwin_sim.environments import Environment

__all__ = ["actions_of", "drive", "everything"]


def actions_of(environment: Environment, steps: int, seed: int = 0) -> torch.Tensor:
    """Return actions for some steps, the same for the same seed and world; shape (steps, …)."""
    made = []
    for world in range(environment.worlds):
        generator = torch.Generator().manual_seed(1000 * seed + world)
        size = (steps, environment.action_count)
        made.append(2.0 * torch.rand(size, generator=generator) - 1.0)
    return torch.stack(made, dim=1).to(environment.observation.device)


def drive(environment: Environment, steps: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Step an environment with random actions; return all that it showed, the steps first."""
    shown: dict[str, list[torch.Tensor]] = {"observation": [environment.observation.clone()]}
    for actions in actions_of(environment, steps, seed):
        observation, reward, terminated, truncated, info = environment.step(actions)
        row = {
            "observation": observation,
            "critic": environment.critic,
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "success": info["success"],
            "cause": info["cause"],
            "level": environment.level,
        }
        for name, tensor in row.items():
            shown.setdefault(name, []).append(tensor.clone())
    return {name: torch.stack(rows) for name, rows in shown.items()}


def everything(environment: Environment) -> dict[str, torch.Tensor]:
    """Return a copy of what a world's next episode depends on, by name."""
    kept = {name: environment.state(name).clone() for name in environment.state_names}
    kept |= {f"physics.{name}": values.clone() for name, values in environment.physics.items()}
    kept |= {
        "observation": environment.observation.clone(),
        "critic": environment.critic.clone(),
        "steps": environment.steps.clone(),
        "level": environment.level.clone(),
    }
    return kept
