"""Environments to train policies in: batched worlds in Warp, composed of terms.

Importing it imports torch; newton only with the tasks that stand on it.
"""

from stagetwin_sim._errors import TaskError
from stagetwin_sim.environments import terms
from stagetwin_sim.environments._adapters import as_env, as_rsl_rl, as_vector_env
from stagetwin_sim.environments._arm_reach import ArmReachConfig
from stagetwin_sim.environments._cart_pole import CartPoleConfig
from stagetwin_sim.environments._config import (
    EnvironmentConfig,
    Figure,
    Layout,
    Parameter,
    Simulation,
)
from stagetwin_sim.environments._environment import Environment, Step
from stagetwin_sim.environments._episode_kernels import Episode, command, said
from stagetwin_sim.environments._kinematics import KinematicsConfig
from stagetwin_sim.environments._make import TASKS, find_config, make_environment
from stagetwin_sim.environments._navigation import NavigationConfig
from stagetwin_sim.environments._ranges import CalibratedRange, Ranges
from stagetwin_sim.environments._terms import (
    ActionTerm,
    CommandTerm,
    CurriculumTerm,
    EventTerm,
    ObservationTerm,
    Randomization,
    Range,
    RewardTerm,
    TerminationTerm,
)
from stagetwin_sim.environments._zone_release import ZoneReleaseConfig

__all__ = [
    "TASKS",
    "ActionTerm",
    "ArmReachConfig",
    "CalibratedRange",
    "CartPoleConfig",
    "CommandTerm",
    "CurriculumTerm",
    "Environment",
    "EnvironmentConfig",
    "Episode",
    "EventTerm",
    "Figure",
    "KinematicsConfig",
    "Layout",
    "NavigationConfig",
    "ObservationTerm",
    "Parameter",
    "Randomization",
    "Range",
    "Ranges",
    "RewardTerm",
    "Simulation",
    "Step",
    "TaskError",
    "TerminationTerm",
    "ZoneReleaseConfig",
    "as_env",
    "as_rsl_rl",
    "as_vector_env",
    "command",
    "find_config",
    "make_environment",
    "said",
    "terms",
]
