"""Operating modes: who is in control, and what becomes of the order (3.0, 6.6.6)."""

from __future__ import annotations

import math

from stagetwin_bridges.vda5050.messages import OperatingMode
from stagetwin_bridges.vda5050.vehicle._clearing import begin_clearing, step_clearing
from stagetwin_bridges.vda5050.vehicle._parts import Parts
from stagetwin_bridges.vda5050.vehicle._performer import Performer
from stagetwin_bridges.vda5050.vehicle._rules import Until

__all__ = ["Modes"]

_NO_ORDERS = ("MANUAL", "STARTUP", "SERVICE", "TEACH_IN")
_NO_NODE = ("STARTUP", "SERVICE", "TEACH_IN")
_CONTROLLED = ("AUTOMATIC", "SEMIAUTOMATIC")


class Modes:
    """Changes a vehicle's operating mode."""

    def __init__(self, parts: Parts, performer: Performer) -> None:
        """Make it.

        Raises:
            ValueError: the mode at the start is none of the version's.
        """
        self._parts = parts
        self._performer = performer
        self._next: OperatingMode | None = None
        self._manual_from: tuple[float, float] | None = None
        self._check(parts.mode)

    def set(self, mode: OperatingMode, now: float) -> None:
        """Change the mode; one without orders is reported once the order's actions are over.

        Raises:
            ValueError: the version has no such mode.
        """
        self._check(mode)
        self._next = None
        parts = self._parts
        if mode in _NO_ORDERS and parts.mode not in _NO_ORDERS:
            self._next = mode
            begin_clearing(parts, self._performer, now, self._cleared, at_node=False)
            step_clearing(parts, now)
        else:
            self._report(mode)

    def step(self) -> None:
        """In MANUAL, forget the last node once the vehicle was taken away from it (6.6.6)."""
        parts = self._parts
        if self._manual_from is None or not parts.last_node_id:
            return
        moved = math.dist(self._manual_from, (parts.chassis.x, parts.chassis.y))
        if moved > parts.options.tolerance:
            parts.last_node_id, parts.last_sequence_id = "", 0
            parts.dirty = True

    def _cleared(self, now: float) -> None:
        del now
        if self._next is not None:
            self._report(self._next)

    def _report(self, mode: OperatingMode) -> None:
        parts = self._parts
        before, parts.mode = parts.mode, mode
        self._next = None
        if mode not in _CONTROLLED:
            parts.requests.clear()
        elif before not in _CONTROLLED:
            # A person may have driven it: what was given to the body began elsewhere.
            parts.driver.forget()
        if mode in _NO_NODE:
            parts.last_node_id, parts.last_sequence_id = "", 0
        self._manual_from = (parts.chassis.x, parts.chassis.y) if mode == "MANUAL" else None
        if mode in parts.rules.orders_in:
            parts.faults.end(Until.MODE)
        parts.dirty = True

    def _check(self, mode: OperatingMode) -> None:
        rules = self._parts.rules
        if mode not in rules.modes:
            raise ValueError(
                f"operating mode {mode!r}: {rules.version} has {', '.join(sorted(rules.modes))}"
            )
