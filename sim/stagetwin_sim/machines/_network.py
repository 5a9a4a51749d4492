"""What the pumps, valves and tanks of one line do to each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stagetwin_sim.machines._drives import Pump, Valve
from stagetwin_sim.machines._vessels import Tank

__all__ = ["Network"]

_SHUTOFF = 1.25
"""Head at no flow, as a share of rated head; the curve falls with the square of the flow."""
_VALVE_LOSS = 0.02
"""Of an open suction valve at rated flow, as a share of rated head."""
_OVERLAP = 1e-3
"""Opening below which a valve is tight."""
_METRE_OF_WATER = 0.0981
"""[bar]"""
_PER_SECOND = {"m3/h": 1 / 3600, "L/min": 1e-3 / 60, "L/s": 1e-3, "m3/s": 1.0}
"""Of flows in these units [m3/s]."""


class Network:
    """Tanks -> suction valve and pump, in parallel -> one discharge valve -> out of the line.

    Each pump stands behind the suction valve of its own rank; valves beyond the pumps are in
    series on the common discharge. A pump delivers where its curve meets the network's:
    head(n, q) = H0 (n/nr)^2 - a q^2 at speed n, and losses grow with q^2 (Guelich, Centrifugal
    Pumps, sections 1.6 and 11.1). A check valve keeps flow from going back. What leaves the tanks
    is what the pumps deliver, and what comes in is the supply's: nothing appears or vanishes.

    Attributes:
        flow: newest total flow [unit of the pumps' flow].
        supplied, delivered: into and out of the line since the start [m3].
        modelled: whether models of the stage say what flows: then only the pumps' protection and
            the sum of the flows are found here.
    """

    def __init__(
        self, pumps: Sequence[Pump], valves: Sequence[Valve], tanks: Sequence[Tank]
    ) -> None:
        self.pumps, self.tanks = tuple(pumps), tuple(tanks)
        self._suction: list[Valve | None] = [
            valves[i] if i < len(valves) else None for i in range(len(pumps))
        ]
        self._discharge = tuple(valves[len(pumps) :])
        self.flow = self.supplied = self.delivered = 0.0
        self.modelled = False
        duty = max(len(pumps) - 1, 1)
        head = max((p.rated_head for p in pumps), default=1.0)
        flow = max((p.rated_flow for p in pumps), default=1.0)
        self._resistance = (_SHUTOFF - 0.27) * head / (duty * flow) ** 2
        binding = next((p.plate.telemetry.get("flow") for p in pumps), None)
        self._cubic = _PER_SECOND.get(binding.unit if binding else "", 1 / 3600)
        self._largest_supply = 1.1 * duty * flow * self._cubic / max(len(tanks), 1)

    def settle(self) -> None:
        """Find the flows and pressures for the speeds and openings of this moment."""
        if self.modelled:
            self._protect()
            return
        suction = self._suction_pressure()
        flooded = self._flooded()
        rows = []
        for pump, valve in zip(self.pumps, self._suction, strict=True):
            opening = valve.opening if valve is not None else 1.0
            sound = 1.0 - pump.ills.get("wear", 0.0)
            curve = sound * (_SHUTOFF - 1.0) * pump.rated_head / pump.rated_flow**2
            loss = math.inf
            if opening > _OVERLAP:
                loss = _VALVE_LOSS * pump.rated_head / (pump.rated_flow * opening) ** 2
            rows.append((sound * _SHUTOFF * pump.rated_head * pump.share**2, curve + loss))
        head = self._common_head(rows) if flooded else 0.0
        self.flow = 0.0
        for pump, (shutoff, loss) in zip(self.pumps, rows, strict=True):
            pump.flow = math.sqrt(max(shutoff - head, 0.0) / loss) if flooded else 0.0
            pump.suction, pump.flooded = suction, flooded
            # The gauge sits between pump and check valve: a pump that does not deliver shows its
            # own head, one that stands the pressure of its suction side.
            pump.discharge = suction + (head if pump.flow > 0 else shutoff)
            if self.tanks:
                pump.fluid_temperature = self.tanks[0].temperature
            self.flow += pump.flow

    def step(self, dt: float) -> None:
        """Move liquid for `dt` [s]."""
        self.settle()
        if self.modelled:
            return
        if not self.tanks:
            self.delivered += self.flow * self._cubic * dt
            return
        held = sum(tank.volume for tank in self.tanks)
        leaves = min(self.flow * self._cubic * dt, held)
        self.delivered += leaves
        for tank in self.tanks:
            share = leaves * tank.volume / held if held else 0.0
            room = tank.capacity - tank.volume + share
            # Proportional level control of the supply, which opens fully 10 % below its setpoint.
            gap = min(max(10 * (tank.wanted - tank.volume / tank.capacity) + 0.3, 0.0), 1.0)
            tank.makeup = min(gap * self._largest_supply, room / dt)
            self.supplied += tank.makeup * dt
            tank.exchange(tank.makeup * dt, share)

    def _flooded(self) -> bool:
        return not self.tanks or any(t.volume > 0.02 * t.capacity for t in self.tanks)

    def _protect(self) -> None:
        flooded = self._flooded()
        for pump in self.pumps:
            pump.flooded = flooded
            if self.tanks:
                pump.fluid_temperature = self.tanks[0].temperature
        self.flow = sum(pump.flow for pump in self.pumps)

    def _suction_pressure(self) -> float:
        if not self.tanks:
            return 0.3
        return _METRE_OF_WATER * sum(tank.level for tank in self.tanks) / len(self.tanks)

    def _common_head(self, rows: Sequence[tuple[float, float]]) -> float:
        """Return the head at which all pumps together deliver what the discharge lets through.

        What the pumps deliver falls with the head and what the discharge takes rises with it, so
        there is one such head; it is found by bisection.
        """
        opening = min((valve.opening for valve in self._discharge), default=1.0)
        low, high = 0.0, max((shutoff for shutoff, _ in rows), default=0.0)
        if opening <= _OVERLAP or high <= 0:
            return high
        takes = opening / math.sqrt(self._resistance)
        for _ in range(48):
            head = (low + high) / 2
            delivered = sum(math.sqrt(max(shutoff - head, 0.0) / loss) for shutoff, loss in rows)
            if delivered > takes * math.sqrt(head):
                low = head
            else:
                high = head
        return (low + high) / 2
