"""The health of the synchronisation, measured where it happens."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf

from stagetwin.clock import Clock
from stagetwin.hub import ChannelParameters, Fates, Latest, Rejections
from stagetwin.live._state import HEALTH_PATH
from stagetwin.ports import Reject
from stagetwin.signals import Quality

__all__ = ["Health"]

_types = Sdf.ValueTypeNames


class Health:
    """Collects lags and tick times between two reports."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lags: list[npt.NDArray[np.float64]] = []
        self._longest_tick = 0.0
        self._since = clock.steady()
        self._received = 0
        # Kept while nothing arrives: the last lag known says more than a zero.
        self._p50 = self._p99 = 0.0

    @staticmethod
    def path(name: str) -> Sdf.Path:
        """Return the path of a health attribute."""
        return HEALTH_PATH.AppendProperty(f"twin:health:{name}")

    def note(self, lags: npt.NDArray[np.float64], tick_time: float) -> None:
        """Take the lags of one tick's values [s], shape (n,), and how long it took [s]."""
        if len(lags):
            self._lags.append(lags)
        self._longest_tick = max(self._longest_tick, tick_time)

    def report(
        self,
        fates: Fates,
        rejections: Rejections,
        ages: npt.NDArray[np.float64],
        latest: Latest,
        parameters: ChannelParameters,
    ) -> dict[str, tuple[Sdf.ValueTypeName, Any]]:
        """Return type and value of every health attribute, and begin a new interval."""
        now = self._clock.steady()
        elapsed = now - self._since
        if self._lags:
            lags = np.concatenate(self._lags)
            self._p50, self._p99 = (float(x) for x in np.percentile(lags, (50, 99)))
        # A clock that stands still, as that of a recording may, knows no rate.
        rate = (fates.received - self._received) / elapsed if elapsed > 0 else 0.0
        stale = parameters.active & (latest.quality == Quality.STALE)
        report = {
            "rate": (_types.Double, rate),
            "lagP50": (_types.Double, self._p50),
            "lagP99": (_types.Double, self._p99),
            "received": (_types.Int64, fates.received),
            "applied": (_types.Int64, fates.applied),
            "superseded": (_types.Int64, fates.superseded),
            "rejected": (_types.Int64, rejections.total()),
            "dropped": (_types.Int64, rejections.total(Reject.OVERFLOW, Reject.LOST)),
            "late": (_types.Int64, fates.late),
            "oldestAge": (_types.Double, float(ages.max()) if len(ages) else 0.0),
            "signals": (_types.Int, int(parameters.active.sum())),
            "stale": (_types.Int, int(stale.sum())),
            "tickTime": (_types.Double, self._longest_tick),
            "time": (_types.Double, self._clock.wall()),
        }
        self._lags.clear()
        self._longest_tick = 0.0
        self._since = now
        self._received = fates.received
        return report
