"""One fit as arrays on a device, and the two ways down: Adam on a tape, and least squares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim.calibration._free import Coordinates
from stagetwin_sim.calibration._rollout_kernels import adam_kernel, rollout_kernel, tick_kernel
from stagetwin_sim.calibration._solve_kernels import BLOCK, solve_kernel
from stagetwin_sim.calibration._telemetry import Telemetry
from stagetwin_sim.engine import Floats, Kind, host_copy

__all__ = ["FitProblem"]


class FitProblem:
    """Histories of all instances and starts of a fit.

    Args:
        kind: whose.
        telemetry: what is fitted to.
        coordinates: what is free.
        parameters: all of them, shape (parameter_count, count).
        first: first states, shape (state_count, count).
        prior: means and inverse deviations, shape (2, free, count); 0 for none.
        robust: beyond how many standard deviations errors count less; 0 for never.
        substeps: steps of the kind between two rows.
        device: Warp's name of it.
    """

    def __init__(
        self,
        kind: Kind,
        telemetry: Telemetry,
        coordinates: Coordinates,
        parameters: Floats,
        first: Floats,
        prior: Floats,
        robust: float,
        substeps: int,
        device: str,
    ) -> None:
        self._kind, self._telemetry, self._coordinates = kind, telemetry, coordinates
        self._robust, self._substeps, self._device = robust, substeps, device
        self._dt = telemetry.dt / substeps
        measured = telemetry.outputs
        self._known = np.isfinite(measured)
        ints, rows = wp.int32, telemetry.rows
        self._form = self._array(coordinates.form, ints)
        self._bounds = (self._array(coordinates.low), self._array(coordinates.high))
        self._size = self._array(coordinates.size)
        self._fixed = self._array(_filled(parameters, 0))
        self._place = self._array(coordinates.place, ints)
        self._first = self._array(_filled(first, 0))
        self._first_place = self._array(coordinates.first_place, ints)
        self._prior = self._array(prior)
        self._fed = self._array(_filled(telemetry.inputs, 1))
        self._measured = self._array(_filled(np.where(self._known, measured, 0.0), 1))
        self._weight = self._array(_filled(np.zeros_like(measured), 1))
        self._rows, self._count = rows, telemetry.count

    def weigh(self, sigma: Floats) -> None:
        """Take the noise of the outputs, shape (output_count, count) [unit]."""
        self._weight.assign(_filled(np.where(self._known, 1 / sigma, 0.0), 1))

    def gradient(self, z: Floats) -> tuple[Floats, Floats]:
        """Return the loss, shape (starts, count), and its gradient by the tape, shaped as `z`."""
        run = self._tape(z)
        with wp.Tape() as tape:
            self._roll(run)
        tape.backward(grads={run["loss"]: wp.full_like(run["loss"], 1.0)})
        gradient: Any = run["z"].grad
        return host_copy(run["loss"]), host_copy(gradient)

    def descend(self, z: Floats, iterations: int, rate: float) -> tuple[Floats, Floats]:
        """Return the best points that Adam comes by from each start, and their losses.

        One iteration (histories, their adjoint, the step) is captured once and replayed.
        """
        run = self._tape(z)
        starts = z.shape[0]
        mean, square = wp.zeros_like(run["z"]), wp.zeros_like(run["z"])
        best = wp.clone(run["z"], requires_grad=False)
        lowest = self._array(np.full((starts, self._count), math.inf))
        count = self._array(np.zeros(1, np.int32), wp.int32)
        ones = wp.full_like(run["loss"], 1.0)

        def iterate() -> None:
            run["loss"].zero_()
            for name in ("z", "history"):
                gradient: Any = run[name].grad
                gradient.zero_()
            with wp.Tape() as tape:
                self._roll(run)
            tape.backward(grads={run["loss"]: ones})
            wp.launch(
                adam_kernel,
                dim=(starts, self._count),
                inputs=[run["z"].grad, run["loss"], count, wp.float64(rate), z.shape[1]],
                outputs=[run["z"], mean, square, best, lowest],
                device=self._device,
            )
            wp.launch(tick_kernel, dim=1, outputs=[count], device=self._device)

        iterate()  # the first launch loads kernels, which no capture may hold
        with wp.ScopedCapture(device=self._device) as capture:
            iterate()
        graph: Any = capture.graph
        for _ in range(iterations - 1):
            wp.capture_launch(graph)
        return host_copy(best), host_copy(lowest)

    def solve(
        self,
        z: Floats,
        iterations: int,
        tolerance: float,
        damping: float = 1e-3,
        settled: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[Floats, Floats, Floats, int]:
        """Return where least squares end from each start.

        Args:
            z: shape (starts, free, count).
            iterations: at most so many.
            tolerance: of the relative change of cost and coordinates.
            damping: to begin with; small near an end.
            settled: instances that stay where they are, shape (count,).

        Returns:
            Points, shape as given; costs, shape (starts, count); sums of the squares of weighed
            errors, shape (starts, output_count, count); iterations done.
        """
        run = self._solver(z, damping)
        if settled is not None:
            run["done"].assign(np.broadcast_to(settled, run["done"].shape).astype(np.int32))
        done = 0
        while done < iterations:
            self._solve(run, tolerance, final=0)
            done += 1
            if host_copy(run["done"]).all():
                break
        squares = host_copy(run["kept"])[:, : len(self._kind.outputs)]
        return host_copy(run["z"]), host_copy(run["cost"]), squares, done

    def look(self, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return outputs, scores and normal equations at points, shape (free, count).

        Returns:
            Outputs, shape (rows, output_count, count); gradient of each row's loss, shape (rows,
            free, count); normal equations, shape (free, free, count).
        """
        run = self._solver(z[None])
        self._solve(run, 0.0, final=1)
        shown = host_copy(run["shown"])[:, : len(self._kind.outputs)]
        return shown, host_copy(run["score"]), host_copy(run["normal"])[0]

    # -- launches

    def _array(self, values: npt.NDArray[Any], dtype: Any = wp.float64) -> wp.array[Any]:
        return wp.array(np.ascontiguousarray(values), dtype=dtype, device=self._device)

    def _tape(self, z: Floats) -> dict[str, wp.array[Any]]:
        starts = z.shape[0]
        states = max(len(self._kind.states), 1)
        steps = (self._rows - 1) * self._substeps + 1
        shape = (steps, starts, states, self._count)
        device, kind = self._device, wp.float64
        return {
            "z": wp.array(np.ascontiguousarray(z), dtype=kind, device=device, requires_grad=True),
            "history": wp.zeros(shape, dtype=kind, device=device, requires_grad=True),
            "loss": wp.zeros((starts, self._count), dtype=kind, device=device, requires_grad=True),
        }

    def _common(self) -> list[Any]:
        return [
            self._form,
            *self._bounds,
            self._size,
            self._fixed,
            self._place,
            self._first,
            self._first_place,
            self._prior,
            self._fed,
            self._measured,
            self._weight,
            wp.float64(self._robust),
            wp.float64(self._dt),
            self._substeps,
            self._rows,
        ]

    def _roll(self, run: dict[str, wp.array[Any]]) -> None:
        z = run["z"]
        kernel = rollout_kernel(self._kind)
        _load_for_gradients(kernel, self._device)
        wp.launch(
            kernel,
            dim=(z.shape[0], self._count),
            inputs=[z, *self._common(), self._coordinates.count],
            outputs=[run["history"], run["loss"]],
            device=self._device,
        )

    def _solver(self, z: Floats, damping: float = 0.0) -> dict[str, wp.array[Any]]:
        starts, free, count = z.shape
        flat = (starts, count)
        outputs = max(len(self._kind.outputs), 1)
        return {
            "z": self._array(z),
            "trial": self._array(z),
            "normal": self._array(np.zeros((starts, free, free, count))),
            "slope": self._array(np.zeros((starts, free, count))),
            "cost": self._array(np.full(flat, math.inf)),
            "damping": self._array(np.full(flat, damping)),
            "done": self._array(np.zeros(flat, np.int32), wp.int32),
            "seen": self._array(np.zeros((starts, count, BLOCK * outputs * (2 * free + 1)))),
            "squares": self._array(np.zeros((starts, outputs, count))),
            "kept": self._array(np.zeros((starts, outputs, count))),
        }

    def _solve(self, run: dict[str, wp.array[Any]], tolerance: float, final: int) -> None:
        kind, free, count = self._kind, self._coordinates.count, self._count
        rows = self._rows if final else 1
        if final:
            run["shown"] = self._array(np.zeros((rows, max(len(kind.outputs), 1), count)))
            run["score"] = self._array(np.zeros((rows, free, count)))
        elif "shown" not in run:
            run["shown"] = run["score"] = self._array(np.zeros((1, 1, 1)))
        wp.launch(
            solve_kernel(kind, free),
            dim=(run["z"].shape[0], count),
            inputs=[
                *self._common(),
                len(kind.states),
                len(kind.inputs),
                len(kind.parameters),
                len(kind.outputs),
                wp.float64(tolerance),
                final,
            ],
            outputs=[
                run["z"],
                run["trial"],
                run["normal"],
                run["slope"],
                run["cost"],
                run["damping"],
                run["done"],
                run["seen"],
                run["squares"],
                run["kept"],
                run["shown"],
                run["score"],
            ],
            device=self._device,
        )


def _filled(values: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    """Return values with at least one entry along an axis: Warp's arrays cannot be empty."""
    if values.shape[axis]:
        return values
    shape = list(values.shape)
    shape[axis] = 1
    return np.zeros(shape)


def _load_for_gradients(kernel: Any, device: str) -> None:
    """Compile a kernel so that what is written into a vector twice has the right adjoint.

    Kinds write `y = x; y[0] = ...`, which Warp differentiates wrongly unless it copies the vector
    at each write. The switch for that is global and read when a module is built.
    """
    before = wp.config.enable_vector_component_overwrites
    wp.config.enable_vector_component_overwrites = True
    try:
        wp.load_module(kernel.module, device=device)
    finally:
        wp.config.enable_vector_component_overwrites = before
