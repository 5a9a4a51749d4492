"""Reading one rule. Signals and commands are read before, so that a rule can be held to theirs."""

from __future__ import annotations

from pxr import Sdf, Usd

from stagetwin._errors import WireError
from stagetwin.bindings._attributes import RULE, check_numbers
from stagetwin.bindings._model import CommandBinding, RuleBinding, TelemetryBinding
from stagetwin.bindings._scope import Scope
from stagetwin.ports import ValueKind
from stagetwin.values import json_text, plain, stage_value

__all__ = ["read_rule"]

_ORDERED = (ValueKind.NUMBER, ValueKind.INTEGER)


def read_rule(scope: Scope, prim: Usd.Prim, name: str) -> None:
    """Add a rule to the table; raises Skip with its problems reported."""

    def report(code: str, message: str) -> None:
        scope.report(prim, name, code, message)

    before = len(scope.table.problems)
    values = RULE.read(prim, name, report)
    check_numbers(values, report)
    if len(scope.table.problems) > before:
        raise scope.fail(prim, name, "rule", "the rule does not run until the above is mended")
    signal = _signal(scope, prim, name)
    command = _command(scope, prim, name)
    kind = signal.value_type.kind
    if kind is ValueKind.COMPOSITE:
        text = f"{signal.path} is a {signal.type_name}; a rule judges numbers, booleans and text"
        raise scope.fail(prim, name, "rule-signal", text)
    if values["comparison"] in ("above", "below") and kind not in _ORDERED:
        text = f"a {signal.type_name} can be equal or unequal, not {values['comparison']}"
        raise scope.fail(prim, name, "rule-comparison", text)
    threshold = _authored(scope, prim, name, "threshold", signal)
    setpoint = _authored(scope, prim, name, "setpoint", command)
    scope.table.rules.append(
        RuleBinding(
            prim=str(prim.GetPath()),
            name=name,
            asset=str(scope.asset_of(prim).GetPath()),
            signal=signal.target,
            comparison=values["comparison"],
            threshold=threshold,  # type: ignore[arg-type]  # no composite gets here
            hold_for=values["holdFor"],
            command=command.path,
            setpoint=json_text(setpoint),
            urgent=values["urgency"] == "urgent",
        )
    )


def _one(scope: Scope, prim: Usd.Prim, name: str, rel_name: str) -> Sdf.Path:
    rel = prim.GetRelationship(f"{RULE.prefix}:{name}:{rel_name}")
    paths = rel.GetForwardedTargets() if rel else []
    if len(paths) != 1:
        text = f"{rel_name} must be exactly one property, got {len(paths)}"
        raise scope.fail(prim, name, f"rule-{rel_name}", text)
    return paths[0]


def _signal(scope: Scope, prim: Usd.Prim, name: str) -> TelemetryBinding:
    path = str(_one(scope, prim, name, "signal"))
    for binding in scope.table.telemetry.values():
        if binding.target == path and binding.element < 0:
            return binding
    raise scope.fail(prim, name, "rule-signal", f"{path} is driven by no signal that runs")


def _command(scope: Scope, prim: Usd.Prim, name: str) -> CommandBinding:
    path = str(_one(scope, prim, name, "command"))
    for binding in scope.table.commands:
        if binding.target == path:
            return binding
    raise scope.fail(prim, name, "rule-command", f"{path} belongs to no command that runs")


def _authored(
    scope: Scope, prim: Usd.Prim, name: str, which: str, of: TelemetryBinding | CommandBinding
) -> object:
    """Return the threshold or setpoint as plain data, once the other side can hold it."""
    attr = prim.GetAttribute(f"{RULE.prefix}:{name}:{which}")
    authored = attr.Get() if attr else None
    if authored is None:
        text = f"author {RULE.prefix}:{name}:{which} as a {of.type_name}, like {of.path}"
        raise scope.fail(prim, name, f"rule-{which}", text)
    value = plain(authored)
    try:
        tokens = of.tokens if isinstance(of, CommandBinding) else ()
        stage_value(of.type_name, value, of.limits.hard_min, of.limits.hard_max, tokens)
    except WireError as error:
        text = f"{which} does not fit {of.path}: {error}"
        raise scope.fail(prim, name, f"rule-{which}", text) from None
    return value
