"""Vehicles of both versions on one stage, through the processes that users run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050.messages import Connection, MobileRobotPosition, Visualization
from tests.bridges.plant_service import PlantService, wait_for
from tests.bridges.vda5050.documents import state
from tests.bridges.vda5050.fleet import Speaker

STAGE = """#usda 1.0
def Xform "World" {
    def TwinConnection "new" {
        uniform string twin:endpoint = "vda5050+mqtt://127.0.0.1:1/vda5050?version=3.0"
        uniform string twin:credential = "reader"
    }
    def TwinConnection "old" {
        uniform string twin:endpoint = "vda5050+mqtt://127.0.0.1:1/vda5050?version=2.1"
        uniform string twin:credential = "reader"
    }
    def Xform "AMR_new" ( prepend apiSchemas = [%(apis)s] ) {
        uniform token twin:connection = "new"
        uniform string twin:id = "0001"
%(signals)s
    }
    def Xform "AMR_old" ( prepend apiSchemas = [%(apis)s] ) {
        uniform token twin:connection = "old"
        uniform string twin:id = "0002"
%(signals)s
    }
    def PointInstancer "Fleet" (
        prepend apiSchemas = ["TwinAssetAPI", "TwinTelemetryAPI:points", "TwinTelemetryAPI:turns"]
    ) {
        uniform token twin:connection = "new"
        int64[] ids = [11, 12]
        int[] protoIndices = [0, 0]
        point3f[] positions = [(0, 0, 0), (0, 0, 0)]
        quath[] orientations = [(1, 0, 0, 0), (1, 0, 0, 0)]
        rel prototypes = </World/Fleet/Body>
        uniform string twin:telemetry:points:address = "KIT/{instance}"
        uniform string twin:telemetry:points:field = "point"
        rel twin:telemetry:points:target = </World/Fleet.positions>
        uniform string twin:telemetry:turns:address = "KIT/{instance}"
        uniform string twin:telemetry:turns:field = "orientation"
        rel twin:telemetry:turns:target = </World/Fleet.orientations>
        def Cube "Body" {
        }
    }
}
"""

SIGNALS = {
    "pose": ("matrix4d", "pose"),
    "charge": ("double", "state.powerSupply.stateOfCharge"),
    "order": ("string", "state.orderId"),
    "mode": ("token", "state.operatingMode"),
    "online": ("bool", "online"),
    "errors": ("int", "errors.count"),
    "speed": ("double", "visualization.velocity.vx"),
}


def stage_text() -> str:
    lines = []
    for name, (kind, field) in SIGNALS.items():
        at = f"twin:telemetry:{name}"
        lines.append(f"        {kind} {at}:value")
        lines.append(f'        uniform string {at}:address = "KIT/{{twin:id}}"')
        lines.append(f'        uniform string {at}:field = "{field}"')
    apis = ["TwinAssetAPI", *(f"TwinTelemetryAPI:{name}" for name in SIGNALS)]
    quoted = ", ".join(f'"{api}"' for api in apis)
    return STAGE % {"apis": quoted, "signals": "\n".join(lines)}


@pytest.fixture
def service(tmp_path: Path, shared_broker: LocalBroker, root: str) -> PlantService:
    stage = tmp_path / "plant.usda"
    stage.write_text(stage_text())
    broker = f"vda5050+mqtt://127.0.0.1:{shared_broker.port}/{root}"
    return PlantService(
        stage,
        tmp_path,
        shared_broker,
        {"new": "reader", "old": "reader"},
        extra=(
            f"--endpoint=new={broker}?version=3.0",
            f"--endpoint=old={broker}?version=2.1",
        ),
    )


def at(x: float, theta: float = 0.0) -> MobileRobotPosition:
    return MobileRobotPosition(x=x, y=1.0, theta=theta, map_id="hall", localized=True)


def value(service: PlantService, path: str) -> Any:
    return service.seen().get(path, {}).get("value")


def _translation(pose: Any) -> Any:
    """Return the last row of a matrix, as far as it has come."""
    flat = [x for row in pose for x in row] if pose and isinstance(pose[0], list) else pose
    return flat[12:15] if flat else None


def test_vehicles_of_both_versions_on_one_stage(
    service: PlantService, shared_broker: LocalBroker, root: str
) -> None:
    with (
        service,
        Speaker(shared_broker, "0001", "3.0", root) as new,
        Speaker(shared_broker, "0002", "2.1", root) as old,
        Speaker(shared_broker, "11", "3.0", root) as first,
        Speaker(shared_broker, "12", "3.0", root) as second,
    ):
        for n, speaker in enumerate((new, old)):
            speaker.say(Connection(connection_state="ONLINE"))
            speaker.say(
                state(order_id=f"order-{n}", operating_mode="TEACH_IN", mobile_robot_position=at(n))
            )
            speaker.say(
                Visualization(
                    reference_state_header_id=0,
                    mobile_robot_position=at(n + 5.0),
                    velocity=state().velocity,
                )
            )
        for n, name in enumerate(("AMR_new", "AMR_old")):
            expected = {
                **{"charge": 81.5, "order": f"order-{n}", "mode": "TEACH_IN"},
                **{"online": True, "errors": 1, "speed": 1.25},
            }
            for signal, right in expected.items():
                wait_for(lambda p=f"/World/{name}.{signal}", v=right: value(service, p) == v)
            wait_for(
                lambda p=f"/World/{name}.pose", v=n + 5.0: (
                    _translation(value(service, p))
                    == [
                        v,
                        1.0,
                        0.0,
                    ]
                )
            )
        for n, speaker in enumerate((first, second)):
            speaker.say(state(mobile_robot_position=at(10.0 + n, theta=3.0)))
        for n in range(2):
            wait_for(
                lambda n=n: value(service, f"/World/Fleet.points[{n}]") == [10.0 + n, 1.0, 0.0]
            )
            x, y, z, w = value(service, f"/World/Fleet.turns[{n}]")
            assert (x, y) == (0.0, 0.0)
            assert 2 * math.atan2(z, w) == pytest.approx(3.0, abs=2e-3)  # half precision
        assert not service.rejected()
        old.vanish()
        wait_for(lambda: value(service, "/World/AMR_old.online") is False)
        seen = service.seen()
        assert seen["/World/AMR_old.online"]["quality"] == "good"
        wait_for(lambda: service.seen()["/World/AMR_old.charge"]["quality"] == "stale")
        assert service.seen()["/World/AMR_new.charge"]["quality"] == "good"
