"""Training: PPO on the environments, what it is compared with, and the report.

Importing it imports torch and Warp; rsl_rl only where something is trained.
"""

from stagetwin_sim.training._baselines import RandomPolicy, RulePolicy, baselines
from stagetwin_sim.training._checkpoint import Checkpoint
from stagetwin_sim.training._config import TrainingConfig, environment_config
from stagetwin_sim.training._evaluate import Evaluation, evaluate
from stagetwin_sim.training._export import export_bundle, export_model, novelty_of, versions
from stagetwin_sim.training._pictures import draw_curves, draw_stills
from stagetwin_sim.training._policies import ActorPolicy, BundlePolicy, Policy
from stagetwin_sim.training._report import Report, make_bundle, write_report
from stagetwin_sim.training._statistics import Interval, bootstrap, wilson
from stagetwin_sim.training._train import Progress, Run, train

__all__ = [
    "ActorPolicy",
    "BundlePolicy",
    "Checkpoint",
    "Evaluation",
    "Interval",
    "Policy",
    "Progress",
    "RandomPolicy",
    "Report",
    "RulePolicy",
    "Run",
    "TrainingConfig",
    "baselines",
    "bootstrap",
    "draw_curves",
    "draw_stills",
    "environment_config",
    "evaluate",
    "export_bundle",
    "export_model",
    "make_bundle",
    "novelty_of",
    "train",
    "versions",
    "wilson",
    "write_report",
]
