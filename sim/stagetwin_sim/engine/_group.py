"""All instances of one kind on a stage, stepped as one batch."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import SnapshotError
from stagetwin_sim.engine._arrays import host_copy
from stagetwin_sim.engine._group_kernels import advance_kernel, observe_kernel
from stagetwin_sim.engine._kind import Floats, Kind
from stagetwin_sim.engine._lane_kernels import LANES, LEAST_STEPS, lane_kernel
from stagetwin_sim.engine._system import Context, Saved

__all__ = ["Group", "GroupPlan"]

Indices = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """The instances of one kind: who they are, what they read and write, how they begin.

    Attributes:
        kind: of all of them.
        places: prim path and model name of each, as `PRIM.NAME`.
        inputs: columns, shape (input_count, count).
        outputs: columns, shape (output_count, count).
        parameters: shape (parameter_count, count) [each its unit].
        states: what they begin with, shape (state_count, count); None lets the kind say.
        rate: steps a second [Hz]; None is the kind's own.
        name: unique in the plan; empty is the kind's.
    """

    kind: Kind
    places: Sequence[str]
    inputs: Indices
    outputs: Indices
    parameters: Floats
    states: Floats | None = None
    rate: float | None = None
    name: str = field(default="")

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.kind.name)

    def build(self, context: Context) -> Group:
        """See SystemPlan."""
        return Group(self, context)


class Group:
    """The instances of one kind in every world of an engine.

    Attributes:
        plan: what it was made from.
        state: shape (worlds, state_count or 1, count), float64.
        parameters: shape (worlds, parameter_count or 1, count), float64; may be assigned to.
    """

    captured = True

    def __init__(self, plan: GroupPlan, context: Context) -> None:
        kind = plan.kind
        self.plan = plan
        self.name = plan.name
        self.rate = plan.rate if plan.rate is not None else kind.rate
        self._context = context
        self._size = (context.worlds, len(plan.places))
        device = context.device
        self._inputs: wp.array[Any] = wp.array(
            _filled(plan.inputs, np.int32), dtype=wp.int32, device=device
        )
        self._outputs: wp.array[Any] = wp.array(
            _filled(plan.outputs, np.int32), dtype=wp.int32, device=device
        )
        parameters = _worlds(_filled(plan.parameters, np.float64), context.worlds)
        self.parameters: wp.array[Any] = wp.array(parameters, dtype=wp.float64, device=device)
        states = plan.states
        if states is None:
            bus: Floats = host_copy(context.bus)[0]
            states = kind.first_states(plan.parameters, bus[plan.inputs])
        filled = _worlds(_filled(states, np.float64), context.worlds)
        self.state: wp.array[Any] = wp.array(filled, dtype=wp.float64, device=device)
        self._stream = zlib.crc32(plan.name.encode()) & 0x7FFFFFFF

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        kind, context = self.plan.kind, self._context
        if not self._size[1]:
            return
        lanes = self._lanes(substeps)
        if lanes is not None:
            total = self._size[0] * self._size[1]
            wp.launch(
                lanes,
                dim=-(-total // LANES),
                inputs=[
                    context.bus,
                    self._inputs,
                    self.parameters,
                    self._size[1],
                    total,
                    wp.float64(dt),
                    substeps,
                ],
                outputs=[self.state],
                device=context.device,
            )
        elif kind.states:
            wp.launch(
                advance_kernel(kind),
                dim=self._size,
                inputs=[
                    context.bus,
                    self._inputs,
                    self.parameters,
                    context.seeds,
                    context.ticks,
                    self._stream,
                    wp.float64(dt),
                    substeps,
                ],
                outputs=[self.state],
                device=context.device,
            )
        self.observe()

    def _lanes(self, substeps: int) -> Any:
        """Return the kernel that takes several instances at once, where it pays."""
        if substeps < LEAST_STEPS or not wp.get_device(self._context.device).is_cpu:
            return None
        return lane_kernel(self.plan.kind)

    def observe(self) -> None:
        """Put the outputs of the present state on the bus."""
        kind, context = self.plan.kind, self._context
        if kind.outputs and self._size[1]:
            wp.launch(
                observe_kernel(kind),
                dim=self._size,
                inputs=[self.state, self.parameters, self._inputs, self._outputs],
                outputs=[context.bus],
                device=context.device,
            )

    def save(self) -> Saved:
        """See System."""
        return {"state": host_copy(self.state), "parameters": host_copy(self.parameters)}

    def load(self, saved: Saved) -> None:
        """See System."""
        for name, array in (("state", self.state), ("parameters", self.parameters)):
            values = saved.get(name)
            if values is None or values.shape != array.shape:
                got = None if values is None else values.shape
                raise SnapshotError(f"{self.name}: {name} has shape {array.shape}, got {got}")
            array.assign(values)


def _filled(values: npt.NDArray[Any], dtype: type) -> npt.NDArray[Any]:
    """Return values with at least one row: Warp's arrays and vectors cannot be empty."""
    if values.shape[0]:
        return np.ascontiguousarray(values, dtype)
    return np.zeros((1, *values.shape[1:]), dtype)


def _worlds(values: Floats, worlds: int) -> Floats:
    """Return values repeated for each world, along a new first axis."""
    return np.ascontiguousarray(np.broadcast_to(values, (worlds, *values.shape)))
