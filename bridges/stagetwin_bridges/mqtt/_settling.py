"""What every protocol on top of an MQTT broker does with a connection before it is opened."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Final, Generic, Protocol, TypeVar

import msgspec

from stagetwin.ports import ConnectionSpec, Credential
from stagetwin_bridges._errors import ConnectionConfigError
from stagetwin_bridges.mqtt._client import ClientSettings, made_up_id, settings_of
from stagetwin_bridges.mqtt._options import Endpoint, LossClass, security_problems

__all__ = ["BrokerEndpoint", "BrokerProtocol", "settled"]

_COMMAND_KEEPALIVE: Final = 3
"""A command client must know soon that its broker went away [s]."""


class BrokerEndpoint(Protocol):
    """An endpoint that lies at an MQTT broker."""

    @property
    def broker(self) -> Endpoint:
        """The broker, as MQTT knows it."""
        ...


E = TypeVar("E", bound=BrokerEndpoint)


def settled(
    connection: ConnectionSpec, broker: Endpoint, encrypted: str, credential: Credential | None
) -> ClientSettings:
    """Return the settings for a connection that is secure enough.

    Args:
        connection: whose profile and credential's name count.
        broker: where it leads.
        encrypted: scheme to name as the remedy.
        credential: account; None where the connection names none.

    Raises:
        ConnectionConfigError: its security falls short, or the credential is wrong.
    """
    if problems := security_problems(connection, broker, encrypted):
        raise ConnectionConfigError(f"{connection.prim}: {'; '.join(problems)}")
    return settings_of(connection, broker, credential)


class BrokerProtocol(Generic[E]):
    """What every `Protocol` on top of an MQTT broker does alike; `E` is its endpoint, parsed.

    Attributes:
        encrypted: scheme of its encrypted connections.
    """

    encrypted: ClassVar[str]
    reads: ClassVar[bool] = False

    def _parse(self, uri: str) -> E:
        """Return an endpoint.

        Raises:
            ConnectionConfigError: names what is wrong and what is allowed.
        """
        raise NotImplementedError

    def check_connection(self, connection: ConnectionSpec) -> list[str]:
        """See Protocol."""
        try:
            endpoint = self._parse(connection.endpoint)
        except ConnectionConfigError as error:
            return [str(error)]
        return security_problems(connection, endpoint.broker, self.encrypted)

    def loss_class(self, connection: ConnectionSpec) -> LossClass:
        """Return what can be said about messages that never arrive; see MqttOptions.loss_class."""
        return self._parse(connection.endpoint).broker.options.loss_class

    def _settle(
        self, connection: ConnectionSpec, credential: Credential | None
    ) -> tuple[E, ClientSettings]:
        """Return the endpoint of a connection, and how to connect; see `settled`."""
        endpoint = self._parse(connection.endpoint)
        return endpoint, settled(connection, endpoint.broker, self.encrypted, credential)

    def _settle_commands(
        self, connection: ConnectionSpec, credential: Credential | None
    ) -> tuple[E, ClientSettings]:
        """Return the same for commands: a client id, a session and an account of their own."""
        name = connection.command_credential or connection.credential
        endpoint, settings = self._settle(
            msgspec.structs.replace(connection, credential=name), credential
        )
        keepalive = min(settings.keepalive, _COMMAND_KEEPALIVE)
        own = dataclasses.replace(
            settings, client_id=made_up_id(), clean=True, qos=0, keepalive=keepalive
        )
        return endpoint, own
