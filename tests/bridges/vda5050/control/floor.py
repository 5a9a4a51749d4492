"""A floor of lanes, bodies that drive on it in a straight line, and a vehicle on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from stagetwin.clock import ManualClock
from stagetwin.fleets import Leg, VehicleType
from stagetwin.maps import Lane, Node, RoadMap, Station, Zone
from stagetwin_bridges.vda5050.control import Blind, Control
from stagetwin_bridges.vda5050.messages import Factsheet, Identity, Message
from stagetwin_bridges.vda5050.vehicle import Vehicle, VehicleOptions, make_factsheet

SPEED = 1.0


def grid(columns: int = 4, rows: int = 3, pitch: float = 3.0, **fields: Any) -> RoadMap:
    """A grid of nodes n00, n10, ..., with lanes to be driven both ways, and a station P1."""
    nodes = {
        f"n{i}{j}": Node(id=f"n{i}{j}", x=i * pitch, y=j * pitch)
        for i in range(columns)
        for j in range(rows)
    }
    pairs = [(f"n{i}{j}", f"n{i + 1}{j}") for i in range(columns - 1) for j in range(rows)]
    pairs += [(f"n{i}{j}", f"n{i}{j + 1}") for i in range(columns) for j in range(rows - 1)]
    lanes = {f"{a}-{b}": Lane(id=f"{a}-{b}", start=a, end=b, both=True) for a, b in pairs}
    far = f"n{columns - 1}{rows - 1}"
    stations = {"P1": Station(id="P1", x=0.0, y=0.0, kind="pick", nodes=(far,))}
    return RoadMap(id="floor", nodes=nodes, lanes=lanes, stations=stations, **fields)


def zone(name: str, x: float, y: float, size: float = 2.0, **fields: Any) -> Zone:
    """A square round a point."""
    h = size / 2
    corners = ((x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h))
    return Zone(id=name, polygon=corners, **fields)


class Walkers:
    """`Bodies` that go along their legs at the speed of the leg, and stop in no time."""

    def __init__(self, poses: Sequence[tuple[float, float, float]], speed: float = SPEED) -> None:
        self.count = len(poses)
        self._poses = np.array(poses, np.float64).reshape(-1, 3)
        self._legs: list[list[Leg]] = [[] for _ in poses]
        self._done = np.zeros(self.count, np.int64)
        self._kept = [False] * self.count
        self._speed = speed
        self._moving = np.zeros(self.count, bool)

    def poses(self) -> Any:
        return self._poses

    def velocities(self) -> Any:
        return np.where(self._moving[:, None], [[self._speed, 0.0, 0.0]], 0.0)

    def charge(self) -> Any:
        return np.full(self.count, 0.8)

    def done(self) -> Any:
        return self._done

    def blocked(self) -> Any:
        return np.zeros(self.count, bool)

    def drive(self, vehicle: int, legs: Sequence[Leg]) -> None:
        self._legs[vehicle] += legs

    def stop(self, vehicle: int, *, keep: bool = False) -> None:
        self._kept[vehicle] = keep
        if not keep:
            self._legs[vehicle] = []

    def resume(self, vehicle: int) -> None:
        self._kept[vehicle] = False

    def place(self, vehicle: int, x: float, y: float, theta: float) -> None:
        self._poses[vehicle] = x, y, theta

    def load(self, vehicle: int, mass: float, length: float, width: float) -> None:
        del vehicle, mass, length, width

    def plug(self, vehicle: int, on: bool) -> None:
        del vehicle, on

    def limit(self, vehicle: int, speed: float) -> None:
        del vehicle, speed

    def step(self, seconds: float) -> None:
        for i in range(self.count):
            left = self._speed * seconds
            self._moving[i] = bool(self._legs[i]) and not self._kept[i]
            while left > 1e-12 and self._legs[i] and not self._kept[i]:
                left = self._walk(i, left)

    def _walk(self, i: int, left: float) -> float:
        leg = self._legs[i][0]
        goal = leg.path[0] if leg.path else (leg.x, leg.y)
        x, y, theta = self._poses[i]
        far = math.dist((x, y), goal)
        if far > left:
            share = left / far
            heading = math.atan2(goal[1] - y, goal[0] - x)
            self._poses[i] = x + (goal[0] - x) * share, y + (goal[1] - y) * share, heading
            return 0.0
        self._poses[i, :2] = goal
        if leg.path:
            self._legs[i][0] = msgspec.structs.replace(leg, path=leg.path[1:])
        else:
            self._poses[i, 2] = theta if math.isnan(leg.theta) else leg.theta
            self._legs[i].pop(0)
            self._done[i] += 1
        return left - far


class Pair:
    """A vehicle and fleet control with nothing but time between them.

    Attributes:
        clock: of both.
        bodies, vehicle, control: the two sides.
        down, up: what either side sent, in order, as it travelled.
        events: what control learned.
    """

    def __init__(
        self,
        road_map: RoadMap,
        version: str = "3.0.0",
        start: str = "n00",
        *,
        blind: Blind | None = None,
        factsheet: Factsheet | None = None,
        options: VehicleOptions | None = None,
        **fields: Any,
    ) -> None:
        who = Identity("vda5050", version, "KIT", "0001")
        at = road_map.nodes[start]
        self.clock = ManualClock()
        self.bodies = Walkers([(at.x, at.y, 0.0)])
        sheet = factsheet or make_factsheet(VehicleType(speed=SPEED), version)
        self.vehicle = Vehicle(
            who,
            sheet,
            bodies=self.bodies,
            index=0,
            road_map=road_map,
            options=options or VehicleOptions(visualization_interval=0.0),
        )
        self.control = Control(
            who, road_map, blind=blind or Blind(5.0, 60.0), clock=self.clock, **fields
        )
        self.down: list[Message] = []
        self.up: list[Message] = []
        self.events: list[Any] = []
        self.vehicle.connect(self.clock.wall())
        self.run(0.2, leave=False)

    def send(self, message: Message) -> None:
        """Bring a message to the vehicle, through its bytes."""
        self.down.append(message)
        data = self.control.codec.encode(message)
        self.vehicle.receive(self.control.codec.decode(message.topic, data), self.clock.wall())

    def hear(self, message: Message) -> None:
        """Bring a message to control, through its bytes."""
        self.up.append(message)
        data = self.control.codec.encode(message)
        decoded = self.control.codec.decode(message.topic, data)
        self.events += self.control.receive(decoded)

    def run(self, seconds: float, *, leave: bool = True, step: float = 0.1) -> None:
        """Let time pass, with everything delivered at once."""
        for _ in range(max(round(seconds / step), 1)):
            self.clock.advance(step)
            self.bodies.step(step)
            self.vehicle.step(self.clock.wall())
            for message in self.vehicle.outgoing(self.clock.wall()):
                self.hear(message)
            due = [*self.control.outgoing(leave=leave), *self.control.transfers()]
            for message in due if leave else ():
                self.send(message)

    def kinds(self) -> list[str]:
        """Return the kinds of what control learned."""
        return [event.kind.name for event in self.events]

    @property
    def place(self) -> tuple[float, float]:
        """Where the body is."""
        return tuple(self.bodies.poses()[0, :2])
