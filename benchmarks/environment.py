"""Environments to train in: steps of worlds a second, on one core or on a GPU.

Environment-steps a second, higher is better:

- `kinematics`: the bare vehicle with lag, slip, limits, delays and randomisation, against `numpy`:
  the same task by the same method, all worlds at once.
- `full`: the task `navigation`, with pillars, other vehicles, 24 rays, noise and dropout, against
  `numpy` likewise.
- `cart-pole`: on newton, beside the figure that Isaac Lab's documentation gives for its own
  (`isaac_lab_4090`, steps alone, on an RTX 4090: another machine, so no comparison on a CPU).

Results first: from the same states and with the same actions both go the same way, without noise,
until a world's episode ends. Figures on a CPU are by the seconds of it that the process used.

    python -m benchmarks.environment [--device cuda] [--worlds N] [--rounds N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch  # noqa: TID253
import warp as wp  # noqa: TID253

from benchmarks._environment_room import VectorNavigation
from benchmarks._environment_vector import VectorKinematics
from benchmarks._report import Case, paired, report
from stagetwin_sim.environments import (
    Environment,
    KinematicsConfig,
    NavigationConfig,
    make_environment,
)

GOAL = 8e6
"""What `kinematics` has to reach on one core."""

ISAAC_LAB = 1.1e6
"""Source: Isaac Lab's documentation, release 2.1, page "Performance Benchmarks", table of one RTX
4090: Isaac-Cartpole-Direct-v0, 4096 environments, "Environment Step FPS" (PhysX, RL Games)."""


def clock(device: str) -> Callable[[], float]:
    """Return what tells the seconds: of the process on a CPU, of the world on a GPU."""
    return time.process_time if device == "cpu" else time.perf_counter


def rate(step: Callable[[], object], worlds: int, times: int, device: str) -> float:
    """Return environment-steps a second."""
    now = clock(device)
    wp.synchronize()
    began = now()
    for _ in range(times):
        step()
    wp.synchronize()
    return worlds * times / (now() - began)


def give(peer: VectorKinematics, environment: Environment) -> None:
    """Put the peer where the environment is."""
    for name in ("pose", "goal", "twist"):
        getattr(peer, name)[:] = environment.state(name).cpu().numpy()
    for name, column in peer.column.items():
        peer.physics[:, column] = environment.physics[name].cpu().numpy()
    if isinstance(peer, VectorNavigation):
        for name in ("pillars", "others", "targets", "clear"):
            getattr(peer, name)[:] = environment.state(name).cpu().numpy()
        peer.noisy = False


def check(environment: Environment, peer: VectorKinematics, steps: int) -> float:
    """Assert that both go the same way; return the largest difference of what is seen."""
    give(peer, environment)
    same = np.ones(environment.worlds, bool)
    worst = 0.0
    generator = torch.Generator().manual_seed(3)
    for _ in range(steps):
        actions = 2.0 * torch.rand((environment.worlds, 2), generator=generator) - 1.0
        _, reward, *_, info = environment.step(actions)
        seen, theirs, done = peer.step(actions.numpy())
        ended = info["done"].cpu().numpy()
        assert (done == ended)[same].mean() > 0.999
        same &= ~done & ~ended
        if isinstance(peer, VectorNavigation):
            # Others that head elsewhere draw where to, and at the edge of a field rounding decides.
            same &= (peer.targets == environment.state("targets").cpu().numpy()).all((1, 2))
            same &= ~peer.close
        mine = environment.critic[:, : environment.observation_count].cpu().numpy()[same]
        apart = np.abs(mine - seen[same])
        # A ray that grazes a pillar meets it for one and passes it for the other.
        assert (apart < 1e-3).mean() > 0.9995
        assert np.abs(reward.cpu().numpy() - theirs)[same].max() < 1e-3
        worst = max(worst, float(np.quantile(apart, 0.999)))
    assert same.sum() > 0.2 * environment.worlds
    if isinstance(peer, VectorNavigation):
        peer.noisy = True
    return worst


def against_numpy(
    name: str, config: Any, make: Callable[..., VectorKinematics], options: argparse.Namespace
) -> Case:
    """Return the case of a task that NumPy has as well."""
    worlds, device = options.worlds, options.device
    environment = make_environment(config, worlds=worlds, seed=1, device=device)
    environment.level.fill_(1.0)
    for term in config.curriculum:
        environment.set_params("curriculum", term.name, (0.0, 0.0))
    environment.reset()
    peer = make(config, worlds, 1)
    worst = check(environment, peer, 20)
    print(f"{name}: the same to {worst:.1e}")
    shape = (16, worlds, 2)
    drawn = 2.0 * torch.rand(shape, generator=torch.Generator().manual_seed(1)) - 1.0
    here, there = drawn.to(environment.observation.device), drawn.numpy()
    turn = iter(range(10**9))
    for _ in range(10):
        environment.step(here[0])
    times = options.steps if name == "kinematics" else max(1, options.steps // 5)
    ours, theirs = paired(
        options.rounds,
        lambda: rate(lambda: environment.step(here[next(turn) % 16]), worlds, times, device),
        lambda: rate(lambda: peer.step(there[next(turn) % 16]), worlds, max(1, times // 20), "cpu"),
    )
    against = {"numpy": theirs}
    if name == "kinematics" and device == "cpu":
        against["limit"] = GOAL
    return Case(name, ours, against)


def cart_pole(options: argparse.Namespace) -> Case:
    """Return the case of the cart-pole."""
    worlds, device = options.poles, options.device
    environment = make_environment("cart-pole", worlds=worlds, seed=1, device=device)
    gains = torch.tensor([3.0, 2.4, 0.3, 0.8], device=environment.observation.device)
    environment.set_params("events", "lean", (0.3,))
    environment.reset(seed=1)
    for _ in range(environment.max_steps - 1):
        said = (environment.observation @ gains).clamp(-1, 1)[:, None]
        assert not environment.step(said)[2].any(), "a held pole fell"
    assert environment.observation[:, 0].abs().max() < 0.05
    said = torch.zeros((worlds, 1), device=environment.observation.device)
    (ours,) = paired(
        options.rounds,
        lambda: rate(lambda: environment.step(said), worlds, max(5, options.steps // 10), device),
    )
    return Case("cart-pole", ours, {"isaac_lab_4090": ISAAC_LAB})


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--worlds", type=int, default=4096)
    parser.add_argument("--poles", type=int, default=0, help="0: 4096 on a GPU, 512 on a CPU")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    options.poles = options.poles or (512 if options.device == "cpu" else 4096)
    torch.set_num_threads(1)
    cases = [
        against_numpy("kinematics", KinematicsConfig(), VectorKinematics, options),
        against_numpy("full", NavigationConfig(), VectorNavigation, options),
        cart_pole(options),
    ]
    report("environment", "env-steps/s", False, cases)


if __name__ == "__main__":
    main()
