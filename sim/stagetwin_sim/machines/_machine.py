"""A machine: state that moves in time, signals that tell it, commands that change its course."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from stagetwin.bindings import CommandBinding
from stagetwin.ports import ValueKind
from stagetwin_sim.machines._nameplate import Nameplate, name_of

__all__ = ["Machine", "approach", "ramp"]

Values = dict[str, Any]


def ramp(value: float, target: float, step: float) -> float:
    """Return a value moved towards a target, by at most `step`."""
    return min(value + step, target) if value < target else max(value - step, target)


def approach(value: float, target: float, dt: float, time_constant: float) -> float:
    """Return a value after `dt` [s] of first-order lag: dx/dt = (target - x) / time_constant.

    The exact solution of the equation, so that any step is stable.
    """
    return target + (value - target) * math.exp(-dt / time_constant)


class Machine:
    """A machine of no particular kind: every read-back follows its command.

    Numbers follow by a first-order lag, switches and texts at once. A kind of its own overrides
    `step`, `signals` and `obey`.

    Attributes:
        kind: name of the kind.
        noisy: relative standard deviation of what a sensor adds, by signal.
        plate: the asset's signals and commands.
        switches: bool signals that permit commands; true until somebody sets them.
        activity: how busy it is, 0 to 1; vibration of the synthetic model follows it.
        felt: signals that models of the stage give, as they are now; empty where there are none.
        ailments: what of its own physics may fail: range of its amount, by kind of fault.
        ills: what fails: its amount, by kind of fault.
    """

    kind: ClassVar[str] = "machine"
    noisy: ClassVar[Mapping[str, float]] = {}
    ailments: ClassVar[Mapping[str, tuple[float, float]]] = {}
    lag: ClassVar[float] = 1.0
    """Time constant of a read-back behind its command [s]."""

    def __init__(self, plate: Nameplate) -> None:
        self.plate = plate
        self.activity = 1.0
        self.felt: Values = {}
        self.ills: dict[str, float] = {}
        self._permissives = {name: self._permitting(c) for name, c in plate.commands.items()}
        self.switches = {
            signal: True for signals in self._permissives.values() for signal in signals
        }
        self._targets: Values = {}
        self._held: Values = {}
        self._on = True
        self._in_force: Values = {}
        for name, command in plate.commands.items():
            readback = self._readback(command)
            kind = command.value_type.kind
            if readback:
                self._held[readback] = self._targets[name] = self._start(name, kind, readback)
        self._in_force.update(self._targets)

    # -- what a machine is asked

    def signals(self) -> Mapping[str, Any]:
        """Return the values of the signals that the physics covers, in the stage's units."""
        values: Values = {**self.switches, **self._held}
        if self.plate.says("state", "running"):
            word = self.plate.word("state", "running")
            values["state"] = word if self._on else self.plate.word("state", "idle", "stopped")
        return values

    def command(self, name: str, value: Any) -> str:
        """Obey a command, value in the stage's unit.

        Returns:
            Empty, or why the machine's own interlock refuses. What makes a machine safe (a stop,
            its `safe` value) is never refused.
        """
        command = self.plate.commands.get(name)
        if command is None:
            known = ", ".join(sorted(self.plate.commands)) or "none"
            return f"{self.plate.prim} has no command {name!r}; it has {known}"
        if not _is_safe(command, value) and (missing := self._missing(name)):
            return f"interlock: {missing} is false"
        cause = self.obey(name, value)
        if not cause and type(self).step is not Machine.step:
            self._in_force[name] = value  # a kind that moves by itself
        return cause

    def wants(self, name: str) -> Any:
        """Return the value of a command that is in force now; None where none ever was.

        It moves by no more than the command's rate limit.
        """
        return self._in_force.get(name)

    def feel(self, values: Mapping[str, Any]) -> None:
        """Take what models say of its signals, in place of its own physics [unit of each]."""
        self.felt = dict(values)

    def obey(self, name: str, value: Any) -> str:
        """Take a command whose permissives are given; as `command`, for kinds to override."""
        self._targets[name] = value
        if not _is_number(value) or name not in self._in_force:
            self._in_force[name] = value
        if name == "run":
            self._on = bool(value)
        readback = self._readback(self.plate.commands[name])
        if readback and not _is_number(value):
            self._held[readback] = value
        return ""

    def step(self, dt: float) -> None:
        """Move on by `dt` [s]."""
        for name, target in self._targets.items():
            if not _is_number(target):
                continue
            command = self.plate.commands[name]
            if 0 < command.rate_limit < math.inf:
                target = ramp(self._in_force[name], target, command.rate_limit * dt)
            self._in_force[name] = target
            if readback := self._readback(command):
                lag = min(self.lag, command.settle_time / 5)
                self._held[readback] = approach(self._held[readback], target, dt, lag)

    # -- parts

    def _missing(self, name: str) -> str:
        given = {**self.signals(), **self.felt}
        wanted = self._permissives[name]
        return next((signal for signal in wanted if given.get(signal) is False), "")

    def _permitting(self, command: CommandBinding) -> tuple[str, ...]:
        """Return the signals of this machine that permit a command."""
        targets = {b.target: name for name, b in self.plate.telemetry.items()}
        return tuple(targets[path] for path in command.permissives if path in targets)

    def _readback(self, command: CommandBinding) -> str:
        for name, binding in self.plate.telemetry.items():
            if command.readback and binding.target == command.readback:
                return name
        return ""

    def _start(self, name: str, kind: ValueKind, readback: str) -> Any:
        """Return what a read-back says before the first command."""
        if kind is ValueKind.BOOLEAN:
            return True
        if kind is ValueKind.TEXT:
            return self.plate.word(readback, *self.plate.words.get(readback, (f"{readback}-1",)))
        low, high = self.plate.soft(readback, self.plate.reach(name, (0.0, 1.0)))
        return (low + high) / 2 if kind is not ValueKind.INTEGER else round((low + high) / 2)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_safe(command: CommandBinding, value: Any) -> bool:
    if value is False and name_of(command).rpartition(".")[2] == "run":
        return True
    return bool(command.safe) and bool(json.loads(command.safe) == value)
