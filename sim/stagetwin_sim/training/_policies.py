"""What acts in an environment: a trained actor, a bundle, and those it is compared with."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from stagetwin_sim.environments import Environment
from stagetwin_sim.policies import Bundle

__all__ = ["ActorPolicy", "BundlePolicy", "Policy"]


class Policy(Protocol):
    """Something that acts in all worlds of an environment at once.

    Attributes:
        name: in tables.
    """

    @property
    def name(self) -> str: ...

    def begin(self, environment: Environment) -> None:
        """Get ready for worlds whose first episodes begin."""

    def act(self, environment: Environment) -> torch.Tensor:
        """Return the numbers of actions, in [-1, 1], shape (worlds, action_count)."""
        ...


class ActorPolicy:
    """An actor of rsl_rl, without noise.

    Args:
        actor: the model.
        name: in tables.
    """

    def __init__(self, actor: Any, name: str = "trained") -> None:
        self.actor, self.name = actor, name

    def begin(self, environment: Environment) -> None:
        """See Policy."""
        self.actor.eval()
        self.actor.reset()

    def act(self, environment: Environment) -> torch.Tensor:
        """See Policy."""
        from tensordict import TensorDict

        shown = TensorDict({"policy": environment.observation}, batch_size=[environment.worlds])
        with torch.inference_mode():
            if self.actor.is_recurrent and self.actor.get_hidden_state() is not None:
                self.actor.reset(environment.info["done"])
            said: torch.Tensor = self.actor(shown)
        return said


class BundlePolicy:
    """The network of a bundle, in all worlds at once.

    It says what the network says; staleness, unfamiliarity and rates are the runner's.

    Args:
        bundle: whose model takes any batch.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.name = bundle, bundle.spec.name
        self._network: Any = None

    def begin(self, environment: Environment) -> None:
        """See Policy."""
        from stagetwin_sim.policies._network import Network

        self._network = Network(self.bundle.model, self.bundle.spec, environment.worlds)

    def act(self, environment: Environment) -> torch.Tensor:
        """See Policy."""
        self._network.reset(environment.info["done"].cpu().numpy())
        said = self._network.run(environment.observation.cpu().numpy())
        return torch.from_numpy(said).to(environment.device)
