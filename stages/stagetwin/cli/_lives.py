"""Commands as they are printed: states in colour, values with their unit, how a life ended."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text

from stagetwin.cli._cells import age_text, plain_text, unit_text

__all__ = [
    "UNSENT_ENDS",
    "allowed_text",
    "end_text",
    "headline",
    "moment_text",
    "near_paths",
    "short_ids",
    "state_style",
    "value_text",
    "waiting_text",
]

Row = dict[str, Any]

_STYLES = {
    "SENT": "cyan",
    "ACKNOWLEDGED": "cyan",
    "VERIFIED": "bold green",
    "REJECTED": "bold red",
    "DENIED": "bold red",
    "FAILED": "bold red",
    "CANCELLED": "yellow",
    "SUPERSEDED": "yellow",
    "EXPIRED": "yellow",
    "UNVERIFIED": "bold white on red",
}
UNSENT_ENDS = frozenset({"REJECTED", "DENIED", "CANCELLED", "SUPERSEDED", "EXPIRED"})
"""Ends of what never left."""

_ENDS = UNSENT_ENDS | {"VERIFIED", "FAILED", "UNVERIFIED"}

_LONGEST_VALUE = 48
_MEASURED = 6
"""Digits of what was measured."""
_CANDIDATES = 5
_SHORTEST_ID = 13
"""Milliseconds of a UUIDv7 [characters]: enough to tell apart what people do."""


def state_style(state: str) -> str:
    """Return the style of a state; what is on its way has none."""
    return _STYLES.get(state, "")


def value_text(value: Any, unit: str = "", digits: int = 15) -> str:
    """Return a command's value as one line, every digit of a number kept unless fewer will do."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        text = f"{value:,}"
    elif isinstance(value, float) and math.isfinite(value):
        text = f"{value:,.{digits}g}"
    elif isinstance(value, str):
        text = json.dumps(plain_text(value), ensure_ascii=False)
    else:
        text = plain_text(json.dumps(value))
    if len(text) > _LONGEST_VALUE:
        text = text[: _LONGEST_VALUE - 1] + "…"
    printed = unit_text(unit)
    numeric = not isinstance(value, str)
    return f"{text} {printed}" if printed and numeric else text


def allowed_text(target: Row) -> str:
    """Return what values a target takes: its type, and its limits where it has any."""
    low, high, unit = target["min"], target["max"], target["unit"]
    kind = plain_text(target["type"])
    if low is not None and high is not None:
        return f"{kind}, {value_text(low)} to {value_text(high, unit)}"
    if low is not None:
        return f"{kind}, at least {value_text(low, unit)}"
    if high is not None:
        return f"{kind}, at most {value_text(high, unit)}"
    printed = unit_text(unit)
    return f"{kind} [{printed}]" if printed else kind


def headline(row: Row, before: Any = None) -> Text:
    """Return what was asked for, by whom and for which realm."""
    text = Text.assemble((plain_text(row["target"]), "bold"), "  ")
    if before is not None:
        text.append(f"{value_text(before)} → ", "dim")
    text.append(value_text(row["value"], row["unit"]), "bold")
    if said := row.get("parameters"):
        pairs = ", ".join(f"{plain_text(k)} {value_text(v)}" for k, v in said.items())
        text.append(f" with {pairs}")
    text.append("  on the ", "dim")
    plant = row["realm"] == "plant"
    text.append(plain_text(row["realm"]), "bold yellow" if plant else "dim")
    text.append(f"  by {plain_text(row['author'])}", "dim")
    if row["origin"] != "human":
        text.append(f" ({plain_text(row['origin'])})", "dim")
    return text


def moment_text(moment: Row, created: float) -> Text:
    """Return one transition: time since the request, state, and cause unless it is the end's."""
    state = plain_text(moment["state"])
    # The sentence about the end says why.
    cause = "" if state in _ENDS else plain_text(moment["cause"])
    since = max(float(moment["time"]) - created, 0.0)
    text = Text.assemble((f"  {_since_text(since):>9}  ", "dim"), (state, state_style(state)))
    return text.append(f"{'':{max(14 - len(state), 2)}}{cause}") if cause else text


def _since_text(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 100 else age_text(seconds)


def end_text(row: Row, target: Row | None = None) -> Text:
    """Return how a command ended, as a sentence.

    Args:
        row: the command.
        target: what it commanded, where that is known: says what is allowed.
    """
    state = str(row["state"])
    text = Text.assemble((plain_text(state), state_style(state)))
    cause = plain_text(row["cause"]).rstrip(".")
    if state == "VERIFIED":
        return text.append(_evidence_text(row))
    if state == "UNVERIFIED":
        text.append(
            ": sent, outcome unknown; look at the machine, it is not sent again", "bold red"
        )
        return text.append(f" ({cause})" if cause else ".")
    text.append(f": {cause}" if cause else "")
    if row["code"] in ("range", "type") and target is not None:
        text.append(f"; allowed: {allowed_text(target)}")
    if state in UNSENT_ENDS:
        text.append("; nothing was sent")
    return text


def _evidence_text(row: Row) -> str:
    evidence = row["evidence"]
    if evidence is None:
        return ""
    # What is measured has no more digits to give.
    read = value_text(evidence["value"], row["unit"], _MEASURED)
    before = evidence["before"]
    was = "" if before is None else f", was {value_text(before, digits=_MEASURED)}"
    what = f"{plain_text(evidence['kind'])}, {plain_text(evidence['signal'])}"
    after = float(evidence["after"])
    took = f"{after:.1f} s" if after >= 0.1 else f"{max(after, 0.0) * 1e3:.0f} ms"
    return f": read back {read} ({what}){was}, {took} after sending"


def waiting_text(row: Row) -> str:
    """Return what an open command waits for."""
    state = str(row["state"])
    missing = int(row["needs"]) - len(row["approvals"])
    if state in ("VALIDATED", "REHEARSED") and missing > 0:
        people = "another person" if missing == 1 else f"{missing} other people"
        return f"waiting for approval by {people}"
    if state in ("SENT", "ACKNOWLEDGED"):
        return "sent; waiting for the read-back"
    return f"{plain_text(state)}, on its way"


def short_ids(rows: Sequence[Row]) -> list[str]:
    """Return the beginning of each id that no other of them shares.

    Ids of one moment differ late; each is as long as it alone needs to be.
    """
    whole = [str(row["id"]) for row in rows]
    return [plain_text(_short(each, whole)) for each in whole]


def _short(one: str, others: Sequence[str]) -> str:
    for size in range(_SHORTEST_ID, len(one)):
        if not any(each != one and each.startswith(one[:size]) for each in others):
            return one[:size]
    return one


def near_paths(wanted: str, paths: Iterable[str]) -> list[str]:
    """Return the paths that may have been meant, the likeliest first."""
    known = list(paths)
    lower, end = wanted.lower(), wanted.lower().strip("/").rpartition("/")[2]
    near = [path for path in known if path.lower().endswith(lower.lstrip("/"))]
    near += [path for path in known if path.startswith(f"{wanted.rstrip('.')}.")]
    near += [path for path in known if end and path.lower().endswith(end)]
    folded = {path.lower(): path for path in known}
    near += [folded[m] for m in difflib.get_close_matches(lower, folded, _CANDIDATES, 0.7)]
    return list(dict.fromkeys(near))[:_CANDIDATES]
