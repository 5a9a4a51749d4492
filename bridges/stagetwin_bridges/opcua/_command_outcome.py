"""What a server's answer to a Write or a Call says of the command."""

from __future__ import annotations

from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from stagetwin.actuation import Fate
from stagetwin_bridges.opcua._command_plan import Request
from stagetwin_bridges.opcua._command_reader import name_of
from stagetwin_bridges.opcua._types import said

__all__ = ["outcome_of"]

Outcome = tuple[Fate, str]

# A server that passes commands on says these of a device that never answered it.
_NOBODY_KNOWS: Final = frozenset(
    {
        StatusCodes.BadTimeout,
        StatusCodes.BadRequestTimeout,
        StatusCodes.BadCommunicationError,
        StatusCodes.BadConnectionClosed,
        StatusCodes.BadWaitingForResponse,
        StatusCodes.BadUnknownResponse,
    }
)


def outcome_of(request: Request, body: Buffer) -> Outcome:
    """Return fate and cause from the body of a response.

    Raises:
        Exception: the answer cannot be read; asyncua raises what it happens to.
    """
    if _is_fault(body):
        nodeid_from_binary(body)
        header = struct_from_binary(ua.ResponseHeader, body)
        return _judged(header.ServiceResult, "the server refused the request")
    if isinstance(request, ua.WriteRequest):
        written = struct_from_binary(ua.WriteResponse, body)
        if not written.ResponseHeader.ServiceResult.is_good():
            return _judged(written.ResponseHeader.ServiceResult, "the server refused the request")
        if len(written.Results) != 1:
            return Fate.UNKNOWN, f"expected one result of the write, got {len(written.Results)}"
        return _judged(written.Results[0], "")
    called = struct_from_binary(ua.CallResponse, body)
    if not called.ResponseHeader.ServiceResult.is_good():
        return _judged(called.ResponseHeader.ServiceResult, "the server refused the request")
    if len(called.Results) != 1:
        return Fate.UNKNOWN, f"expected one result of the call, got {len(called.Results)}"
    return _called(called.Results[0])


def _is_fault(body: Buffer) -> bool:
    return bool(
        nodeid_from_binary(body.copy())
        == ua.NodeId(ua.Int32(ObjectIds.ServiceFault_Encoding_DefaultBinary))
    )


def _judged(status: ua.StatusCode, what: str) -> Outcome:
    name, code = name_of(status), status.value & 0xFFFF_0000
    said_so = f"{what}: {name}" if what else name
    if status.is_bad():
        if code in _NOBODY_KNOWS:
            return Fate.UNKNOWN, said_so
        return Fate.REFUSED, said_so
    if code == StatusCodes.GoodCompletesAsynchronously:
        return Fate.ACKNOWLEDGED, f"{name}: accepted, and not yet done"
    return Fate.ACKNOWLEDGED, "" if code == StatusCodes.Good else said_so


def _called(result: ua.CallMethodResult) -> Outcome:
    fate, cause = _judged(result.StatusCode, "")
    flaws = [
        f"argument {number}: {name_of(status)}"
        for number, status in enumerate(result.InputArgumentResults or (), start=1)
        if status.is_bad()
    ]
    if flaws:
        names = ", ".join(flaws)
        if fate is Fate.ACKNOWLEDGED:
            return Fate.REFUSED, names
        return fate, f"{cause} ({names})"
    if fate is Fate.ACKNOWLEDGED and result.OutputArguments:
        returned = f"returned {_shown(result.OutputArguments)}"
        return fate, f"{cause}; {returned}" if cause else returned
    return fate, cause


def _shown(arguments: list[Any]) -> str:
    texts = [said(argument.Value) for argument in arguments]
    return ", ".join(texts)
