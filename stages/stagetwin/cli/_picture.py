"""`stagetwin picture`: a still of a stage, without a GPU."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pxr import Usd
from rich.text import Text

from stagetwin._errors import PictureError
from stagetwin.cli._app import (
    SidecarOption,
    SocketOption,
    StageArgument,
    app,
    console,
    errors_as_exit,
    socket_of,
)
from stagetwin.cli._cells import plain_text
from stagetwin.opening import open_stage
from stagetwin.pictures import SIDES, PictureRequest, picture
from stagetwin.service import ControlClient

__all__ = ["draw_picture"]


@app.command(name="picture")
@errors_as_exit
def draw_picture(
    stage: StageArgument,
    camera: Annotated[
        str,
        typer.Option(
            help=f"Path of a camera, or {', '.join(SIDES)}; the first camera by default.",
            show_default=False,
        ),
    ] = "",
    values: Annotated[
        bool, typer.Option("--values", help="Write the values of what is in sight beside it.")
    ] = False,
    select: Annotated[
        list[str],
        typer.Option(help="Outline this prim; a look from a side shows it whole. Repeatable."),
    ] = [],
    size: Annotated[
        str,
        typer.Option(
            help="Width and height in pixels; the camera's own shape by default.", metavar="WxH"
        ),
    ] = "",
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.", dir_okay=False)] = Path(
        "picture.png"
    ),
    time: Annotated[
        float | None, typer.Option(help="Time code; the first frame by default.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="As a running service has it now: poses and values.")
    ] = False,
    labels: Annotated[int, typer.Option(help="Labels at most.", min=1, max=60)] = 16,
    transparent: Annotated[
        bool, typer.Option("--transparent", help="No sky: the background's alpha is 0.")
    ] = False,
    grid: Annotated[bool, typer.Option("--grid", help="Draw lines on the floor.")] = False,
    sidecar: SidecarOption = [],
    socket: SocketOption = None,
    browser: Annotated[
        Path | None, typer.Option(help="Chromium; the one on the PATH by default.")
    ] = None,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Where the host gives Chromium's sandbox no room.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="How many seconds it may take.")] = 120.0,
) -> None:
    """Draw a still of a stage as PNG: by the viewer itself, in headless Chromium, without a GPU."""
    request = PictureRequest(
        camera=camera,
        size=_size(size),
        theme=theme,
        time=time,
        select=tuple(select),
        values=values,
        most_labels=labels,
        transparent=transparent,
        grid=grid,
        timeout=timeout,
        browser=browser,
        sandbox=False if no_sandbox else None,
        title=stage.stem,
    )
    if out.suffix.lower() != ".png":
        raise PictureError(f"a picture is a .png, got {out.name!r}")
    with _stage(stage, sidecar, socket, live=live) as opened:
        png = picture(opened, request)
    try:
        out.write_bytes(png)
    except OSError as error:
        raise PictureError(f"cannot write {out}: {error.strerror}") from None
    console.print(Text(f"{plain_text(out)}: {len(png) / 1e3:,.0f} kB"), soft_wrap=True)


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not WIDTHxHEIGHT", param_hint="--size")
    return int(found[1]), int(found[2])


@contextmanager
def _stage(
    stage: Path, sidecar: list[Path], socket: Path | None, *, live: bool
) -> Iterator[Usd.Stage]:
    """Open the stage, or what a running service makes of it at this moment."""
    if not live:
        yield open_stage(stage, sidecar)
        return
    with tempfile.TemporaryDirectory(prefix="stagetwin-live-") as folder:
        snapshot = Path(folder, f"{stage.stem}.usdc")
        with ControlClient(socket_of(stage, socket), timeout=300) as service:
            service.ask(op="snapshot", path=str(snapshot))
        yield open_stage(snapshot)
