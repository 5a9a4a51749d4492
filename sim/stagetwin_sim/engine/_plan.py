"""A plan: everything that an engine is made from, read once, and the same for all its worlds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from stagetwin_sim._errors import ModelError
from stagetwin_sim.engine._engine import Engine
from stagetwin_sim.engine._system import SystemPlan

__all__ = ["FRAME", "Column", "Plan", "PlanBuilder"]

FRAME = 0.05
"""Length of a frame where nothing else is said [s]: the step of the hydraulic networks."""


@dataclass(frozen=True, slots=True)
class Column:
    """One number on the bus.

    Attributes:
        name: path of a property: of a signal or command for what comes from outside, else
            `PRIM.twin:model:NAME:out:PORT` or `PRIM.twin:model:NAME:in:PORT`.
        unit: UCUM.
        value: what it holds at first.
        role: `measured` (a signal's value is written to it), `setpoint` (a command's), `output`
            (a model writes it), or `constant`.
        predicts: path of the signal's property that the column is the expected value of, or empty.
        low, high: what it may be [unit]; a rehearsal refuses a command that takes it beyond.
    """

    name: str
    unit: str = "1"
    value: float = 0.0
    role: str = "constant"
    predicts: str = ""
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What runs on a stage.

    Attributes:
        columns: of the bus, in order.
        systems: in the order in which they are stepped.
        frame: length of a frame [s].
        seed: of everything random.
        revision: fingerprint of the stage and parameters that it was read from.
        base: revision of the plan that this one extends, or empty.
    """

    columns: tuple[Column, ...]
    systems: tuple[SystemPlan, ...]
    frame: float = FRAME
    seed: int = 0
    revision: str = ""
    base: str = ""
    _index: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.frame < math.inf:
            raise ModelError(f"a frame must be positive and finite, got {self.frame} s")
        names = [system.name for system in self.systems]
        if doubled := sorted({n for n in names if names.count(n) > 1}):
            raise ModelError(f"systems of one name: {', '.join(doubled)}")
        self._index.update({column.name: i for i, column in enumerate(self.columns)})
        if len(self._index) < len(self.columns):
            raise ModelError("columns of one name")

    def column(self, name: str) -> int:
        """Return the index of a column.

        Raises:
            ModelError: there is none of that name.
        """
        try:
            return self._index[name]
        except KeyError:
            raise ModelError(f"no model reads or writes {name}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def extended(
        self,
        columns: Sequence[Column] = (),
        *,
        before: Sequence[SystemPlan] = (),
        after: Sequence[SystemPlan] = (),
        salt: str = "",
    ) -> Plan:
        """Return this plan with more columns behind its own, and more systems around its own.

        Its engines can `adopt` states of this plan.

        Args:
            columns: to add.
            before, after: systems that are stepped before and after its own.
            salt: what else tells this plan from others of the same columns and systems.
        """
        names = [*(column.name for column in columns), *(s.name for s in (*before, *after))]
        return Plan(
            columns=(*self.columns, *columns),
            systems=(*before, *self.systems, *after),
            frame=self.frame,
            seed=self.seed,
            revision=fingerprint([self.revision, salt, *names]),
            base=self.revision,
        )

    def engine(self, worlds: int = 1, device: str = "cpu") -> Engine:
        """Make an engine in its first state.

        Args:
            worlds: how many futures run side by side.
            device: Warp's name of it.
        """
        return Engine(self, worlds, device)


class PlanBuilder:
    """Gathers columns and systems.

    Args:
        frame: length of a frame [s].
        seed: of everything random.
    """

    def __init__(self, frame: float = FRAME, seed: int = 0) -> None:
        self._columns: dict[str, Column] = {}
        self._order: dict[str, int] = {}
        self._systems: list[SystemPlan] = []
        self._frame = frame
        self._seed = seed

    @property
    def frame(self) -> float:
        """Length of a frame [s]."""
        return self._frame

    def column(self, column: Column, replace: bool = False) -> int:
        """Return the index of a column.

        Args:
            column: the first of a name says what it is.
            replace: whether this one says it instead, as the model that writes it does.
        """
        if column.name not in self._order:
            self._order[column.name] = len(self._order)
            self._columns[column.name] = column
        elif replace:
            self._columns[column.name] = column
        return self._order[column.name]

    def described(self, column: int) -> Column:
        """Return what is known of a column."""
        return list(self._columns.values())[column]

    def add(self, system: SystemPlan) -> None:
        """Add a system; it is stepped after those before it."""
        self._systems.append(system)

    def build(self, revision: str = "") -> Plan:
        """Return the plan."""
        return Plan(
            columns=tuple(self._columns.values()),
            systems=tuple(self._systems),
            frame=self._frame,
            seed=self._seed,
            revision=revision or fingerprint([c.name for c in self._columns.values()]),
        )


def fingerprint(texts: Sequence[str]) -> str:
    """Return a short fingerprint of texts."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=12).hexdigest()
