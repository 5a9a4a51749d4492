"""Configuration of the service, parsed once at the process edge."""

from __future__ import annotations

import hashlib
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stagetwin._errors import ConnectionConfigError
from stagetwin.gateway import ListenConfig
from stagetwin.ports import Credential

__all__ = ["ServiceConfig", "default_socket", "default_state_dir", "load_credentials"]


_STEM_BYTES = 40
"""Of a stage's name this much stands in the names made of it: a socket's path has 107 bytes."""


class ServiceConfig(BaseModel):
    """What one service runs.

    Attributes:
        stage: root layer of the plant.
        sidecars: layers with bindings for it, strongest first.
        endpoints: by connection name, an endpoint that replaces the stage's on this host.
        tick_rate: live-layer ticks per second [Hz].
        in_process: run bridges in this process, for tests and small demos.
        socket: path of the control socket.
        state_dir: where approvals are kept.
        metrics_port: loopback port of the Prometheus listener; 0 for none.
        credentials: what credential names stand for.
        allow_commands: whether anything may be commanded; else the service is read-only.
        roles: user names by role; a role that is not named is held by nobody.
        people: policy file that says who may do what; `roles` count only without one.
        site_layer: the one file of the plant that an approved proposal may be merged into.
        ledger_anchor: file outside `state_dir` that keeps the ledger's newest hash.
        listen: where browsers, shells and programs come in; nowhere if None.
        models: whether the stage's models run, in processes of their own.
        clock: whose time the twin lives in: the machine's (`wall`), one `rate` times as fast
            (`accelerated`), or that of the samples of realm `replay`.
        rate: of the accelerated clock, seconds of the twin for a second on the wall.
        socket_group: users of this group may open the control socket; only the own user if empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Path
    sidecars: tuple[Path, ...] = ()
    endpoints: dict[str, str] = {}
    tick_rate: float = Field(default=60.0, gt=0, le=1000)
    in_process: bool = False
    socket: Path
    state_dir: Path
    metrics_port: int = Field(default=0, ge=0, le=65535)
    credentials: dict[str, Credential] = {}
    allow_commands: bool = False
    models: bool = True
    clock: Literal["wall", "accelerated", "replay"] = "wall"
    rate: float = Field(default=1.0, gt=0, le=1000)
    roles: dict[str, tuple[str, ...]] = {}
    people: Path | None = None
    site_layer: Path | None = None
    ledger_anchor: Path | None = None
    socket_group: str = ""
    listen: ListenConfig | None = None


def _stage_key(stage: Path) -> str:
    # The hash alone tells stages apart; the name is for people.
    digest = hashlib.sha256(os.fsencode(stage.resolve())).hexdigest()[:8]
    stem = os.fsencode(stage.stem)
    short = stem[:_STEM_BYTES].decode(errors="ignore") if len(stem) > _STEM_BYTES else stage.stem
    return f"{short}-{digest}"


def default_socket(stage: Path, environment: Mapping[str, str]) -> Path:
    """Return where the control socket of a stage's service lies.

    In the runtime folder that the system gives the user, which only the user may enter; else in one
    of our own under the temporary folder, made with mode 0700.
    """
    if runtime := environment.get("RUNTIME_DIRECTORY", "").split(":")[0]:
        return Path(runtime) / f"{_stage_key(stage)}.sock"
    if runtime := environment.get("XDG_RUNTIME_DIR", ""):
        return Path(runtime) / "stagetwin" / f"{_stage_key(stage)}.sock"
    base = Path(environment.get("TMPDIR", "/tmp"))  # noqa: S108 - the folder below is checked
    return base / f"stagetwin-{os.getuid()}" / f"{_stage_key(stage)}.sock"


def default_state_dir(stage: Path, environment: Mapping[str, str]) -> Path:
    """Return where a stage's service keeps what must survive it."""
    if state := environment.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(state)
    if state := environment.get("XDG_STATE_HOME", ""):
        return Path(state) / "stagetwin" / _stage_key(stage)
    return Path.home() / ".local" / "state" / "stagetwin" / _stage_key(stage)


def load_credentials(path: Path) -> dict[str, Credential]:
    """Read what credential names stand for.

    Either a TOML file with one table a name (`username`, `password`, `ca_file`, `cert_file`,
    `key_file`), or a folder with one such file a name, as systemd's LoadCredential makes it.

    Raises:
        ConnectionConfigError: it cannot be read, others than its owner can read it, or a table is
            wrong. No message repeats a value.
    """
    try:
        tables: dict[str, object] = {}
        if path.is_dir():
            tables.update((p.name, _read_toml(p)) for p in sorted(path.iterdir()) if p.is_file())
        else:
            tables.update(_read_toml(path))
    except OSError as error:
        raise ConnectionConfigError(f"cannot read credentials: {error}") from None
    credentials: dict[str, Credential] = {}
    for name, table in tables.items():
        try:
            credentials[name] = Credential.model_validate(table)
        except ValidationError as error:
            at = ", ".join(".".join(map(str, e["loc"])) or "table" for e in error.errors())
            raise ConnectionConfigError(f"{path}: credential {name!r} is wrong at {at}") from None
    return credentials


def _read_toml(path: Path) -> dict[str, object]:
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConnectionConfigError(
            f"{path} must be readable by its owner alone (chmod 600), it has mode "
            f"{stat.S_IMODE(mode):04o}"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError:
        # The parser's message would quote the line, secret included.
        raise ConnectionConfigError(f"{path} is no TOML file") from None
