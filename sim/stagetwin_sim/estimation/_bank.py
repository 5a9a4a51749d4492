"""The filters of all instances of one kind, in every world of an engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import ModelError, SnapshotError
from stagetwin_sim.engine import Context, Floats, Group, Saved, host_copy
from stagetwin_sim.estimation._filter_kernels import MISSING, filter_kernel

__all__ = ["FilterBank", "first_deviation", "process_noise"]

Fates = npt.NDArray[np.int32]

_SAVED = ("previous", "covariance", "refused")


class FilterBank:
    """One filter an instance of a group.

    Args:
        group: whose states are corrected.
        context: of its engine.
        process: of the states, shape (state_count, count) [unit/sqrt(s)].
        inputs: noise of the inputs, shape (input_count, count) [unit].
        outputs: noise of the measurements, shape (output_count, count) [unit]; NaN for outputs
            that nothing measures.
        first: standard deviation of the first states, shape (state_count, count) [unit].
        gate: beyond how many standard deviations a measurement is an outlier.
        patience: how long a signal may be nothing but outliers before the filter starts anew [s].

    Attributes:
        group: see above.
        expected, deviation: of each output before the newest correction, and the standard deviation
            of the innovation, shape (worlds, output_count, count) [unit].
        fate: of each measurement, the same shape.

    Raises:
        ModelError: a noise is negative, or one of a measured output is not positive.
    """

    def __init__(
        self,
        group: Group,
        context: Context,
        *,
        process: Floats,
        inputs: Floats,
        outputs: Floats,
        first: Floats,
        gate: float = 5.0,
        patience: float = 30.0,
    ) -> None:
        kind, count = group.plan.kind, len(group.plan.places)
        self.group = group
        self._context = context
        self._kind = kind
        self._gate, self._patience = gate, patience
        self._n, self._m, self._fed = len(kind.states), len(kind.outputs), len(kind.inputs)
        measured = np.isfinite(outputs)
        _refuse(group, process < 0, "process", [s.name for s in kind.states])
        _refuse(group, outputs <= 0, "measurement", [p.name for p in kind.outputs])
        sigmas = np.where(measured, outputs, 1.0)
        bounds = np.array([[s.minimum for s in kind.states], [s.maximum for s in kind.states]])
        worlds = context.worlds
        columns: Any = group.plan.inputs
        self._input_columns = self._array(_rows(columns), wp.int32)
        self._input_sigma = self._array(_rows(inputs))
        self._process = self._array(_rows(process))
        self._bounds = self._array(bounds if self._n else np.zeros((2, 1)))
        self._first = self._array(_rows(first))
        self._output_sigma = self._array(_rows(sigmas))
        active: Any = measured.any(axis=0)
        self._active = self._array(active.astype(np.int32), wp.int32)
        squares = np.zeros((max(self._n, 1) ** 2, count))
        for j in range(self._n):
            squares[j * self._n + j] = first[j] ** 2
        shape = (worlds, max(self._m, 1), count)
        self.previous = self._array(host_copy(group.state))
        self.covariance = self._array(np.repeat(squares[None], worlds, axis=0))
        # Where first states are far off, a second of it is enough.
        self.refused = self._array(np.full(shape, max(patience - 1.0, 0.0)))
        self._measured = self._array(np.zeros(shape))
        self._given = self._array(np.full(shape, MISSING, np.int32), wp.int32)
        self._expected = self._array(np.full(shape, np.nan))
        self._deviation = self._array(np.full(shape, np.nan))
        self._fate = self._array(np.full(shape, MISSING, np.int32), wp.int32)
        self._command: Any = None

    @property
    def expected(self) -> Floats:
        """See above."""
        return host_copy(self._expected)

    @property
    def deviation(self) -> Floats:
        """See above."""
        return host_copy(self._deviation)

    @property
    def fate(self) -> Fates:
        """See above."""
        return host_copy(self._fate)

    def update(self, measured: Floats, given: Fates, dt: float, steps: int, elapsed: float) -> None:
        """Take what the engine's steps since the last call did, and what was measured after them.

        Args:
            measured: shape (worlds, output_count, count) [unit].
            given: what each is: missing, bad, held or present; the same shape.
            dt: length of a step [s].
            steps: how many the group has done since the last call.
            elapsed: time since the last call [s].
        """
        group = self.group
        self._measured.assign(np.where(np.isfinite(measured), measured, 0.0))
        self._given.assign(np.where(np.isfinite(measured), given, np.minimum(given, 1)))
        command = self._command
        if command is None:
            command = self._command = self._recorded()
        command.set_param_by_name("dt", wp.float64(dt))
        command.set_param_by_name("steps", steps)
        command.set_param_by_name("elapsed", wp.float64(elapsed))
        command.launch()
        group.observe()

    def _recorded(self) -> Any:
        """Return the launch, packed once: its arguments are many, and few of them change."""
        context, group = self._context, self.group
        return wp.launch(
            filter_kernel(self._kind),
            dim=(context.worlds, len(group.plan.places)),
            inputs=[
                context.bus,
                self._input_columns,
                group.parameters,
                self._input_sigma,
                self._process,
                self._bounds,
                self._first,
                self._measured,
                self._given,
                self._output_sigma,
                self._active,
                self._n,
                self._m,
                self._fed,
                wp.float64(0.0),
                0,
                wp.float64(0.0),
                wp.float64(self._gate),
                wp.float64(self._patience),
            ],
            outputs=[
                group.state,
                self.previous,
                self.covariance,
                self.refused,
                self._expected,
                self._deviation,
                self._fate,
            ],
            device=context.device,
            record_cmd=True,
        )

    def standard_deviations(self) -> Floats:
        """Return those of the states, shape (worlds, state_count, count) [unit]."""
        squares: Floats = host_copy(self.covariance)
        n = self._n
        diagonal: Floats = np.sqrt(np.maximum(squares[:, [j * n + j for j in range(n)]], 0.0))
        return diagonal

    def save(self) -> Saved:
        """Return a copy of the complete state; first axis the world."""
        saved = {name: host_copy(getattr(self, name)) for name in _SAVED}
        # By default both follow from the states that there were when it was made.
        for name, values in (("process", self._process), ("first", self._first)):
            saved[name] = np.repeat(host_copy(values)[None], self._context.worlds, axis=0)
        return saved

    def load(self, saved: Saved) -> None:
        """Take what a bank of the same group saved.

        Raises:
            SnapshotError: it does not fit.
        """
        for name in _SAVED:
            array, values = getattr(self, name), saved.get(name)
            if values is None or values.shape != array.shape:
                got = None if values is None else values.shape
                raise SnapshotError(
                    f"observer of {self.group.name}: {name} has shape {array.shape}, got {got}"
                )
            array.assign(values)
        for name, array in (("process", self._process), ("first", self._first)):
            values = saved.get(name)
            if values is not None and values.shape[1:] == array.shape:
                array.assign(values[0])

    def _array(self, values: npt.NDArray[Any], dtype: Any = wp.float64) -> wp.array[Any]:
        return wp.array(np.ascontiguousarray(values), dtype=dtype, device=self._context.device)


def process_noise(group: Group) -> Floats:
    """Return the process noise of a kind's states, shape (state_count, count) [unit/sqrt(s)].

    It is what the kind declares; without that, a thousandth of the size of the first value.
    """
    kind, count = group.plan.kind, len(group.plan.places)
    first: Floats = host_copy(group.state)[0, : len(kind.states)]
    noise = np.empty((len(kind.states), count))
    for j, state in enumerate(kind.states):
        free = np.isnan(state.noise)
        noise[j] = 1e-3 * np.maximum(np.abs(first[j]), 1.0) if free else state.noise
    return noise


def first_deviation(group: Group, process: Floats) -> Floats:
    """Return how far first states may be off, shape (state_count, count) [unit].

    A tenth of the size of the first value, or what ten seconds of process noise make.
    """
    first: Floats = host_copy(group.state)[0, : len(group.plan.kind.states)]
    deviation: Floats = np.maximum(0.1 * np.abs(first), 10.0**0.5 * process)
    return deviation


def _rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values with at least one row: Warp's arrays cannot be empty."""
    return values if values.shape[0] else np.zeros((1, values.shape[1]), values.dtype)


def _refuse(group: Group, wrong: npt.NDArray[np.bool_], what: str, names: list[str]) -> None:
    if wrong.any():
        row, i = (int(index) for index in np.argwhere(wrong)[0])
        least = "not be negative" if what == "process" else "be positive"
        raise ModelError(f"{group.plan.places[i]}: param:{what}:{names[row]} must {least}")
