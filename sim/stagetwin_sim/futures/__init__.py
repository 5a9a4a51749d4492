"""Futures: copies of the whole present, run ahead of the plant, compared, sought and rehearsed."""

from stagetwin_sim.futures._branch import Branch, ParameterChange
from stagetwin_sim.futures._collisions import Touch
from stagetwin_sim.futures._forecast import Forecast, Setting
from stagetwin_sim.futures._future import Future, fork
from stagetwin_sim.futures._present import Present, RuleTimer
from stagetwin_sim.futures._rehearse import rehearse
from stagetwin_sim.futures._verdict import Believed, Finding, Margin, Outcome, Verdict

__all__ = [
    "Believed",
    "Branch",
    "Finding",
    "Forecast",
    "Future",
    "Margin",
    "Outcome",
    "ParameterChange",
    "Present",
    "RuleTimer",
    "Setting",
    "Touch",
    "Verdict",
    "fork",
    "rehearse",
]
