"""Behaviour models of the plant as plain, typed values."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One behaviour model; names as in the schema TwinModelAPI.

    Attributes:
        kind: Name of the installed model.
        reads: Names of signals of the same interface whose values feed ports of their names.
        writes: Names of signals of the same interface whose values are expected.
        inputs: What feeds a port: a signal's name, or a property such as
            `twin:model:drive:out:frequency`.
        outputs: Name of the signal that a port gives the expected value of.
        parameters: A number in the kind's unit, or a number and its unit.
        track: Parameters that are followed, and by what share each may change.
        fidelity: How far its figures may be trusted; empty for what the kind says.
    """

    name: str
    kind: str = ""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    track: dict[str, float] = field(default_factory=dict)
    fidelity: str = ""


@dataclass(frozen=True, kw_only=True)
class LinkSpec:
    """A relationship of a machine's model to other machines of its line.

    Attributes:
        machine: Its name; `{n}` stands for the line's number.
        model: Name of its model.
        relation: Such as `inlet` or `in:power`.
        to: Machines, or properties of machines.
    """

    machine: str
    model: str
    relation: str
    to: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PartModelSpec:
    """A model of something that has no interface, or other parameters of a machine's model.

    Attributes:
        on: Prim below the line; `{n}` stands for the line's number.
        model: What the interface does not say; without a kind, parameters alone.
    """

    on: str
    model: ModelSpec


def frozen(value: Any) -> Any:
    """Lists as tuples, so that a frozen spec is frozen all the way down."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def plain_fields(table: dict[str, Any]) -> dict[str, Any]:
    """A table of the page as arguments of a spec."""
    return {key: frozen(value) for key, value in table.items()}


def part_model(row: dict[str, Any]) -> PartModelSpec:
    """A row of the line's models."""
    rest = {k: v for k, v in row.items() if k != "on"}
    return PartModelSpec(on=row["on"], model=ModelSpec(**plain_fields(rest)))
