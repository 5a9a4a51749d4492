"""Kernels of ray sensors: where rays begin and go, and what a sensor makes of what they hit."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["aim_rays", "count_scan", "read_rays"]

wp.set_module_options({"enable_backward": False})


@wp.kernel
def aim_rays(
    # in:
    body: wp.int32,
    body_count: wp.int32,
    pose: wp.transform,
    near: wp.float32,
    directions: wp.array(dtype=wp.vec3),
    body_q: wp.array(dtype=wp.transform),
    # out:
    origins: wp.array(dtype=wp.vec3),
    aims: wp.array(dtype=wp.vec3),
):
    """Place the rays of a fan in the world, from where they begin to count; dim (worlds, rays)."""
    world, ray = wp.tid()
    place = pose
    if body >= 0:
        place = body_q[world * body_count + body] * pose
    aim = wp.normalize(wp.quat_rotate(wp.transform_get_rotation(place), directions[ray]))
    i = world * directions.shape[0] + ray
    origins[i] = wp.transform_get_translation(place) + near * aim
    aims[i] = aim


@wp.kernel
def read_rays(
    # in:
    distances: wp.array(dtype=wp.float32),
    hits: wp.array(dtype=wp.int32),
    shape_count: wp.int32,
    near: wp.float32,
    far: wp.float32,
    noise: wp.float32,
    dropout: wp.float32,
    salt: wp.int32,
    seeds: wp.array(dtype=wp.int64),
    scans: wp.array(dtype=wp.int32),
    # out:
    ranges: wp.array2d(dtype=wp.float32),
    shapes: wp.array2d(dtype=wp.int32),
):
    """Turn hits into what the sensor says: infinite is nothing in range; dim (worlds, rays)."""
    world, ray = wp.tid()
    rays = ranges.shape[1]
    i = world * rays + ray
    found = hits[i]
    length = near + distances[i]
    if found < 0 or length > far:
        ranges[world, ray] = wp.inf
        shapes[world, ray] = -1
        return
    shapes[world, ray] = found - world * shape_count
    ranges[world, ray] = length
    if noise > 0.0 or dropout > 0.0:
        # A stream of its own for each scan and ray, so that none depends on who drew before.
        seed = wp.int32(seeds[world] & wp.int64(0x7FFFFFFF)) + 7919 * scans[world] + salt
        draw = wp.rand_init(seed, ray)
        lost = wp.randf(draw)
        apart = noise * wp.randn(draw)
        ranges[world, ray] = wp.clamp(length + apart, near, far)
        if lost < dropout:
            ranges[world, ray] = wp.inf
            shapes[world, ray] = -1


@wp.kernel
def count_scan(
    # out:
    scans: wp.array(dtype=wp.int32),
):
    """Count a scan; dim worlds."""
    world = wp.tid()
    scans[world] = scans[world] + 1
