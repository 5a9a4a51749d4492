"""Wind parks: turbines in each other's wakes, by where they stand on the stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import SnapshotError
from stagetwin_sim.engine import (
    Column,
    Context,
    Floats,
    Parameter,
    Port,
    Saved,
    fingerprint,
    host_copy,
)
from stagetwin_sim.process._park_kernels import park_kernel, total_kernel
from stagetwin_sim.process._wind import WIND_TURBINE, rotor_radius

if TYPE_CHECKING:
    from pxr import Usd

    from stagetwin.bindings import ModelBinding
    from stagetwin_sim.engine import PlanBuilder
    from stagetwin_sim.plant import PortScope

__all__ = ["ParkPlan", "WindPark"]

_Indices = npt.NDArray[np.int32]


class WindPark:
    """The family `wind-park`: gives the turbines it names the wind that wakes leave them.

    A turbine's rotor slows the wind in a wake that widens behind it: N. O. Jensen, A note on wind
    generator interaction, Risoe-M-2411, 1983. Where wakes meet, the squares of their deficits add:
    Katic, Hoejstrup, Jensen, A simple model for cluster efficiency, EWEC 1986. A rotor that is
    partly within a wake has that share of its deficit.
    """

    # A phase before its turbines', which begin in the wind that it gives them.
    phase = "hydraulic"

    inputs = (
        Port("wind_speed", "m/s", 0.0, "before the park, at hub height"),
        Port("wind_direction", "rad", 0.0, "from, clockwise from north"),
    )
    outputs = (
        Port("power", "W", 0.0, "of all its turbines"),
        Port("wake_loss", "1", 0.0, "share of the wind's power at the rotors that wakes took"),
    )
    parameters = (
        Parameter("wake_decay", "1", 0.075, 0.005, 0.5, "growth of a wake's radius: 0.05 at sea"),
        Parameter("north", "rad", 0.0, -7.0, 7.0, "compass heading of the stage's +Y (-Z if Y up)"),
    )

    def plan(
        self, bindings: Sequence[ModelBinding], builder: PlanBuilder, scope: PortScope
    ) -> None:
        """See Family."""
        models = {m.prim: m for m in scope.table.models if m.kind == WIND_TURBINE.name}
        columns: list[tuple[int, int, int, int]] = []
        radii: list[float] = []
        places: list[tuple[float, float]] = []
        park: list[int] = []
        ambient = np.zeros((2, len(bindings)), np.int32)
        totals = np.zeros((2, len(bindings)), np.int32)
        spread = np.zeros(len(bindings))
        for mine, binding in enumerate(bindings):
            ambient[:, mine] = [scope.input(binding, port) for port in self.inputs]
            totals[:, mine] = [scope.output(binding, port) for port in self.outputs]
            spread[mine], north = scope.parameters(binding, self.parameters)
            scope.placed(binding, None, _NAME, mine)
            turbines = scope.related(binding, "turbines")
            if not turbines:
                scope.report(binding, "turbines", "names no turbines: rel turbines")
            for prim in turbines:
                if prim not in models:
                    scope.report(binding, "turbines", f"{prim} has no model of kind wind-turbine")
                    continue
                turbine = models[prim]
                columns.append(_columns(builder, turbine))
                radii.append(_radius(turbine, scope))
                places.append(_place(scope.stage, prim, north))
                park.append(mine)
        if places:
            builder.add(
                ParkPlan(
                    columns=np.array(columns, np.int32).T.copy(),
                    radii=np.array(radii),
                    positions=np.array(places).T.copy(),
                    park=np.array(park, np.int32),
                    ambient=ambient,
                    totals=totals,
                    spread=spread,
                )
            )


_NAME = "wind-park"


def _columns(builder: PlanBuilder, turbine: ModelBinding) -> tuple[int, int, int, int]:
    """Return columns of a turbine: wind and direction (given), thrust and power (taken)."""
    ports = {port.name: port for port in (*WIND_TURBINE.inputs, *WIND_TURBINE.outputs)}
    prefix = f"{turbine.prim}.twin:model:{turbine.name}"
    wind, direction, thrust, power = (
        builder.column(Column(f"{prefix}:{way}:{name}", ports[name].unit, role="output"))
        for way, name in (
            ("in", "wind_speed"),
            ("in", "wind_direction"),
            ("out", "thrust_coefficient"),
            ("out", "power"),
        )
    )
    return wind, direction, thrust, power


def _radius(turbine: ModelBinding, scope: PortScope) -> float:
    values = scope.parameters(turbine, WIND_TURBINE.parameters)
    named = {p.name: np.array(v) for p, v in zip(WIND_TURBINE.parameters, values, strict=True)}
    return float(rotor_radius(named))


def _place(stage: Usd.Stage, path: str, north: float) -> tuple[float, float]:
    """Return where a prim stands, east and north of the stage's origin [m]."""
    from pxr import Usd, UsdGeom

    prim = stage.GetPrimAtPath(path)
    matrix = UsdGeom.XformCache(Usd.TimeCode.Default()).GetLocalToWorldTransform(prim)
    point = matrix.ExtractTranslation() * UsdGeom.GetStageMetersPerUnit(stage)
    x, y, z = point[0], point[1], point[2]
    if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y:
        y = -z
    east = x * math.cos(north) + y * math.sin(north)
    return east, y * math.cos(north) - x * math.sin(north)


@dataclass(frozen=True, kw_only=True)
class ParkPlan:
    """What the wakes of all parks of a plant are made from.

    Attributes:
        columns: of wind, direction, thrust coefficient, power, shape (4, turbine_count).
        radii: of the rotors [m], shape (turbine_count,).
        positions: east and north [m], shape (2, turbine_count).
        park: which park a turbine is of, shape (turbine_count,).
        ambient: columns of wind and direction before each park, shape (2, park_count).
        totals: columns of its power and wake loss, shape (2, park_count).
        spread: growth of a wake's radius by distance, shape (park_count,).
        rate: steps a second [Hz].
    """

    columns: _Indices
    radii: Floats
    positions: Floats
    park: _Indices
    ambient: _Indices
    totals: _Indices
    spread: Floats
    rate: float = 20.0
    name: str = _NAME
    revision: str = field(default="", init=False)

    def __post_init__(self) -> None:
        layout = [repr(v.tolist()) for v in (self.radii, self.positions, self.spread)]
        object.__setattr__(self, "revision", fingerprint(layout))

    def build(self, context: Context) -> Wakes:
        """See SystemPlan."""
        return Wakes(self, context)


class Wakes:
    """The wakes of all parks in every world of an engine.

    Attributes:
        position: east and north of each turbine [m], shape (worlds, 2, turbine_count); may be
            assigned to, so that worlds try other layouts.
    """

    captured = True

    def __init__(self, plan: ParkPlan, context: Context) -> None:
        self.name = plan.name
        self.rate = plan.rate
        self._context = context
        device = context.device
        repeated = np.repeat(plan.positions[None], context.worlds, axis=0)
        self.position: wp.array[Any] = wp.array(
            np.ascontiguousarray(repeated), dtype=wp.float64, device=device
        )
        self._columns: wp.array[Any] = wp.array(plan.columns, dtype=wp.int32, device=device)
        self._radii: wp.array[Any] = wp.array(plan.radii, dtype=wp.float64, device=device)
        self._park: wp.array[Any] = wp.array(plan.park, dtype=wp.int32, device=device)
        self._ambient: wp.array[Any] = wp.array(plan.ambient, dtype=wp.int32, device=device)
        self._totals: wp.array[Any] = wp.array(plan.totals, dtype=wp.int32, device=device)
        self._spread: wp.array[Any] = wp.array(plan.spread, dtype=wp.float64, device=device)
        self.launch(0.0, 0)

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        context = self._context
        wp.launch(
            park_kernel,
            dim=(context.worlds, self._park.shape[0]),
            inputs=[
                self._columns,
                self._radii,
                self.position,
                self._park,
                self._ambient,
                self._spread,
            ],
            outputs=[context.bus],
            device=context.device,
        )
        wp.launch(
            total_kernel,
            dim=(context.worlds, self._ambient.shape[1]),
            inputs=[self._columns, self._park, self._ambient, self._totals],
            outputs=[context.bus],
            device=context.device,
        )

    def save(self) -> Saved:
        """See System."""
        return {"position": host_copy(self.position)}

    def load(self, saved: Saved) -> None:
        """See System."""
        position = saved.get("position")
        if position is None or position.shape != self.position.shape:
            got = None if position is None else position.shape
            raise SnapshotError(f"{self.name}: position has shape {self.position.shape}, got {got}")
        self.position.assign(position)
