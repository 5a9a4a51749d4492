"""Single machines by themselves, for observers and calibration: the networks' own laws."""

# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import warp as wp

from stagetwin_sim.hydraulics._curves_kernels import (
    friction_factor,
    pump_head,
    pump_npsh,
    pump_power,
    tank_surface,
    valve_share,
)

__all__ = [
    "pipe_loss_observe",
    "pump_curve_observe",
    "tank_level_advance",
    "tank_level_observe",
    "valve_flow_observe",
]

GRAVITY = wp.constant(wp.float64(9.80665))
PI = wp.constant(wp.float64(3.141592653589793))
ZERO = wp.constant(wp.float64(0.0))
ONE = wp.constant(wp.float64(1.0))
VOLUME = wp.types.vector(1, wp.float64)
REST = wp.constant(wp.float64(1.0))  # pressure below which a valve's flow turns linear [Pa]


@wp.func
def pump_curve_observe(x: Any, u: Any, p: Any):
    flow = u[0]
    speed = u[1]
    top = p[2]
    if top <= ZERO:
        top = wp.float64(1.25) * p[1]
    head = pump_head(flow, speed, p[0], p[1], top, p[3], p[6], p[7], p[8])
    shaft = pump_power(flow, speed, p[0], p[1], top, p[3], p[4], p[7], p[9])
    hydraulic = p[9] * GRAVITY * flow * head
    return wp.vector(
        head,
        p[9] * GRAVITY * head,
        hydraulic,
        shaft,
        hydraulic / wp.max(shaft, wp.float64(1e-9)),
        shaft / wp.max(speed, wp.float64(1e-6)),
        pump_npsh(flow, speed, p[0], p[3], p[5]),
    )


@wp.func
def pipe_loss_observe(x: Any, u: Any, p: Any):
    d = p[1]
    area = wp.float64(0.25) * PI * d * d
    v = u[0] / area
    reynolds = wp.max(wp.abs(v) * d / p[4], wp.float64(1e-9))
    f = friction_factor(reynolds, p[2] / (wp.float64(3.7) * d))
    loss = (f[0] * p[0] / d + p[3]) * v * wp.abs(v) / (wp.float64(2.0) * GRAVITY)
    return wp.vector(loss, p[5] * GRAVITY * loss, f[0])


@wp.func
def valve_flow_observe(x: Any, u: Any, p: Any):
    share = p[3] + (ONE - p[3]) * valve_share(u[0], p[1], p[2])
    size = wp.sqrt(wp.sqrt(u[1] * u[1] + REST))
    root = u[1] / wp.max(size, wp.float64(1e-9))
    scale = wp.sqrt(wp.float64(0.01) / p[4]) / wp.float64(3600.0)
    return wp.vector(p[0] * share * scale * root, share)


@wp.func
def tank_level_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    return VOLUME(wp.clamp(x[0] + dt * u[0], ZERO, p[0]))


@wp.func
def tank_level_observe(x: Any, u: Any, p: Any):
    surface = tank_surface(x[0] / p[0], p[2])
    return wp.vector(p[1] * surface[0], x[0])
