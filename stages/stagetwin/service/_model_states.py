"""How models stand: on their prims, in the layer `state`, and for whoever asks."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pxr import Sdf

from stagetwin.bindings import BindingTable
from stagetwin.live import SessionLayers
from stagetwin.live._state import StateLayer
from stagetwin.simulation import wire

__all__ = ["ModelState", "ModelStates"]

_log = logging.getLogger(__name__)

_STATES = frozenset({"starting", "running", "waiting", "failed"})
_TYPES = Sdf.ValueTypeNames

MOST = 100
"""Models written at a time: a thousand at once must not cost a tick."""


class ModelState(NamedTuple):
    """How a model stands.

    Attributes:
        state: `none`, `starting`, `running`, `waiting` or `failed`.
        cause: why it does not run.
    """

    state: str
    cause: str = ""


class ModelStates:
    """The states of the plant's models, by prim path and name.

    Attributes:
        rows: what the simulator knows of each model that it runs.
    """

    def __init__(self, layers: SessionLayers) -> None:
        self._layer = StateLayer(layers.state)
        self._states: dict[str, ModelState] = {}
        self._due: dict[str, None] = {}
        self._shown: set[str] = set()
        self.rows: dict[str, wire.ModelRow] = {}

    def of(self, path: str) -> ModelState:
        """Return how a model stands."""
        return self._states.get(path, ModelState("none"))

    def counts(self) -> dict[str, int]:
        """Return how many models are in each state."""
        return dict(Counter(each.state for each in self._states.values()))

    def rebind(self, plant: BindingTable) -> None:
        """Take the models that there are."""
        known = {model.path for model in plant.models}
        for path in self._states.keys() - known:
            del self._states[path]
            self._due[path] = None
        for path in known - self._states.keys():
            self._set(path, ModelState("none"))

    def all_of(self, plant: BindingTable, cause: str) -> None:
        """Take note that no model runs, and why."""
        self.rows = {}
        for model in plant.models:
            self._set(model.path, ModelState("none", cause))

    def take_table(
        self, table: wire.Table, plant: BindingTable, refused: Mapping[str, str]
    ) -> None:
        """Take what a simulator made of the models.

        Args:
            table: its table.
            plant: the models that there are.
            refused: why outputs are never written, by their path.
        """
        self.rows = {row.path: row for row in table.models}
        causes: dict[str, str] = {}
        for problem in table.problems:
            causes.setdefault(f"{problem.prim}.{problem.signal}", problem.message)
            _log.warning("%s.%s: %s", problem.prim, problem.signal, problem.message)
        for path, why in refused.items():
            _log.warning("what is expected of %s is not written: %s", path, why)
        for model in plant.models:
            if model.path in self.rows:
                self._set(model.path, ModelState("starting"))
            else:
                unknown = f"the simulator runs no model of kind {model.kind!r}"
                self._set(model.path, ModelState("failed", causes.get(model.path, unknown)))
        self.take(table.states)

    def take(self, states: Iterable[wire.State]) -> None:
        """Take what a simulator says of single models."""
        for said in states:
            if said.path not in self._states:
                continue
            state = said.state if said.state in _STATES else "failed"
            self._set(said.path, ModelState(state, said.cause))

    def _set(self, path: str, state: ModelState) -> None:
        if self._states.get(path) != state:
            self._states[path] = state
            self._due[path] = None

    def write(self) -> None:
        """Put what changed on the prims, up to a bound; call after each tick."""
        if not self._due:
            return
        values: dict[Sdf.Path, tuple[Sdf.ValueTypeName, str]] = {}
        for path in list(self._due)[:MOST]:
            del self._due[path]
            prim, _, name = path.rpartition(".")
            place = f"{prim}.twin:model:{name}:"
            state = self._states.get(path)
            if state is None:
                if path in self._shown:
                    self._shown.discard(path)
                    for what in ("state", "cause"):
                        self._layer.withdraw(Sdf.Path(place + what))
                continue
            self._shown.add(path)
            values[Sdf.Path(f"{place}state")] = (_TYPES.Token, state.state)
            values[Sdf.Path(f"{place}cause")] = (_TYPES.String, state.cause)
        self._layer.write(values)
