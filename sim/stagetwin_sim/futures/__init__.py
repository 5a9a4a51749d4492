"""Futures: copies of the whole present, run ahead of the plant, compared, sought and rehearsed."""

from stagetwin_sim.futures._branch import Branch, ParameterChange
from stagetwin_sim.futures._collisions import Touch
from stagetwin_sim.futures._comparison import Comparison, Row, Traces
from stagetwin_sim.futures._forecast import Forecast, Setting
from stagetwin_sim.futures._future import Future, fork
from stagetwin_sim.futures._operate import OPERATIONS, compare, operate, warm
from stagetwin_sim.futures._optimum import Optimum, optimise
from stagetwin_sim.futures._parameters import Parameterised
from stagetwin_sim.futures._present import Present, RuleTimer
from stagetwin_sim.futures._rehearse import rehearse
from stagetwin_sim.futures._run import run_scenario
from stagetwin_sim.futures._scenario import Scenario, read_scenario
from stagetwin_sim.futures._verdict import Believed, Finding, Margin, Outcome, Verdict

__all__ = [
    "OPERATIONS",
    "Believed",
    "Branch",
    "Comparison",
    "Finding",
    "Forecast",
    "Future",
    "Margin",
    "Optimum",
    "Outcome",
    "ParameterChange",
    "Parameterised",
    "Present",
    "Row",
    "RuleTimer",
    "Scenario",
    "Setting",
    "Touch",
    "Traces",
    "Verdict",
    "compare",
    "fork",
    "operate",
    "optimise",
    "read_scenario",
    "rehearse",
    "run_scenario",
    "warm",
]
