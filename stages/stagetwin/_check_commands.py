"""Commands that read well and could never be sent, permitted or verified."""

from __future__ import annotations

from collections.abc import Iterator

from stagetwin.bindings import BindingTable, CommandBinding, Problem, Severity, TelemetryBinding
from stagetwin.commands._places import map_of
from stagetwin.ports import ConnectionSpec, ValueKind

__all__ = ["doubtful_commands"]

_NUMBERS = (ValueKind.NUMBER, ValueKind.INTEGER)


def doubtful_commands(table: BindingTable) -> Iterator[Problem]:
    """Yield what is wrong with commands beside what keeps them from being read."""
    driven: dict[str, TelemetryBinding] = {}
    for binding in table.telemetry.values():
        driven.setdefault(binding.target, binding)
    for command in table.commands:
        yield from _loose(command, table, driven)
        yield from _mixed_realms(command, table, driven)
        if (readback := driven.get(command.readback)) is not None:
            yield from _unlike(command, readback, table.connections[command.connection])
        for path in command.permissives:
            permissive = driven.get(path)
            if permissive is not None and permissive.value_type.kind is not ValueKind.BOOLEAN:
                text = f"permissive {path} is a {permissive.type_name}; only a bool can permit"
                yield _problem(command, "permissive-type", text)
    yield from _nobodys(table)


def _problem(command: CommandBinding, code: str, text: str) -> Problem:
    return Problem(command.prim, command.signal, code, text, Severity.WARNING)


def _inputs(command: CommandBinding, table: BindingTable) -> Iterator[tuple[str, str]]:
    if command.readback:
        yield "readback", command.readback
    for path in command.permissives:
        yield "permissive", path
    asset = table.assets.get(command.asset)
    if asset is not None and asset.remote:
        yield "remote", asset.remote


def _loose(
    command: CommandBinding, table: BindingTable, driven: dict[str, TelemetryBinding]
) -> Iterator[Problem]:
    for role, path in _inputs(command, table):
        if path not in driven:
            text = f"{role} {path} is driven by no signal, so it can never prove anything"
            yield _problem(command, f"{role}-not-live", text)


def _mixed_realms(
    command: CommandBinding, table: BindingTable, driven: dict[str, TelemetryBinding]
) -> Iterator[Problem]:
    realm = table.connections[command.connection].realm
    for role, path in _inputs(command, table):
        binding = driven.get(path)
        if binding is None:
            continue
        other = table.connections[binding.connection].realm
        if other != realm:
            text = f"{role} {path} is of realm {other}, the command of {realm}: it is never sent"
            yield _problem(command, "realm-mixed", text)


def _unlike(
    command: CommandBinding, readback: TelemetryBinding, spec: ConnectionSpec
) -> Iterator[Problem]:
    one, other = command.value_type.kind, readback.value_type.kind
    alike = one is other or (one in _NUMBERS and other in _NUMBERS)
    # What a place comes to is told with SENT: a node, a pose, or a load that was picked there.
    if not alike and map_of(spec, command) is None:
        text = (
            f"a {command.type_name} is commanded and a {readback.type_name} is read back: "
            "they are never equal"
        )
        yield _problem(command, "readback-type", text)
    if 0 < command.tolerance < readback.deadband:
        text = (
            f"tolerance {command.tolerance:g} is below the deadband {readback.deadband:g} of the "
            "read-back; the deadband counts"
        )
        yield _problem(command, "tolerance-below-deadband", text)


def _nobodys(table: BindingTable) -> Iterator[Problem]:
    commanded = {command.asset for command in table.commands}
    for asset in table.assets.values():
        if asset.level == "twin" and asset.prim in commanded and not asset.roles:
            text = "has commands and no twin:roles, so nobody may give them"
            yield Problem(asset.prim, "", "nobodys-commands", text, Severity.WARNING)
