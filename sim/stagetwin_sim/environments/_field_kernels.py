"""A vehicle in a room drives as its protective field lets it: what its safety scanner does."""

# Warp's own language: no type checker reads it.
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.environments._episode_kernels import Episode
from stagetwin_sim.environments._room_kernels import NavigationState, clearance, move_others
from stagetwin_sim.environments._vehicle_kernels import (
    DriveLimits,
    asked_of_drive,
    drive,
    drive_limits,
)
from stagetwin_sim.fleet import slow_to

__all__ = ["advance"]

wp.set_module_options({"enable_backward": False})


@wp.func
def stops_clear(s: NavigationState, w: int, v: float, omega: float, dt: float):
    """Return whether a vehicle that goes so, and then brakes, stays clear of everything.

    It brakes on the arc that it drives, so that the field bends with it. What is nearer than the
    field's edge already holds it back only where it would come nearer still.
    """
    pose = s.pose[w]
    slow = wp.abs(v) / (2.0 * s.field.deceleration)
    way = v * (dt + slow)
    turn = omega * (dt + wp.max(slow, wp.abs(omega) / (2.0 * s.field.rotation_deceleration)))
    least = wp.min(s.field.clear, s.clear[w] - 1.0e-4)
    clear = wp.bool(True)
    for i in range(s.field.looks):
        if clear:
            share = float(i + 1) / float(s.field.looks)
            half = 0.5 * turn * share
            x = pose[0] + way * share * wp.cos(pose[2] + half)
            y = pose[1] + way * share * wp.sin(pose[2] + half)
            clear = clearance(s, w, wp.vec3(x, y, pose[2] + 2.0 * half)) >= least
    return clear


@wp.func
def guarded(s: NavigationState, w: int, asked: wp.vec2, limits: DriveLimits, dt: float):
    """Return a command as the protective field lets it through [m/s, rad/s].

    What would not stop clear of everything, by the worst brakes that there may be, is braked: on
    its arc while the vehicle moves, and on the spot where turning there would not be clear either.
    Source: ISO 3691-4:2020, section 4.8.2.1 (a stop before contact), and D. Fox, W. Burgard and
    S. Thrun, The dynamic window approach to collision avoidance, IEEE Robotics & Automation
    Magazine 4, 1997, section III.B (admissible velocities).
    """
    twist = s.twist[w]
    up = s.limits.acceleration * dt
    spin = s.limits.rotation_acceleration * dt
    # How fast it may be after the step.
    v = wp.clamp(
        wp.clamp(asked[0], -s.limits.reverse_speed, s.limits.speed), twist[0] - up, twist[0] + up
    )
    omega = wp.clamp(asked[1], twist[1] - spin, twist[1] + spin)
    if stops_clear(s, w, v, omega, dt):
        return asked
    speed = wp.max(wp.abs(twist[0]) - limits.deceleration * dt, 0.0)
    if speed == 0.0 and stops_clear(s, w, 0.0, omega, dt):
        return wp.vec2(0.0, asked[1])
    rate = wp.max(wp.abs(twist[1]) - limits.rotation_acceleration * dt, 0.0)
    if speed > 0.0:
        rate = wp.abs(twist[1]) * speed / wp.abs(twist[0])
    return wp.vec2(
        wp.sign(twist[0]) * slow_to(wp.abs(twist[0]), speed, limits, dt),
        wp.sign(twist[1]) * slow_to(wp.abs(twist[1]), rate, limits, dt),
    )


@wp.func
def advance(e: Episode, s: NavigationState, w: int, dt: float):
    """Move the vehicle and the others, and keep how near they came."""
    move_others(e, s, w, dt)
    limits = drive_limits(e, s, w)
    asked = asked_of_drive(e, w)
    if s.field.on != 0:
        asked = guarded(s, w, asked, limits, dt)
    drive(e, s, w, asked, limits, dt)
    s.clear[w] = clearance(s, w, s.pose[w])
    s.least[w] = wp.min(s.least[w], s.clear[w])
