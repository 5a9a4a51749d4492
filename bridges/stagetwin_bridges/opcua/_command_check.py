"""What can be said of a command's target before any server is asked."""

from __future__ import annotations

from stagetwin.actuation import CommandTarget
from stagetwin_bridges._errors import FieldError
from stagetwin_bridges.opcua._address import Address, MethodAddress
from stagetwin_bridges.opcua._command_types import COMMAND_TYPES

__all__ = ["check_command"]

_OPERATIONS = ("write", "method")


def check_command(target: CommandTarget) -> list[str]:
    """Return what is wrong with a target; empty if nothing is."""
    problems: list[str] = []
    if target.operation not in _OPERATIONS:
        problems.append(
            f"operation {target.operation!r}: OPC UA carries {' and '.join(_OPERATIONS)}"
        )
    try:
        if target.operation == "method":
            MethodAddress.parse(target.address)
        else:
            Address.parse(target.address)
    except FieldError as error:
        problems.append(str(error))
    if target.field:
        problems.append(f"field {target.field!r}: a node is written as a whole, expected none")
    if target.encoding not in ("", "auto"):
        problems.append(f"encoding {target.encoding!r}: OPC UA has its own, expected auto")
    names = [kind.name for kind in COMMAND_TYPES]
    if target.wire_type not in ("auto", *names):
        problems.append(
            f"wireType {target.wire_type!r}: expected auto or one of {', '.join(names)}"
        )
    return problems
