"""Commands to a server that somebody else wrote."""

from __future__ import annotations

from typing import Any

import pytest

from stagetwin.actuation import Fate
from stagetwin.ports import ConnectionState, Credential, ValueKind
from stagetwin_bridges.opcua import OpcUaProtocol
from tests.bridges.conftest import channel, connection
from tests.bridges.opcua.certificates import Files
from tests.bridges.opcua.commands.command_part import (
    ASSET,
    GUARD,
    CommandRecorder,
    Issuer,
    commands_in,
    target,
)
from tests.bridges.opcua.commands.command_proxy import CommandProxy
from tests.bridges.opcua.conftest import MakeServer
from tests.bridges.opcua.servers import FOREIGN
from tests.bridges.recording_sink import eventually

VARIABLES = {
    "Speed": ("Double", 0.0),
    "Small": ("Int16", 0),
    "Run": ("Boolean", False),
    "Profile": ("Double", [0.0, 0.0]),
    "Mode": ("Mode", 0),
}


@pytest.mark.parametrize("secure", [False, True])
def test_a_foreign_server_is_commanded_and_read(
    make_foreign: MakeServer,
    application: Files,
    sink: CommandRecorder,
    issue: Issuer,
    secure: bool,
) -> None:
    server = make_foreign(VARIABLES, secure=secure)
    commands: list[tuple[str, Any, Any]] = [
        ("Speed", 2.5, 2.5),
        ("Small", 7, 7),
        ("Run", True, True),
        ("Profile", [1.0, 2.0], [1.0, 2.0]),
        ("Mode", "Automatic", "Automatic"),
    ]
    kinds = {
        "Run": ValueKind.BOOLEAN,
        "Profile": ValueKind.COMPOSITE,
        "Mode": ValueKind.TEXT,
    }
    targets = {name: target(name, uri=FOREIGN) for name in (*VARIABLES, "Nowhere")}
    profile = "strict" if secure else "none"
    with CommandProxy(server.port) as proxy:
        commander = OpcUaProtocol().commander(
            connection(server.endpoint(port=proxy.port), security_profile=profile),
            list(targets.values()),
            sink,
            Credential(ca_file=application.certificate) if secure else None,
        )
        commander.authorise({ASSET: GUARD})
        commander.start()
        try:
            eventually(sink.online, 30)
            assert sink.states[-1][0] is ConnectionState.ONLINE
            for number, (name, value, expected) in enumerate(commands):
                command = issue(targets[name], value)
                commander.send(command)
                assert sink.end(command.id).cause == ""
                assert sink.fates(command.id) == [Fate.SENT, Fate.ACKNOWLEDGED]
                kind = kinds.get(name, ValueKind.NUMBER)
                commander.read(number, channel(0, targets[name].address, kind=kind))
                eventually(lambda count=number + 1: len(sink.readings) == count)
                assert (sink.readings[-1].value, sink.readings[-1].status) == (expected, 0)
            for name, value in (("Small", 70_000), ("Mode", "Fast"), ("Nowhere", 1.0)):
                command = issue(targets[name], value)
                commander.send(command)
                assert sink.end(command.id).fate is Fate.WITHHELD
            proxy.cut()
            eventually(lambda: not sink.online())
            eventually(sink.online, 30)
            command = issue(targets["Speed"], 3.5)
            commander.send(command)
            assert sink.end(command.id).fate is Fate.ACKNOWLEDGED
        finally:
            commander.stop()
        assert secure or commands_in(proxy.streams) == len(commands) + 1
