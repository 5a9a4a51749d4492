"""`stagetwin demo --plant fleet`: vehicles that speak VDA 5050, commanded, cancelled, killed."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stagetwin._data import factory_folder
from stagetwin.bindings import BindingTable, read_bindings
from stagetwin.cli.view import WatchModel
from stagetwin.opening import open_stage
from stagetwin_bridges import BridgeError
from stagetwin_bridges.broker import LocalBroker, find_broker
from stagetwin_bridges.commands import _fleet_scenes
from stagetwin_bridges.commands._cast import Cast
from stagetwin_bridges.commands._demo import DemoRequest, run_demo
from stagetwin_bridges.commands._demo_endpoints import endpoints_at
from stagetwin_bridges.commands._fleet_cast import FleetCast
from stagetwin_bridges.commands._fleet_scenes import FleetScenes
from stagetwin_bridges.commands._observer import Observer
from stagetwin_bridges.commands._plant import DemoPlant
from stagetwin_bridges.commands._scenes import Scenes
from stagetwin_bridges.vda5050.telemetry import FleetEndpoint
from tests.bridges.test_commands import demo

PLANT = factory_folder() / "fleet.usda"


@pytest.fixture(scope="module")
def table() -> BindingTable:
    return read_bindings(open_stage(PLANT))


def test_every_vehicle_of_the_plant_plays_one_part_at_most(table: BindingTable) -> None:
    cast = FleetCast.of(open_stage(PLANT), table)
    goals = [*cast.drivers, cast.edited, cast.lost]
    assert None not in goals
    for one in ("vehicle", "station"):
        names = [getattr(goal, one) for goal in goals]
        assert len(set(names)) == len(names) == 4
    assert cast.vehicles == (("fleet", tuple(f"KIT/amr0{k}" for k in range(1, 9))),)
    # Nothing is reserved on the way down: those who drive at once must not meet.
    first, second = cast.drivers
    assert (first.name, first.station, second.name, second.station) == (
        *("AMR05", "ST04"),
        *("AMR01", "ST01"),
    )


def test_a_plant_without_vehicles_has_no_part_for_them() -> None:
    stage = open_stage(factory_folder() / "factory.usda")
    assert FleetCast.of(stage, read_bindings(stage)) == FleetCast()


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_fleet_is_led_to_the_demos_broker_with_its_options(
    kind: str, table: BindingTable
) -> None:
    if find_broker(kind) is None:  # type: ignore[arg-type]
        pytest.skip(f"{kind} is not installed")
    with LocalBroker(kind) as broker:  # type: ignore[arg-type]
        endpoint = FleetEndpoint.parse(endpoints_at(broker, table)["fleet"])
    assert (endpoint.host, endpoint.port) == ("127.0.0.1", broker.port)
    assert (endpoint.interface, endpoint.options.version) == ("vda5050", "3.0.0")
    assert (endpoint.options.blind, endpoint.options.blind_time) == (6.0, 8.0)
    assert endpoint.options.mqtt == ("5" if kind == "mosquitto" else "3.1.1")


def test_no_lane_of_the_plant_is_longer_than_may_be_driven_blind(table: BindingTable) -> None:
    from stagetwin.maps import RoadMap

    spec = table.connections["fleet"]
    road_map, options = RoadMap.decode(spec.map), FleetEndpoint.parse(spec.endpoint).options
    for name, lane in road_map.lanes.items():
        length = road_map.lane_length(name)
        assert length <= options.blind
        assert lane.maximum_speed is not None
        assert length / lane.maximum_speed <= options.blind_time


def test_a_plant_that_does_not_come_along_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="expected one of factory, fleet"):
        run_demo(DemoRequest(plant="harbour"))
    with pytest.raises(BridgeError, match="--stage one of your own"):
        run_demo(DemoRequest(plant="fleet", stage=tmp_path / "own.usda"))


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for the demo's sockets below it."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.alone
def test_an_edit_becomes_an_order_and_a_vehicle_that_dies_is_told_and_comes_back(
    monkeypatch: pytest.MonkeyPatch, short: Path
) -> None:
    """The demo's scenes themselves, without the drives that take their time."""
    monkeypatch.setattr("tempfile.tempdir", str(short))
    monkeypatch.setattr(_fleet_scenes, "_UNDER_WAY", 0.0)
    told: list[tuple[str, str]] = []
    with ExitStack() as stack:
        broker = stack.enter_context(LocalBroker())
        plant = DemoPlant(broker, PLANT)
        stack.callback(plant.close)
        cast = FleetCast.of(plant.stage, plant.table)
        vehicles = plant.fleet_park(cast)
        stack.callback(vehicles.stop)
        vehicles.start()
        plant.start()
        check = vehicles.check_alive
        observer = stack.enter_context(Observer(plant, WatchModel(), threading.Event(), check))

        def say(kind: str, words: str) -> None:
            told.append((kind, words))

        park = plant.device_park(5.0)
        assert park.names == [], "vehicles are no devices of another protocol"
        Scenes(observer, park, broker, Cast.of(plant.table), say).come_alive()
        scenes = FleetScenes(plant, observer, vehicles, cast, say)
        scenes.edit_and_cancel()
        scenes.lose()
    lines = [words for _, words in told]
    assert lines[0].startswith("144 signals of 1 connection are live")
    assert "AMR06.goal = ST05" in lines[1]
    assert "FAILED: the device gave it up: it was cancelled" in lines[3]
    assert "16 of its signals are stale" in lines[5]
    assert re.search(r"AMR03\.goal → n3 meanwhile: (REJECTED|FAILED)", lines[6])
    assert "AMR03 is online after" in lines[7]
    assert list(short.iterdir()) == []


STORY = [
    r"fleet\.usda: 144 signals, 40 commands",
    r"8 made-up vehicles in 2 processes",
    r"144 signals of 1 connection are live on the stage, commands can leave on 1",
    r"asked for: AMR05\.goal → ST04",
    r"asked for: AMR01\.goal → ST01",
    r"AMR05 is there, VERIFIED: AMR05\.node reads d4, was c5",
    r"AMR01 is there, VERIFIED: AMR01\.node reads d1, was c1",
    r"the edit rested and became an order: REQUESTED",
    r"its goal FAILED: the device gave it up: it was cancelled",
    r"the process of AMR03 is killed",
    r"the broker published its last will: AMR03 is offline",
    r"AMR03 is online after",
    r"and drives again, VERIFIED: AMR03\.node reads n3, was c3",
    r"broker killed",
    r"recovered: no signal is stale",
]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_whole_story_of_the_fleet(short: Path) -> None:
    if find_broker("mosquitto") is None:
        assert not os.environ.get("CI"), "mosquitto is missing"
        pytest.skip("mosquitto is not installed")
    done = demo(short, "--plant", "fleet", timeout=220)
    assert done.returncode == 0, done.stdout + done.stderr
    place = 0
    for line in STORY:
        found = re.compile(line).search(done.stdout, place)
        assert found, f"{line} does not follow {done.stdout[:place][-200:]}\n{done.stdout}"
        place = found.end()
