"""What a vehicle says of itself: states and visualizations (3.0, 6.6 to 6.8)."""

from __future__ import annotations

import math

from stagetwin_bridges.vda5050.messages import (
    ControlPoint,
    IntermediatePath,
    MobileRobotPosition,
    PlannedPath,
    PowerSupply,
    SafetyState,
    State,
    Trajectory,
    Velocity,
    Visualization,
    Waypoint,
    timestamp_of,
)
from stagetwin_bridges.vda5050.vehicle._geometry import Point, turn
from stagetwin_bridges.vda5050.vehicle._parts import Parts

__all__ = ["Reporter"]

_AHEAD = 10.0
"""How far ahead the path close by is told [m]."""
_SLOW = 0.1
"""Speed that a time of arrival is reckoned with at the least [m/s]."""


class Reporter:
    """Makes a vehicle's states and visualizations."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        navigation = parts.sheet.type_specification.navigation_types
        self._free = "FREELY_NAVIGATING" in navigation[:1]
        self._zones = bool(parts.sheet.type_specification.supported_zones)
        self._seen: tuple[object, ...] = ()

    def look(self) -> None:
        """Note what changed of what is measured and must be told at once (6.6)."""
        parts = self._parts
        seen = (parts.chassis.moving, parts.chassis.blocked, self.base_short, parts.charging)
        if seen != self._seen:
            self._seen = seen
            parts.dirty = True
        for changes in (parts.faults, parts.requests):
            if changes.changed:
                changes.changed = False
                parts.dirty = True

    @property
    def base_short(self) -> bool:
        """Whether the base runs short and there is more to come (6.6.3)."""
        parts = self._parts
        held = parts.held
        if held is None or not held.waits or parts.clearing is not None:
            return False
        speed = parts.chassis.speed
        brake = speed * speed / max(parts.sheet.physical_parameters.maximum_deceleration, 0.05)
        return parts.driver.remaining < parts.options.base_request_distance + brake

    def state(self, now: float) -> State:
        """Return the state as it is, without a header."""
        parts, body = self._parts, self._parts.chassis
        held, modern = parts.held, parts.rules.modern
        planned, intermediate = self._paths(now)
        nodes, edges = held.states() if held is not None else ((), ())
        state = State(
            maps=parts.maps.states(),
            zone_sets=parts.zone_sets.states() if modern and self._zones else None,
            order_id=held.order_id if held is not None else "",
            order_update_id=held.update_id if held is not None else 0,
            last_node_id=parts.last_node_id,
            last_node_sequence_id=parts.last_sequence_id,
            node_states=nodes,
            edge_states=edges,
            planned_path=planned,
            intermediate_path=intermediate,
            mobile_robot_position=self._position(),
            velocity=self._velocity(),
            loads=tuple(parts.loads),
            driving=body.moving,
            paused=parts.paused,
            new_base_request=self.base_short,
            zone_requests=parts.requests.zone_requests() if modern else None,
            edge_requests=parts.requests.edge_requests() if modern else None,
            distance_since_last_node=None if self._free else self._since_node(),
            action_states=tuple(run.state() for run in parts.order_runs.values()),
            instant_action_states=tuple(run.state() for run in parts.instant_runs.values()),
            zone_action_states=(
                tuple(run.state() for run in parts.zone_runs.values())
                if modern and self._zones
                else None
            ),
            power_supply=PowerSupply(
                state_of_charge=min(max(100.0 * body.charge, 0.0), 100.0),
                charging=parts.charging,
            ),
            operating_mode=parts.mode,
            errors=parts.faults.entries(),
            safety_state=SafetyState(
                active_emergency_stop=parts.emergency, field_violation=body.blocked
            ),
        )
        for request in parts.requests.all():
            request.shown = request.shown or request.lost
        return state

    def visualization(self, now: float, reference: int) -> Visualization:
        """Return a visualization, without a header."""
        planned, intermediate = self._paths(now)
        return Visualization(
            reference_state_header_id=reference,
            planned_path=planned,
            intermediate_path=intermediate,
            mobile_robot_position=self._position(),
            velocity=self._velocity(),
        )

    # -- parts -----------------------------------------------------------------------------------

    def _position(self) -> MobileRobotPosition:
        parts, body = self._parts, self._parts.chassis
        return MobileRobotPosition(
            x=body.x,
            y=body.y,
            theta=turn(body.theta),
            map_id=parts.map_id,
            localized=parts.localized,
        )

    def _velocity(self) -> Velocity:
        body = self._parts.chassis
        return Velocity(vx=body.vx, vy=body.vy, omega=body.omega)

    def _since_node(self) -> float:
        driver = self._parts.driver
        return driver.position if driver.stretches else 0.0

    def _paths(self, now: float) -> tuple[PlannedPath | None, IntermediatePath | None]:
        """Return the base as a curve, and its first metres as points with times (6.8)."""
        parts = self._parts
        if not self._free or not parts.driver.stretches:
            return None, None
        points: list[Point] = [(parts.chassis.x, parts.chassis.y)]
        speeds = [1.0]
        for stretch, distance in parts.driver.ahead():
            low = max(-distance, 0.0)
            cut = stretch.way.cut(low, stretch.way.length)[1:]
            points += cut
            top = parts.sheet.physical_parameters.maximum_speed
            speeds += [min(stretch.edge.maximum_speed or top, top)] * len(cut)
        planned = PlannedPath(
            trajectory=Trajectory(
                degree=1, control_points=tuple(ControlPoint(x=x, y=y) for x, y in points)
            ),
            traversed_nodes=tuple(s.node.node_id for s in parts.driver.stretches),
        )
        waypoints = [Waypoint(x=points[0][0], y=points[0][1], eta=timestamp_of(now))]
        length, eta = 0.0, now
        for (ax, ay), (bx, by), speed in zip(points, points[1:], speeds[1:], strict=False):
            step = math.dist((ax, ay), (bx, by))
            length, eta = length + step, eta + step / max(speed, _SLOW)
            waypoints.append(Waypoint(x=bx, y=by, eta=timestamp_of(eta)))
            if length >= _AHEAD:
                break
        return planned, IntermediatePath(polyline=tuple(waypoints))
