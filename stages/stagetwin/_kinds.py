"""What a channel's wire value must be."""

from __future__ import annotations

import enum

__all__ = ["ValueKind"]


class ValueKind(enum.StrEnum):
    """What a channel's wire value must be, whatever the exact type on the stage."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    COMPOSITE = "composite"

    @property
    def numeric(self) -> bool:
        """Whether values travel in the float64 column of `Samples`."""
        return self in (ValueKind.NUMBER, ValueKind.INTEGER, ValueKind.BOOLEAN)
