"""One step of every vehicle: what it is told, what its drive does, what that costs."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._drive_kernels import (
    DriveLimits,
    drive_step,
    limited,
    slow_to,
    turn_to,
    wrap_angle,
)
from stagetwin_sim.fleet._follow_kernels import follow_path
from stagetwin_sim.fleet._options_kernels import MotionOptions, VehicleKind, draw_of
from stagetwin_sim.fleet._state_kernels import FleetState, PathTable
from stagetwin_sim.fleet._steer_kernels import steer_to

__all__ = ["move_discs", "move_vehicles"]

wp.set_module_options({"enable_backward": False})

_STREAM = wp.constant(wp.int32(0))
_MOVING = wp.constant(wp.float32(0.05))
_STILL = wp.constant(wp.float32(0.01))


@wp.func
def _free_command(
    fleet: FleetState,
    world: wp.int32,
    i: wp.int32,
    limits: DriveLimits,
    options: MotionOptions,
) -> wp.vec2:
    """Return the command of a vehicle that heads for a goal, and whether it has arrived."""
    theta = fleet.seen_theta[world, i]
    v = fleet.v[world, i]
    omega = fleet.omega[world, i]
    dx = fleet.goal_x[world, i] - fleet.seen_x[world, i]
    dy = fleet.goal_y[world, i] - fleet.seen_y[world, i]
    far = wp.sqrt(dx * dx + dy * dy)
    # Who has arrived stays so until it is well away: noise alone starts nothing.
    near = wp.where(fleet.arrived[world, i] != 0, 2.0, 1.0) * options.goal_tolerance
    arrived = wp.int32(0)
    command = wp.vec2(0.0, 0.0)
    if options.given == 0 and far < near:
        final = fleet.goal_theta[world, i]
        error = wp.float32(0.0)
        if not wp.isnan(final):
            error = wrap_angle(final - theta)
        if wp.abs(v) < 0.02 and wp.abs(error) > 0.01:
            command = wp.vec2(0.0, turn_to(error, omega, limits, options.dt))
        elif wp.abs(v) < 0.02 and wp.abs(omega) < 0.1:
            arrived = wp.int32(1)
    else:
        command = steer_to(
            fleet.wanted[world, i],
            fleet.preferred[world, i],
            theta,
            v,
            omega,
            limits,
            options.tracking_time,
            options.dt,
        )
        # Near its goal it must be able to turn to it, or it would circle it for ever: the arc to
        # the goal has the curvature 2 sin(aside) / far.
        aside = wrap_angle(wp.atan2(dy, dx) - theta)
        if options.given == 0 and far < 1.0 and wp.length(fleet.preferred[world, i]) > 0.0:
            most = 0.4 * limits.rotation_speed * far / wp.max(wp.abs(wp.sin(aside)), 1.0e-3)
            if wp.abs(aside) > 1.3 and far < 0.5 and command[0] > 0.0:
                command = wp.vec2(slow_to(wp.abs(v), 0.0, limits, options.dt), command[1])
                if wp.abs(v) < 0.05:
                    spin = turn_to(aside, omega, limits, options.dt)
                    command = wp.vec2(0.0, spin)
            elif command[0] > most:
                command = wp.vec2(slow_to(wp.max(v, 0.0), most, limits, options.dt), command[1])
    fleet.facing[world, i] = wp.where(command[0] < 0.0 or v < -0.01, -1, 1)
    fleet.arrived[world, i] = arrived
    return command


@wp.func
def _given_command(fleet: FleetState, world: wp.int32, i: wp.int32) -> wp.vec2:
    """Return the command that somebody else gives, within the speed limit in force."""
    top = fleet.speed_limit[world, i]
    command = fleet.command[world, i]
    command = wp.vec2(wp.clamp(command[0], -top, top), command[1])
    backward = command[0] < 0.0 or fleet.v[world, i] < -0.01
    fleet.facing[world, i] = wp.where(backward, -1, 1)
    fleet.arrived[world, i] = 0
    return command


@wp.func
def _count_way(fleet: FleetState, world: wp.int32, i: wp.int32, v: wp.float32, dt: wp.float32):
    """Count stops, waiting and what is beyond a clearance."""
    under_way = fleet.mode[world, i] != 0 and fleet.arrived[world, i] == 0
    still = wp.int32(0)
    if wp.abs(v) > _MOVING:
        fleet.moving[world, i] = 1
    elif wp.abs(v) < _STILL and wp.abs(fleet.omega[world, i]) < 0.1:
        if under_way:
            if fleet.moving[world, i] != 0:
                fleet.stops[world, i] = fleet.stops[world, i] + 1
            fleet.waited[world, i] = fleet.waited[world, i] + wp.float64(dt)
            still = fleet.still[world, i] + 1
        fleet.moving[world, i] = 0
    fleet.still[world, i] = still
    beyond = wp.int32(0)
    if fleet.mode[world, i] == 1 and fleet.s[world, i] > fleet.s_max[world, i] + 1.0e-3:
        beyond = wp.int32(1)
        if fleet.beyond[world, i] == 0:
            fleet.overruns[world, i] = fleet.overruns[world, i] + 1
    fleet.beyond[world, i] = beyond


@wp.func
def _drain(
    fleet: FleetState,
    world: wp.int32,
    i: wp.int32,
    kind: VehicleKind,
    share: wp.float32,
    dt: wp.float32,
):
    """Take what a step needs out of the battery, or charge it.

    Driving power goes with the share of full speed and with the weight: rolling resistance.
    """
    weight = (kind.mass + fleet.load_mass[world, i]) / kind.mass
    used = wp.float64((kind.draw_idle + kind.draw_driving * share * weight) * dt)
    fleet.energy[world, i] = fleet.energy[world, i] + used
    store = fleet.store[world, i] - used
    if fleet.charging[world, i] != 0:
        store = store + wp.float64(kind.charge_power * dt)
    store = wp.clamp(store, wp.float64(0.0), wp.float64(kind.battery))
    fleet.store[world, i] = store
    fleet.charge[world, i] = wp.float32(store / wp.float64(kind.battery))


@wp.kernel
def move_vehicles(
    # in:
    options: MotionOptions,
    types: wp.array2d(dtype=wp.int32),
    drives: wp.array(dtype=DriveLimits),
    kinds: wp.array(dtype=VehicleKind),
    table: PathTable,
    seeds: wp.array(dtype=wp.int32),
    ticks: wp.array(dtype=wp.int32),
    # in and out:
    fleet: FleetState,
):
    """Move every vehicle on; over (worlds, vehicles)."""
    world, i = wp.tid()
    dt = options.dt
    limits = limited(drives[types[world, i]], fleet.rotation_limit[world, i])
    kind = kinds[types[world, i]]
    mode = fleet.mode[world, i]
    v = fleet.v[world, i]
    omega = fleet.omega[world, i]
    command = wp.vec2(0.0, 0.0)
    if mode == 1:
        command = follow_path(
            fleet,
            table,
            world,
            i,
            limits,
            options.look_ahead,
            options.spot_angle,
            options.margin,
            dt,
        )
    elif mode == 2:
        command = _free_command(fleet, world, i, limits, options)
    elif mode == 3:
        command = _given_command(fleet, world, i)
    # What brakes in a bend stays on its arc; turning on the spot is allowed where the field, which
    # looks ahead and not round about, has something in it.
    if mode < 1 or mode > 3:
        left = wp.max(wp.abs(v) - limits.deceleration * dt, 0.0)
        command = wp.vec2(0.0, omega * left / wp.max(wp.abs(v), 1.0e-6))
    elif fleet.charge[world, i] <= 0.0:
        command = wp.vec2(0.0, wp.where(wp.abs(v) > 0.0, command[1], 0.0))
    elif fleet.blocked[world, i] != 0:
        command = wp.vec2(slow_to(wp.abs(v), 0.0, limits, dt), command[1])

    slip = wp.vec2(0.0, 0.0)
    if options.slip > 0.0 or options.slip_rotation > 0.0 or options.noise_time > 0.0:
        draw = draw_of(seeds[world], ticks[world], _STREAM + 16 * i)
        slip = wp.vec2(
            wp.min(wp.abs(wp.randn(draw)) * options.slip, 0.5),
            wp.min(wp.abs(wp.randn(draw)) * options.slip_rotation, 0.5),
        )
        if options.noise_time > 0.0:
            # An Ornstein-Uhlenbeck process, exact for the step: errors that come and go.
            keep = wp.exp(-dt / options.noise_time)
            fresh = wp.sqrt(1.0 - keep * keep)
            fleet.error_x[world, i] = keep * fleet.error_x[
                world, i
            ] + fresh * options.noise_position * wp.randn(draw)
            fleet.error_y[world, i] = keep * fleet.error_y[
                world, i
            ] + fresh * options.noise_position * wp.randn(draw)
            fleet.error_theta[world, i] = keep * fleet.error_theta[
                world, i
            ] + fresh * options.noise_heading * wp.randn(draw)

    x, y, theta, v_next, omega_next = drive_step(
        wp.vec3(fleet.x[world, i], fleet.y[world, i], fleet.theta[world, i]),
        wp.vec2(v, omega),
        command,
        limits,
        slip,
        dt,
    )
    fleet.x[world, i] = x
    fleet.y[world, i] = y
    fleet.theta[world, i] = theta
    fleet.v[world, i] = v_next
    fleet.omega[world, i] = omega_next
    ground = v_next * (1.0 - slip[0])
    fleet.vx[world, i] = ground * wp.cos(theta)
    fleet.vy[world, i] = ground * wp.sin(theta)
    fleet.seen_x[world, i] = x + fleet.error_x[world, i]
    fleet.seen_y[world, i] = y + fleet.error_y[world, i]
    fleet.seen_theta[world, i] = wrap_angle(theta + fleet.error_theta[world, i])
    fleet.distance[world, i] = fleet.distance[world, i] + wp.float64(wp.abs(ground) * dt)
    _count_way(fleet, world, i, v_next, dt)
    _drain(fleet, world, i, kind, wp.abs(v_next) / limits.speed, dt)


@wp.kernel
def move_discs(
    # in:
    dt: wp.float32,
    # in and out:
    fleet: FleetState,
):
    """Let every vehicle have the velocity that avoidance chose; over (worlds, vehicles)."""
    world, i = wp.tid()
    velocity = fleet.wanted[world, i]
    fleet.vx[world, i] = velocity[0]
    fleet.vy[world, i] = velocity[1]
    fleet.x[world, i] = fleet.x[world, i] + velocity[0] * dt
    fleet.y[world, i] = fleet.y[world, i] + velocity[1] * dt
