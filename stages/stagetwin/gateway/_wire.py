"""Frames between the service and its gateway process: as those of bridges, with bodies of msgpack.

The service sends what is; the gateway asks what its clients ask. Columns travel as they lie in
memory: both ends are one installation on one machine.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from stagetwin.host import wire

__all__ = [
    "Answer",
    "Ask",
    "Event",
    "GlbPart",
    "Kind",
    "Listening",
    "Opening",
    "Scene",
    "SessionEnded",
    "SessionMade",
    "State",
    "Table",
    "Token",
    "Wants",
    "decode",
    "encode",
]


class Kind(enum.IntEnum):
    """What a frame's body is."""

    OPEN = 64
    TABLE = 65
    STATE = 66
    EVENT = 67
    ANSWER = 68
    SCENE = 69
    GLB = 70
    TOKEN = 71
    LISTENING = 80
    ASK = 81
    WANTS = 82
    SESSION_MADE = 83
    SESSION_ENDED = 84


class SessionMade(msgspec.Struct):
    """Somebody logged in; the service keeps it over the gateway's life.

    Attributes:
        digest: SHA-256 of the cookie, in hexadecimal.
        user: name of the account.
        owner: whether that is the service's own user.
        began: when [s, Unix].
        via: what said who that is; see `stagetwin.people.Principal`.
        token: digest of the one-time word that let them in, if that did.
    """

    digest: str
    user: str
    owner: bool
    began: float
    via: str = ""
    token: str = ""


class SessionEnded(msgspec.Struct):
    """Somebody logged out, or lost what the session stood on."""

    digest: str


class Token(msgspec.Struct):
    """Digest of a word that lets the owner's browser in once, until a time [s, Unix]."""

    digest: str
    until: float


class Opening(msgspec.Struct):
    """First frame to a gateway process. It carries secrets and never touches argv or a file.

    Attributes:
        run: id of this life of the service.
        stage: name of the stage, for people.
        tick_rate: ticks of the service [Hz].
        commands: whether anything may be commanded.
        host, port: where to listen; 0 for any free port.
        certificate, key: files, empty without TLS.
        people: file of accounts and rights, empty where the service's owner alone comes in.
        origins: origins of browsers that are served besides the listener's own.
        clients: most clients at once.
        owner: name of the service's own user.
        bearer: digest of the token that programs of the owner show; empty where there are accounts.
        sessions: who is logged in.
        tokens: what lets the owner's browser in once.
    """

    run: str
    stage: str
    tick_rate: float
    commands: bool
    host: str
    port: int
    certificate: str
    key: str
    people: str
    origins: list[str]
    clients: int
    owner: str
    bearer: str
    sessions: list[SessionMade]
    tokens: list[Token]


class Table(msgspec.Struct):
    """What there is: rows as clients get them; columns of `State` name them by position.

    Attributes:
        epoch: number of the scene.
        channels: rows of docs/sync.md.
        movers: paths of prims whose local transform changes.
        instancers: path and count of each.
        connections: prim by name of connection.
    """

    epoch: int
    channels: list[dict[str, Any]]
    movers: list[str]
    instancers: list[dict[str, Any]]
    connections: dict[str, str]


class Wide(msgspec.Struct):
    """Values of several numbers: `places` in `State.rows`, int32; float64, `width` to each."""

    width: int
    places: bytes
    values: bytes


class State(msgspec.Struct):
    """What changed up to a tick.

    Attributes:
        tick: number of the tick.
        time: the service's clock [s, Unix].
        rows: positions in the table, int32.
        values: float64; NaN where there is none, or where it stands in `wide` or `objects`.
        times: source times [s, Unix], float64, NaN for unknown.
        qualities: uint8.
        status: raw codes, uint32.
        wide: vectors, quaternions (x, y, z, w), matrices.
        objects: by place in `rows`, everything else as JSON can hold it.
        movers: positions in the table, int32.
        matrices: their local transforms, 16 x float64 each.
        instances: by instancer's position, 7 x float32 of each instance.
    """

    tick: int
    time: float
    rows: bytes = b""
    values: bytes = b""
    times: bytes = b""
    qualities: bytes = b""
    status: bytes = b""
    wide: list[Wide] = []
    objects: dict[int, Any] = {}
    movers: bytes = b""
    matrices: bytes = b""
    instances: dict[int, bytes] = {}


class Event(msgspec.Struct):
    """Something that happened; see `stagetwin.service.Event`."""

    op: str
    prim: str
    body: dict[str, Any]
    to: str = ""


class Scene(msgspec.Struct):
    """The composed scene: its manifest, and what models it is made of.

    Attributes:
        epoch: its number.
        manifest: as docs/scene.md lays it out.
    """

    epoch: int
    manifest: dict[str, Any]


class GlbPart(msgspec.Struct):
    """A piece of one model; the last one completes it."""

    hash: str
    data: bytes
    last: bool


class Listening(msgspec.Struct):
    """Where the gateway listens, or why it cannot."""

    port: int
    cause: str = ""


class Ask(msgspec.Struct):
    """A request of a client."""

    number: int
    user: str
    owner: bool
    via: str
    session: str
    request: dict[str, Any]


class Answer(msgspec.Struct):
    """What became of it: the reply's fields, or `error` and `kind`."""

    number: int
    ok: bool
    body: dict[str, Any]


class Wants(msgspec.Struct):
    """Whether any client wants composed transforms of what moves, and what models expect."""

    moves: bool
    expected: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def encode(kind: Kind, body: Any) -> bytes:
    """Return a frame; a number that msgpack cannot hold raises OverflowError."""
    payload = _encoder.encode(body)
    return wire.HEADER.pack(len(payload), kind) + payload


def decode(body: bytes, body_type: Any) -> Any:
    """Return a body; raises msgspec.DecodeError or ValidationError."""
    decoder = _decoders.get(body_type)
    if decoder is None:
        decoder = _decoders[body_type] = msgspec.msgpack.Decoder(body_type)
    return decoder.decode(body)
