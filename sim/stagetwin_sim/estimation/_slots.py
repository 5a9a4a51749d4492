"""Where each measured signal meets what a model expects of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from stagetwin_sim.engine import Engine, Group
from stagetwin_sim.plant import Output, PlantModel

__all__ = ["Correctable", "Slot", "find_slots"]


@runtime_checkable
class Correctable(Protocol):
    """A system that is no group and can be told where the plant is."""

    def correct(self, expected: Mapping[int, float]) -> Collection[int]:
        """Move the states of every world so that columns show these values.

        Args:
            expected: by column of the bus.

        Returns:
            The columns that it could move; others are left as they were.
        """
        ...


@dataclass(frozen=True, slots=True)
class Slot:
    """One output that predicts a measured signal.

    Attributes:
        output: where its column goes; `signal` is the measured one.
        group: name of the group that writes it, or empty.
        port: index of the port there.
        index: of the instance there.
    """

    output: Output
    group: str = ""
    port: int = 0
    index: int = 0


def find_slots(plant: PlantModel, engine: Engine) -> list[Slot]:
    """Return all outputs that predict measured signals, those of groups first."""
    wanted: dict[int, list[Output]] = {}
    for output in plant.outputs:
        if output.signal:
            wanted.setdefault(output.column, []).append(output)
    slots: list[Slot] = []
    for name, system in engine.systems.items():
        if not isinstance(system, Group):
            continue
        places = system.plan.places
        for port, columns in enumerate(system.plan.outputs.tolist()):
            for index, column in enumerate(columns):
                own = [o for o in wanted.get(column, ()) if o.model == places[index]]
                slots += [Slot(output, name, port, index) for output in own]
    taken = {id(slot.output) for slot in slots}
    rest = [o for outputs in wanted.values() for o in outputs if id(o) not in taken]
    return slots + [Slot(output) for output in rest]
