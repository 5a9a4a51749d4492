"""The runner's process for a real vehicle: one JSON object a line, in and out."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from stagetwin_sim.policies._bundle import Bundle
from stagetwin_sim.policies._inputs import Reading
from stagetwin_sim.policies._keys import load_trusted
from stagetwin_sim.policies._port import run_vehicle
from stagetwin_sim.policies._runner import Action, Runner

__all__ = ["LinesPort", "run_lines"]

_LONGEST = 2**20
"""Longest line [characters]."""


class LinesPort:
    """Readings come in as `{"name": values, ...}`, velocities go out as `{"speed": ..., ...}`.

    A reading is dated when its line was read, or by `"age"` [s] in the line before that; a line
    that is no such object is counted and changes nothing.

    Args:
        lines: where readings come from; its end is the vehicle's leaving.
        out: where velocities go.

    Attributes:
        refused: lines that could not be used.
    """

    def __init__(self, lines: IO[str], out: IO[str]) -> None:
        self.refused = 0
        self._lines, self._out = lines, out
        self._newest: dict[str, Reading] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="readings", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            while line := self._lines.readline(_LONGEST):
                self._take(line, time.monotonic())
        except (OSError, ValueError):
            pass  # the pipe broke: the same as its end
        finally:
            self._closed.set()

    def _take(self, line: str, now: float) -> None:
        try:
            said = json.loads(line)
            age = float(said.pop("age", 0.0))
            if not age >= 0.0:
                raise ValueError(f"age is {age}")
            readings = {
                str(name): Reading(np.asarray(values, np.float64), now - age)
                for name, values in said.items()
            }
        except (ValueError, TypeError, AttributeError, RecursionError):
            self.refused += 1
            return
        with self._lock:
            self._newest |= readings

    def read(self) -> Mapping[str, Reading]:
        """See VehiclePort."""
        with self._lock:
            return dict(self._newest)

    def write(self, action: Action, good_for: float) -> None:
        """See VehiclePort."""
        line = {
            **{name: values.reshape(-1).tolist() for name, values in action.values.items()},
            "status": str(action.status),
            "cause": action.cause,
            "good_for": good_for,
        }
        try:
            self._out.write(f"{json.dumps(line)}\n")
            self._out.flush()
        except (OSError, ValueError):
            self._closed.set()  # nobody listens any more

    def closed(self) -> bool:
        """See VehiclePort."""
        return self._closed.is_set()


def run_lines(path: Path, trust: Sequence[Path], *, dead_man: float) -> None:
    """Run a policy between standard input and output; see `stagetwin policy run --help`."""
    runner = Runner(Bundle.read(path, load_trusted(trust)))
    run_vehicle(runner, LinesPort(sys.stdin, sys.stdout), dead_man=dead_man)
