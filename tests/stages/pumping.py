"""What pumps of several plants of tests are told."""

from __future__ import annotations

from tests.stages.plants import Part, command

__all__ = ["pump_commands", "value_of"]


def value_of(path: str, signal: str) -> str:
    """Return the property of a signal's value."""
    return f"{path}.twin:telemetry:{signal}:value"


def pump_commands(path: str, topic: str) -> tuple[Part, Part]:
    """Return the commands `speed` and `run` of a pump that says `speed`, `running` and `ready`."""
    speed = command(
        "speed",
        address=f"{topic}/cmd/speed",
        unit="1/min",
        hard=(600, 3600),
        permissives=[value_of(path, "running")],
        readback=[value_of(path, "speed")],
    )
    run = command(
        "run",
        "bool",
        f"{topic}/cmd/run",
        permissives=[value_of(path, "ready")],
        readback=[value_of(path, "running")],
    )
    return speed, run
