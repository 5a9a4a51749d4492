"""After the sending: answers, read-back, and what was left by a service before."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
from collections.abc import Sequence

import msgspec

from stagetwin._errors import WireError
from stagetwin.actuation import Fate, Reading, Report
from stagetwin.clock import Clock
from stagetwin.commands._command import Command, Evidence
from stagetwin.commands._evidence import Watch, value_of_reading
from stagetwin.commands._inputs import Inputs
from stagetwin.commands._ledger import Entry
from stagetwin.commands._life import Life, Transport
from stagetwin.commands._records import Records
from stagetwin.commands._states import UNSENT, Code, State
from stagetwin.commands._targets import Target
from stagetwin.values import plain, stage_value

__all__ = ["Outcomes"]

_log = logging.getLogger(__name__)

ANSWER_WITHIN = 2.0
"""After this long without an answer the read-back is judged without one [s]."""

READ_TIMEOUT = 6.0
"""After this long without an answer a device is asked again [s]."""

READ_PERIOD = 0.1
"""Time between two questions to a device for its read-back [s]."""

LATE_EVIDENCE = 60.0
"""How long after an UNVERIFIED end late evidence is still looked for [s]."""

RECOVERY_TIME = 15.0
"""How long telemetry may take to come back after a start [s]."""


class Outcomes:
    """Follows sent commands to their ends."""

    def __init__(
        self, records: Records, inputs: Inputs, transport: Transport, clock: Clock
    ) -> None:
        self._records, self._inputs = records, inputs
        self._transport, self._clock = transport, clock
        records.watched = self.still_watched
        self._numbers = itertools.count(1)
        self._questions: dict[int, Life] = {}

    def begin(self, life: Life) -> None:
        """Watch the read-back of a command that is about to leave."""
        now, binding = self._clock.steady(), life.target.binding
        known = self._inputs.one(binding.readback) if binding.readback else None
        if known is not None:
            command = life.command
            # As the machine gets it: a vector may be asked for as an object, a rotation unnormed.
            wanted = command.value if life.value is None else plain(life.value)
            life.watch = Watch(binding, known.binding, wanted, command.before)
            life.watch.handed_over(self._clock.wall(), now)
        life.answer_until = now + ANSWER_WITHIN
        if self._transport.repeats(binding.connection):
            # Until then it is written again, and an answer may come.
            life.answer_until = max(life.answer_until, life.command.expires)
        life.until = life.answer_until + binding.settle_time + binding.dwell

    # -- events

    def report(self, report: Report) -> None:
        """Take news of a transmission."""
        life = self._records.life(report.id)
        command = life.command if life is not None else self._records.find(report.id)
        if command is None:
            _log.warning("news of a command that is not known: %s", report)
            return
        if life is None or command.ended:
            # An end stays what it is.
            text = f"late: {report.fate}{f', {report.cause}' if report.cause else ''}"
            self._records.note(command, text)
            return
        if command.state not in (State.SENT, State.ACKNOWLEDGED):
            _log.warning("news of command %s, which is %s: %s", command.id, command.state, report)
            return
        take = {
            Fate.WITHHELD: self._withheld,
            Fate.SENT: self._sent,
            Fate.ACKNOWLEDGED: self._acknowledged,
            Fate.REFUSED: self._refused,
            Fate.UNKNOWN: self._unknown,
            Fate.NOTED: self._noted,
        }
        take[report.fate](life, report)

    def _withheld(self, life: Life, report: Report) -> None:
        if life.left or life.command.state is State.ACKNOWLEDGED:
            self._records.note(life.command, f"withheld after it had left: {report.cause}")
            return
        self._not_in_force(life)
        self._records.end(life, State.FAILED, Code.WITHHELD, f"nothing was sent: {report.cause}")

    def _not_in_force(self, life: Life) -> None:
        """Forget a setpoint that never came into force; rates count from the one before it."""
        if life.sent is not None and life.target.sent is life.sent:
            life.target.sent = life.sent_before

    def _noted(self, life: Life, report: Report) -> None:
        self._records.note(life.command, report.cause)

    def _sent(self, life: Life, report: Report) -> None:
        life.left = True
        if report.shows:
            if life.watch is not None:
                life.watch.expect(report.shows)
            self._records.note(life.command, report.cause, {"shows": list(report.shows)})
        if life.command.state is State.ACKNOWLEDGED:
            return  # the answer was faster than the news of the question
        if life.watch is not None:
            life.watch.transmitted(self._moment(report))
        if report.final:
            self._unanswerable(life, "no acknowledgement is possible on this connection")

    def _acknowledged(self, life: Life, report: Report) -> None:
        if life.command.state is State.ACKNOWLEDGED:
            return
        life.left = True
        self._records.enter(life, State.ACKNOWLEDGED, report.cause)
        now, binding = self._clock.steady(), life.target.binding
        if life.watch is None:
            text = "acknowledged, and there is no read-back to verify it by"
            self._records.end(life, State.UNVERIFIED, Code.NO_READBACK, text)
            return
        life.watch.acknowledged(self._moment(report))
        life.until = now + binding.settle_time + binding.dwell
        life.next_read = now
        self.look(life, now)

    def _moment(self, report: Report) -> float:
        """Return when a report was made [s, Unix]; never later than now, whatever it says."""
        now = self._clock.wall()
        return min(report.time, now) if math.isfinite(report.time) else now

    def _refused(self, life: Life, report: Report) -> None:
        self._not_in_force(life)
        what = "gave it up" if life.command.state is State.ACKNOWLEDGED else "refused"
        self._records.end(life, State.FAILED, Code.REFUSED, f"the device {what}: {report.cause}")

    def _unknown(self, life: Life, report: Report) -> None:
        if life.command.state is State.SENT:
            self._unanswerable(life, f"no answer: {report.cause}")

    def _unanswerable(self, life: Life, why: str) -> None:
        if life.watch is None:
            # Nobody knows the present setpoint now.
            life.target.sent = None
            self._records.end(life, State.UNVERIFIED, Code.NO_ANSWER, f"{why}, and no read-back")
            return
        life.unanswered = True
        life.next_read = self._clock.steady()

    def lost(self, connection: str, cause: str) -> None:
        """Take note that a command client is gone; what it had may or may not have left."""
        for life in self._records.lives():
            if life.reading and life.target.binding.connection == connection:
                self._questions.pop(life.reading, None)
                life.reading, life.next_read = 0, self._clock.steady() + READ_PERIOD
            waiting = life.command.state is State.SENT and not life.unanswered
            if waiting and life.target.binding.connection == connection:
                self._unanswerable(life, f"the command client ended: {cause}")

    def reading(self, reading: Reading) -> None:
        """Take what a device answered."""
        life = self._questions.pop(reading.request, None)
        if life is None or life.watch is None or life.reading != reading.request:
            return
        life.reading = 0
        now = self._clock.steady()
        life.next_read = now + READ_PERIOD
        known = self._inputs.one(life.target.binding.readback)
        if known is None:
            return
        value = value_of_reading(known.binding, reading)
        self._conclude(life, life.watch.reading(value, now, left=life.left), now)

    # -- looking

    def look(self, life: Life, now: float) -> None:
        """Look at the read-back of a sent command; `now` is on the steady clock [s]."""
        if life.command.ended:
            self._look_for_late_evidence(life, now)
            return
        if life.watch is None:
            if now >= life.answer_until:
                self._unanswerable(life, f"no answer within {ANSWER_WITHIN:g} s")
            return
        if life.command.state is State.SENT and now >= life.answer_until:
            life.unanswered = True
            life.next_read = min(life.next_read, now)
        if life.command.state is State.SENT and not life.unanswered:
            return
        known = self._inputs.one(life.target.binding.readback)
        evidence = None
        if known is not None and not self._asks(life, now):
            evidence = life.watch.sample(known, now, without_answer=life.unanswered, left=life.left)
        self._conclude(life, evidence, now)

    def _asks(self, life: Life, now: float) -> bool:
        """Tell whether the device itself is asked in place of telemetry, and ask if it is time."""
        if life.reading and now < life.next_read:
            return True
        if now < life.next_read:
            return life.next_read < math.inf and life.next_read - now <= READ_PERIOD
        binding = life.target.binding
        known = self._inputs.one(binding.readback)
        if known is None or known.binding.connection != binding.connection:
            life.next_read = math.inf
            return False
        number = next(self._numbers)
        if not self._transport.read(binding.connection, number, known.binding.channel(0)):
            life.next_read = math.inf
            return False
        self._questions.pop(life.reading, None)
        life.reading, life.next_read = number, now + READ_TIMEOUT
        self._questions[number] = life
        return True

    def _conclude(self, life: Life, evidence: Evidence | None, now: float) -> None:
        if life.command.ended:
            return
        if evidence is not None:
            life.command.evidence = evidence
            body = {"evidence": msgspec.structs.asdict(evidence)}
            answered = "" if life.command.state is State.ACKNOWLEDGED else "without an answer"
            self._records.end(life, State.VERIFIED, "", answered, body=body)
        elif now >= life.until and life.watch is not None:
            code, cause = life.watch.verdict()
            self._records.end(life, State.UNVERIFIED, code, cause)

    def give_up(self, life: Life, now: float, error: Exception) -> None:
        """End a sent command whose read-back cannot be judged, once its time is over."""
        if now < life.until:
            if not life.faulty:
                _log.exception("the read-back of command %s cannot be judged", life.command.id)
            life.faulty = True
        elif life.command.ended:
            self._records.forget(life)
        else:
            text = f"its read-back cannot be judged: {type(error).__name__}: {error}"
            life.watch = None
            self._records.end(life, State.UNVERIFIED, Code.FAULT, text)

    def still_watched(self, life: Life) -> bool:
        """Tell whether an ended command stays, to take late evidence."""
        self._questions.pop(life.reading, None)
        life.reading = 0
        if life.command.state is not State.UNVERIFIED or life.watch is None:
            return False
        life.until = self._clock.steady() + LATE_EVIDENCE
        return True

    def _look_for_late_evidence(self, life: Life, now: float) -> None:
        known = self._inputs.one(life.target.binding.readback)
        found = None
        if known is not None and life.watch is not None:
            found = life.watch.sample(known, now, without_answer=True, left=life.left)
        newer = life.target.holder or life.target.desired[1] not in ("", life.command.id)
        if found is not None and not newer:
            self._records.note(life.command, f"late: {found.signal} is {found.value}")
        if found is not None or newer or now >= life.until:
            self._records.forget(life)

    # -- after a restart

    def recover(self, left: Sequence[Sequence[Entry]]) -> None:
        """Take up commands that had not ended: what was sent is looked for, never sent again."""
        for entries in left:
            try:
                self._recover_one(entries)
            except Exception:
                _log.exception("command %s cannot be taken up", entries[0].command)

    def _recover_one(self, entries: Sequence[Entry]) -> None:
        command = self._records.recorded(entries)
        if command is None:
            return
        target = self._records.targets.get(command.target)
        if target is not None:
            self._recover(command, target, entries)
        else:
            self._recover_without(command)

    def _recover(self, command: Command, target: Target, entries: Sequence[Entry]) -> None:
        life = Life(command, target)
        with contextlib.suppress(WireError):  # of another type by now: nothing will be like it
            life.value = stage_value(target.binding.type_name, command.value)
        self._records.adopt(life)
        if command.state in UNSENT:
            text = "the service started anew before it was sent"
            self._records.end(life, State.EXPIRED, Code.RESTART, text)
            return
        self.begin(life)
        target.holder = command.id
        now, binding = self._clock.steady(), target.binding
        if binding.readback and life.watch is None:
            # The signal may be bound a moment later; until then nothing is known.
            _log.warning("the read-back of %s is not bound", binding.path)
        if life.watch is None:
            text = "the service started anew after it was sent, and there is no read-back"
            self._records.end(life, State.UNVERIFIED, Code.NO_READBACK, text)
            return
        sent = next(entry.time for entry in entries if entry.state == State.SENT)
        life.watch.handed_over(sent, now)
        for entry in entries:
            if shows := entry.body.get("shows"):
                life.watch.expect(shows)
        life.left = command.state is State.ACKNOWLEDGED
        life.unanswered, life.next_read = True, now
        life.until = now + RECOVERY_TIME + binding.settle_time + binding.dwell

    def _recover_without(self, command: Command) -> None:
        """End a command whose target is no more."""
        unsent = command.state in UNSENT
        state = State.EXPIRED if unsent else State.UNVERIFIED
        self._records.end_unbound(command, state, f"{command.target} is no more on the stage")
