"""Layouts of a fleet against each other, over the same seeds."""

from __future__ import annotations

import math
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from stagetwin.fleets import VehicleType
from stagetwin.maps import RoadMap
from stagetwin_sim._errors import TrafficError
from stagetwin_sim.traffic._fleet import FleetSimulation
from stagetwin_sim.traffic._options import FleetOptions
from stagetwin_sim.traffic._report import Figure, FleetReport, interval, report_of

__all__ = ["Comparison", "Row", "Study", "Variant", "compare", "read_study", "varied"]


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is otherwise than in the layout as it is.

    Attributes:
        name: for people.
        add_vehicles: how many more; fewer where it is negative.
        move_station: nodes from which stations are served instead, by station.
        close: lanes and nodes that nobody uses.
        options: other figures, as in FleetOptions.
    """

    name: str
    add_vehicles: int = 0
    move_station: dict[str, str] = {}
    close: tuple[str, ...] = ()
    options: dict[str, object] = {}


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is compared.

    Attributes:
        vehicles: of the layout as it is.
        minutes: of the plant, for each world.
        worlds: seeds; the same for all variants.
        seed: the first.
        options: as in FleetOptions.
        variant: layouts to compare with the one as it is.
    """

    vehicles: int = 10
    minutes: float = 30.0
    worlds: int = 8
    seed: int = 0
    options: dict[str, object] = {}
    variant: tuple[Variant, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """What came of a variant.

    Attributes:
        variant: which.
        report: of it.
        differences: from the layout as it is, seed by seed.
    """

    variant: Variant
    report: FleetReport
    differences: dict[str, Figure]


class Comparison(msgspec.Struct, frozen=True):
    """What came of a study.

    Attributes:
        study: what was asked.
        rows: the layout as it is first.
    """

    study: Study
    rows: tuple[Row, ...]


def read_study(path: Path) -> Study:
    """Read a study from TOML or JSON.

    Raises:
        TrafficError: it is none; names the file and what is wrong.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".json":
            return msgspec.json.decode(data, type=Study)
        return msgspec.convert(tomllib.loads(data.decode()), Study)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise TrafficError(f"{path}: {error}") from None


def options_of(given: dict[str, object], where: str) -> FleetOptions:
    """Return options from names and values.

    Raises:
        TrafficError: a name is unknown, or a value cannot be.
    """
    try:
        return msgspec.convert(given, FleetOptions)
    except msgspec.ValidationError as error:
        raise TrafficError(f"{where}: {error}") from None


def varied(road_map: RoadMap, variant: Variant) -> RoadMap:
    """Return a map as a variant has it.

    Raises:
        TrafficError: it moves what is not there, or to where nothing is.
    """
    stations = dict(road_map.stations)
    for name, node in variant.move_station.items():
        if name not in stations:
            known = ", ".join(sorted(stations)) or "none"
            raise TrafficError(
                f"variant {variant.name!r}: map {road_map.id!r} has no station {name!r}; "
                f"it has {known}"
            )
        if node not in road_map.nodes:
            raise TrafficError(
                f"variant {variant.name!r}: map {road_map.id!r} has no node {node!r} to serve "
                f"station {name!r} from"
            )
        here = road_map.nodes[node]
        moved = msgspec.structs.replace(stations[name], nodes=(node,), x=here.x, y=here.y)
        stations[name] = moved
    return msgspec.structs.replace(road_map, stations=stations)


def compare(
    road_map: RoadMap,
    study: Study,
    types: Sequence[VehicleType] = (VehicleType(),),
    *,
    device: str = "cpu",
    progress: Callable[[str, float], None] | None = None,
) -> Comparison:
    """Run the layout as it is, and every variant of it, over the same seeds.

    Raises:
        TrafficError: a variant cannot be.
    """
    rows: list[Row] = []
    variants = (Variant(name="as it is"), *study.variant)
    for number, variant in enumerate(variants):
        options = options_of({**study.options, **variant.options}, variant.name)
        closed = (*options.closed, *variant.close)
        options = msgspec.structs.replace(options, closed=closed)
        begun = time.perf_counter()
        fleet = FleetSimulation(
            varied(road_map, variant),
            types,
            vehicles=study.vehicles + variant.add_vehicles,
            worlds=study.worlds,
            seed=study.seed,
            options=options,
            device=device,
        )

        def tell(share: float, number: int = number, name: str = variant.name) -> None:
            if progress is not None:
                progress(name, (number + share) / len(variants))

        fleet.run(study.minutes * 60, tell)
        report = report_of(fleet, time.perf_counter() - begun)
        rows.append(Row(variant, report, _differences(report, rows[0].report if rows else report)))
    return Comparison(study, tuple(rows))


def _differences(report: FleetReport, first: FleetReport) -> dict[str, Figure]:
    """Return differences of each seed's figures, with their intervals."""
    found: dict[str, Figure] = {}
    for name, figure in report.figures.items():
        pairs = zip(figure.values, first.figures[name].values, strict=True)
        found[name] = interval([a - b if math.isfinite(a - b) else math.nan for a, b in pairs])
    return found
