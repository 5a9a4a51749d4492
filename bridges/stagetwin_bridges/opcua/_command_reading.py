"""A signal's value, asked of the device itself."""

from __future__ import annotations

import asyncio

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from stagetwin import WireError
from stagetwin.actuation import Reading
from stagetwin.clock import Clock
from stagetwin.ports import ChannelSpec, ValueKind
from stagetwin.signals import Status
from stagetwin_bridges._errors import FieldError, NamespaceError
from stagetwin_bridges.opcua._address import Address
from stagetwin_bridges.opcua._command_data_types import NotCommandableError
from stagetwin_bridges.opcua._command_reader import attribute, status_name
from stagetwin_bridges.opcua._command_session import CommandSession, cause_of
from stagetwin_bridges.opcua._types import value_at, wire_value

__all__ = ["ask"]

_TIMEOUT = 4.0


async def ask(session: CommandSession, request: int, channel: ChannelSpec, clock: Clock) -> Reading:
    """Read a channel's node with maxAge 0; what goes wrong is the reading's cause.

    Args:
        session: where to ask.
        request: number of the question.
        channel: what to read.
        clock: tells when it was asked.
    """
    time = clock.wall()
    status, cause = int(Status.BAD_NO_COMMUNICATION), ""
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await _read(session, request, channel, time)
    except asyncio.CancelledError:
        cause = "stopped"
    except UaStatusCodeError as error:
        status, cause = error.code, cause_of(error)
    except (FieldError, NamespaceError) as error:
        status, cause = int(Status.BAD), str(error)
    except TimeoutError:
        cause = f"no answer within {_TIMEOUT:g} s"
    except (UaError, OSError) as error:
        cause = cause_of(error)
    return Reading(request=request, status=status, cause=cause, time=time)


async def _read(
    session: CommandSession, request: int, channel: ChannelSpec, time: float
) -> Reading:
    node = Address.parse(channel.address).resolve(session.namespaces)
    # Only text needs to know whether the number is one of an enumeration.
    wanted = [AttributeIds.Value]
    if channel.kind is ValueKind.TEXT:
        wanted.append(AttributeIds.DataType)
    result, *data_type = await session.reader.read([(node, item) for item in wanted])
    status = result.StatusCode.value if result.StatusCode is not None else 0
    found = attribute(result)
    if status >> 31:
        return Reading(request=request, status=status, cause=status_name(result), time=time)
    enumeration = None
    if data_type and isinstance(found, (int, list)):
        enumeration = await _names(session, attribute(data_type[0]))
    try:
        value = wire_value(value_at(found, channel.field), channel.kind, enumeration)
    except WireError as error:
        mismatch = int(Status.BAD_TYPE_MISMATCH)
        return Reading(request=request, status=mismatch, cause=str(error), time=time)
    return Reading(request=request, value=value, status=status, time=time)


async def _names(session: CommandSession, data_type: ua.NodeId | None) -> dict[int, str] | None:
    if data_type is None:
        return None
    try:
        return (await session.nodes.types.wire_type(data_type)).enumeration
    except NotCommandableError:
        return None
