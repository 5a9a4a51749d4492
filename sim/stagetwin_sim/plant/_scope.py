"""What a family of models sees of the plant: ports as columns, parameters, problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stagetwin_sim.engine import GroupPlan, Kind, Parameter, PlanBuilder, Port

if TYPE_CHECKING:
    from pxr import Usd

    from stagetwin.bindings import BindingTable, ModelBinding, Severity

__all__ = ["PHASES", "Family", "PortScope", "group_plan", "phase_of"]

PHASES = ("control", "electrical", "hydraulic", "process", "bodies", "external", "monitor")
"""Order of systems in a frame: what decides, then what moves, then what judges."""


class PortScope(Protocol):
    """The ports and parameters of the models of a stage, for those who add systems to its plan.

    Nothing here raises for what is wrong on the stage: it is reported, an answer that fits comes
    back all the same, and the plan is made once more without the models that were reported.

    Attributes:
        stage: the plant; only read.
        table: its bindings.
    """

    stage: Usd.Stage
    table: BindingTable

    def input(self, binding: ModelBinding, port: Port) -> int:
        """Return the column that feeds an input, in the port's unit."""
        ...

    def output(self, binding: ModelBinding, port: Port) -> int:
        """Return the column of an output, in the port's unit."""
        ...

    def parameters(self, binding: ModelBinding, declared: Sequence[Parameter]) -> list[float]:
        """Return parameters in the order and units of the declared ones.

        May be asked more than once for a model. Names on the stage that neither a declared
        parameter nor an input has are reported once the family is done.
        """
        ...

    def related(self, binding: ModelBinding, relation: str) -> tuple[str, ...]:
        """Return the prims that a relationship of a model names; of a property its prim."""
        ...

    def report(
        self,
        binding: ModelBinding,
        code: str,
        message: str,
        severity: Severity = ...,
    ) -> None:
        """Report a problem of one model; after an error it does not run."""
        ...

    def placed(self, binding: ModelBinding, kind: Kind | None, group: str, index: int) -> None:
        """Say which system holds a model, and where in it."""
        ...


class Family(Protocol):
    """Models that are planned together: networks, FMUs, bodies.

    It may also have `phase`, one of PHASES, else it is `process`.
    """

    def plan(
        self, bindings: Sequence[ModelBinding], builder: PlanBuilder, scope: PortScope
    ) -> None:
        """Add the systems of all its models on a stage."""
        ...


def group_plan(
    kind: Kind,
    bindings: Sequence[ModelBinding],
    scope: PortScope,
    name: str = "",
    rate: float | None = None,
) -> GroupPlan:
    """Return the group of models of a plain kind, and say to the scope where they are.

    Args:
        kind: of all of them.
        bindings: who they are.
        scope: of the plan.
        name: of the group; empty is the kind's.
        rate: steps a second [Hz]; None is the kind's.
    """
    group = GroupPlan(
        kind=kind,
        places=[binding.path for binding in bindings],
        inputs=_columns(scope.input(b, p) for p in kind.inputs for b in bindings).reshape(
            len(kind.inputs), len(bindings)
        ),
        outputs=_columns(scope.output(b, p) for p in kind.outputs for b in bindings).reshape(
            len(kind.outputs), len(bindings)
        ),
        parameters=np.array([scope.parameters(b, kind.parameters) for b in bindings], np.float64)
        .reshape(len(bindings), len(kind.parameters))
        .T,
        rate=rate,
        name=name,
    )
    for i, binding in enumerate(bindings):
        scope.placed(binding, kind, group.name, i)
    return group


def _columns(found: Iterable[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return np.fromiter(found, np.int32)


def phase_of(model: object, phases: Mapping[str, int]) -> int:
    """Return when in a frame a kind or family has its turn."""
    return phases[str(getattr(model, "phase", "process"))]
