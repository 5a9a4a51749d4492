"""asyncua's server as a process for the tests.

What it holds comes as JSON on the first line of its input, what it is to do on the following ones;
each is answered by one line.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import sys
from typing import Any

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.ua.status_codes import StatusCodes

APPLICATION = "urn:plant.example:server"


class Users:
    """Lets one user in."""

    def __init__(self, password: str) -> None:
        self._password = password

    def get_user(
        self, _server: Any, username: str = "", password: str = "", certificate: Any = None
    ) -> User | None:
        fits = username == "ada" and password == self._password
        return User(role=UserRole.User) if fits else None


def variant(kind: str, value: Any) -> ua.Variant:
    """Return a value as a Variant."""
    if kind == "DateTime":
        value = datetime.datetime.fromtimestamp(value, datetime.UTC)
    if kind == "ByteString":
        value = value.encode()
    if kind == "LocalizedText":
        value = ua.LocalizedText(value)
    return ua.Variant(value, ua.VariantType[kind])


async def serve(plan: dict[str, Any]) -> None:
    """Run until the input ends."""
    users: Any = Users(plan["password"]) if plan.get("password") else None
    server = Server(user_manager=users) if users else Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{plan['port']}/plant")
    await server.set_application_uri(plan.get("uri", APPLICATION))
    if plan.get("certificate"):
        policies = [getattr(ua.SecurityPolicyType, name) for name in plan["policies"]]
        server.set_security_policy(policies)
        await server.load_certificate(plan["certificate"])
        await server.load_private_key(plan["key"])
    else:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    if users:
        server.set_identity_tokens([ua.UserNameIdentityToken])
    for uri in plan["namespaces"]:
        await server.register_namespace(uri)
    own = await server.get_namespace_index("http://plant.example/pumps")
    nodes: dict[str, tuple[ua.NodeId, str]] = {}
    modes = None

    async def add(name: str, kind: str, value: Any) -> None:
        nonlocal modes
        data_type = None
        if kind == "Mode":
            if modes is None:
                modes = await enumeration(server, own)
            kind, data_type = "Int32", modes
        node = await server.nodes.objects.add_variable(
            ua.NodeId(name, own), name, variant(kind, value), datatype=data_type
        )
        await node.set_writable()
        nodes[name] = (node.nodeid, kind)

    for name, (kind, value) in plan["variables"].items():
        await add(name, kind, value)
    await server.start()
    if plan.get("untimed"):
        refuse_times(server, {node for node, _ in nodes.values()})
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"ready": True}), flush=True)
    while line := await reader.readline():
        said = json.loads(line)
        answer: dict[str, Any] = {"done": True}
        match said.get("do", "write"):
            case "write":
                node, kind = nodes[said["name"]]
                for value in said.get("values", [said.get("value")]):
                    status = getattr(StatusCodes, said.get("status", "Good"))
                    taken = said.get("time")
                    moment = datetime.datetime.now(datetime.UTC)
                    if taken is not None:
                        moment = datetime.datetime.fromtimestamp(taken, datetime.UTC)
                    held = ua.DataValue(
                        variant(kind, value), ua.StatusCode(status), SourceTimestamp=moment
                    )
                    await server.write_attribute_value(node, held)
            case "add":
                await add(said["name"], *said["variable"])
            case "read":
                held = await server.get_node(nodes[said["name"]][0]).read_data_value(False)
                got = held.Value.Value
                answer["value"] = got.isoformat() if isinstance(got, datetime.datetime) else got
                answer["kind"] = held.Value.VariantType.name
                taken = held.SourceTimestamp
                answer["time"] = taken.replace(tzinfo=datetime.UTC).timestamp() if taken else None
            case "sessions":
                answer["sessions"] = len(server.bserver.clients) if server.bserver else 0
        print(json.dumps(answer), flush=True)
    await server.stop()


def refuse_times(server: Server, nodes: set[ua.NodeId]) -> None:
    """Let clients write values alone, as many servers do."""
    service = server.iserver.attribute_service
    write = service.write

    async def untimed(params: Any, *rest: Any, **more: Any) -> list[ua.StatusCode]:
        if any(one.NodeId in nodes and one.Value.SourceTimestamp for one in params.NodesToWrite):
            refused = ua.StatusCode(ua.UInt32(StatusCodes.BadWriteNotSupported))
            return [refused for _ in params.NodesToWrite]
        results: list[ua.StatusCode] = await write(params, *rest, **more)
        return results

    service.write = untimed


async def enumeration(server: Server, namespace: int) -> ua.NodeId:
    """Return a data type with EnumStrings alone, as old servers have them."""
    kind = await server.nodes.enum_data_type.add_data_type(namespace, "Mode")
    names = [ua.LocalizedText(name) for name in ("Off", "Manual", "Automatic")]
    await kind.add_property(0, "EnumStrings", names)
    return kind.nodeid


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(serve(json.loads(sys.stdin.readline())))
