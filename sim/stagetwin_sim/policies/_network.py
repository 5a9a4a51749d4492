"""The network of a bundle, run by onnxruntime on one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._spec import PolicySpec

__all__ = ["Network"]

Floats = npt.NDArray[np.float32]


class Network:
    """A policy's numbers in, its numbers out; with its recurrent state.

    Args:
        model: bytes of an ONNX file.
        spec: what it must fit.
        rows: how many are run at a time.

    Raises:
        PolicyError: the model cannot be loaded, or is not what the spec says.
    """

    def __init__(self, model: bytes, spec: PolicySpec, rows: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common root of their own
            raise PolicyError(
                f"policy {spec.name!r}: its model cannot be loaded: {error}"
            ) from None
        self._spec, self._rows = spec, rows
        self._shapes = {
            state.input: tuple(
                rows if i == len(state.shape) - 2 else n for i, n in enumerate(state.shape)
            )
            for state in spec.recurrent
        }
        self._check()
        self._outputs = [spec.model.output, *[state.output for state in spec.recurrent]]
        self.reset()

    def _check(self) -> None:
        spec = self._spec
        inputs = {one.name: one.shape for one in self._session.get_inputs()}
        outputs = {one.name for one in self._session.get_outputs()}
        wanted = {spec.model.input, *self._shapes}
        said = {spec.model.output, *[state.output for state in spec.recurrent]}
        if set(inputs) != wanted or not said <= outputs:
            raise PolicyError(
                f"policy {spec.name!r}: the model must take {sorted(wanted)} and give "
                f"{sorted(said)}, got {sorted(inputs)} and {sorted(outputs)}"
            )
        columns = spec.history * spec.observation_count
        shape = inputs[spec.model.input]
        if len(shape) != 2 or shape[1] != columns:
            raise PolicyError(
                f"policy {spec.name!r}: the model's input must be (batch, {columns}), got {shape}"
            )
        if spec.model.batch not in (0, self._rows):
            raise PolicyError(
                f"policy {spec.name!r}: its model runs {spec.model.batch} at a time, "
                f"got {self._rows}"
            )

    def reset(self, rows: npt.NDArray[np.bool_] | None = None) -> None:
        """Forget the recurrent state, of all rows or of some."""
        if rows is None:
            self._state = {name: np.zeros(s, np.float32) for name, s in self._shapes.items()}
            return
        for state in self._state.values():
            state[..., rows, :] = 0.0

    def run(self, numbers: Floats) -> Floats:
        """Return what the policy says, shape (rows, m), and go on with its state.

        Args:
            numbers: shape (rows, history * n).
        """
        given = {self._spec.model.input: np.ascontiguousarray(numbers, np.float32), **self._state}
        said, *states = self._session.run(self._outputs, given)
        for recurrent, state in zip(self._spec.recurrent, states, strict=True):
            self._state[recurrent.input] = state
        found: Floats = said
        return found
