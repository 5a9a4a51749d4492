"""A device that hosts an OPC UA server: a node for each signal, and nodes that obey."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hmac
import logging
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from asyncua import ua
from asyncua.crypto.permission_rules import SimpleRoleRuleset, User, UserRole
from asyncua.server.address_space import AttributeService
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.attribute_ids import AttributeIds

from stagetwin.bindings import CommandBinding
from stagetwin_bridges._errors import BridgeError, ConnectionConfigError
from stagetwin_bridges.devices._config import ServerOptions
from stagetwin_bridges.devices._controller import Controller, Order
from stagetwin_bridges.devices._log import Answer, Fault
from stagetwin_bridges.devices._nodes import add_nodes, node_id, status_of, variant_for

__all__ = ["OpcUaTransport"]

_log = logging.getLogger(__name__)

_CODES: Final[dict[Fault, str]] = {
    "": "BadInvalidState",
    "type": "BadTypeMismatch",
    "range": "BadOutOfRange",
    "state": "BadInvalidState",
    "expired": "BadTimeout",
}
_SECURE: Final = [
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
]
_ADMIN: Final = User(role=UserRole.Admin)
_READERS_MAY_NOT: Final = ("WriteRequest", "CallRequest")

Obey = Callable[[CommandBinding, Any], Awaitable[ua.StatusCode]]


class OpcUaTransport:
    """`Transport` of a controller that is an OPC UA server of its own, on the loopback interface.

    Args:
        controller: whose machines it serves.
        options: who may come in, and how.

    Raises:
        ConnectionConfigError: the endpoint is none that this host can offer.
    """

    protocol: ClassVar[str] = "opc.tcp"

    def __init__(self, controller: Controller, options: ServerOptions) -> None:
        self._controller = controller
        self._options = options
        self._url = _url_of(controller.connection.endpoint)
        self._server: Server | None = None
        self._nodes: list[tuple[int, ua.NodeId]] = []
        self._setpoints: dict[int, ua.NodeId] = {}

    @property
    def online(self) -> bool:
        """See Transport."""
        return self._server is not None

    async def start(self) -> None:
        """See Transport."""
        options = self._options
        users = _Users(options) if options.users else None
        server = Server(user_manager=users)
        await server.init()
        server.set_endpoint(self._url)
        server.set_server_name(f"stagetwin {self._controller.connection.name}")
        await server.set_application_uri(options.application_uri)
        policies, rules = [ua.SecurityPolicyType.NoSecurity], _Rules()
        if options.cert_file:
            await _load_identity(server, options)
            policies = _SECURE
        server.set_security_policy(policies, permission_ruleset=rules)
        token: type = ua.UserNameIdentityToken if options.users else ua.AnonymousIdentityToken
        server.set_identity_tokens([token])
        table = self._controller.table
        made = await add_nodes(server, list(table.telemetry.values()), table.commands, self._obey)
        self._nodes = made.telemetry
        server.iserver.attribute_service = _ObeyingAttributes(
            server.iserver.aspace, made.commands, self._obey
        )
        await self._write(server, self._controller.values())
        try:
            await server.start()
        except OSError as error:
            raise BridgeError(f"cannot listen at {self._url}: {error}") from None
        self._server = server

    async def publish(self, values: Sequence[Any], *, seldom: bool) -> None:
        """See Transport. Every value gets its source time; subscriptions pick what changed."""
        if self._server is not None:
            await self._write(self._server, values)

    async def stop(self) -> None:
        """See Transport."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await server.stop()

    async def _write(self, server: Server, values: Sequence[Any]) -> None:
        now = datetime.datetime.now(datetime.UTC)
        for row, node in self._nodes:
            value = values[row]
            if value is None:
                continue
            variant = variant_for(self._controller.bindings[row], value)
            data: Any = ua.DataValue(variant, SourceTimestamp=now)  # type: ignore[arg-type]
            await server.write_attribute_value(node, data)

    async def _obey(self, command: CommandBinding, value: Any) -> ua.StatusCode:
        answer = await self._controller.obey(Order(command=command, value=value))
        if answer.ok and self._server is not None:
            await self._write(self._server, self._controller.values())
        if answer.silent:
            await self._controller.silence(command.asset)
        return _status(answer)


async def _load_identity(server: Server, options: ServerOptions) -> None:
    try:
        await server.load_certificate(Path(options.cert_file), "pem")
        await server.load_private_key(Path(options.key_file), format="pem")
    except (OSError, ValueError) as error:
        raise ConnectionConfigError(f"certificate or key cannot be used: {error}") from None


def _status(answer: Answer) -> ua.StatusCode:
    if answer.ok:
        return ua.StatusCode()
    _log.info("refused: %s", answer.cause)
    return status_of(_CODES[answer.fault])


def _url_of(endpoint: str) -> str:
    """Return what a server binds: the endpoint without its options."""
    parts = urllib.parse.urlsplit(endpoint)
    if parts.scheme != "opc.tcp" or parts.hostname not in ("127.0.0.1", "localhost"):
        raise ConnectionConfigError(
            f"endpoint {endpoint!r}: a simulated server is hosted at opc.tcp://127.0.0.1:<port>"
        )
    if not parts.port:
        raise ConnectionConfigError(f"endpoint {endpoint!r}: expected a port")
    return f"opc.tcp://127.0.0.1:{parts.port}{parts.path}"


class _ObeyingAttributes(AttributeService):
    """The attribute service with commands: what is written there is obeyed or refused.

    asyncua's own callbacks come before a write and cannot refuse it, or after it; this is where
    the status code of each written node is made.
    """

    def __init__(
        self,
        aspace: Any,
        commands: dict[ua.NodeId, tuple[CommandBinding, ua.VariantType]],
        obey: Obey,
    ) -> None:
        super().__init__(aspace)
        self._commands, self._obey = commands, obey

    async def write(self, params: ua.WriteParameters, user: User = _ADMIN) -> list[ua.StatusCode]:
        """Write node by node, in order; only the server itself writes without being judged."""
        if user.role is UserRole.Admin:
            return await super().write(params, user)
        return [await self._one(item, user) for item in params.NodesToWrite]

    async def _one(self, item: ua.WriteValue, user: User) -> ua.StatusCode:
        known = self._commands.get(item.NodeId)
        one = ua.WriteParameters(NodesToWrite=[item])
        if known is None or item.AttributeId != AttributeIds.Value:
            return (await super().write(one, user))[0]
        command, variant_type = known
        variant = item.Value.Value if item.Value is not None else None
        if variant is None or variant.VariantType != variant_type:
            return status_of("BadTypeMismatch")
        if item.IndexRange:
            return status_of("BadWriteNotSupported")
        status = await self._obey(command, variant.Value)
        if status.is_good():
            return (await super().write(one, user))[0]
        return status


class _Users(UserManager):
    """Users with passwords; who may only read has a role that the rules know."""

    def __init__(self, options: ServerOptions) -> None:
        self._users = {user.username: user for user in options.users}

    def get_user(
        self,
        iserver: Any,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        known = self._users.get(username or "")
        if known is None:
            return None
        right = known.password.get_secret_value().encode()
        if not hmac.compare_digest(right, (password or "").encode()):
            return None
        role = UserRole.User if known.commands else UserRole.Anonymous
        return User(role=role, name=known.username)


class _Rules(SimpleRoleRuleset):
    """Readers may do what users may, except to write and to call."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        granted = self._permission_dict
        denied = {node_id(f"{name}_Encoding_DefaultBinary") for name in _READERS_MAY_NOT}
        granted[UserRole.Anonymous] = granted[UserRole.User] - denied
