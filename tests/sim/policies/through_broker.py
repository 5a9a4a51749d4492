"""Orders over a real broker to virtual vehicles that a policy drives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stagetwin.maps import Obstacle, RoadMap
from stagetwin.ports import ConnectionSpec
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050.messages import State
from stagetwin_bridges.vda5050.virtual import Pace, VirtualFleet
from stagetwin_sim.policies import PolicyBodies, make_policy_bodies
from tests.bridges.vda5050.vehicle.stand import order
from tests.bridges.vda5050.virtual.fleet_control import FleetControl

__all__ = ["drive_through_broker"]

ROOM = RoadMap(
    id="map",
    obstacles=(
        Obstacle(polygon=((-5.2, -5.0), (-5.0, -5.0), (-5.0, 13.0), (-5.2, 13.0))),
        Obstacle(polygon=((5.0, -5.0), (5.2, -5.0), (5.2, 13.0), (5.0, 13.0))),
    ),
)


def drive_through_broker(bundle: Path, keys: Path, count: int = 3) -> PolicyBodies:
    """Send each vehicle along two nodes, and see it arrive; return what drove.

    Args:
        bundle: a signed one.
        keys: folder with the public key.
        count: of vehicles.
    """
    names = [f"KIT/{k:04d}" for k in range(count)]
    poses = np.zeros((count, 3))
    poses[:, 0], poses[:, 1] = -3.0, 4.0 * np.arange(count)
    made: list[PolicyBodies] = []

    def make(*args: object, **more: object) -> PolicyBodies:
        made.append(make_policy_bodies(*args, **more))  # type: ignore[arg-type]
        return made[-1]

    with LocalBroker("mosquitto") as broker:
        where = ConnectionSpec(
            name="fleet",
            prim="/World/fleet",
            endpoint=f"vda5050+mqtt://127.0.0.1:{broker.port}/floor?version=3.0",
            realm="simulation",
            credential="device",
        )
        with (
            FleetControl(broker, "floor", "3.0.0") as control,
            VirtualFleet(
                where,
                names,
                poses,
                credential=broker.credential("device"),
                bodies=make,
                body_options={"bundle": str(bundle), "trust": [keys]},
                road_map=ROOM,
                pace=Pace(step=0.1, state_interval=1.0),
            ),
        ):
            control.until(lambda: all(control.word(name) == "ONLINE" for name in names), 30.0)
            control.until(lambda: len(control.states) == count, 30.0)
            for k, name in enumerate(names):
                y = 4.0 * k
                places = [("a", -3.0, y), ("b", 0.0, y + 0.6), ("c", 2.0, y)]
                control.send(name, order(places, name="ride", theta=0.0))

            def arrived(state: State | None) -> bool:
                return (
                    state is not None
                    and state.order_id == "ride"
                    and not state.node_states
                    and state.last_node_id == "c"
                )

            control.until(lambda: all(arrived(control.states.get(name)) for name in names), 90.0)
            for k, name in enumerate(names):
                pose = control.states[name].mobile_robot_position
                assert pose is not None
                assert np.hypot(pose.x - 2.0, pose.y - 4.0 * k) < 0.05
                assert abs(pose.theta) < 0.1
                assert not control.states[name].errors
            assert control.faults == []
    (bodies,) = made
    return bodies
