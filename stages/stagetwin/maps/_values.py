"""Values of a map's attributes, checked for their type."""

from __future__ import annotations

from typing import Any

from pxr import Sdf, Usd

__all__ = [
    "Wrong",
    "read_flag",
    "read_number",
    "read_targets",
    "read_text",
    "read_texts",
    "read_whole",
]


class Wrong(Exception):
    """A prim cannot be taken into its map; its arguments are the code and why."""


def _value(prim: Usd.Prim, name: str, kinds: tuple[type, ...], allowed: str) -> Any:
    attr = prim.GetAttribute(name)
    value = attr.Get() if attr else None
    if value is None:
        return None
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        text = f"{name} must be {allowed}, got {value!r} of type {attr.GetTypeName()}"
        raise Wrong("value", text)
    return value


def read_text(prim: Usd.Prim, name: str) -> str:
    """Return text; empty where nothing is authored."""
    return str(_value(prim, name, (str,), "text") or "")


def read_flag(prim: Usd.Prim, name: str) -> bool:
    """Return a flag; false where nothing is authored."""
    return bool(_value(prim, name, (bool,), "true or false"))


def read_whole(prim: Usd.Prim, name: str, default: int) -> int:
    """Return a whole number."""
    value = _value(prim, name, (int,), "a whole number")
    return default if value is None else int(value)


def read_number(prim: Usd.Prim, name: str, default: Any = None) -> Any:
    """Return a number as a Python float."""
    value = _value(prim, name, (float, int), "a number")
    return default if value is None else float(value)


def read_texts(prim: Usd.Prim, name: str) -> tuple[str, ...]:
    """Return several texts."""
    attr = prim.GetAttribute(name)
    value = attr.Get() if attr else None
    return tuple(str(each) for each in value) if value is not None else ()


def read_targets(prim: Usd.Prim, name: str) -> list[Sdf.Path]:
    """Return what a relationship points at."""
    rel = prim.GetRelationship(name)
    return list(rel.GetForwardedTargets()) if rel else []
