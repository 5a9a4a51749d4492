"""Telemetry of joints on a robot's prim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pxr import Sdf, Usd

from stagetwin_sim.robots._joints import Axis

__all__ = ["QUANTITIES", "Telemetry", "bind_joint"]

_TYPES = Sdf.ValueTypeNames

QUANTITIES = ("position", "velocity", "effort")

_UNITS = {
    ("position", True): "rad",
    ("position", False): "m",
    ("velocity", True): "rad/s",
    ("velocity", False): "m/s",
    ("effort", True): "N.m",
    ("effort", False): "N",
}


@dataclass(frozen=True)
class Telemetry:
    """Where the telemetry of joints comes from.

    Attributes:
        connection: name of the TwinConnection; empty leaves it to what lies around the robot.
        address: template, in which `<joint>` and `<quantity>` stand for a joint and for one of
            `quantities`; those of the schema (`{twin:id}`, ...) stay.
        field: likewise.
        quantities: of `position`, `velocity`, `effort`.
    """

    connection: str = ""
    address: str = "{twin:id}/joints/<joint>"
    field: str = "<quantity>"
    quantities: Sequence[str] = QUANTITIES


def bind_joint(prim: Usd.Prim, joint: str, axis: Axis, telemetry: Telemetry) -> list[str]:
    """Author the signals of one joint; return their names.

    Limits of a joint are soft: beyond them a measurement is uncertain, not impossible.
    """
    signals: list[str] = []
    for quantity in telemetry.quantities:
        signal = f"{joint}_{quantity}"
        prefix = f"twin:telemetry:{signal}"
        prim.AddAppliedSchema(f"TwinTelemetryAPI:{signal}")
        texts = {
            "address": telemetry.address,
            "field": telemetry.field,
            "unit": _UNITS[quantity, axis.angular],
        }
        for name, text in texts.items():
            value = text.replace("<joint>", joint).replace("<quantity>", quantity)
            attr = prim.CreateAttribute(
                f"{prefix}:{name}", _TYPES.String, False, Sdf.VariabilityUniform
            )
            attr.Set(value)
        value_attr = prim.CreateAttribute(f"{prefix}:value", _TYPES.Double, True)
        low, high = {
            "position": (axis.lower, axis.upper),
            "velocity": (-axis.velocity, axis.velocity),
            "effort": (-axis.effort, axis.effort),
        }[quantity]
        soft = {
            name: round(bound, 6)
            for name, bound in (("minimum", low), ("maximum", high))
            if math.isfinite(bound)
        }
        if soft:
            value_attr.SetMetadata("limits", {"soft": soft})
        signals.append(signal)
    return signals
