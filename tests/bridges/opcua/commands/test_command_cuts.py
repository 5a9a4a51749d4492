"""Connections and servers that go while a command leaves: at most once, and said what is known."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from stagetwin.actuation import Fate
from stagetwin.ports import ConnectionState
from stagetwin_bridges.opcua import Endpoint, OpcUaCommander
from tests.bridges.conftest import connection
from tests.bridges.opcua.commands.command_part import (
    PLANT,
    CommandRecorder,
    Issuer,
    ServerProcess,
    commands_in,
    free_port,
    target,
    told,
)
from tests.bridges.opcua.commands.command_proxy import CommandProxy
from tests.bridges.opcua.commands.conftest import Make
from tests.bridges.recording_sink import eventually

OTHER = "http://stagetwin.example/other"
SENT, ACKNOWLEDGED, REFUSED = Fate.SENT, Fate.ACKNOWLEDGED, Fate.REFUSED
WITHHELD, UNKNOWN = Fate.WITHHELD, Fate.UNKNOWN


# -- cuts -------------------------------------------------------------------------------------


def test_offline_is_withheld_at_once_and_nothing_is_queued(
    server: ServerProcess, proxy: CommandProxy, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    to = target("Speed")
    proxy.refuse()
    commander = make(proxy.port, to, wait=False)
    command = issue(to, 1.0, deadline=60, expires=60)
    commander.send(command)
    assert sink.end(command.id).cause.startswith("offline")
    proxy.accept()
    eventually(sink.online, 30)
    again = issue(to, 2.0)
    commander.send(again)
    assert sink.end(again.id).fate is ACKNOWLEDGED
    assert sink.fates(command.id) == [WITHHELD]
    proxy.refuse()
    eventually(lambda: not sink.online())
    third = issue(to, 3.0, deadline=60, expires=60)
    commander.send(third)
    assert sink.end(third.id).fate is WITHHELD
    assert commands_in(proxy.streams) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", ["Speed", "set_speed"])
def test_a_cut_while_it_leaves_is_unknown_once_and_never_repeated(
    server: ServerProcess,
    proxy: CommandProxy,
    make: Make,
    sink: CommandRecorder,
    issue: Issuer,
    moment: str,
    name: str,
) -> None:
    to = target(name, "method" if name == "set_speed" else "write")
    commander = make(proxy.port, to)
    before = len(told(server, name))
    proxy.cut_on_command = moment
    command = issue(to, 1.0, deadline=60, expires=60)
    commander.send(command)
    assert "connection lost before the answer" in sink.end(command.id).cause
    assert sink.fates(command.id) == [SENT, UNKNOWN]
    proxy.cut_on_command = ""
    connections = proxy.connections
    eventually(lambda: sink.online() and proxy.connections > connections, 30)
    again = issue(to, 2.0)
    commander.send(again)
    assert sink.end(again.id).fate is ACKNOWLEDGED
    assert commands_in(proxy.streams) == 2
    assert len(told(server, name)) - before <= 2
    assert sink.fates(command.id) == [SENT, UNKNOWN]


def test_a_cut_while_it_waits_is_unknown_once(
    server: ServerProcess, proxy: CommandProxy, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    to = target("Slow")
    commander = make(proxy.port, to)
    command = issue(to, 1.0)
    commander.send(command)
    eventually(lambda: told(server, "Slow"))
    proxy.cut()
    assert "connection lost before the answer" in sink.end(command.id).cause
    eventually(sink.online, 30)
    assert sink.fates(command.id) == [SENT, UNKNOWN]
    assert commands_in(proxy.streams) == 1


def test_cuts_at_any_moment_never_send_twice(
    server: ServerProcess, proxy: CommandProxy, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    to = target("Speed")
    commander = make(proxy.port, to)
    before = len(told(server, "Speed"))
    commands = []
    stop = threading.Event()

    def cutter() -> None:
        delay = 0.0
        while not stop.wait(0.3 + delay % 0.05):
            delay += 0.0037
            proxy.cut()

    thread = threading.Thread(target=cutter, name="cutter")
    thread.start()
    try:
        until = time.monotonic() + 8
        while time.monotonic() < until:
            command = issue(to, float(len(commands)), deadline=0.25)
            commands.append(command)
            commander.send(command)
            stop.wait(0.002)
    finally:
        stop.set()
        thread.join()
    for command in commands:
        sink.end(command.id)
    allowed = [[WITHHELD], [SENT, ACKNOWLEDGED], [SENT, UNKNOWN]]
    fates = [sink.fates(command.id) for command in commands]
    assert all(fate in allowed for fate in fates)
    sent = sum(fate[0] is SENT for fate in fates)
    assert fates.count(allowed[1]) > 0
    assert commands_in(proxy.streams) <= sent
    values = [line["value"] for line in told(server, "Speed")[before:]]
    assert len(values) == len(set(values))
    written = [value for value in values if fates[int(value)][0] is SENT]
    assert len(written) <= sent


def test_a_silent_server_is_unknown_when_the_time_is_over(
    server: ServerProcess, proxy: CommandProxy, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    to = target("Speed")
    commander = make(proxy.port, to, answer_timeout=1.0)
    proxy.stall("to_client")
    command = issue(to, 1.0)
    commander.send(command)
    assert sink.end(command.id).cause == "no answer within 1 s"
    eventually(lambda: not sink.online(), 20)
    later = issue(to, 2.0)
    commander.send(later)
    assert sink.end(later.id).fate is WITHHELD
    proxy.resume()
    eventually(sink.online, 30)
    assert sink.fates(command.id) == [SENT, UNKNOWN]
    assert commands_in(proxy.streams) == 1


def test_a_server_that_does_one_thing_at_a_time_may_still_answer(
    server: ServerProcess, proxy: CommandProxy, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    slower, other = target("Slower"), target("Speed")
    commander = make(proxy.port, slower, other)
    command = issue(slower, 1.0)
    commander.send(command)
    eventually(lambda: not sink.online())
    meanwhile = issue(other, 1.0, deadline=60, expires=60)
    commander.send(meanwhile)
    assert sink.end(meanwhile.id).cause == "offline: the server does not answer"
    assert sink.end(command.id).fate is ACKNOWLEDGED
    eventually(sink.online)
    assert proxy.connections == 1
    assert commands_in(proxy.streams) == 1


def test_a_server_that_never_answers_is_left_when_the_time_is_over(
    server: ServerProcess, proxy: CommandProxy, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    to = target("Deaf")
    commander = make(proxy.port, to, answer_timeout=4.0)
    command = issue(to, 1.0)
    commander.send(command)
    assert sink.end(command.id).cause == "no answer within 4 s"
    eventually(lambda: proxy.connections == 2 and sink.online(), 30)
    assert sink.fates(command.id) == [SENT, UNKNOWN]
    assert commands_in(proxy.streams) == 1


def test_bytes_that_the_server_does_not_take_never_leave_late(
    server: ServerProcess, proxy: CommandProxy, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    to, other = target("Name"), target("Speed")
    commander = make(proxy.port, to, other)
    before = len(told(server, "Name"))
    proxy.stall("to_server")
    # More than the kernels of both ends and the proxy keep.
    command = issue(to, "x" * 40_000_000, deadline=1.0)
    commander.send(command)
    behind = issue(other, 1.0, deadline=60, expires=60)
    commander.send(behind)
    assert sink.end(command.id).cause == "connection lost before the answer"
    assert sink.fates(command.id) == [SENT, UNKNOWN]
    assert sink.end(behind.id).fate is WITHHELD
    proxy.resume()
    eventually(sink.online, 30)
    assert len(told(server, "Name")) == before


# -- the server goes, and comes back ----------------------------------------------------------


def test_namespaces_numbered_anew_still_lead_to_the_right_node(
    make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    port = free_port()
    plant, other = target("Speed"), target("Speed", uri=OTHER)
    with ServerProcess(port) as first:
        commander = make(port, plant, other)
        commander.send(command := issue(plant, 1.0))
        assert sink.end(command.id).fate is ACKNOWLEDGED
        eventually(lambda: [line["uri"] for line in told(first, "Speed")] == [PLANT])
    eventually(lambda: not sink.online(), 20)
    with ServerProcess(port, "--reordered") as second:
        eventually(sink.online, 60)
        commander.send(command := issue(plant, 2.0))
        assert sink.end(command.id).fate is ACKNOWLEDGED
        (line,) = eventually(lambda: told(second, "Speed"))
        assert (line["value"], line["uri"]) == (2.0, PLANT)
        commander.stop()


def test_stop_ends_soon_with_a_server_that_hangs(
    make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    to = target("Speed")
    with ServerProcess(free_port()) as server, CommandProxy(server.port) as proxy:
        commander = make(proxy.port, to)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            command = issue(to, 1.0)
            commander.send(command)
            eventually(lambda: sink.fates(command.id) == [SENT])
            began = time.monotonic()
            commander.stop()
            assert time.monotonic() - began < 5
            assert sink.fates(command.id) == [SENT, UNKNOWN]
        finally:
            os.kill(server.pid, signal.SIGCONT)
        late = issue(to, 2.0)
        commander.send(late)
        assert sink.fates(late.id) == [WITHHELD]
        assert sink.states[-1] == (ConnectionState.OFFLINE, "stopped")
        assert commands_in(proxy.streams) == 1
        eventually(lambda: not proxy.standing)


def test_a_command_waiting_for_its_target_is_withheld_at_its_deadline(
    server: ServerProcess, proxy: CommandProxy, make: Make, sink: CommandRecorder, issue: Issuer
) -> None:
    to = target("Nowhere")
    commander = make(proxy.port, to)
    proxy.stall("to_client")
    command = issue(to, 1.0, deadline=0.3)
    commander.send(command)
    assert "not prepared before its deadline" in sink.end(command.id).cause
    proxy.resume()
    assert sink.fates(command.id) == [WITHHELD]
    assert commands_in(proxy.streams) == 0


def test_before_start_and_after_stop_all_is_withheld(
    server: ServerProcess, sink: CommandRecorder, issue: Issuer
) -> None:
    to = target("Speed")
    spec = connection(f"opc.tcp://127.0.0.1:{server.port}/", security_profile="none")
    commander = OpcUaCommander(spec, Endpoint.parse(spec.endpoint), [to], sink, None)
    commander.send(early := issue(to, 1.0))
    assert sink.fates(early.id) == [WITHHELD]
    commander.stop()
    commander.send(late := issue(to, 1.0))
    assert sink.fates(late.id) == [WITHHELD]
