"""What an alarm is, apart from the state that it is in."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from stagetwin.bindings import AlarmBinding, CommandBinding, TelemetryBinding
from stagetwin.ports import ConnectionSpec

__all__ = ["PRIORITIES", "Definition", "authored", "of_signal", "offline", "stale", "unverified"]

PRIORITIES = ("critical", "high", "medium", "low")
"""Worst first."""

_ELEMENT = re.compile(r"\[(\d+)\]$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One alarm that may arise.

    Attributes:
        prim, name: where, and what it is called; of one element of an array `name[3]`.
        asset: path of the asset around it.
        kind: `limit`, `quality`, `device`, `connection`, `command` or `model`.
        side: of a limit; empty for the others.
        signal: prim path and name of the signal or command, or name of the connection.
        unit: UCUM unit of the signal.
        limit: what it is compared with [unit], plain data; None for nothing.
        priority: one of `PRIORITIES`.
        message, advice: for people.
        authored: whether the plant says it, or it goes without saying.
        latched: whether its condition is over by being acknowledged.
    """

    prim: str
    name: str
    asset: str
    kind: str
    signal: str
    priority: str
    side: str = ""
    unit: str = ""
    limit: bool | int | float | str | None = None
    message: str = ""
    advice: str = ""
    authored: bool = False
    latched: bool = False

    @property
    def id(self) -> str:
        """Prim path and name: unique on the stage."""
        return f"{self.prim}.{self.name}"

    @property
    def attribute(self) -> str:
        """Prefix of its attributes, with its colon; `name[3]` is `name_3` there."""
        name = _ELEMENT.sub(r"_\1", self.name)
        return f"{self.prim}.twin:alarm:{name}:"


def _signal_path(binding: TelemetryBinding) -> str:
    return binding.path if binding.element < 0 else f"{binding.path}[{binding.element}]"


def _element(name: str, binding: TelemetryBinding | None) -> str:
    return name if binding is None or binding.element < 0 else f"{name}[{binding.element}]"


_IMPLICIT = {
    "high": ("limit", "low", "{} is above its soft limit"),
    "low": ("limit", "low", "{} is below its soft limit"),
    "outside": ("limit", "low", "{} is outside its soft limits"),
    "bad": ("quality", "medium", "{} cannot be used"),
}


def of_signal(binding: TelemetryBinding, what: str, limit: float = math.nan) -> Definition:
    """Return the implicit alarm of a signal: `high`, `low`, `outside` or `bad`."""
    kind, priority, message = _IMPLICIT[what]
    return Definition(
        prim=binding.prim,
        name=_element(f"{binding.signal}_{what}", binding),
        asset=binding.asset,
        kind=kind,
        side=what if kind == "limit" else "",
        signal=_signal_path(binding),
        unit=binding.unit,
        limit=None if math.isnan(limit) else limit,
        priority=priority,
        message=message.format(_element(binding.signal, binding)),
    )


def stale(binding: TelemetryBinding, name: str) -> Definition:
    """Return the implicit alarm of the asset around a signal, for all that are stale there."""
    return Definition(
        prim=binding.asset,
        name=name,
        asset=binding.asset,
        kind="quality",
        signal="",
        priority="medium",
        message="signals give no sign of life",
    )


def offline(connection: ConnectionSpec) -> Definition:
    """Return the implicit alarm of a connection."""
    return Definition(
        prim=connection.prim,
        name="offline",
        asset=connection.prim,
        kind="connection",
        signal=connection.name,
        priority="high",
        message=f"connection {connection.name} is not online",
    )


def unverified(command: CommandBinding) -> Definition:
    """Return the implicit alarm of a command."""
    return Definition(
        prim=command.prim,
        name=f"{command.signal}_unverified",
        asset=command.asset,
        kind="command",
        signal=command.path,
        unit=command.unit,
        priority="high",
        message=f"nobody knows what became of {command.signal}",
        advice="Look at the machine; acknowledge once it is known how it stands",
        latched=True,
    )


def authored(alarm: AlarmBinding, binding: TelemetryBinding | None) -> Definition:
    """Return an alarm that the plant authors.

    Args:
        alarm: what the plant says.
        binding: the telemetry that it judges, if any.
    """
    signal = alarm.signal if binding is None else _signal_path(binding)
    limit = alarm.value if math.isnan(alarm.limit) else alarm.limit
    return Definition(
        prim=alarm.prim,
        name=_element(alarm.name, binding),
        asset=alarm.asset,
        kind=alarm.kind,
        side=alarm.side,
        signal=signal,
        unit=binding.unit if binding is not None else "",
        limit=limit,
        priority=alarm.priority,
        message=alarm.message or alarm.name.replace("_", " "),
        advice=alarm.advice,
        authored=True,
        latched=alarm.kind == "command",
    )
