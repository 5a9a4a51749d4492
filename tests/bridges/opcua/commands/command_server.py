"""An OPC UA server that says on its standard output what it is told to write and to call.

    python command_server.py PORT [--reordered]

The first line is `ready`; every further one is JSON about one write or call, as it came in.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
from typing import Any

from asyncua import ua
from asyncua.common.structures104 import new_enum
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

PLANT = "http://stagetwin.example/plant"
OTHER = "http://stagetwin.example/other"
SLOW = 1.5
"""How long slow nodes take [s]."""

_SCALARS: dict[str, tuple[Any, ua.VariantType]] = {
    "Speed": (0.0, ua.VariantType.Double),
    "Single": (0.0, ua.VariantType.Float),
    "Small": (0, ua.VariantType.Int16),
    "Count": (0, ua.VariantType.UInt32),
    "Run": (False, ua.VariantType.Boolean),
    "Name": ("", ua.VariantType.String),
    "Slow": (0.0, ua.VariantType.Double),
    "Slower": (0.0, ua.VariantType.Double),
    "Deaf": (0.0, ua.VariantType.Double),
}
# What the server answers to a write, whatever its attributes promise.
_ANSWERS = {
    "Later": StatusCodes.GoodCompletesAsynchronously,
    "Clamped": StatusCodes.GoodClamped,
    "Denied": StatusCodes.BadUserAccessDenied,
    "NotWritable": StatusCodes.BadNotWritable,
    "Mismatch": StatusCodes.BadTypeMismatch,
    "Gateway": StatusCodes.BadTimeout,
}


def say(**what: Any) -> None:
    print(json.dumps(what, default=str), flush=True)


def _argument(name: str, data_type: int) -> ua.Argument:
    argument = ua.Argument()
    argument.Name = ua.String(name)
    argument.DataType = ua.NodeId(ua.Int32(data_type))
    argument.ValueRank = ua.Int32(-1)
    return argument


def _result(code: int = 0, arguments: tuple[int, ...] = (), outputs: Any = ()) -> Any:
    result = ua.CallMethodResult()
    result.StatusCode = ua.StatusCode(ua.UInt32(code))
    result.InputArgumentResults = [ua.StatusCode(ua.UInt32(item)) for item in arguments]
    result.OutputArguments = list(outputs)
    return result


class CommandServer:
    """The server and its nodes."""

    def __init__(self, port: int, namespaces: list[str]) -> None:
        self._server = Server()
        self._port = port
        self._namespaces = namespaces

    async def run(self) -> None:
        server = self._server
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self._port}/")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        for uri in self._namespaces:
            await server.register_namespace(uri)
        for uri in self._namespaces:
            await self._populate(await server.get_namespace_index(uri), uri)
        self._listen()
        async with server:
            print("ready", flush=True)
            # Ends when whoever started it has gone.
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    async def _populate(self, index: int, uri: str) -> None:
        server = self._server
        pump = await server.nodes.objects.add_object(ua.NodeId("Pump", index), f"{index}:Pump")

        def node(name: str) -> ua.NodeId:
            return ua.NodeId(ua.String(name), ua.Int16(index))

        async def variable(name: str, value: Any, kind: ua.VariantType, **more: Any) -> Any:
            made = await pump.add_variable(node(name), f"{index}:{name}", value, kind, **more)
            await made.set_writable()
            return made

        for name, (value, kind) in _SCALARS.items():
            await variable(name, value, kind)
        for name in _ANSWERS:
            await variable(name, 0.0, ua.VariantType.Double)
        await variable("Profile", [0.0], ua.VariantType.Double)
        date = ua.NodeId(ua.Int32(ObjectIds.UtcTime))
        await variable("When", None, ua.VariantType.DateTime, datatype=date)
        number = ua.NodeId(ua.Int32(ObjectIds.Number))
        await variable("Any", 0.0, ua.VariantType.Double, datatype=number)
        mode = await new_enum(server, node("ModeType"), "ModeType", ["Off", "Auto", "Hand"])
        await variable("Mode", 0, ua.VariantType.Int32, datatype=mode.nodeid)
        await pump.add_variable(node("Fixed"), f"{index}:Fixed", 1.0, ua.VariantType.Double)
        locked = await variable("Locked", 1.0, ua.VariantType.Double)
        reads_only = ua.DataValue(ua.Variant(1, ua.VariantType.Byte))
        await locked.write_attribute(ua.AttributeIds.UserAccessLevel, reads_only)
        hidden = await variable("Hidden", 0.0, ua.VariantType.Double)
        counter = itertools.count(1)
        # Only a Read sees these: the server tells no subscription.
        server.set_attribute_value_callback(
            hidden.nodeid,
            lambda _node, _attribute: ua.DataValue(
                ua.Variant(float(next(counter)), ua.VariantType.Double)
            ),
        )
        await self._methods(pump, node, index)

    async def _methods(self, pump: Any, node: Any, index: int) -> None:
        double, text = int(ObjectIds.Double), int(ObjectIds.String)

        def method(name: str, answer: Any, wait: float = 0.0) -> Any:
            async def call(_parent: ua.NodeId, *given: ua.Variant) -> Any:
                kinds = [item.VariantType.name for item in given]
                say(call=name, values=[item.Value for item in given], types=kinds)
                await asyncio.sleep(wait)
                return answer

            return call

        made = {
            "set_speed": ([_argument("speed", double)], _result(), 0.0),
            "reset": ([], _result(), 0.0),
            "start": (
                [
                    _argument("id", text),
                    _argument("speed", double),
                    _argument("expires_in", int(ObjectIds.Duration)),
                ],
                _result(outputs=[ua.Variant(7, ua.VariantType.Int32)]),
                0.0,
            ),
            "go": (
                [_argument("expiresIn", int(ObjectIds.UInt32)), _argument("to", double)],
                _result(),
                0.0,
            ),
            "two": ([_argument("a", double), _argument("b", double)], _result(), 0.0),
            "later": (
                [_argument("speed", double)],
                _result(StatusCodes.GoodCompletesAsynchronously),
                0.0,
            ),
            "refuse": (
                [_argument("speed", double)],
                _result(StatusCodes.BadInvalidArgument, (StatusCodes.BadOutOfRange,)),
                0.0,
            ),
            "state": ([_argument("speed", double)], _result(StatusCodes.BadInvalidState), 0.0),
            "slow": ([_argument("speed", double)], _result(), SLOW),
        }
        for name, (arguments, answer, wait) in made.items():
            await pump.add_method(
                node(name), f"{index}:{name}", method(name, answer, wait), arguments, []
            )

    def _listen(self) -> None:
        service = self._server.iserver.attribute_service
        write = service.write

        async def told(params: ua.WriteParameters, user: Any = None) -> list[ua.StatusCode]:
            if user is None or len(params.NodesToWrite) != 1:
                return await write(params) if user is None else await write(params, user)
            (item,) = params.NodesToWrite
            name = str(item.NodeId.Identifier)
            value = item.Value
            say(
                write=name,
                uri=self._namespaces[item.NodeId.NamespaceIndex - 2],
                value=value.Value.Value,
                type=value.Value.VariantType.name,
                array=value.Value.is_array,
                attribute=int(item.AttributeId),
            )
            if name == "Slow":
                await asyncio.sleep(SLOW)
            if name == "Slower":
                await asyncio.sleep(3 * SLOW)
            if name == "Deaf":
                await asyncio.sleep(3600)
            if name in _ANSWERS:
                return [ua.StatusCode(ua.UInt32(_ANSWERS[name]))]
            return await write(params, user)

        service.write = told


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    order = [PLANT, OTHER]
    asyncio.run(
        CommandServer(int(sys.argv[1]), order[::-1] if "--reordered" in sys.argv else order).run()
    )
