"""`stagetwin maps`: maps looked at, checked and routed over, and foreign ones taken in."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stagetwin._errors import MapError
from stagetwin.cli._app import (
    JsonOption,
    SidecarOption,
    StageArgument,
    app,
    console,
    errors_as_exit,
    print_json,
)
from stagetwin.cli._cells import counted, plain_text
from stagetwin.cli._map_import import FORMATS, MapImport, run_import
from stagetwin.cli._map_picture import map_picture
from stagetwin.maps import MapFault, MapReading, RoadMap, read_maps
from stagetwin.opening import open_stage

__all__ = ["check", "import_", "route", "show"]

maps = typer.Typer(
    name="maps",
    help="Maps of floors: nodes, lanes, zones, stations and obstacles.",
    no_args_is_help=True,
)
app.add_typer(maps)

IdOption = Annotated[
    str, typer.Option("--map", metavar="ID", help="Of the map, where the stage has several.")
]


@maps.command()
@errors_as_exit
def show(
    stage: StageArgument,
    map: IdOption = "",
    sidecar: SidecarOption = [],
    as_json: JsonOption = False,
) -> None:
    """Draw the maps of a stage, and count what is in them."""
    reading = _read(stage, sidecar)
    found = _chosen(reading, map)
    if as_json:
        print_json([json.loads(road_map.encode()) for road_map in found])
        return
    for i, road_map in enumerate(found):
        if i:
            console.print()
        _show(road_map, [fault for fault in reading.problems if fault.map == road_map.id])


@maps.command()
@errors_as_exit
def route(
    stage: StageArgument,
    start: Annotated[str, typer.Argument(metavar="FROM", help="Id of a node or station.")],
    goal: Annotated[str, typer.Argument(metavar="TO", help="Likewise.")],
    map: IdOption = "",
    speed: Annotated[float, typer.Option("--speed", help="Of the vehicle \\[m/s].")] = 1.5,
    vehicle_type: Annotated[
        str, typer.Option("--type", metavar="NAME", help="Type of the vehicle.")
    ] = "",
    closed: Annotated[
        list[str], typer.Option("--close", metavar="ID", help="Lane or node that is not used.")
    ] = [],
    sidecar: SidecarOption = [],
    as_json: JsonOption = False,
) -> None:
    """Find the quickest way from one place to another. Exit status 2: there is none."""
    (road_map,) = _chosen(_read(stage, sidecar), map, one=True)
    unknown = set(closed) - road_map.lanes.keys() - road_map.nodes.keys()
    if unknown:
        raise MapError(f"--close: map {road_map.id!r} has no lane or node {sorted(unknown)[0]!r}")
    found = road_map.route(start, goal, speed=speed, vehicle_type=vehicle_type, closed=closed)
    if as_json:
        print_json(
            {
                "nodes": found.nodes,
                "lanes": found.lanes,
                "forward": found.forward,
                "length": found.length,
                "duration": found.duration,
                "points": found.points,
            }
        )
        return
    console.print(map_picture(road_map, console.width, found.points, (start, goal)))
    table = _table("lane", "to", ("length [m]", "right"), ("limit [m/s]", "right"))
    for lane, node, forward in zip(found.lanes, found.nodes[1:], found.forward, strict=True):
        limit = road_map.lanes[lane].maximum_speed
        table.add_row(
            Text(plain_text(lane) + ("" if forward else " (end to start)")),
            Text(plain_text(node)),
            f"{road_map.lane_length(lane):.2f}",
            "" if limit is None else f"{limit:g}",
        )
    console.print(table)
    lanes = counted(len(found.lanes), "lane")
    verdict = f"{found.length:.1f} m over {lanes} in {found.duration:.0f} s"
    console.print(Text.assemble((plain_text(verdict), "bold green")))


@maps.command()
@errors_as_exit
def check(stage: StageArgument, sidecar: SidecarOption = [], as_json: JsonOption = False) -> None:
    """Report what is wrong with the maps of a stage.

    Exit status: 0 nothing wrong, 1 something is wrong, 2 the stage cannot be opened.
    """
    reading = _read(stage, sidecar)
    errors = sum(fault.severity == "error" for fault in reading.problems)
    if as_json:
        print_json(
            {
                "maps": sorted(reading.maps),
                "errors": errors,
                "problems": [_as_json(fault) for fault in reading.problems],
            }
        )
    else:
        _print_faults(reading.problems)
        warnings = len(reading.problems) - errors
        console.print(
            Text.assemble(
                (counted(len(reading.maps), "map"), "bold"),
                ": ",
                (counted(errors, "error"), "bold red" if errors else "green"),
                ", ",
                (counted(warnings, "warning"), "yellow" if warnings else "green"),
            )
        )
    if errors:
        raise typer.Exit(1)


@maps.command(name="import")
@errors_as_exit
def import_(
    file: Annotated[Path, typer.Argument(help="What is read.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="LAYER", help="Layer that is written.", show_default=False),
    ],
    format: Annotated[
        str,
        typer.Option("--format", help=f"{', '.join(FORMATS)}; by default the file's name tells."),
    ] = "",
    path: Annotated[str, typer.Option("--path", help="Prim that is written.")] = "/Map",
    origin: Annotated[
        str,
        typer.Option("--origin", metavar="X,Y,YAW", help="Of the file in the map \\[m, m, rad]."),
    ] = "0,0,0",
    cell: Annotated[float, typer.Option("--cell", help="Edge of a grid's cell \\[m].")] = 1.0,
    scale: Annotated[
        float | None,
        typer.Option("--scale", help="Metres in a pixel (Open-RMF).", show_default=False),
    ] = None,
    level: Annotated[
        str, typer.Option("--level", help="Only this level (Open-RMF) or layout (LIF).")
    ] = "",
    graph: Annotated[
        int | None, typer.Option("--graph", help="Only this graph (Open-RMF).", show_default=False)
    ] = None,
    map_prim: Annotated[
        str, typer.Option("--frame", metavar="PRIM", help="Map's prim that poses are in (MCAP).")
    ] = "",
) -> None:
    """Take a foreign map, or recorded poses, into a layer.

    LIF and Open-RMF become prims of a map, a MovingAI grid a map with one zone, and an MCAP
    recording time samples (or with `--out NAME.csv` a recording for `stagetwin replay`). What the
    layer holds elsewhere stays.
    """
    asked = MapImport(
        file=file,
        out=out,
        format=format,
        path=path,
        origin=_origin(origin),
        cell=cell,
        scale=scale,
        level=level,
        graph=graph,
        frame=map_prim,
    )
    run_import(asked, console, Console(stderr=True))


def _origin(text: str) -> tuple[float, float, float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 2:
        values.append(0.0)
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise typer.BadParameter(f"{text!r} is not X,Y or X,Y,YAW", param_hint="--origin")
    return values[0], values[1], values[2]


def _read(stage: Path, sidecars: list[Path]) -> MapReading:
    return read_maps(open_stage(stage, sidecars))


def _chosen(reading: MapReading, id_: str, *, one: bool = False) -> list[RoadMap]:
    known = ", ".join(map(repr, sorted(reading.maps))) or "none"
    if id_ and id_ not in reading.maps:
        raise MapError(f"there is no map {id_!r} on the stage; maps: {known}")
    if not reading.maps:
        why = "; ".join(str(fault) for fault in reading.problems[:3])
        raise MapError("there is no map on the stage" + (f" ({why})" if why else ""))
    found = [reading.maps[id_]] if id_ else [reading.maps[name] for name in sorted(reading.maps)]
    if one and len(found) > 1:
        raise MapError(f"name one of the stage's maps by --map: {known}")
    return found


def _show(road_map: RoadMap, faults: list[MapFault]) -> None:
    head = Text.assemble((plain_text(road_map.id), "bold"), f"  {plain_text(road_map.prim)}")
    if road_map.version:
        head.append(f"  version {plain_text(road_map.version)}", "dim")
    head.append(f"  {road_map.digest[:12]}", "dim")
    console.print(head, soft_wrap=True)
    console.print(map_picture(road_map, console.width))
    total = sum(road_map.lane_length(lane) for lane in road_map.lanes)
    console.print(
        f"{counted(len(road_map.nodes), 'node')}, {counted(len(road_map.lanes), 'lane')} "
        f"({total:.0f} m), {counted(len(road_map.zones), 'zone')}, "
        f"{counted(len(road_map.stations), 'station')}, "
        f"{counted(len(road_map.obstacles), 'obstacle')}",
        highlight=False,
    )
    if road_map.stations:
        table = _table("station", "kind", "nodes", ("x [m]", "right"), ("y [m]", "right"), "serves")
        for station in road_map.stations.values():
            table.add_row(
                Text(plain_text(station.id)),
                Text(plain_text(station.kind)),
                Text(plain_text(", ".join(station.nodes))),
                f"{station.x:.2f}",
                f"{station.y:.2f}",
                Text(plain_text(station.serves)),
            )
        console.print(table)
    if road_map.zones:
        table = _table("zone", "type", "authority", "rule")
        for zone in road_map.zones.values():
            words = (zone.id, zone.type, zone.authority, _rule(zone))
            table.add_row(*(Text(plain_text(word)) for word in words))
        console.print(table)
    _print_faults(faults)


def _rule(zone: Any) -> str:
    parts = (
        (zone.maximum_speed, "{:g} m/s"),
        (zone.factor, "factor {:g}"),
        (zone.direction, "{:.2f} rad"),
        (zone.cell, "cells of {:g} m"),
    )
    return ", ".join(form.format(value) for value, form in parts if value is not None)


def _table(*columns: str | tuple[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        name, justify = (column, "left") if isinstance(column, str) else column
        table.add_column(Text(name), justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def _print_faults(faults: list[MapFault]) -> None:
    prim = None
    for fault in faults:
        if fault.prim != prim:
            prim = fault.prim
            console.print(Text(plain_text(prim), style="bold"), soft_wrap=True)
        style = "bold red" if fault.severity == "error" else "yellow"
        line = Text.assemble(
            "  ",
            (fault.severity, style),
            plain_text(f" {fault.message} "),
            (f"[{fault.code}]", "dim"),
        )
        console.print(line, soft_wrap=True)


def _as_json(fault: MapFault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in fault.__struct_fields__}
