"""NVIDIA's prims for FMUs, read as bindings of models.

    FmuInstance   asset fmi:fmu, bool fmi:enabled
      FmuConnection   rel fmi:targets
        FmuMapping    fmi:fmuAttribute, fmi:usdAttribute, fmi:direction, int2 fmi:usdMapping

The prim types and attributes are those of `ovfmi` 0.2 (NVIDIA, 2026).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stagetwin.bindings import ModelBinding, Problem
from stagetwin_sim.fmi._fmu import port_name

if TYPE_CHECKING:
    from pxr import Usd

__all__ = ["fmu_bindings"]


def fmu_bindings(stage: Usd.Stage, problems: list[Problem] | None = None) -> list[ModelBinding]:
    """Return the FMUs that are authored as FmuInstance prims.

    Args:
        stage: the plant's.
        problems: takes what is wrong; such a mapping is left out.
    """
    found = problems if problems is not None else []
    return [
        _binding(prim, found)
        for prim in stage.Traverse()
        if prim.GetTypeName() == "FmuInstance" and _value(prim, "fmi:enabled", True)
    ]


def _binding(prim: Usd.Prim, problems: list[Problem]) -> ModelBinding:
    path = str(prim.GetPath())
    asset = _value(prim, "fmi:fmu", None)
    relations: dict[str, tuple[str, ...]] = {}
    for connection, mapping in _mappings(prim):
        place = str(mapping.GetPath())
        targets = [str(t) for t in connection.GetRelationship("fmi:targets").GetTargets()]
        wrong = _wrong(mapping, targets)
        if wrong:
            problems.append(Problem(place, "", "fmu-mapping", wrong))
            continue
        side = "in" if _value(mapping, "fmi:direction", "") == "input" else "out"
        name = f"{side}:{port_name(str(_value(mapping, 'fmi:fmuAttribute', '')))}"
        attribute = _value(mapping, "fmi:usdAttribute", "")
        properties = tuple(f"{target}.{attribute}" for target in targets)
        if name in relations and side == "in":
            message = f"{name.partition(':')[2]} is fed twice"
            problems.append(Problem(place, "", "fmu-mapping", message))
            continue
        relations[name] = (*relations.get(name, ()), *properties)
    return ModelBinding(
        prim=path,
        name="fmu",
        asset=path,
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
