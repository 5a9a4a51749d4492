"""One instance of an FMU in one world: started, stepped, stopped by itself alone."""

from __future__ import annotations

import logging
import weakref
from collections import Counter
from collections.abc import Sequence
from ctypes import addressof, c_bool, c_double
from typing import TYPE_CHECKING, Any

from fmpy.fmi1 import FMICallException

from stagetwin_sim._errors import FmuError
from stagetwin_sim.fmi._library import (
    Call,
    Library2,
    Library3,
    failure,
    open_library,
    tidy_path,
)
from stagetwin_sim.fmi._messages import Speaker

if TYPE_CHECKING:
    from stagetwin_sim.fmi._system import FmuUnit

__all__ = ["Block", "Instance"]

_log = logging.getLogger("stagetwin_sim.fmi")

OK, WARNING, DISCARD, ERROR, FATAL = range(5)
_WORDS = {DISCARD: "discard", ERROR: "error", FATAL: "fatal"}
_HALVES = 4

Block = tuple[str, Any, int, int]
"""Variables of one type: the type, C array of value references, address of values, their count."""


class Instance:
    """One instance of an FMU in one world.

    Attributes:
        unit: what it is made from.
        world: in which.
        steps: done since its start.
        stopped: why it is not stepped any more, or empty.
        counts: what happened, by cause.
    """

    def __init__(
        self,
        unit: FmuUnit,
        world: int,
        inputs: Sequence[Block],
        outputs: Sequence[Block],
        memory: Sequence[Any] = (),
    ) -> None:
        self.unit = unit
        self._memory = memory  # what the blocks' addresses point into
        self.world = world
        self.steps = 0
        self.stopped = ""
        self.counts: Counter[str] = Counter()
        self._dt = 0.0
        self._blocks = (inputs, outputs)
        self._sets: list[Call] = []
        self._gets: list[Call] = []
        self._library: Library2 | Library3 | None = None
        self._close: Any = None
        self.start()

    # -- its life

    def start(self) -> None:
        """Make a new instance of the FMU and initialise it; on failure it is stopped."""
        self.close()
        self.stopped = ""
        self.steps = 0
        speaker = Speaker(self.unit.place)
        self._speaker = speaker
        try:
            library = open_library(self.unit.fmu)
            with tidy_path():
                self._begin(library)
        except (FMICallException, FmuError) as error:
            self.stop(f"it cannot start: {self._refused(error)}")

    def _begin(self, library: Library2 | Library3) -> None:
        fmu = self.unit.fmu
        self._library = library
        # Discrete inputs may only be set in event mode: then the FMU handles its events itself.
        discrete = any(v.variability == "discrete" for v, _ in self.unit.inputs)
        self._events = isinstance(library, Library3) and fmu.event_mode and not discrete
        handle, kept = library.instantiate(self._speaker, self._events)
        self._handle = handle
        library.live += 1
        self._close = weakref.finalize(self, _free, library, handle, self._speaker, kept)
        self._close.atexit = False  # a library may not outlive what it stands on
        self._sets = [library.setter(handle, *block) for block in self._blocks[0]]
        self._gets = [library.getter(handle, *block) for block in self._blocks[1]]
        self._flags = (c_bool(), c_bool(), c_bool(), c_double())
        self._addresses = tuple(addressof(flag) for flag in self._flags)
        starts = [library.setter(handle, *block) for block in self.unit.start_blocks()]
        self._called(starts)
        library.enter_initialization(handle)
        self._called(self._sets)
        library.exit_initialization(handle)
        if isinstance(library, Library3) and self._events and library.settle(handle):
            raise FmuError("it wants to end at its start")
        self._called(self._gets)

    def close(self) -> None:
        """Free the FMU's instance."""
        if self._close is not None:
            self._close()
            self._close = None

    def stop(self, cause: str) -> None:
        """Step it no more."""
        if not self.stopped:
            self.stopped = cause
            self.counts["stopped"] += 1
            _log.error("%s (world %d) is stopped: %s", self.unit.place, self.world, cause)
        self.close()

    # -- steps

    def advance(self, dt: float, count: int) -> None:
        """Set inputs, move on by steps, get outputs; what goes wrong stops it, and nothing else.

        Args:
            dt: of each step [s].
            count: of steps.
        """
        library = self._library
        if self.stopped or library is None:
            return
        if library.corrupt:
            self.stop(f"its library is corrupt since {library.corrupt}")
            return
        for function, arguments in self._sets:
            if (status := function(*arguments)) and self._bad(status, "an input"):
                return
        self._dt = dt
        begin = self.unit.fmu.start_time
        step = self._step3 if isinstance(library, Library3) else self._step2
        for _ in range(count):
            if not step(library, begin + self.steps * dt, dt):
                return
            self.steps += 1
        for function, arguments in self._gets:
            if (status := function(*arguments)) and self._bad(status, "an output"):
                return

    def _step2(self, library: Any, time: float, dt: float, tries: int = 2) -> bool:
        past = 0 if self.unit.fmu.savable else 1  # whether no state before `time` comes back
        status = library.do_step(self._handle, time, dt, past)
        if not status:
            return True
        if status != DISCARD:
            return not self._bad(status, "its step")
        self.counts["discard"] += 1
        try:
            reached, end = library.done_until(self._handle)
        except FMICallException:
            reached, end = time, False
        rest = time + dt - reached
        if end or not time < reached < time + dt or not tries or not self.unit.fmu.variable_step:
            self.stop(
                f"it {'wants to end' if end else 'discards its step'} at {time:g} s{self._said()}"
            )
            return False
        return self._step2(library, reached, rest, tries - 1)

    def _step3(self, library: Any, time: float, dt: float, depth: int = 0) -> bool:
        event, end, early, reached = self._flags
        past = not self.unit.fmu.savable
        status = library.do_step(self._handle, time, dt, past, *self._addresses)
        if status == DISCARD:
            return self._halved(library, time, dt, depth)
        if status and self._bad(status, "its step"):
            return False
        if not (event.value or end.value or early.value):
            return True
        if end.value:
            self.stop(f"it wants to end at {reached.value:g} s{self._said()}")
            return False
        now = reached.value if early.value else time + dt
        if self._events and event.value and not self._handled(library):
            return False
        if early.value and now < time + dt:
            self.counts["early return"] += 1
            if now <= time and depth >= 100:
                self.stop(f"its steps return at {time:g} s and come no further")
                return False
            return self._step3(library, now, time + dt - now, depth + 1 if now <= time else 0)
        return True

    def _halved(self, library: Any, time: float, dt: float, depth: int) -> bool:
        self.counts["discard"] += 1
        if depth >= _HALVES or not self.unit.fmu.variable_step:
            self.stop(f"it discards steps of {dt:g} s at {time:g} s{self._said()}")
            return False
        half = dt / 2
        first = self._step3(library, time, half, depth + 1)
        return first and self._step3(library, time + half, half, depth + 1)

    def _handled(self, library: Any) -> bool:
        self.counts["event"] += 1
        try:
            library.enter_events(self._handle)
            ended = library.settle(self._handle)
        except (FMICallException, FmuError) as error:
            status = getattr(error, "status", ERROR)
            return not self._bad(status, f"its events ({error})")
        if ended:
            self.stop("it wants to end at an event")
        return not ended

    # -- its state

    def state(self) -> bytes:
        """Return the complete state, or why it is stopped.

        Raises:
            FmuError: it gave none.
        """
        if self.stopped:
            return b"\0" + self.stopped.encode()
        assert self._library is not None
        try:
            return b"\1" + self._library.state(self._handle)
        except FMICallException as error:
            raise FmuError(f"{self.unit.place}: {self._refused(error)}") from None

    def set_state(self, state: bytes, steps: int) -> None:
        """Take a state.

        Args:
            state: as `state` returned it.
            steps: done at that time.

        Raises:
            FmuError: it was refused.
        """
        if state[:1] == b"\0":
            self.close()
            self.stopped, self.steps = state[1:].decode(), steps
            return
        if self.stopped or (self._library is not None and self._library.corrupt):
            self.start()
        if self.stopped:
            raise FmuError(f"{self.unit.place}: {self.stopped}")
        assert self._library is not None
        try:
            self._library.set_state(self._handle, state[1:])
        except FMICallException as error:
            raise FmuError(f"{self.unit.place}: {self._refused(error)}") from None
        self.steps = steps

    # -- what goes wrong

    def _called(self, calls: Sequence[Call]) -> None:
        for function, arguments in calls:
            if (status := function(*arguments)) > WARNING:
                raise FMICallException(function.__name__, status)

    def _bad(self, status: int, what: str) -> bool:
        """Count a status that is not ok; return whether it stopped the instance."""
        if status == WARNING:
            self.counts["warning"] += 1
            return False
        word = _WORDS.get(status, f"status {status}")
        self.counts[word] += 1
        time = self.unit.fmu.start_time + self.steps * self._dt
        cause = f"{what} gave {word} at {time:g} s{self._said()}"
        if status == FATAL and self._library is not None:
            self._library.corrupt = f"{self.unit.place}: {cause}"
        self.stop(cause)
        return True

    def _refused(self, error: Exception) -> str:
        """Return what a refused call means; after a fatal one the library is called no more."""
        why = failure(error, self._speaker)
        if getattr(error, "status", 0) == FATAL and self._library is not None:
            self._library.corrupt = f"{self.unit.place}: {why}"
        return why

    def _said(self) -> str:
        return f": {self._speaker.last}" if self._speaker.last else ""


def _free(library: Library2 | Library3, handle: int, speaker: Speaker, kept: Any) -> None:
    """Free an instance, and what it was given."""
    library.live -= 1
    if not library.corrupt:
        library.free(handle)
    speaker.close()
    del kept
