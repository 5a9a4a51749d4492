"""Zone sets on their way to a vehicle: sent, enabled once they are there (3.0, 6.4.2).

Both are sent once: the standard asks nobody to repeat them.
"""

from __future__ import annotations

from stagetwin.maps import RoadMap
from stagetwin_bridges._errors import OrderError
from stagetwin_bridges.vda5050.control._mirror import Mirror
from stagetwin_bridges.vda5050.messages import Vertex, Zone, ZoneContents

__all__ = ["Transfer", "zones_of"]


def zones_of(road_map: RoadMap, zone_set_id: str = "") -> ZoneContents:
    """Return the zones of a map as a zone set; those that only name an authority are left out.

    Args:
        road_map: the map.
        zone_set_id: its id; made of the map's digest where empty, for the content of an id never
            changes (6.4.2).
    """
    zones = []
    for zone in road_map.zones.values():
        if not zone.type:
            continue
        directed, both = zone.type == "DIRECTED", zone.type == "BIDIRECTED"
        limitation = zone.limitation or "SOFT"
        zones.append(
            Zone(
                zone_id=zone.id,
                zone_type=zone.type,  # type: ignore[arg-type]  # the map was checked
                vertices=tuple(Vertex(x=x, y=y) for x, y in zone.polygon),
                maximum_speed=zone.maximum_speed if zone.type == "SPEED_LIMIT" else None,
                entry_actions=() if zone.type == "ACTION" else None,
                during_actions=() if zone.type == "ACTION" else None,
                exit_actions=() if zone.type == "ACTION" else None,
                release_loss_behavior="STOP" if zone.type == "RELEASE" else None,
                priority_factor=(zone.factor or 0.0) if zone.type == "PRIORITY" else None,
                penalty_factor=(zone.factor or 0.0) if zone.type == "PENALTY" else None,
                direction=(zone.direction or 0.0) if directed or both else None,
                directed_limitation=limitation if directed else None,  # type: ignore[arg-type]
                bidirected_limitation=limitation if both else None,  # type: ignore[arg-type]
            )
        )
    name = zone_set_id or f"{road_map.id}-{road_map.digest[:12]}"
    return ZoneContents(map_id=road_map.id, zone_set_id=name, zones=tuple(zones))


class Transfer:
    """One zone set on its way to one vehicle.

    Attributes:
        contents: the zone set.
        action_id: of the action that enables it, once that was sent.
        done: whether the vehicle shows it as enabled.
        fault: why it cannot come true; empty while it can.
    """

    def __init__(self, contents: ZoneContents) -> None:
        self.contents = contents
        self.action_id = ""
        self.done = False
        self.fault = ""
        self._steps = set[str]()

    def step(self, mirror: Mirror) -> str:
        """Return what is to be sent now: `send`, `enable` or nothing; each comes once."""
        state = mirror.state
        if state is None or self.done or self.fault:
            return ""
        name = self.contents.zone_set_id
        shown = {each.zone_set_id: each.zone_set_status for each in state.zone_sets or ()}
        if shown.get(name) == "ENABLED":
            self.done = True
            return ""
        enabling = mirror.instant_action(self.action_id) if self.action_id else None
        if enabling is not None and enabling.action_status == "FAILED":
            self.fault = f"it was not enabled: {enabling.action_result or 'no words'}"
            return ""
        for error in state.errors:
            about = {r.reference_value for r in error.error_references or ()}
            if name in about and error.error_type != "DUPLICATE_ZONE_SET":
                self.fault = f"{error.error_type}: {error.error_description or 'no words'}"
                return ""
        step = "enable" if name in shown else "send"
        if step in self._steps:
            return ""
        self._steps.add(step)
        return step

    def check(self, mirror: Mirror) -> None:
        """Raise OrderError where the vehicle cannot take the zone set."""
        sheet = mirror.limits.factsheet
        if sheet is None:
            return
        known = sheet.type_specification.supported_zones or ()
        odd = sorted({zone.zone_type for zone in self.contents.zones} - set(known))
        if odd:
            names = ", ".join(known) or "none"
            raise OrderError(f"zones of type {', '.join(odd)}; the vehicle supports {names}")
        most = sheet.protocol_limits.maximum_array_lengths.zone_set_zones
        if most and len(self.contents.zones) > most:
            raise OrderError(f"{len(self.contents.zones)} zones, at most {most} are allowed")
