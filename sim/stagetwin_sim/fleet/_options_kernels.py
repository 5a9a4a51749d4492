"""What all kernels of a motion are told."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["MotionOptions", "VehicleKind", "draw_of", "enclosing_radius"]

wp.set_module_options({"enable_backward": False})


@wp.struct
class MotionOptions:
    """Numbers of a plan; see MotionPlan, whose words they are.

    Attributes:
        entries: vehicles and people of a world.
        discs: 1 where footprints are discs of the vehicles' width.
        given: 1 where preferred velocities are given.
    """

    dt: wp.float32
    entries: wp.int32
    vehicles: wp.int32
    discs: wp.int32
    given: wp.int32
    neighbours: wp.int32
    neighbour_distance: wp.float32
    horizon: wp.float32
    wall_horizon: wp.float32
    tracking_error: wp.float32
    giving: wp.float32
    tracking_time: wp.float32
    perturbation: wp.float32
    goal_tolerance: wp.float32
    look_ahead: wp.float32
    spot_angle: wp.float32
    margin: wp.float32
    field_reaction: wp.float32
    field_front: wp.float32
    field_side: wp.float32
    near_distance: wp.float32
    near_speed: wp.float32
    near_time: wp.float32
    largest: wp.float32
    fastest: wp.float32
    noise_position: wp.float32
    noise_heading: wp.float32
    noise_time: wp.float32
    slip: wp.float32
    slip_rotation: wp.float32


@wp.struct
class VehicleKind:
    """What a type of vehicle has beside its drive.

    Attributes:
        centre: from the kinematic centre forward to the middle of the footprint [m].
        length, width: empty [m].
        mass: empty [kg].
        battery: [J].
        draw_idle, draw_driving, charge_power: [W].
    """

    centre: wp.float32
    length: wp.float32
    width: wp.float32
    mass: wp.float32
    battery: wp.float32
    draw_idle: wp.float32
    draw_driving: wp.float32
    charge_power: wp.float32


@wp.func
def enclosing_radius(
    length: wp.float32, width: wp.float32, centre: wp.float32, discs: wp.int32
) -> wp.float32:
    """Return the radius about the kinematic centre that a footprint stays within [m]."""
    if discs != 0:
        return 0.5 * width
    far = wp.abs(centre) + 0.5 * length
    return wp.sqrt(far * far + 0.25 * width * width)


@wp.func
def draw_of(seed: wp.int32, tick: wp.int32, stream: wp.int32) -> wp.uint32:
    """Begin a stream of random numbers of its own for each world, step and purpose.

    Nobody's numbers depend on who drew before: any order of threads gives the same run.
    """
    mixed = wp.rand_init(seed, tick)
    return wp.rand_init(wp.int32(mixed), stream)
