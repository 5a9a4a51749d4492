"""What one device process is told, once, in a file that only its user may read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from stagetwin.ports import Credential
from stagetwin_bridges._errors import BridgeError

__all__ = ["DeviceConfig", "ServerOptions", "ServerUser", "load_config"]


class ServerUser(BaseModel):
    """Somebody whom an OPC UA server lets in.

    Attributes:
        username, password: what the client presents.
        commands: whether writes and method calls are granted, beyond reading.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: Annotated[str, Field(min_length=1)]
    password: SecretStr
    commands: bool = False


class ServerOptions(BaseModel):
    """How an OPC UA server guards itself.

    Attributes:
        users: who may come in; none lets anybody in, and command.
        cert_file, key_file: certificate and private key (PEM); with them, only signed and
            encrypted channels are offered.
        application_uri: of the server; must be that of its certificate.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: tuple[ServerUser, ...] = ()
    cert_file: str = ""
    key_file: str = ""
    application_uri: str = "urn:stagetwin:device"


class DeviceConfig(BaseModel):
    """One device process: a PLC or gateway that serves machines of one connection.

    Attributes:
        stage: root layer of the plant.
        sidecars: layers with bindings for it, strongest first.
        endpoints: endpoints to use in place of the stage's, by connection name.
        connection: the connection that it serves.
        assets: prim paths; machines at and below them are served. Empty serves all.
        credential: what it presents to a broker.
        rate: telemetry messages of each signal per second [Hz].
        seed: of everything random.
        control: path of its control socket.
        log: file of its execution log.
        server: of an OPC UA device, which hosts its server itself.
        models: whether models of the stage stand in for its machines.
        faults: script of faults.
        began: when the plant began, for the times of the script [s, Unix]; 0 is when this process
            did.
        siblings: execution logs of the plant's other devices, so that models that are coupled to
            their machines know what these were told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Path
    sidecars: tuple[Path, ...] = ()
    endpoints: dict[str, str] = {}
    connection: str
    assets: tuple[str, ...] = ()
    credential: Credential | None = None
    rate: Annotated[float, Field(gt=0, le=100)] = 5.0
    seed: int = 1
    control: Path
    log: Path
    server: ServerOptions = ServerOptions()
    models: bool = True
    faults: Path | None = None
    began: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    siblings: tuple[Path, ...] = ()

    def to_json(self) -> str:
        """Return the file's text, secrets included."""
        document = self.model_dump(mode="json")
        if self.credential is not None:
            document["credential"]["password"] = self.credential.password.get_secret_value()
        for row, user in zip(document["server"]["users"], self.server.users, strict=True):
            row["password"] = user.password.get_secret_value()
        return json.dumps(document)


def load_config(path: Path) -> DeviceConfig:
    """Read a configuration.

    Raises:
        BridgeError: the file cannot be read or says something that is not allowed.
    """
    try:
        return DeviceConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BridgeError(f"cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        # Without the input: there are passwords in it.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found)
        raise BridgeError(f"{path}: {said}") from None
