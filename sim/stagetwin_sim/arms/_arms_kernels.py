"""Kernels of arms: targets between frames, what a tool holds, where parts are."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["compare_joints", "hold_parts", "ramp_targets", "show_parts"]

wp.set_module_options({"enable_backward": False})

DAMPED = wp.constant(0.4)
"""Share of a relative velocity that a hold takes away in a step, of a part that is light."""
PULLED = wp.constant(0.06)
"""Share of a displacement that it takes away in a step."""

OPEN, LOST = wp.constant(-1), wp.constant(-2)
NEVER = wp.constant(1.0e9)


@wp.kernel
def ramp_targets(
    # in:
    bus: wp.array2d(dtype=wp.float64),
    columns: wp.array(dtype=wp.int32),
    coordinates: wp.array(dtype=wp.int32),
    freedoms: wp.array(dtype=wp.int32),
    coordinate_count: wp.int32,
    freedom_count: wp.int32,
    substeps: wp.int32,
    dt: wp.float32,
    # out:
    before: wp.array2d(dtype=wp.float32),
    step: wp.array2d(dtype=wp.int32),
    target_q: wp.array(dtype=wp.float32),
    target_qd: wp.array(dtype=wp.float32),
):
    """Lead targets in a straight line to what the bus holds; dim (worlds, joints).

    `step` counts the steps of a frame, beginning at 1; 0 is before the first one of all.
    """
    world, i = wp.tid()
    wanted = wp.float32(bus[world, columns[i]])
    k = step[world, i]
    if k == 0:  # nothing was asked before: it begins there
        before[world, i] = wanted
        k = 1
    share = wp.float32(k) / wp.float32(substeps)
    first = before[world, i]
    target_q[world * coordinate_count + coordinates[i]] = first + share * (wanted - first)
    target_qd[world * freedom_count + freedoms[i]] = (wanted - first) / (wp.float32(substeps) * dt)
    if k >= substeps:
        before[world, i] = wanted
        k = 0
    step[world, i] = k + 1


@wp.func
def rotation_between(first: wp.quat, second: wp.quat):
    """Return the turn from the second orientation to the first, as an axis times an angle [rad]."""
    q = first * wp.quat_inverse(second)
    if q[3] < 0.0:
        q = -q
    v = wp.vec3(q[0], q[1], q[2])
    sine = wp.length(v)
    if sine < 1.0e-7:
        return 2.0 * v
    return v * (2.0 * wp.atan2(sine, q[3]) / sine)


@wp.kernel
def hold_parts(
    # in:
    bus: wp.array2d(dtype=wp.float64),
    close: wp.int32,
    tool: wp.int32,
    site: wp.transform,
    parts: wp.array(dtype=wp.int32),
    middles: wp.array(dtype=wp.vec3),
    halves: wp.array(dtype=wp.vec3),
    body_count: wp.int32,
    reach: wp.float32,
    limit: wp.float32,
    yielding: wp.float32,
    span: wp.float32,
    gravity: wp.vec3,
    dt: wp.float32,
    body_q: wp.array(dtype=wp.transform),
    body_qd: wp.array(dtype=wp.spatial_vector),
    body_com: wp.array(dtype=wp.vec3),
    body_mass: wp.array(dtype=wp.float32),
    body_inertia: wp.array(dtype=wp.mat33),
    holding_column: wp.int32,
    force_column: wp.int32,
    # out:
    held: wp.array2d(dtype=wp.int32),
    grips: wp.array(dtype=wp.transform),
    body_f: wp.array(dtype=wp.spatial_vector),
    bus_out: wp.array2d(dtype=wp.float64),
):
    """Take, hold and let go of parts; dim worlds.

    A part is held by a force and a torque that take away its velocity and displacement against
    the tool, a share in each step (Baumgarte, Computer Methods in Applied Mechanics and
    Engineering 1, 1972, with both gains below one step's), and that carry its weight. The tool
    feels the same force back, one step later; so the shares are smaller for a part that is heavy
    against what the wrist resists in a step: `yielding` is its inverse [1/(kg.m2)], `span` how
    far the wrist is from the tool's body [m].
    """
    world = wp.tid()
    t = world * body_count + tool
    asked = bus[world, close] > wp.float64(0.5)
    force = wp.vec3(0.0, 0.0, 0.0)
    if not asked:
        held[world, 0] = OPEN
    elif held[world, 0] == OPEN:
        place = wp.transform_get_translation(body_q[t] * site)
        nearest = NEVER
        for i in range(parts.shape[0]):
            pose = body_q[world * body_count + parts[i]]
            local = wp.transform_point(wp.transform_inverse(pose), place) - middles[i]
            outside = wp.vec3(
                wp.max(wp.abs(local[0]) - halves[i][0], 0.0),
                wp.max(wp.abs(local[1]) - halves[i][1], 0.0),
                wp.max(wp.abs(local[2]) - halves[i][2], 0.0),
            )
            away = wp.length(outside)
            if away <= reach and away < nearest:
                nearest = away
                held[world, 0] = parts[i]
                grips[world] = wp.transform_inverse(body_q[t]) * pose
    if held[world, 0] >= 0:
        b = world * body_count + held[world, 0]
        pose = body_q[b]
        wanted = body_q[t] * grips[world]
        turn = wp.transform_get_rotation(pose)
        centre = wp.transform_point(pose, body_com[b])
        goal = wp.transform_point(wanted, body_com[b])
        tool_centre = wp.transform_point(body_q[t], body_com[t])
        spin_tool = wp.spatial_bottom(body_qd[t])
        speed_tool = wp.spatial_top(body_qd[t]) + wp.cross(spin_tool, centre - tool_centre)
        speed = wp.spatial_top(body_qd[b]) - speed_tool
        spin = wp.spatial_bottom(body_qd[b]) - spin_tool
        mass = body_mass[b]
        lever = wp.length(wp.transform_point(grips[world], body_com[b])) + span
        share = 1.0 / (1.0 + 0.5 * mass * lever * lever * yielding)
        damped = share * DAMPED / dt
        pulled = share * share * PULLED / (dt * dt)
        force = -mass * (damped * speed + pulled * (centre - goal) + gravity)
        twisted = rotation_between(turn, wp.transform_get_rotation(wanted))
        wanted_spin = damped * spin + pulled * twisted
        local_spin = wp.quat_rotate_inv(turn, wanted_spin)
        torque = -wp.quat_rotate(turn, body_inertia[b] * local_spin)
        if limit > 0.0 and wp.length(force) > limit:
            held[world, 0] = LOST  # until it is opened
            force = wp.vec3(0.0, 0.0, 0.0)
        else:
            body_f[b] = body_f[b] + wp.spatial_vector(force, torque)
            back = torque + wp.cross(centre - tool_centre, force)
            body_f[t] = body_f[t] - wp.spatial_vector(force, back)
    if holding_column >= 0:
        bus_out[world, holding_column] = wp.where(
            held[world, 0] >= 0, wp.float64(1.0), wp.float64(0.0)
        )
    if force_column >= 0:
        bus_out[world, force_column] = wp.float64(wp.length(force))


@wp.kernel
def show_parts(
    # in:
    parts: wp.array(dtype=wp.int32),
    body_count: wp.int32,
    body_q: wp.array(dtype=wp.transform),
    columns: wp.array2d(dtype=wp.int32),
    # out:
    bus: wp.array2d(dtype=wp.float64),
):
    """Put where parts are on the bus: x, y, z and the turn about Z; dim (worlds, parts)."""
    world, i = wp.tid()
    pose = body_q[world * body_count + parts[i]]
    at = wp.transform_get_translation(pose)
    ahead = wp.quat_rotate(wp.transform_get_rotation(pose), wp.vec3(1.0, 0.0, 0.0))
    bus[world, columns[i, 0]] = wp.float64(at[0])
    bus[world, columns[i, 1]] = wp.float64(at[1])
    bus[world, columns[i, 2]] = wp.float64(at[2])
    bus[world, columns[i, 3]] = wp.float64(wp.atan2(ahead[1], ahead[0]))


@wp.kernel
def compare_joints(
    # in:
    measured: wp.array2d(dtype=wp.int32),
    expected: wp.array2d(dtype=wp.int32),
    differences: wp.array2d(dtype=wp.int32),
    worst: wp.array(dtype=wp.int32),
    # out:
    bus: wp.array2d(dtype=wp.float64),
):
    """Put measured minus expected on the bus, and the largest of each arm; dim (worlds, arms).

    Rows of the columns are arms; -1 is no joint, or one that nobody measures.
    """
    world, arm = wp.tid()
    most = wp.float64(0.0)
    for i in range(measured.shape[1]):
        if measured[arm, i] >= 0:
            apart = bus[world, measured[arm, i]] - bus[world, expected[arm, i]]
            bus[world, differences[arm, i]] = apart
            most = wp.max(most, wp.abs(apart))
    bus[world, worst[arm]] = most
