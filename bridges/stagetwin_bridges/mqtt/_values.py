"""What a decoded wire value must be for a channel of each kind."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from stagetwin.ports import Reject, ValueKind

__all__ = ["ACCEPT", "EXACT", "MOST_DIGITS", "RefusedError", "number_of_text", "shown"]

EXACT: Final = 2**53
"""Integers up to this size are exact in a float64 column."""

MOST_DIGITS: Final = 4300
"""Longest text of a number that is read: beyond it the time grows with the square of the length."""

_DEEPEST: Final = 32
"""Arrays and objects within each other."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = {"nan", "inf", "infinity"}
_LOGIC = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
_SHOWN = 60


class RefusedError(Exception):
    """A value is not what the channel takes.

    Attributes:
        reason: cause under which it is counted.
    """

    def __init__(self, reason: Reject, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def shown(value: Any) -> str:
    """Return a value for a message, shortened."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**_SHOWN:
        return "an integer of many digits"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        text = repr(value[: 2 * _SHOWN] if isinstance(value, (str, bytes)) else value)
    except RecursionError:
        return "a value nested too deep to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def number_of_text(text: str) -> int | float:
    """Return the number that a text spells.

    Raises:
        RefusedError: it spells none, or one that is not finite.
    """
    text = text.strip()
    if len(text) > MOST_DIGITS:
        numeric = text[:2].lstrip("+-.")[:1].isdigit()
        raise RefusedError(
            Reject.OUT_OF_RANGE if numeric else Reject.TYPE_MISMATCH,
            f"expected a number of at most {MOST_DIGITS} characters, got {len(text)}",
        )
    if _NUMBER.fullmatch(text):
        try:
            return int(text)
        except ValueError:
            value = float(text)
        if math.isfinite(value):
            return value
        raise RefusedError(Reject.NOT_FINITE, f"expected a finite number, got {shown(text)}")
    if text.lstrip("+-").lower() in _NOT_FINITE:
        raise RefusedError(Reject.NOT_FINITE, f"expected a finite number, got {shown(text)}")
    raise RefusedError(Reject.TYPE_MISMATCH, f"expected a number, got {shown(text)}")


def _any_number(value: Any) -> int | float:
    kind = type(value)
    if kind is float:
        if math.isfinite(value):
            return float(value)
        raise RefusedError(Reject.NOT_FINITE, f"expected a finite number, got {value}")
    if kind is int:
        return int(value)
    if kind is str:
        return number_of_text(value)
    raise RefusedError(Reject.TYPE_MISMATCH, f"expected a number, got {shown(value)}")


def _number(value: Any) -> float:
    try:
        return float(_any_number(value))
    except OverflowError:
        raise RefusedError(
            Reject.OUT_OF_RANGE, f"expected a number that a double holds, got {shown(value)}"
        ) from None


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    if type(value) is str:
        logic = _LOGIC.get(value.strip().lower())
        if logic is not None:
            return logic
    elif type(value) in (int, float) and value in (0, 1):
        return bool(value)
    elif type(value) is float and not math.isfinite(value):
        raise RefusedError(Reject.NOT_FINITE, f"expected a boolean, got {value}")
    raise RefusedError(
        Reject.TYPE_MISMATCH, f"expected true, false, on, off, 1 or 0, got {shown(value)}"
    )


def _text(value: Any) -> str:
    if type(value) is not str:
        raise RefusedError(Reject.TYPE_MISMATCH, f"expected text, got {shown(value)}")
    return value


def _flaw(value: list[Any] | dict[str, Any]) -> Reject | None:
    """Return what is wrong inside an array or object; by levels, so that no depth overflows."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for container in level:
            for item in container.values() if type(container) is dict else container:
                kind = type(item)
                if kind is float:
                    if not math.isfinite(item):
                        return Reject.NOT_FINITE
                elif kind is list or kind is dict:
                    below.append(item)
        if not below:
            return None
        level = below
    return Reject.MALFORMED


def _composite(value: Any) -> Any:
    if type(value) not in (list, dict):
        raise RefusedError(
            Reject.TYPE_MISMATCH, f"expected an array or an object, got {shown(value)}"
        )
    flaw = _flaw(value)
    if flaw is Reject.NOT_FINITE:
        raise RefusedError(flaw, f"expected finite numbers, got {shown(value)}")
    if flaw is not None:
        raise RefusedError(flaw, f"expected at most {_DEEPEST} arrays and objects in each other")
    return value


ACCEPT: Final[dict[ValueKind, Callable[[Any], Any]]] = {
    ValueKind.NUMBER: _number,
    ValueKind.INTEGER: _any_number,
    ValueKind.BOOLEAN: _boolean,
    ValueKind.TEXT: _text,
    ValueKind.COMPOSITE: _composite,
}
"""By kind: returns the value as it travels, or raises RefusedError."""
