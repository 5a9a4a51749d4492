"""Reading one model. Signals and commands are read before, and it is held to them."""

from __future__ import annotations

import math
import re

from pxr import Sdf, Usd

from stagetwin._authoring import declaring_spec
from stagetwin.bindings._attributes import (
    MODEL,
    attribute_limits,
    check_numbers,
    property_at,
    unit_error,
)
from stagetwin.bindings._model import ModelBinding, ModelParameter, Severity
from stagetwin.bindings._scope import Scope, Skip, instance_root

__all__ = ["MODEL_OUTPUT", "read_model"]

MODEL_OUTPUT = re.compile(r"twin:model:([^:]+):out:[^:]+")
"""Property that only a model gives; its first group is the model's name."""

_OF_MODEL = re.compile(r"twin:model:([^:]+):.+")
_PARAMETER = "param:"
_TRACK = "track:"
_EXPECTED = re.compile(r"twin:telemetry:.+:value")


def read_model(scope: Scope, prim: Usd.Prim, name: str) -> None:
    """Add a model to the table; raises Skip with its problems reported."""

    def report(code: str, message: str) -> None:
        scope.report(prim, name, code, message)

    if prim.IsInstanceProxy():
        root = instance_root(prim).GetPath()
        text = f"nothing below an instance root can carry a model; author it on {root}"
        raise scope.fail(prim, name, "below-instance", text)
    before = len(scope.table.problems)
    values = MODEL.read(prim, name, report)
    check_numbers(values, report)
    if not values["kind"]:
        report("model-kind", f"author {MODEL.prefix}:{name}:kind, the name of an installed model")
    binding = ModelBinding(
        prim=str(prim.GetPath()),
        name=name,
        asset=str(scope.asset_of(prim).GetPath()),
        kind=values["kind"],
        file=_file(scope, prim, name),
        reads=_signals(scope, prim, name, "reads"),
        writes=_signals(scope, prim, name, "writes"),
        step=values["step"],
        horizon=values["horizon"],
        fidelity=values["fidelity"],
        parameters=_parameters(scope, prim, name),
        relations=_relations(scope, prim, name),
        tracked=_tracked(scope, prim, name),
    )
    if any(p.severity is Severity.ERROR for p in scope.table.problems[before:]):
        raise Skip
    scope.table.models.append(binding)


def _file(scope: Scope, prim: Usd.Prim, name: str) -> str:
    attr = prim.GetAttribute(f"{MODEL.prefix}:{name}:file")
    authored = attr.Get() if attr else None
    if authored is None or not authored.path:
        return ""
    if not authored.resolvedPath:
        text = f"{attr.GetName()}: there is no file {authored.path!r}, seen from its layer"
        scope.report(prim, name, "model-file", text)
    return str(authored.resolvedPath)


def _targets(prim: Usd.Prim, name: str, rel_name: str) -> list[Sdf.Path]:
    rel = prim.GetRelationship(f"{MODEL.prefix}:{name}:{rel_name}")
    return list(rel.GetForwardedTargets()) if rel else []


def _signals(scope: Scope, prim: Usd.Prim, name: str, rel_name: str) -> tuple[str, ...]:
    """Return the properties that a model reads or writes; reports those that are no signal's."""
    found: list[str] = []
    for path in _targets(prim, name, rel_name):
        known = str(path) in scope.driven
        if rel_name == "reads":
            # A model that fell back to a constant because a signal is broken would mislead.
            known = known or str(path) in scope.commanded
            what = "no signal and no command that runs"
        else:
            attr = property_at(scope.stage, path)
            own = attr is not None and declaring_spec(attr, scope.ignored) is not None
            known = known or (own and _EXPECTED.fullmatch(path.name) is not None)
            what = "no signal"
        if known:
            found.append(str(path))
        else:
            text = f"{rel_name} names {path}, which is the property of {what}"
            scope.report(prim, name, f"model-{rel_name}", text)
    return tuple(found)


def _parameters(scope: Scope, prim: Usd.Prim, name: str) -> dict[str, ModelParameter]:
    found: dict[str, ModelParameter] = {}
    for prop, key in _named(prim, name):
        if key.startswith(_PARAMETER) and isinstance(prop, Usd.Attribute):
            parameter = _parameter(scope, prim, name, prop)
            if parameter is not None:
                found[key.removeprefix(_PARAMETER)] = parameter
    return found


def _parameter(
    scope: Scope, prim: Usd.Prim, name: str, attr: Usd.Attribute
) -> ModelParameter | None:
    def report(code: str, message: str) -> None:
        scope.report(prim, name, code, message)

    value = attr.Get()
    if not isinstance(value, (bool, int, float)):
        text = (
            f"{attr.GetName()} must be a number or a bool, got {attr.GetTypeName()} {value!r:.60}"
        )
        report("model-parameter", text)
        return None
    unit = attr.GetCustomDataByKey("unit")
    if unit is not None and not isinstance(unit, str):
        report("unit", f"{attr.GetName()}: customData unit must be a string, got {unit!r:.60}")
        unit = None
    elif unit and (message := unit_error(unit)):
        report("unit", f"{attr.GetName()}: {message}")
    limits = attribute_limits(attr, report)
    low, high = limits.hard_min, limits.hard_max
    if not isinstance(low, float) or not isinstance(high, float):
        report("limits", f"{attr.GetName()} has limits {limits}; a number has one of each")
    elif not math.isfinite(value) or not low <= value <= high:
        text = f"{attr.GetName()} must be finite and in {limits} {unit or ''}".rstrip()
        report("model-parameter", f"{text}, got {value:g}")
    return ModelParameter(value=float(value), unit=unit or "", limits=limits)


def _tracked(scope: Scope, prim: Usd.Prim, name: str) -> dict[str, float]:
    """Return the parameters that are followed, and their tolerances; reports what is none."""
    found: dict[str, float] = {}
    for prop, key in _named(prim, name):
        if key.startswith(_TRACK) and isinstance(prop, Usd.Attribute):
            value = prop.Get()
            # A bool is an int to Python; NaN fails the comparison.
            if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1:
                found[key.removeprefix(_TRACK)] = float(value)
            else:
                text = f"{prop.GetName()} must be a number in (0, 1), a share, got {value!r:.60}"
                scope.report(prim, name, "model-track", text)
    return found


def _relations(scope: Scope, prim: Usd.Prim, name: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for prop, key in _named(prim, name):
        if key in MODEL.relationships or not isinstance(prop, Usd.Relationship):
            continue
        paths = list(prop.GetForwardedTargets())
        for path in paths:
            if not _is_there(scope, path):
                text = f"{key} names {path}, and there is nothing"
                scope.report(prim, name, "model-relation", text)
        found[key] = tuple(map(str, paths))
    return found


def _is_there(scope: Scope, path: Sdf.Path) -> bool:
    if not path.IsPropertyPath():
        return bool(scope.stage.GetPrimAtPath(path))
    if model := _OF_MODEL.fullmatch(path.name):
        # What a model gives, or an end of it that others name, need not be authored itself.
        prim = scope.stage.GetPrimAtPath(path.GetPrimPath())
        return bool(prim) and f"TwinModelAPI:{model[1]}" in prim.GetAppliedSchemas()
    return property_at(scope.stage, path) is not None


def _named(prim: Usd.Prim, name: str) -> list[tuple[Usd.Property, str]]:
    """Return the authored properties of a model, and their names within it."""
    prefix = f"{MODEL.prefix}:{name}"
    start = len(prefix) + 1
    return [(p, p.GetName()[start:]) for p in prim.GetAuthoredPropertiesInNamespace(prefix)]
