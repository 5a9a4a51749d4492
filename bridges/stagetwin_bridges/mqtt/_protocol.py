"""MQTT as the core finds it: the object behind the entry points `mqtt` and `mqtts`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Final

from stagetwin.actuation import CommandSink, CommandTarget
from stagetwin.ports import AddressDefaults, ChannelSpec, ConnectionSpec, Credential, Sink
from stagetwin_bridges.mqtt._bridge import MakeClient, MqttBridge
from stagetwin_bridges.mqtt._client import made_up_id
from stagetwin_bridges.mqtt._command_payload import command_problems
from stagetwin_bridges.mqtt._commander import MqttCommander
from stagetwin_bridges.mqtt._dialect import channel_problems
from stagetwin_bridges.mqtt._options import Endpoint
from stagetwin_bridges.mqtt._paho import PahoClient
from stagetwin_bridges.mqtt._publisher import MqttPublisher
from stagetwin_bridges.mqtt._settling import BrokerProtocol

__all__ = ["MqttProtocol"]

_CLIENTS: Final[dict[str, MakeClient]] = {"paho": PahoClient}


class MqttProtocol(BrokerProtocol[Endpoint]):
    """`Protocol` and `CommandProtocol` of MQTT 5 and 3.1.1, over TCP or TLS."""

    schemes: ClassVar[tuple[str, ...]] = ("mqtt", "mqtts")
    encrypted: ClassVar[str] = "mqtts"

    def _parse(self, uri: str) -> Endpoint:
        return Endpoint.parse(uri)

    def check_channel(self, channel: ChannelSpec) -> list[str]:
        """See Protocol."""
        return channel_problems(channel)

    def check_command(self, target: CommandTarget) -> list[str]:
        """See CommandProtocol."""
        return command_problems(target)

    def defaults(self, connection: ConnectionSpec) -> AddressDefaults:
        """See Protocol."""
        options = self._parse(connection.endpoint).options
        return AddressDefaults(
            address=options.address, field=options.field, availability=options.availability
        )

    def bridge(
        self,
        connection: ConnectionSpec,
        channels: Sequence[ChannelSpec],
        sink: Sink,
        credential: Credential | None,
    ) -> MqttBridge:
        """See Protocol.

        Raises:
            ConnectionConfigError: the endpoint, its security or the credential is wrong.
        """
        endpoint, settings = self._settle(connection, credential)
        options = endpoint.options
        make = _CLIENTS[options.client]
        return MqttBridge(connection, options, settings, channels, sink, make)

    def publisher(self, connection: ConnectionSpec, credential: Credential | None) -> MqttPublisher:
        """See Protocol.

        Raises:
            ConnectionConfigError: the endpoint, its security or the credential is wrong.
            RealmError: the connection leads to a plant.
            NotConnectedError: the broker does not answer, or refuses.
        """
        endpoint, settings = self._settle(connection, credential)
        options = endpoint.options
        # The connection's id and session are its bridge's: a broker ends one of two that share.
        own = dataclasses.replace(settings, client_id=made_up_id(), clean=True)
        return MqttPublisher(connection, options, own, _CLIENTS[options.client])

    def commander(
        self,
        connection: ConnectionSpec,
        targets: Sequence[CommandTarget],
        sink: CommandSink,
        credential: Credential | None,
    ) -> MqttCommander:
        """See CommandProtocol. It has a client id and a session of its own.

        Raises:
            ConnectionConfigError: the endpoint, its security or the credential is wrong.
        """
        endpoint, own = self._settle_commands(connection, credential)
        reply_topic = endpoint.options.reply_topic(own.client_id)
        return MqttCommander(connection, own, reply_topic, targets, sink)
