"""The numbers of a stage that models may read and write: signals and commands, by property."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from pxr import Sdf, Usd

from stagetwin.bindings import BindingTable, CommandBinding, TelemetryBinding
from stagetwin.values import value_type
from stagetwin_sim._errors import ModelError
from stagetwin_sim.plant._units import ANY

__all__ = ["ModelPort", "Property", "Signals", "model_port"]

_OUT = re.compile(r"(?P<prim>/[^.]*)\.twin:model:(?P<model>[^:.]+):out:(?P<port>[^.]+)")


@dataclass(frozen=True, slots=True)
class ModelPort:
    """An output of a model, as a relationship names it."""

    model: str
    port: str


def model_port(path: str) -> ModelPort | None:
    """Return the output that a property path names; None where it names something else."""
    found = _OUT.fullmatch(path)
    return ModelPort(f"{found['prim']}.{found['model']}", found["port"]) if found else None


@dataclass(frozen=True, slots=True)
class Property:
    """One number that a signal or a command carries.

    Attributes:
        path: of the property that holds it.
        name: of the signal or command.
        role: `measured`, `setpoint`, or `plain` for an attribute of neither.
        unit: UCUM.
        type_name: USD type.
        predicted: path of the attribute of its expected value; empty for a command.
        value: what the stage holds, or None.
    """

    path: str
    name: str
    role: Literal["measured", "setpoint", "plain"]
    unit: str
    type_name: str
    predicted: str
    value: float | None


class Signals:
    """Signals and commands of a stage by the properties that name them.

    A signal that drives another property is found by that one, and by its own `value`.
    """

    def __init__(self, stage: Usd.Stage, table: BindingTable) -> None:
        self._stage = stage
        self._named: dict[str, list[TelemetryBinding | CommandBinding]] = {}
        for signal in table.telemetry.values():
            own = f"{signal.prim}.twin:telemetry:{signal.signal}:value"
            for path in dict.fromkeys((signal.target, own)):
                self._named.setdefault(path, []).append(signal)
        for command in table.commands:
            own = f"{command.prim}.twin:command:{command.signal}:desired"
            for path in dict.fromkeys((command.target, own)):
                self._named.setdefault(path, []).append(command)

    def names(self, path: str) -> list[str]:
        """Return the names of the signals or commands that a property belongs to."""
        return [each.signal for each in self._named.get(path, ())]

    def is_number(self, path: str) -> bool:
        """Tell whether a property is of a signal or a command, and a number."""
        found = self._named.get(path, ())
        return any(b.element < 0 and b.value_type.kind.numeric for b in found)

    def at(self, path: str, name: str = "") -> Property:
        """Return what a property carries.

        Args:
            path: of the property.
            name: of the signal, where several share the property; empty for the first.

        Raises:
            ModelError: there is nothing, or it holds no single number.
        """
        found = self._named.get(path, ())
        binding = next((each for each in found if each.signal == name), found[0] if found else None)
        if binding is None:
            return self._plain(path)
        if binding.element >= 0 or not binding.value_type.kind.numeric:
            what = f"an element of {binding.target}" if binding.element >= 0 else binding.type_name
            raise ModelError(f"{binding.path} is {what}; a port takes one number or bool")
        measured = isinstance(binding, TelemetryBinding)
        return Property(
            path=binding.target,
            name=binding.signal,
            role="measured" if measured else "setpoint",
            unit=binding.unit or "1",
            type_name=binding.type_name,
            predicted=f"{binding.prim}.twin:telemetry:{binding.signal}:predicted"
            if measured
            else "",
            value=self._value(binding.target),
        )

    def _plain(self, path: str) -> Property:
        """Return an attribute that neither a signal nor a command has: a constant, to a model."""
        attr = self._stage.GetAttributeAtPath(Sdf.Path(path))
        kind = value_type(str(attr.GetTypeName())) if attr else None
        if kind is None or not kind.kind.numeric or attr.GetName().startswith("twin:"):
            raise ModelError(
                f"{path} is neither of a signal nor of a command that runs, nor a number elsewhere"
            )
        type_name = str(attr.GetTypeName())
        return Property(path, attr.GetName(), "plain", ANY, type_name, path, self._value(path))

    def _value(self, path: str) -> float | None:
        attr = self._stage.GetAttributeAtPath(Sdf.Path(path))
        value = attr.Get() if attr else None
        if isinstance(value, (bool, int, float)) and math.isfinite(value):
            return float(value)
        return None
