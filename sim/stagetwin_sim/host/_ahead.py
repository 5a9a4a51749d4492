"""Questions about futures, answered one after another."""

from __future__ import annotations

import logging
import time

from stagetwin import StagetwinError
from stagetwin.simulation import Line, wire
from stagetwin_sim._errors import CancelledError, ModelError, UnforkableError
from stagetwin_sim.plant import PlantModel

__all__ = ["answer", "fault_of", "prepare"]

_log = logging.getLogger(__name__)

_PROGRESS = 0.1
"""Shortest time between two words of how far a question is [s]."""


def prepare(line: Line, plant: PlantModel, device: str) -> None:
    """Load what futures run before a question's budget pays for it."""
    from stagetwin_sim.futures import warm

    try:
        with line.busy():
            warm(plant, device)
    except Exception as error:
        # Whoever asks is told; without a question it is nobody's trouble.
        _log.warning("futures could not be prepared: %s", error)


def answer(line: Line, plant: PlantModel | None, ask: wire.Ask, device: str = "cpu") -> wire.Answer:
    """Return the answer to a question about a future.

    Args:
        line: to the service, for progress and cancellation.
        plant: whose models; None where the plant could not be read.
        ask: the question; its bytes are a Present, none of them the models' first state.
        device: Warp's name of it.
    """
    if line.cancelled(ask.number):
        return wire.Answer(ask.number, fault=wire.Fault("cancelled", "nobody waits for it"))
    spoken = 0.0

    def progress(done: float, text: str = "") -> None:
        nonlocal spoken
        line.alive()
        if time.monotonic() - spoken >= _PROGRESS:
            spoken = time.monotonic()
            line.say(wire.Kind.PROGRESS, wire.Progress(ask.number, done, text))

    def cancelled() -> bool:
        line.alive()
        return line.cancelled(ask.number)

    try:
        from stagetwin_sim.futures import Present, operate

        if plant is None:
            raise ModelError("the plant could not be read: there is nothing to look ahead with")
        if ask.operation == "rehearse" and not ask.data:
            raise ModelError("a rehearsal starts from the present, and none came with the question")
        given = {"budget": ask.budget, **ask.given} if ask.budget else ask.given
        with line.busy():  # kernels are compiled before the first word of progress
            present = Present.from_bytes(ask.data, plant) if ask.data else Present.of(plant)
            result = operate(plant, ask.operation, given, present, progress, cancelled, device)
    except Exception as error:
        # Models may be anybody's: whoever asks is told, and the next question finds the process.
        return wire.Answer(ask.number, fault=fault_of(error))
    return wire.Answer(ask.number, result)


def fault_of(error: Exception) -> wire.Fault:
    """Return an error as whoever asked is told it."""
    if isinstance(error, CancelledError):
        return wire.Fault("cancelled", str(error))
    if isinstance(error, UnforkableError):
        return wire.Fault("unforkable", str(error))
    if isinstance(error, StagetwinError):
        return wire.Fault("invalid", str(error))
    _log.error("a question could not be answered", exc_info=error)
    return wire.Fault("failed", f"{type(error).__name__}: {error}")
