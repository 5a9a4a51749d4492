"""JSON as it comes in from anybody."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["MAX_DEPTH", "parse_object"]

MAX_DEPTH = 64
"""Lists and objects within one another: what comes in is encoded again deeper in the stack."""


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
    if _is_deeper(said, MAX_DEPTH):
        raise ValueError(f"lists and objects lie in one another {MAX_DEPTH} deep at most")
    return said


def _is_deeper(said: Any, most: int) -> bool:
    """Tell whether something nests deeper than so; level by level, without recursion."""
    level = [said]
    for _ in range(most):
        level = [
            part
            for whole in level
            for part in (whole.values() if isinstance(whole, dict) else whole)
            if isinstance(part, (dict, list))
        ]
        if not level:
            return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
