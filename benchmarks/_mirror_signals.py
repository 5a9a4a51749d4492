"""The signals of `benchmarks.mirrors`."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["RATE", "SIGNALS", "TOKEN", "path", "value_of"]

SIGNALS = 10_000
RATE = 30.0
TOKEN = "benchmark"
"""What clients show to a process on loopback that lives for seconds."""


def value_of(tick: int) -> Any:
    """Return all values of a tick: each tells its signal and its tick."""
    return np.arange(SIGNALS) / 7.0 + tick * 4096.0


def path(row: int) -> str:
    """Return the path of a signal, as long as they are in a plant."""
    return f"/World/Line{row % 8}/Pump{row // 20}.signal{row % 20}"
