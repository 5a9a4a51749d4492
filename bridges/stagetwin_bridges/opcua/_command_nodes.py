"""What a server says of its nodes: whether a command may go to them, and in which type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError
from asyncua.ua.uaprotocol_auto import Argument as DecodedArgument

from stagetwin_bridges.opcua._command_data_types import DataTypes, NotCommandableError, WireType
from stagetwin_bridges.opcua._command_reader import Reader, attribute, status_name

__all__ = ["Argument", "Nodes", "Variable"]

_WRITE: Final = 1 << int(ua.AccessLevel.CurrentWrite)
_AT_ONCE: Final = 20
_ATTRIBUTES: Final = (
    AttributeIds.NodeClass,
    AttributeIds.DataType,
    AttributeIds.ValueRank,
    AttributeIds.AccessLevel,
    AttributeIds.UserAccessLevel,
)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that may be written.

    Attributes:
        wire_type: type of its value, or of its items.
        rank: ValueRank: -1 scalar, 1 array, 0 any array, -2 and -3 either.
    """

    wire_type: WireType
    rank: int


@dataclass(frozen=True, slots=True)
class Argument:
    """An input argument of a method.

    Attributes:
        name: its name.
        wire_type: type of its value, or of its items.
        rank: ValueRank, as of a variable.
    """

    name: str
    wire_type: WireType
    rank: int


class Nodes:
    """Variables and methods of one server.

    Attributes:
        types: its data types.
    """

    def __init__(self, reader: Reader) -> None:
        """Ask through `reader`."""
        self._reader = reader
        self.types = DataTypes(reader)

    async def variables(self, nodes: Sequence[ua.NodeId]) -> list[Variable | NotCommandableError]:
        """Return what is known of variables, each or why it cannot be commanded.

        Raises:
            OSError, TimeoutError: the connection is gone.
        """
        found: list[Variable | NotCommandableError] = []
        for start in range(0, len(nodes), _AT_ONCE):
            some = nodes[start : start + _AT_ONCE]
            wanted = [(node, item) for node in some for item in _ATTRIBUTES]
            try:
                results = await self._reader.read(wanted)
            except UaError as error:
                if len(some) == 1:
                    found.append(
                        NotCommandableError(f"the server does not say what it is: {error}")
                    )
                else:
                    # One that the server chokes on must not stop the others.
                    for node in some:
                        found += await self.variables([node])
                continue
            for row in range(len(some)):
                size = len(_ATTRIBUTES)
                found.append(await self._variable(results[row * size : (row + 1) * size]))
        return found

    async def _variable(self, results: Sequence[ua.DataValue]) -> Variable | NotCommandableError:
        node_class, data_type, rank, access, user_access = map(attribute, results)
        if node_class is None:
            return NotCommandableError(f"no such node: {status_name(results[0])}")
        if node_class != ua.NodeClass.Variable:
            name = ua.NodeClass(node_class).name
            return NotCommandableError(f"expected a variable, got a node of class {name}")
        if not isinstance(data_type, ua.NodeId):
            return NotCommandableError(f"it has no DataType: {status_name(results[1])}")
        if access is not None and not access & _WRITE:
            return NotCommandableError("not writable: its AccessLevel has no CurrentWrite")
        if user_access is not None and not user_access & _WRITE:
            return NotCommandableError("not writable for this user: see its UserAccessLevel")
        try:
            return Variable(
                await self.types.wire_type(data_type), -1 if rank is None else int(rank)
            )
        except (NotCommandableError, UaError) as error:
            return NotCommandableError(str(error))

    async def method(self, method: ua.NodeId) -> list[Argument]:
        """Return the input arguments of a method.

        Raises:
            NotCommandableError: it is no method that may be called; says why.
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        asked = (
            AttributeIds.NodeClass,
            AttributeIds.Executable,
            AttributeIds.UserExecutable,
        )
        results = await self._reader.read([(method, item) for item in asked])
        node_class, executable, user_executable = map(attribute, results)
        if node_class is None:
            raise NotCommandableError(f"no such method: {status_name(results[0])}")
        if node_class != ua.NodeClass.Method:
            name = ua.NodeClass(node_class).name
            raise NotCommandableError(f"expected a method, got a node of class {name}")
        if executable is False:
            raise NotCommandableError("not executable: its Executable is false")
        if user_executable is False:
            raise NotCommandableError("not executable for this user: UserExecutable is false")
        found = await self._reader.property_of(method, "InputArguments")
        arguments: list[Argument] = []
        for item in found:
            if not isinstance(item, DecodedArgument):
                raise NotCommandableError("its InputArguments cannot be read")
            kind = await self.types.wire_type(item.DataType)
            arguments.append(Argument(item.Name or "", kind, int(item.ValueRank)))
        return arguments
