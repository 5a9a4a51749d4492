"""Which simulators and which kinds of models are installed."""

from __future__ import annotations

from importlib.metadata import entry_points

__all__ = ["DEFAULT", "find_simulator", "known_kinds"]

GROUP = "stagetwin.simulators"
DEFAULT = "models"
"""Name of the simulator that runs `TwinModelAPI`."""


def find_simulator(name: str = DEFAULT) -> str | None:
    """Return the module of a simulator, for `python -m`; None where none is installed."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            return point.value.partition(":")[0]
    return None


def known_kinds() -> list[str]:
    """Return the kinds of models that are installed, sorted; none is loaded."""
    return sorted({point.name for point in entry_points(group="stagetwin.models")})
