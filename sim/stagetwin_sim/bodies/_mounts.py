"""Places on bodies: where a tool works, where a sensor looks from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pxr import Usd, UsdGeom

from stagetwin_sim._errors import BodiesError
from stagetwin_sim.bodies._poses import matrices, quaternion
from stagetwin_sim.bodies._scene import BodyScene

__all__ = ["Mount", "read_mount"]


@dataclass(frozen=True)
class Mount:
    """A place on a body, or in the world.

    Attributes:
        path: of the prim.
        body: path of the body that it is on, empty where it stands still.
        pose: in the body's frame, else in the world with Z up, (x, y, z, qx, qy, qz, qw) [m].
    """

    path: str
    body: str
    pose: tuple[float, ...]


def read_mount(stage: Usd.Stage, scene: BodyScene, path: str) -> Mount:
    """Read the place of a prim on the body that it lies below.

    Args:
        stage: as the scene was read from it.
        scene: with the bodies.
        path: of the prim.

    Raises:
        BodiesError: there is no such prim.
    """
    prim = stage.GetPrimAtPath(path)
    if not prim:
        raise BodiesError(f"{path}: there is no such prim", "mount")
    holder = prim
    while holder and str(holder.GetPath()) not in scene.bodies:
        holder = holder.GetParent()
    to_metres = np.linalg.inv(scene.frames.to_stage)
    cache = UsdGeom.XformCache(Usd.TimeCode.Default())
    local = np.array(cache.GetLocalToWorldTransform(prim)) @ to_metres
    body = str(holder.GetPath()) if holder else ""
    if body:
        held = matrices(np.array([list(scene.builder.body_q[scene.bodies[body]])]))[0]
        local = local @ np.linalg.inv(held)
    turn = local[:3, :3] / np.linalg.norm(local[:3, :3], axis=1, keepdims=True)
    return Mount(path, body, (*local[3, :3].tolist(), *quaternion(turn)))
