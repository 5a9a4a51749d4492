"""A differential drive in NumPy, and what a fan of rays on it meets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import VehicleType

__all__ = ["Body", "cast_fan", "wrap"]

Floats = npt.NDArray[np.float64]


def wrap(angle: float) -> float:
    """Return an angle in (-pi, pi]."""
    return math.pi - (math.pi - angle) % (2.0 * math.pi)


class Body:
    """One vehicle: where it is, how it moves, what its drive can do.

    Attributes:
        type: what it can do.
        x, y, theta: [m, m, rad].
        v, omega: of its wheels [m/s, rad/s].
        length, width, front: footprint in force [m].
    """

    def __init__(self, kind: VehicleType, x: float, y: float, theta: float) -> None:
        self.type = kind
        self.x, self.y, self.theta = x, y, wrap(theta)
        self.v = self.omega = 0.0
        self.length, self.width, self.front = kind.length, kind.width, kind.front

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
        self.theta = wrap(self.theta + 2.0 * half)

    @property
    def radius(self) -> float:
        """Of the circle about its point that holds all of it [m]."""
        return math.hypot(max(self.front, self.length - self.front), self.width / 2)


def cast_fan(
    body: Body,
    rays: int,
    reach: float,
    edges: Floats,
    circles: Sequence[tuple[float, float, float]],
) -> Floats:
    """Return how far rays reach, all around from straight ahead to the left [m].

    Args:
        body: that carries the fan.
        rays: how many, evenly apart.
        reach: the farthest [m].
        edges: x0, y0, x1, y1 of static obstacles [m], shape (n, 4).
        circles: x, y, radius of others [m].
    """
    angles = body.theta + np.arange(rays) * (2.0 * math.pi / rays)
    way = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = np.full(rays, reach)
    if len(edges):
        start = edges[:, :2] - (body.x, body.y)
        along = edges[:, 2:] - edges[:, :2]
        # start + s along = t way, by Cramer's rule for every ray and edge.
        slope = way[:, :1] * along[:, 1] - way[:, 1:] * along[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (start[:, 0] * along[:, 1] - start[:, 1] * along[:, 0]) / slope
            s = (start[:, 0] * way[:, 1:] - start[:, 1] * way[:, :1]) / slope
        hit = (np.abs(slope) > 1e-12) & (t >= 0.0) & (s >= 0.0) & (s <= 1.0)
        found = np.minimum(found, np.where(hit, t, reach).min(axis=1))
    if circles:
        at = np.asarray(circles, np.float64)
        to = at[:, :2] - (body.x, body.y)
        ahead = way @ to.T
        under = at[:, 2] ** 2 - (np.sum(to * to, axis=1) - ahead**2)
        near = ahead - np.sqrt(np.maximum(under, 0.0))
        within = np.sum(to * to, axis=1) <= at[:, 2] ** 2
        hit = (under >= 0.0) & (ahead > 0.0)
        met = np.where(within, 0.0, np.where(hit, near, reach))
        found = np.minimum(found, met.min(axis=1))
    within_reach: Floats = np.clip(found, 0.0, reach)
    return within_reach
