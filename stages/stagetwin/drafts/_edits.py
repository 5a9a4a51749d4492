"""What a draft layer's change can be: an edit, or something that never publishes."""

from __future__ import annotations

import enum
import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from pxr import Sdf, Usd

from stagetwin.values import plain

__all__ = [
    "Edit",
    "Ignored",
    "Reason",
    "by_place",
    "commanded_properties",
    "desired_of",
    "identity",
    "moves",
    "place_command_of",
]

_PREFIX, _SUFFIX, _PLACE = "twin:command:", ":desired", ":place"
_API = "TwinCommandAPI:"


class Reason(enum.StrEnum):
    """Why a change of the draft layer is no edit that may publish itself."""

    OPENED = "it was in the layer when that was opened"
    RELOADED = "the layer was reloaded"
    REPLACED = "the layer's content was replaced"
    CLEARED = "the opinion was cleared"
    VARIANT = "a variant was switched or edited"
    UNDONE = "the attribute had this value before: an undo or redo"
    MERGED = "several commands changed at once: a merge or paste"
    MOVED = "a station or node was moved, and the plant's map was not: it waits to be published"
    MISSED = "it could not be followed change by change"


@dataclass(frozen=True, slots=True)
class Edit:
    """Somebody gave one command a value that it did not have before in this draft.

    Attributes:
        path: path of the attribute in the draft layer; or of what moves or names its place.
        command: prim path and command name.
        old: value before; None if the layer had none.
        new: value now.
        first: whether the layer had no value of the attribute before.
    """

    path: str
    command: str
    old: Any
    new: Any
    first: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """A change that stays a draft, and why.

    Attributes:
        path: path of the attribute in the draft layer.
        command: prim path and command name.
        old: value before; None if the layer had none.
        new: value now; None if the layer has none.
        reason: why it never publishes by itself.
    """

    path: str
    command: str
    old: Any
    new: Any
    reason: Reason


def command_of(path: Sdf.Path) -> str:
    """Return the command whose `desired` a path is, as prim path and name; empty if none."""
    return _between(path, _SUFFIX)


def place_command_of(path: Sdf.Path) -> str:
    """Return the command whose `place` a path is, as prim path and name; empty if none."""
    return _between(path, _PLACE)


def _between(path: Sdf.Path, suffix: str) -> str:
    name = path.name
    if not (name.startswith(_PREFIX) and name.endswith(suffix)):
        return ""
    command = name[len(_PREFIX) : -len(suffix)]
    return f"{path.GetPrimPath()}.{command}" if command else ""


def moves(path: Sdf.Path) -> bool:
    """Tell whether a property says where its prim is."""
    return path.name.startswith("xformOp:") or path.name == "xformOpOrder"


def by_place(path: str) -> bool:
    """Tell whether an edit at a path is one of where, or of which prim a place is."""
    at = Sdf.Path(path)
    return moves(at) or bool(place_command_of(at))


def desired_of(command: str) -> str:
    """Return the path of the `desired` attribute of a command `/Prim.name`."""
    prim, _, name = command.rpartition(".")
    return f"{prim}.{_PREFIX}{name}{_SUFFIX}"


def commanded_properties(stage: Usd.Stage) -> dict[str, str]:
    """Return, by path, the properties that commands drive instead of their own `desired`.

    It says only which command an edit of a property is a draft of; where a command goes is for the
    service to say.
    """
    found: dict[str, str] = {}
    for prim in stage.Traverse():
        for applied in prim.GetPrimTypeInfo().GetAppliedAPISchemas():
            if not applied.startswith(_API):
                continue
            name = applied[len(_API) :]
            rel = prim.GetRelationship(f"{_PREFIX}{name}:target")
            targets = rel.GetForwardedTargets() if rel else []
            if len(targets) == 1:
                found[str(targets[0])] = f"{prim.GetPath()}.{name}"
    return found


def identity(value: Any) -> Hashable:
    """Return something that two values share exactly if they are the same; NaN is NaN here."""
    if isinstance(value, float):
        return value if value == value else "nan"
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return "text", value
    return type(value).__name__, json.dumps(plain(value))
