"""A differential drive in NumPy: the nominal vehicle that measured ones are compared with."""

from __future__ import annotations

import math

from stagetwin.fleets import VehicleType
from stagetwin.maps.geometry import wrapped

__all__ = ["NominalVehicle"]


class NominalVehicle:
    """One vehicle: where it is, how it moves, what its drive can do.

    Attributes:
        type: what it can do.
        x, y, theta: [m, m, rad].
        v, omega: of its wheels [m/s, rad/s].
    """

    def __init__(self, kind: VehicleType, x: float, y: float, theta: float) -> None:
        self.type = kind
        self.x, self.y, self.theta = x, y, wrapped(theta)
        self.v = self.omega = 0.0

    def step(self, speed: float, rotation: float, dt: float) -> None:
        """Move on by a command, within the limits of the drive.

        Source: Thrun, Burgard and Fox, Probabilistic Robotics, 2005, section 5.3.1 (the arc).

        Args:
            speed: [m/s].
            rotation: [rad/s].
            dt: [s].
        """
        kind = self.type
        asked = min(max(speed, -kind.reverse_speed), kind.speed)
        up, down = kind.acceleration * dt, kind.deceleration * dt
        if self.v > 0.0 or (self.v == 0.0 and asked >= 0.0):
            self.v = min(max(asked, max(self.v - down, 0.0)), self.v + up)
        else:
            self.v = max(min(asked, min(self.v + down, 0.0)), self.v - up)
        most = kind.rotation_acceleration * dt
        spin = min(max(rotation, -kind.rotation_speed), kind.rotation_speed)
        self.omega = min(max(spin, self.omega - most), self.omega + most)
        half = 0.5 * self.omega * dt
        chord = self.v * dt * (math.sin(half) / half if abs(half) > 1e-3 else 1.0)
        self.x += chord * math.cos(self.theta + half)
        self.y += chord * math.sin(self.theta + half)
        self.theta = wrapped(self.theta + 2.0 * half)
