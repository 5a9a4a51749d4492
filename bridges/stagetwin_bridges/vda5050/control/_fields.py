"""What a command of a vehicle may be: its address, field, type and parameters, and what proves it.

This needs no map and no vehicle, so that a stage can be checked without either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stagetwin.actuation import CommandTarget
from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.vda5050.messages import Identity

__all__ = [
    "ACTION",
    "CANCEL",
    "INITIALIZE",
    "ORDER",
    "PROVEN",
    "SWITCHES",
    "ZONE_SET",
    "action_of",
    "address_of",
    "is_order",
    "target_problems",
]

ORDER: Final = "order"
ORDER_ACTION: Final = "order."
CANCEL: Final = "cancelOrder"
ACTION: Final = "instantAction."
ZONE_SET: Final = "zoneSet"
INITIALIZE: Final = "initializePosition"

SWITCHES: Final[Mapping[str, tuple[str, str]]] = {
    "pause": ("startPause", "stopPause"),
    "charging": ("startCharging", "stopCharging"),
}
"""Fields that take both values: the actions for true and for false."""

_OLD_WORDS: Final = {"initPosition": INITIALIZE}
"""Words of 2.1 for actions; the codec has those of 3.0."""

_POSES: Final = frozenset({"double3", "point3d", "vector3d"})
_ORDER_TYPES: Final = _POSES | {"token", "string"}
_BOOL: Final = frozenset({"bool"})

PROVEN: Final[Mapping[str, tuple[Any, ...]]] = {
    "cancelOrder": (False,),
    "stopPause": (False,),
    "stopCharging": (False,),
}
"""What a read-back shows once an action came true, where that is not `true`: no order, not paused,
not charging."""


def is_order(field: str) -> bool:
    """Tell whether a field sends a vehicle to a goal."""
    return field == ORDER or field.startswith(ORDER_ACTION)


def action_of(field: str, value: object = True) -> str:
    """Return the type of the action that a field names; empty for an order without one.

    Args:
        field: what is commanded.
        value: what is asked for; a switch has an action for either value.
    """
    if field in SWITCHES:
        on, off = SWITCHES[field]
        return on if value is True else off
    if field == CANCEL:
        return CANCEL
    start = ACTION if field.startswith(ACTION) else ORDER_ACTION
    kind = field[len(start) :] if field.startswith(start) else ""
    return _OLD_WORDS.get(kind, kind)


def address_of(address: str) -> tuple[str, str]:
    """Return manufacturer and serial number of an address.

    Raises:
        MessageError: it is no MANUFACTURER/SERIAL.
    """
    manufacturer, slash, serial = address.partition("/")
    if not slash:
        raise MessageError(f"expected MANUFACTURER/SERIAL, got {address!r}")
    who = Identity("vda5050", "2.1.0", manufacturer, serial)
    return who.manufacturer, who.serial


def target_problems(target: CommandTarget) -> list[str]:
    """Return what is wrong with a target; empty if nothing."""
    problems: list[str] = []
    try:
        address_of(target.address)
    except MessageError as error:
        problems.append(f"address: {error}")
    field, kind = target.field, action_of(target.field)
    if is_order(field) and (field == ORDER or kind):
        allowed = _ORDER_TYPES
    elif field.startswith(ACTION) and kind:
        allowed = _POSES if kind == INITIALIZE else _BOOL
    elif field in (CANCEL, ZONE_SET, *SWITCHES):
        allowed = _BOOL
    else:
        known = ", ".join((CANCEL, ZONE_SET, *SWITCHES))
        words = f"{ORDER}, {ORDER_ACTION}TYPE, {known} or {ACTION}TYPE"
        problems.append(f"field: {words}, got {field!r}")
        allowed = frozenset({target.type_name})
    if target.type_name not in allowed:
        text = f"field {field!r} is of type {', '.join(sorted(allowed))}, not {target.type_name}"
        problems.append(text)
    own = bool(kind) and kind not in (CANCEL, INITIALIZE) and field not in SWITCHES
    if target.parameters and not own:
        names = ", ".join(target.parameters)
        problems.append(f"parameters: field {field!r} takes none of its own, got {names}")
    if target.operation != "write":
        problems.append(f"operation: write, got {target.operation!r}")
    if target.encoding != "auto":
        problems.append(f"encoding: auto, the standard fixes it, got {target.encoding!r}")
    if target.wire_type != "auto":
        problems.append(f"wireType: auto, the standard fixes it, got {target.wire_type!r}")
    return problems
