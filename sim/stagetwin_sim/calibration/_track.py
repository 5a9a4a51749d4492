"""Parameters followed while the machine runs, and an alarm when one has drifted.

Sources: L. Ljung, IEEE Trans. Autom. Control 24 (1979) 36-50 (the extended filter as an estimator
of parameters; here with divided differences in place of derivatives); E. Page, Biometrika 41 (1954)
100-115 (the cumulative sum).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stagetwin_sim._errors import CalibrationError, SnapshotError
from stagetwin_sim.calibration._augmented_kernels import augmented
from stagetwin_sim.engine import Column, Floats, Group, GroupPlan, Kind, PlanBuilder, Saved
from stagetwin_sim.estimation import FilterBank
from stagetwin_sim.estimation._bank import process_noise
from stagetwin_sim.estimation._filter_kernels import MISSING, PRESENT

__all__ = ["Drift", "Tracker"]


@dataclass(frozen=True, slots=True)
class Drift:
    """A parameter that is no longer what it was.

    Attributes:
        place: of the instance.
        parameter: its name.
        reference: what it was calibrated to [unit].
        value, sigma: what it is now, and the standard deviation of that [unit].
        since: when it was found [s after the tracker's start].
    """

    place: str
    parameter: str
    reference: float
    value: float
    sigma: float
    since: float


class Tracker:
    """An online fit of all instances of a kind.

    States and parameters are filtered together, parameters as slow random walks of their
    logarithm. A cumulative sum on each parameter's distance from its reference, beyond a tolerance
    and in standard deviations of the estimate, raises the alarm.

    Args:
        kind: whose.
        names: parameters to follow; their references must not be 0.
        parameters: references, shape (parameter_count, count).
        first: states to begin with, shape (state_count, count).
        dt: time between updates [s].
        measurement: noise of the outputs, by name [unit]: a number, or one for each instance, NaN
            where nothing measures it.
        walk: how far parameters may go in a second [1/sqrt(s), as a share]: a number, or shape
            (names, count); so the next two.
        certainty: how far off the references may be, as a share.
        tolerance: changes below that share are none.
        threshold: of the cumulative sum [standard deviations].
        process: noise of the kind's states, shape (state_count, count) [unit/sqrt(s)]; None is the
            kind's.
        inputs: noise of the kind's inputs, shape (input_count, count) [unit]; None is none.
        places: who the instances are.
        substeps: steps between two updates; None is by the kind's rate.
        device: Warp's name of it.

    Raises:
        CalibrationError: a name is unknown, or a reference is 0.
    """

    def __init__(
        self,
        kind: Kind,
        names: Sequence[str],
        parameters: Floats,
        first: Floats,
        dt: float,
        *,
        measurement: Mapping[str, float | Floats],
        walk: float | Floats = 1e-4,
        certainty: float | Floats = 0.05,
        tolerance: float | Floats = 0.05,
        threshold: float = 20.0,
        process: Floats | None = None,
        inputs: Floats | None = None,
        places: Sequence[str] = (),
        substeps: int | None = None,
        device: str = "cpu",
    ) -> None:
        known = [p.name for p in kind.parameters]
        if unknown := sorted(set(names) - set(known)):
            raise CalibrationError(f"a {kind.name} has no parameter {', '.join(unknown)}")
        rows = [known.index(name) for name in names]
        if zero := [n for n, row in zip(names, rows, strict=True) if (parameters[row] == 0).any()]:
            raise CalibrationError(f"{kind.name}: a reference of {', '.join(zero)} is 0")
        count = parameters.shape[1]
        self.places = tuple(places) or tuple(str(i) for i in range(count))
        self.names = tuple(names)
        self._reference = parameters[rows].copy()
        self._rows, self._n = rows, len(kind.states)
        self._dt, self._tolerance, self._threshold = dt, tolerance, threshold
        self._steps = substeps if substeps is not None else max(1, round(dt * kind.rate))
        own = augmented(kind, self.names, tuple(rows))
        builder = PlanBuilder(frame=dt)
        fed = _columns(builder, "in", len(kind.inputs), count)
        outputs = _columns(builder, "out", len(kind.outputs), count)
        states = np.concatenate([first, np.zeros((len(names), count))])
        builder.add(
            GroupPlan(
                kind=own,
                places=self.places,
                inputs=fed,
                outputs=outputs,
                parameters=parameters,
                states=states,
                rate=self._steps / dt,
            )
        )
        self._inputs, self._m = fed, len(kind.outputs)
        self._engine = builder.build().engine(device=device)
        group = self._engine.systems[own.name]
        assert isinstance(group, Group)
        self._group = group
        noise = process_noise(group)
        noise[self._n :] = walk
        if process is not None:
            noise[: self._n] = process
        beginning = np.maximum(0.1 * np.abs(states), 10.0**0.5 * noise)
        beginning[self._n :] = certainty
        sigmas = np.full((self._m, count), np.nan)
        for j, port in enumerate(kind.outputs):
            if port.name in measurement:
                sigmas[j] = measurement[port.name]
        self._known = np.isfinite(sigmas)
        self._bank = FilterBank(
            group,
            self._engine.context,
            process=noise,
            inputs=np.zeros(fed.shape) if inputs is None else inputs,
            outputs=sigmas,
            first=beginning,
        )
        self._up: Floats = np.zeros((len(names), count))
        self._down: Floats = np.zeros((len(names), count))
        self._found: Floats = np.full((len(names), count), math.inf)
        self.time = 0.0

    def update(self, inputs: Floats, outputs: Floats) -> list[Drift]:
        """Take what was fed since the last update, and what was measured at its end.

        Args:
            inputs: shape (input_count, count).
            outputs: shape (output_count, count); NaN where nothing was measured.

        Returns:
            Parameters whose drift was found now.
        """
        self._engine.write(self._inputs.ravel().tolist(), inputs.ravel())
        self._engine.step()
        known = np.isfinite(outputs) & self._known
        given = np.full(known.shape, MISSING, np.int32)
        given[known] = PRESENT
        step = self._dt / self._steps
        self._bank.update(outputs[None], given[None], step, self._steps, self._dt)
        self.time += self._dt
        logs, sigmas = self._logs()
        # A distance counts by what exceeds the tolerance, in standard deviations, a second each.
        sure = np.maximum(sigmas, 1e-6)
        edge = np.log1p(self._tolerance)
        share = min(self._dt, 1.0)
        up = self._up + share * np.clip((logs - edge) / sure, -10, 10)
        down = self._down + share * np.clip((-logs - edge) / sure, -10, 10)
        # What is certain long since must not take as long again to be over.
        self._up, self._down = (np.clip(s, 0.0, 2 * self._threshold) for s in (up, down))
        gone = self.drifted & np.isinf(self._found)
        self._found[gone] = self.time
        return [self._drift(k, i) for k, i in np.argwhere(gone).tolist()]

    @property
    def values(self) -> Floats:
        """Parameters now, shape (parameter_count, count) [unit]."""
        values: Floats = self._reference * np.exp(self._logs()[0])
        return values

    @property
    def sigmas(self) -> Floats:
        """Standard deviations of them, the same shape [unit]."""
        sigmas: Floats = self.values * self._logs()[1]
        return sigmas

    @property
    def shares(self) -> Floats:
        """How far parameters are from their references, as shares; the same shape."""
        shares: Floats = np.expm1(self._logs()[0])
        return shares

    @property
    def certainties(self) -> Floats:
        """Standard deviations of their logarithms; the same shape."""
        return self._logs()[1]

    @property
    def drifted(self) -> npt.NDArray[np.bool_]:
        """Whether the cumulative sums say now that they have drifted; the same shape."""
        drifted: npt.NDArray[np.bool_] = np.maximum(self._up, self._down) > self._threshold
        return drifted

    def drifts(self) -> list[Drift]:
        """Return all that have ever drifted."""
        return [self._drift(k, i) for k, i in np.argwhere(np.isfinite(self._found)).tolist()]

    def save(self) -> Saved:
        """Return a copy of the complete state."""
        saved = {f"bank/{name}": values for name, values in self._bank.save().items()}
        saved["state"] = self._group.save()["state"]
        own = {"up": self._up, "down": self._down, "found": self._found}
        saved.update({name: values[None].copy() for name, values in own.items()})
        saved["time"] = np.array([self.time])
        return saved

    def load(self, saved: Saved) -> None:
        """Take what a tracker of the same instances saved.

        Raises:
            SnapshotError: it does not fit.
        """
        if "up" not in saved or saved["up"][0].shape != self._up.shape:
            raise SnapshotError("this is no saved tracker of these instances")
        bank = {k.removeprefix("bank/"): v for k, v in saved.items() if k.startswith("bank/")}
        self._bank.load(bank)
        parameters = self._group.save()["parameters"]
        self._group.load({"state": saved["state"], "parameters": parameters})
        self._up, self._down = saved["up"][0].copy(), saved["down"][0].copy()
        self._found = saved["found"][0].copy()
        self.time = float(saved["time"][0])

    def _logs(self) -> tuple[Floats, Floats]:
        state: Floats = self._group.save()["state"][0, self._n :]
        return state, self._bank.standard_deviations()[0, self._n :]

    def _drift(self, k: int, i: int) -> Drift:
        return Drift(
            place=self.places[i],
            parameter=self.names[k],
            reference=float(self._reference[k, i]),
            value=float(self.values[k, i]),
            sigma=float(self.sigmas[k, i]),
            since=float(self._found[k, i]),
        )


def _columns(
    builder: PlanBuilder, what: str, ports: int, count: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    indices = np.empty((ports, count), np.int32)
    for j, i in np.ndindex(ports, count):
        indices[j, i] = builder.column(Column(f"{i}.{what}:{j}"))
    return indices
