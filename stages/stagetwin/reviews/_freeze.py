"""Live values as they were when somebody wrote about them."""

from __future__ import annotations

import math

from stagetwin._errors import ReviewError
from stagetwin.reviews._topic import FrozenValue
from stagetwin.signals import Quality
from stagetwin.twin import Twin
from stagetwin.values import plain

__all__ = ["Freezer"]

MAX_TEXT = 2000


class Freezer:
    """Looks signals of a twin up; the service's word, not a client's."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._table: object = None
        self._rows: dict[str, int] = {}

    def __call__(self, path: str) -> FrozenValue:
        """Return what a signal is now.

        Args:
            path: `/Prim.signal`, or `/Prim.signal[3]` for an element of an array.

        Raises:
            ReviewError: nothing of that path is bound.
        """
        twin = self._twin
        if self._table is not twin.table:
            self._table = twin.table
            self._rows = {
                b.path if b.element < 0 else f"{b.path}[{b.element}]": index
                for index, b in twin.table.telemetry.items()
            }
        index = self._rows.get(path)
        if index is None:
            raise ReviewError(f"values: no signal is bound at {path}")
        binding, latest = twin.table.telemetry[index], twin.hub.latest
        value = _finite(plain(twin.value_of(index)))
        if isinstance(value, str | list) and len(str(value)) > MAX_TEXT:
            value = f"{str(value)[:MAX_TEXT]}..."
        source_time = float(latest.source_time[index])
        return FrozenValue(
            path,
            binding.prim,
            value,
            binding.unit,
            Quality(int(latest.quality[index])).token,
            source_time if math.isfinite(source_time) else None,
            twin.clock.wall(),
        )


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return [_finite(each) for each in value] if isinstance(value, list) else value
