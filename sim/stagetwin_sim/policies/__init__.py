"""Policies: what their numbers mean, the file they leave in, and what runs them.

Nothing here imports torch or Warp: a policy runs from its bundle alone.
"""

from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._inputs import Reading
from stagetwin_sim.policies._keys import SigningKey, VerifyKey, load_trusted
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
    "Bundle",
    "Fallback",
    "ModelSpec",
    "Novelty",
    "ObservationSpec",
    "PolicySpec",
    "Provenance",
    "Reading",
    "RecurrentState",
    "Runner",
    "SigningKey",
    "Status",
    "Term",
    "VerifyKey",
    "load_trusted",
]
