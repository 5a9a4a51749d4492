"""The arrays of a fleet on the device, as structures that kernels take whole."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["FleetState", "PathTable", "PeopleState", "copy_worlds", "count_tick"]

wp.set_module_options({"enable_backward": False})


@wp.struct
class FleetState:
    """What the vehicles of all worlds are and do; every array has the shape (worlds, vehicles).

    Attributes:
        x, y, theta: true pose [m, m, rad].
        v, omega: speed and rotation speed of the wheels [m/s, rad/s].
        vx, vy: velocity over ground in the map's frame [m/s].
        seen_x, seen_y, seen_theta: pose as the vehicle believes it.
        mode: see Mode.
        goal_x, goal_y, goal_theta: of mode FREE; NaN for any heading.
        s_max: how far along its path it may go [m].
        speed_limit, rotation_limit: [m/s, rad/s]; infinite is none.
        field: whether its protective field is on.
        load: what it carries, as traffic numbers it; 0 is nothing.
        load_mass: [kg].
        length, width: of the footprint in force [m].
        charging: whether it is plugged in.
        path_begin, path_count: its points in the PathTable.
        path_theta: heading at the end of the path; NaN for any.
        s: progress along the path [m].
        segment: of the path, from 0.
        turning: whether it turns on the spot.
        arrived: whether it rests at the end of its path, or at its goal.
        facing: 1 where it goes, or means to go, forward; -1 backward.
        moving: whether it moved when last looked at.
        still: for how many steps it has stood on its way.
        detour: turn of the way that is tried instead [rad].
        detour_steps: for how many steps yet.
        beyond: whether it is beyond its clearance.
        blocked: whether something stands in its protective field.
        touching: whether its footprint overlaps something.
        nearing: whether it is in a near miss.
        charge: of the battery, 0 to 1.
        store: in the battery [J].
        energy: drawn since the start [J].
        distance: driven since the start [m].
        waited: time at a stand on its way [s].
        collisions, near_misses: how often one began.
        bumps: collisions with a person while it stood.
        stops: how often it came to a stand on its way.
        overruns: how often it was beyond its clearance.
        least_time: shortest time to collision of all near misses [s].
        hardest: highest relative speed at the begin of a collision [m/s].
        error_x, error_y, error_theta: of localisation.
        wanted: velocity that avoidance chose [m/s].
        preferred: velocity that the vehicle would like [m/s]; see MotionPlan.preferred.
        command: of mode COMMANDED: speed and rotation speed [m/s, rad/s].
    """

    x: wp.array2d(dtype=wp.float32)
    y: wp.array2d(dtype=wp.float32)
    theta: wp.array2d(dtype=wp.float32)
    v: wp.array2d(dtype=wp.float32)
    omega: wp.array2d(dtype=wp.float32)
    vx: wp.array2d(dtype=wp.float32)
    vy: wp.array2d(dtype=wp.float32)
    seen_x: wp.array2d(dtype=wp.float32)
    seen_y: wp.array2d(dtype=wp.float32)
    seen_theta: wp.array2d(dtype=wp.float32)
    mode: wp.array2d(dtype=wp.int32)
    goal_x: wp.array2d(dtype=wp.float32)
    goal_y: wp.array2d(dtype=wp.float32)
    goal_theta: wp.array2d(dtype=wp.float32)
    s_max: wp.array2d(dtype=wp.float32)
    speed_limit: wp.array2d(dtype=wp.float32)
    rotation_limit: wp.array2d(dtype=wp.float32)
    field: wp.array2d(dtype=wp.int32)
    load: wp.array2d(dtype=wp.int32)
    load_mass: wp.array2d(dtype=wp.float32)
    length: wp.array2d(dtype=wp.float32)
    width: wp.array2d(dtype=wp.float32)
    charging: wp.array2d(dtype=wp.int32)
    path_begin: wp.array2d(dtype=wp.int32)
    path_count: wp.array2d(dtype=wp.int32)
    path_theta: wp.array2d(dtype=wp.float32)
    s: wp.array2d(dtype=wp.float32)
    segment: wp.array2d(dtype=wp.int32)
    turning: wp.array2d(dtype=wp.int32)
    arrived: wp.array2d(dtype=wp.int32)
    facing: wp.array2d(dtype=wp.int32)
    moving: wp.array2d(dtype=wp.int32)
    still: wp.array2d(dtype=wp.int32)
    detour: wp.array2d(dtype=wp.float32)
    detour_steps: wp.array2d(dtype=wp.int32)
    beyond: wp.array2d(dtype=wp.int32)
    blocked: wp.array2d(dtype=wp.int32)
    touching: wp.array2d(dtype=wp.int32)
    nearing: wp.array2d(dtype=wp.int32)
    charge: wp.array2d(dtype=wp.float32)
    store: wp.array2d(dtype=wp.float64)
    energy: wp.array2d(dtype=wp.float64)
    distance: wp.array2d(dtype=wp.float64)
    waited: wp.array2d(dtype=wp.float64)
    collisions: wp.array2d(dtype=wp.int32)
    near_misses: wp.array2d(dtype=wp.int32)
    bumps: wp.array2d(dtype=wp.int32)
    stops: wp.array2d(dtype=wp.int32)
    overruns: wp.array2d(dtype=wp.int32)
    least_time: wp.array2d(dtype=wp.float32)
    hardest: wp.array2d(dtype=wp.float32)
    error_x: wp.array2d(dtype=wp.float32)
    error_y: wp.array2d(dtype=wp.float32)
    error_theta: wp.array2d(dtype=wp.float32)
    wanted: wp.array2d(dtype=wp.vec2)
    preferred: wp.array2d(dtype=wp.vec2)
    command: wp.array2d(dtype=wp.vec2)


@wp.struct
class PeopleState:
    """Those who walk; every array has the shape (worlds, people).

    Attributes:
        x, y: [m].
        vx, vy: [m/s].
        goal_x, goal_y: where each walks to [m].
        speed: at which each walks [m/s].
        pause: how long each still stands [s].
        radius: [m].
    """

    x: wp.array2d(dtype=wp.float32)
    y: wp.array2d(dtype=wp.float32)
    vx: wp.array2d(dtype=wp.float32)
    vy: wp.array2d(dtype=wp.float32)
    goal_x: wp.array2d(dtype=wp.float32)
    goal_y: wp.array2d(dtype=wp.float32)
    speed: wp.array2d(dtype=wp.float32)
    pause: wp.array2d(dtype=wp.float32)
    radius: wp.array2d(dtype=wp.float32)


@wp.struct
class PathTable:
    """Polylines, one after another.

    Attributes:
        points: [m], in the map's frame.
        along: arc length from the first point of the polyline [m].
        limits: highest speed on the segment that begins here [m/s]; negative is driven backward.
    """

    points: wp.array(dtype=wp.vec2)
    along: wp.array(dtype=wp.float32)
    limits: wp.array(dtype=wp.float32)


@wp.kernel
def copy_worlds(
    # in:
    mask: wp.array(dtype=wp.int32),
    first: wp.array2d(dtype=wp.int32),
    # out:
    now: wp.array2d(dtype=wp.int32),
):
    """Copy words of the worlds in the mask; over (worlds, words)."""
    world, i = wp.tid()
    if mask[world] != 0:
        now[world, i] = first[world, i]


@wp.kernel
def count_tick(
    # out:
    ticks: wp.array(dtype=wp.int32),
):
    """Count a step; over (worlds,)."""
    world = wp.tid()
    ticks[world] = ticks[world] + 1
