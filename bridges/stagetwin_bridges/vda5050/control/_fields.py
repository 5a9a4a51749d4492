"""What a command of a vehicle may be: its address, field and type, and what proves it.

This needs no map and no vehicle, so that a stage can be checked without either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stagetwin.actuation import CommandTarget
from stagetwin_bridges._errors import MessageError
from stagetwin_bridges.vda5050.messages import Identity

__all__ = ["ACTION", "CANCEL", "ORDER", "PROVEN", "action_of", "address_of", "target_problems"]

ORDER: Final = "order"
CANCEL: Final = "cancelOrder"
ACTION: Final = "instantAction."

_ORDER_TYPES: Final = frozenset({"token", "string", "double3", "point3d", "vector3d"})

PROVEN: Final[Mapping[str, tuple[Any, ...]]] = {
    "cancelOrder": (False,),
    "stopPause": (False,),
    "stopCharging": (False,),
}
"""What a read-back shows once an action came true, where that is not `true`: no order, not paused,
not charging."""


def action_of(field: str) -> str:
    """Return the type of the instant action that a field names; empty for an order."""
    return CANCEL if field == CANCEL else field.removeprefix(ACTION) if field != ORDER else ""


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
    field = target.field
    if field == ORDER:
        if target.type_name not in _ORDER_TYPES:
            allowed = ", ".join(sorted(_ORDER_TYPES))
            problems.append(f"field {field!r} is of type {allowed}, not {target.type_name}")
    elif field == CANCEL or (field.startswith(ACTION) and len(field) > len(ACTION)):
        if target.type_name != "bool":
            problems.append(f"field {field!r} is of type bool, not {target.type_name}")
    else:
        problems.append(f"field: {ORDER}, {CANCEL} or {ACTION}TYPE, got {field!r}")
    if target.operation != "write":
        problems.append(f"operation: write, got {target.operation!r}")
    if target.encoding != "auto":
        problems.append(f"encoding: auto, the standard fixes it, got {target.encoding!r}")
    if target.wire_type != "auto":
        problems.append(f"wireType: auto, the standard fixes it, got {target.wire_type!r}")
    return problems
