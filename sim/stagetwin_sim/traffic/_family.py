"""Fleets on the stage: models of kind `fleet`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stagetwin.bindings import ModelBinding
from stagetwin.fleets import VehicleType
from stagetwin.maps import MapError, MapFrame, RoadMap, read_maps
from stagetwin_sim._errors import FleetError, TrafficError
from stagetwin_sim.engine import Parameter, PlanBuilder, Port
from stagetwin_sim.plant import PortScope
from stagetwin_sim.traffic._fleet import FleetSimulation
from stagetwin_sim.traffic._options import FleetOptions
from stagetwin_sim.traffic._prims import to_world_of, vehicles_of
from stagetwin_sim.traffic._system import FleetPlan

__all__ = ["FLEETS", "FleetFamily"]

_PARAMETERS = (
    Parameter("arrivals", "1/h", 0, 0, 1e5, "at each pick station; 0 has loads always waiting"),
    Parameter("transfer_time", "s", 8, 0, 3600, "to take or give a load"),
    Parameter("charge_below", "1", 0.3, 0, 1, "charge at which an idle vehicle charges"),
    Parameter("people", "1", 0, 0, 1000, "who walk there"),
    Parameter("delay", "s", 0, 0, 30, "of messages, each way"),
    Parameter("loss", "1", 0, 0, 0.95, "share of messages that are lost"),
    Parameter("speed", "m/s", 1.5, 0.05, 10, "of the vehicles"),
)
_OUTPUTS = (
    Port("tasks", "1", 0.0, "done since the start"),
    Port("throughput", "1/h", 0.0, "tasks an hour since the start"),
    Port("waiting", "1", 0.0, "share of the vehicles' time"),
    Port("collisions", "1", 0.0, "since the start"),
    Port("near_misses", "1", 0.0, "since the start"),
    Port("deadlocks", "1", 0.0, "since the start"),
)
_NEAR = 1.0
"""A vehicle begins at the node that its prim is so near to [m]."""


class FleetFamily:
    """The models of kind `fleet`: the relationship `map` names the map, `vehicles` prims or a
    PointInstancer."""

    phase = "external"

    def plan(
        self, bindings: Sequence[ModelBinding], builder: PlanBuilder, scope: PortScope
    ) -> None:
        """See Family."""
        for binding in sorted(bindings, key=lambda b: b.path):
            try:
                plan = _plan_of(binding, builder, scope)
            except (TrafficError, FleetError, MapError) as error:
                scope.report(binding, "fleet", str(error))
                continue
            builder.add(plan)
            scope.placed(binding, None, plan.name, 0)


FLEETS = FleetFamily()
"""What the entry point names."""


def _plan_of(binding: ModelBinding, builder: PlanBuilder, scope: PortScope) -> FleetPlan:
    arrivals, transfer, below, people, delay, loss, speed = scope.parameters(binding, _PARAMETERS)
    road_map = _map_of(binding, scope)
    prims = scope.related(binding, "vehicles")
    if not prims:
        raise TrafficError(f"{binding.prim}: vehicles names no prim")
    frame = MapFrame(scope.stage.GetPrimAtPath(road_map.prim))
    to_world = to_world_of(frame)
    rate = 1 / builder.frame
    period = max(1, round(0.2 * rate)) / rate
    picks = [s.id for s in road_map.stations.values() if s.kind in ("pick", "transfer")]
    options = FleetOptions(
        arrivals=dict.fromkeys(picks, arrivals) if arrivals > 0 else {},
        transfer_time=transfer,
        charge_below=below,
        people=round(people),
        delay=delay,
        loss=loss,
        step=builder.frame,
        period=period,
        look=2 * period,
    )
    vehicles, places = vehicles_of(scope.stage, prims, frame, to_world)
    plan = FleetPlan(
        name=f"fleet:{binding.path}",
        rate=rate,
        road_map=road_map,
        to_world=to_world,
        types=(VehicleType(speed=speed),),
        vehicles=vehicles,
        starts=_starts(places, road_map),
        options=options,
        columns={port.name: scope.output(binding, port) for port in _OUTPUTS},
    )
    # What cannot be is found now, while it can be reported.
    FleetSimulation(
        road_map, plan.types, vehicles=len(vehicles), options=options, starts=plan.starts
    )
    return plan


def _map_of(binding: ModelBinding, scope: PortScope) -> RoadMap:
    named = scope.related(binding, "map")
    maps = [
        each for each in read_maps(scope.stage).maps.values() if not named or each.prim in named
    ]
    if len(maps) != 1:
        raise TrafficError(
            f"{binding.prim}: map must name one map's prim, or be left out where the stage has "
            f"one; found {len(maps)}"
        )
    return maps[0]


def _starts(places: Sequence[tuple[float, float]], road_map: RoadMap) -> tuple[str, ...] | None:
    """Return the node near each vehicle; None where one has none of its own."""
    found: list[str] = []
    for x, y in places:
        node = road_map.nearest(x, y, _NEAR)
        if node is None or node.id in found or not math.isfinite(x + y):
            return None
        found.append(node.id)
    return tuple(found)
