"""Plans for `benchmarks.process`: machines that peers can follow, and a mixed plant of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from stagetwin_sim.engine import Column, GroupPlan, Kind, Plan, PlanBuilder
from stagetwin_sim.hydraulics import ELEMENTS, ElementPlan, hydraulic_plan
from stagetwin_sim.process import (
    BATTERY,
    BEARING,
    CONVEYOR,
    DRIVE,
    INDUCTION_MOTOR,
    MOTOR_THERMAL,
    PID,
    PUMP_MONITOR,
    WIND_TURBINE,
)

__all__ = ["LINE", "Bench", "mixed_plant"]

Floats = npt.NDArray[np.float64]
LINE = 25
"""Models in one line of the mixed plant."""


class Bench:
    """Gathers groups whose ports are columns called `KIND[i].PORT`."""

    def __init__(self) -> None:
        self.builder = PlanBuilder()

    def column(self, name: str, unit: str = "1", value: float = 0.0) -> int:
        """Return a column; the first of a name says what it is."""
        return self.builder.column(Column(name, unit, value))

    def group(
        self,
        kind: Kind,
        count: int,
        parameters: Mapping[str, Floats | float] | None = None,
        inputs: Mapping[str, Sequence[str] | Floats | float] | None = None,
    ) -> None:
        """Add instances of a kind.

        Args:
            kind: of all of them.
            count: how many.
            parameters: other than their defaults.
            inputs: names of columns, or what is constant.
        """
        given, fed = parameters or {}, inputs or {}
        values = [np.broadcast_to(given.get(p.name, p.value), count) for p in kind.parameters]
        columns = np.empty((len(kind.inputs), count), np.int32)
        for j, port in enumerate(kind.inputs):
            source = fed.get(port.name, port.value)
            if isinstance(source, (int, float, np.ndarray)):
                constants = np.broadcast_to(source, count).tolist()
                columns[j] = [
                    self.column(f"{kind.name}[{i}].in:{port.name}", port.unit, value)
                    for i, value in enumerate(constants)
                ]
            else:
                columns[j] = [self.column(name, port.unit, port.value) for name in source]
        outputs = np.array(
            [
                [self.column(name, port.unit) for name in self.names(kind.name, port.name, count)]
                for port in kind.outputs
            ],
            np.int32,
        )
        self.builder.add(
            GroupPlan(
                kind=kind,
                places=[f"{kind.name}[{i}]" for i in range(count)],
                inputs=columns,
                outputs=outputs,
                parameters=np.array(values, np.float64),
            )
        )

    def names(self, kind: str, port: str, count: int) -> list[str]:
        """Return the columns of an output of the first instances."""
        return [f"{kind}[{i}].{port}" for i in range(count)]


def mixed_plant(lines: int) -> Plan:
    """Return a plant of many lines, 25 models each.

    A line is two pumps in parallel between a basin and a tank, each with drive, motor, heat, and
    monitor; suction pipes, discharge pipe and valve, the tank's outflow by valve and pipe to a
    basin; a level controller, a bearing, a conveyor, a battery, a wind turbine.
    """
    bench = Bench()
    pairs = 2 * lines
    pumps = [f"pump[{i}]" for i in range(pairs)]
    bench.group(
        PID,
        lines,
        {"gain": 200.0, "integral_time": 60.0, "maximum": 303.0},
        {"setpoint": 2.5, "measured": [f"tank[{i}].level" for i in range(lines)]},
    )
    bench.group(
        DRIVE,
        pairs,
        {"pole_pairs": 1.0},
        {
            "setpoint": [f"pid[{i // 2}].output" for i in range(pairs)],
            "speed": bench.names("induction-motor", "speed", pairs),
            "current": bench.names("induction-motor", "current", pairs),
            "power": bench.names("induction-motor", "power", pairs),
        },
    )
    bench.group(
        INDUCTION_MOTOR,
        pairs,
        {"pole_pairs": 1.0},
        {
            "voltage": bench.names("drive", "voltage", pairs),
            "frequency": bench.names("drive", "frequency", pairs),
            "load_torque": [f"{pump}.load_torque" for pump in pumps],
            "load_inertia": [f"{pump}.load_inertia" for pump in pumps],
            "winding_temperature": bench.names("motor-thermal", "winding_temperature", pairs),
        },
    )
    _networks(bench, lines)
    bench.group(CONVEYOR, lines, {}, {"drum_speed": 0.5, "infeed": 0.4})
    bench.group(WIND_TURBINE, lines, {}, {"wind_speed": np.linspace(4.0, 18.0, lines)})
    bench.group(BATTERY, lines, {}, {"current": np.linspace(-40.0, 20.0, lines)})
    bench.group(
        MOTOR_THERMAL,
        pairs,
        {"rated_speed": 303.0},
        {
            "winding_heat": bench.names("induction-motor", "winding_heat", pairs),
            "frame_heat": bench.names("induction-motor", "frame_heat", pairs),
            "speed": bench.names("induction-motor", "speed", pairs),
        },
    )
    bench.group(
        BEARING, lines, {}, {"speed": [f"induction-motor[{2 * i}].speed" for i in range(lines)]}
    )
    bench.group(
        PUMP_MONITOR,
        pairs,
        {},
        {
            "flow": [f"{pump}.flow" for pump in pumps],
            "suction_pressure": [f"{pump}.suction_pressure" for pump in pumps],
            "discharge_pressure": [f"{pump}.discharge_pressure" for pump in pumps],
            "power": bench.names("induction-motor", "power", pairs),
            "speed": bench.names("induction-motor", "speed", pairs),
        },
    )
    return bench.builder.build()


def _networks(bench: Bench, lines: int) -> None:
    elements: list[ElementPlan] = []

    def add(
        kind: str, index: int, at: int, to: int, inputs: Mapping[str, str | float], **given: float
    ) -> None:
        element = ELEMENTS[kind]
        ins = []
        for port in element.inputs:
            source = inputs.get(port.name, port.value)
            if isinstance(source, str):
                ins.append(bench.column(source, port.unit, port.value))
            else:
                ins.append(bench.column(f"{kind}[{index}].in:{port.name}", port.unit, source))
        outs = [bench.column(f"{kind}[{index}].{q.name}", q.unit) for q in element.outputs]
        values = [given.get(q.name, q.value) for q in element.parameters]
        elements.append(
            ElementPlan(
                place=f"/L{kind}{index}.{kind}",
                element=element,
                node=at,
                other=to,
                parameters=values,
                inputs=ins,
                outputs=outs,
            )
        )

    for i in range(lines):
        basin, header, before, tank, after, drain = range(6 * i, 6 * i + 6)
        add("reservoir", 2 * i, basin, basin, {})
        for k in (2 * i, 2 * i + 1):
            add("pump", k, basin, header, {"speed": f"induction-motor[{k}].speed"})
        add("pipe", 2 * i, header, before, {}, length=40.0)
        add("valve", 2 * i, before, tank, {"opening": 0.8})
        add("tank", i, tank, tank, {}, elevation=5.0)
        add("valve", 2 * i + 1, tank, after, {"opening": 0.6})
        add("pipe", 2 * i + 1, after, drain, {}, length=20.0)
        add("reservoir", 2 * i + 1, drain, drain, {})
    bench.builder.add(hydraulic_plan(elements, bench.builder))
