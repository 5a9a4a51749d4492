"""What can be commanded, and everything that a command has to pass, as clients see it."""

from __future__ import annotations

import json
import math
from typing import Any

from stagetwin.bindings import BindingTable, CommandBinding, CommandParameter, is_below
from stagetwin.commands import Target, map_of, prim_of
from stagetwin.service._desk import Desk
from stagetwin.service._target_guards import guards_said
from stagetwin.service._visible import Visible
from stagetwin.twin import Twin
from stagetwin.values import Bound, plain

__all__ = ["TargetRows"]

Row = dict[str, Any]


class TargetRows:
    """Rows of the commands that whoever asks may see."""

    def __init__(self, twin: Twin, visible: Visible) -> None:
        self._twin, self._visible = twin, visible

    def below(self, prim: str, desk: Desk | None) -> list[Row]:
        """Return the rows at or below a path; without a desk, as the guards have them."""
        self._visible.roots()
        table = self._twin.guarded
        if table is None:
            return []
        found: list[tuple[CommandBinding, Target | None]]
        if desk is not None:
            found = [(t.binding, t) for t in desk.path.targets.below(prim)]
        else:
            found = [(b, None) for b in table.commands if is_below(b.path, prim)]
        reads = self._visible.reads
        return [self._row(table, b, t, desk) for b, t in found if reads(b.path)]

    def _row(
        self,
        table: BindingTable,
        binding: CommandBinding,
        target: Target | None,
        desk: Desk | None,
    ) -> Row:
        asset = table.assets.get(binding.asset)
        level = asset.level if asset is not None else "model"
        if binding.asset in self._twin.demoted:
            level = "shadow"
        inputs = desk.path.inputs if desk is not None else None
        attr = self._twin.stage.GetAttributeAtPath(binding.target)
        return {
            "path": binding.path,
            "prim": binding.prim,
            "command": binding.signal,
            "label": attr.GetDisplayName() if attr else "",
            "type": binding.type_name,
            "unit": binding.unit,
            "min": _bound(binding.limits.hard_min),
            "max": _bound(binding.limits.hard_max),
            "desired": plain(target.desired[0]) if target is not None else None,
            "request": target.desired[1] if target is not None else "",
            "reported": self._reported(binding, desk),
            "revision": target.revision if target is not None else 0,
            "approval": binding.approval,
            "publish": binding.publish,
            "debounce": binding.debounce,
            "policy": binding.policy_class,
            "operation": binding.operation,
            "parameters": [_parameter(each) for each in binding.parameters],
            **_place(table, binding, target),
            "readback": binding.readback,
            "safe": binding.safe,
            "level": level,
            "realm": table.connections[binding.connection].realm,
            "connection": binding.connection,
            "status": target.status if target is not None else "idle",
            "cause": target.cause if target is not None else "",
            **guards_said(binding, asset, inputs, self._visible.reads),
        }

    def _reported(self, binding: CommandBinding, desk: Desk | None) -> Any:
        if desk is None or not binding.readback or not self._visible.reads(binding.readback):
            return None
        known = desk.path.inputs.one(binding.readback)
        return known.value if known is not None else None


def _place(table: BindingTable, binding: CommandBinding, target: Target | None) -> Row:
    """Return the prims of the map in which a command names a place, and of the place desired."""
    road_map = map_of(table.connections[binding.connection], binding)
    if road_map is None:
        return {"map": "", "goal": ""}
    desired = target.desired[0] if target is not None else None
    by_prim = target.place if target is not None else ""
    return {"map": road_map.prim, "goal": by_prim or prim_of(road_map, desired)}


def _parameter(parameter: CommandParameter) -> Row:
    limits, default = parameter.limits, parameter.default
    return {
        "name": parameter.name,
        "type": parameter.type_name,
        "min": _bound(limits.hard_min),
        "max": _bound(limits.hard_max),
        "tokens": list(parameter.tokens),
        "default": json.loads(default) if default else None,
    }


def _bound(bound: Bound) -> float | None:
    return bound if isinstance(bound, (int, float)) and math.isfinite(bound) else None
