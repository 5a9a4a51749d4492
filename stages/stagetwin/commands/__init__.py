"""Commands: from a request to its end, with a record of every step."""

from stagetwin.commands._command import Command, Evidence, Moment, PublishRequest
from stagetwin.commands._inputs import Inputs, Known, permits
from stagetwin.commands._ledger import Entry, Ledger
from stagetwin.commands._life import Transport
from stagetwin.commands._path import CommandPath
from stagetwin.commands._records import Records
from stagetwin.commands._rehearsal import Rehearser, Verdict
from stagetwin.commands._rules import RuleBook
from stagetwin.commands._states import ENDS, TRANSITIONS, UNSENT, Code, State, check_transition
from stagetwin.commands._targets import Target, Targets

__all__ = [
    "ENDS",
    "TRANSITIONS",
    "UNSENT",
    "Code",
    "Command",
    "CommandPath",
    "Entry",
    "Evidence",
    "Inputs",
    "Known",
    "Ledger",
    "Moment",
    "PublishRequest",
    "Records",
    "Rehearser",
    "RuleBook",
    "State",
    "Target",
    "Targets",
    "Transport",
    "Verdict",
    "check_transition",
    "permits",
]
