"""Values, numbers and units as people read them."""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = ["plain_text", "split_number", "unit_text"]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNITS = {"1": "", "Cel": "°C", "deg": "°", "[pH]": "pH", "[g]": "g", "Ohm": "Ω", "[degF]": "°F"}


def plain_text(value: Any) -> str:
    """Return a value as one line without control characters: payloads are not to be trusted."""
    return "".join(c if c.isprintable() else "�" for c in str(value))


def unit_text(ucum: str) -> str:
    """Return a UCUM unit as it is printed: `m3/h` as m³/h, `Cel` as °C, `1` as nothing."""
    if ucum in _UNITS:
        return _UNITS[ucum]
    text = re.sub(
        r"(?<=[A-Za-z\]])-?\d+", lambda match: match.group().translate(_SUPERSCRIPT), ucum
    )
    return plain_text(text.replace(".", "·"))


def split_number(value: float, span: float = math.inf) -> tuple[str, str]:
    """Return a number as (integer part, fraction with its point), to be aligned at the point.

    Args:
        value: the number.
        span: width of its limits in the same unit; decides how many digits tell something.
    """
    if not math.isfinite(value):
        return {True: "nan", False: "inf" if value > 0 else "-inf"}[math.isnan(value)], ""
    if isinstance(value, int):
        return (f"{value:,}", "") if abs(value) < 10**12 else (f"{value:.3e}", "")
    size = abs(value)
    if size >= 1e9 or 0 < size < 1e-4:
        return f"{value:.3e}", ""
    if 0 < span <= 1e5:
        digits = 3 - math.floor(math.log10(span))
    else:
        digits = 4 - math.floor(math.log10(size)) if size >= 1 else 4
    whole, point, fraction = f"{value:,.{min(max(digits, 0), 3)}f}".partition(".")
    return whole, point + fraction
