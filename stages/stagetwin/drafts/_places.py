"""Where the prims are whose place a command asks for: stations, nodes and markers on the mirror."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin.values import plain

__all__ = ["Places"]

Row = Mapping[str, Any]

_ON_MAPS = ("TwinStationAPI", "TwinNodeAPI")


class Places:
    """Finds the place prims of commands on the editor's stage.

    Which node a place means is for the service to say, by the map that guards the command.

    Args:
        stage: the mirror.
        layer: the draft layer.
    """

    def __init__(self, stage: Usd.Stage, layer: Sdf.Layer) -> None:
        self._stage, self._layer = stage, layer

    def followers(self, prim: str, rows: Mapping[str, Row]) -> dict[str, bool]:
        """Return the commands whose place lies at or below a prim that was moved.

        The value tells whether the draft may be published by resting: a station or node is the
        plant's, and moving it is more than to send one vehicle, so that waits for a person.

        Args:
            prim: path of what was moved.
            rows: the service's targets, by command.
        """
        found: dict[str, bool] = {}
        moved = Sdf.Path(prim)
        for command, row in rows.items():
            if not row.get("map"):
                continue
            place = self._place_of(command, row)
            whole = Sdf.Path(row["map"])
            if place is None or not place.HasPrefix(moved):
                continue
            if not (place.HasPrefix(whole) and whole.HasPrefix(moved)):  # moved as a whole: nothing
                found[command] = not self._is_on_map(place)
        return found

    def value(self, command: str, row: Row | None) -> tuple[dict[str, Any], str]:
        """Return a command's place as it is requested, and why it has none; empty where it has."""
        if row is None or not row.get("map"):
            text = f"{command} is no command that the service knows to take a place of a map"
            return {"prim": ""}, text
        path = self._place_of(command, row)
        named: dict[str, Any] = {"prim": str(path or "")}
        prim = self._stage.GetPrimAtPath(path) if path is not None else None
        if not prim or not prim.IsA("Xformable"):
            return named, f"{path or 'nothing'} has no place that {command} could ask for"
        floor = self._stage.GetPrimAtPath(row["map"])
        if not floor:
            return named, f"the map {row['map']} is not on this stage"
        x, y, theta = _in_frame(prim, floor)
        if not all(map(math.isfinite, (x, y, theta))):
            return named, f"{path} has no place in the map {row['map']}: one of them is flattened"
        return {**named, "x": x, "y": y, "theta": theta}, ""

    def named_beneath(self, path: str) -> str:
        """Return what a relationship names without the draft layer; empty for nothing."""
        rel = self._stage.GetPropertyAtPath(path)
        for spec in rel.GetPropertyStack(Usd.TimeCode.Default()) if rel else []:
            if spec.layer != self._layer and isinstance(spec, Sdf.RelationshipSpec):
                return " ".join(map(str, spec.targetPathList.GetAddedOrExplicitItems()))
        return ""

    def parameters(self, command: str) -> dict[str, Any]:
        """Return what the draft layer says beside a command's value, by key."""
        prim, _, name = command.rpartition(".")
        start = f"twin:command:{name}:parameter:"
        spec = self._layer.GetPrimAtPath(prim)
        said = {
            each.name.removeprefix(start): plain(each.default)
            for each in (spec.attributes if spec is not None else ())
            if each.name.startswith(start) and each.HasDefaultValue()
        }
        return {key: value for key, value in said.items() if value is not None}

    def _place_of(self, command: str, row: Row) -> Sdf.Path | None:
        """Return the prim whose place a command asks for.

        A marker always is. A station or node that the plant names is until another is desired.
        """
        prim, _, name = command.rpartition(".")
        path = f"{prim}.twin:command:{name}:place"
        rel = self._stage.GetRelationshipAtPath(path)
        named = rel.GetForwardedTargets() if rel else []
        goal = Sdf.Path(row["goal"]) if row.get("goal") else None
        if len(named) != 1:
            return goal
        drafted = self._layer.GetRelationshipAtPath(path) is not None
        follows = drafted or goal is None or not self._is_on_map(named[0])
        return Sdf.Path(named[0]) if follows else goal

    def _is_on_map(self, path: Sdf.Path) -> bool:
        prim = self._stage.GetPrimAtPath(path)
        applied = prim.GetPrimTypeInfo().GetAppliedAPISchemas() if prim else ()
        return any(api in _ON_MAPS for api in applied)


def _in_frame(prim: Usd.Prim, floor: Usd.Prim) -> tuple[float, float, float]:
    """Return x, y [m] and the heading [rad] of a prim in the frame of a map's prim.

    As `stagetwin.maps.MapFrame` has it, which needs more than an editor's Python may have.
    """
    cache = UsdGeom.XformCache(Usd.TimeCode.EarliestTime())
    world = cache.GetLocalToWorldTransform(floor)
    if not abs(world.GetDeterminant()) > 0.0:
        return math.nan, math.nan, math.nan
    matrix = cache.GetLocalToWorldTransform(prim) * world.GetInverse()
    stage = floor.GetStage()
    unit = Gf.Vec3d(world.GetRow3(0)).GetLength() * float(UsdGeom.GetStageMetersPerUnit(stage))
    flat = (0, 1) if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.y else (0, 2)
    # With y up, the map's y points along -z.
    left = 1.0 if flat == (0, 1) else -1.0
    at, ahead = matrix.ExtractTranslation(), matrix.TransformDir(Gf.Vec3d(1, 0, 0))
    x, y = float(at[0]) * unit, left * float(at[flat[1]]) * unit
    theta = math.atan2(left * float(ahead[flat[1]]), float(ahead[0]))
    return round(x, 9) + 0.0, round(y, 9) + 0.0, round(theta, 9) + 0.0
