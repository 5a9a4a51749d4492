"""Ports of models as columns: one pass over the models of a stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from pxr import Sdf, Usd

from stagetwin.bindings import BindingTable, ModelBinding, ModelParameter, Problem, Severity
from stagetwin_sim._errors import ModelError
from stagetwin_sim.engine import Column, GroupPlan, Kind, Parameter, PlanBuilder, Port
from stagetwin_sim.plant._conversion_kernels import convert
from stagetwin_sim.plant._known import Known, Shafts, output_name
from stagetwin_sim.plant._model import Feed, Instance, Output
from stagetwin_sim.plant._signals import Property, Signals, model_port
from stagetwin_sim.plant._units import ANY, Conversion, UnitsError, coherent, conversion

__all__ = ["Ports"]

_OBSERVER = ("process:", "measurement:")
"""Parameters of the noise, which observers read."""

_CONVERSION = Kind(
    name="conversion",
    doc="an output in the unit of the input that it feeds",
    source="The Unified Code for Units of Measure, 2.2",
    inputs=(Port("from", "1"),),
    outputs=(Port("to", "1"),),
    parameters=(Parameter("scale", "1", 1.0), Parameter("offset", "1", 0.0)),
    observe=convert,
)


@dataclass(frozen=True, slots=True)
class _Coupled:
    """An input that takes an output, and the unit that the output was thought to have."""

    binding: ModelBinding
    port: Port
    source: str
    unit: str


@dataclass
class _Seen:
    """What one model was asked for."""

    parameters: set[str] = field(default_factory=set)
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    place: tuple[Kind | None, str, int] = (None, "", 0)


class Ports:
    """The scope of one pass; see PortScope.

    Args:
        stage: the plant; only read.
        table: its bindings.
        signals: of the stage.
        builder: of the plan.
        running: models of this pass, by `PRIM.NAME`.
        known: what an earlier pass found.
        held: outputs of models that do not run, for those that take them all the same.

    Attributes:
        stage, table: as given.
        problems: reported so far.
        faulty: models with errors, by `PRIM.NAME`.
        outputs, measured, setpoints: see PlantModel.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        table: BindingTable,
        signals: Signals,
        builder: PlanBuilder,
        running: Mapping[str, ModelBinding],
        known: Known,
        held: Mapping[str, Column],
    ) -> None:
        self.stage = stage
        self.table = table
        self.problems: list[Problem] = []
        self.faulty: set[str] = set()
        self.outputs: list[Output] = []
        self.measured: dict[str, tuple[Feed, ...]] = {}
        self.setpoints: dict[str, tuple[Feed, ...]] = {}
        self._signals = signals
        self._builder = builder
        self._running = running
        self._known = known
        self._held = held
        self._shafts = Shafts(running.values())
        self._coupled: list[_Coupled] = []
        self._produced: dict[str, str] = {}
        self._written: dict[str, str] = {}
        self._seen: dict[str, _Seen] = defaultdict(_Seen)

    # -- what families ask

    def input(self, binding: ModelBinding, port: Port) -> int:
        """See PortScope."""
        inputs = self._seen[binding.path].inputs
        if port.name not in inputs:
            try:
                inputs[port.name] = self._input(binding, port)
            except ModelError as error:
                self.report(binding, "port", f"in:{port.name}: {error}")
                inputs[port.name] = self._constant(binding, port, port.value, port.unit)
        return inputs[port.name]

    def output(self, binding: ModelBinding, port: Port) -> int:
        """See PortScope."""
        outputs = self._seen[binding.path].outputs
        if port.name not in outputs:
            name, unit, signals = output_name(binding, port.name), port.unit, list[Property]()
            try:
                signals = self._expected_of(binding, port)
                unit = coherent(signals[0].unit) if unit == ANY and signals else unit
                taken = [conversion(unit, signal.unit) for signal in signals]
            except ModelError as error:
                self.report(binding, "port", f"out:{port.name}: {error}")
                signals, taken = [], []
            first = signals[0].path if signals else ""
            column = Column(name, unit, port.value, "output", first, port.low, port.high)
            outputs[port.name] = index = self._builder.column(column, replace=True)
            self._produced[name] = unit
            self.outputs += [
                Output(
                    column=index,
                    path=signal.predicted,
                    type_name=signal.type_name,
                    scale=by.scale,
                    offset=by.offset,
                    model=binding.path,
                    signal=signal.path if signal.role == "measured" else "",
                    unit=signal.unit,
                )
                for signal, by in zip(signals, taken, strict=True)
            ] or [Output(index, name, "double", 1.0, 0.0, binding.path, unit=unit)]
        return outputs[port.name]

    def parameters(self, binding: ModelBinding, declared: Sequence[Parameter]) -> list[float]:
        """See PortScope."""
        self._seen[binding.path].parameters.update(parameter.name for parameter in declared)
        return [self._parameter(binding, parameter) for parameter in declared]

    def related(self, binding: ModelBinding, relation: str) -> tuple[str, ...]:
        """See PortScope."""
        targets = binding.relations.get(relation, ())
        return tuple(str(Sdf.Path(target).GetPrimPath()) for target in targets)

    def report(
        self,
        binding: ModelBinding,
        code: str,
        message: str,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """See PortScope."""
        problem = Problem(binding.prim, binding.name, code, message, severity)
        if problem not in self.problems:
            self.problems.append(problem)
        if severity is Severity.ERROR:
            self.faulty.add(binding.path)

    def placed(self, binding: ModelBinding, kind: Kind | None, group: str, index: int) -> None:
        """See PortScope."""
        self._seen[binding.path].place = (kind, group, index)

    # -- when all families are done

    def finish(self) -> None:
        """Report what only shows when every model said what it has."""
        for path, seen in self._seen.items():
            binding = self._running[path]
            given = {name for name in binding.parameters if not name.startswith(_OBSERVER)}
            if unknown := sorted(given - seen.parameters - seen.inputs.keys()):
                has = ", ".join(sorted(seen.parameters | seen.inputs.keys())) or "none"
                text = f"a {binding.kind} has no param:{', param:'.join(unknown)}; it has {has}"
                self.report(binding, "parameter", text)
            for relation in sorted(binding.relations):
                way, _, name = relation.partition(":")
                ports = {"in": seen.inputs, "out": seen.outputs}.get(way, {})
                if name and name not in ports:
                    text = f"a {binding.kind} has no {way}:{name}; it has {_names(ports)}"
                    self.report(binding, "port", text)
        for coupled in self._coupled:
            named = model_port(coupled.source)
            if coupled.source not in self._produced and named is not None:
                owner = self._running.get(named.model)
                why = f"a {owner.kind} has no output {named.port}" if owner else "it does not run"
                text = f"in:{coupled.port.name} takes {coupled.source}: {why}"
                self.report(coupled.binding, "fed-by", text)

    def known(self) -> Known:
        """Return what this pass found."""
        return Known(
            units=dict(self._produced),
            inputs={path: frozenset(seen.inputs) for path, seen in self._seen.items()},
            outputs={path: frozenset(seen.outputs) for path, seen in self._seen.items()},
        )

    def stale(self) -> bool:
        """Tell whether this pass went by what turned out to be otherwise."""
        if self._shafts and self.known() != self._known:
            return True
        return any(self._produced.get(c.source, c.unit) != c.unit for c in self._coupled)

    def instances(self) -> dict[str, Instance]:
        """Return the models of this pass."""
        found: dict[str, Instance] = {}
        for path, binding in self._running.items():
            seen = self._seen[path]
            kind, group, index = seen.place
            found[path] = Instance(
                binding, kind, group, index, dict(seen.inputs), dict(seen.outputs)
            )
        return found

    # -- inputs

    def _input(self, binding: ModelBinding, port: Port) -> int:
        if target := _only_target(binding, f"in:{port.name}"):
            if model_port(target):
                return self._fed_by_model(binding, port, target)
            return self._fed_by_property(binding, port, self._signals.at(target))
        named = [path for path in binding.reads if port.name in self._signals.names(path)]
        if len(named) > 1:
            raise ModelError(f"both {' and '.join(named)} are read; name one by in:{port.name}")
        if named:
            return self._fed_by_property(binding, port, self._signals.at(named[0], port.name))
        sources = self._shafts.sources(binding, port.name, self._known)
        if len(sources) > 1:
            raise ModelError(
                f"both {' and '.join(sources)} are on its shaft; name one by in:{port.name}"
            )
        if sources:
            return self._fed_by_model(binding, port, sources[0])
        if given := binding.parameters.get(port.name):
            unit = coherent(given.unit) if port.unit == ANY else port.unit
            value = _checked(Parameter(port.name, unit, port.value), given)
            return self._constant(binding, port, value, unit)
        return self._constant(binding, port, port.value, port.unit)

    def _constant(self, binding: ModelBinding, port: Port, value: float, unit: str) -> int:
        return self._builder.column(Column(_input_name(binding, port), unit, value, "constant"))

    def _fed_by_property(self, binding: ModelBinding, port: Port, source: Property) -> int:
        unit = coherent(source.unit) if port.unit == ANY else port.unit
        taken = conversion(source.unit, unit)
        value = port.value if source.value is None else taken(source.value)
        if source.role == "plain":
            return self._constant(binding, port, value, unit)
        feeds = self.measured if source.role == "measured" else self.setpoints
        known = feeds.get(source.path, ())
        for feed in known:
            if (feed.scale, feed.offset) == (taken.scale, taken.offset):
                return feed.column
        # A property that is read in two units has a column in each.
        name = f"{source.path}[{unit}]" if known else source.path
        column = self._builder.column(Column(name, unit, value, source.role))
        feeds[source.path] = (*known, Feed(column, taken.scale, taken.offset))
        return column

    def _fed_by_model(self, binding: ModelBinding, port: Port, source: str) -> int:
        if held := self._held.get(source):
            unit, index = held.unit, self._builder.column(replace(held, role="constant"))
        else:
            unit = self._produced.get(source) or self._known.units.get(source, port.unit)
            self._coupled.append(_Coupled(binding, port, source, unit))
            index = self._builder.column(Column(source, unit, port.value, "output"))
        by = conversion(unit, port.unit)
        if by == Conversion():
            return index
        column = self._builder.column(
            Column(_input_name(binding, port), port.unit, port.value, "output")
        )
        self._builder.add(
            GroupPlan(
                kind=_CONVERSION,
                places=[binding.path],
                inputs=np.array([[index]], np.int32),
                outputs=np.array([[column]], np.int32),
                parameters=np.array([[by.scale], [by.offset]]),
                name=f"conversion:{_input_name(binding, port)}",
            )
        )
        return column

    # -- outputs and parameters

    def _expected_of(self, binding: ModelBinding, port: Port) -> list[Property]:
        """Return the properties that an output is the expected value of."""
        targets = binding.relations.get(f"out:{port.name}") or [
            path for path in binding.writes if port.name in self._signals.names(path)
        ]
        found = [self._signals.at(target, port.name) for target in targets]
        for signal in found:
            if not signal.predicted:
                raise ModelError(f"{signal.path} is no signal's; models never write others")
            other = self._written.setdefault(signal.predicted, f"{binding.path} {port.name}")
            if other != f"{binding.path} {port.name}":
                raise ModelError(f"{signal.path}: {other} is its expected value already")
        return found

    def _parameter(self, binding: ModelBinding, parameter: Parameter) -> float:
        given = binding.parameters.get(parameter.name)
        if given is None:
            return parameter.value
        try:
            return _checked(parameter, given)
        except ModelError as error:
            self.report(binding, "parameter", f"param:{parameter.name} {error}")
            return parameter.value


def _input_name(binding: ModelBinding, port: Port) -> str:
    return f"{binding.prim}.twin:model:{binding.name}:in:{port.name}"


def _names(ports: Iterable[str]) -> str:
    return ", ".join(sorted(ports)) or "none"


def _only_target(binding: ModelBinding, relation: str) -> str:
    """Return the property that a relationship names, or empty.

    Raises:
        ModelError: it names several.
    """
    targets = binding.relations.get(relation, ())
    if len(targets) > 1:
        raise ModelError(f"one property is meant, got {', '.join(targets)}")
    return targets[0] if targets else ""


def _checked(parameter: Parameter, given: ModelParameter) -> float:
    """Return a parameter in the declared unit.

    Raises:
        ModelError: it is outside the attribute's limits or the kind's, or of another dimension.
    """
    limits, value, unit = given.limits, given.value, given.unit or parameter.unit
    low, high = limits.hard_min, limits.hard_max
    if isinstance(low, tuple) or isinstance(high, tuple) or not low <= value <= high:  # also NaN
        raise ModelError(f"must be in {limits} {unit} by its attribute, got {value:g}")
    try:
        taken = conversion(unit, parameter.unit)(value)
    except UnitsError:
        raise ModelError(f"is in {unit!r}, which cannot become {parameter.unit!r}") from None
    if not parameter.minimum <= taken <= parameter.maximum:
        allowed = f"[{parameter.minimum:g}, {parameter.maximum:g}] {parameter.unit}"
        raise ModelError(f"must be in {allowed}, got {taken:g}")
    return taken
