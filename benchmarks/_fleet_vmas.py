"""VMAS's navigation, lidar off, in a process of its own: agent-steps per CPU-second as JSON.

python -m benchmarks._fleet_vmas AGENTS
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch  # noqa: TID253 - a program of its own, of the benchmark
from vmas import make_env
from vmas.scenarios.navigation import Scenario

LAYOUTS = (4, 8, 16, 32)
"""Agents of one of its environments."""


class Bare(Scenario):  # type: ignore[misc]
    """Its navigation: agents that collide and head for goals, without rays."""

    def make_world(self, *arguments: Any, **words: Any) -> Any:
        """Make it, and take the lidars off."""
        world = super().make_world(*arguments, **words)
        for agent in world.agents:
            agent._sensors = []  # noqa: SLF001 - it has no other switch
        return world

    def observation(self, agent: Any) -> Any:
        """Observe what its own does, but for the ranges."""
        pose = agent.state.pos
        return torch.cat([pose, agent.state.vel, pose - agent.goal.state.pos], dim=-1)


def rate(agents: int, together: int, steps: int) -> float:
    """Return agent-steps per CPU-second of environments with `together` agents each."""
    worlds = max(1, agents // together)
    side = together**0.5
    env: Any = make_env(
        Bare(),
        num_envs=worlds,
        device="cpu",
        seed=0,
        n_agents=together,
        world_spawning_x=side,
        world_spawning_y=side,
    )
    env.reset()
    actions = [torch.zeros((worlds, 2)) for _ in range(together)]
    for action in actions:
        action.uniform_(-1.0, 1.0)
    env.step(actions)
    best = 0.0
    for _ in range(2):
        started = time.process_time()
        for _ in range(steps):
            env.step(actions)
        best = max(best, steps * worlds * together / (time.process_time() - started))
    return best


def main() -> None:
    """Measure the layouts and print the best."""
    torch.set_num_threads(1)
    agents = int(sys.argv[1])
    with torch.no_grad():
        rates = {n: rate(agents, n, 2 if agents > 20_000 else 5) for n in LAYOUTS}
    best = max(rates, key=lambda n: rates[n])
    print(json.dumps({"layout": best, "rate": rates[best]}))


if __name__ == "__main__":
    main()
