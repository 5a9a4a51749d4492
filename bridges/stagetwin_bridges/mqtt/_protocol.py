"""MQTT as the core finds it: the object behind the entry points `mqtt` and `mqtts`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from stagetwin.actuation import CommandSink, CommandTarget
from stagetwin.ports import AddressDefaults, ChannelSpec, ConnectionSpec, Credential, Sink
from stagetwin_bridges._errors import ConnectionConfigError
from stagetwin_bridges.mqtt._bridge import MakeClient, MqttBridge
from stagetwin_bridges.mqtt._client import ClientSettings, made_up_id, settings_of
from stagetwin_bridges.mqtt._command_payload import command_problems
from stagetwin_bridges.mqtt._commander import MqttCommander
from stagetwin_bridges.mqtt._dialect import channel_problems
from stagetwin_bridges.mqtt._options import Endpoint, LossClass, MqttOptions, security_problems
from stagetwin_bridges.mqtt._paho import PahoClient
from stagetwin_bridges.mqtt._publisher import MqttPublisher

__all__ = ["MqttProtocol"]

_COMMAND_KEEPALIVE: Final = 3
"""A command client must know soon that its broker went away [s]."""

_CLIENTS: Final[dict[str, MakeClient]] = {"paho": PahoClient}


class MqttProtocol:
    """`Protocol` and `CommandProtocol` of MQTT 5 and 3.1.1, over TCP or TLS."""

    schemes: ClassVar[tuple[str, ...]] = ("mqtt", "mqtts")
    reads: ClassVar[bool] = False

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
        return command_problems(target)

    def defaults(self, connection: ConnectionSpec) -> AddressDefaults:
        """See Protocol."""
        options = Endpoint.parse(connection.endpoint).options
        return AddressDefaults(
            address=options.address, field=options.field, availability=options.availability
        )

    def loss_class(self, connection: ConnectionSpec) -> LossClass:
        """Return what can be said about messages that never arrive; see MqttOptions.loss_class."""
        return Endpoint.parse(connection.endpoint).options.loss_class

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
        options, settings = self._settle(connection, credential)
        make = _CLIENTS[options.client]
        return MqttBridge(connection, options, settings, channels, sink, make)

    def publisher(self, connection: ConnectionSpec, credential: Credential | None) -> MqttPublisher:
        """See Protocol.

        Raises:
            ConnectionConfigError: the endpoint, its security or the credential is wrong.
            RealmError: the connection leads to a plant.
            NotConnectedError: the broker does not answer, or refuses.
        """
        options, settings = self._settle(connection, credential)
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
        name = connection.command_credential or connection.credential
        options, settings = self._settle(
            msgspec.structs.replace(connection, credential=name), credential
        )
        own = dataclasses.replace(
            settings,
            client_id=made_up_id(),
            clean=True,
            qos=0,
            keepalive=min(settings.keepalive, _COMMAND_KEEPALIVE),
        )
        reply_topic = options.reply_topic(own.client_id)
        return MqttCommander(connection, own, reply_topic, targets, sink)

    @staticmethod
    def _settle(
        connection: ConnectionSpec, credential: Credential | None
    ) -> tuple[MqttOptions, ClientSettings]:
        endpoint = Endpoint.parse(connection.endpoint)
        problems = security_problems(connection, endpoint)
        if problems:
            raise ConnectionConfigError(f"{connection.prim}: {'; '.join(problems)}")
        return endpoint.options, settings_of(connection, endpoint, credential)
