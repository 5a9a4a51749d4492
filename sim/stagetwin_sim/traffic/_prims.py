"""What stands for vehicles on a stage: prims of their own, or instances of a PointInstancer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pxr import Gf, Usd, UsdGeom

from stagetwin.maps import MapFrame
from stagetwin_sim._errors import TrafficError
from stagetwin_sim.traffic._system import Floats, VehiclePrim, pose_matrix

__all__ = ["to_world_of", "vehicles_of"]


def to_world_of(frame: MapFrame) -> Floats:
    """Return the map's frame in metres, z up, in the stage's world, for row vectors."""
    origin, x, y, z = (
        np.array(frame.world(*place)) for place in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    )
    made = np.eye(4)
    made[0, :3], made[1, :3], made[2, :3], made[3, :3] = x - origin, y - origin, z - origin, origin
    return made


def vehicles_of(
    stage: Usd.Stage, paths: Sequence[str], frame: MapFrame, to_world: Floats
) -> tuple[tuple[VehiclePrim, ...], list[tuple[float, float]]]:
    """Return what stands for each vehicle, and where that stands on the map [m].

    Args:
        stage: the plant.
        paths: of prims; a PointInstancer stands for as many vehicles as it has instances.
        frame: of the map.
        to_world: from the map's frame in metres to the stage's world, shape (4, 4).

    Raises:
        TrafficError: a prim has no place, or an instancer no instance.
    """
    cache = UsdGeom.XformCache(Usd.TimeCode.Default())
    found: list[VehiclePrim] = []
    places: list[tuple[float, float]] = []
    into_map = np.linalg.inv(to_world)
    for path in paths:
        prim = stage.GetPrimAtPath(path)
        if not prim or not UsdGeom.Xformable(prim):
            raise TrafficError(f"{path}: a vehicle's prim has a place")
        world = np.array(cache.GetLocalToWorldTransform(prim), np.float64)
        worlds: list[tuple[int, Floats]] = [(-1, world)]
        if prim.IsA("PointInstancer"):
            parent, reset = np.linalg.inv(world), False
            worlds = [(k, local @ world) for k, local in enumerate(_instances(prim))]
        else:
            reset = bool(UsdGeom.Xformable(prim).GetResetXformStack())
            above = np.array(cache.GetLocalToWorldTransform(prim.GetParent()))
            parent = np.eye(4) if reset else np.linalg.inv(above)
        for instance, here in worlds:
            # As it stands there, without where it stands: scale, and height above the floor.
            local = here @ into_map
            x, y = float(local[3, 0]), float(local[3, 1])
            theta = float(np.arctan2(local[0, 1], local[0, 0]))
            shape = np.asarray(
                here @ np.linalg.inv(pose_matrix(x, y, theta) @ to_world), np.float64
            )
            found.append(VehiclePrim(path, shape, np.asarray(parent, np.float64), reset, instance))
            places.append((x, y))
    return tuple(found), places


def _instances(prim: Usd.Prim) -> list[Floats]:
    """Return where the instances of a PointInstancer stand, in its frame, shape (4, 4) each."""
    instancer = UsdGeom.PointInstancer(prim)
    count = len(instancer.GetProtoIndicesAttr().Get() or ())
    positions = list(instancer.GetPositionsAttr().Get() or ())
    turns = list(instancer.GetOrientationsAttr().Get() or ())
    if not count or len(positions) != count or len(turns) not in (0, count):
        raise TrafficError(
            f"{prim.GetPath()}: positions must be as many as protoIndices, one at least, and "
            f"orientations too or none; got {len(positions)}, {count} and {len(turns)}"
        )
    made: list[Floats] = []
    for k, place in enumerate(positions):
        matrix = Gf.Matrix4d(1)
        if turns:
            matrix.SetRotate(Gf.Quatd(turns[k]))
        matrix.SetTranslateOnly(Gf.Vec3d(place))
        made.append(np.array(matrix, np.float64))
    return made
