"""What one pass over the models found, for the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from pxr import Sdf

from stagetwin.bindings import ModelBinding

__all__ = ["DRIVES", "Known", "Shafts", "output_name"]

DRIVES = "drives"
"""Relationship of a model to the prims that its shaft turns."""


def output_name(binding: ModelBinding, port: str) -> str:
    """Return the name of the column of a model's output."""
    return f"{binding.prim}.twin:model:{binding.name}:out:{port}"


@dataclass(frozen=True)
class Known:
    """What models said of themselves.

    Attributes:
        units: of outputs, by column.
        inputs: names of inputs, by `PRIM.NAME`.
        outputs: names of outputs, by `PRIM.NAME`.
    """

    units: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Set[str]] = field(default_factory=dict)
    outputs: Mapping[str, Set[str]] = field(default_factory=dict)


class Shafts:
    """Models that turn others, by the relationship `drives`.

    The driven model's `shaft_speed`, or else its `speed`, is the driver's `speed`; the driver's
    inputs `load_...` are the driven model's outputs of these names.
    """

    def __init__(self, running: Iterable[ModelBinding]) -> None:
        self._at: dict[str, list[ModelBinding]] = defaultdict(list)
        self._drivers: dict[str, list[ModelBinding]] = defaultdict(list)
        for binding in running:
            self._at[binding.prim].append(binding)
            for target in binding.relations.get(DRIVES, ()):
                self._drivers[str(Sdf.Path(target).GetPrimPath())].append(binding)

    def __bool__(self) -> bool:
        return bool(self._drivers)

    def sources(self, binding: ModelBinding, port: str, known: Known) -> list[str]:
        """Return the columns of the outputs that a shaft brings to an input."""
        if port.startswith("load_"):
            driven = (
                each
                for target in binding.relations.get(DRIVES, ())
                for each in self._at[str(Sdf.Path(target).GetPrimPath())]
            )
            return [output_name(m, port) for m in driven if port in known.outputs.get(m.path, ())]
        if port != "shaft_speed" and (
            port != "speed" or "shaft_speed" in known.inputs.get(binding.path, ())
        ):
            return []
        return [
            output_name(m, "speed")
            for m in self._drivers[binding.prim]
            if "speed" in known.outputs.get(m.path, ())
        ]
