"""Reading a stage once into a table of channels. One bad binding never stops the rest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator

from pxr import Sdf, Usd

from stagetwin._authoring import declared_value
from stagetwin._errors import TemplateError, usd_message
from stagetwin.bindings._attributes import ALARM, COMMAND, MODEL, RULE, TELEMETRY
from stagetwin.bindings._model import TelemetryBinding
from stagetwin.bindings._read_alarms import read_alarm
from stagetwin.bindings._read_commands import read_command
from stagetwin.bindings._read_fmus import FMU_PRIM, read_fmu_prim
from stagetwin.bindings._read_models import read_model
from stagetwin.bindings._read_rules import read_rule
from stagetwin.bindings._scope import Scope, Skip, element_names
from stagetwin.bindings._shared import Shared, checked_kind, read_shared
from stagetwin.bindings._table import BindingTable, ChannelIndex
from stagetwin.bindings._templates import Variables, placeholders, resolve
from stagetwin.maps import MAP_APIS, MapReading

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
        self._maps = MapReading(stage)
        self._driven: dict[tuple[str, int], TelemetryBinding] = {}
        self._readers: dict[str, Callable[[Usd.Prim, str], None]] = {
            TELEMETRY.api: self._read_telemetry,
            COMMAND.api: lambda prim, name: read_command(self._scope, prim, name),
            RULE.api: lambda prim, name: read_rule(self._scope, prim, name),
            MODEL.api: lambda prim, name: read_model(self._scope, prim, name),
            FMU_PRIM: lambda prim, _: read_fmu_prim(self._scope, prim),
            ALARM.api: lambda prim, name: read_alarm(self._scope, prim, name),
        }
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
        yield from self._maps.steps()
        self._scope.use_maps(self._maps)
        # Connections may come after the assets that use them: bindings are resolved last. Commands
        # are held to the signals that they are read back by, rules and models to both, and alarms
        # to all of these.
        apis = (TELEMETRY.api, COMMAND.api, RULE.api, MODEL.api, FMU_PRIM, ALARM.api)
        order = {api: place for place, api in enumerate(apis)}
        for prim, api, name in sorted(prims, key=lambda found: order[found[1]]):
            yield
            read = self._readers[api]
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
        elif prim.GetTypeName() == FMU_PRIM:
            found.append((prim, FMU_PRIM, "fmu"))
        for applied in prim.GetPrimTypeInfo().GetAppliedAPISchemas():
            api, _, name = applied.partition(":")
            if api == "TwinAssetAPI":
                self._scope.read_asset(prim)
            elif api in MAP_APIS:
                self._maps.note(prim, api)
            elif api in self._readers and name:
                found.append((prim, api, name))
            elif api in self._readers:
                word = "signal" if api == TELEMETRY.api else "name"
                message = f"apply {api}:<{word}>, not {api} alone"
                self._scope.report(prim, "", "no-instance-name", message)

    # -- telemetry

    def _read_telemetry(self, prim: Usd.Prim, signal: str) -> None:
        shared = read_shared(self._scope, prim, signal, TELEMETRY, "value")
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
        self, prim: Usd.Prim, signal: str, shared: Shared, templates: tuple[str, ...]
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
        shared: Shared,
        resolved: list[str],
        element: int,
        type_name: str,
    ) -> None:
        kind = checked_kind(self._scope, prim, signal, shared, type_name)
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
        self._scope.driven.setdefault(binding.target, []).append(binding)
