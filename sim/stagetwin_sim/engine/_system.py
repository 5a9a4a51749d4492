"""What an engine steps: the port of everything that moves in a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

if TYPE_CHECKING:
    import warp as wp

__all__ = ["Context", "Saved", "System", "SystemPlan"]

Saved = Mapping[str, npt.NDArray[Any]]
"""A system's complete state by name; the first axis of each array is the world."""


@dataclass(frozen=True)
class Context:
    """What all systems of one engine share.

    Attributes:
        bus: every column, shape (worlds, column_count), float64: where systems meet.
        ticks: frames done, shape (worlds,), int64.
        seeds: of everything random, shape (worlds,), int64.
        worlds: how many futures run side by side.
        device: Warp's name of it.
        frame: length of a frame [s].
    """

    bus: wp.array[Any]
    ticks: wp.array[Any]
    seeds: wp.array[Any]
    worlds: int
    device: str
    frame: float


class System(Protocol):
    """Something that moves: a group of instances, a network, bodies, FMUs.

    Its state is complete: what `save` returns, given to `load` of a system from the same plan, and
    the bus, decide everything that follows, bit for bit.

    Attributes:
        name: unique in the plan.
        rate: steps a second [Hz].
        captured: whether `launch` only launches kernels, and may be part of a graph.
    """

    name: str
    rate: float
    captured: bool

    def launch(self, dt: float, substeps: int) -> None:
        """Move on by `substeps` steps of `dt` [s], reading and writing the bus."""
        ...

    def save(self) -> Saved:
        """Return a copy of the complete state.

        Raises:
            UnforkableError: it cannot be copied.
        """
        ...

    def load(self, saved: Saved) -> None:
        """Take a state that a system of the same plan and as many worlds saved.

        Raises:
            SnapshotError: it does not fit.
        """
        ...


class SystemPlan(Protocol):
    """What a system is made from, once for each engine. It is not changed by any engine.

    It may have `revision`, a text that is another one wherever files or geometry that decide what
    the system does are others.
    """

    @property
    def name(self) -> str:
        """Unique in the plan."""
        ...

    def build(self, context: Context) -> System:
        """Make the system of an engine, in its first state in every world."""
        ...
