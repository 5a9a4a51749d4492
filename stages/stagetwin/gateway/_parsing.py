"""JSON as it comes in from anybody."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse_object"]


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return the object that a text says.

    Raises:
        ValueError: that is no JSON object, or one that cannot be passed on: with numbers that are
            not finite, halves of surrogate pairs, or too deep.
    """
    try:
        said = json.loads(text, parse_constant=_no_constant)
        if b"\\ud" in (text.encode() if isinstance(text, str) else text).lower():
            # An escape may be half a character, which no UTF-8 can hold.
            json.dumps(said, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("that is no JSON") from None
    if not isinstance(said, dict):
        raise ValueError("that is no JSON object")
    return said


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
