"""How a command becomes a request: one Write of a value alone, or one Call of a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from stagetwin.actuation import CommandTarget, Transmission
from stagetwin_bridges.opcua._command_data_types import (
    DURATION,
    NotCommandableError,
    WireType,
)
from stagetwin_bridges.opcua._command_nodes import Argument, Variable
from stagetwin_bridges.opcua._command_types import COMMAND_TYPES, variant_of

__all__ = ["CallPlan", "Plan", "Request", "WritePlan"]

Request = ua.WriteRequest | ua.CallRequest

_SIGNED: Final = frozenset({"SByte", "Int16", "Int32", "Int64"})
_UNSIGNED: Final = frozenset({"Byte", "UInt16", "UInt32", "UInt64"})
_LEFT_OPEN: Final = {
    "Integer": _SIGNED,
    "UInteger": _UNSIGNED,
    "Number": _SIGNED | _UNSIGNED | {"Float", "Double"},
    "BaseDataType": frozenset(kind.name for kind in COMMAND_TYPES),
}
_ID: Final = frozenset({"id", "commandid"})
_EXPIRES_IN: Final = frozenset({"expiresin"})


def _exact_type(node: WireType, wire_type: str) -> ua.VariantType:
    """Return the type to write: the node's, which a type named on the stage must equal.

    Raises:
        NotCommandableError: it does not, or the node leaves open what nobody named.
    """
    if node.variant is None:
        allowed = _LEFT_OPEN[node.name]
        if wire_type in allowed:
            return ua.VariantType[wire_type]
        got = "auto" if wire_type == "auto" else wire_type
        raise NotCommandableError(
            f"its DataType {node.name} leaves the type open: expected wireType to be one of "
            f"{', '.join(sorted(allowed))}, got {got}"
        )
    if wire_type not in ("auto", node.variant.name):
        raise NotCommandableError(
            f"wireType is {wire_type}, and the node's type is {node.variant.name}"
        )
    if node.variant not in COMMAND_TYPES:
        allowed_names = ", ".join(kind.name for kind in COMMAND_TYPES)
        raise NotCommandableError(
            f"expected a node of type {allowed_names}, got {node.variant.name}"
        )
    return node.variant


def _check_rank(rank: int) -> None:
    if rank > 1:
        raise NotCommandableError(f"expected a scalar or an array, got {rank} dimensions")


def _variant(value: Any, kind: ua.VariantType, node: WireType, rank: int) -> ua.Variant:
    array = isinstance(value, (list, tuple)) if rank < -1 else rank >= 0
    return variant_of(value, kind, array=array, enumeration=node.enumeration)


@dataclass(frozen=True, slots=True)
class WritePlan:
    """How to write one variable.

    Attributes:
        node: the variable.
        variable: what the server says of it.
        kind: exact type of its value.
    """

    node: ua.NodeId
    variable: Variable
    kind: ua.VariantType

    @classmethod
    def of(cls, node: ua.NodeId, variable: Variable, target: CommandTarget) -> WritePlan:
        """Plan the writes of a target.

        Raises:
            NotCommandableError: the type or its dimensions do not fit; says how.
        """
        _check_rank(variable.rank)
        return cls(node, variable, _exact_type(variable.wire_type, target.wire_type))

    def request(self, transmission: Transmission, remaining: float) -> Request:
        """Return the request: the Value attribute alone, without status and times.

        Raises:
            WireError: the node's type cannot hold the value.
        """
        value = ua.WriteValue()
        value.NodeId = self.node
        value.AttributeId = ua.UInt32(AttributeIds.Value)
        variant = _variant(
            transmission.value, self.kind, self.variable.wire_type, self.variable.rank
        )
        # Many servers refuse a write that would also set status or times (BadWriteNotSupported).
        value.Value = ua.DataValue(variant, StatusCode=None)
        request = ua.WriteRequest()
        request.Parameters.NodesToWrite = [value]
        return request


def _role(argument: Argument) -> str:
    name = argument.name.replace("_", "").lower()
    return "id" if name in _ID else "expires_in" if name in _EXPIRES_IN else "value"


@dataclass(frozen=True, slots=True)
class CallPlan:
    """How to call one method.

    Attributes:
        on: the object.
        method: the method.
        arguments: its input arguments.
        roles: what each of them is given: `value`, `id` or `expires_in`.
        kinds: exact type of each.
    """

    on: ua.NodeId
    method: ua.NodeId
    arguments: tuple[Argument, ...]
    roles: tuple[str, ...]
    kinds: tuple[ua.VariantType, ...]

    @classmethod
    def of(
        cls, on: ua.NodeId, method: ua.NodeId, arguments: Sequence[Argument], target: CommandTarget
    ) -> CallPlan:
        """Plan the calls of a target.

        Raises:
            NotCommandableError: its arguments are not those of a command; says which.
        """
        roles = ["value"] if len(arguments) == 1 else [_role(item) for item in arguments]
        kinds: list[ua.VariantType] = []
        for item, role in zip(arguments, roles, strict=True):
            if roles.count(role) > 1:
                names = ", ".join(one.name for one in arguments)
                raise NotCommandableError(
                    f"expected one argument for the value, and no others than id and expires_in, "
                    f"got {names}"
                )
            try:
                _check_rank(item.rank)
                kind = _exact_type(item.wire_type, target.wire_type if role == "value" else "auto")
            except NotCommandableError as error:
                raise NotCommandableError(f"argument {item.name}: {error}") from None
            kinds.append(kind)
        if "value" not in roles and target.wire_type not in ("auto", "Boolean"):
            raise NotCommandableError(
                f"the method takes no value: expected wireType auto or Boolean, got "
                f"{target.wire_type}"
            )
        return cls(on, method, tuple(arguments), tuple(roles), tuple(kinds))

    def request(self, transmission: Transmission, remaining: float) -> Request:
        """Return the request; a device is told the command's id and what `remaining` [s] is.

        Raises:
            NotCommandableError: the method takes no value, and the command's is not true.
            WireError: an argument's type cannot hold what it would be given.
        """
        if "value" not in self.roles and transmission.value is not True:
            raise NotCommandableError(
                f"the method takes no value: expected true, got {transmission.value!r:.40}"
            )
        call = ua.CallMethodRequest()
        call.ObjectId = self.on
        call.MethodId = self.method
        for argument, role, kind in zip(self.arguments, self.roles, self.kinds, strict=True):
            given: Any = transmission.value
            if role == "id":
                given = transmission.id
            elif role == "expires_in":
                # Rounded down: a device must not believe that it has more time than it has.
                given = remaining * 1e3 if argument.wire_type.number == DURATION else remaining
                if kind not in (ua.VariantType.Float, ua.VariantType.Double):
                    given = int(given)
            call.InputArguments.append(_variant(given, kind, argument.wire_type, argument.rank))
        request = ua.CallRequest()
        request.Parameters.MethodsToCall = [call]
        return request


Plan = WritePlan | CallPlan
