"""`stagetwin virtual-fleet`, as a user runs it."""

from __future__ import annotations

import io
import signal
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from stagetwin import RealmError
from stagetwin._data import factory_folder
from stagetwin.bindings import read_bindings
from stagetwin.maps import Node, RoadMap, Station
from stagetwin.opening import open_stage
from stagetwin.ports import ConnectionSpec
from stagetwin_bridges import ConnectionConfigError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.commands import _virtual_fleet
from stagetwin_bridges.commands._vehicle_places import places_on, places_shown
from stagetwin_bridges.commands._virtual_fleet import (
    VirtualFleetRequest,
    run_virtual_fleet,
)
from stagetwin_bridges.vda5050.virtual import VirtualFleet
from tests.bridges.plant_service import toml
from tests.bridges.vda5050.vehicle.straight_bodies import make
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
    lines = capsys.readouterr().out.splitlines()
    # A pipe is not left in the dark: at the start, when all are there, and at the end.
    assert lines[0].startswith("0 of 3 vehicles online")
    assert any(line.startswith("3 of 3 vehicles online") for line in lines[1:-1])
    assert "messages sent" in lines[-1]
    assert "heard (0 orders)" in lines[-1]


def test_a_pipe_hears_of_a_fleet_every_so_often(
    shared_broker: LocalBroker, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    console = Console(file=out)
    made = VirtualFleet(
        ConnectionSpec(
            name="fleet",
            prim="/World/fleet",
            endpoint=endpoint(shared_broker, root),
            realm="simulation",
        ),
        ["KIT/0001"],
        np.zeros((1, 3)),
        bodies=make,
    )
    with _virtual_fleet._shown(console, made) as shown:
        for text in ("first", "no news", "nor this"):
            shown.update(Text(text))
        monkeypatch.setattr(_virtual_fleet, "_LINES", 0.0)
        assert isinstance(shown, _virtual_fleet._Lines)
        shown._due = 0.0
        for text in ("a while later", "and again"):
            shown.update(Text(text))
    assert out.getvalue().splitlines() == ["first", "a while later", "and again"]


def test_vehicles_wait_for_a_broker_that_went_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_virtual_fleet, "_PATIENCE", 0.0)
    credentials = tmp_path / "credentials.toml"
    looks: list[str] = []
    with LocalBroker() as broker:
        stage = plant(tmp_path, endpoint(broker, "vda5050"))
        credentials.write_text(toml("amr", broker.credential("device")))
        credentials.chmod(0o600)

        def look(fleet: VirtualFleet) -> Text:
            if fleet.online and broker.running:
                broker.kill()
            elif not broker.running and fleet.counts.refused:
                looks.append(fleet.counts.refused)
            if len(looks) == 2:
                signal.raise_signal(signal.SIGINT)
            return Text()

        monkeypatch.setattr(_virtual_fleet, "_said", look)
        request = VirtualFleetRequest(stage=stage, connection="fleet", credentials=credentials)
        run_virtual_fleet(request)
    assert len(looks) >= 2
    with pytest.raises(ConnectionConfigError, match="no vehicle got through"):
        run_virtual_fleet(request)


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


def test_a_vehicle_stands_where_the_stage_shows_it_if_that_is_a_node_of_its_own() -> None:
    road_map = RoadMap(
        id="m",
        nodes={name: Node(id=name, x=float(k), y=0.0) for k, name in enumerate("abcd")},
        stations={"p": Station(id="p", kind="park", x=2.0, y=0.0, nodes=("c",))},
    )
    shown = [(2.0, 0.1, 1.0), None, (2.1, 0.0, 0.0), (9.0, 9.0, 0.0)]
    rows = places_on(road_map, 4, shown)
    assert rows[0].tolist() == [2.0, 0.0, 1.0]
    assert sorted(rows[1:, 0]) == [0.0, 1.0, 3.0], "nobody else stands there"


def test_the_fleet_plant_shows_where_its_vehicles_stand() -> None:
    stage = open_stage(factory_folder() / "fleet.usda")
    table = read_bindings(stage)
    shown = places_shown(stage, table, "fleet")
    road_map = RoadMap.decode(table.connections["fleet"].map)
    assert sorted(shown) == [f"KIT/amr0{k}" for k in range(1, 9)]
    for k, name in enumerate(sorted(shown), 1):
        node = road_map.nodes[f"c{k}"]
        assert shown[name] == pytest.approx((node.x, node.y, node.theta))
