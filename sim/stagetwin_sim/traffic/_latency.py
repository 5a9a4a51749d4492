"""How late single messages are: goals to vehicles, and their word that they are there."""

from __future__ import annotations

import math
from collections.abc import Callable

from stagetwin_sim.traffic._options import FleetOptions
from stagetwin_sim.traffic._records import WorldRecord

__all__ = ["Latency"]


class Latency:
    """Messages that take a time each way, and are sent again every round until one gets through.

    Args:
        options: `delay`, `loss` and `period`.
        lot: draws a number in (0, 1) of a world's own.
        worlds: what is remembered; the lost ones are counted there.
    """

    def __init__(
        self, options: FleetOptions, lot: Callable[[int], float], worlds: list[WorldRecord]
    ) -> None:
        self._delay, self._loss, self._period = options.delay, options.loss, options.period
        self._lot, self._worlds = lot, worlds

    @property
    def none(self) -> bool:
        """Whether everything is heard at once."""
        return self._delay == 0 and self._loss == 0

    def draw(self, world: int) -> float:
        """Return how long a message takes [s]; how often it is lost is geometric."""
        again = 0
        if self._loss > 0:
            again = math.floor(math.log(self._lot(world)) / math.log(self._loss))
        self._worlds[world].lost += again
        return self._delay + again * self._period
