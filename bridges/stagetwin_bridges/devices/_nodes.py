"""The address space of a simulated OPC UA device."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from stagetwin.bindings import CommandBinding, TelemetryBinding
from stagetwin.ports import ValueKind
from stagetwin_bridges._errors import ConnectionConfigError
from stagetwin_bridges._messages import wire_of
from stagetwin_bridges.opcua._address import Address, MethodAddress

__all__ = ["Made", "add_nodes", "node_id", "status_of", "variant_for"]

_TYPES: Final[dict[str, ua.VariantType]] = {
    "bool": ua.VariantType.Boolean,
    "uchar": ua.VariantType.Byte,
    "int": ua.VariantType.Int32,
    "uint": ua.VariantType.UInt32,
    "int64": ua.VariantType.Int64,
    "uint64": ua.VariantType.UInt64,
    "half": ua.VariantType.Float,
    "float": ua.VariantType.Float,
    "string": ua.VariantType.String,
    "token": ua.VariantType.String,
    "asset": ua.VariantType.String,
}
"""By USD type; what is not named here is Double."""

Obey = Callable[[CommandBinding, Any], Awaitable[ua.StatusCode]]


@dataclass(slots=True)
class Made:
    """The nodes that were made.

    Attributes:
        telemetry: row of the binding and its node.
        commands: by the node that is written: the command and the type it takes.
    """

    telemetry: list[tuple[int, ua.NodeId]] = field(default_factory=list)
    commands: dict[ua.NodeId, tuple[CommandBinding, ua.VariantType]] = field(default_factory=dict)


def status_of(name: str) -> ua.StatusCode:
    """Return a status code by the name that the standard gives it."""
    return ua.StatusCode(getattr(StatusCodes, name))


def node_id(name: str) -> ua.NodeId:
    """Return a node of OPC UA itself by the name that the standard gives it."""
    return ua.NodeId(getattr(ObjectIds, name))


def type_of(binding: TelemetryBinding | CommandBinding) -> ua.VariantType:
    """Return the exact type on the wire: `wireType` where a command names one."""
    named = getattr(binding, "wire_type", "auto")
    if named != "auto":
        try:
            return ua.VariantType[named]
        except KeyError:
            raise ConnectionConfigError(f"{binding.path}: OPC UA has no type {named!r}") from None
    base = binding.type_name.removesuffix("[]")
    if binding.scale != 1 or binding.offset != 0:
        # What is counted in other units on the wire is counted in fractions.
        return ua.VariantType.Float if base in ("float", "half") else ua.VariantType.Double
    if base in _TYPES:
        return _TYPES[base]
    return ua.VariantType.Float if base[-1] == "f" else ua.VariantType.Double


def variant_for(binding: TelemetryBinding | CommandBinding, value: Any) -> ua.Variant:
    """Return a stage value as the node of a binding holds it."""
    kind = type_of(binding)
    wire = wire_of(binding, value)
    if isinstance(wire, (list, tuple)):
        return ua.Variant(_flat(wire), kind, is_array=True)
    return ua.Variant(wire, kind)


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        return [value]
    return [number for item in value for number in _flat(item)]


async def add_nodes(
    server: Server,
    telemetry: Sequence[TelemetryBinding],
    commands: Sequence[CommandBinding],
    obey: Obey,
) -> Made:
    """Make a variable for each telemetry address, and what is written or called for commands.

    Telemetry can only be read by clients. A command whose address is also a signal's is one node
    that can be written.
    """
    made = Made()
    taken: dict[ua.NodeId, Node] = {}
    for row, signal in enumerate(telemetry):
        at = await _resolved(server, Address.parse(signal.address))
        if at not in taken:
            initial = variant_for(signal, _blank(signal))
            taken[at] = await _variable(server, at, signal, initial)
            made.telemetry.append((row, at))
    for command in commands:
        if command.operation == "method":
            await _method(server, command, obey)
            continue
        at = await _resolved(server, Address.parse(command.address))
        node = taken.get(at)
        if node is None:
            node = await _variable(server, at, command, variant_for(command, _blank(command)))
            taken[at] = node
        await node.set_writable()
        made.commands[at] = (command, type_of(command))
    return made


async def _variable(
    server: Server,
    at: ua.NodeId,
    binding: TelemetryBinding | CommandBinding,
    initial: ua.Variant,
) -> Node:
    name = ua.QualifiedName(f"{_leaf(binding.asset)}.{binding.signal}", at.NamespaceIndex)
    node: Node = await server.nodes.objects.add_variable(at, name, initial)
    return node


async def _method(server: Server, command: CommandBinding, obey: Obey) -> None:
    address = MethodAddress.parse(command.address)
    on = await _resolved(server, address.on)
    method = await _resolved(server, address.method)
    parent = server.get_node(on)
    if on not in server.iserver.aspace:
        name = ua.QualifiedName(_leaf(command.asset), on.NamespaceIndex)
        parent = await server.nodes.objects.add_object(on, name)
    kind = type_of(command)

    async def call(_parent: ua.NodeId, *arguments: ua.Variant) -> ua.StatusCode:
        if len(arguments) != 1:
            return status_of("BadTooManyArguments" if arguments else "BadArgumentsMissing")
        if arguments[0].VariantType != kind:
            return status_of("BadTypeMismatch")
        return await obey(command, arguments[0].Value)

    assert inspect.iscoroutinefunction(call)  # else asyncua runs it in a thread
    name = ua.QualifiedName(command.signal, method.NamespaceIndex)
    await parent.add_method(method, name, call, [kind], [])


async def _resolved(server: Server, address: Address) -> ua.NodeId:
    """Return the id of a node to be made; its namespace is registered where it is new."""
    if address.uri:
        await server.register_namespace(address.uri)
    else:
        known = await server.get_namespace_array()
        for missing in range(len(known), address.index + 1):
            await server.register_namespace(f"urn:stagetwin:device:{missing}")
    return address.resolve(await server.get_namespace_array())


def _blank(binding: TelemetryBinding | CommandBinding) -> Any:
    """Return a value for a node before the first cycle."""
    kind = binding.value_type.kind
    if kind is ValueKind.TEXT:
        return ""
    if kind is ValueKind.BOOLEAN:
        return False
    if kind is ValueKind.COMPOSITE:
        return [0.0] * max(binding.value_type.components, 1)
    low = binding.limits.hard_min
    zero = low if isinstance(low, (int, float)) and math.isfinite(low) and low > 0 else 0
    return int(zero) if kind is ValueKind.INTEGER else float(zero)


def _leaf(path: str) -> str:
    return path.rpartition("/")[2] or path
