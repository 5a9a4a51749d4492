"""What may be set about a vehicle beside its factsheet."""

from __future__ import annotations

import msgspec

from stagetwin_bridges.vda5050.messages import OperatingMode

__all__ = ["VehicleOptions"]


class VehicleOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may be set about a vehicle beside its factsheet.

    Attributes:
        state_interval: longest time between two states [s]; None is the factsheet's, else 30.
        visualization_interval: between two visualizations [s]; None is the factsheet's,
            0 sends none.
        mode: operating mode at the start.
        map_id: of the map that it starts on, where no road map is given.
        map_version: of that map.
        last_node_id: where it starts; empty is the nearest node of the road map within tolerance.
        tolerance: how exactly it can reach a point [m]; what no deviation means for a node.
        tolerance_theta: how exactly it can turn [rad].
        reverses: whether its body can drive backward; else edges that ask for it are refused.
        stops_at_nodes: whether it must reach the next node to stop; None is yes for a physically
            line-guided one.
        base_request_distance: length of base that is running short [m].
        request_distance: how far ahead of a zone it asks for it [m].
        request_retry: how long after a refusal or a loss it asks again [s].
        hold_margin: how far before a closed zone it stands [m].
        corridor_patience: how long it stands before an obstacle until it uses a corridor [s].
        notice_seconds: how long an error is shown that lasts a while [s].
        critical_charge: share of charge at which it says so, and wakes from hibernation.
        instant_states: how many instant actions it keeps in its state.
    """

    state_interval: float | None = None
    visualization_interval: float | None = None
    mode: OperatingMode = "AUTOMATIC"
    map_id: str = "map"
    map_version: str = "1"
    last_node_id: str = ""
    tolerance: float = 0.1
    tolerance_theta: float = 0.15
    reverses: bool = False
    stops_at_nodes: bool | None = None
    base_request_distance: float = 4.0
    request_distance: float = 5.0
    request_retry: float = 10.0
    hold_margin: float = 0.1
    corridor_patience: float = 3.0
    notice_seconds: float = 30.0
    critical_charge: float = 0.05
    instant_states: int = 100
