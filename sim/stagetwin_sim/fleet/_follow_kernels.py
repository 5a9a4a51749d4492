"""Following a path up to a clearance: pure pursuit, turns on the spot, and a speed that can stop.

Source of the pursuit: R. C. Coulter, "Implementation of the Pure Pursuit Path Tracking Algorithm",
CMU-RI-TR-92-01, 1992.
"""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._drive_kernels import (
    DriveLimits,
    braking_speed,
    slow_to,
    turn_to,
    wrap_angle,
)
from stagetwin_sim.fleet._state_kernels import FleetState, PathTable

__all__ = ["follow_path"]

wp.set_module_options({"enable_backward": False})

NEAR = wp.constant(wp.float32(0.01))
"""How near to a stop it counts as there [m]."""

AIMED = wp.constant(wp.float32(0.01))
"""How well a turn on the spot aims [rad]."""

STILL = wp.constant(wp.float32(0.02))
"""Below it a vehicle is at rest, as far as turning on the spot goes [m/s]."""

CUT = wp.constant(wp.float32(1.05))
"""A vehicle that cuts a bend gains on its path by no more than this factor."""


@wp.func
def _way(table: PathTable, at: wp.int32) -> wp.float32:
    """Return the heading of the vehicle on a segment [rad]."""
    a = table.points[at]
    b = table.points[at + 1]
    heading = wp.atan2(b[1] - a[1], b[0] - a[0])
    return wp.where(table.limits[at] < 0.0, wrap_angle(heading + 3.14159265), heading)


@wp.func
def _spacing(table: PathTable, at: wp.int32, look: wp.float32) -> wp.float32:
    """Return over which length the bend at the begin of a segment is taken [m]."""
    before = table.along[at] - table.along[at - 1]
    after = table.along[at + 1] - table.along[at]
    return wp.clamp(0.5 * (before + after), 1.0e-3, look)


@wp.func
def _is_stop(table: PathTable, at: wp.int32, spot: wp.float32, look: wp.float32) -> wp.bool:
    """Return whether a vehicle must stand at the begin of a segment, to turn or to change gear.

    A bend whose radius is less than half of the look-ahead cannot be pursued either.
    """
    turn = wp.abs(wrap_angle(_way(table, at) - _way(table, at - 1)))
    tight = turn > 0.05 and turn * 0.5 * look > _spacing(table, at, look)
    sharp = turn > spot or tight
    return sharp or (table.limits[at] < 0.0) != (table.limits[at - 1] < 0.0)


@wp.func
def _bend_speed(
    turn: wp.float32, spacing: wp.float32, look: wp.float32, limits: DriveLimits
) -> wp.float32:
    """Return the speed at which a bend can be taken, and turned into within a look-ahead [m/s]."""
    if turn < 1.0e-3:
        return limits.speed
    curvature = turn / spacing
    by_rate = 0.9 * limits.rotation_speed / curvature
    by_ramp = wp.sqrt(look * limits.rotation_acceleration / curvature)
    return wp.min(by_rate, by_ramp)


@wp.func
def follow_path(
    fleet: FleetState,
    table: PathTable,
    world: wp.int32,
    i: wp.int32,
    limits: DriveLimits,
    look: wp.float32,
    spot: wp.float32,
    margin: wp.float32,
    dt: wp.float32,
) -> wp.vec2:
    """Return the command that follows the path of a vehicle, and keep its progress [m/s, rad/s].

    Args:
        look: shortest look-ahead [m].
        spot: a corner sharper than this is turned at a stand [rad].
        margin: how far before its clearance a vehicle plans to stand [m].
    """
    begin = fleet.path_begin[world, i]
    count = fleet.path_count[world, i]
    if count < 1:
        return wp.vec2(0.0, 0.0)
    x = fleet.seen_x[world, i]
    y = fleet.seen_y[world, i]
    theta = fleet.seen_theta[world, i]
    v = fleet.v[world, i]
    omega = fleet.omega[world, i]
    last = begin + count - 1
    end = table.along[last]
    at = begin + fleet.segment[world, i]
    s = fleet.s[world, i]
    s_max = wp.min(fleet.s_max[world, i], end)
    turning = fleet.turning[world, i]
    standing = wp.abs(v) < STILL
    arrived = wp.int32(0)
    command = wp.vec2(0.0, 0.0)

    # Progress: where the vehicle is abreast of its path. It does not run backward; and where the
    # clearance is near it runs no faster than wheels turn: neither a bend that is cut nor an error
    # of localisation carries it beyond what braking was planned for.
    delay = dt + limits.lag
    brake = limits.deceleration
    speed_now = wp.abs(v)
    needed = CUT * (speed_now * speed_now / (2.0 * brake) + speed_now * delay)
    most = wp.max(s + CUT * speed_now * dt, s_max - needed)
    fresh = s == 0.0
    looking = wp.bool(count > 1)
    while looking:
        looking = False
        a = table.points[at]
        b = table.points[at + 1]
        length = table.along[at + 1] - table.along[at]
        p = ((x - a[0]) * (b[0] - a[0]) + (y - a[1]) * (b[1] - a[1])) / wp.max(length, 1.0e-6)
        if fresh and p > 0.1:
            most = end  # a path that begins behind the vehicle
        s = wp.max(s, wp.min(table.along[at] + wp.clamp(p, 0.0, length), most))
        if at + 1 < last:
            here = table.along[at + 1] - s
            if _is_stop(table, at + 1, spot, look):
                if here < NEAR and standing and turning == 0 and s_max - table.along[at + 1] > NEAR:
                    at = at + 1
                    s = wp.max(s, table.along[at])
                    turning = wp.int32(1)
            elif here <= 1.0e-4:
                at = at + 1
                looking = True

    heading = theta
    if count > 1:
        heading = _way(table, at)
    aside = wp.abs(wrap_angle(heading - theta))
    if standing and turning == 0 and count > 1 and end - s > NEAR and aside > spot:
        turning = wp.int32(1)
    # At the end, the heading asked for.
    ended = wp.abs(v) < STILL and end - s < NEAR
    final = fleet.path_theta[world, i]
    if ended and not wp.isnan(final) and fleet.s_max[world, i] > end - NEAR:
        heading = final
        # Who has arrived stays so: noise alone starts no turn.
        aimed = wp.where(fleet.arrived[world, i] != 0, 5.0, 1.0) * AIMED
        if wp.abs(wrap_angle(final - theta)) > aimed:
            turning = wp.int32(1)

    if turning != 0:
        error = wrap_angle(heading - theta)
        if wp.abs(error) < AIMED and wp.abs(omega) < 0.1:
            turning = wp.int32(0)
        else:
            command = wp.vec2(0.0, turn_to(error, omega, limits, dt))
    elif ended and wp.abs(omega) < 0.1:
        arrived = wp.int32(1)

    if count > 1 and turning == 0 and not ended:
        backward = table.limits[at] < 0.0
        sign = wp.where(backward, -1.0, 1.0)
        full = wp.where(backward, limits.reverse_speed, limits.speed)
        full = wp.min(full, fleet.speed_limit[world, i])
        speed = wp.min(full, wp.abs(table.limits[at]))
        # What lies ahead within the way that braking takes: bends, slower segments, a stop.
        soon = speed_now + limits.acceleration * dt
        ahead = CUT * (soon * soon / (2.0 * brake) + soon * delay) + look
        stop = s_max
        jump = wp.float32(0.0)
        # Enough points for the aim as well, which the vehicle must not see round a sharp corner.
        # A drive that is slow to turn looks farther ahead, or it would swing about its path.
        far = wp.max(0.6, wp.sqrt(1.0 / limits.rotation_acceleration) + limits.lag)
        reach = wp.max(far * speed_now, look)
        aim_s = s + reach
        aim_at = at
        aiming = wp.bool(True)
        n = at + 1
        while n < last:
            gap = table.along[n] - s
            if gap > ahead and gap > reach:
                n = last
            else:
                if _is_stop(table, n, spot, look):
                    stop = wp.min(stop, table.along[n])
                    aiming = False
                    n = last
                else:
                    turn = wp.abs(wrap_angle(_way(table, n) - _way(table, n - 1)))
                    # Who is inside of a bend by e gains e sin(turn) on the path when abreast of
                    # its corner; a pursuit is inside by about an eighth of its look-ahead.
                    if table.along[n] < stop:
                        jump = jump + 0.125 * reach * turn * turn
                    slow = wp.min(
                        wp.abs(table.limits[n]),
                        _bend_speed(turn, _spacing(table, n, look), look, limits),
                    )
                    # Down to `slow` when there: braking to rest takes `slow^2 / 2b` more.
                    room = gap + slow * slow / (2.0 * brake) + slow * delay
                    speed = wp.min(speed, braking_speed(room / CUT, brake, delay))
                    if aiming and table.along[n] <= aim_s:
                        aim_at = n
                    n = n + 1
        speed = wp.min(speed, braking_speed((stop - s - jump - margin) / CUT, brake, delay))
        if stop - s <= 0.5 * NEAR + margin:
            speed = wp.float32(0.0)

        a = table.points[aim_at]
        b = table.points[aim_at + 1]
        length = wp.max(table.along[aim_at + 1] - table.along[aim_at], 1.0e-6)
        t = (aim_s - table.along[aim_at]) / length
        dx = a[0] + t * (b[0] - a[0]) - x
        dy = a[1] + t * (b[1] - a[1]) - y
        way = theta
        if backward:
            way = theta + 3.14159265
        side = dy * wp.cos(way) - dx * wp.sin(way)
        curvature = 2.0 * side / wp.max(dx * dx + dy * dy, 0.25 * look * look)
        if wp.abs(curvature) * speed > limits.rotation_speed:
            speed = limits.rotation_speed / wp.abs(curvature)
        # Slower as well while the drive is not turning yet as the bend asks for.
        lacking = wp.abs(speed_now * curvature - omega)
        if lacking * speed > 0.5 * reach * limits.rotation_acceleration:
            speed = 0.5 * reach * limits.rotation_acceleration / lacking
        # The turn goes with the speed that it has, not with the one that it would like.
        command = wp.vec2(sign * slow_to(speed_now, speed, limits, dt), speed_now * curvature)
        fleet.facing[world, i] = wp.where(backward, -1, 1)

    fleet.s[world, i] = s
    fleet.segment[world, i] = at - begin
    fleet.turning[world, i] = turning
    fleet.arrived[world, i] = arrived
    return command
