"""How far a vehicle may be released beyond what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Blind"]


@dataclass(frozen=True, slots=True)
class Blind:
    """The longest way that a vehicle may drive blind; the tighter bound holds.

    A vehicle that has lost its connection still drives to its last released node.

    Attributes:
        distance: from where it last said it is to the end of its base [m].
        seconds: the same way at the speed that is allowed on it [s].

    Raises:
        ValueError: a bound is not above 0.
    """

    distance: float = 10.0
    seconds: float = 15.0

    def __post_init__(self) -> None:
        for name in ("distance", "seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"blind: {name} must be above 0, got {getattr(self, name)}")
