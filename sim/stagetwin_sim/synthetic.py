"""Plausible signals for a whole plant: what its machines might measure on an ordinary day.

Each asset has a load, partly its own and partly its line's, that follows set-points changed now and
then. Numbers follow the load of their asset with a gain, an exponent and a lag that their name and
unit suggest, and wander around that by an Ornstein-Uhlenbeck process. So speed goes ahead, flow and
power follow, temperature comes late, and twins of one sensor agree. Nothing here is a measurement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pxr import Usd

from stagetwin.bindings import TelemetryBinding
from stagetwin.ports import ValueKind
from stagetwin_sim._hints import Body, Hints, place_of
from stagetwin_sim._loads import Loads
from stagetwin_sim._loops import Loops, as_value
from stagetwin_sim._numbers import Numbers
from stagetwin_sim._words import Words, is_alarm

__all__ = ["Hints", "SyntheticModel"]

_ARRAY_LENGTH = 16
_TOOL: Body = (0.9, 0.0, 0.8, math.pi / 2)
"""In reach of an arm, where nothing says where a body stands."""


class SyntheticModel:
    """Signals for the bound channels of a stage.

    The same bindings, seed and steps give the same values. Values are the stage's, in its units and
    within the hard limits; now and then one leaves its soft limits for some seconds.

    Args:
        bindings: the signals.
        seed: of everything random.
        hints: what else is known of them.

    Attributes:
        bindings: the signals, in the order of the values.
    """

    def __init__(
        self, bindings: Sequence[TelemetryBinding], seed: int = 0, hints: Hints | None = None
    ) -> None:
        hints = hints or Hints()
        rng = np.random.default_rng(seed)
        self.bindings = tuple(bindings)
        self._loads = Loads([b.asset for b in self.bindings], rng)
        rows = list(enumerate(self.bindings))
        self._poses = [row for row in rows if _is_pose(row[1])]
        words = [row for row in rows if _is_word(row[1])]
        numbers = [row for row in rows if not _is_pose(row[1]) and not _is_word(row[1])]
        self._words = Words(words, self._loads, hints.words, rng)
        sizes = [_size_of(b, hints.lengths.get(b.target, _ARRAY_LENGTH)) for _, b in numbers]
        middles = {i: hints.middles[b.target] for i, b in numbers if b.target in hints.middles}
        self._numbers = Numbers(numbers, sizes, middles, self._loads, rng)
        self._loops, self._loop_of = _loops_of(self._poses, hints, rng)

    @classmethod
    def of_stage(
        cls, stage: Usd.Stage, bindings: Sequence[TelemetryBinding], seed: int = 0
    ) -> SyntheticModel:
        """Make a model that begins where a stage's bodies stand and speaks its tokens."""
        return cls(bindings, seed, Hints.of_stage(stage, bindings))

    def step(self, dt: float) -> list[Any]:
        """Move on by `dt` [s] and return the value of every binding, in their order.

        Numbers are float or int, the rest is bool, str, or lists of float; matrices are nested
        lists of row vectors, quaternions (x, y, z, w).

        Raises:
            ValueError: `dt` is not positive.
        """
        if not 0 < dt < math.inf:
            raise ValueError(f"dt must be positive and finite, got {dt!r}")
        values: list[Any] = [None] * len(self.bindings)
        self._words.step(dt, values)
        self._loads.step(dt)
        self._numbers.step(dt, values)
        poses = self._loops.step(dt)
        for i, binding in self._poses:
            values[i] = as_value(poses[self._loop_of[i]], binding.type_name)
        return values


def _is_pose(binding: TelemetryBinding) -> bool:
    """Return whether a value is a place or a turn in space rather than a quantity."""
    return binding.type_name.startswith(("matrix", "quat", "point3", "frame4"))


def _is_word(binding: TelemetryBinding) -> bool:
    kind = binding.value_type.kind
    return kind in (ValueKind.BOOLEAN, ValueKind.TEXT) or is_alarm(binding)


def _size_of(binding: TelemetryBinding, length: int) -> int:
    """Return how many numbers a value holds as a list; 0 where it is no list."""
    name = binding.type_name
    if name.endswith("[]"):
        return length
    return int(name[-2]) if name[-2:-1].isdigit() and not name[-1].isdigit() else _components(name)


def _components(name: str) -> int:
    return int(name[-1]) if name[-1].isdigit() and not name.startswith(("int64", "uint64")) else 0


def _loops_of(
    poses: Sequence[tuple[int, TelemetryBinding]], hints: Hints, rng: np.random.Generator
) -> tuple[Loops, dict[int, int]]:
    """Return the loops and each pose's row; bodies that stand in one place are one body."""
    rows: dict[object, int] = {}
    starts: list[Body] = []
    sizes: list[tuple[float, float]] = []
    loop_of: dict[int, int] = {}
    for i, binding in poses:
        start = hints.bodies.get(place_of(binding))
        key: object = (binding.prim, binding.element)
        if start is not None:
            key = tuple(round(n, 2) for n in start[:3])
        if key not in rows:
            rows[key] = len(starts)
            starts.append(start or _TOOL)
            sizes.append((0.3, 0.3) if start is None else (1.5, 0.45))
        loop_of[i] = rows[key]
    half_length, half_width = zip(*sizes, strict=True) if sizes else ((), ())
    return Loops(starts, half_length, half_width, rng), loop_of
