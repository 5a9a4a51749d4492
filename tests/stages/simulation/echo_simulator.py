"""A simulator of a third party, for tests: `python -m tests.stages.simulation.echo_simulator`.

Each model of kind `echo` expects its signal to be `gain` times what it reads. Its other kinds
misbehave on purpose. Ahead of the plant it waits at its start while a file `starting` lies beside
the plant's. It needs neither USD nor Warp to run, only the frames; what it knows of the stage it
reads by the core's own reader.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from stagetwin.bindings import BindingTable, read_bindings
from stagetwin.guards import guard_hashes
from stagetwin.host import configure_logging
from stagetwin.opening import open_stage
from stagetwin.simulation import Line, wire

BOX = "/Plant/Box"


class Echo:
    """What one process knows."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.number = 0
        self.role = "beside"
        self.table = BindingTable()
        self.measured: list[str] = []
        self.known: dict[int, tuple[float, int]] = {}
        self.frames = 0
        self.mute = False

    def open(self, body: bytes) -> None:
        request: wire.Open = wire.decode(body, wire.Open)
        self.role = request.role
        stage = open_stage(request.files.stage, request.files.sidecars, request.files.endpoints)
        stage.Reload()
        self.table = read_bindings(stage)
        self.number += 1
        models = [m for m in self.table.models if m.kind == "echo"]
        self.measured = sorted({path for m in models for path in m.reads})
        outputs, self.gains = [], []
        for m in models:
            gain = m.parameters["gain"].value if "gain" in m.parameters else 1.0
            for path in m.writes:
                stem = path.removesuffix(":value")
                for end in ("predicted", "residual", "residualSigma"):
                    outputs.append(wire.Output(f"{stem}:{end}", model=m.path))
                outputs.append(wire.Output(f"{m.prim}.twin:model:{m.name}:out:gain", model=m.path))
                self.gains.append((gain, self.measured.index(m.reads[0]), path))
        problems = [
            wire.Problem(m.prim, m.name, "kind", f"no kind {m.kind!r} here")
            for m in self.table.models
            if m.kind != "echo"
        ]
        while self.role == "ahead" and Path(request.files.stage).with_name("starting").exists():
            self.line.alive()
            time.sleep(0.01)
        poses = [wire.Pose(BOX, reset=True)] if stage.GetPrimAtPath(BOX) else []
        self.known.clear()
        self.line.say(
            wire.Kind.TABLE,
            wire.Table(
                self.number,
                revision="echo",
                guards=guard_hashes(self.table),
                measured=self.measured,
                outputs=outputs,
                poses=poses,
                models=[wire.ModelRow(m.path, m.kind, "screening") for m in models],
                states=[wire.State(m.path, "waiting", "nothing measured") for m in models],
                problems=problems,
                version=request.version,
            ),
        )
        self.models = models

    def values(self, body: bytes) -> None:
        columns = wire.decode_columns(body)
        if columns.table != self.number:
            return
        rows = zip(
            columns.index.tolist(), columns.values.tolist(), columns.quality.tolist(), strict=True
        )
        self.known.update((i, (value, quality)) for i, value, quality in rows)
        values: list[float] = []
        for gain, position, _ in self.gains:
            value = self.known.get(position, (float("nan"), 3))[0]
            values += [gain * value, value - gain * value, 0.5, gain]
        kind: Any = wire.Kind.PREDICTED
        self.line.put(
            wire.encode_columns(kind, self.number, time.time(), range(len(values)), values)
        )
        if self.gains:
            matrix = np.eye(4)
            matrix[3, 0] = np.nan_to_num(values[0])
            kind = wire.Kind.POSES
            self.line.put(wire.encode_columns(kind, self.number, time.time(), [0], matrix))
        states = [wire.State(m.path, "running") for m in self.models]
        self.line.say(wire.Kind.HEALTH, wire.Health(1.0, 12.5, 0.01, states=states))
        self.mute = any(value == 777 for value, _ in self.known.values())
        if any(value == 666 for value, _ in self.known.values()):
            os._exit(3)

    def live(self) -> None:
        """Say that all is as it was, unless it has been told to lose its tongue."""
        if self.number and not self.mute:
            self.frames += 1
            self.line.say(wire.Kind.HEALTH, wire.Health(1.0, 12.5, 0.01, self.frames))

    def ask(self, body: bytes) -> None:
        ask: wire.Ask = wire.decode(body, wire.Ask)
        answer = wire.Answer(ask.number)
        if ask.operation == "present":
            answer.data = repr(sorted(self.known.items())).encode()
            answer.result = {
                "time": time.time(),
                "revision": "echo",
                "rules": ask.given["rules"],
            }
        elif ask.operation == "rehearse":
            self.rehearse(ask, answer)
        elif ask.operation == "what_if":
            self.what_if(ask, answer)
        else:
            answer.fault = wire.Fault("unknown", f"no operation {ask.operation!r}")
        self.line.say(wire.Kind.ANSWER, answer)

    def rehearse(self, ask: wire.Ask, answer: wire.Answer) -> None:
        """Hold below 50; find an overflow up to 90; beyond that take for ever, or fall at 99."""
        value = ask.given["value"]
        answer.result = {"verdict": "held", "cause": "nothing near a limit", "hash": "abc"}
        answer.result |= {"command": ask.given["command"], "value": value}
        answer.result |= {"simulated": ask.given["horizon"], "present": {"plan": "echo"}}
        answer.result["from"] = ask.data.decode()
        if value == 99:
            os._exit(4)
        if value == 98:
            answer.fault = wire.Fault("unforkable", "/Plant/P.m: its FMU saves no state")
        elif value > 90:
            while not self.line.cancelled(ask.number):
                time.sleep(0.005)
            answer.fault = wire.Fault("cancelled", "cancelled")
        elif value > 50:
            answer.result["verdict"] = "violated"
            answer.result["violations"] = [
                {
                    "kind": "limit",
                    "prim": "/Plant/T",
                    "signal": "level",
                    "value": 4.2,
                    "limit": 4.0,
                    "unit": "m",
                    "time": 31.0,
                    "message": "the tank runs over",
                }
            ]

    def what_if(self, ask: wire.Ask, answer: wire.Answer) -> None:
        steps = int(ask.given["scenario"].get("steps", 1))
        for step in range(steps):
            if self.line.cancelled(ask.number):
                answer.fault = wire.Fault("cancelled", "cancelled")
                return
            self.line.say(wire.Kind.PROGRESS, wire.Progress(ask.number, step / steps, "steps"))
            if ask.given["scenario"].get("slow"):
                time.sleep(0.005)
        answer.result = {"name": ask.given["scenario"].get("name", ""), "from": ask.data.decode()}


def main() -> int:
    configure_logging("text", "INFO")
    line = Line.standard()
    echo = Echo(line)
    while not line.ended:
        frame = line.take(0.1)
        if frame is None:
            echo.live()
            continue
        kind, body = frame
        if kind is wire.Kind.OPEN:
            echo.open(body)
        elif kind is wire.Kind.VALUES:
            echo.values(body)
        elif kind is wire.Kind.ASK:
            echo.ask(body)
    line.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
