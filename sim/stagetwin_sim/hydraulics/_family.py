"""The hydraulic models of a stage: relationships become nodes, models elements between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pxr import Sdf

from stagetwin.bindings import Severity
from stagetwin_sim.engine import PlanBuilder
from stagetwin_sim.hydraulics._assembly import ElementPlan, networks_of
from stagetwin_sim.hydraulics._elements import ELEMENTS, Element
from stagetwin_sim.hydraulics._system import RATE, hydraulic_plan

if TYPE_CHECKING:
    from stagetwin.bindings import ModelBinding
    from stagetwin_sim.plant import PortScope

__all__ = ["HYDRAULICS", "HydraulicFamily"]

_OPPOSITE = {"inlet": "outlet", "outlet": "inlet"}
_End = tuple[str, str]
"""Path of a model and which end of it; the end of a place is empty."""


class HydraulicFamily:
    """Plans all hydraulic models of a stage as networks of one system."""

    phase = "hydraulic"

    def plan(
        self, bindings: Sequence[ModelBinding], builder: PlanBuilder, scope: PortScope
    ) -> None:
        """See Family."""
        nodes = _Nodes(bindings, scope)
        elements = [
            _element(binding, nodes, scope) for binding in sorted(bindings, key=lambda b: b.path)
        ]
        by_path = {binding.path: binding for binding in bindings}
        sound: list[ElementPlan] = []
        for network in networks_of(elements):
            fault = _fault(network)
            if not fault:
                sound.extend(network)
            for each in network if fault else ():
                scope.report(by_path[each.place], "network", fault)
        if not sound:
            return
        steps = [binding.step for binding in bindings if binding.step > 0]
        plan = hydraulic_plan(sound, builder, rate=1 / min(steps) if steps else RATE)
        builder.add(plan)
        for index, each in enumerate(plan.assembly.elements):
            scope.placed(by_path[each.place], None, plan.name, index)


HYDRAULICS = HydraulicFamily()
"""What the entry points of all hydraulic kinds name."""


def _element(binding: ModelBinding, nodes: _Nodes, scope: PortScope) -> ElementPlan:
    element = ELEMENTS[binding.kind]
    inlet = nodes.of((binding.path, "inlet" if element.two_ended else ""))
    outlet = nodes.of((binding.path, "outlet" if element.two_ended else ""))
    if element.two_ended and inlet == outlet:
        scope.report(binding, "network", "inlet and outlet meet: nothing can flow through it")
    parameters = scope.parameters(binding, element.parameters)
    shutoff = dict(zip((p.name for p in element.parameters), parameters, strict=True))
    if 0 < shutoff.get("shutoff_head", 0.0) <= shutoff.get("rated_head", 0.0):
        scope.report(
            binding,
            "parameter",
            f"param:shutoff_head must be above rated_head, {shutoff['rated_head']:g} m, or 0, "
            f"got {shutoff['shutoff_head']:g} m",
        )
    if shutoff.get("start_level", 0.0) > shutoff.get("height", 0.0):
        scope.report(
            binding,
            "parameter",
            f"param:start_level must be at most the height, {shutoff['height']:g} m, "
            f"got {shutoff['start_level']:g} m",
        )
    return ElementPlan(
        place=binding.path,
        element=element,
        node=inlet,
        other=outlet,
        parameters=parameters,
        inputs=[scope.input(binding, port) for port in element.inputs],
        outputs=[scope.output(binding, port) for port in element.outputs],
    )


def _fault(network: Sequence[ElementPlan]) -> str:
    """Return what keeps a network from running; empty for nothing."""
    if not any(each.element.given_head for each in network):
        return "its network has neither tank nor reservoir: no pressure is given anywhere"
    densities = sorted({_value(each, "density") for each in network})
    if len(densities) > 1:
        return f"its network has more than one density: {', '.join(f'{d:g}' for d in densities)}"
    given: dict[int, str] = {}
    for each in network:
        if each.element.given_head:
            other = given.setdefault(each.node, each.place)
            if other != each.place:
                return f"{other} and {each.place} meet without anything between them"
    return ""


def _value(each: ElementPlan, name: str) -> float:
    return each.parameters[each.element.slot(name)]


class _Nodes:
    """Where the ends of models meet.

    Args:
        bindings: all hydraulic models.
        scope: of the plan; ends that meet nothing and targets that are none are reported.
    """

    def __init__(self, bindings: Sequence[ModelBinding], scope: PortScope) -> None:
        self._parent: dict[_End, _End] = {}
        self._numbers: dict[_End, int] = {}
        self._models = {binding.path: ELEMENTS[binding.kind] for binding in bindings}
        self._on: dict[str, list[ModelBinding]] = defaultdict(list)
        for binding in bindings:
            self._on[binding.prim].append(binding)
        met: set[_End] = set()
        for binding in bindings:
            for relation in ("inlet", "outlet"):
                for target in binding.relations.get(relation, ()):
                    other = self._end(binding, relation, target, scope)
                    if other is None:
                        continue
                    own = (binding.path, relation if self._models[binding.path].two_ended else "")
                    met.update((own, other))
                    self._parent[self._root(own)] = self._root(other)
        for binding in bindings:
            for relation in ("inlet", "outlet") if self._models[binding.path].two_ended else ("",):
                if (binding.path, relation) not in met:
                    what = f"its {relation} meets" if relation else "it meets"
                    scope.report(binding, "blind-end", f"{what} no other model", Severity.WARNING)

    def of(self, end: _End) -> int:
        """Return the number of the node where an end is."""
        return self._numbers.setdefault(self._root(end), len(self._numbers))

    def _root(self, end: _End) -> _End:
        self._parent.setdefault(end, end)
        while self._parent[end] != end:
            end = self._parent[end]
        return end

    def _end(
        self, binding: ModelBinding, relation: str, target: str, scope: PortScope
    ) -> _End | None:
        """Return the end that a relationship of a model names; report where it names none."""
        path = Sdf.Path(target)
        others = [b for b in self._on.get(str(path.GetPrimPath()), ()) if b is not binding]
        end = _OPPOSITE[relation]
        if path.IsPropertyPath():
            prefix, _, named = path.name.rpartition(":")
            model = prefix.removeprefix("twin:model:").partition(":")[0]
            others = [b for b in others if b.name == model]
            end = named if named in _OPPOSITE else ""
        if len(others) != 1 or not end:
            found = ", ".join(sorted(b.path for b in others)) or "no hydraulic model that runs"
            scope.report(
                binding,
                "network",
                f"{relation} must name one hydraulic model or its inlet or outlet; "
                f"{target} has {found}",
            )
            return None
        other: Element = self._models[others[0].path]
        return (others[0].path, end if other.two_ended else "")
