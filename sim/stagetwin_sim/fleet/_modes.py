"""What a vehicle may be told to do."""

from __future__ import annotations

import enum

__all__ = ["Mode"]


class Mode(enum.IntEnum):
    """What moves a vehicle; the kernels know the numbers.

    Whether something stands in its protective field is another matter: `FleetState.blocked`.
    """

    STOPPED = 0
    """It brakes to a stand and stays."""
    PATH = 1
    """It follows its path up to its clearance."""
    FREE = 2
    """It heads for its goal and avoids others."""
    COMMANDED = 3
    """It drives as `FleetState.command` says, within its limits."""
