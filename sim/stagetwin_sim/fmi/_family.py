"""FMUs on a stage, planned as one system."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from stagetwin.bindings import ModelBinding, Severity
from stagetwin_sim._errors import FmuError
from stagetwin_sim.engine import Parameter, PlanBuilder, Port
from stagetwin_sim.fmi._fmu import Fmu, Variable, read_fmu
from stagetwin_sim.fmi._system import FmuPlan, FmuUnit, turn
from stagetwin_sim.fmi._trial import trial
from stagetwin_sim.plant import PortScope

__all__ = ["FMUS", "FmuFamily"]

_JOINED = "*"
"""Unit of a port that takes numbers in the SI unit of what it is joined to."""


class FmuFamily:
    """The models of kind `fmu`.

    Args:
        tried: whether each file is tried in a process of its own before it is loaded here.
    """

    phase = "external"

    def __init__(self, tried: bool = True) -> None:
        self._tried = tried

    def plan(
        self, bindings: Sequence[ModelBinding], builder: PlanBuilder, scope: PortScope
    ) -> None:
        """See Family."""
        read = [(binding, fmu) for binding in bindings if (fmu := _fmu(binding, scope))]
        crashed = trial([fmu for _, fmu in read], builder.frame) if self._tried else {}
        instances = Counter[str]()
        units: list[FmuUnit] = []
        for binding, fmu in read:
            instances[fmu.digest] += 1
            wrong = crashed.get(fmu.digest, "")
            if fmu.once and instances[fmu.digest] > 1:
                wrong = f"{fmu.path} can be instantiated once in a process"
            if wrong:
                scope.report(binding, "fmu-file", wrong)
                continue
            if fmu.remarks:
                remark = f"{fmu.path} is not as the standard asks: {fmu.remarks}"
                scope.report(binding, "fmu-description", remark, Severity.WARNING)
            unit = self._unit(binding, fmu, builder.frame, scope)
            if unit is not None:
                scope.placed(binding, None, "fmu", len(units))
                units.append(unit)
        if units:
            builder.add(FmuPlan(units=tuple(units)))

    def _unit(
        self, binding: ModelBinding, fmu: Fmu, frame: float, scope: PortScope
    ) -> FmuUnit | None:
        inputs, outputs = _bound(binding, fmu, scope)
        unit = FmuUnit(
            place=binding.path,
            fmu=fmu,
            inputs=tuple((v, scope.input(binding, _port(v))) for v in inputs),
            outputs=tuple((v, scope.output(binding, _port(v))) for v in outputs),
            starts=_starts(binding, fmu, scope),
            step=_step(binding, fmu, frame),
        )
        try:
            turn(unit, frame)
        except FmuError as error:
            scope.report(binding, "fmu-step", str(error))
            return None
        return unit


FMUS = FmuFamily()
"""What the entry point `fmu` names."""


def _fmu(binding: ModelBinding, scope: PortScope) -> Fmu | None:
    try:
        if not binding.file:
            raise FmuError("a model of kind fmu needs a file, an FMU; none is authored")
        return read_fmu(binding.file)
    except FmuError as error:
        scope.report(binding, "fmu-file", str(error))
        return None


def _bound(
    binding: ModelBinding, fmu: Fmu, scope: PortScope
) -> tuple[list[Variable], list[Variable]]:
    """Return the variables that are ports; what is bound and cannot be one is reported."""
    inputs, outputs = list(fmu.inputs), list(fmu.outputs)
    for relation in binding.relations:
        side, _, port = relation.partition(":")
        if side not in ("in", "out") or not port:
            continue
        variable = fmu.variables.get(port)
        if variable is None:
            why = fmu.unusable.get(port, f"{fmu.path.name} has no variable of that name")
            scope.report(binding, "fmu-port", f"{relation}: {why}")
        elif side == "in" and variable.causality != "input":
            message = f"{relation}: {variable.name} is a {variable.causality}, no input"
            scope.report(binding, "fmu-port", message)
        elif side == "out" and variable.causality in ("input", "independent"):
            message = f"{relation}: {variable.name} is an {variable.causality}, no output"
            scope.report(binding, "fmu-port", message)
        elif side == "out" and variable not in outputs:
            outputs.append(variable)
    signals = {path.split(":")[-2] for path in (*binding.reads, *binding.writes) if ":" in path}
    joined = signals | {relation.rpartition(":")[2] for relation in binding.relations}
    bare = [v.name for v in (*inputs, *outputs) if not v.unit and v.port in joined]
    if bare:
        message = f"{', '.join(bare)}: no unit is told, so numbers are taken to be in SI units"
        scope.report(binding, "fmu-unit", message, Severity.WARNING)
    return inputs, outputs


def _port(variable: Variable) -> Port:
    return Port(
        variable.port,
        variable.unit or _JOINED,
        variable.si(variable.start),
        variable.doc,
    )


def _starts(
    binding: ModelBinding, fmu: Fmu, scope: PortScope
) -> tuple[tuple[Variable, float], ...]:
    """Return what the stage sets before the start, in the FMU's numbers."""
    chosen = [
        variable
        for name in binding.parameters
        if (variable := fmu.variables.get(name)) is not None
        and variable.causality != "input"
        and _may_set(binding, name, variable, scope)
    ]
    for name in binding.parameters:
        if name in fmu.unusable:
            scope.report(binding, "fmu-parameter", f"param:{name}: {fmu.unusable[name]}")
    values = scope.parameters(binding, [_parameter(v) for v in chosen])
    return tuple((v, v.own(value)) for v, value in zip(chosen, values, strict=True))


def _may_set(binding: ModelBinding, name: str, variable: Variable, scope: PortScope) -> bool:
    if variable.settable:
        return True
    message = (
        f"param:{name}: {variable.name} is a {variable.variability} {variable.causality}, "
        "whose start cannot be set"
    )
    scope.report(binding, "fmu-parameter", message)
    return False


def _parameter(variable: Variable) -> Parameter:
    ends = sorted(variable.si(end) for end in (variable.minimum, variable.maximum))
    return Parameter(
        variable.port,
        variable.unit or "1",
        variable.si(variable.start),
        ends[0],
        ends[1],
        variable.doc,
    )


def _step(binding: ModelBinding, fmu: Fmu, frame: float) -> float:
    """Return the step: the stage's, else the FMU's where it fits the frames, else the frame."""
    if binding.step:
        return binding.step
    for step in (fmu.step, fmu.fixed_step):
        if step > 0:
            ratio = max(step / frame, frame / step)
            if math.isclose(ratio, round(ratio), rel_tol=1e-9):
                return step
    return frame
