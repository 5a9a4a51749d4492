"""Drafts: edits of commands in a viewer's own mirror, until they are published.

Nothing here writes a command's `desired` value anywhere but in the draft layer: publishing asks the
service, which is its only writer.
"""

from stagetwin.drafts._courier import Courier, Outcome, Publication, Service
from stagetwin.drafts._drafts import Draft, Drafts, DraftState
from stagetwin.drafts._edits import Edit, Ignored, Reason, commanded_properties, desired_of
from stagetwin.drafts._probe import DraftProbe

__all__ = [
    "Courier",
    "Draft",
    "DraftProbe",
    "DraftState",
    "Drafts",
    "Edit",
    "Ignored",
    "Outcome",
    "Publication",
    "Reason",
    "Service",
    "commanded_properties",
    "desired_of",
]
