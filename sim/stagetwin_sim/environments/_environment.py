"""Batched worlds of one task, seen through torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import warp as wp

from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments._config import EnvironmentConfig
from stagetwin_sim.environments._tables import Tables, compose
from stagetwin_sim.environments._world_kernels import ACT, BEGIN, JUDGE, STARTUP, world_kernel
from stagetwin_sim.environments._worlds import make_episode, make_state
from stagetwin_sim.policies import Term

__all__ = ["Environment", "Step"]

_CHUNK = 64
"""Worlds that a thread of a CPU takes."""

Step = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Mapping[str, Any]]


class Environment:
    """Many worlds of one task, stepped together.

    Every tensor is a view of an array of Warp's and stays the same for the environment's life: the
    next step writes over it. Worlds whose episodes ended are reset within the same step.

    Args:
        config: the task.
        worlds: how many.
        seed: one number, from which each world has its own; or one for each world.
        device: Warp's name of it.
        capture: whether steps are replayed as a graph.

    Attributes:
        config, worlds, device: as given.
        task: name.
        step_seconds: of a step [s].
        max_steps: of an episode.
        observation_terms, action_terms, critic_terms: in the order of the columns; the critic's
            begin with the policy's own.
        observation: policy's numbers, shape (worlds, observation_count).
        critic: the same without noise, and what is privileged, shape (worlds, critic_count).
        reward: shape (worlds,).
        terminated, truncated: shape (worlds,).
        steps: of the present episode, shape (worlds,).
        level: of the curriculum, shape (worlds,).
        actions: what the policy says; `step` copies to it.
        info: what else came of a step; see the documentation.

    Raises:
        TaskError: the task cannot be composed so, or there is no world.
    """

    def __init__(
        self,
        config: EnvironmentConfig,
        *,
        worlds: int,
        seed: int | Sequence[int] = 0,
        device: str = "cpu",
        capture: bool = True,
    ) -> None:
        if worlds < 1:
            raise TaskError(f"{config.task}: there is at least one world, got {worlds}")
        wp.init()
        self.config, self.worlds, self.device, self.task = config, worlds, device, config.task
        self.step_seconds = config.dt * config.decimation
        self.max_steps = max(1, round(config.episode / self.step_seconds))
        self.action_terms: tuple[Term, ...] = tuple(term.term for term in config.actions)
        self.observation_terms: tuple[Term, ...] = tuple(t.term for t in config.observations)
        self.critic_terms = (*self.observation_terms, *(t.term for t in config.privileged))
        self.action_count, self.observation_count, self.critic_count = (
            sum(term.size for term in terms)
            for terms in (self.action_terms, self.observation_terms, self.critic_terms)
        )
        layout = config.layout()
        self._kernel: Any = world_kernel(compose(config, layout))
        self._tables = Tables(config, layout)
        self._episode, episodes = make_episode(
            self._tables, layout, worlds, self.max_steps, self.critic_count, device
        )
        self._state, self._states = make_state(layout, worlds, device)
        sums: Any = wp.types.vector(length=len(config.rewards) + 1, dtype=wp.float32)
        self._sums: list[Any] = [wp.zeros(worlds, dtype=sums, device=device) for _ in range(2)]
        self._arrays: list[Any] = [*episodes.values(), *self._states.values(), *self._sums]
        make = layout.simulation
        self._simulation = make(worlds, device) if make is not None else None
        if self._simulation is not None:
            for name, array in self._simulation.arrays.items():
                setattr(self._state, name, array)
                self._states[name] = array
        self._view()
        self._chunk = _CHUNK if wp.get_device(device).is_cpu else 1
        self._graphs: dict[int, Any] = {}
        self._capture = capture
        self._streams: dict[int, Any] = {}
        self._warm()
        self.reset(seed)

    # -- moving on

    def reset(self, seed: int | Sequence[int] | None = None) -> torch.Tensor:
        """Begin a new episode in every world.

        Args:
            seed: as of the environment; begins everything anew. None goes on with the next episode
                of the same seeds.

        Returns:
            The observation.

        Raises:
            TaskError: there is not one seed for each world.
        """
        with self._ordered():
            self._episode.asked.fill_(1)
            for ended in (self._episode.terminated, self._episode.truncated, self._episode.done):
                ended.zero_()
            if seed is None:
                self._run(BEGIN)
            else:
                self._episode.seed.assign(self._seeds(seed))
                self._clear()
                self._run(BEGIN | STARTUP)
        return self.observation

    def step(self, actions: torch.Tensor) -> Step:
        """Move every world on.

        Args:
            actions: in [-1, 1] (what is beyond is cut off, what is not finite counts as 0 and in
                `refused`), shape (worlds, action_count).

        Returns:
            observation, reward, terminated, truncated, info.

        Raises:
            TaskError: the shape is another.
        """
        if actions.shape != self.actions.shape:
            raise TaskError(
                f"{self.task}: actions have shape {tuple(self.actions.shape)}, "
                f"got {tuple(actions.shape)}"
            )
        self.actions.copy_(actions)
        with self._ordered():
            self._run(ACT | JUDGE)
        return self._result

    def _run(self, phase: int) -> None:
        if not self._capture:
            self._launch(phase)
            return
        if phase not in self._graphs:
            with wp.ScopedCapture(device=self.device) as capture:
                self._launch(phase)
            self._graphs[phase] = capture.graph
        wp.capture_launch(self._graphs[phase])

    def _launch(self, phase: int) -> None:
        if self._simulation is None:
            self._launch_worlds(phase)
            return
        if phase & ACT:
            self._launch_worlds(ACT)
            self._simulation.launch()
        self._launch_worlds(phase & ~ACT)
        self._simulation.begin()

    def _launch_worlds(self, phase: int) -> None:
        wp.launch(
            self._kernel,
            dim=-(-self.worlds // self._chunk),
            inputs=[phase, self._chunk, self._episode, self._state, *self._sums],
            device=self.device,
        )

    def _warm(self) -> None:
        """Run once by hand: that loads the kernels, which no capture may hold."""
        self._clear()
        self._episode.asked.fill_(1)
        self._launch(BEGIN | STARTUP)
        self._launch(ACT | JUDGE)

    def _clear(self) -> None:
        """Forget everything but the seeds."""
        for array in self._arrays:
            array.zero_()
        self._episode.asked.fill_(1)

    def _view(self) -> None:
        """Make the tensors that everybody sees."""
        e, worlds, rewards = self._episode, self.worlds, len(self.config.rewards)

        def seen(array: Any) -> torch.Tensor:
            tensor: torch.Tensor = wp.to_torch(array)
            return tensor

        observation, critic = seen(e.observation), seen(e.critic)
        self.observation, self.critic = observation[:worlds], critic[:worlds]
        self.reward, self.terminated, self.truncated = (
            seen(array) for array in (e.reward, e.terminated, e.truncated)
        )
        self.steps, self.level, self.actions = seen(e.step), seen(e.level), seen(e.action)
        physics, ended = seen(e.physics), seen(self._sums[1])
        self.physics: Mapping[str, torch.Tensor] = {
            parameter.name: physics[:, i] for i, parameter in enumerate(self._tables.parameters)
        }
        self.info: Mapping[str, Any] = {
            "final_observation": observation[worlds:],
            "final_critic": critic[worlds:],
            "done": seen(e.done),
            "success": seen(e.success),
            "cause": seen(e.cause),
            "time_outs": self.truncated,
            "terms": {term.name: ended[:, i] for i, term in enumerate(self.config.rewards)},
            "episode_reward": ended[:, rewards],
            "episode_steps": seen(e.lasted),
            "refused": seen(e.refused),
        }
        self._result: Step = (
            self.observation,
            self.reward,
            self.terminated,
            self.truncated,
            self.info,
        )

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the arrays of the task's state."""
        return tuple(self._states)

    def state(self, name: str) -> torch.Tensor:
        """Return a view of an array of the task's state, such as `pose`.

        Raises:
            TaskError: there is no such array.
        """
        if name not in self._states:
            raise TaskError(f"{self.task}: no state {name!r}; there are {', '.join(self._states)}")
        tensor: torch.Tensor = wp.to_torch(self._states[name])
        return tensor

    def _ordered(self) -> Any:
        """Return the stream of torch's on a GPU, so that neither reads before the other wrote."""
        if not self.actions.is_cuda:
            return nullcontext()
        current = torch.cuda.current_stream(self.actions.device)
        if current.cuda_stream not in self._streams:
            self._streams[current.cuda_stream] = wp.stream_from_torch(current)
        return wp.ScopedStream(self._streams[current.cuda_stream], sync_enter=False)

    def _seeds(self, seed: int | Sequence[int]) -> Any:
        if isinstance(seed, (int, np.integer)):
            made = np.random.SeedSequence(abs(int(seed))).generate_state(self.worlds)
            return made.view(np.int32)
        given = np.array(seed, np.int64)
        if given.shape != (self.worlds,):
            raise TaskError(
                f"{self.task}: {self.worlds} worlds need a seed each, got {given.shape}"
            )
        return (given & 0xFFFFFFFF).astype(np.uint32).view(np.int32)

    # -- changing what is in tables

    def set_weight(self, reward: str, value: float) -> None:
        """Change the weight of a reward; see Tables."""
        self._put(*self._tables.set_weight(reward, value))

    def set_params(self, group: str, name: str, params: Sequence[float]) -> None:
        """Change the params of a term; see Tables."""
        self._put(*self._tables.set_params(group, name, params))

    def set_range(self, parameter: str, low: float, high: float) -> None:
        """Change the range of a randomised parameter; see Tables."""
        self._put(*self._tables.set_range(parameter, low, high))

    def set_noise(self, observation: str, noise: float, dropout: float = 0.0) -> None:
        """Change the noise and the dropout of an observation; see Tables.

        Where there was none at all, `critic` and `observation` were one tensor: the first noise
        makes a critic of its own, and steps are captured again.
        """
        if self._episode.shared and (noise or dropout):
            self._episode.critic = wp.clone(self._episode.observation)
            self._episode.shared = 0
            self._arrays.append(self._episode.critic)
            self._graphs.clear()
            self._view()
        self._put(*self._tables.set_noise(observation, noise, dropout))

    def _put(self, *tables: str) -> None:
        for name in tables:
            getattr(self._episode, name).assign(self._tables.arrays[name])
