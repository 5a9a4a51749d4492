"""What a command may know of the plant: signals as the plant's own layers bind them.

A session could bind a permissive to another address. So a signal counts only where the live binding
is the very one that the guards' stage has; else it is unknown, and unknown never permits.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from stagetwin.bindings import BindingTable, TelemetryBinding
from stagetwin.signals import Quality, Status
from stagetwin.twin import Twin
from stagetwin.values import plain

__all__ = ["Inputs", "Known", "permits"]


class Known(NamedTuple):
    """What is known of one signal.

    Attributes:
        binding: the signal.
        value: newest value as plain data; None if none ever arrived.
        quality: judgement of the service.
        status: raw status code.
        received: when its newest sample came in [s, Unix]; NaN for never.
        accepted: when its newest usable sample was taken up [s, steady clock]; -inf for never.
        realm: realm of its connection.
    """

    binding: TelemetryBinding
    value: Any
    quality: Quality
    status: int
    received: float
    accepted: float
    realm: str

    @property
    def good(self) -> bool:
        """Whether the value may permit something."""
        return self.quality is Quality.GOOD and self.value is not None

    @property
    def fresh(self) -> bool:
        """Whether the source lives and its value is measured, be it outside the soft limits."""
        return self.good or (
            self.quality is Quality.UNCERTAIN
            and self.status == Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
            and self.value is not None
        )


class Inputs:
    """Signals by the path of the property that they drive."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._by_path: dict[str, list[tuple[int, TelemetryBinding]]] = {}
        self._guarded: BindingTable | None = None
        self._distrusted: set[int] = set()
        self._since: dict[int, float] = {}

    def rebind(self, guarded: BindingTable | None) -> None:
        """Take the bindings of the guards' stage; the live ones are looked up beside them."""
        self._guarded = guarded
        approved: dict[str, list[TelemetryBinding]] = {}
        for binding in guarded.telemetry.values() if guarded is not None else ():
            if binding.element < 0:
                approved.setdefault(binding.target, []).append(binding)
        found: dict[str, list[tuple[int, TelemetryBinding]]] = {}
        distrusted: set[int] = set()
        for index, binding in self._twin.table.telemetry.items():
            if binding in approved.get(binding.target, ()) and self._leads_where_approved(binding):
                found.setdefault(binding.target, []).append((index, binding))
            else:
                distrusted.add(index)
        # What was another's word a moment ago counts again from its next sample.
        for index in self._distrusted - distrusted:
            self._since[index] = self._twin.clock.steady()
        self._distrusted = distrusted
        # A session that hides one of several redundant signals hides what it would have said.
        self._by_path = {
            path: signals for path, signals in found.items() if len(signals) == len(approved[path])
        }

    def _leads_where_approved(self, binding: TelemetryBinding) -> bool:
        """Tell whether a signal's connection is the approved one too, endpoint and all."""
        name = binding.connection
        approved = self._guarded.connections.get(name) if self._guarded is not None else None
        return approved is not None and self._twin.table.connections.get(name) == approved

    def of(self, path: str) -> list[Known]:
        """Return what is known of the signals that drive a property; empty for nothing."""
        return [self._known(index, binding) for index, binding in self._by_path.get(path, ())]

    def one(self, path: str) -> Known | None:
        """Return the signal of the best quality that drives a property."""
        return min(self.of(path), key=lambda known: known.quality, default=None)

    def _known(self, index: int, binding: TelemetryBinding) -> Known:
        latest = self._twin.hub.latest
        spec = self._guarded.connections.get(binding.connection) if self._guarded else None
        accepted = float(latest.accepted[index])
        trusted = accepted > self._since.get(index, -math.inf) or index not in self._since
        return Known(
            binding,
            plain(self._twin.value_of(index)),
            Quality(int(latest.quality[index])) if trusted else Quality.STALE,
            int(latest.status[index]),
            float(latest.receive_time[index]),
            accepted,
            spec.realm if spec is not None else "",
        )


def permits(known: list[Known]) -> bool | None:
    """Judge a permissive: True or False where it is known, None where it is not.

    Of redundant signals, each good one must say true.
    """
    said = [signal.value for signal in known if signal.good]
    if not said or not all(isinstance(value, bool) for value in said):
        return None
    return all(said)
