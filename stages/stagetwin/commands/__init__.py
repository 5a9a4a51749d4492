"""Commands: from a request to its end, with a record of every step."""

from stagetwin.commands._command import Command, Evidence, Moment, PublishRequest
from stagetwin.commands._inputs import Inputs, Known, permits
from stagetwin.commands._ledger import Entry, Ledger
from stagetwin.commands._life import Transport
from stagetwin.commands._loop import LOOP_BEGUN, LOOP_ENDED, Loop, LoopState
from stagetwin.commands._loops import Loops
from stagetwin.commands._path import CommandPath
from stagetwin.commands._places import Place, map_of, prim_of
from stagetwin.commands._records import Records
from stagetwin.commands._rehearsal import Rehearser, Verdict
from stagetwin.commands._rules import RuleBook
from stagetwin.commands._states import ENDS, TRANSITIONS, UNSENT, Code, State, check_transition
from stagetwin.commands._targets import Target, Targets

__all__ = [
    "ENDS",
    "LOOP_BEGUN",
    "LOOP_ENDED",
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
    "Loop",
    "LoopState",
    "Loops",
    "Moment",
    "Place",
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
    "map_of",
    "permits",
    "prim_of",
]
