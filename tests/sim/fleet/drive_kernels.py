"""A kernel that does nothing but drive."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet import DriveLimits, drive_step

wp.set_module_options({"enable_backward": False})


@wp.kernel
def drive_all(
    # in:
    poses: wp.array(dtype=wp.vec3),
    twists: wp.array(dtype=wp.vec2),
    commands: wp.array(dtype=wp.vec2),
    limits: wp.array(dtype=DriveLimits),
    slips: wp.array(dtype=wp.vec2),
    dt: wp.array(dtype=wp.float32),
):
    """Move each on by a step."""
    i = wp.tid()
    x, y, theta, v, omega = drive_step(poses[i], twists[i], commands[i], limits[i], slips[i], dt[i])
    poses[i] = wp.vec3(x, y, theta)
    twists[i] = wp.vec2(v, omega)
