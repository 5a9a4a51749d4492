"""What telemetry and commands have in common, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pxr import Sdf, Usd

from stagetwin._authoring import declaring_spec
from stagetwin.bindings._attributes import (
    SignalSchema,
    attribute_limits,
    check_numbers,
    unit_error,
)
from stagetwin.bindings._model import Limits, Severity
from stagetwin.bindings._scope import Scope, Skip, instance_root
from stagetwin.ports import Protocol, ValueKind
from stagetwin.values import value_type

__all__ = ["Shared", "checked_kind", "read_shared"]


@dataclass(frozen=True, slots=True)
class Shared:
    """What telemetry and commands have in common, found for one binding."""

    values: dict[str, Any]
    connection: str
    protocol: Protocol
    attr: Usd.Attribute
    type: Sdf.ValueTypeName
    limits: Limits


def read_shared(
    scope: Scope, prim: Usd.Prim, signal: str, schema: SignalSchema, value_name: str
) -> Shared:
    """Read what telemetry and commands have in common; raises Skip with its problems reported."""

    def report(code: str, message: str) -> None:
        scope.report(prim, signal, code, message)

    if prim.IsInstanceProxy():
        raise scope.fail(
            prim,
            signal,
            "below-instance",
            "nothing below an instance root can be driven; bind the instance root "
            f"{instance_root(prim).GetPath()}, or author instanceable = false there",
        )
    before = len(scope.table.problems)
    values = schema.read(prim, signal, report)
    check_numbers(values, report)
    if message := unit_error(values["unit"]):
        report("unit", message)
    connection, protocol = scope.connection_of(prim, values["connection"], signal)
    attr = scope.target_of(prim, signal, schema, value_name)
    limits = attribute_limits(attr, report)
    if any(p.severity is Severity.ERROR for p in scope.table.problems[before:]):
        raise Skip
    spec = declaring_spec(attr, scope.ignored)
    assert spec is not None  # or `target_of` had failed
    return Shared(values, connection, protocol, attr, spec.typeName, limits)


def checked_kind(
    scope: Scope, prim: Usd.Prim, signal: str, shared: Shared, type_name: str
) -> ValueKind:
    """Return what the wire value must be; raises Skip where type, limits or scale do not fit."""
    kind = value_type(type_name)
    if kind is None:
        raise scope.fail(
            prim,
            signal,
            "value-type",
            f"{shared.attr.GetPath()} is a {type_name}, which cannot be driven; numbers, "
            "booleans, text, vectors, quaternions, matrices and arrays of them can",
        )
    if kind.components and any(n != kind.components for n in shared.limits.sizes()):
        raise scope.fail(
            prim,
            signal,
            "limits",
            f"{shared.attr.GetPath()} has limits {shared.limits}; one number is expected, or "
            f"one for each component of a {type_name}: {kind.components}",
        )
    if not kind.scalable and shared.limits != Limits():
        # They would be compared with nothing, and guard nothing.
        raise scope.fail(
            prim,
            signal,
            "limits",
            f"{shared.attr.GetPath()} has limits {shared.limits}, which have no meaning for a "
            f"{type_name}",
        )
    if not kind.scalable and (shared.values["scale"] != 1 or shared.values["offset"] != 0):
        raise scope.fail(
            prim, signal, "scale", f"scale and offset have no meaning for a {type_name}"
        )
    return kind.kind
