"""Recorded poses as time samples on a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pxr import Gf, Sdf, Tf, Usd, UsdGeom

from stagetwin._errors import MapError
from stagetwin.maps._frame import MapFrame

if TYPE_CHECKING:
    from stagetwin.maps._poses import Poses

__all__ = ["author_poses"]


def author_poses(
    target: Sdf.Layer | Usd.Stage, poses: Poses, path: str = "/Poses", *, map_path: str = ""
) -> list[str]:
    """Write recorded poses as time samples of one Xform for each vehicle.

    Time code 0 is the first pose of all; the layer's timeCodesPerSecond holds, and its start and
    end are set where they are not wider already.

    Args:
        target: a layer, or a stage whose edit target is written to.
        poses: what was recorded.
        path: of the prim above the vehicles.
        map_path: prim of the map in whose frame the poses are; empty is the stage's own, in metres.

    Returns:
        Paths of the vehicles' prims.

    Raises:
        MapError: there is no such map's prim, or the path is none.
    """
    layer = target.GetEditTarget().GetLayer() if isinstance(target, Usd.Stage) else target
    if not isinstance(target, Usd.Stage) and not layer.pseudoRoot.HasInfo("upAxis"):
        layer.pseudoRoot.SetInfo("upAxis", UsdGeom.Tokens.z)
        layer.pseudoRoot.SetInfo("metersPerUnit", 1.0)
    stage = target if isinstance(target, Usd.Stage) else Usd.Stage.Open(layer)
    where = Sdf.Path(path)
    if not (where.IsAbsolutePath() and where.IsPrimPath()):
        raise MapError(f"poses are written to the path of a prim such as /Poses, got {path}")
    root = UsdGeom.Xform.Define(stage, where)
    around = stage.GetPrimAtPath(map_path) if map_path else stage.GetPseudoRoot()
    if not around:
        raise MapError(f"there is no prim {map_path} on the stage")
    frame = MapFrame(around)
    to_parent = UsdGeom.XformCache().GetLocalToWorldTransform(root.GetPrim()).GetInverse()
    begin, end = poses.span()
    rate = stage.GetTimeCodesPerSecond()
    paths: list[str] = []
    taken: set[str] = set()
    for name, track in poses.tracks.items():
        safe = base = Tf.MakeValidIdentifier(name)
        number = 2
        while safe in taken:
            safe, number = f"{base}_{number}", number + 1
        taken.add(safe)
        xform = UsdGeom.Xform.Define(stage, where.AppendChild(safe))
        xform.ClearXformOpOrder()
        op = xform.AddTransformOp(opSuffix="recorded")
        with Sdf.ChangeBlock():
            attr = op.GetAttr()
            for time, (x, y, theta) in zip(track.times.tolist(), track.poses.tolist(), strict=True):
                matrix = Gf.Matrix4d(frame.pose(x, y, theta) * to_parent)
                attr.Set(matrix, Usd.TimeCode((time - begin) * rate))
        paths.append(str(xform.GetPath()))
    last = (end - begin) * rate
    if not layer.pseudoRoot.HasInfo("endTimeCode") or layer.endTimeCode < last:
        layer.endTimeCode = last
    if not layer.pseudoRoot.HasInfo("startTimeCode") or layer.startTimeCode > 0:
        layer.startTimeCode = 0.0
    return paths
