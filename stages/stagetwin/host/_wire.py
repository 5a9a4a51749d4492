"""Frames between the service and a bridge process: columns as they lie in memory.

A frame is its length (4 bytes, little endian), one byte of kind, and a body. Both ends are the same
installation on the same machine, so there is no version and no byte order to negotiate.
"""

from __future__ import annotations

import enum
import struct
from typing import Any

import msgspec
import numpy as np

from stagetwin.actuation import CommandTarget
from stagetwin.ports import ChannelSpec, ConnectionSpec
from stagetwin.signals import Samples

__all__ = [
    "HEADER",
    "HEARTBEAT",
    "AuthoriseRequest",
    "Kind",
    "OpenCommandsRequest",
    "OpenRequest",
    "ReadRequest",
    "RebindRequest",
    "Rejected",
    "StateReport",
    "TargetsRequest",
    "Vouch",
    "decode",
    "decode_samples",
    "encode",
    "encode_samples",
]

HEADER = struct.Struct("<IB")
HEARTBEAT = 1.0
"""Time between a bridge process's signs of life [s]."""

_MAX_INTEGER = 2**64


class Kind(enum.IntEnum):
    """What a frame's body is."""

    OPEN = 1
    REBIND = 2
    SAMPLES = 3
    STATE = 4
    REJECTED = 5
    VOUCH = 6
    ALIVE = 7
    OPEN_COMMANDS = 8
    TARGETS = 9
    AUTHORISE = 10
    SEND = 11
    REPORT = 12
    READ = 13
    READING = 14
    RENEW = 15


class OpenRequest(msgspec.Struct):
    """First frame to a bridge process. It carries secrets and never touches argv or a file."""

    connection: ConnectionSpec
    channels: list[ChannelSpec]
    credential: dict[str, str] | None = None


class RebindRequest(msgspec.Struct):
    """New channels."""

    channels: list[ChannelSpec]


class OpenCommandsRequest(msgspec.Struct):
    """First frame to a process that carries commands; like OpenRequest it holds secrets."""

    connection: ConnectionSpec
    targets: list[CommandTarget]
    guards: dict[str, str]
    credential: dict[str, str] | None = None


class TargetsRequest(msgspec.Struct):
    """New targets."""

    targets: list[CommandTarget]


class AuthoriseRequest(msgspec.Struct):
    """The guards in force, hashes by asset path."""

    guards: dict[str, str]


class ReadRequest(msgspec.Struct):
    """A question to the device."""

    request: int
    channel: ChannelSpec


class StateReport(msgspec.Struct):
    """State of the connection."""

    state: str
    cause: str = ""


class Rejected(msgspec.Struct):
    """Messages or samples not used."""

    reason: str
    count: int
    example: str = ""


class Vouch(msgspec.Struct):
    """Word of devices behind channels."""

    channels: list[int]
    alive: bool


_encoder = msgspec.msgpack.Encoder()


def encode(kind: Kind, body: Any) -> bytes:
    """Return a frame with a msgpack body."""
    payload = _encoder.encode(body)
    return HEADER.pack(len(payload), kind) + payload


def decode(body: bytes, body_type: Any) -> Any:
    """Return a msgpack body; raises msgspec.DecodeError or ValidationError."""
    return msgspec.msgpack.decode(body, type=body_type)


def _portable(value: Any) -> Any:
    """Integers beyond 64 bits fit no USD type: as floats they are refused as out of range."""
    if isinstance(value, int) and not -(2**63) <= value < _MAX_INTEGER:
        return float(value) if abs(value) < 1e300 else float("inf")
    if isinstance(value, dict):
        return {str(k): _portable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_portable(v) for v in value]
    return value


def encode_samples(batch: Samples) -> bytes:
    """Return a frame of samples.

    Raises:
        ValueError: its columns differ in length.
    """
    columns = [
        np.ascontiguousarray(column, dtype)
        for column, dtype in (
            (batch.channel, np.int32),
            (batch.status, np.uint32),
            (batch.value, np.float64),
            (batch.source_time, np.float64),
            (batch.server_time, np.float64),
            (batch.receive_time, np.float64),
        )
    ]
    if {column.shape for column in columns} != {(len(batch),)}:
        raise ValueError(f"columns of samples differ: {[column.shape for column in columns]}")
    objects = list(batch.objects.items())
    try:
        tail = _encoder.encode(objects)
    except (OverflowError, TypeError):
        tail = _encoder.encode([(row, _portable(value)) for row, value in objects])
    body = b"".join(
        (struct.pack("<I", len(batch)), *(column.tobytes() for column in columns), tail)
    )
    return HEADER.pack(len(body), Kind.SAMPLES) + body


def decode_samples(body: bytes) -> Samples:
    """Return the samples of a frame's body; value and status may be written to."""
    (n,) = struct.unpack_from("<I", body)
    at = 4

    def column(dtype: type[np.generic], size: int) -> Any:
        nonlocal at
        out = np.frombuffer(body, dtype, n, at)
        at += n * size
        return out

    channel = column(np.int32, 4)
    status = column(np.uint32, 4).copy()
    value, source, server, receive = (column(np.float64, 8) for _ in range(4))
    objects = dict(msgspec.msgpack.decode(memoryview(body)[at:], type=list[tuple[int, Any]]))
    return Samples(channel, value.copy(), source, server, receive, status, objects)
