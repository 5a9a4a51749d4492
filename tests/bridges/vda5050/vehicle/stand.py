"""A test stand for one vehicle: fleet control at one end, a straight body at the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from stagetwin.fleets import Bodies, MakeBodies, VehicleType
from stagetwin_bridges.vda5050.messages import (
    Action,
    ActionParameter,
    AllowedDeviation,
    BlockingType,
    Codec,
    Connection,
    Edge,
    ErrorEntry,
    Factsheet,
    GrantType,
    Headers,
    Identity,
    InstantActions,
    Message,
    Node,
    NodePosition,
    Order,
    Response,
    Responses,
    State,
    Vertex,
    Zone,
    ZoneContents,
    ZoneSet,
    timestamp_of,
)
from stagetwin_bridges.vda5050.vehicle import (
    Device,
    TimedDevice,
    Vehicle,
    VehicleOptions,
    make_factsheet,
)
from tests.bridges.vda5050.vehicle import straight_bodies
from tests.bridges.vda5050.vehicle.straight_bodies import StraightBodies

START = 1_760_000_000.0
STEP = 0.1
SPEED = 1.0

Place = tuple[str, float, float]


def action(
    kind: str,
    name: str = "",
    blocking: BlockingType = "NONE",
    *,
    retriable: bool | None = None,
    **parameters: Any,
) -> Action:
    """Return an action; its id is its type where none is given."""
    return Action(
        action_type=kind,
        action_id=name or kind,
        blocking_type=blocking,
        retriable=retriable,
        action_parameters=tuple(
            ActionParameter(key=key, value=value) for key, value in parameters.items()
        )
        or None,
    )


def order(
    places: Sequence[Place],
    released: int | None = None,
    *,
    name: str = "o",
    update: int = 0,
    first: int = 0,
    map_id: str = "map",
    nodes: Mapping[int, Sequence[Action]] | None = None,
    edges: Mapping[int, Sequence[Action]] | None = None,
    edge: Mapping[str, Any] | None = None,
    deviation: float | None = None,
    theta: float | None = None,
) -> Order:
    """Return an order along places.

    Args:
        places: node id, x, y.
        released: how many nodes are the base; None is all.
        name: order id.
        update: order update id.
        first: sequence id of the first node.
        map_id: of all nodes.
        nodes: actions, by how manieth node.
        edges: likewise for edges.
        edge: further fields of every edge.
        deviation: allowed deviation of the first node [m]; any heading goes with it.
        theta: heading at the last node.
    """
    base = len(places) if released is None else released
    made = []
    for k, (node, x, y) in enumerate(places):
        position = NodePosition(x=x, y=y, map_id=map_id)
        if k == 0 and deviation is not None:
            position = msgspec.structs.replace(
                position,
                allowed_deviation_xy=AllowedDeviation(a=deviation, b=deviation, theta=0.0),
            )
        if theta is not None and k == len(places) - 1:
            position = msgspec.structs.replace(position, theta=theta)
        made.append(
            Node(
                node_id=node,
                sequence_id=first + 2 * k,
                released=k < base,
                node_position=position,
                actions=tuple((nodes or {}).get(k, ())),
            )
        )
    return Order(
        order_id=name,
        order_update_id=update,
        nodes=tuple(made),
        edges=tuple(
            Edge(
                edge_id=f"{places[k][0]}-{places[k + 1][0]}",
                sequence_id=first + 2 * k + 1,
                released=k + 1 < base,
                actions=tuple((edges or {}).get(k, ())),
                **(edge or {}),
            )
            for k in range(len(places) - 1)
        ),
    )


class Stand:
    """One vehicle at 0, 0 with heading 0; time goes on in steps of 0.1 s.

    Whatever it sends is held against the schema of its version.
    """

    def __init__(
        self,
        version: str = "3.0.0",
        *,
        options: VehicleOptions | None = None,
        device: Device | None = None,
        factsheet: Factsheet | None = None,
        pose: tuple[float, float, float] = (0.0, 0.0, 0.0),
        make: MakeBodies = straight_bodies.make,
        **sheet: Any,
    ) -> None:
        kind = VehicleType(speed=SPEED, length=0.8, width=0.6)
        self.body: Bodies = make([kind], np.array([pose]), None)
        self.identity = Identity("vda5050", version, "KIT", "0001")
        self.device = device or TimedDevice()
        self.vehicle = Vehicle(
            self.identity,
            factsheet or make_factsheet(kind, version, **sheet),
            bodies=self.body,
            index=0,
            device=self.device,
            options=options,
        )
        self.codec = Codec(version)
        self.now = START
        self.sent: list[Message] = []
        self._headers = Headers(self.identity, lambda: self.now)
        self.vehicle.connect(self.now)
        self.step()

    # -- time

    def step(self, count: int = 1) -> None:
        """Let time go on by steps of 0.1 s."""
        for _ in range(count):
            self.now += STEP
            self.body.step(STEP)
            self.vehicle.step(self.now)
            self.collect()

    def collect(self) -> list[Message]:
        """Take what is to be sent now."""
        out = self.vehicle.outgoing(self.now)
        for message in out:
            data = self.codec.encode(message, checked=False)
            assert self.codec.faults(message.topic, data) == [], data
        self.sent += out
        return out

    def until(self, holds: Callable[[], bool], seconds: float = 60.0) -> None:
        """Let time go on until something holds."""
        for _ in range(math.ceil(seconds / STEP)):
            if holds():
                return
            self.step()
        raise AssertionError(f"it never came: {self.state}")

    # -- fleet control

    def send(self, message: Message) -> None:
        """Let fleet control say something, over the wire's bytes."""
        data = self.codec.encode(self._headers.stamp(message))
        self.vehicle.receive(self.codec.decode(message.topic, data), self.now)
        self.step()

    def give(self, message: Message) -> None:
        """Let a message arrive that no codec of ours would send."""
        self.vehicle.receive(self._headers.stamp(message), self.now)
        self.step()

    def instant(self, kind: str, name: str = "", **parameters: Any) -> str:
        """Send an instant action; return its status."""
        self.send(InstantActions(actions=(action(kind, name, **parameters),)))
        return self.instant_status(name or kind)

    def zones(self, *zones: Zone, name: str = "z", map_id: str = "map") -> None:
        """Send a zone set and enable it."""
        contents = ZoneContents(map_id=map_id, zone_set_id=name, zones=zones)
        self.send(ZoneSet(zone_set=contents))
        assert self.instant("enableZoneSet", f"enable-{name}", zoneSetId=name) == "FINISHED"

    def answer(self, request: str, grant: GrantType, lease: float | None = None) -> None:
        """Answer a request; the lease is seconds from now."""
        expiry = None if lease is None else timestamp_of(self.now + lease)
        self.send(
            Responses(
                responses=(Response(request_id=request, grant_type=grant, lease_expiry=expiry),)
            )
        )

    # -- what it said

    @property
    def states(self) -> list[State]:
        """All states it sent."""
        return [message for message in self.sent if isinstance(message, State)]

    @property
    def state(self) -> State:
        """The newest state."""
        return self.states[-1]

    @property
    def words(self) -> list[str]:
        """Connection states it said."""
        return [m.connection_state for m in self.sent if isinstance(m, Connection)]

    def error(self, kind: str) -> ErrorEntry | None:
        """Return the error of a type in the newest state."""
        return next((e for e in self.state.errors if e.error_type == kind), None)

    def references(self, kind: str) -> dict[str, str]:
        """Return what an error refers to."""
        found = self.error(kind)
        assert found is not None, self.state.errors
        return {r.reference_key: r.reference_value for r in found.error_references or ()}

    def status(self, name: str) -> str:
        """Return the status of an order's action in the newest state."""
        return {a.action_id: a.action_status for a in self.state.action_states}[name]

    def instant_status(self, name: str) -> str:
        """Return the status of an instant action in the newest state."""
        return {a.action_id: a.action_status for a in self.state.instant_action_states}[name]

    def zone_status(self) -> dict[str, str]:
        """Return types and statuses of zone actions in the newest state."""
        found = self.state.zone_action_states or ()
        return {str(a.action_type): a.action_status for a in found}

    @property
    def x(self) -> float:
        """Where it is."""
        return float(self.body.poses()[0, 0])

    @property
    def bodies(self) -> StraightBodies:
        """The straight body, to be looked into."""
        assert isinstance(self.body, StraightBodies)
        return self.body

    @property
    def at(self) -> tuple[str, int]:
        """The last node that it told of, and its sequence id."""
        return self.state.last_node_id, self.state.last_node_sequence_id


def box(name: str, kind: str, low: float, high: float, half: float = 1.0, **more: Any) -> Zone:
    """Return a zone across the x axis."""
    corners = ((low, -half), (high, -half), (high, half), (low, half))
    return Zone(
        zone_id=name,
        zone_type=kind,  # type: ignore[arg-type]
        vertices=tuple(Vertex(x=x, y=y) for x, y in corners),
        **more,
    )
