"""Lidars and depth cameras among bodies: newton's ray casts, in every world at once."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import newton
import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import BodiesError
from stagetwin_sim.bodies import BodiesSystem, Mount
from stagetwin_sim.bodies._memory import ArrayMemory
from stagetwin_sim.engine import Saved, host_copy
from stagetwin_sim.sensing._fans import Fan
from stagetwin_sim.sensing._sensing_kernels import aim_rays, count_scan, read_rays

__all__ = ["RaySensor", "Rays", "Scan", "sensor_of"]


@dataclass(frozen=True)
class Scan:
    """What a sensor saw.

    Attributes:
        ranges: along each ray [m], infinite where nothing is in range, shape (worlds, rays).
        shapes: what was hit, an index of one world, -1 for nothing, shape (worlds, rays).
    """

    ranges: npt.NDArray[np.float32]
    shapes: npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class RaySensor:
    """A sensor among bodies; one of the hooks of a BodiesPlan.

    Attributes:
        name: unique among the sensors of a plan.
        mount: where it looks from.
        fan: where it looks.
        near, far: what is closer than `near` is not seen, nor what is farther than `far` [m].
        noise: standard deviation of a range [m].
        dropout: share of rays that come back with nothing [1].

    Raises:
        BodiesError: a number is out of range.
    """

    name: str
    mount: Mount
    fan: Fan
    near: float = 0.0
    far: float = math.inf
    noise: float = 0.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.near < self.far:
            text = f"near must be in [0, far), got {self.near} and {self.far} m"
            raise BodiesError(f"{self.mount.path}: {text}", "sensor")
        if not (0 <= self.noise < math.inf and 0 <= self.dropout <= 1):
            text = f"noise is not negative, dropout in [0, 1], got {self.noise} m, {self.dropout}"
            raise BodiesError(f"{self.mount.path}: {text}", "sensor")

    def __call__(self, system: BodiesSystem) -> Rays:
        """Make it for an engine."""
        return Rays(self, system)


class Rays:
    """A sensor in every world of an engine.

    It looks when it is asked to, between two frames; its count of scans, which its noise
    follows, is part of the engine's state.

    Attributes:
        plan: what it was made from.
        ranges, shapes: the newest scan on the device, as of Scan.
    """

    def __init__(self, plan: RaySensor, system: BodiesSystem) -> None:
        self.plan = plan
        self._system = system
        self._context = context = system.context
        scene, device, count = system.plan.scene, context.device, plan.fan.count
        if plan.mount.body and plan.mount.body not in scene.bodies:
            raise BodiesError(f"{plan.mount.body}: no body below {scene.root}", "sensor")
        total = context.worlds * count
        self._body = scene.bodies[plan.mount.body] if plan.mount.body else -1
        self._pose = wp.transform(*plan.mount.pose)
        self._fan: wp.array[Any] = wp.array(
            plan.fan.directions.astype(np.float32), dtype=wp.vec3, device=device
        )
        worlds = np.repeat(np.arange(context.worlds, dtype=np.int32), count)
        self._worlds: wp.array[Any] = wp.array(worlds, dtype=wp.int32, device=device)
        self._origins: wp.array[Any] = wp.zeros(total, dtype=wp.vec3, device=device)
        self._aims: wp.array[Any] = wp.zeros(total, dtype=wp.vec3, device=device)
        self._distances: wp.array[Any] = wp.zeros(total, dtype=wp.float32, device=device)
        self._hits: wp.array[Any] = wp.zeros(total, dtype=wp.int32, device=device)
        shape = (context.worlds, count)
        self.ranges: wp.array[Any] = wp.zeros(shape, dtype=wp.float32, device=device)
        self.shapes: wp.array[Any] = wp.zeros(shape, dtype=wp.int32, device=device)
        self._scans: wp.array[Any] = wp.zeros(context.worlds, dtype=wp.int32, device=device)
        self._memory = ArrayMemory({"scans": self._scans}, context.worlds)
        self._graph: Any = None
        self._names = {index: path for path, index in scene.shapes.items()}

    def scan(self) -> Scan:
        """Look now, and return what was seen."""
        self.look()
        return Scan(host_copy(self.ranges), host_copy(self.shapes))

    def look(self) -> None:
        """Look now; what was seen stays on the device."""
        if self._graph is None:
            kept = host_copy(self._scans)
            state, model = self._system.state, self._system.model
            model.bvh_build_shapes(state, shape_flags=_SEEN)
            self._launch()  # loads the kernels, which no capture may hold
            self._scans.assign(kept)
            with wp.ScopedCapture(device=self._context.device) as capture:
                self._launch()
            self._graph = capture.graph
        wp.capture_launch(self._graph)

    def path(self, shape: int) -> str:
        """Return the prim of a shape that was hit; empty for nothing."""
        return self._names.get(shape, "")

    @property
    def paths(self) -> Mapping[int, str]:
        """Prims by shape: what the numbers of a scan mean."""
        return self._names

    def _launch(self) -> None:
        system, plan, context = self._system, self.plan, self._context
        model, state, device = system.model, system.state, context.device
        shape = (context.worlds, plan.fan.count)
        model.bvh_refit_shapes(state)
        wp.launch(
            aim_rays,
            dim=shape,
            inputs=[
                self._body,
                int(model.body_count) // context.worlds,
                self._pose,
                plan.near,
                self._fan,
                state.body_q,
            ],
            outputs=[self._origins, self._aims],
            device=device,
        )
        newton.intersect_ray(
            model,
            ray_origins=self._origins,
            ray_directions=self._aims,
            ray_worlds=self._worlds,
            out_dist=self._distances,
            out_shape_id=self._hits,
            fast_math=False,
        )
        wp.launch(
            read_rays,
            dim=shape,
            inputs=[
                self._distances,
                self._hits,
                int(model.shape_count) // context.worlds,
                plan.near,
                plan.far,
                plan.noise,
                plan.dropout,
                zlib.crc32(plan.name.encode()) & 0xFFFFFF,
                context.seeds,
                self._scans,
            ],
            outputs=[self.ranges, self.shapes],
            device=device,
        )
        wp.launch(count_scan, dim=context.worlds, outputs=[self._scans], device=device)

    # -- as a hook of bodies

    def launch(self, state: Any, control: Any, dt: float) -> None:
        """See BodyHook: it does nothing to bodies."""

    def save(self) -> Saved:
        """See BodyHook."""
        return self._memory.save()

    def load(self, saved: Saved) -> None:
        """See BodyHook."""
        self._memory.load(saved)


_SEEN = newton.ShapeFlags.VISIBLE | newton.ShapeFlags.COLLIDE_SHAPES
"""A collider is seen too: a stage may have nothing else."""


def sensor_of(system: BodiesSystem, name: str) -> Rays:
    """Return a sensor of an engine.

    Raises:
        BodiesError: the plan has none of that name.
    """
    for hook in system.hooks:
        if isinstance(hook, Rays) and hook.plan.name == name:
            return hook
    raise BodiesError(f"{system.name}: no sensor {name}", "sensor")
