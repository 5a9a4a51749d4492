"""A fleet as a system of an engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.fleets import VehicleType
from stagetwin.maps import RoadMap
from stagetwin_sim.engine import Context, Saved, host_copy
from stagetwin_sim.traffic._fleet import FleetSimulation
from stagetwin_sim.traffic._options import FleetOptions

__all__ = ["FleetPlan", "FleetSystem", "VehiclePrim"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VehiclePrim:
    """The prim of a vehicle, or its instance of a PointInstancer.

    Attributes:
        path: of the prim.
        shape: from the prim to the vehicle's pose on the map, row vectors, shape (4, 4): how it is
            scaled, and how high above the floor it stands.
        parent: from the stage's world to the prim's parent, or the instancer, shape (4, 4).
        reset: whether its transform is of the world.
        instance: which instance it is; -1 for a prim of its own.
    """

    path: str
    shape: Floats
    parent: Floats
    reset: bool
    instance: int = -1


@dataclass(frozen=True, kw_only=True)
class FleetPlan:
    """What a fleet's system is made from.

    Attributes:
        name: unique in the plan.
        rate: steps of motion a second [Hz].
        road_map: the map.
        to_world: from the map's frame in metres to the stage's world, shape (4, 4).
        types: of vehicles.
        vehicles: prims or instances; their number is the fleet's.
        starts: nodes where they begin; None leaves it to the fleet.
        options: how the fleet works.
        columns: of the bus, by figure: `tasks`, `throughput`, `waiting`, `collisions`,
            `near_misses`, `deadlocks`.
    """

    name: str
    rate: float
    road_map: RoadMap
    to_world: Floats
    types: tuple[VehicleType, ...]
    vehicles: tuple[VehiclePrim, ...]
    starts: tuple[str, ...] | None
    options: FleetOptions
    columns: dict[str, int]

    @property
    def paths(self) -> Sequence[str]:
        """Of the prims of vehicles, in the order of poses."""
        return [each.path for each in self.vehicles]

    @property
    def resets(self) -> Sequence[bool]:
        """Whether a pose is of the world, by prim."""
        return [each.reset for each in self.vehicles]

    @property
    def instances(self) -> Sequence[int]:
        """Which instance of its prim each vehicle is; -1 for the prim itself."""
        return [each.instance for each in self.vehicles]

    def build(self, context: Context) -> FleetSystem:
        """See SystemPlan."""
        return FleetSystem(self, context)


class FleetSystem:
    """A fleet in every world of an engine; a System."""

    captured = False

    def __init__(self, plan: FleetPlan, context: Context) -> None:
        self.plan, self.context = plan, context
        self.name, self.rate = plan.name, plan.rate
        self.paths, self.resets, self.instances = plan.paths, plan.resets, plan.instances
        self._shapes = np.stack([each.shape for each in plan.vehicles])
        self._parents = np.stack([plan.to_world @ each.parent for each in plan.vehicles])
        seeds = host_copy(context.seeds).astype(np.int64).tolist()
        self.fleet = FleetSimulation(
            plan.road_map,
            plan.types,
            vehicles=len(plan.vehicles),
            worlds=context.worlds,
            seed=seeds,
            options=plan.options,
            starts=plan.starts,
            device=context.device,
        )
        self._give()

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        todo = substeps
        while todo > 0:
            todo -= self.fleet.advance(todo)
        self._give()

    def _give(self) -> None:
        """Put the figures of the fleet on the bus."""
        fleet, state, bus = self.fleet, self.fleet.motion.state, host_copy(self.context.bus)
        hours = max(fleet.time, 1e-9) / 3600
        done = np.array([len(record.done) for record in fleet.records], np.float64)
        times = fleet.counts.times.sum(axis=1)
        figures = {
            "tasks": done,
            "throughput": done / hours if fleet.time > 0 else done,
            "waiting": times[:, 1] / np.maximum(times.sum(axis=1), 1e-9),
            "collisions": host_copy(state.collisions).sum(axis=1),
            "near_misses": host_copy(state.near_misses).sum(axis=1),
            "deadlocks": np.array([len(record.deadlocks) for record in fleet.records]),
        }
        for name, column in self.plan.columns.items():
            bus[:, column] = figures[name]
        self.context.bus.assign(bus)

    def save(self) -> Saved:
        """See System."""
        return self.fleet.save()

    def load(self, saved: Saved) -> None:
        """See System."""
        self.fleet.load(saved)

    def poses(self, world: int = 0) -> Floats:
        """Return the transforms of the vehicles' prims, row vectors, shape (n, 16)."""
        x, y, theta = self.fleet.poses(world).T
        turned = np.tile(np.eye(4), (len(x), 1, 1))
        turned[:, 0, 0], turned[:, 0, 1] = np.cos(theta), np.sin(theta)
        turned[:, 1, 0], turned[:, 1, 1] = -turned[:, 0, 1], turned[:, 0, 0]
        turned[:, 3, 0], turned[:, 3, 1] = x, y
        found: Floats = (self._shapes @ turned @ self._parents).reshape(-1, 16)
        return found


def pose_matrix(x: float, y: float, theta: float) -> Floats:
    """Return a pose on the map as a matrix for row vectors, shape (4, 4)."""
    made: Any = np.eye(4)
    c, s = math.cos(theta), math.sin(theta)
    made[0, :2], made[1, :2] = (c, s), (-s, c)
    made[3, :2] = x, y
    return np.asarray(made, np.float64)
