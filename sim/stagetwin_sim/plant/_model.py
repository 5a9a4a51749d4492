"""What reading a stage's models yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from stagetwin.bindings import BindingTable, ModelBinding, Problem
from stagetwin_sim.engine import Kind, Plan

__all__ = ["Feed", "Instance", "Output", "PlantModel"]


class Feed(NamedTuple):
    """Where a property's value goes: `bus[column] = value * scale + offset`."""

    column: int
    scale: float
    offset: float

    def of(self, value: float) -> float:
        """Return what the column holds for a value of the property."""
        return value * self.scale + self.offset


@dataclass(frozen=True, slots=True)
class Output:
    """Where a column goes on the stage: value = bus * scale + offset.

    Attributes:
        column: of the bus.
        path: of the attribute in the layer `predicted`.
        type_name: USD type of it.
        scale, offset: from the bus to the attribute's unit.
        model: `PRIM.NAME` of the model that writes it.
        signal: path of the property whose expected value it is; empty for none.
        unit: UCUM, of the attribute.
    """

    column: int
    path: str
    type_name: str
    scale: float
    offset: float
    model: str
    signal: str = ""
    unit: str = "1"

    def of(self, value: float) -> float:
        """Return the attribute's value for what the column holds."""
        return value * self.scale + self.offset


@dataclass(frozen=True, slots=True)
class Instance:
    """One model that runs.

    Attributes:
        binding: what the stage says of it.
        kind: its kind; None where a family has no `Kind` for it.
        group: name of the system that holds it; empty where its family did not say.
        index: its place there.
        inputs, outputs: columns, by port.
    """

    binding: ModelBinding
    kind: Kind | None = None
    group: str = ""
    index: int = 0
    inputs: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, int] = field(default_factory=dict)

    @property
    def fidelity(self) -> str:
        """How far its figures may be trusted; a kind is never calibrated, a machine may be."""
        own = self.kind.fidelity if self.kind is not None else ""
        kinds = own if own in ("screening", "engineering") else "engineering"
        return self.binding.fidelity or kinds


@dataclass(frozen=True, kw_only=True)
class PlantModel:
    """The models of a stage.

    Attributes:
        plan: what an engine is made from.
        table: the bindings that it was read from.
        problems: why models do not run, and what is doubtful, sorted.
        outputs: what goes to the stage.
        measured: columns that the value of a signal's property feeds, by path.
        setpoints: columns that a command's property feeds, by path.
        instances: models that run, by `PRIM.NAME`.
        heard: properties of signals and commands whose values decide what models and futures do.
        root: identifier of the stage's root layer.
        stage: revision of the stage: fingerprint of all that was read of it, signals, limits,
            commands, rules, alarms and models.
        parameters: versions that the models' assets say they have.
    """

    plan: Plan
    table: BindingTable
    problems: list[Problem] = field(default_factory=list)
    outputs: tuple[Output, ...] = ()
    measured: Mapping[str, tuple[Feed, ...]] = field(default_factory=dict)
    setpoints: Mapping[str, tuple[Feed, ...]] = field(default_factory=dict)
    instances: Mapping[str, Instance] = field(default_factory=dict)
    heard: tuple[str, ...] = ()
    root: str = ""
    stage: str = ""
    parameters: str = ""

    def feeds(self, path: str) -> tuple[Feed, ...]:
        """Return the columns that a property feeds, measured or commanded."""
        return (*self.measured.get(path, ()), *self.setpoints.get(path, ()))

    def at(self, values: Mapping[str, float]) -> PlantModel:
        """Return it with other first values, so that states begin where the plant is.

        Args:
            values: of properties by path, in the stage's units; others are passed over.
        """
        columns = list(self.plan.columns)
        for path, value in values.items():
            for feed in self.feeds(path):
                columns[feed.column] = replace(columns[feed.column], value=feed.of(value))
        return replace(self, plan=replace(self.plan, columns=tuple(columns), _index={}))
