"""Reading a stage once into a table of channels. One bad binding never stops the rest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pxr import Sdf, Usd

from stagetwin._errors import TemplateError, usd_message
from stagetwin.bindings._attributes import (
    COMMAND,
    TELEMETRY,
    SignalSchema,
    attribute_limits,
    check_numbers,
    declared_value,
    declaring_spec,
    unit_error,
)
from stagetwin.bindings._model import (
    BindingTable,
    ChannelIndex,
    CommandBinding,
    Limits,
    Severity,
    TelemetryBinding,
)
from stagetwin.bindings._scope import Scope, Skip, element_names, instance_root
from stagetwin.bindings._templates import Variables, placeholders, resolve
from stagetwin.ports import Protocol, ValueKind
from stagetwin.values import value_type

__all__ = ["BindingReading", "read_bindings"]

_STEP = 16
"""Prims or bindings between two looks at the time."""


def read_bindings(
    stage: Usd.Stage, index: ChannelIndex | None = None, ignored: Iterable[Sdf.Layer] = ()
) -> BindingTable:
    """Read every binding of a stage.

    Args:
        stage: composed stage; only read.
        index: where channels get their indices; a new one if None.
        ignored: layers that a twin writes; what only they say is no part of the plant.

    Returns:
        The good bindings, and a problem for each bad one.
    """
    reading = BindingReading(stage, index, ignored)
    reading.advance()
    return reading.table


class BindingReading:
    """A reading of a stage that may be done in steps, with ticks in between.

    Values may be written between steps. If the stage's structure changes, the reading is worthless
    and must be begun again.

    Args:
        stage: composed stage; only read.
        index: where channels get their indices; a new one if None.
        ignored: layers that a twin writes; what only they say is no part of the plant.
    """

    def __init__(
        self, stage: Usd.Stage, index: ChannelIndex | None = None, ignored: Iterable[Sdf.Layer] = ()
    ) -> None:
        self._scope = Scope(stage, frozenset(layer.identifier for layer in ignored))
        self._index = index if index is not None else ChannelIndex()
        self._driven: dict[tuple[str, int], TelemetryBinding] = {}
        self._steps = self._read()

    @property
    def table(self) -> BindingTable:
        """What was read; complete once `advance` returned True."""
        return self._scope.table

    def advance(self, budget: float = math.inf) -> bool:
        """Read on for about `budget` [s]; return whether all is read."""
        stop = time.perf_counter() + budget
        for count, _ in enumerate(self._steps):
            if count % _STEP == _STEP - 1 and time.perf_counter() > stop:
                return False
        return True

    def _read(self) -> Iterator[None]:
        prims: list[tuple[Usd.Prim, str, str]] = []
        # Listed at once: a range that is held while values are written would be at USD's mercy.
        everything = list(Usd.PrimRange.Stage(self._scope.stage, Usd.TraverseInstanceProxies()))
        for prim in everything:
            yield
            self._guarded(prim, "", lambda: self._read_prim(prim, prims))  # noqa: B023 - called at once
        # Connections may come after the assets that use them: bindings are resolved last.
        for prim, api, name in prims:
            yield
            read = self._read_telemetry if api == TELEMETRY.api else self._read_command
            self._guarded(prim, name, lambda: read(prim, name))  # noqa: B023 - called at once
        self._scope.table.problems.sort()

    def _guarded(self, prim: Usd.Prim, signal: str, read: Callable[[], None]) -> None:
        """Run one reading; whatever goes wrong with it is a problem of its own."""
        try:
            read()
        except Skip:
            pass  # reported where it was found
        except Exception as error:
            # A plant's layers and third parties' bridges hold surprises; one must cost one binding.
            text = f"cannot be read: {type(error).__name__}: {usd_message(error)}"
            self._scope.report(prim, signal, "unreadable", text)

    def _read_prim(self, prim: Usd.Prim, found: list[tuple[Usd.Prim, str, str]]) -> None:
        if prim.GetTypeName() == "TwinConnection":
            self._scope.read_connection(prim)
        for applied in prim.GetPrimTypeInfo().GetAppliedAPISchemas():
            api, _, name = applied.partition(":")
            if api == "TwinAssetAPI":
                self._scope.read_asset(prim)
            elif api in (TELEMETRY.api, COMMAND.api) and name:
                found.append((prim, api, name))
            elif api in (TELEMETRY.api, COMMAND.api):
                word = "signal" if api == TELEMETRY.api else "name"
                message = f"apply {api}:<{word}>, not {api} alone"
                self._scope.report(prim, "", "no-instance-name", message)

    # -- what telemetry and commands share

    def _shared(
        self, prim: Usd.Prim, signal: str, schema: SignalSchema, value_name: str
    ) -> _Shared:
        def report(code: str, message: str) -> None:
            self._scope.report(prim, signal, code, message)

        if prim.IsInstanceProxy():
            raise self._scope.fail(
                prim,
                signal,
                "below-instance",
                "nothing below an instance root can be driven; bind the instance root "
                f"{instance_root(prim).GetPath()}, or author instanceable = false there",
            )
        before = len(self._scope.table.problems)
        values = schema.read(prim, signal, report)
        check_numbers(values, report)
        if message := unit_error(values["unit"]):
            report("unit", message)
        connection, protocol = self._scope.connection_of(prim, values["connection"], signal)
        attr = self._scope.target_of(prim, signal, schema, value_name)
        limits = attribute_limits(attr, report)
        if any(p.severity is Severity.ERROR for p in self._scope.table.problems[before:]):
            raise Skip
        spec = declaring_spec(attr, self._scope.ignored)
        assert spec is not None  # or `target_of` had failed
        return _Shared(values, connection, protocol, attr, spec.typeName, limits)

    # -- telemetry

    def _read_telemetry(self, prim: Usd.Prim, signal: str) -> None:
        shared = self._shared(prim, signal, TELEMETRY, "value")
        values, defaults = shared.values, self._scope.defaults[shared.connection]
        address = values["address"] or defaults.address
        field = values["field"] or ("" if values["address"] else defaults.field)
        if not address:
            raise self._scope.fail(
                prim,
                signal,
                "no-address",
                f"author an address; connection {shared.connection!r} has no preset for one",
            )
        for element, instance in self._elements(prim, signal, shared, (address, field)):
            variables = Variables(prim, signal, {"instance": instance} if instance else None)
            try:
                resolved = [resolve(t, variables) for t in (address, field, defaults.availability)]
            except TemplateError as error:
                raise self._scope.fail(prim, signal, "template", str(error)) from None
            type_name = str(shared.type.scalarType if element >= 0 else shared.type)
            self._add_telemetry(prim, signal, shared, resolved, element, type_name)

    def _elements(
        self, prim: Usd.Prim, signal: str, shared: _Shared, templates: tuple[str, ...]
    ) -> Iterable[tuple[int, str]]:
        """Yield (array index, instance name) for each channel of the binding."""
        try:
            per_instance = any("instance" in placeholders(template) for template in templates)
        except TemplateError as error:
            raise self._scope.fail(prim, signal, "template", str(error)) from None
        target_id = shared.values["targetId"]
        if not per_instance and target_id < 0:
            return [(-1, "")]
        attr = shared.attr
        if not shared.type.isArray:
            raise self._scope.fail(
                prim,
                signal,
                "target-element",
                f"an element is named, but {attr.GetPath()} is a {shared.type}, no array",
            )
        length = len(declared_value(attr, self._scope.ignored) or ())
        names = element_names(attr, length)
        if length != len(names):
            self._scope.report(
                prim,
                signal,
                "not-seeded",
                f"{attr.GetPath()} has {length} elements, "
                f"{len(names)} are needed; the service seeds the missing ones",
            )
        if per_instance:
            return list(enumerate(names))
        if str(target_id) not in names:
            raise self._scope.fail(
                prim,
                signal,
                "target-element",
                f"targetId {target_id} is no element of {attr.GetPath()} (ids: "
                f"{', '.join(names[:8])}{', ...' if len(names) > 8 else ''})",
            )
        return [(names.index(str(target_id)), str(target_id))]

    def _add_telemetry(
        self,
        prim: Usd.Prim,
        signal: str,
        shared: _Shared,
        resolved: list[str],
        element: int,
        type_name: str,
    ) -> None:
        kind = self._checked_kind(prim, signal, shared, type_name)
        values = shared.values
        if values["deadband"] and not kind.numeric:
            raise self._scope.fail(
                prim, signal, "deadband", f"a deadband needs a number, not {type_name}"
            )
        binding = TelemetryBinding(
            prim=str(prim.GetPath()),
            asset=str(self._scope.asset_of(prim).GetPath()),
            signal=signal,
            connection=shared.connection,
            address=resolved[0],
            field=resolved[1],
            encoding=values["encoding"],
            unit=values["unit"],
            scale=values["scale"],
            offset=values["offset"],
            target=str(shared.attr.GetPath()),
            element=element,
            type_name=type_name,
            limits=shared.limits,
            deadband=values["deadband"],
            stale_after=values["staleAfter"],
            redundancy_group=values["redundancyGroup"],
            availability=resolved[2],
        )
        wrong = shared.protocol.check_channel(binding.channel(0))
        for message in wrong:
            self._scope.report(prim, signal, "address", message)
        if wrong:
            raise Skip
        other = self._driven.setdefault((binding.target, element), binding)
        if other is not binding and not (
            binding.redundancy_group
            and binding.redundancy_group == other.redundancy_group
            and binding.asset == other.asset
        ):
            raise self._scope.fail(
                prim,
                signal,
                "driven-twice",
                f"{binding.target} is driven by {other.path} already; alternatives of one "
                "asset share a redundancyGroup",
            )
        self._scope.table.telemetry[self._index.of(binding)] = binding

    def _checked_kind(
        self, prim: Usd.Prim, signal: str, shared: _Shared, type_name: str
    ) -> ValueKind:
        kind = value_type(type_name)
        if kind is None:
            raise self._scope.fail(
                prim,
                signal,
                "value-type",
                f"{shared.attr.GetPath()} is a {type_name}, which cannot be driven; numbers, "
                "booleans, text, vectors, quaternions, matrices and arrays of them can",
            )
        if kind.components and any(n != kind.components for n in shared.limits.sizes()):
            raise self._scope.fail(
                prim,
                signal,
                "limits",
                f"{shared.attr.GetPath()} has limits {shared.limits}; one number is expected, or "
                f"one for each component of a {type_name}: {kind.components}",
            )
        if not kind.scalable and (shared.values["scale"] != 1 or shared.values["offset"] != 0):
            raise self._scope.fail(
                prim, signal, "scale", f"scale and offset have no meaning for a {type_name}"
            )
        return kind.kind

    # -- commands

    def _read_command(self, prim: Usd.Prim, name: str) -> None:
        shared = self._shared(prim, name, COMMAND, "desired")
        values = shared.values
        if not values["address"]:
            raise self._scope.fail(prim, name, "no-address", "a command needs an address")
        variables = Variables(prim, name)
        try:
            address, field = (resolve(values[key], variables) for key in ("address", "field"))
        except TemplateError as error:
            raise self._scope.fail(prim, name, "template", str(error)) from None
        type_name = str(shared.type)
        self._checked_kind(prim, name, shared, type_name)
        readback = self._related(prim, name, "readback")
        if len(readback) > 1:
            raise self._scope.fail(prim, name, "readback", "readback must be one property at most")
        self._scope.table.commands.append(
            CommandBinding(
                prim=str(prim.GetPath()),
                asset=str(self._scope.asset_of(prim).GetPath()),
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
                permissives=self._related(prim, name, "permissives"),
                readback=readback[0] if readback else "",
                expiry=values["expiry"],
                settle_time=values["settleTime"],
                tolerance=values["tolerance"],
                publish=values["publish"],
                operation=values["operation"],
                wire_type=values["wireType"],
                safe=repr(prim.GetAttribute(f"{COMMAND.prefix}:{name}:safe").Get()),
            )
        )

    def _related(self, prim: Usd.Prim, name: str, rel_name: str) -> tuple[str, ...]:
        rel = prim.GetRelationship(f"{COMMAND.prefix}:{name}:{rel_name}")
        paths = rel.GetForwardedTargets() if rel else []
        for path in paths:
            self._scope.checked_target(prim, name, path)
        return tuple(str(path) for path in paths)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What telemetry and commands have in common, found for one binding."""

    values: dict[str, Any]
    connection: str
    protocol: Protocol
    attr: Usd.Attribute
    type: Sdf.ValueTypeName
    limits: Limits
