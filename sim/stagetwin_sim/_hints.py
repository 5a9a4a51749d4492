"""What a stage tells about its signals beyond their bindings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pxr import Gf, Usd

from stagetwin.bindings import TelemetryBinding

__all__ = ["Body", "Hints", "place_of"]

Body = tuple[float, float, float, float]
"""x, y, z [m] and heading [rad], counter-clockwise from +X."""


@dataclass(slots=True)
class Hints:
    """What is known of signals, by the path of the property that they drive.

    Attributes:
        words: allowed values of text.
        lengths: lengths of arrays.
        bodies: where bodies with a pose stand; elements of an array have `[index]` behind the path.
        middles: authored numbers, such as a joint's angle [unit].
    """

    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    bodies: dict[str, Body] = field(default_factory=dict)
    middles: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_stage(cls, stage: Usd.Stage, bindings: Sequence[TelemetryBinding]) -> Hints:
        """Read the hints of a stage."""
        hints = cls()
        positions: dict[tuple[str, int], Any] = {}
        headings: dict[tuple[str, int], float] = {}
        elements = [b for b in bindings if b.element >= 0]
        arrays = {b.target: stage.GetAttributeAtPath(b.target).Get() for b in elements}
        for binding in elements:
            array, key = arrays[binding.target], (binding.prim, binding.element)
            if array is None or binding.element >= len(array):
                continue
            if binding.type_name.startswith("quat"):
                headings[key] = _heading(array[binding.element])
            else:
                positions[key] = array[binding.element]
        for binding in elements:
            key = (binding.prim, binding.element)
            if key in positions:
                x, y, z = positions[key]
                hints.bodies[place_of(binding)] = (x, y, z, headings.get(key, 0.0))
        for binding in bindings:
            if binding.element < 0 and (attr := stage.GetAttributeAtPath(binding.target)):
                hints._note(binding, attr)
        return hints

    def _note(self, binding: TelemetryBinding, attr: Usd.Attribute) -> None:
        if tokens := attr.GetMetadata("allowedTokens"):
            self.words[binding.target] = tuple(str(token) for token in tokens)
        value = attr.Get()
        if binding.type_name.endswith("[]") and (length := _length(attr, value)):
            self.lengths[binding.target] = length
        if isinstance(value, Gf.Matrix4d):
            rows: Any = value
            # The first row is where the body's X axis points, the last where it stands.
            heading = math.atan2(rows[0][1], rows[0][0])
            self.bodies[binding.target] = (rows[3][0], rows[3][1], rows[3][2], heading)
        elif isinstance(value, float) and math.isfinite(value):
            self.middles[binding.target] = value


def place_of(binding: TelemetryBinding) -> str:
    """Return the property that a binding drives, with its element if it drives but one."""
    return binding.target if binding.element < 0 else f"{binding.target}[{binding.element}]"


def _heading(quaternion: Any) -> float:
    w, (x, y, z) = float(quaternion.GetReal()), (float(n) for n in quaternion.GetImaginary())
    return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def _length(attr: Usd.Attribute, value: Any) -> int:
    """Return an array's length: of its value, else of its limits where those are arrays."""
    if value:
        return len(value)
    limits = attr.GetMetadata("limits") or {}
    for group in limits.values():
        for bound in group.values():
            if hasattr(bound, "__len__"):
                return len(bound)
    return 0
