"""Policies: what their numbers mean, the file they leave in, and what runs them.

Nothing here imports torch or Warp: a policy runs from its bundle alone.
"""

from stagetwin.envelopes import Bounds, Envelope
from stagetwin_sim.policies._advisor import Advisor, Desk, Stage
from stagetwin_sim.policies._approval import Approval, Session
from stagetwin_sim.policies._bodies import PolicyBodies
from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._desk import ServiceDesk
from stagetwin_sim.policies._gap import Gap, SignalGap, Trajectory, measure_gap, read_trajectory
from stagetwin_sim.policies._gap_show import draw_gap, gap_markdown, gap_table
from stagetwin_sim.policies._inputs import Reading
from stagetwin_sim.policies._keys import SigningKey, VerifyKey, load_trusted
from stagetwin_sim.policies._make_bodies import make_policy_bodies
from stagetwin_sim.policies._port import DeadMan, VehiclePort, run_vehicle
from stagetwin_sim.policies._proposals import Advice, Proposal, Route, SpeedLimit, Switch
from stagetwin_sim.policies._runner import Action, Runner, Status
from stagetwin_sim.policies._spec import (
    ActionSpec,
    Fallback,
    ModelSpec,
    Novelty,
    ObservationSpec,
    PolicySpec,
    Provenance,
    RecurrentState,
)
from stagetwin_sim.policies._term import Term

__all__ = [
    "Action",
    "ActionSpec",
    "Advice",
    "Advisor",
    "Approval",
    "Bounds",
    "Bundle",
    "DeadMan",
    "Desk",
    "Envelope",
    "Fallback",
    "Gap",
    "ModelSpec",
    "Novelty",
    "ObservationSpec",
    "PolicyBodies",
    "PolicySpec",
    "Proposal",
    "Provenance",
    "Reading",
    "RecurrentState",
    "Route",
    "Runner",
    "ServiceDesk",
    "Session",
    "SignalGap",
    "SigningKey",
    "SpeedLimit",
    "Stage",
    "Status",
    "Switch",
    "Term",
    "Trajectory",
    "VehiclePort",
    "VerifyKey",
    "draw_gap",
    "gap_markdown",
    "gap_table",
    "load_trusted",
    "make_policy_bodies",
    "measure_gap",
    "read_trajectory",
    "run_vehicle",
]
