"""Small kinds with a known truth, and plant models of them without a stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp

from stagetwin.bindings import BindingTable, Limits, ModelBinding, ModelParameter
from stagetwin_sim.engine import (
    Column,
    Context,
    GroupPlan,
    Kind,
    Parameter,
    PlanBuilder,
    Port,
    StateVariable,
)
from stagetwin_sim.plant import Feed, Instance, Output, PlantModel


@wp.func
def lag_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    y = x
    y[0] = x[0] + (p[1] * u[0] - x[0]) * (wp.float64(1.0) - wp.exp(-dt / p[0]))
    return y


@wp.func
def lag_observe(x: Any, u: Any, p: Any):
    return wp.vector(x[0], length=1, dtype=wp.float64)


LAG = Kind(
    name="test-lag",
    doc="first-order lag with a gain",
    source="exact discretisation of x' = (K u - x) / tau",
    inputs=(Port("in", "1"),),
    outputs=(Port("out", "1"),),
    parameters=(Parameter("tau", "s", 1.0, 1e-2, 1e3), Parameter("gain", "1", 1.0, 0.01, 100)),
    states=(StateVariable("value", "1", noise=0.05),),
    advance=lag_advance,
    observe=lag_observe,
)


@wp.func
def thermal_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    # x: winding and frame [K above ambient]; p: capacities [J/K], conductances [W/K]
    y = x
    between = p[2] * (x[0] - x[1])
    y[0] = x[0] + dt * (u[0] - between) / p[0]
    y[1] = x[1] + dt * (between - p[3] * x[1]) / p[1]
    return y


@wp.func
def thermal_observe(x: Any, u: Any, p: Any):
    return wp.vector(x[0] + u[1], x[1] + u[1])


THERMAL = Kind(
    name="test-thermal",
    doc="two-node thermal model",
    source="heat balances of two lumps, forward Euler",
    inputs=(Port("loss", "W"), Port("ambient", "K", 293.15)),
    outputs=(Port("winding", "K"), Port("frame", "K")),
    parameters=(
        Parameter("winding_capacity", "J/K", 1000.0, 1, 1e6),
        Parameter("frame_capacity", "J/K", 5000.0, 1, 1e6),
        Parameter("between", "W/K", 20.0, 0.1, 1e4),
        Parameter("outside", "W/K", 10.0, 0.1, 1e4),
    ),
    states=(StateVariable("winding_rise", "K"), StateVariable("frame_rise", "K")),
    rate=1.0,
    advance=thermal_advance,
    observe=thermal_observe,
)


@wp.func
def power_observe(x: Any, u: Any, p: Any):
    return wp.vector(p[0] * u[0] * u[1], length=1, dtype=wp.float64)


POWER = Kind(
    name="test-power",
    doc="power by flow and pressure, without states",
    source="P = V' dp / eta",
    inputs=(Port("flow", "m3/s"), Port("pressure", "Pa")),
    outputs=(Port("power", "W"),),
    parameters=(Parameter("factor", "1", 1.5),),
    observe=power_observe,
)


def plant_of(
    kind: Kind,
    count: int,
    *,
    parameters: np.ndarray | None = None,
    noise: dict[str, float] | None = None,
    scale: float = 1.0,
    offset: float = 0.0,
    extra: Sequence[Any] = (),
    measured_inputs: bool = False,
) -> PlantModel:
    """Return the plant model of independent instances /P0, /P1, ... with every output measured.

    Signals are called `/P0.<port>`; stage value = bus * scale + offset. `noise` are authored
    `process:` and `measurement:` parameters.
    """
    builder = PlanBuilder(seed=0)
    inputs = np.empty((len(kind.inputs), count), np.int32)
    outputs = np.empty((len(kind.outputs), count), np.int32)
    goes: list[Output] = []
    feeds: dict[str, tuple[Feed, ...]] = {}
    instances: dict[str, Instance] = {}
    for i in range(count):
        for j, port in enumerate(kind.inputs):
            name = f"/P{i}.{port.name}"
            inputs[j, i] = builder.column(
                Column(name, unit=port.unit, value=port.value, role="measured")
            )
            if measured_inputs:
                feeds[name] = (Feed(int(inputs[j, i]), 1.0, 0.0),)
        for j, port in enumerate(kind.outputs):
            name = f"/P{i}.{port.name}"
            outputs[j, i] = builder.column(
                Column(f"{name}:out", unit=port.unit, role="output", predicts=name)
            )
            goes.append(
                Output(
                    int(outputs[j, i]),
                    f"{name}:predicted",
                    "double",
                    scale,
                    offset,
                    f"/P{i}.m",
                    name,
                )
            )
        binding = ModelBinding(
            prim=f"/P{i}",
            name="m",
            asset=f"/P{i}",
            kind=kind.name,
            file="",
            reads=(),
            writes=(),
            step=0.0,
            horizon=0.0,
            fidelity="",
            parameters={
                name: ModelParameter(value=value, unit="", limits=Limits())
                for name, value in (noise or {}).items()
            },
            relations={},
        )
        instances[f"/P{i}.m"] = Instance(binding, kind, kind.name, i)
    default = np.repeat(np.array([[p.value] for p in kind.parameters]), count, axis=1)
    builder.add(
        GroupPlan(
            kind=kind,
            places=[f"/P{i}.m" for i in range(count)],
            inputs=inputs,
            outputs=outputs,
            parameters=default if parameters is None else parameters,
        )
    )
    for each in extra:
        builder.add(each(builder, goes))
    return PlantModel(
        plan=builder.build(),
        table=BindingTable(),
        outputs=tuple(goes),
        measured=feeds,
        instances=instances,
    )


class TankPlan:
    """A tank that is no kind: its level is its state, and an observer may set it."""

    name = "tank"

    def __init__(self, builder: PlanBuilder, goes: list[Output]) -> None:
        self.column = builder.column(Column("/T.level:out", unit="m", value=2.0, role="output"))
        self.inflow = builder.column(Column("/T.inflow", unit="m3/s"))
        goes.append(
            Output(self.column, "/T.level:predicted", "double", 100.0, 0.0, "/T.m", "/T.level")
        )

    def build(self, context: Context) -> Tank:
        """See SystemPlan."""
        return Tank(self, context)


class Tank:
    """See TankPlan; its area is 2 m2."""

    name = "tank"
    rate = 20.0
    captured = False

    def __init__(self, plan: TankPlan, context: Context) -> None:
        self._plan, self._context = plan, context
        self.volume = np.full(context.worlds, 4.0)

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        bus = self._context.bus.numpy()
        self.volume = self.volume + bus[:, self._plan.inflow] * dt * substeps
        bus[:, self._plan.column] = self.volume / 2
        self._context.bus.assign(bus)

    def correct(self, expected: dict[int, float]) -> list[int]:
        """See Correctable."""
        if self._plan.column not in expected:
            return []
        self.volume = np.full_like(self.volume, expected[self._plan.column] * 2)
        return [self._plan.column]

    def save(self) -> dict[str, Any]:
        """See System."""
        return {"volume": self.volume.copy()}

    def load(self, saved: dict[str, Any]) -> None:
        """See System."""
        self.volume = saved["volume"].copy()
