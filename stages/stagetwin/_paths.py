"""Paths of prims and signals as text."""

from __future__ import annotations

__all__ = ["is_below"]


def is_below(path: str, prim: str) -> bool:
    """Tell whether a signal or command is the one named, of the prim named, or of one below it.

    Args:
        path: prim path and name, `/World/Pump.speed`.
        prim: path of a prim, or of a signal or command; `/` is above all.
    """
    prefix = prim.rstrip("/")
    return not prefix or path == prefix or path.startswith((f"{prefix}.", f"{prefix}/"))
