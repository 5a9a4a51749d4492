"""Types of vehicles and a plan's numbers, as the device has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin.fleets import VehicleType
from stagetwin_sim.fleet._drive_kernels import DriveLimits
from stagetwin_sim.fleet._options_kernels import MotionOptions, VehicleKind
from stagetwin_sim.fleet._plan import MotionPlan

__all__ = ["device_drives", "device_kinds", "device_options", "drive_limits"]


def drive_limits(types: Sequence[VehicleType], lag: float = 0.0) -> npt.NDArray[Any]:
    """Return what drives can do, as `wp.array(..., dtype=DriveLimits)` takes it.

    Args:
        types: of vehicles.
        lag: time constant of their drives [s].
    """
    struct: Any = DriveLimits
    made: npt.NDArray[Any] = np.zeros(len(types), np.dtype(struct.numpy_dtype()))
    for i, kind in enumerate(types):
        for name in made.dtype.names or ():
            made[i][name] = lag if name == "lag" else getattr(kind, name)
    return made


def device_drives(types: Sequence[VehicleType], lag: float, device: str) -> wp.array[Any]:
    """Return `drive_limits` on a device."""
    return wp.array(drive_limits(types, lag), dtype=DriveLimits, device=device)


def device_kinds(types: Sequence[VehicleType], device: str) -> wp.array[Any]:
    """Return the rest of what is known of types, on a device."""
    struct: Any = VehicleKind
    made: npt.NDArray[Any] = np.zeros(len(types), np.dtype(struct.numpy_dtype()))
    for i, kind in enumerate(types):
        made[i]["centre"] = kind.front - 0.5 * kind.length
        made[i]["battery"] = 3600.0 * kind.battery
        for name in ("length", "width", "mass", "draw_idle", "draw_driving", "charge_power"):
            made[i][name] = getattr(kind, name)
    return wp.array(made, dtype=VehicleKind, device=device)


def device_options(plan: MotionPlan) -> Any:
    """Return the numbers of a plan as kernels take them."""
    options: Any = MotionOptions()
    for name in (
        "neighbours",
        "neighbour_distance",
        "horizon",
        "wall_horizon",
        "tracking_time",
        "perturbation",
        "goal_tolerance",
        "look_ahead",
        "spot_angle",
        "margin",
        "field_reaction",
        "field_front",
        "field_side",
        "near_distance",
        "near_speed",
        "near_time",
    ):
        setattr(options, name, getattr(plan, name))
    walkers = plan.people.count if plan.people else 0
    options.dt = plan.step
    options.giving = 0.1
    options.entries = plan.vehicles + walkers
    options.vehicles = plan.vehicles
    options.discs = int(plan.discs)
    options.given = int(plan.preferred == "given")
    options.tracking_error = 0.0 if plan.discs else plan.tracking_error
    options.largest, options.fastest = plan.largest(), plan.fastest()
    noise = plan.noise
    noisy = noise.position > 0.0 or noise.heading > 0.0
    options.noise_position, options.noise_heading = noise.position, noise.heading
    options.noise_time = noise.time if noisy else 0.0
    options.slip, options.slip_rotation = noise.slip, noise.slip_rotation
    return options
