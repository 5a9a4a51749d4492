"""Scalar filters for columns that systems without a kind of their own write: levels of tanks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import SnapshotError
from stagetwin_sim.engine import Engine, Floats, Saved
from stagetwin_sim.estimation._filter_kernels import HELD, OUTLIER, PRESENT, RELOCKED, USED
from stagetwin_sim.estimation._slots import Correctable

__all__ = ["ColumnFilters"]

_PROCESS = 0.1
"""Process noise of such a column in a second, as a share of its measurement's noise."""
_PATIENCE = 30.0


class ColumnFilters:
    """One random walk a column: its expected value is the system's, its error grows with time.

    Source: the scalar Kalman filter of a random walk, as in D. Simon, Optimal State Estimation,
    2006, section 5.1. Columns that no system takes a correction for are compared only, and what is
    expected of them counts as certain.

    Args:
        engine: whose systems are corrected.
        columns: of the bus.
        sigmas: noise of what is measured of each [unit].
        gate: beyond how many standard deviations a measurement is an outlier.
    """

    def __init__(
        self, engine: Engine, columns: npt.NDArray[np.intp], sigmas: Floats, gate: float
    ) -> None:
        self._engine = engine
        self._columns = columns
        self._sigmas = sigmas
        self._gate = gate
        self._systems = [s for s in engine.systems.values() if isinstance(s, Correctable)]
        self._squares: Floats = (10 * sigmas) ** 2
        self._refused: Floats = np.full(len(columns), _PATIENCE - 1.0)
        self._taken = np.full(len(columns), bool(self._systems))

    def update(
        self, measured: Floats, given: npt.NDArray[np.int32], elapsed: float
    ) -> tuple[Floats, Floats, npt.NDArray[np.int32]]:
        """Correct systems.

        Args:
            measured: of each column [unit].
            given: what each is: missing, bad, held or present.
            elapsed: time since the last call [s].

        Returns:
            What was expected, the standard deviation of the innovation, and what became of each.
        """
        expected: Floats = self._engine.read(self._columns.tolist())[0]
        self._squares += (_PROCESS * self._sigmas) ** 2 * elapsed
        own = np.where(self._taken, self._squares, 0.0)
        innovation = own + self._sigmas**2
        sigma: Floats = np.sqrt(innovation)
        fate = given.copy()
        compared = given >= HELD
        far = compared & (np.abs(measured - expected) > self._gate * sigma)
        self._refused = np.where(far, self._refused + elapsed, self._refused)
        self._refused[compared & ~far] = 0.0
        lost = far & self._taken & (self._refused > _PATIENCE)
        fate[far] = OUTLIER
        fate[(given == PRESENT) & ~far] = USED
        fate[lost] = RELOCKED
        self._refused[lost] = 0.0
        self._squares[lost] = (10 * self._sigmas[lost]) ** 2
        used = ((fate == USED) | lost) & self._taken
        gain = np.where(lost, 1.0, own / innovation)
        shown = expected + gain * np.where(used, measured - expected, 0.0)
        wanted = {int(self._columns[i]): float(shown[i]) for i in np.flatnonzero(used)}
        taken: set[int] = set()
        for system in self._systems:
            if wanted:
                taken |= {int(column) for column in system.correct(wanted)}
        for i in np.flatnonzero(used):
            if int(self._columns[i]) in taken:
                self._squares[i] *= 1 - gain[i] if not lost[i] else 0.0
                if lost[i]:
                    self._squares[i] = self._sigmas[i] ** 2
            else:
                self._taken[i] = False
        return expected, sigma, fate

    def save(self) -> Saved:
        """Return a copy of the complete state; first axis the world."""
        own = {"squares": self._squares, "refused": self._refused, "taken": self._taken}
        return {k: np.repeat(v[None], self._engine.worlds, axis=0) for k, v in own.items()}

    def load(self, saved: Saved) -> None:
        """Take what filters of the same plan saved.

        Raises:
            SnapshotError: it does not fit.
        """
        shape = (self._engine.worlds, len(self._columns))
        for name in ("squares", "refused", "taken"):
            values = saved.get(name)
            if values is None or values.shape != shape:
                got = None if values is None else values.shape
                raise SnapshotError(f"observer: {name} has shape {shape}, got {got}")
        self._squares = np.array(saved["squares"][0])
        self._refused = np.array(saved["refused"][0])
        self._taken = np.array(saved["taken"][0])
