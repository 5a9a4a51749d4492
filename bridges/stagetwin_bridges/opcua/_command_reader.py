"""Questions to a server, each answered by the device and within a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import get_name_and_doc
from asyncua.ua.uaerrors import UaError

__all__ = ["Reader", "attribute", "name_of", "status_name"]


def name_of(status: ua.StatusCode) -> str:
    """Return the name of a status, without the details in its lower half."""
    name, meaning = get_name_and_doc(status.value & 0xFFFF_0000)
    return f"{name} 0x{status.value:08X}" if meaning.startswith("Unknown") else name


def status_name(value: ua.DataValue) -> str:
    """Return the name of a value's status; one that says nothing is good."""
    return name_of(value.StatusCode) if value.StatusCode is not None else "Good"


def attribute(result: ua.DataValue) -> Any:
    """Return what an attribute holds, or None where the server would not say."""
    if result.StatusCode is not None and result.StatusCode.is_bad():
        return None
    return result.Value.Value if result.Value is not None else None


class Reader:
    """Asks one session."""

    def __init__(self, client: Client, timeout: float) -> None:
        """Ask through a connected client, waiting at most `timeout` [s] for each answer."""
        self._session = client.uaclient.session
        self._timeout = timeout

    async def read(self, nodes: Sequence[tuple[ua.NodeId, AttributeIds]]) -> list[ua.DataValue]:
        """Read attributes from the device itself, in one request.

        Raises:
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        parameters = ua.ReadParameters()
        parameters.MaxAge = ua.Double(0)
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        for node, attribute in nodes:
            wanted = ua.ReadValueId()
            wanted.NodeId = node
            wanted.AttributeId = attribute
            parameters.NodesToRead.append(wanted)
        results = await asyncio.wait_for(self._session.read(parameters), self._timeout)
        if len(results) != len(nodes):
            raise UaError(f"expected {len(nodes)} results of a Read, got {len(results)}")
        return results

    async def namespaces(self) -> list[str]:
        """Return the server's NamespaceArray.

        Raises:
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        array = ua.NodeId(ua.Int32(ObjectIds.Server_NamespaceArray))
        (result,) = await self.read([(array, AttributeIds.Value)])
        found = attribute(result)
        if not isinstance(found, list):
            raise UaError(f"the server's NamespaceArray cannot be read: {status_name(result)}")
        return [str(uri) for uri in found]

    async def supertype(self, data_type: ua.NodeId) -> ua.NodeId | None:
        """Return the type of which a data type is a subtype, or None.

        Raises:
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        wanted = ua.BrowseDescription()
        wanted.NodeId = data_type
        wanted.BrowseDirection = ua.BrowseDirection.Inverse
        wanted.ReferenceTypeId = ua.NodeId(ua.Int32(ObjectIds.HasSubtype))
        wanted.IncludeSubtypes = False
        wanted.ResultMask = ua.UInt32(ua.BrowseResultMask.All)
        parameters = ua.BrowseParameters()
        parameters.RequestedMaxReferencesPerNode = ua.UInt32(1)
        parameters.NodesToBrowse = [wanted]
        (result,) = await asyncio.wait_for(self._session.browse(parameters), self._timeout)
        above = result.References[0].NodeId if result.References else None
        return ua.NodeId(above.Identifier, above.NamespaceIndex) if above is not None else None

    async def property_of(self, node: ua.NodeId, name: str) -> list[Any]:
        """Return the items of an array that is a property of a node; none if there is none.

        Raises:
            UaError, OSError, TimeoutError: the server refused, or did not answer.
        """
        step: Any = ua.RelativePathElement()
        step.ReferenceTypeId = ua.NodeId(ua.Int32(ObjectIds.HasProperty))
        step.IsInverse = False
        step.IncludeSubtypes = False
        step.TargetName = ua.QualifiedName(name, 0)
        path = ua.BrowsePath()
        path.StartingNode = node
        path.RelativePath.Elements = [step]
        (result,) = await asyncio.wait_for(
            self._session.translate_browsepaths_to_nodeids([path]), self._timeout
        )
        if result.StatusCode.is_bad() or not result.Targets:
            return []
        target = result.Targets[0].TargetId
        found = ua.NodeId(target.Identifier, target.NamespaceIndex)
        (value,) = await self.read([(found, AttributeIds.Value)])
        items = attribute(value)
        return items if isinstance(items, list) else []
