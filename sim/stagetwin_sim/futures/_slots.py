"""Where the signals of a future are on its bus."""

from __future__ import annotations

from typing import NamedTuple

from stagetwin.bindings import CommandBinding, TelemetryBinding
from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.engine import Column
from stagetwin_sim.futures._present import Present
from stagetwin_sim.plant import Output

__all__ = ["Slots", "Tap", "is_number"]


class Tap(NamedTuple):
    """Where a number is read: `bus[column] * scale + offset` [stage's unit]."""

    column: int
    scale: float = 1.0
    offset: float = 0.0


def is_number(binding: TelemetryBinding | CommandBinding) -> bool:
    """Tell whether a signal or command is one number or boolean."""
    kind = binding.value_type
    return binding.element < 0 and kind.components == 1 and kind.kind.numeric


class Slots:
    """Signals and commands of a plant by name and path, and columns of their own behind the bus's.

    A slot is a column that holds a signal's value in a future, in the stage's unit. Only what
    decides something has one.

    Args:
        present: where the slots' first values come from.

    Attributes:
        columns: those that were added.
        outputs: by the path of the signal that they predict.
        telemetry, commands: by the path of the property.
    """

    def __init__(self, present: Present) -> None:
        self.present = present
        plant = present.plant
        self.columns: list[Column] = []
        self.outputs: dict[str, Output] = {}
        for output in plant.outputs:
            if output.signal:
                self.outputs.setdefault(output.signal, output)
        self.telemetry: dict[str, TelemetryBinding] = {}
        for signal in plant.table.telemetry.values():
            if is_number(signal):
                self.telemetry.setdefault(signal.target, signal)
        self.commands = {c.target: c for c in plant.table.commands if is_number(c)}
        self._names = {signal.path: path for path, signal in self.telemetry.items()}
        self._asked = {command.path: path for path, command in self.commands.items()}
        self._ports = {
            f"{output.model}.{output.path.rpartition(':')[2]}": output
            for output in plant.outputs
            if not output.signal
        }
        self._slots: dict[str, int] = {}
        self._first = len(plant.plan.columns)

    def signal(self, name: str) -> str:
        """Return the path of a signal that is written `PRIM.NAME` or as its path.

        Raises:
            ScenarioError: there is none.
        """
        path = self._names.get(name, name)
        if path not in self.telemetry:
            raise ScenarioError(_unknown("signal", name, self._names))
        return path

    def command(self, name: str) -> str:
        """Return the path of a command that is written `PRIM.NAME` or as its path.

        Raises:
            ScenarioError: there is none.
        """
        path = self._asked.get(name, name)
        if path not in self.commands:
            raise ScenarioError(_unknown("command", name, self._asked))
        return path

    def tap(self, name: str) -> Tap:
        """Return where a signal, a set-point or a model's output is read.

        Args:
            name: `PRIM.NAME` of a signal or command, `PRIM.MODEL.PORT` of an output, or a path.

        Raises:
            ScenarioError: there is none.
        """
        if name in self._ports:
            output = self._ports[name]
            return Tap(output.column, output.scale, output.offset)
        if name not in self.telemetry and name not in self._names:
            if name in self._asked or name in self.commands:
                return Tap(self.slot(self.command(name)))
            known = [*self._names, *self._asked, *self._ports]
            raise ScenarioError(_unknown("signal", name, known))
        return self.read(self.signal(name))

    def read(self, path: str) -> Tap:
        """Return where a signal is read: what predicts it, else its slot."""
        output = self.outputs.get(path)
        if output is not None:
            return Tap(output.column, output.scale, output.offset)
        return Tap(self.slot(path))

    def unit(self, name: str) -> str:
        """Return the unit of what `tap` finds."""
        if name in self._ports:
            return self._ports[name].unit
        path = self._names.get(name, self._asked.get(name, name))
        found = self.telemetry.get(path) or self.commands.get(path)
        return found.unit if found is not None else ""

    def slot(self, path: str) -> int:
        """Return the column that holds the value of a signal or set-point.

        A set-point that was never given is what the machine does.
        """
        if path not in self._slots:
            self._slots[path] = self._first + len(self.columns)
            value = self.present.value(path)
            command = self.commands.get(path)
            if command is not None and path not in self.present.desired and command.readback:
                value = self.present.values.get(command.readback, value)
            column = Column(f"{path}|now", value=value if value is not None else 0.0)
            self.columns.append(column)
        return self._slots[path]

    @property
    def slots(self) -> dict[str, int]:
        """Columns of the slots so far, by path."""
        return self._slots

    def is_known(self, path: str) -> bool:
        """Tell whether a signal is known: a model predicts it, or it was measured and good."""
        return path in self.outputs or self.present.is_known(path)


def _unknown(what: str, name: str, known: object) -> str:
    names = sorted(str(n) for n in known)  # type: ignore[attr-defined]
    last = name.rpartition(".")[2]
    near = [n for n in names if n.rpartition(".")[2] == last] or names
    shown = ", ".join(near[:6]) + (", …" if len(near) > 6 else "")
    return f"{name}: no {what} of that name runs on this stage; there are {shown or 'none'}"
