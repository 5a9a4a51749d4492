"""How models stand, by the signals that they and those before them hear."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from pxr import Sdf

from stagetwin.simulation import wire
from stagetwin_sim.plant import PlantModel

__all__ = ["Doubt", "Grades"]

Doubt = Callable[[str], str | None]
"""Says what is doubtful about a property: empty for nothing, None where it was never known."""


class Grades:
    """Which models depend on which signals, directly and by way of other models."""

    def __init__(self, plant: PlantModel) -> None:
        by_column: dict[int, str] = {}
        for feeds in (plant.measured, plant.setpoints):
            for path, each in feeds.items():
                by_column.update({feed.column: path for feed in each})
        self._setpoints = frozenset(plant.setpoints)
        self._heard: dict[str, list[str]] = {}
        producers: dict[int, str] = {}
        for name, instance in plant.instances.items():
            columns = instance.inputs.values()
            self._heard[name] = [by_column[c] for c in columns if c in by_column]
            producers.update(dict.fromkeys(instance.outputs.values(), name))
        self._fed_by: dict[str, set[str]] = defaultdict(set)
        for name, instance in plant.instances.items():
            feeding = {producers[c] for c in instance.inputs.values() if c in producers}
            self._fed_by[name] |= feeding - {name}
        for one, other in _joined(plant):
            self._fed_by[one].add(other)
            self._fed_by[other].add(one)

    def states(self, failed: Mapping[str, str], doubt: Doubt) -> dict[str, wire.State]:
        """Return how each model stands.

        Args:
            failed: why models do not run, by `PRIM.NAME`.
            doubt: of properties.
        """
        own: dict[str, wire.State] = {}
        for name, heard in self._heard.items():
            own[name] = self._own(name, heard, failed, doubt)
        reached = [name for name, state in own.items() if state.state != "running" or state.cause]
        blamed = {name: name for name in reached}
        takers: dict[str, list[str]] = defaultdict(list)
        for name, feeding in self._fed_by.items():
            for other in feeding:
                takers[other].append(name)
        while reached:
            name = reached.pop()
            for taker in takers[name]:
                if taker not in blamed and taker in own:
                    blamed[taker] = blamed[name]
                    reached.append(taker)
                    cause = f"uncertain, for it takes from {blamed[name]}"
                    own[taker] = wire.State(taker, "running", cause)
        return own

    def _own(
        self, name: str, heard: Sequence[str], failed: Mapping[str, str], ask: Doubt
    ) -> wire.State:
        if name in failed:
            return wire.State(name, "failed", failed[name])
        doubts: list[str] = []
        for path in heard:
            found = ask(path)
            if found is None and path not in self._setpoints:
                return wire.State(name, "waiting", f"{path} has no value yet")
            if found:
                doubts.append(found)
        text = f"uncertain: {'; '.join(doubts[:3])}; last good values are used" if doubts else ""
        return wire.State(name, "running", text)


def _joined(plant: PlantModel) -> Iterator[tuple[str, str]]:
    """Yield models of one system that a relationship joins: each depends on the other."""
    there: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, instance in plant.instances.items():
        if instance.kind is None and instance.group:
            there[instance.group, instance.binding.prim].append(name)
    for name, instance in plant.instances.items():
        for relation, targets in instance.binding.relations.items():
            if instance.kind is None and not relation.startswith(("in:", "out:")):
                for target in targets:
                    # A collider is joined to the bodies that it lies below.
                    for above in Sdf.Path(target).GetPrimPath().GetPrefixes():
                        for other in there.get((instance.group, str(above)), ()):
                            if other != name:
                                yield name, other
