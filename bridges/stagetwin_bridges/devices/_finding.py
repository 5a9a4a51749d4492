"""Finding devices by what people call them, and the sockets where they answer."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stagetwin_bridges._errors import BridgeError

__all__ = ["SOCKETS", "chosen", "place_of", "sockets_at"]

SOCKETS = "*.device.sock"
"""Names of the control sockets in a folder of devices."""

Row = Mapping[str, Any]


def chosen(rows: Sequence[Row], name: str) -> Row:
    """Return the device that has this id, name or prim path.

    Raises:
        BridgeError: none has, or several have; names what is nearly called so.
    """
    wanted = name.casefold()
    found = [row for row in rows if wanted in {text.casefold() for text in _names(row)}]
    exact = [row for row in found if name in _names(row)]
    best = exact or found
    assets = {row["asset"] for row in best}
    if len(assets) == 1:
        return best[0]
    if assets:
        raise BridgeError(f"{name!r} may be {', '.join(sorted(assets))}: name the prim path")
    known = sorted({text for row in rows for text in _names(row)})
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {_some(rows)}"
    raise BridgeError(f"no device {name!r}; {hint}")


def place_of(rows: Sequence[Row], name: str) -> str:
    """Return the prim path of a device, with `.signal` behind it where the name has one.

    Raises:
        BridgeError: no device has this name, or several have.
    """
    try:
        return str(chosen(rows, name)["asset"])
    except BridgeError:
        device, dot, signal = name.rpartition(".")
        if not dot or not device:
            raise
    # A part below the device may have the signal: PRIM.signal as it is.
    if any(device.startswith(f"{row['asset']}/") for row in rows):
        return name
    return f"{chosen(rows, device)['asset']}.{signal}"


def _names(row: Row) -> set[str]:
    path = str(row["asset"])
    return {path, path.rpartition("/")[2], str(row["id"])} - {""}


def _some(rows: Sequence[Row]) -> str:
    names = sorted({str(row["id"]) or str(row["asset"]) for row in rows})
    return (", ".join(names[:8]) + (", ..." if len(names) > 8 else "")) or "none"


def sockets_at(place: Path) -> list[Path]:
    """Return the control sockets at a place: the one itself, or all in a folder.

    Raises:
        BridgeError: there is none.
    """
    if place.is_dir():
        if found := sorted(place.glob(SOCKETS)):
            return found
        raise BridgeError(f"no device runs at {place}: there is no {SOCKETS} in it")
    if place.is_socket():
        return [place]
    raise BridgeError(f"{place} is no control socket and no folder of them")
