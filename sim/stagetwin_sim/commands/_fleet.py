"""`stagetwin fleet`: traffic on a map, simulated and compared."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from stagetwin.cli import errors_as_exit

if TYPE_CHECKING:
    from stagetwin.fleets import VehicleType
    from stagetwin.maps import RoadMap
    from stagetwin_sim.traffic import FleetOptions, FleetSimulation

__all__ = ["fleet"]

fleet = typer.Typer(
    name="fleet",
    help="Simulate a fleet's traffic on a map, and compare layouts.",
    no_args_is_help=True,
)

_Place = Annotated[
    Path,
    typer.Argument(
        metavar="STAGE|MAP", help="Root layer of a plant, or a map as JSON.", show_default=False
    ),
]
_MapId = Annotated[str, typer.Option("--map", help="Id of the map; the stage's only one.")]
_Factsheet = Annotated[
    Path | None,
    typer.Option("--factsheet", help="Of the vehicles, VDA 5050, as JSON.", show_default=False),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Write report and picture there.", show_default=False
    ),
]
_Device = Annotated[str, typer.Option("--device", help="Warp's name of it: cpu, cuda:0.")]
_Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@fleet.command("run")
@errors_as_exit
def run(
    place: _Place,
    map_id: _MapId = "",
    vehicles: Annotated[int, typer.Option("--vehicles", min=1, help="In each world.")] = 10,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="Of the plant.")] = 30.0,
    worlds: Annotated[int, typer.Option("--worlds", min=1, help="Seeds, side by side.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first world.")] = 0,
    options: Annotated[
        Path | None,
        typer.Option("--options", help="How the fleet works, as TOML.", show_default=False),
    ] = None,
    factsheet: _Factsheet = None,
    out: _Out = None,
    device: _Device = "cpu",
    as_json: _Json = False,
) -> None:
    """Run a fleet's traffic, and say what came of it and what holds it up."""
    from stagetwin_sim._quiet import begin_quietly

    begin_quietly()
    from stagetwin_sim.traffic import FleetSimulation, report_of
    from stagetwin_sim.traffic._tables import places_table, report_table

    road_map = _map(place, map_id)
    made = FleetSimulation(
        road_map,
        [_type(factsheet)],
        vehicles=vehicles,
        worlds=worlds,
        seed=seed,
        options=_options(options),
        device=device,
    )
    begun = time.perf_counter()
    with _progress("traffic") as tell:
        made.run(minutes * 60, tell)
    spent = time.perf_counter() - begun
    report = report_of(made, spent)
    files = _write(made, msgspec.json.encode(report), place, out) if out is not None else []
    if as_json:
        print(json.dumps(msgspec.to_builtins(report), indent=2))  # noqa: T201 - asked for
        return
    console = Console()
    factor = made.time * worlds / max(spent, 1e-9)
    console.print(
        Text.assemble(
            (road_map.id, "bold"),
            (
                f"  {vehicles} vehicles, {minutes:g} min, {worlds} "
                f"world{'s' if worlds > 1 else ''} in {spent:.1f} s, {factor:,.0f} times faster "
                "than the clock",
                "dim",
            ),
        )
    )
    console.print(report_table(report))
    console.print()
    console.print(places_table(report))
    console.print()
    worst = report.bottleneck
    console.print(Text.assemble(("bottleneck: ", "bold"), worst.evidence))
    for file in files:
        console.print(Text(f"wrote {file}", style="dim"))


@fleet.command("compare")
@errors_as_exit
def compare(
    place: _Place,
    study: Annotated[
        Path, typer.Argument(metavar="STUDY", help="Layouts, TOML or JSON.", show_default=False)
    ],
    map_id: _MapId = "",
    factsheet: _Factsheet = None,
    out: _Out = None,
    device: _Device = "cpu",
    as_json: _Json = False,
) -> None:
    """Compare layouts over the same seeds: stations moved, vehicles added, lanes closed."""
    from stagetwin_sim._quiet import begin_quietly

    begin_quietly()
    from stagetwin_sim.traffic import compare as compare_layouts
    from stagetwin_sim.traffic import draw_comparison, read_study
    from stagetwin_sim.traffic._tables import comparison_table, hint_of

    asked = read_study(study)
    road_map = _map(place, map_id)
    begun = time.perf_counter()
    with _progress("layouts") as tell:
        found = compare_layouts(
            road_map,
            asked,
            [_type(factsheet)],
            device=device,
            progress=lambda _, share: tell(share),
        )
    spent = time.perf_counter() - begun
    files: list[Path] = []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        files = [out / "comparison.json", out / "comparison.png"]
        files[0].write_bytes(msgspec.json.encode(found))
        draw_comparison(found, files[1])
    if as_json:
        print(json.dumps(msgspec.to_builtins(found), indent=2))  # noqa: T201 - asked for
        return
    console = Console()
    console.print(
        Text.assemble(
            (road_map.id, "bold"),
            (
                f"  {len(found.rows)} layouts, {asked.worlds} worlds of {asked.minutes:g} min "
                f"each in {spent:.1f} s; differences with 95 % intervals, seed by seed",
                "dim",
            ),
        )
    )
    console.print(comparison_table(found))
    if hint := hint_of(found):
        console.print()
        console.print(Text(hint, style="yellow"))
    for file in files:
        console.print(Text(f"wrote {file}", style="dim"))


def _map(place: Path, map_id: str) -> RoadMap:
    from stagetwin.maps import RoadMap, read_map
    from stagetwin.opening import open_stage
    from stagetwin_sim._errors import TrafficError

    if place.suffix == ".json":
        try:
            return RoadMap.decode(place.read_bytes())
        except OSError as error:
            raise TrafficError(f"{place}: {error.strerror}") from None
    return read_map(open_stage(place, ()), map_id)


def _type(factsheet: Path | None) -> VehicleType:
    from stagetwin.fleets import VehicleType
    from stagetwin_sim._errors import TrafficError

    if factsheet is None:
        return VehicleType()
    try:
        return VehicleType.from_factsheet(json.loads(factsheet.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise TrafficError(f"{factsheet}: {error}") from None


def _options(path: Path | None) -> FleetOptions:
    import tomllib

    from stagetwin_sim._errors import TrafficError
    from stagetwin_sim.traffic import FleetOptions
    from stagetwin_sim.traffic._compare import options_of

    if path is None:
        return FleetOptions()
    try:
        return options_of(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError) as error:
        raise TrafficError(f"{path}: {error}") from None


def _write(made: FleetSimulation, report: bytes, place: Path, out: Path) -> list[Path]:
    from stagetwin_sim.traffic import draw_fleet, report_of, write_congestion

    out.mkdir(parents=True, exist_ok=True)
    files = [out / "report.json", out / "fleet.png"]
    files[0].write_bytes(report)
    draw_fleet(made, report_of(made), files[1])
    if place.suffix != ".json":
        files.append(out / "congestion.usda")
        files[-1].unlink(missing_ok=True)
        write_congestion(files[-1], place, made)
    return files


@contextmanager
def _progress(what: str) -> Iterator[Callable[[float], None]]:
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share: progress.update(task, completed=share)
