"""Clients of `benchmarks.mirrors`, many in one process, that cost the machine little."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks._mirror_signals import RATE, TOKEN, path, value_of
from stagetwin.sync import SectionKind, decode_frame

__all__ = ["be_clients"]

_FRAME = struct.Struct("<4sIQQdII")
_SECTION = struct.Struct("<BBHIII")


@dataclass
class Outcome:
    """What the clients of one run received.

    Attributes:
        values: values, all clients together.
        bytes: bytes of the messages that carried them.
        lags: time from tick to client [s].
        last: of each client, the tick of its newest frame; of the peer 0.
    """

    values: int = 0
    bytes: int = 0
    lags: list[float] = field(default_factory=list)
    last: list[int] = field(default_factory=list)


class Client(asyncio.Protocol):
    """Takes WebSocket messages apart and counts: a client that costs the machine little."""

    def __init__(self, json_values: bool, outcome: Outcome) -> None:
        self._json, self._outcome = json_values, outcome
        self._data = bytearray()
        self._greeted = False
        self.counting = False
        self.newest = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        port = transport.get_extra_info("peername")[1]
        transport.write(
            f"GET /sync HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: stagetwin.sync.1\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )

    def say(self, **message: Any) -> None:
        """Send a message, masked as the protocol wants it."""
        text = json.dumps(message).encode()
        head = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else b""
        self.transport.write((head or struct.pack("!BBH", 0x81, 0xFE, len(text))) + bytes(4) + text)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._greeted:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._data.startswith(b"HTTP/1.1 101"), bytes(self._data[:200])
            del self._data[: end + 4]
            self._greeted = True
            if not self._json:
                self.say(op="hello", client="benchmark", subscribe={"rate": RATE})
        at, newest = 0, b""
        while (found := self._message(at)) is not None:
            code, start, at = found
            if code == (1 if self._json else 2):
                newest = self._take(start, at)
            elif code == 9:
                self.transport.write(b"\x8a\x80" + bytes(4))
        if newest:
            self._sample(newest)
        del self._data[:at]

    def _message(self, at: int) -> tuple[int, int, int] | None:
        """Return opcode, begin and end of the message that begins at a place, if it is whole."""
        data = self._data
        if len(data) < at + 2:
            return None
        size, start = data[at + 1], at + 2
        if size == 126:
            start += 2
            size = int.from_bytes(data[at + 2 : start], "big")
        elif size == 127:
            start += 8
            size = int.from_bytes(data[at + 2 : start], "big")
        if len(data) < start + size:
            return None
        return data[at] & 15, start, start + size

    def _take(self, start: int, end: int) -> bytes:
        """Count a message; return it."""
        message = bytes(self._data[start:end])
        if self.counting:
            self._outcome.bytes += end - start
            if self._json:
                self._outcome.values += 1
            else:
                self._outcome.values += rows_in(message)
                self._outcome.lags.append(time.time() - _FRAME.unpack_from(message)[4])
        return message

    def _sample(self, message: bytes) -> None:
        """Look closer at the newest of what came at once."""
        self.newest = message
        if self._json:
            sample = json.loads(message)
            row = round((sample["value"] % 4096.0) * 7)
            assert path(row) == sample["path"], sample
            if self.counting:
                self._outcome.lags.append(time.time() - sample["time"])


def rows_in(frame: bytes) -> int:
    """Return how many values a frame of one section holds, by its headers alone."""
    sections = _FRAME.unpack_from(frame)[6]
    assert sections <= 1, f"{sections} sections where one was expected"
    if not sections:
        return 0
    kind, _, _, count, _, _ = _SECTION.unpack_from(frame, _FRAME.size)
    assert kind == SectionKind.FLOAT64, kind
    return int(count)


async def be_clients(port: int, count: int, json_values: bool) -> None:
    """Be so many clients; obeys lines on standard input."""
    loop = asyncio.get_running_loop()
    outcome = Outcome()
    made = [Client(json_values, outcome) for _ in range(count)]
    for client in made:
        await loop.create_connection(lambda c=client: c, "127.0.0.1", port)  # type: ignore[misc]
    while not all(client.newest for client in made):
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line == "count\n":
            for client in made:
                client.counting = True
            print("counting", flush=True)
        elif line == "tell\n":
            for client in made:
                client.counting = False
            p99 = float(np.percentile(outcome.lags, 99)) if outcome.lags else 0.0
            print(json.dumps([outcome.values, outcome.bytes, p99]), flush=True)
        elif line.startswith("check"):
            await _check(made, int(line.split()[1]))
            print("right", flush=True)
    for client in made:
        client.transport.close()


async def _check(made: list[Client], tick: int) -> None:
    """Hold every client's newest frame against what was sent last."""
    async with asyncio.timeout(20):
        while any(_FRAME.unpack_from(client.newest)[2] < tick for client in made):
            await asyncio.sleep(0.02)
    for client in made:
        (section,) = decode_frame(client.newest).sections
        assert np.array_equal(np.asarray(section.values), value_of(tick))
        assert section.qualities is not None
        assert not section.qualities.any()
