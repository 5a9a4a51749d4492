"""Actor and critic of rsl_rl, made from a configuration."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from stagetwin_sim.environments import Environment
from stagetwin_sim.training._config import TrainingConfig
from stagetwin_sim.training._symmetry import SideTurns

__all__ = ["make_algorithm"]


def make_algorithm(config: TrainingConfig, vec_env: Any) -> Any:
    """Return rsl_rl's PPO for an environment.

    Args:
        config: of the training.
        vec_env: rsl_rl's `VecEnv` of the environment.
    """
    from rsl_rl.algorithms import PPO

    model: dict[str, Any] = {
        "class_name": "RNNModel" if config.recurrent else "MLPModel",
        "hidden_dims": list(config.hidden),
        "activation": config.activation,
        "obs_normalization": True,
    }
    if config.recurrent:
        model |= {
            "rnn_type": config.recurrent,
            "rnn_hidden_dim": config.recurrent_size,
            "rnn_num_layers": 1,
        }
    said: dict[str, Any] = {"class_name": "BetaDistribution"}
    if config.distribution == "gaussian":
        said = {
            "class_name": "GaussianDistribution",
            "init_std": config.init_std,
            "std_range": [0.05, 1.0],
        }
    settings: dict[str, Any] = {
        "num_steps_per_env": config.steps,
        "multi_gpu": None,
        "obs_groups": {"actor": ["policy"], "critic": ["critic"]},
        "actor": {**model, "distribution_cfg": said},
        "critic": dict(model),
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": config.epochs,
            "num_mini_batches": config.minibatches,
            "clip_param": config.clip,
            "gamma": config.gamma,
            "lam": config.lam,
            "value_loss_coef": config.value_loss,
            "use_clipped_value_loss": config.clip_value,
            "entropy_coef": config.entropy,
            "learning_rate": config.learning_rate,
            "max_grad_norm": config.max_grad_norm,
            "schedule": "adaptive" if config.desired_kl > 0.0 else "fixed",
            "desired_kl": config.desired_kl or None,
        },
    }
    environment: Environment = vec_env.environment
    if environment.config.sides > 1 and not config.recurrent:  # its rows of a batch have an order
        settings["algorithm"]["symmetry_cfg"] = {
            "use_data_augmentation": True,
            "data_augmentation_func": SideTurns(environment),
        }
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its models
        return PPO.construct_algorithm(vec_env.get_observations(), vec_env, settings, config.device)
