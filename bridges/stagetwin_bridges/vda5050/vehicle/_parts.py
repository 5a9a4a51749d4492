"""What the modules of one vehicle share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stagetwin_bridges.vda5050.messages import (
    EmergencyStop,
    Factsheet,
    Load,
    OperatingMode,
)
from stagetwin_bridges.vda5050.vehicle._abilities import Abilities
from stagetwin_bridges.vda5050.vehicle._chassis import Chassis
from stagetwin_bridges.vda5050.vehicle._device import Device
from stagetwin_bridges.vda5050.vehicle._driver import Driver
from stagetwin_bridges.vda5050.vehicle._faults import Faults
from stagetwin_bridges.vda5050.vehicle._held import HeldOrder
from stagetwin_bridges.vda5050.vehicle._maps import MapStore, ZoneSetStore
from stagetwin_bridges.vda5050.vehicle._options import VehicleOptions
from stagetwin_bridges.vda5050.vehicle._requests import Requests
from stagetwin_bridges.vda5050.vehicle._rules import Rules
from stagetwin_bridges.vda5050.vehicle._runs import ActionQueue, Run

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["Clearing", "Parts"]


@dataclass(slots=True)
class Clearing:
    """An order that is being given up.

    Attributes:
        ends: what is to be done once the vehicle stands and its actions are over.
    """

    ends: list[Callable[[float], None]] = field(default_factory=list)


@dataclass(slots=True)
class Parts:
    """What the modules of one vehicle share.

    Attributes:
        mode: operating mode that is reported.
        last_node_id, last_sequence_id: of the node passed last.
        map_id: of the map that it is on.
        entered: sequence id of the edge that was entered last; -1 for none.
        dirty: whether something changed that must be told in a state.
        state_asked, factsheet_asked: whether a message was asked for.
        hibernation: `asked` until a state told of it, then `on`; empty while awake.
        wake_at: when it wakes by itself [s, Unix].
        shutting_down: whether it ends once a state told of it.
        triggers: kinds of trigger that came since the last step.
    """

    rules: Rules
    sheet: Factsheet
    abilities: Abilities
    options: VehicleOptions
    chassis: Chassis
    device: Device
    road_map: RoadMap | None
    driver: Driver
    faults: Faults
    maps: MapStore
    requests: Requests
    mode: OperatingMode
    map_id: str
    zone_sets: ZoneSetStore = field(default_factory=ZoneSetStore)
    queue: ActionQueue = field(default_factory=ActionQueue)
    held: HeldOrder | None = None
    clearing: Clearing | None = None
    order_runs: dict[str, Run] = field(default_factory=dict)
    instant_runs: dict[str, Run] = field(default_factory=dict)
    zone_runs: dict[str, Run] = field(default_factory=dict)
    loads: list[Load] = field(default_factory=list)
    last_node_id: str = ""
    last_sequence_id: int = 0
    entered: int = -1
    paused: bool = False
    charging: bool = False
    localized: bool = True
    emergency: EmergencyStop = "NONE"
    dirty: bool = True
    state_asked: bool = False
    factsheet_asked: bool = False
    hibernation: str = ""
    wake_at: float | None = None
    shutting_down: bool = False
    triggers: set[str] = field(default_factory=set)
    reports: int = 0

    @property
    def controlled(self) -> bool:
        """Whether fleet control is in control."""
        return self.mode in ("AUTOMATIC", "SEMIAUTOMATIC")

    @property
    def active(self) -> bool:
        """Whether there is an order that is not over."""
        if self.held is not None and not self.held.done:
            return True
        return any(not run.ended for run in self.order_runs.values())

    @property
    def idle(self) -> bool:
        """Whether a new order can be taken (6.6.8)."""
        return not self.active and self.clearing is None

    def set_status(self, run: Run, status: str, result: str = "") -> None:
        """Change the status of an action; a state will tell."""
        if run.status != status or (result and run.result != result):
            run.status = status  # type: ignore[assignment]
            if result:
                run.result = result
            self.dirty = True
