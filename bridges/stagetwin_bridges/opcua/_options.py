"""An OPC UA endpoint: its URI, parsed once into a frozen model.

opc.tcp://plc.hall7:4840/UA/Server?publishing=0.1&queue=20
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stagetwin_bridges._endpoints import is_loopback, masked, query_options, said, split
from stagetwin_bridges._errors import ConnectionConfigError

__all__ = ["Endpoint", "LossClass", "OpcUaOptions", "Policy", "Trust"]

LossClass = Literal["countable", "detectable", "unaccountable"]
Policy = Literal["auto", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"]
Trust = Literal["ca_file", "any"]

_SCHEME = "opc.tcp"
_PORT = 4840


class OpcUaOptions(BaseModel):
    """Options in the query of an OPC UA endpoint.

    Attributes:
        publishing: how often the server is asked to send what has changed [s].
        sampling: how often the server is asked to look at each value [s]; 0 is as often as it can,
            -1 as often as it publishes.
        queue: how many changes of one value the server is asked to keep until it publishes.
        keepalive: publishing intervals without a change after which the server is asked to say
            that it lives.
        timeout: how long an answer is waited for [s].
        policy: security policy of an encrypted connection; `auto` takes the strongest offered.
        trust: which server certificates are accepted: those that the credential's `ca_file`
            vouches for, or any, which is open to whoever stands in between.
        address, field: templates for bindings that have none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    publishing: Annotated[float, Field(ge=0.01, le=60, allow_inf_nan=False)] = 0.1
    sampling: Annotated[float, Field(ge=-1, le=60, allow_inf_nan=False)] = -1.0
    queue: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    keepalive: Annotated[int, Field(ge=1, le=1000)] = 10
    timeout: Annotated[float, Field(ge=0.5, le=60, allow_inf_nan=False)] = 4.0
    policy: Policy = "auto"
    trust: Trust = "ca_file"
    address: str = ""
    field: str = ""


class Endpoint(BaseModel):
    """Where a server listens.

    Attributes:
        host: name or address.
        port: TCP port.
        path: what the server calls this endpoint; empty for none.
        options: the query.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)]
    path: str
    options: OpcUaOptions

    @classmethod
    def parse(cls, uri: str) -> Endpoint:
        """Parse an endpoint URI.

        Raises:
            ConnectionConfigError: names what is wrong and what is allowed.
        """
        parts = split(uri, (_SCHEME,), _SCHEME)
        try:
            return cls(
                host=parts.host,
                port=_PORT if parts.port is None else parts.port,
                path=parts.path,
                options=OpcUaOptions.model_validate(query_options(parts.query)),
            )
        except ValidationError as error:
            shown = masked(uri, OpcUaOptions.model_fields)
            raise ConnectionConfigError(
                f"endpoint {shown!r}: {said(error, OpcUaOptions)}"
            ) from None

    @property
    def url(self) -> str:
        """The URL as the server knows it, without our options."""
        return f"{_SCHEME}://{self.where}{self.path}"

    @property
    def where(self) -> str:
        """Host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether nothing leaves this host."""
        return is_loopback(self.host)
