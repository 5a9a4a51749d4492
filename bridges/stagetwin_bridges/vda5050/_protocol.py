"""VDA 5050 as the core finds it: the object behind `vda5050+mqtt` and `vda5050+mqtts`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from stagetwin.actuation import CommandSink, CommandTarget
from stagetwin.ports import AddressDefaults, ChannelSpec, ConnectionSpec, Credential, Sink
from stagetwin_bridges.mqtt import MqttBridge
from stagetwin_bridges.mqtt._client import made_up_id
from stagetwin_bridges.mqtt._paho import PahoClient
from stagetwin_bridges.mqtt._settling import BrokerProtocol
from stagetwin_bridges.vda5050.control import Blind, FleetCommander, is_order, target_problems
from stagetwin_bridges.vda5050.messages import Codec
from stagetwin_bridges.vda5050.telemetry import (
    FleetDialect,
    FleetEndpoint,
    FleetPublisher,
    channel_problems,
)

__all__ = ["Vda5050Protocol"]


class Vda5050Protocol(BrokerProtocol[FleetEndpoint]):
    """`Protocol` and `CommandProtocol` of VDA 5050 2.1 and 3.0 over MQTT.

    Up: vehicles' states on prims. Down: goals become orders, which are renewed while vehicles
    drive, and repeated until a state confirms them, as the standard asks.
    """

    schemes: ClassVar[tuple[str, ...]] = ("vda5050+mqtt", "vda5050+mqtts")
    encrypted: ClassVar[str] = "vda5050+mqtts"
    renews: ClassVar[bool] = True
    repeats: ClassVar[bool] = True
    parameters: ClassVar[bool] = True

    def _parse(self, uri: str) -> FleetEndpoint:
        return FleetEndpoint.parse(uri)

    def check_channel(self, channel: ChannelSpec) -> list[str]:
        """See Protocol."""
        return channel_problems(channel)

    def check_command(self, target: CommandTarget) -> list[str]:
        """See CommandProtocol."""
        return target_problems(target)

    def takes_place(self, target: CommandTarget) -> bool:
        """See CommandProtocol: the goal of an order is a place of the map."""
        return is_order(target.field)

    def defaults(self, connection: ConnectionSpec) -> AddressDefaults:
        """See Protocol. A vehicle's availability needs no template: its standard has a topic."""
        options = self._parse(connection.endpoint).options
        return AddressDefaults(address=options.address, field=options.field)

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
        dialect = FleetDialect(endpoint.interface, Codec(options.version), options.sample)
        return MqttBridge(
            connection,
            endpoint.broker.options,
            settings,
            channels,
            sink,
            PahoClient,
            dialect=dialect,
        )

    def publisher(
        self, connection: ConnectionSpec, credential: Credential | None
    ) -> FleetPublisher:
        """See Protocol.

        Raises:
            ConnectionConfigError: the endpoint, its security or the credential is wrong.
            RealmError: the connection leads to a plant.
            NotConnectedError: the broker does not answer, or refuses.
        """
        endpoint, settings = self._settle(connection, credential)
        # The connection's id is its bridge's: a broker ends one of two clients that share it.
        own = dataclasses.replace(settings, client_id=made_up_id())
        return FleetPublisher(connection, endpoint, own, PahoClient)

    def commander(
        self,
        connection: ConnectionSpec,
        targets: Sequence[CommandTarget],
        sink: CommandSink,
        credential: Credential | None,
    ) -> FleetCommander:
        """See CommandProtocol. It has a client id and a session of its own.

        Raises:
            ConnectionConfigError: the endpoint, its security, the credential or the map is wrong.
        """
        endpoint, own = self._settle_commands(connection, credential)
        options = endpoint.options
        return FleetCommander(
            connection,
            own,
            endpoint.interface,
            options.version,
            targets,
            sink,
            blind=Blind(options.blind, options.blind_time),
            snap=options.snap,
            largest=options.max_payload,
            standstill=options.standstill,
        )
