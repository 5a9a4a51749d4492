"""A number, or a few, that go into a policy or come out of it, and what they mean."""

from __future__ import annotations

import math

import msgspec

__all__ = ["Term"]


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """What a few of the numbers of an observation or an action mean.

    A physical value v [unit] and the number n that a policy sees or says are one line:
    v = offset + scale * n. Of an observation, v is clipped to its limits and then turned into n; of
    an action, n is turned into v and then clipped.

    Attributes:
        name: unique among the terms of an observation or of an action.
        unit: UCUM; `1` has none.
        frame: that directions and poses are in: `vehicle`, `map`, `base`; empty where none matters.
        shape: of the values; the numbers are in row-major order.
        scale: [unit] of one of the policy's numbers; not 0.
        offset: [unit] where the policy's number is 0.
        low: least value [unit].
        high: greatest value [unit].
        source: where whoever runs a policy takes it from or brings it to: `lidar`, `odometry`,
            `goal`, `command`, `action` (what was said last); empty leaves that to the name.

    Raises:
        ValueError: a term without numbers, with a scale of 0, or with limits that exclude all.
    """

    name: str
    unit: str = "1"
    frame: str = ""
    shape: tuple[int, ...] = (1,)
    scale: float = 1.0
    offset: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    source: str = ""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"term {self.name!r}: shape must have numbers, got {self.shape}")
        if not (math.isfinite(self.scale) and self.scale != 0.0 and math.isfinite(self.offset)):
            raise ValueError(
                f"term {self.name!r}: scale must be finite and not 0 and offset finite, "
                f"got {self.scale} and {self.offset}"
            )
        if not self.low < self.high:
            raise ValueError(
                f"term {self.name!r}: low must be below high, got {self.low} and {self.high}"
            )

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest of the policy's numbers."""
        ends = [(end - self.offset) / self.scale for end in (self.low, self.high)]
        return min(ends), max(ends)
