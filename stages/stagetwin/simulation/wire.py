"""Frames between the service and a simulator's process: what it is told, and what it says.

A frame is the header of `stagetwin.host` (length of the body, then one byte of kind) and a body:
columns as they lie in memory where there are many numbers, msgpack otherwise. Nothing here loads
USD.
"""

from __future__ import annotations

import enum
import math
import struct
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from stagetwin.host import wire as _host

__all__ = [
    "HEADER",
    "HEARTBEAT",
    "Answer",
    "Ask",
    "Cancel",
    "Columns",
    "Fault",
    "Files",
    "Health",
    "Kind",
    "ModelRow",
    "Open",
    "Output",
    "Pose",
    "Problem",
    "Progress",
    "Role",
    "State",
    "Table",
    "decode",
    "decode_columns",
    "encode",
    "encode_columns",
]

HEADER = _host.HEADER
HEARTBEAT = _host.HEARTBEAT
"""Time between a process's signs of life [s]."""

Role = Literal["beside", "ahead"]
"""What a process is for: to go along with the machine, or to run futures when asked."""

Floats = npt.NDArray[np.float64]


class Kind(enum.IntEnum):
    """What a frame's body is. Those below 20 go to the simulator, the others come from it."""

    OPEN = 1
    VALUES = 2
    ASK = 3
    CANCEL = 4
    ALIVE = 20
    TABLE = 21
    PREDICTED = 22
    POSES = 23
    HEALTH = 24
    ANSWER = 25
    PROGRESS = 26


class Files(msgspec.Struct, frozen=True):
    """The plant, for `stagetwin.opening.open_stage`; a simulator opens a session of its own on it.

    Attributes:
        stage: path of the root layer.
        sidecars: paths of layers with bindings for it, strongest first.
        endpoints: by connection name, the endpoint of this host.
    """

    stage: str
    sidecars: list[str] = []
    endpoints: dict[str, str] = {}


class Open(msgspec.Struct):
    """First frame to a process; again whenever the plant's files were read anew.

    Attributes:
        files: the plant.
        role: what the process is for.
        rate: how fast the clock runs, in seconds of the plant for a second on the wall. 0 is, for
            `ahead`, as fast as it can, and for `beside` a clock that only the times of VALUES move.
        frame: length of a frame of the engine [s].
        seed: of everything random.
        device: Warp's name of the device; empty is the simulator's own choice.
        version: of the files, as the service counts them; the table that answers says it again.
    """

    files: Files
    role: Role
    rate: float = 1.0
    frame: float = 0.05
    seed: int = 0
    device: str = ""
    version: int = 0


class Ask(msgspec.Struct):
    """A question; it is answered once, by an Answer of the same number.

    Attributes:
        number: of this question.
        operation: what is asked for: `present`, `rehearse`, `what_if` and so on.
        given: its arguments, plain data.
        data: what goes with it as bytes, as the present that a future starts from.
        budget: how long it may take [s]; 0 for as long as it takes.
    """

    number: int
    operation: str
    given: dict[str, Any] = {}
    data: bytes = b""
    budget: float = 0.0


class Cancel(msgspec.Struct):
    """Nobody waits for this answer any more; it still comes, with the fault `cancelled`."""

    number: int


class Fault(msgspec.Struct, frozen=True):
    """Why a question has no answer.

    Attributes:
        code: short stable name: `cancelled`, `unknown`, `invalid`, `unforkable`, `failed`, `busy`.
        message: what is wrong, what is allowed, what was got.
    """

    code: str
    message: str


class Answer(msgspec.Struct):
    """What became of a question.

    Attributes:
        number: of the question.
        result: plain data.
        data: bytes that belong to it.
        fault: why there is none.
    """

    number: int
    result: dict[str, Any] = {}
    data: bytes = b""
    fault: Fault | None = None


class Progress(msgspec.Struct):
    """How far a question has come.

    Attributes:
        number: of the question.
        done: part of the work, 0 to 1.
        text: what is being done.
    """

    number: int
    done: float
    text: str = ""


class Output(msgspec.Struct, frozen=True):
    """An attribute that a simulator gives values for.

    Attributes:
        path: property path: `…:predicted`, `…:residual`, `…:residualSigma` of a signal, or
            `twin:model:<name>:out:<port>`.
        type_name: USD type: `double`, `float`, `half`, `int`, `int64`, `uint`, `uint64`, `uchar` or
            `bool`.
        model: prim path and name of the model that gives it.
        unit: UCUM; empty where nobody says.
    """

    path: str
    type_name: str = "double"
    model: str = ""
    unit: str = ""


class Pose(msgspec.Struct, frozen=True):
    """A prim whose place a simulator gives.

    Attributes:
        prim: its path; it is Xformable.
        reset: whether its matrices are of the world, and the transforms of its ancestors do not
            count; otherwise they are of its parent.
        model: prim path and name of the model that gives it; empty where there is none.
        instance: which instance of the PointInstancer `prim`, in whose frame its matrices are; -1
            where the prim itself is placed.
    """

    prim: str
    reset: bool = False
    model: str = ""
    instance: int = -1


class Problem(msgspec.Struct, frozen=True):
    """Something that keeps a model from running; see `stagetwin.bindings.Problem`."""

    prim: str
    signal: str
    code: str
    message: str
    severity: str = "error"


class ModelRow(msgspec.Struct, frozen=True):
    """One model as the simulator knows it.

    Attributes:
        path: prim path and name.
        kind: entry point.
        fidelity: of the stage, else the kind's own.
        forkable: whether its state can be copied, so that a future can start from it.
        defaults: value and UCUM unit of its kind's parameters, by name, for what the stage leaves
            out.
    """

    path: str
    kind: str
    fidelity: str = ""
    forkable: bool = True
    defaults: dict[str, tuple[float, str]] = {}


class State(msgspec.Struct, frozen=True):
    """How a model stands.

    Attributes:
        path: prim path and name.
        state: `starting`, `running`, `waiting` (for measured signals) or `failed`.
        cause: why it does not run.
    """

    path: str
    state: str
    cause: str = ""


class Table(msgspec.Struct):
    """What a simulator made of the stage; what it says afterwards counts by positions in this.

    Attributes:
        number: grows with each table of a process; columns name the table that they go by.
        revision: of the plan; engines of the same revision can take each other's states.
        guards: hash of the guards of each asset that claims to be a twin, by prim path, as the
            simulator read them.
        measured: paths of the properties it wants to hear of: driven ones of telemetry and
            `desired` of commands. An element of an array is `PATH[INDEX]`.
        outputs: attributes it gives values for.
        poses: prims it gives places for.
        models: all that run.
        states: how they stand at first.
        problems: what keeps others from running.
        version: of the files that it was made from, as the service counts them; of older ones where
            those could not be read. A rehearsal counts only if it is the service's own.
    """

    number: int
    revision: str = ""
    guards: dict[str, str] = {}
    measured: list[str] = []
    outputs: list[Output] = []
    poses: list[Pose] = []
    models: list[ModelRow] = []
    states: list[State] = []
    problems: list[Problem] = []
    version: int = -1


class Health(msgspec.Struct):
    """How a simulator does, about once a second.

    Attributes:
        time: how long its engine has run [s of the plant].
        factor: seconds of the plant that it can do in a second on the wall, from the time its
            frames took.
        lag: how far it is behind the clock [s].
        frames: frames done.
        device: Warp's name of its device.
        states: models that stand otherwise than was said before.
        dropped: frames that were left out because it could not keep up, or the clock jumped.
    """

    time: float
    factor: float
    lag: float
    frames: int = 0
    device: str = ""
    states: list[State] = []
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """Many numbers at once, by positions in the lists of a Table.

    Attributes:
        table: number of that table.
        time: of which time they are [s, Unix].
        index: positions, shape (n,), int32.
        values: float64, shape (n,), of poses (n, 16): matrices in rows, as USD writes them. NaN
            means that a value is not known. Booleans are 0 and 1.
        quality: `stagetwin.signals.Quality`, shape (n,), uint8; of VALUES alone.
    """

    table: int
    time: float
    index: npt.NDArray[np.int32]
    values: Floats
    quality: npt.NDArray[np.uint8]


_COLUMNS = struct.Struct("<IdII")
_encoder = msgspec.msgpack.Encoder()


def encode(kind: Kind, body: Any = None) -> bytes:
    """Return a frame with a msgpack body, or with none."""
    payload = _encoder.encode(body) if body is not None else b""
    return HEADER.pack(len(payload), kind) + payload


def decode(body: bytes, body_type: Any) -> Any:
    """Return a msgpack body; raises msgspec.DecodeError or ValidationError."""
    return msgspec.msgpack.decode(body, type=body_type)


def encode_columns(
    kind: Literal[Kind.VALUES, Kind.PREDICTED, Kind.POSES],
    table: int,
    time: float,
    index: npt.ArrayLike,
    values: npt.ArrayLike,
    quality: npt.ArrayLike = (),
) -> bytes:
    """Return a frame of columns.

    Args:
        kind: what they are.
        table, time, index, values, quality: see Columns.

    Raises:
        ValueError: their lengths differ.
    """
    positions = np.ascontiguousarray(index, np.int32)
    numbers = np.ascontiguousarray(values, np.float64)
    qualities = np.ascontiguousarray(quality, np.uint8)
    n = len(positions)
    width = 16 if kind is Kind.POSES else 1
    if numbers.size != n * width or len(qualities) not in ((n,) if kind is Kind.VALUES else (0,)):
        raise ValueError(
            f"columns differ: {n} positions, {numbers.shape} values, {len(qualities)} qualities"
        )
    parts = (positions.tobytes(), numbers.tobytes(), qualities.tobytes())
    body = _COLUMNS.pack(table, time, n, width) + b"".join(parts)
    return HEADER.pack(len(body), kind) + body


def decode_columns(body: bytes) -> Columns:
    """Return the columns of a frame's body.

    Raises:
        ValueError: the body does not hold what its head says, or is of no time.
    """
    try:
        table, time, n, width = _COLUMNS.unpack_from(body)
    except struct.error as error:
        raise ValueError(f"no columns: {error}") from None
    if not math.isfinite(time):
        raise ValueError(f"columns must be of a finite time, got {time}")
    at = _COLUMNS.size
    after = at + 4 * n + 8 * n * width
    if width not in (1, 16) or len(body) - after not in (0, n):
        raise ValueError(f"columns of {n} rows of {width} do not take {len(body)} bytes")
    index = np.frombuffer(body, np.int32, n, at)
    values = np.frombuffer(body, np.float64, n * width, at + 4 * n)
    quality = np.frombuffer(body, np.uint8, len(body) - after, after)
    return Columns(table, time, index, values if width == 1 else values.reshape(n, width), quality)
