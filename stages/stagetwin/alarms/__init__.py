"""Alarms: what somebody must know, decided once, kept until somebody has said that they know."""

from stagetwin.alarms._book import MAX_SHELF, AlarmBook
from stagetwin.alarms._definitions import PRIORITIES, Definition
from stagetwin.alarms._journal import AlarmJournal
from stagetwin.alarms._plan import Trust, trusted_signals
from stagetwin.alarms._states import (
    ACTIVE,
    TRANSITIONS,
    Acknowledgement,
    Alarm,
    AlarmEvent,
    AlarmState,
    Shelf,
)

__all__ = [
    "ACTIVE",
    "MAX_SHELF",
    "PRIORITIES",
    "TRANSITIONS",
    "Acknowledgement",
    "Alarm",
    "AlarmBook",
    "AlarmEvent",
    "AlarmJournal",
    "AlarmState",
    "Definition",
    "Shelf",
    "Trust",
    "trusted_signals",
]
