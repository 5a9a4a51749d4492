"""Writes all layers of the plant into a folder."""

from pathlib import Path

from pxr import Sdf

from ._building_assets import make_decorations
from ._fleet_plant import write_fleet_plant
from ._interfaces import author_interfaces
from ._layout import write_layout
from ._logistics_assets import (
    make_amr,
    make_amr_body,
    make_bays,
    make_charger,
    make_station,
    make_vehicle,
)
from ._map import write_map
from ._models import author_models
from ._parameters import Parameters
from ._power_assets import make_energy_meter, make_wind_turbine
from ._process_assets import make_conveyor, make_motor, make_pump, make_tank, make_valve
from ._pump_station import write_pump_station
from ._robot_assets import make_arm
from ._site import stage_metadata, write_connections, write_root, write_site


def _new_layer(folder: Path, name: str) -> Sdf.Layer:
    """A layer of the plant; every one says metres and Z up, as those it is stacked with."""
    layer = Sdf.Layer.CreateNew(str(folder / name))
    layer.pseudoRoot.SetInfo("metersPerUnit", 1.0)
    layer.pseudoRoot.SetInfo("upAxis", "Z")
    return layer


def build_plant(parameters: Parameters, folder: Path) -> list[Path]:
    """Write the plant; equal parameters give equal bytes.

    Args:
        parameters: The parsed page of parameters.
        folder: Where the layers go; existing ones are overwritten.

    Returns:
        The files written, sorted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    interfaces = _new_layer(folder, "interfaces.usda")
    author_interfaces(interfaces, parameters.interfaces.values())
    author_models(interfaces, parameters)
    interfaces.Save()

    make_decorations(folder)
    for make in (make_pump, make_motor, make_tank, make_valve, make_conveyor):
        make(folder)
    make_arm(folder, parameters.interfaces["Arm"])
    make_wind_turbine(folder)
    make_energy_meter(folder)
    for make in (make_amr_body, make_amr, make_vehicle, make_charger, make_station, make_bays):
        make(folder)

    layout = _new_layer(folder, "layout.usda")
    stage_metadata(layout, parameters)
    write_layout(layout, parameters)
    layout.Save()
    road_map = _new_layer(folder, "map.usda")
    road_map.comment = "Map: where vehicles drive."
    write_map(road_map, parameters.map)
    road_map.Save()
    connections = _new_layer(folder, "connections.usda")
    write_connections(connections, parameters)
    connections.Save()
    site = _new_layer(folder, "site.usda")
    write_site(site, parameters)
    site.Save()
    root = _new_layer(folder, "factory.usda")
    write_root(root, parameters)
    root.Save()
    station = _new_layer(folder, "pump_station.usda")
    write_pump_station(station, parameters)
    station.Save()
    fleet = _new_layer(folder, "fleet.usda")
    write_fleet_plant(fleet, parameters)
    fleet.Save()
    return sorted(folder.rglob("*.usda"))
