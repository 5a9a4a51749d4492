"""What the kernel takes of a command: whole, in part, or nothing; and what is said of it."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from stagetwin.actuation import Fate
from stagetwin.ports import ValueKind
from stagetwin_bridges.mqtt import MqttProtocol
from stagetwin_bridges.mqtt._client import ClientSettings
from stagetwin_bridges.mqtt._command_client import CommandClient, Written
from tests.bridges.conftest import connection
from tests.bridges.mqtt.commanding import (
    ASSET,
    CommandRecorder,
    command,
    packets,
    target,
)


@pytest.fixture
def written_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[CommandClient, socket.socket]]:
    """A client that writes into a socket that nobody reads, and the other end."""
    near, far = socket.socketpair()
    near.setblocking(False)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    settings = ClientSettings("127.0.0.1", 1, "5", "c", 3, clean=True, qos=0)
    client = CommandClient(settings, "r", far.fileno(), lambda: False, lambda _: None)
    client._sock = near
    client._probe.register(near.fileno(), select.POLLOUT | select.POLLHUP)
    client.granted = True
    monkeypatch.setattr(CommandClient, "alive", True)
    with near, far:
        yield client, far


def test_the_kernel_takes_a_packet_whole_in_part_or_not(
    written_to: tuple[CommandClient, socket.socket],
) -> None:
    client, far = written_to
    assert client.write(b"x" * 100) == (Written.ALL, "")
    assert far.recv(1000) == b"x" * 100
    how, cause = client.write(b"y" * 1_000_000)
    assert how is Written.PART
    assert client.cause == cause
    assert client.obstacle(1) == cause
    how, cause = client.write(b"z")
    assert (how, cause) == (Written.NOTHING, "the socket is not ready: it would block")


def test_a_socket_that_would_block_or_was_hung_up_is_an_obstacle(
    written_to: tuple[CommandClient, socket.socket],
) -> None:
    client, far = written_to
    assert client.obstacle(100) == ""
    while client.write(b"x" * 100)[0] is Written.ALL:
        pass
    client.cause = ""
    assert client.obstacle(100) == "the socket is not ready: it would block"
    far.close()
    assert client.obstacle(100) == "the broker closed the connection"


def test_what_waited_when_the_connection_ended_is_withheld_for_good(
    written_to: tuple[CommandClient, socket.socket], recorder: CommandRecorder
) -> None:
    client, far = written_to
    to = target("a")
    commander = MqttProtocol().commander(connection("mqtt://127.0.0.1:1"), [to], recorder, None)
    commander.authorise({ASSET: "g"})
    commander._online = True
    before, after = command(to), command(to)
    commander.send(before)
    assert recorder.fates(before.id) == []
    commander._go_offline("cut")
    assert recorder.fates(before.id) == [Fate.WITHHELD]
    assert recorder.of(before.id)[0].cause == "offline: cut"
    commander._online = True
    commander.send(after)
    commander._write_waiting(client)
    commander.stop()
    left = list(packets(far.recv(10_000)))
    assert len(left) == 1
    assert after.id.encode() in left[0].body
    assert recorder.fates(before.id) == [Fate.WITHHELD]


def test_a_broken_socket_takes_nothing(written_to: tuple[CommandClient, socket.socket]) -> None:
    client, far = written_to
    far.close()
    how, cause = client.write(b"x")
    assert how is Written.NOTHING
    assert "connection lost while writing" in cause


def test_a_part_that_left_is_sent_and_unknown(
    written_to: tuple[CommandClient, socket.socket],
    recorder: CommandRecorder,
) -> None:
    client, _ = written_to
    to = target("a", kind=ValueKind.TEXT)
    commander = MqttProtocol().commander(connection("mqtt://127.0.0.1:1"), [to], recorder, None)
    commander.authorise({ASSET: "g"})
    sent = [command(to, "x" * 60_000) for _ in range(3)]
    for each in sent:
        commander._write(client, each)
    fates = [recorder.fates(each.id) for each in sent]
    assert [Fate.SENT, Fate.UNKNOWN] in fates
    assert fates[-1] == [Fate.WITHHELD]
    unknown = next(each for each in sent if Fate.UNKNOWN in recorder.fates(each.id))
    assert recorder.of(unknown.id)[-1].cause.startswith("a part of it may have left: ")
    commander.stop()
