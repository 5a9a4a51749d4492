"""What leaves through a command client, in which type, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua

from stagetwin.actuation import CommandProtocol, CommandTarget, Fate
from stagetwin.ports import ConnectionState
from stagetwin_bridges.opcua import OpcUaProtocol
from tests.bridges.opcua.commands.command_part import (
    ASSET,
    CommandRecorder,
    Issuer,
    ServerProcess,
    commands_in,
    target,
    told,
    written_in,
)
from tests.bridges.opcua.commands.command_proxy import CommandProxy
from tests.bridges.opcua.commands.conftest import Make
from tests.bridges.recording_sink import eventually

SENT, ACKNOWLEDGED, REFUSED = Fate.SENT, Fate.ACKNOWLEDGED, Fate.REFUSED
WITHHELD, UNKNOWN = Fate.WITHHELD, Fate.UNKNOWN


def test_the_protocol_carries_commands_and_reads() -> None:
    protocol = OpcUaProtocol()
    assert isinstance(protocol, CommandProtocol)
    assert protocol.reads


# -- exact types ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "wire_type", "expected"),
    [
        ("Speed", 12, "Double", (12.0, "Double", False)),
        ("Single", 0.5, "auto", (0.5, "Float", False)),
        ("Small", 7.0, "Int16", (7, "Int16", False)),
        ("Count", 4_000_000_000, "auto", (4_000_000_000, "UInt32", False)),
        ("Run", True, "auto", (True, "Boolean", False)),
        ("Name", "ä;b", "auto", ("ä;b", "String", False)),
        ("Mode", "Hand", "auto", (2, "Int32", False)),
        ("Mode", 1, "Int32", (1, "Int32", False)),
        ("Profile", [1, 2.5], "auto", ([1.0, 2.5], "Double", True)),
        ("When", 1_700_000_000.5, "auto", ("2023-11-14 22:13:20.500000+00:00", "DateTime", False)),
        ("Any", 3, "Double", (3.0, "Double", False)),
    ],
)
def test_a_write_carries_the_exact_type_and_nothing_but_the_value(
    server: ServerProcess,
    proxy: CommandProxy,
    make: Make,
    sink: CommandRecorder,
    issue: Issuer,
    name: str,
    value: Any,
    wire_type: str,
    expected: tuple[Any, str, bool],
) -> None:
    to = target(name, wire_type=wire_type)
    commander = make(proxy.port, to)
    before = len(told(server, name))
    command = issue(to, value)
    commander.send(command)
    assert sink.end(command.id).fate is ACKNOWLEDGED
    assert sink.fates(command.id) == [SENT, ACKNOWLEDGED]
    assert [report.final for report in sink.of(command.id)] == [False, True]
    (line,) = eventually(lambda: told(server, name)[before:])
    assert (line["value"], line["type"], line["array"]) == expected
    # The mask of a DataValue: 1 is the value; status and times would be bits of their own.
    kind = ua.VariantType[line["type"]] | (0x80 if line["array"] else 0)
    assert written_in(proxy.streams, name) == [(1, kind)]
    assert line["attribute"] == 13


@pytest.mark.parametrize(
    ("name", "value", "wire_type", "cause"),
    [
        ("Small", 3.5, "auto", "whole number for Int16"),
        ("Small", 70_000, "auto", "-32768 to 32767"),
        ("Count", -1, "auto", "0 to 4294967295"),
        ("Speed", True, "auto", "expected a number for Double, got a Boolean true"),
        ("Speed", float("nan"), "auto", "finite"),
        ("Run", 1, "auto", "expected a Boolean, got an integer 1"),
        ("Name", 5, "auto", "expected text for String"),
        ("Mode", "Fast", "auto", "expected one of Off (0), Auto (1), Hand (2)"),
        ("Mode", 3, "auto", "expected one of Off (0), Auto (1), Hand (2)"),
        ("Profile", 1.0, "auto", "expected an array of Double"),
        ("Speed", [1.0], "auto", "expected a number for Double, got an array"),
        ("Speed", 1.0, "Float", "wireType is Float, and the node's type is Double"),
        ("Any", 1.0, "auto", "leaves the type open"),
        ("Fixed", 1.0, "auto", "not writable"),
        ("Locked", 1.0, "auto", "not writable for this user"),
        ("Nowhere", 1.0, "auto", "no such node: BadNodeIdUnknown"),
        ("Pump", 1.0, "auto", "expected a variable, got a node of class Object"),
    ],
)
def test_what_cannot_be_written_exactly_is_withheld(
    server: ServerProcess,
    proxy: CommandProxy,
    make: Make,
    sink: CommandRecorder,
    issue: Issuer,
    name: str,
    value: Any,
    wire_type: str,
    cause: str,
) -> None:
    to = target(name, wire_type=wire_type)
    commander = make(proxy.port, to)
    command = issue(to, value)
    commander.send(command)
    assert cause in sink.end(command.id).cause
    assert sink.fates(command.id) == [WITHHELD]
    commander.stop()
    assert commands_in(proxy.streams) == 0


def test_one_bad_target_stops_no_other_and_is_told(
    server: ServerProcess, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    good = target("Speed")
    bad = [target("Nowhere"), target("Speed", uri="http://nowhere"), target("Fixed")]
    commander = make(server.port, *bad, good, target("gone", "method"))
    command = issue(good, 3.0)
    commander.send(command)
    assert sink.end(command.id).fate is ACKNOWLEDGED
    state, cause = sink.states[-1]
    assert state is ConnectionState.ONLINE
    assert cause.startswith("4 of 5 targets take no commands: /World/Pump.nowhere: ")
    unknown = issue(bad[1], 3.0)
    commander.send(unknown)
    assert "no namespace 'http://nowhere'" in sink.end(unknown.id).cause


# -- what the server answers ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fate", "cause"),
    [
        ("Denied", REFUSED, "BadUserAccessDenied"),
        ("NotWritable", REFUSED, "BadNotWritable"),
        ("Mismatch", REFUSED, "BadTypeMismatch"),
        ("Later", ACKNOWLEDGED, "GoodCompletesAsynchronously: accepted, and not yet done"),
        ("Clamped", ACKNOWLEDGED, "GoodClamped"),
        ("Gateway", UNKNOWN, "BadTimeout"),
    ],
)
def test_the_servers_answer_to_a_write_is_the_fate(
    server: ServerProcess,
    make: Make,
    sink: CommandRecorder,
    issue: Issuer,
    name: str,
    fate: Fate,
    cause: str,
) -> None:
    to = target(name)
    commander = make(server.port, to)
    command = issue(to, 1.0)
    commander.send(command)
    assert sink.end(command.id).cause == cause
    assert sink.fates(command.id) == [SENT, fate]


@pytest.mark.parametrize(
    ("name", "value", "fate", "cause", "given"),
    [
        ("set_speed", 5, ACKNOWLEDGED, "", [5.0]),
        ("reset", True, ACKNOWLEDGED, "", []),
        (
            "later",
            1.0,
            ACKNOWLEDGED,
            "GoodCompletesAsynchronously: accepted, and not yet done",
            [1.0],
        ),
        ("refuse", 9.0, REFUSED, "BadInvalidArgument (argument 1: BadOutOfRange)", [9.0]),
        ("state", 9.0, REFUSED, "BadInvalidState", [9.0]),
    ],
)
def test_a_method_is_called_with_the_value(
    server: ServerProcess,
    make: Make,
    sink: CommandRecorder,
    issue: Issuer,
    name: str,
    value: Any,
    fate: Fate,
    cause: str,
    given: list[Any],
) -> None:
    to = target(name, "method")
    commander = make(server.port, to)
    before = len(told(server, name))
    command = issue(to, value)
    commander.send(command)
    assert sink.end(command.id).cause == cause
    assert sink.fates(command.id) == [SENT, fate]
    eventually(lambda: [line["values"] for line in told(server, name)[before:]] == [given])


def test_a_method_that_asks_gets_the_id_and_the_remaining_time(
    server: ServerProcess, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    start, go = target("start", "method"), target("go", "method")
    commander = make(server.port, start, go)
    first, second = issue(start, 2, expires=10.0), issue(go, 3.0, expires=9.9)
    commander.send(first)
    commander.send(second)
    assert sink.end(first.id).cause == "returned an integer 7"
    assert sink.end(second.id).fate is ACKNOWLEDGED
    (line,) = eventually(lambda: told(server, "start"))
    name, speed, left = line["values"]
    assert (name, speed, line["types"]) == (first.id, 2.0, ["String", "Double", "Double"])
    # Its argument is a Duration, which counts milliseconds.
    assert 5_000 < left <= 10_000
    (line,) = eventually(lambda: told(server, "go"))
    # Another's is a plain integer, which counts whole seconds, rounded down.
    assert line["values"] in ([9, 3.0], [8, 3.0], [7, 3.0])
    assert line["types"] == ["UInt32", "Double"]


@pytest.mark.parametrize(
    ("to", "value", "cause"),
    [
        (target("reset", "method"), False, "the method takes no value: expected true, got False"),
        (target("reset", "method", wire_type="Double"), True, "expected wireType auto or Boolean"),
        (target("two", "method"), 1.0, "got a, b"),
        (target("set_speed", "method", wire_type="Int32"), 1, "argument speed: wireType is Int32"),
        (target("set_speed", "method"), "x", "expected a number for Double"),
        (target("gone", "method"), 1.0, "no such method: BadNodeIdUnknown"),
        (target("Speed", "method"), 1.0, "expected a method, got a node of class Variable"),
    ],
)
def test_a_method_that_does_not_fit_is_withheld(
    server: ServerProcess,
    proxy: CommandProxy,
    make: Make,
    sink: CommandRecorder,
    issue: Issuer,
    to: CommandTarget,
    value: Any,
    cause: str,
) -> None:
    commander = make(proxy.port, to)
    command = issue(to, value)
    commander.send(command)
    assert cause in sink.end(command.id).cause
    assert sink.fates(command.id) == [WITHHELD]
    assert commands_in(proxy.streams) == 0


# -- the gate ---------------------------------------------------------------------------------


def test_the_gate_is_asked_before_every_write(
    server: ServerProcess, proxy: CommandProxy, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    to = target("Speed")
    commander = make(proxy.port, to)
    good = issue(to, 1.0, number=5)
    refused = {
        "is not newer than": issue(to, 1.0, number=5),
        "after its deadline": issue(to, 1.0, deadline=-0.1, number=6),
        "not those it was approved under": issue(to, 1.0, guard="other", number=7),
        "its time to live is over": issue(to, 1.0, expires=-0.1, number=8),
        "its realm is plant": issue(to, 1.0, realm="plant", number=9),
        "not among the targets": issue(target("Single"), 1.0, number=10),
    }
    commander.send(good)
    for command in refused.values():
        commander.send(command)
    assert sink.end(good.id).fate is ACKNOWLEDGED
    for cause, command in refused.items():
        assert cause in sink.end(command.id).cause
        assert sink.fates(command.id) == [WITHHELD]
    commander.authorise({ASSET: "newer"})
    changed = issue(to, 1.0, number=11)
    commander.send(changed)
    assert "not those it was approved under" in sink.end(changed.id).cause
    commander.stop()
    assert commands_in(proxy.streams) == 1


def test_a_target_is_commanded_after_rebind_and_forgotten_by_it(
    server: ServerProcess, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    old, new = target("Speed"), target("Single")
    commander = make(server.port, old)
    commander.rebind([new])
    first, second = issue(new, 1.0), issue(old, 1.0)
    commander.send(first)
    commander.send(second)
    assert sink.end(first.id).fate is ACKNOWLEDGED
    assert "not among the targets bound now" in sink.end(second.id).cause


def test_targets_run_concurrently_and_a_slow_server_is_waited_for(
    server: ServerProcess, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    slow, quick = target("slow", "method"), target("Speed")
    commander = make(server.port, slow, quick)
    first, second = issue(slow, 1.0), issue(quick, 1.0)
    commander.send(first)
    commander.send(second)
    assert sink.end(first.id).fate is ACKNOWLEDGED
    assert sink.end(second.id).fate is ACKNOWLEDGED
    order = [(report.id, report.fate) for report in sink.reports]
    # Both were on the wire before either was answered.
    assert order[:2] == [(first.id, SENT), (second.id, SENT)]
