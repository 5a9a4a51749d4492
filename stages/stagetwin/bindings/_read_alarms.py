"""Reading one alarm. Signals, commands and connections are read before, and it is held to them."""

from __future__ import annotations

import math
import re
from typing import Any

from pxr import Sdf, Usd

from stagetwin._errors import WireError
from stagetwin.bindings._attributes import ALARM, check_numbers, property_at
from stagetwin.bindings._model import AlarmBinding, ModelBinding, Severity, TelemetryBinding
from stagetwin.bindings._read_models import MODEL_OUTPUT
from stagetwin.bindings._scope import Scope, instance_root
from stagetwin.ports import ValueKind
from stagetwin.values import plain, stage_value, value_type

__all__ = ["read_alarm"]

_NUMBERS = (ValueKind.NUMBER, ValueKind.INTEGER)
_ABOVE = ("high", "high_high")
_EXPECTED = re.compile(r"(twin:telemetry:.+):(?:predicted|residual)")


def read_alarm(scope: Scope, prim: Usd.Prim, name: str) -> None:
    """Add an alarm to the table; raises Skip with its problems reported."""

    def report(code: str, message: str) -> None:
        scope.report(prim, name, code, message)

    if prim.IsInstanceProxy():
        root = instance_root(prim).GetPath()
        text = f"nothing below an instance root can carry an alarm; author it on {root}"
        raise scope.fail(prim, name, "below-instance", text)
    before = len(scope.table.problems)
    values = ALARM.read(prim, name, report)
    check_numbers(values, report)
    if any(p.severity is Severity.ERROR for p in scope.table.problems[before:]):
        raise scope.fail(prim, name, "alarm", "the alarm does not arise until that is mended")
    kind = values["kind"]
    signal, value, limit = "", None, math.nan
    if kind == "connection":
        signal = _connection(scope, prim, name)
    elif kind == "command":
        signal = _command(scope, prim, name)
    elif kind == "model":
        signal, limit = _given(scope, prim, name), _model_limit(scope, prim, name, values)
    elif kind != "device" or _targets(prim, name, "signal"):
        binding = _telemetry(scope, prim, name, "signal")
        signal = binding.target
        if kind == "limit":
            limit = _limit(scope, prim, name, values, binding)
        elif kind == "device":
            value = _value(scope, prim, name, binding)
    scope.table.alarms.append(
        AlarmBinding(
            prim=str(prim.GetPath()),
            name=name,
            asset=str(scope.asset_of(prim).GetPath()),
            kind=kind,
            signal=signal,
            side=values["side"] if kind in ("limit", "model") else "",
            limit=limit,
            hysteresis=values["hysteresis"],
            comparison=values["comparison"],
            value=value,
            on_delay=values["onDelay"],
            off_delay=values["offDelay"],
            active_while=_gate(scope, prim, name),
            priority=values["priority"],
            message=values["message"],
            advice=values["advice"],
        )
    )


def _targets(prim: Usd.Prim, name: str, rel_name: str) -> list[Sdf.Path]:
    rel = prim.GetRelationship(f"{ALARM.prefix}:{name}:{rel_name}")
    return list(rel.GetForwardedTargets()) if rel else []


def _one(scope: Scope, prim: Usd.Prim, name: str, rel_name: str) -> str:
    paths = _targets(prim, name, rel_name)
    if len(paths) != 1:
        text = f"{rel_name} must be exactly one property, got {len(paths)}"
        raise scope.fail(prim, name, f"alarm-{rel_name}", text)
    return str(paths[0])


def _connection(scope: Scope, prim: Usd.Prim, name: str) -> str:
    found = [c.name for c in scope.table.connections.values() if c.prim == str(prim.GetPath())]
    if not found:
        text = f"an alarm of kind connection lies on a TwinConnection, not on a {_type(prim)}"
        raise scope.fail(prim, name, "alarm-connection", text)
    return found[0]


def _type(prim: Usd.Prim) -> str:
    return str(prim.GetTypeName()) or "prim without a type"


def _command(scope: Scope, prim: Usd.Prim, name: str) -> str:
    path = _one(scope, prim, name, "signal")
    for binding in scope.table.commands:
        if binding.target == path:
            return binding.path
    raise scope.fail(prim, name, "alarm-signal", f"{path} belongs to no command that runs")


def _given(scope: Scope, prim: Usd.Prim, name: str) -> str:
    """Return the property that a model gives and an alarm judges."""
    path = Sdf.Path(_one(scope, prim, name, "signal"))
    output = MODEL_OUTPUT.fullmatch(path.name)
    if output is not None:
        place = f"{path.GetPrimPath()}.{output[1]}"
        if any(model.path == place for model in scope.table.models):
            return str(path)
        text = f"{path} belongs to no model that can run"
        raise scope.fail(prim, name, "alarm-signal", text)
    expected = _EXPECTED.fullmatch(path.name)
    if expected is None:
        text = (
            f"an alarm of kind model judges a predicted or residual of a signal, or an "
            f"out:<port> of a model, not {path}"
        )
        raise scope.fail(prim, name, "alarm-signal", text)
    value = path.ReplaceName(f"{expected[1]}:value")
    if any(_writes(model, value) for model in scope.table.models):
        attr = property_at(scope.stage, value)
        found = value_type(str(attr.GetTypeName())) if attr is not None else None
        if found is None or found.kind not in _NUMBERS:
            text = f"{value} is no number; a limit judges one"
            raise scope.fail(prim, name, "alarm-signal", text)
        return str(path)
    text = f"no model that can run writes {value}, so nothing is expected of it"
    raise scope.fail(prim, name, "alarm-signal", text)


def _writes(model: ModelBinding, value: Sdf.Path) -> bool:
    paths = set(model.writes)
    for relation, targets in model.relations.items():
        if relation.startswith("out:"):
            paths.update(targets)
    return str(value) in paths


def _model_limit(scope: Scope, prim: Usd.Prim, name: str, values: dict[str, Any]) -> float:
    limit = float(values["limit"])
    if not math.isfinite(limit):
        text = f"author {ALARM.prefix}:{name}:limit, a finite number, got {limit:g}"
        raise scope.fail(prim, name, "alarm-limit", text)
    return limit


def _telemetry(scope: Scope, prim: Usd.Prim, name: str, rel_name: str) -> TelemetryBinding:
    path = _one(scope, prim, name, rel_name)
    if found := scope.driven.get(path):
        return found[0]
    text = f"{path} is driven by no signal that runs"
    raise scope.fail(prim, name, f"alarm-{rel_name}", text)


def _gate(scope: Scope, prim: Usd.Prim, name: str) -> str:
    if not _targets(prim, name, "activeWhile"):
        return ""
    binding = _telemetry(scope, prim, name, "activeWhile")
    if binding.value_type.kind is not ValueKind.BOOLEAN or binding.element >= 0:
        text = f"activeWhile must be a bool signal, {binding.path} is a {binding.type_name}"
        raise scope.fail(prim, name, "alarm-activeWhile", text)
    return binding.target


def _limit(
    scope: Scope, prim: Usd.Prim, name: str, values: dict[str, Any], binding: TelemetryBinding
) -> float:
    """Return a limit that values can be beyond of and can come back from."""
    if binding.value_type.kind not in _NUMBERS:
        text = f"{binding.path} is a {binding.type_name}; a limit judges one number"
        raise scope.fail(prim, name, "alarm-signal", text)
    side, limit = values["side"], float(values["limit"])
    above = side in _ABOVE
    bounds = binding.limits
    soft, hard, other = (
        (bounds.soft_max, bounds.hard_max, bounds.hard_min)
        if above
        else (bounds.soft_min, bounds.hard_min, bounds.hard_max)
    )
    assert isinstance(soft, float)  # one number has one bound
    assert isinstance(hard, float)
    assert isinstance(other, float)
    if math.isnan(limit):
        if not math.isfinite(soft) or side not in ("high", "low"):
            text = f"author {ALARM.prefix}:{name}:limit; {binding.path} has no soft limit for it"
            raise scope.fail(prim, name, "alarm-limit", text)
        limit = soft
    if not math.isfinite(limit) or (limit >= hard if above else limit <= hard):
        text = (
            f"limit {limit:g} can never be passed: {binding.path} refuses values outside {bounds}"
        )
        raise scope.fail(prim, name, "alarm-limit", text)
    back = limit - values["hysteresis"] if above else limit + values["hysteresis"]
    if back < other if above else back > other:
        text = (
            f"hysteresis {values['hysteresis']:g} is so wide that the alarm could never end: "
            f"{binding.path} has values in {bounds}"
        )
        raise scope.fail(prim, name, "alarm-hysteresis", text)
    return limit


def _value(
    scope: Scope, prim: Usd.Prim, name: str, binding: TelemetryBinding
) -> bool | int | float | str:
    kind = binding.value_type.kind
    if kind is ValueKind.COMPOSITE:
        text = f"{binding.path} is a {binding.type_name}; a state is a boolean, a number or a text"
        raise scope.fail(prim, name, "alarm-signal", text)
    attr = prim.GetAttribute(f"{ALARM.prefix}:{name}:value")
    authored = attr.Get() if attr else None
    if authored is None:
        text = f"author {ALARM.prefix}:{name}:value as a {binding.type_name}, like {binding.path}"
        raise scope.fail(prim, name, "alarm-value", text)
    value = plain(authored)
    try:
        stage_value(binding.type_name, value, binding.limits.hard_min, binding.limits.hard_max, ())
    except WireError as error:
        text = f"value does not fit {binding.path}: {error}"
        raise scope.fail(prim, name, "alarm-value", text) from None
    checked: bool | int | float | str = value
    return checked
