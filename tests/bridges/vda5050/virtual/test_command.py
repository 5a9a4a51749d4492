"""`stagetwin virtual-fleet`, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stagetwin import RealmError
from stagetwin.maps import Node, RoadMap, Station
from stagetwin_bridges import ConnectionConfigError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.commands._virtual_fleet import (
    VirtualFleetRequest,
    places_on,
    run_virtual_fleet,
)
from tests.bridges.plant_service import toml
from tests.bridges.vda5050.virtual.fleet_control import FleetControl
from tests.stages.plants import HEADER, asset, connection, prim, telemetry

VEHICLE = prim(
    "AMR1",
    asset("amr1", connection="fleet"),
    telemetry("driving", "bool", "KIT/0001", field="state.driving"),
)


def plant(folder: Path, endpoint: str, realm: str = "simulation") -> Path:
    path = folder / "plant.usda"
    fleet = connection("fleet", endpoint, realm=realm, credential="amr")
    path.write_text(HEADER + fleet + VEHICLE)
    return path


def endpoint(broker: LocalBroker, root: str) -> str:
    return f"vda5050+mqtt://127.0.0.1:{broker.port}/{root}?version=3.0"


def test_vehicles_of_the_stage_and_more(
    shared_broker: LocalBroker, root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = plant(tmp_path, endpoint(shared_broker, root))
    credentials = tmp_path / "credentials.toml"
    credentials.write_text(toml("amr", shared_broker.credential("device")))
    credentials.chmod(0o600)
    with FleetControl(shared_broker, root, "3.0.0") as control:
        run_virtual_fleet(
            VirtualFleetRequest(
                stage=stage, connection="fleet", count=3, seconds=1.0, credentials=credentials
            )
        )
        names = ["KIT/0001", "stagetwin/V0001", "stagetwin/V0002"]
        control.until(lambda: all(control.word(n) == "OFFLINE" for n in names), 30.0)
        assert all(name in control.states for name in names)
    assert "3 of 3 vehicles online" in capsys.readouterr().out


def test_a_plant_is_refused(shared_broker: LocalBroker, root: str, tmp_path: Path) -> None:
    stage = plant(tmp_path, endpoint(shared_broker, root), realm="plant")
    with pytest.raises(RealmError, match="'simulation'"):
        run_virtual_fleet(VirtualFleetRequest(stage=stage, connection="fleet", seconds=0.0))


def test_a_connection_that_is_not_there(tmp_path: Path) -> None:
    stage = plant(tmp_path, "vda5050+mqtt://127.0.0.1:1/x")
    with pytest.raises(ConnectionConfigError, match="there are fleet"):
        run_virtual_fleet(VirtualFleetRequest(stage=stage, connection="amr", seconds=0.0))


def test_vehicles_stand_on_nodes_those_to_park_first() -> None:
    road_map = RoadMap(
        id="m",
        nodes={name: Node(id=name, x=float(k), y=0.0) for k, name in enumerate("abc")},
        stations={"p": Station(id="p", kind="park", x=2.0, y=0.0, nodes=("c",))},
    )
    assert places_on(road_map, 2)[:, 0].tolist() == [2.0, 0.0]
    with pytest.raises(ConnectionConfigError, match="3 nodes"):
        places_on(road_map, 4)
    rows = places_on(None, 5)
    gaps = np.hypot(*(rows[:, None, :2] - rows[None, :, :2]).transpose(2, 0, 1))
    assert gaps[np.triu_indices(5, 1)].min() >= 2.0
