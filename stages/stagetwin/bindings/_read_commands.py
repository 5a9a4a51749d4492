"""Reading one command."""

from __future__ import annotations

from typing import Any

from pxr import Usd

from stagetwin._authoring import declared_value, declaring_spec
from stagetwin._errors import TemplateError, WireError
from stagetwin.actuation import CommandProtocol
from stagetwin.bindings._attributes import COMMAND, attribute_limits
from stagetwin.bindings._model import CommandBinding, CommandParameter, Limits
from stagetwin.bindings._scope import Scope, Skip
from stagetwin.bindings._shared import Shared, checked_kind, read_shared
from stagetwin.bindings._templates import Variables, resolve
from stagetwin.values import json_text, plain, stage_value, value_type

__all__ = ["read_command"]

_MOST_PARAMETERS = 32
"""Parameters of one command."""


def read_command(scope: Scope, prim: Usd.Prim, name: str) -> None:
    """Add a command to the table; raises Skip with its problems reported."""
    shared = read_shared(scope, prim, name, COMMAND, "desired")
    values = shared.values
    if not values["address"]:
        raise scope.fail(prim, name, "no-address", "a command needs an address")
    if values["targetId"] >= 0:
        raise scope.fail(
            prim, name, "target-element", "a command sets a whole attribute, no element of an array"
        )
    variables = Variables(prim, name)
    try:
        address, field = (resolve(values[key], variables) for key in ("address", "field"))
    except TemplateError as error:
        raise scope.fail(prim, name, "template", str(error)) from None
    type_name = str(shared.type)
    tokens = _tokens(scope, prim, name, shared.attr)
    checked_kind(scope, prim, name, shared, type_name)
    readback = _related(scope, prim, name, "readback")
    if len(readback) > 1:
        raise scope.fail(prim, name, "readback", "readback must be one property at most")
    binding = CommandBinding(
        prim=str(prim.GetPath()),
        asset=str(scope.asset_of(prim).GetPath()),
        signal=name,
        connection=shared.connection,
        address=address,
        field=field,
        encoding=values["encoding"],
        unit=values["unit"],
        scale=values["scale"],
        offset=values["offset"],
        target=str(shared.attr.GetPath()),
        element=values["targetId"],
        type_name=type_name,
        limits=shared.limits,
        rate_limit=values["rateLimit"],
        policy_class=values["policyClass"],
        approval=values["approval"],
        permissives=_related(scope, prim, name, "permissives"),
        readback=readback[0] if readback else "",
        expiry=values["expiry"],
        settle_time=values["settleTime"],
        dwell=values["dwell"],
        tolerance=values["tolerance"],
        publish=values["publish"],
        debounce=values["debounce"],
        operation=values["operation"],
        wire_type=values["wireType"],
        safe=_safe(scope, prim, name, shared, type_name, tokens),
        tokens=tokens,
        rehearsal=values["rehearsal"],
        rehearsal_horizon=values["rehearsalHorizon"],
        rehearsal_budget=values["rehearsalBudget"],
        parameters=_parameters(scope, prim, name),
    )
    _check_units(scope, prim, name, binding)
    _check_rehearsal(scope, prim, name, binding)
    _check_protocol(scope, prim, name, shared, binding)
    other = scope.commanded.setdefault(binding.target, binding.path)
    if other != binding.path:
        text = f"{binding.target} is the value of {other} already"
        raise scope.fail(prim, name, "commanded-twice", text)
    scope.table.commands.append(binding)


def _check_protocol(
    scope: Scope, prim: Usd.Prim, name: str, shared: Shared, binding: CommandBinding
) -> None:
    if not isinstance(shared.protocol, CommandProtocol):
        message = f"the protocol of connection {shared.connection!r} carries no commands"
        raise scope.fail(prim, name, "no-command-protocol", message)
    if binding.parameters and not getattr(shared.protocol, "parameters", False):
        text = f"the protocol of connection {shared.connection!r} carries no parameters"
        raise scope.fail(prim, name, "parameter", text)
    wrong = shared.protocol.check_command(binding.wire())
    for message in wrong:
        scope.report(prim, name, "address", message)
    if wrong:
        raise Skip


def _check_units(scope: Scope, prim: Usd.Prim, name: str, binding: CommandBinding) -> None:
    """Refuse a command whose read-back would prove it in another unit: nothing converts."""
    for readback in scope.driven.get(binding.readback, ()):
        if readback.unit != binding.unit:
            raise scope.fail(
                prim,
                name,
                "readback-unit",
                f"commanded in {binding.unit!r}, but {readback.path} is read back in "
                f"{readback.unit!r}: nothing converts",
            )


def _check_rehearsal(scope: Scope, prim: Usd.Prim, name: str, binding: CommandBinding) -> None:
    """Warn where a rehearsal ends before the machine is where it was commanded: none can hold."""
    if binding.rehearsal == "required" and binding.rehearsal_horizon < binding.settle_time:
        text = (
            f"rehearsalHorizon must be at least settleTime, {binding.settle_time:g} s, got "
            f"{binding.rehearsal_horizon:g} s: no rehearsal can hold"
        )
        scope.report(prim, name, "rehearsal-horizon", text)


def _parameters(scope: Scope, prim: Usd.Prim, name: str) -> tuple[CommandParameter, ...]:
    """Return what a request may say beside the value; one that cannot be read stops the command."""
    start = f"{COMMAND.prefix}:{name}:parameter"
    found: list[CommandParameter] = []
    for prop in prim.GetAuthoredPropertiesInNamespace(start):
        key = prop.GetName()[len(start) + 1 :]
        if not isinstance(prop, Usd.Attribute):
            raise scope.fail(prim, name, "parameter", f"{prop.GetPath()} is no attribute")
        spec = declaring_spec(prop, scope.ignored)
        if spec is not None:
            found.append(_parameter(scope, prim, name, key, prop, str(spec.typeName)))
    if len(found) > _MOST_PARAMETERS:
        text = f"a command has at most {_MOST_PARAMETERS} parameters, got {len(found)}"
        raise scope.fail(prim, name, "parameter", text)
    return tuple(sorted(found, key=lambda each: each.name))


def _parameter(
    scope: Scope, prim: Usd.Prim, name: str, key: str, attr: Usd.Attribute, type_name: str
) -> CommandParameter:
    kind = value_type(type_name)
    if kind is None:
        text = f"{attr.GetPath()} is a {type_name}, which cannot be sent"
        raise scope.fail(prim, name, "parameter", text)
    wrong: list[tuple[str, str]] = []
    limits = attribute_limits(attr, lambda code, text: wrong.append((code, text)))
    for code, text in wrong:
        raise scope.fail(prim, name, code, text)
    if limits != Limits() and not kind.scalable:
        text = f"{attr.GetPath()} has limits {limits}, which have no meaning for a {type_name}"
        raise scope.fail(prim, name, "parameter", text)
    tokens = _tokens(scope, prim, name, attr)
    said = declared_value(attr, scope.ignored)
    default = "" if said is None else json_text(plain(said))
    try:
        if default:
            stage_value(type_name, plain(said), limits.hard_min, limits.hard_max, tokens)
    except WireError as error:
        text = f"{attr.GetPath()}: its default cannot be sent: {error}"
        raise scope.fail(prim, name, "parameter", text) from None
    return CommandParameter(
        name=key, type_name=type_name, limits=limits, tokens=tokens, default=default
    )


def _tokens(scope: Scope, prim: Usd.Prim, name: str, attr: Usd.Attribute) -> tuple[str, ...]:
    """Return the texts that an attribute may have: those that all layers allow."""
    key = "allowedTokens"
    said: list[Any] = [attr.GetMetadata(key)]
    said += [spec.GetInfo(key) for spec in attr.GetPropertyStack()]
    lists = [[str(token) for token in tokens] for tokens in said if tokens]
    if not lists:
        return ()
    allowed = tuple(token for token in lists[0] if all(token in each for each in lists))
    if not allowed:
        text = f"{attr.GetPath()}: no token is allowed by all layers"
        raise scope.fail(prim, name, "tokens", text)
    return allowed


def _safe(
    scope: Scope,
    prim: Usd.Prim,
    name: str,
    shared: Shared,
    type_name: str,
    tokens: tuple[str, ...],
) -> str:
    """Return the value to fall back to as JSON; one that could not be sent is none."""
    attr = prim.GetAttribute(f"{COMMAND.prefix}:{name}:safe")
    authored = attr.Get() if attr else None
    if authored is None:
        return ""
    value = plain(authored)
    try:
        stage_value(type_name, value, shared.limits.hard_min, shared.limits.hard_max, tokens)
    except WireError as error:
        raise scope.fail(prim, name, "safe", f"the safe value cannot be sent: {error}") from None
    return json_text(value)


def _related(scope: Scope, prim: Usd.Prim, name: str, rel_name: str) -> tuple[str, ...]:
    rel = prim.GetRelationship(f"{COMMAND.prefix}:{name}:{rel_name}")
    paths = rel.GetForwardedTargets() if rel else []
    for path in paths:
        scope.checked_target(prim, name, path)
    return tuple(str(path) for path in paths)
