"""Foreign maps and recorded poses into a layer."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pxr import Sdf, Tf
from rich.console import Console
from rich.text import Text

from stagetwin._errors import MapError, usd_message
from stagetwin.cli._cells import counted, plain_text
from stagetwin.maps import (
    Imported,
    RoadMap,
    author_map,
    author_poses,
    import_grid,
    import_lif,
    import_open_rmf,
    import_poses,
)

__all__ = ["FORMATS", "MapImport", "run_import"]

FORMATS = ("lif", "open-rmf", "movingai", "poses")

_BY_NAME = {
    ".json": "lif",
    ".lif": "lif",
    ".yaml": "open-rmf",
    ".yml": "open-rmf",
    ".map": "movingai",
    ".mcap": "poses",
}
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class MapImport:
    """What was asked for; see `stagetwin maps import --help`."""

    file: Path
    out: Path
    format: str
    path: str
    origin: tuple[float, float, float]
    cell: float
    scale: float | None
    level: str
    graph: int | None
    frame: str


def run_import(asked: MapImport, said: Console, aside: Console) -> None:
    """Read, write, and say what came of it.

    Raises:
        MapError: the file cannot be read, or the layer not be written.
    """
    form = asked.format or _BY_NAME.get(asked.file.suffix.lower(), "")
    if form not in FORMATS:
        what = f"no format {form!r}" if form else f"the name of {asked.file} tells no format"
        raise MapError(f"{what}; --format is one of {', '.join(FORMATS)}")
    if form == "poses":
        _import_poses(asked, said, aside)
        return
    found = _read(asked, form)
    maps = [each for each in found.maps if form != "lif" or asked.level in ("", each.id)]
    if not maps:
        names = ", ".join(repr(each.id) for each in found.maps) or "none"
        raise MapError(f"{asked.file}: there is no layout {asked.level!r}; layouts: {names}")
    layer = _layer(asked.out)
    _tell(found.notes, aside)
    for each in maps:
        written = author_map(layer, _path(asked.path, each, len(maps)), each)
        faults = written.faults()
        for fault in faults[:_SHOWN]:
            style = "bold red" if fault.severity == "error" else "yellow"
            aside.print(
                Text.assemble(
                    (fault.severity, style), plain_text(f" {fault.prim}: {fault.message}")
                )
            )
        if len(faults) > _SHOWN:
            aside.print(f"and {len(faults) - _SHOWN} more: stagetwin maps check", style="dim")
        said.print(
            f"map {each.id!r} at {written.prim} of {asked.out}: "
            f"{counted(len(each.nodes), 'node')}, {counted(len(each.lanes), 'lane')}, "
            f"{counted(len(each.zones), 'zone')}, {counted(len(each.stations), 'station')}, "
            f"{counted(len(each.obstacles), 'obstacle')}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    _save(layer, asked.out)


def _read(asked: MapImport, form: str) -> Imported:
    if form == "lif":
        return import_lif(asked.file, origin=asked.origin)
    if form == "open-rmf":
        return import_open_rmf(
            asked.file,
            origin=asked.origin,
            level=asked.level,
            graph=asked.graph,
            scale=asked.scale,
        )
    return Imported(maps=(import_grid(asked.file, asked.cell, origin=asked.origin)[0],))


def _path(path: str, road_map: RoadMap, count: int) -> str:
    return path if count == 1 else f"{path}/{Tf.MakeValidIdentifier(road_map.id)}"


def _import_poses(asked: MapImport, said: Console, aside: Console) -> None:
    poses = import_poses(asked.file, origin=asked.origin)
    _tell(poses.notes, aside)
    if asked.out.suffix.lower() == ".csv":
        files = poses.write_csv(asked.out)
        where = ", ".join(map(str, files))
    else:
        layer = _layer(asked.out)
        path = "/Poses" if asked.path == "/Map" else asked.path
        author_poses(layer, poses, path, map_path=asked.frame)
        _save(layer, asked.out)
        where = f"{path} of {asked.out}"
    begin, end = poses.span()
    count = sum(len(track.times) for track in poses.tracks.values())
    said.print(
        f"{count} poses of {len(poses.tracks)} vehicles over {end - begin:.1f} s: {where}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _tell(notes: tuple[str, ...], aside: Console) -> None:
    for note in notes[:_SHOWN]:
        aside.print(Text.assemble(("note:", "yellow"), plain_text(f" {note}")), soft_wrap=True)
    if len(notes) > _SHOWN:
        aside.print(f"and {len(notes) - _SHOWN} notes more", style="dim")


def _layer(out: Path) -> Sdf.Layer:
    """Return a layer in memory with what the file holds, if it is there."""
    if out.suffix.lower() not in (".usda", ".usdc", ".usd"):
        raise MapError(f"--out is a layer (.usda, .usdc, .usd), got {out}")
    if not out.exists():
        layer = Sdf.Layer.CreateAnonymous(out.name)
        layer.pseudoRoot.SetInfo("upAxis", "Z")
        layer.pseudoRoot.SetInfo("metersPerUnit", 1.0)
        return layer
    try:
        return Sdf.Layer.OpenAsAnonymous(str(out))
    except Tf.ErrorException as error:
        raise MapError(f"{out}: cannot be read: {usd_message(error)}") from None


def _save(layer: Sdf.Layer, out: Path) -> None:
    if not layer.defaultPrim and layer.rootPrims:
        layer.defaultPrim = layer.rootPrims[0].name
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            draft = Path(folder) / out.name
            if not layer.Export(str(draft)):
                raise MapError(f"{out}: cannot be written")
            os.replace(draft, out)
    except (OSError, Tf.ErrorException) as error:
        raise MapError(f"{out}: cannot be written: {error}") from None
