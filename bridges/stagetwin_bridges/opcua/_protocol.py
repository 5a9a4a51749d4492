"""OPC UA as the core finds it: the object behind the entry point `opc.tcp`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from stagetwin.actuation import CommandSink, CommandTarget
from stagetwin.ports import AddressDefaults, ChannelSpec, ConnectionSpec, Credential, Sink
from stagetwin_bridges._errors import ConnectionConfigError
from stagetwin_bridges.opcua._bridge import OpcUaBridge, channel_problems
from stagetwin_bridges.opcua._command_check import check_command
from stagetwin_bridges.opcua._commander import OpcUaCommander
from stagetwin_bridges.opcua._options import Endpoint, LossClass
from stagetwin_bridges.opcua._publisher import OpcUaPublisher
from stagetwin_bridges.opcua._security import Security, security_problems

__all__ = ["OpcUaProtocol"]


class OpcUaProtocol:
    """`Protocol` and `CommandProtocol` of OPC UA over TCP, binary."""

    schemes: ClassVar[tuple[str, ...]] = ("opc.tcp",)
    reads: ClassVar[bool] = True

    def check_connection(self, connection: ConnectionSpec) -> list[str]:
        """See Protocol."""
        try:
            endpoint = Endpoint.parse(connection.endpoint)
        except ConnectionConfigError as error:
            return [str(error)]
        return security_problems(connection, endpoint)

    def check_channel(self, channel: ChannelSpec) -> list[str]:
        """See Protocol."""
        return channel_problems(channel)

    def check_command(self, target: CommandTarget) -> list[str]:
        """See CommandProtocol."""
        return check_command(target)

    def defaults(self, connection: ConnectionSpec) -> AddressDefaults:
        """See Protocol."""
        options = Endpoint.parse(connection.endpoint).options
        return AddressDefaults(address=options.address, field=options.field)

    def loss_class(self, connection: ConnectionSpec) -> LossClass:
        """Return what can be said about values that never arrive: that there was a gap.

        Notifications are numbered, a full queue on the server marks the next value, and the time
        without a connection is known. How many values changed meanwhile is not.
        """
        Endpoint.parse(connection.endpoint)
        return "detectable"

    def bridge(
        self,
        connection: ConnectionSpec,
        channels: Sequence[ChannelSpec],
        sink: Sink,
        credential: Credential | None,
    ) -> OpcUaBridge:
        """See Protocol.

        Raises:
            ConnectionConfigError: the endpoint, its security or the credential is wrong.
        """
        endpoint = self._settle(connection, credential)
        return OpcUaBridge(connection, endpoint, channels, sink, credential)

    def publisher(
        self, connection: ConnectionSpec, credential: Credential | None
    ) -> OpcUaPublisher:
        """See Protocol.

        Raises:
            ConnectionConfigError: the endpoint, its security or the credential is wrong.
            RealmError: the connection leads to a plant.
            NotConnectedError: the server does not answer, or refuses.
        """
        endpoint = self._settle(connection, credential)
        return OpcUaPublisher(connection, endpoint, credential)

    def commander(
        self,
        connection: ConnectionSpec,
        targets: Sequence[CommandTarget],
        sink: CommandSink,
        credential: Credential | None,
    ) -> OpcUaCommander:
        """See CommandProtocol. It has a session of its own.

        Raises:
            ConnectionConfigError: the endpoint, its security or the credential is wrong.
        """
        name = connection.command_credential or connection.credential
        own = msgspec.structs.replace(connection, credential=name)
        endpoint = self._settle(own, credential)
        return OpcUaCommander(own, endpoint, targets, sink, credential)

    @staticmethod
    def _settle(connection: ConnectionSpec, credential: Credential | None) -> Endpoint:
        endpoint = Endpoint.parse(connection.endpoint)
        # What is wrong with it now will be wrong at every attempt.
        Security.of(connection, endpoint, credential)
        return endpoint
