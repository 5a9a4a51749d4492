"""`stagetwin run`: the service in the foreground."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from stagetwin.cli._app import (
    EndpointOption,
    SidecarOption,
    SocketOption,
    StageArgument,
    app,
    errors_as_exit,
    parse_endpoints,
    socket_of,
)
from stagetwin.gateway import ListenConfig, parse_listen
from stagetwin.host import configure_logging
from stagetwin.service import (
    Service,
    ServiceConfig,
    default_state_dir,
    load_credentials,
)

__all__ = ["run"]


@app.command()
@errors_as_exit
def run(
    stage: StageArgument,
    sidecar: SidecarOption = [],
    endpoint: EndpointOption = [],
    credentials: Annotated[
        Path | None,
        typer.Option(
            help="TOML file, or folder of them, that says what credential names stand for; "
            "$CREDENTIALS_DIRECTORY by default.",
            show_default=False,
        ),
    ] = None,
    tick: Annotated[
        float, typer.Option(help="Live-layer ticks per second [Hz].", min=1, max=1000)
    ] = 60.0,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Run bridges in this process.")
    ] = False,
    socket: SocketOption = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where approvals and the ledger of commands are kept.", show_default=False
        ),
    ] = None,
    allow_commands: Annotated[
        bool,
        typer.Option(
            "--allow-commands", help="Let commands leave. Without it the service only reads."
        ),
    ] = False,
    models: Annotated[
        bool, typer.Option("--models/--no-models", help="Run the stage's models.")
    ] = True,
    clock: Annotated[
        Literal["wall", "accelerated", "replay"],
        typer.Option(
            help="Whose time the twin lives in: the machine's, one --rate times as fast, or that "
            "of what is replayed. Only wall has connections to a plant, and commands."
        ),
    ] = "wall",
    rate: Annotated[
        float,
        typer.Option(help="Seconds of --clock accelerated for one on the wall.", max=1000),
    ] = 1.0,
    role: Annotated[
        list[str],
        typer.Option(
            "--role",
            metavar="NAME=USER[,USER]",
            help="Who holds a role that assets ask for; a role that is not named is nobody's.",
        ),
    ] = [],
    people: Annotated[
        Path | None,
        typer.Option(
            help="Policy file that says who may do what where (`stagetwin people`); instead of "
            "--role.",
            show_default=False,
        ),
    ] = None,
    ledger_anchor: Annotated[
        Path | None,
        typer.Option(
            help="File, best on another disk, that keeps the newest hash of the command ledger.",
            show_default=False,
        ),
    ] = None,
    site_layer: Annotated[
        Path | None,
        typer.Option(
            help="Layer file of the plant that approved proposals may be merged into; without it "
            "the service writes to no file of the plant.",
            show_default=False,
        ),
    ] = None,
    socket_group: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Group whose users may open the control socket too: to watch, and to command "
            "where they hold a role.",
            show_default=False,
        ),
    ] = "",
    listen: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="Let browsers, viewers and programs in there; beyond loopback with --certificate "
            "and --people alone.",
            show_default=False,
        ),
    ] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="PEM certificate of --listen.", show_default=False)
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM key of the certificate.", show_default=False)
    ] = None,
    origin: Annotated[
        list[str],
        typer.Option(
            "--origin",
            metavar="https://HOST",
            help="Where browsers find --listen, if by another name: a host name, or a reverse "
            "proxy.",
        ),
    ] = [],
    metrics_port: Annotated[
        int, typer.Option(help="Loopback port for Prometheus; 0 for none.", min=0, max=65535)
    ] = 0,
    log_format: Annotated[str, typer.Option(help="text or json.")] = "text",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Keep a stage live until SIGTERM or Ctrl-C."""
    if log_format not in ("text", "json"):
        raise typer.BadParameter("must be text or json", param_hint="--log-format")
    if log_level not in ("debug", "info", "warning", "error"):
        raise typer.BadParameter("must be debug, info, warning or error", param_hint="--log-level")
    if people is not None and role:
        text = "with --people, roles are granted in its file"
        raise typer.BadParameter(text, param_hint="--role")
    if not rate > 0:
        raise typer.BadParameter(f"must be more than 0, got {rate:g}", param_hint="--rate")
    configure_logging(log_format, log_level)
    # Bridge processes log to the same stream in the same form.
    os.environ["STAGETWIN_LOG"], os.environ["STAGETWIN_LEVEL"] = log_format, log_level
    if credentials is None and os.environ.get("CREDENTIALS_DIRECTORY"):
        credentials = Path(os.environ["CREDENTIALS_DIRECTORY"])
    config = ServiceConfig(
        stage=stage,
        sidecars=tuple(sidecar),
        endpoints=parse_endpoints(endpoint),
        tick_rate=tick,
        in_process=in_process,
        socket=socket_of(stage, socket),
        state_dir=state_dir if state_dir is not None else default_state_dir(stage, os.environ),
        metrics_port=metrics_port,
        credentials=load_credentials(credentials) if credentials is not None else {},
        allow_commands=allow_commands,
        models=models,
        clock=clock,
        rate=rate,
        roles=_parse_roles(role),
        people=people,
        ledger_anchor=ledger_anchor,
        site_layer=site_layer,
        socket_group=socket_group,
        listen=_listen_config(listen, certificate, key, origin),
    )
    asyncio.run(Service(config, os.environ.get("NOTIFY_SOCKET", "")).run())


def _listen_config(
    listen: str, certificate: Path | None, key: Path | None, origins: list[str]
) -> ListenConfig | None:
    if not listen:
        if certificate is not None or key is not None or origins:
            text = "they are for --listen HOST:PORT, which is not given"
            raise typer.BadParameter(text, param_hint="--certificate, --key, --origin")
        return None
    host, port = parse_listen(listen)
    return ListenConfig(
        host=host, port=port, certificate=certificate, key=key, origins=tuple(origins)
    )


def _parse_roles(pairs: list[str]) -> dict[str, tuple[str, ...]]:
    roles: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, found, users = pair.partition("=")
        named = tuple(user.strip() for user in users.split(","))
        if not found or not name or not all(named):
            raise typer.BadParameter(f"{pair!r} is not NAME=USER[,USER]", param_hint="--role")
        roles[name] = (*roles.get(name, ()), *named)
    return roles
