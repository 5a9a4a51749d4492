"""What a pump's measurements say of its efficiency, in Warp."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

from stagetwin_sim.hydraulics._curves_kernels import pump_efficiency

__all__ = ["pump_monitor_observe"]

ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))
GRAVITY = wp.constant(wp.float64(9.80665))


@wp.func
def pump_monitor_observe(x: Any, u: Any, p: Any):
    # u: flow, suction_pressure, discharge_pressure, power, speed
    rise = u[2] - u[1]
    hydraulic = u[0] * rise
    nominal = pump_efficiency(u[0], u[4], p[0], p[1], p[2]) * p[3]
    efficiency = ZERO
    ratio = ONE
    judged = ZERO
    flowing = u[0] >= p[5] * p[0] and u[3] >= p[4] and u[4] > ZERO
    if u[3] >= p[4]:
        efficiency = hydraulic / u[3]
    if flowing and nominal > wp.float64(0.05):
        judged = ONE
        ratio = efficiency / nominal
    return wp.vector(hydraulic, efficiency, nominal, ratio, judged, rise / (p[6] * GRAVITY))
