"""A lidar on every vehicle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import warp as wp

from stagetwin_sim._errors import FleetError
from stagetwin_sim.engine import Saved
from stagetwin_sim.fleet._arrays import HeldArrays
from stagetwin_sim.fleet._motion import Motion
from stagetwin_sim.fleet._rays_kernels import cast_rays
from stagetwin_sim.fleet._state_kernels import count_tick

__all__ = ["Lidar", "LidarFan"]


@dataclass(frozen=True, kw_only=True)
class Lidar:
    """A fan of rays in the plane.

    Attributes:
        rays: how many.
        first, last: angles of the first and last ray from the vehicle's front [rad]; of a whole
            turn the last is left out.
        far: how far it sees [m].
        x, y, theta: where it sits and looks, in the vehicle's frame [m, m, rad].
        noise: standard deviation of a range [m].
        dropout: share of rays that come back with nothing.

    Raises:
        FleetError: a figure is out of range.
    """

    rays: int = 24
    first: float = -math.pi
    last: float = math.pi
    far: float = 10.0
    x: float = 0.0
    y: float = 0.0
    theta: float = 0.0
    noise: float = 0.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.rays < 1 or not (0.0 < self.far < math.inf):
            raise FleetError(f"a lidar has a ray and sees far, got {self.rays}, {self.far} m")
        if not (0.0 <= self.noise < math.inf and 0.0 <= self.dropout <= 1.0):
            text = f"noise is not negative, dropout 0 to 1, got {self.noise} m, {self.dropout}"
            raise FleetError(f"lidar: {text}")

    @property
    def spacing(self) -> float:
        """Angle from one ray to the next [rad]."""
        whole = math.isclose(self.last - self.first, 2 * math.pi)
        return (self.last - self.first) / max(self.rays if whole else self.rays - 1, 1)


class LidarFan:
    """The lidars of all vehicles of a motion.

    Attributes:
        ranges: along each ray [m], `far` where nothing is seen, shape (worlds, vehicles, rays).
        hits: -1 for nothing, -2 for an obstacle, else the number of the vehicle, or of the person
            counted on from the vehicles; same shape.
        scans: how often it looked, shape (worlds,), which its noise follows.
    """

    def __init__(self, motion: Motion, lidar: Lidar) -> None:
        self.lidar = lidar
        self._motion = motion
        shape = (motion.worlds, motion.plan.vehicles, lidar.rays)
        device = motion.device
        self.ranges: wp.array[Any] = wp.full(shape, lidar.far, dtype=wp.float32, device=device)
        self.hits: wp.array[Any] = wp.full(shape, -1, dtype=wp.int32, device=device)
        self.scans: wp.array[Any] = wp.zeros(motion.worlds, dtype=wp.int32, device=device)
        held = {"ranges": self.ranges, "hits": self.hits, "scans": self.scans}
        self._held = HeldArrays(held, motion.worlds, device)

    def launch(self) -> None:
        """Launch the kernels of a look, from the poses as they are; it may be part of a graph."""
        motion, lidar = self._motion, self.lidar
        motion.arrange()
        wp.launch(
            cast_rays,
            dim=self.ranges.shape,
            inputs=[
                motion.options,
                motion.types,
                motion.kinds,
                motion.grid,
                motion.starts,
                motion.bodies,
                motion.sizes,
                motion.numbers,
                motion.layout,
                motion.layouts,
                motion.seeds,
                self.scans,
                motion.state,
                wp.vec3(lidar.x, lidar.y, lidar.theta),
                lidar.first,
                lidar.spacing,
                lidar.far,
                lidar.noise,
                lidar.dropout,
            ],
            outputs=[self.ranges, self.hits],
            device=motion.device,
        )
        wp.launch(count_tick, dim=motion.worlds, outputs=[self.scans], device=motion.device)

    def save(self) -> Saved:
        """Return its complete state."""
        return self._held.save()

    def load(self, saved: Saved) -> None:
        """Take what one of the same plan saved.

        Raises:
            SnapshotError: it does not fit.
        """
        self._held.load(saved)
