"""The built-in type behind the data type of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.opcua._command_reader import Reader, attribute

__all__ = ["DURATION", "DataTypes", "NotCommandableError", "WireType"]

DURATION: Final = 290
"""Number of the data type Duration, a Double that counts milliseconds."""

_ENUMERATION: Final = 29
_BUILT_IN: Final = {
    int(kind): kind for kind in ua.VariantType if ua.VariantType.Null < kind <= 23
} | {_ENUMERATION: ua.VariantType.Int32}
# Types that no value has of itself: the exact one must be said by the stage.
_ABSTRACT: Final = {24: "BaseDataType", 26: "Number", 27: "Integer", 28: "UInteger"}
_DEEPEST: Final = 20


class NotCommandableError(BridgeError):
    """A command cannot go to a node; says why."""


@dataclass(frozen=True, slots=True)
class WireType:
    """The type of a value on the wire.

    Attributes:
        variant: built-in type; None where the data type is abstract and leaves it open.
        name: name of the data type, where it is abstract.
        enumeration: names of the numbers, where it is an enumeration that tells them.
        number: number of the data type in OPC UA's own namespace, 0 where it is of another.
    """

    variant: ua.VariantType | None
    name: str = ""
    enumeration: dict[int, str] | None = None
    number: int = 0


class DataTypes:
    """Data types of one server; what it learnt of them it keeps."""

    def __init__(self, reader: Reader) -> None:
        """Ask through `reader`."""
        self._reader = reader
        self._types: dict[ua.NodeId, WireType] = {}

    async def wire_type(self, data_type: ua.NodeId) -> WireType:
        """Return the built-in type behind a data type.

        Raises:
            NotCommandableError: there is none that a command can be written in.
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        if data_type not in self._types:
            self._types[data_type] = await self._walk(data_type)
        return self._types[data_type]

    async def _walk(self, data_type: ua.NodeId) -> WireType:
        node = data_type
        own = int(data_type.Identifier) if data_type.NamespaceIndex == 0 else 0
        for _ in range(_DEEPEST):
            number = node.Identifier if node.NamespaceIndex == 0 else None
            if isinstance(number, int):
                if number in _ABSTRACT:
                    return WireType(None, _ABSTRACT[number], number=own)
                if number in _BUILT_IN:
                    named = await self._enumeration(data_type) if number == _ENUMERATION else None
                    return WireType(_BUILT_IN[number], enumeration=named, number=own)
            above = await self._reader.supertype(node)
            if above is None:
                break
            node = above
        raise NotCommandableError(f"its DataType {data_type.to_string()} leads to no built-in type")

    async def _enumeration(self, data_type: ua.NodeId) -> dict[int, str] | None:
        (result,) = await self._reader.read([(data_type, AttributeIds.DataTypeDefinition)])
        definition = attribute(result)
        if isinstance(definition, ua.EnumDefinition) and definition.Fields:
            return {int(item.Value): str(item.Name) for item in definition.Fields}
        for name in ("EnumValues", "EnumStrings"):
            items = await self._reader.property_of(data_type, name)
            if items and isinstance(items[0], ua.EnumValueType):
                return {int(item.Value): str(item.DisplayName.Text) for item in items}
            if items and isinstance(items[0], ua.LocalizedText):
                return {number: str(item.Text) for number, item in enumerate(items) if item.Text}
        return None
