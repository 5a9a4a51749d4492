"""Reading NVIDIA's prims for FMUs as models. What they name is read; no FMU is opened.

    FmuInstance   asset fmi:fmu, bool fmi:enabled
      FmuConnection   rel fmi:targets
        FmuMapping    fmi:fmuAttribute, fmi:usdAttribute, fmi:direction, int2 fmi:usdMapping

The prim types and attributes are those of `ovfmi` 0.2 (NVIDIA, 2026).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pxr import Usd

from stagetwin.bindings._model import ModelBinding
from stagetwin.bindings._scope import Scope

__all__ = ["FMU_PRIM", "fmu_name", "read_fmu_prim"]

FMU_PRIM = "FmuInstance"
"""Prim type of an FMU; its model has the name and the kind `fmu`."""


def fmu_name(variable: str) -> str:
    """Return a variable's name with everything that no USD name can hold turned into `_`."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", variable)
    return f"_{plain}" if plain[:1].isdigit() else plain


def read_fmu_prim(scope: Scope, prim: Usd.Prim) -> None:
    """Add the model of an FmuInstance to the table; a mapping that is wrong is left out."""
    if not _value(prim, "fmi:enabled", True):
        return
    if prim.IsInstanceProxy():
        text = "nothing below an instance root can carry a model"
        raise scope.fail(prim, "fmu", "below-instance", text)
    asset = _value(prim, "fmi:fmu", None)
    relations: dict[str, tuple[str, ...]] = {}
    for connection, mapping in _mappings(prim):
        targets = [str(t) for t in connection.GetRelationship("fmi:targets").GetTargets()]
        if wrong := _wrong(mapping, targets):
            scope.report(mapping, "", "fmu-mapping", wrong)
            continue
        side = "in" if _value(mapping, "fmi:direction", "") == "input" else "out"
        name = f"{side}:{fmu_name(str(_value(mapping, 'fmi:fmuAttribute', '')))}"
        attribute = _value(mapping, "fmi:usdAttribute", "")
        properties = tuple(f"{target}.{attribute}" for target in targets)
        if name in relations and side == "in":
            message = f"{name.partition(':')[2]} is fed twice"
            scope.report(mapping, "", "fmu-mapping", message)
            continue
        relations[name] = (*relations.get(name, ()), *properties)
    scope.table.models.append(
        ModelBinding(
            prim=str(prim.GetPath()),
            name="fmu",
            asset=str(scope.asset_of(prim).GetPath()),
            kind="fmu",
            file=str(asset.resolvedPath or asset.path) if asset else "",
            reads=(),
            writes=(),
            step=0.0,
            horizon=0.0,
            fidelity="",
            parameters={},
            relations=relations,
        )
    )


def _mappings(prim: Usd.Prim) -> Iterator[tuple[Usd.Prim, Usd.Prim]]:
    for connection in prim.GetChildren():
        if connection.GetTypeName() == "FmuConnection":
            for mapping in connection.GetChildren():
                if mapping.GetTypeName() == "FmuMapping":
                    yield connection, mapping


def _wrong(mapping: Usd.Prim, targets: Sequence[str]) -> str:
    """Return why a mapping cannot be used, or empty."""
    direction = _value(mapping, "fmi:direction", "")
    if direction not in ("input", "output"):
        return f"fmi:direction must be input or output, got {direction!r}"
    for name in ("fmi:fmuAttribute", "fmi:usdAttribute"):
        if not _value(mapping, name, ""):
            return f"{name} is empty"
    if not targets or (direction == "input" and len(targets) > 1):
        wanted = "1 target" if direction == "input" else "at least 1 target"
        return f"an {direction} has {wanted} in fmi:targets, got {len(targets)}"
    part = tuple(_value(mapping, "fmi:usdMapping", (0, 1)))
    if part != (0, 1):
        return f"fmi:usdMapping must be (0, 1), one number, got {part}"
    return ""


def _value(prim: Usd.Prim, name: str, otherwise: Any) -> Any:
    value = prim.GetAttribute(name).Get() if prim.HasAttribute(name) else None
    return otherwise if value is None else value
