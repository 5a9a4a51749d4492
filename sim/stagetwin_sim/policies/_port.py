"""A policy beside a real vehicle: the port to it, and the dead man's switch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._inputs import Reading
from stagetwin_sim.policies._runner import Action, Runner, Status

__all__ = ["DeadMan", "VehiclePort", "run_vehicle"]


class VehiclePort(Protocol):
    """What a vehicle's sensors and drive look like from here.

    Whatever is behind `write` must let the vehicle brake by itself when nothing came for as long as
    the last write was good for. That is no safety function either.
    """

    def read(self) -> Mapping[str, Reading]:
        """Return the newest readings by the names of the policy's terms; at once."""
        ...

    def write(self, action: Action, good_for: float) -> None:
        """Let the vehicle follow an action, for `good_for` [s] at most."""

    def closed(self) -> bool:
        """Tell whether the vehicle has left."""
        ...


class DeadMan:
    """Stops a vehicle when nobody has decided anything for a while.

    It watches from a thread of its own, so that a decision that hangs is noticed.

    Args:
        stop: called once for each time that the switch falls.
        timeout: [s].

    Attributes:
        falls: how often it fell.

    Raises:
        PolicyError: the time is not above 0 s.
    """

    def __init__(self, stop: Callable[[], None], timeout: float) -> None:
        if not timeout > 0.0:
            raise PolicyError(f"a dead man's switch needs a time above 0 s, got {timeout}")
        self.falls = 0
        self._stop, self._timeout = stop, timeout
        self._alive = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="dead-man", daemon=True)

    def __enter__(self) -> DeadMan:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._alive.set()
        self._thread.join()

    def feed(self) -> None:
        """Tell that a decision was made."""
        self._alive.set()

    def _watch(self) -> None:
        fallen = False
        while not self._ended.is_set():
            if self._alive.wait(self._timeout):
                self._alive.clear()
                fallen = False
            elif not fallen:
                fallen = True
                self.falls += 1
                self._stop()


def run_vehicle(
    runner: Runner,
    port: VehiclePort,
    *,
    dead_man: float = 0.5,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Let a policy drive a vehicle until the vehicle leaves; end with a stop.

    Args:
        runner: of the policy.
        port: to the vehicle.
        dead_man: how long a decision is good for [s]; at least two periods of the policy.
        sleep: waits for the next step.
        clock: counts seconds.

    Returns:
        How many decisions were made.

    Raises:
        PolicyError: `dead_man` is shorter than two periods, or the policy is no velocity policy.
    """
    spec = runner.spec
    if spec.kind != "velocity":
        raise PolicyError(f"policy {spec.name!r}: beside a vehicle runs velocity, got {spec.kind}")
    if dead_man < 2.0 * spec.period:
        raise PolicyError(f"dead_man must be at least {2.0 * spec.period:g} s, got {dead_man:g}")
    writing = threading.Lock()

    def write(action: Action, good_for: float) -> None:
        with writing:
            port.write(action, good_for)

    def stop() -> None:
        write(stop_of(runner, "dead man: no decision in time"), 0.0)

    made, due = 0, clock()
    try:
        with DeadMan(stop, dead_man) as switch:
            while not port.closed():
                write(runner.act(port.read()), dead_man)
                switch.feed()
                made += 1
                # After a stall it goes on from now: what was missed is not caught up with.
                due = max(due + spec.period, clock())
                sleep(max(0.0, due - clock()))
    finally:
        write(stop_of(runner, "ended"), 0.0)
    return made


def stop_of(runner: Runner, cause: str) -> Action:
    """Return the stop of a policy's actions."""
    values = {
        one.term.name: np.full(one.term.shape, one.stop, np.float64) for one in runner.spec.actions
    }
    none = np.full(runner.spec.action_count, np.nan)
    return Action(values, Status.STOP, cause, 0.0, 0.0, none)
