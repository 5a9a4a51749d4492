"""The service's end of the line, for tests."""

from __future__ import annotations

import io
import math
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from stagetwin.signals import Quality
from stagetwin.simulation import Line, wire
from stagetwin_sim.host._beside import Beside
from stagetwin_sim.host._opening import Opened, open_plant

ROOT = Path(__file__).parents[3]


class Clock:
    """A steady clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Heard:
    """What a simulator said, put together.

    Attributes:
        table: the newest.
        values: of attributes, by path; NaN where they are not known.
        states: of models, by path.
        said: how many attributes each PREDICTED frame held.
        health, answers, progress: as they came.
    """

    def __init__(self) -> None:
        self.table = wire.Table(0)
        self.values: dict[str, float] = {}
        self.states: dict[str, wire.State] = {}
        self.said: list[int] = []
        self.times: list[float] = []
        self.health: list[wire.Health] = []
        self.answers: list[wire.Answer] = []

    def take(self, kind: wire.Kind, body: bytes) -> None:
        """Take one frame."""
        if kind is wire.Kind.TABLE:
            self.table = wire.decode(body, wire.Table)
            self.states.update({state.path: state for state in self.table.states})
        elif kind is wire.Kind.PREDICTED:
            columns = wire.decode_columns(body)
            assert columns.table == self.table.number
            self.said.append(len(columns.index))
            self.times.append(columns.time)
            for i, value in zip(columns.index.tolist(), columns.values.tolist(), strict=True):
                self.values[self.table.outputs[i].path] = value
        elif kind is wire.Kind.HEALTH:
            self.health.append(wire.decode(body, wire.Health))
            self.states.update({state.path: state for state in self.health[-1].states})
        elif kind is wire.Kind.ANSWER:
            self.answers.append(wire.decode(body, wire.Answer))


class Talk:
    """Models beside a machine in this process, on a clock of their own."""

    def __init__(self, path: Path, text: str, rate: float = 1.0) -> None:
        path.write_text(text)
        self.request = wire.Open(wire.Files(str(path)), "beside", rate)
        self.path, self.clock, self.heard = path, Clock(), Heard()
        self._out = io.BytesIO()
        self.line = Line(io.BytesIO(), self._out)
        self.opened: Opened = open_plant(self.request)
        self.beside = Beside(self.line, self.request, self.opened, 1, steady=self.clock)
        self.heard.table = self.beside.table()

    def reopen(self, text: str) -> None:
        """Let the plant's file say something else, and read it anew."""
        self.path.write_text(text)
        stamp = os.stat(self.path).st_mtime + 10
        os.utime(self.path, (stamp, stamp))
        self.opened = open_plant(self.request)
        number = self.heard.table.number + 1
        self.beside = Beside(
            self.line, self.request, self.opened, number, self.beside, steady=self.clock
        )
        self.listen()
        self.heard.table = self.beside.table()

    def tell(
        self, values: dict[str, float], quality: Quality = Quality.GOOD, time: float | None = None
    ) -> None:
        """Say values of properties."""
        self.beside.hear(
            columns(self.heard.table, values, quality, self.time if time is None else time)
        )

    @property
    def time(self) -> float:
        """The service's time."""
        return 1000.0 + (self.clock.now - 100.0) * self.request.rate

    def go(self, seconds: float) -> None:
        """Let the clock go on in steps of half a second, and listen."""
        self.run(seconds)
        self.listen()

    def run(self, seconds: float) -> None:
        """Let the clock go on in steps of half a second."""
        end = self.clock.now + seconds
        while self.clock.now < end - 1e-9:
            self.clock.now = min(end, self.clock.now + 0.5)
            self.beside.turn()
            while self.beside.wait() == 0:
                self.beside.turn()

    def listen(self) -> Heard:
        """Take everything that was said until now."""
        frames = _drained(self.line, self._out)
        self.line = Line(io.BytesIO(), self._out)
        self.beside._line = self.line
        for kind, body in frames:
            self.heard.take(kind, body)
        return self.heard

    def close(self) -> None:
        """End the threads of the line."""
        self.line.close()


def _drained(line: Line, out: io.BytesIO) -> list[tuple[wire.Kind, bytes]]:
    line.close()
    data, at, frames = out.getvalue(), 0, []
    while at < len(data):
        size, kind = wire.HEADER.unpack_from(data, at)
        at += wire.HEADER.size
        frames.append((wire.Kind(kind), data[at : at + size]))
        at += size
    out.seek(0)
    out.truncate()
    return frames


def columns(
    table: wire.Table, values: dict[str, float], quality: Quality, time: float
) -> wire.Columns:
    """Return values of properties as the service sends them."""
    index = [table.measured.index(path) for path in values]
    frame = wire.encode_columns(
        wire.Kind.VALUES, table.number, time, index, list(values.values()), [quality] * len(index)
    )
    return wire.decode_columns(frame[wire.HEADER.size :])


class Child:
    """A simulator in a process of its own."""

    def __init__(self, site: Path) -> None:
        paths = [str(site), str(ROOT)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stagetwin_sim.host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self.heard = Heard()
        self._frames: queue.SimpleQueue[tuple[wire.Kind, bytes] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        out = self.process.stdout
        assert out is not None
        while len(head := out.read(wire.HEADER.size)) == wire.HEADER.size:
            size, kind = wire.HEADER.unpack(head)
            self._frames.put((wire.Kind(kind), out.read(size)))
        self._frames.put(None)

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        assert self.process.stdin is not None
        self.process.stdin.write(frame)
        self.process.stdin.flush()

    def open(self, path: Path, role: wire.Role = "beside", **more: Any) -> wire.Table:
        """Open a plant and wait for its table."""
        number = self.heard.table.number
        self.send(wire.encode(wire.Kind.OPEN, wire.Open(wire.Files(str(path)), role, **more)))
        self.until(lambda: self.heard.table.number > number)
        return self.heard.table

    def tell(self, values: dict[str, float], time: float = 1000.0) -> None:
        """Say good values of properties."""
        index = [self.heard.table.measured.index(path) for path in values]
        self.send(
            wire.encode_columns(
                wire.Kind.VALUES,
                self.heard.table.number,
                time,
                index,
                list(values.values()),
                [Quality.GOOD] * len(index),
            )
        )

    def ask(self, operation: str, number: int = 1, **more: Any) -> wire.Answer:
        """Ask, and wait for the answer."""
        self.send(wire.encode(wire.Kind.ASK, wire.Ask(number, operation, **more)))
        self.until(lambda: any(a.number == number for a in self.heard.answers))
        return next(a for a in self.heard.answers if a.number == number)

    def until(self, met: Any) -> None:
        """Listen until something is so."""
        while not met():
            frame = self._frames.get(timeout=100)
            assert frame is not None, "the process ended"
            self.heard.take(*frame)

    def close(self) -> tuple[int, str]:
        """Close its input; return its exit status and its log."""
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.close()
        status = self.process.wait(30)
        log = self.process.stderr.read().decode()
        self.process.stderr.close()
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status, log


def known(values: dict[str, float]) -> dict[str, float]:
    """Return the values that are known."""
    return {path: value for path, value in values.items() if not math.isnan(value)}
