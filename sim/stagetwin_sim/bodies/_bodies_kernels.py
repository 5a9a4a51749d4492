"""Kernels between the bus and newton's arrays, and the counting of what did not fit."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = [
    "count_contacts",
    "count_dropped",
    "note_lost_bits",
    "note_lost_rows",
    "read_targets",
    "run_belts",
    "write_contacts",
    "write_joints",
]

wp.set_module_options({"enable_backward": False})


@wp.kernel
def read_targets(
    # in:
    bus: wp.array2d(dtype=wp.float64),
    columns: wp.array(dtype=wp.int32),
    coordinates: wp.array(dtype=wp.int32),
    count: wp.int32,
    # out:
    targets: wp.array(dtype=wp.float32),
):
    """Take the targets of joints from the bus; dim (worlds, drives)."""
    world, i = wp.tid()
    if columns[i] >= 0:
        targets[world * count + coordinates[i]] = wp.float32(bus[world, columns[i]])


@wp.kernel
def run_belts(
    # in:
    bus: wp.array2d(dtype=wp.float64),
    columns: wp.array(dtype=wp.int32),
    firsts: wp.array(dtype=wp.int32),
    directions: wp.array(dtype=wp.vec3),
    meshes: wp.array2d(dtype=wp.uint64),
):
    """Move every point of a belt's mesh at the speed on the bus; dim (worlds, belts)."""
    world, i = wp.tid()
    speed = wp.float32(bus[world, columns[i]])
    mesh = wp.mesh_get(meshes[world, i])
    for j in range(mesh.velocities.shape[0]):
        mesh.velocities[j] = speed * directions[firsts[i] + j]


@wp.kernel
def write_joints(
    # in:
    coordinates: wp.array(dtype=wp.int32),
    freedoms: wp.array(dtype=wp.int32),
    coordinate_count: wp.int32,
    freedom_count: wp.int32,
    joint_q: wp.array(dtype=wp.float32),
    joint_qd: wp.array(dtype=wp.float32),
    target_q: wp.array(dtype=wp.float32),
    target_qd: wp.array(dtype=wp.float32),
    stiffness: wp.array(dtype=wp.float32),
    damping: wp.array(dtype=wp.float32),
    limit: wp.array(dtype=wp.float32),
    actuated: wp.array(dtype=wp.float32),
    columns: wp.array2d(dtype=wp.int32),
    # out:
    bus: wp.array2d(dtype=wp.float64),
):
    """Put position, velocity and effort of joints on the bus; dim (worlds, drives).

    The effort is the law of the drive, and what actuators add, at the end of the step.
    """
    world, i = wp.tid()
    q = world * coordinate_count + coordinates[i]
    v = world * freedom_count + freedoms[i]
    effort = stiffness[v] * (target_q[q] - joint_q[q]) + damping[v] * (target_qd[v] - joint_qd[v])
    effort = wp.clamp(effort, -limit[v], limit[v]) + actuated[v]
    if columns[0, i] >= 0:
        bus[world, columns[0, i]] = wp.float64(joint_q[q])
    if columns[1, i] >= 0:
        bus[world, columns[1, i]] = wp.float64(joint_qd[v])
    if columns[2, i] >= 0:
        bus[world, columns[2, i]] = wp.float64(effort)


@wp.kernel
def count_dropped(
    # in:
    counts: wp.array(dtype=wp.uint64),
    capacities: wp.array(dtype=wp.int32),
    # out:
    dropped: wp.array2d(dtype=wp.int32),
):
    """Count what a shared buffer could not take, for every world; dim (worlds, buffers).

    `counts` points to counters of one int32 each: they belong to newton and differ by scene.
    """
    world, i = wp.tid()
    counter = wp.array(ptr=counts[i], shape=(1,), dtype=wp.int32)
    lost = counter[0] - capacities[i]
    if lost > 0:
        dropped[world, i] += lost


@wp.kernel
def note_lost_rows(
    # in:
    flags: wp.array(dtype=wp.bool),
    cause: wp.int32,
    # out:
    dropped: wp.array2d(dtype=wp.int32),
):
    """Count steps in which the solver had no row for a contact, and clear its flags; dim worlds."""
    world = wp.tid()
    if flags[world]:
        dropped[world, cause] += 1
        flags[world] = False


@wp.kernel
def count_contacts(
    # in:
    count: wp.array(dtype=wp.int32),
    shape0: wp.array(dtype=wp.int32),
    shape1: wp.array(dtype=wp.int32),
    shape_world: wp.array(dtype=wp.int32),
    # out:
    contacts: wp.array(dtype=wp.int32),
):
    """Count the contacts of each world; dim contacts that fit."""
    i = wp.tid()
    if i < count[0]:
        world = wp.max(shape_world[shape0[i]], shape_world[shape1[i]])
        wp.atomic_add(contacts, wp.max(world, 0), 1)


@wp.kernel
def write_contacts(
    # in:
    contacts: wp.array(dtype=wp.int32),
    dropped: wp.array2d(dtype=wp.int32),
    contact_column: wp.int32,
    dropped_column: wp.int32,
    # out:
    bus: wp.array2d(dtype=wp.float64),
):
    """Put the counts of contacts, and of all that was dropped, on the bus; dim worlds."""
    world = wp.tid()
    if contact_column >= 0:
        bus[world, contact_column] = wp.float64(contacts[world])
    if dropped_column >= 0:
        total = wp.int32(0)
        for i in range(dropped.shape[1]):
            total += dropped[world, i]
        bus[world, dropped_column] = wp.float64(total)


@wp.kernel
def note_lost_bits(
    # in:
    flags: wp.array(dtype=wp.int32),
    cause: wp.int32,
    # out:
    dropped: wp.array2d(dtype=wp.int32),
):
    """Count steps in which the solver had no room for something; dim worlds."""
    world = wp.tid()
    if flags[world] != 0:
        dropped[world, cause] += 1
