"""Which machines of a plant play which part in the demo."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from stagetwin.bindings import BindingTable, CommandBinding
from stagetwin.ports import ValueKind, scheme_of
from stagetwin_bridges.mqtt._command_payload import carries_id
from stagetwin_bridges.mqtt._options import Endpoint

__all__ = ["Cast", "Part"]

_SHARE = 0.15
"""How far a command moves its setpoint, as a share of the hard limits."""
_OF_RATE = 0.8
"""How much of the step that the rate limit allows is asked for at most."""
_NUMBERS = (ValueKind.NUMBER, ValueKind.INTEGER)
_WITNESSES = ("flow",)
"""Signals that tell whether a machine does what it says, by name."""


@dataclass(frozen=True, slots=True)
class Part:
    """A machine, and the setpoint by which it is commanded.

    Attributes:
        command: the setpoint.
        readback: path of the signal that reads it back, as people write it.
        permissives: paths of the signals that must be true, as far as they are signals.
        witness: path of another signal of the machine that follows it; empty if there is none.
        witness_unit: its unit.
    """

    command: CommandBinding
    readback: str
    permissives: tuple[str, ...] = ()
    witness: str = ""
    witness_unit: str = "1"

    @property
    def name(self) -> str:
        """The machine as people call it."""
        return self.command.asset.rpartition("/")[2]

    @property
    def label(self) -> str:
        """Machine and setpoint."""
        return f"{self.command.prim.rpartition('/')[2]}.{self.command.signal}"

    def another_value(self, value: float) -> float:
        """Return a setpoint that is well away from `value` and may be asked for in one step."""
        limits = self.command.limits
        low, high = _number(limits.hard_min, -math.inf), _number(limits.hard_max, math.inf)
        step = self._step(value)
        margin = _SHARE * (high - low) if math.isfinite(high - low) else 0.0
        return self.rounded(value + step if value + step <= high - margin else value - step)

    def rounded(self, value: float) -> float:
        """Return the setpoint near `value` that people would write."""
        limits = self.command.limits
        low, high = _number(limits.hard_min, -math.inf), _number(limits.hard_max, math.inf)
        grain = 10.0 ** math.floor(math.log10(self._step(value))) / 2
        near = min(max(round(value / grain) * grain, low), high)
        if self.command.value_type.kind is ValueKind.INTEGER:
            near = round(near)
        # Without the digits that binary fractions leave behind.
        return float(f"{near:.12g}")

    def _step(self, value: float) -> float:
        """Return how far to go from `value`."""
        limits = self.command.limits
        span = _number(limits.hard_max, math.inf) - _number(limits.hard_min, -math.inf)
        step = _SHARE * span if math.isfinite(span) else max(_SHARE * abs(value), 1.0)
        return min(step, _OF_RATE * self.command.rate_limit * self.command.settle_time)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays which part; None where the plant has nobody for it.

    Attributes:
        obeys: does what it is told, and lies later.
        refuses: another machine, which can say so: over MQTT 3.1.1 a bare value carries no id, so
            that nobody can answer it.
        drops_off: hangs on a gateway of its own, which is a server.
        others: all others that could be commanded as they are.
    """

    obeys: Part | None = None
    refuses: Part | None = None
    drops_off: Part | None = None
    others: tuple[Part, ...] = ()

    @classmethod
    def of(cls, table: BindingTable) -> Cast:
        """Choose machines whose setpoint is a number, needs no approval, and is read back.

        Args:
            table: the plant's bindings.
        """
        parts = [part for part in _parts(table) if part is not None]
        served = [part for part in parts if _is_served(part, table)]
        others = [part for part in parts if part not in served]
        # A machine with a witness shows the most; two of a kind tell one story.
        others.sort(key=lambda part: not part.witness)
        obeys = next(iter(others or served), None)
        answering = (p for p in (*others, *served) if _answers(p, table))
        refuses = next((p for p in answering if obeys and p.name != obeys.name), None)
        drops_off = next((p for p in served if p is not obeys), None)
        played = (obeys, refuses, drops_off)
        return cls(*played, others=tuple(part for part in parts if part not in played))


def _parts(table: BindingTable) -> Iterable[Part | None]:
    by_target = {binding.target: binding for binding in table.telemetry.values()}
    witnesses = {(b.asset, b.signal): b for b in table.telemetry.values() if b.signal in _WITNESSES}
    for command in table.commands:
        asset = table.assets.get(command.asset)
        readback = by_target.get(command.readback)
        if (
            asset is None
            or asset.level != "twin"
            or not asset.roles
            or readback is None
            or command.approval != "none"
            or command.value_type.kind not in _NUMBERS
            or command.element >= 0
            or table.connections[command.connection].realm != "simulation"
        ):
            yield None
            continue
        found = (witnesses.get((command.asset, name)) for name in _WITNESSES)
        witness = next((binding for binding in found if binding is not None), None)
        yield Part(
            command,
            readback.path,
            tuple(by_target[path].path for path in command.permissives if path in by_target),
            witness.path if witness else "",
            witness.unit if witness else "1",
        )


def _is_served(part: Part, table: BindingTable) -> bool:
    return scheme_of(table.connections[part.command.connection].endpoint) == "opc.tcp"


def _answers(part: Part, table: BindingTable) -> bool:
    """Return whether an answer of the machine finds its command."""
    spec = table.connections[part.command.connection]
    if not spec.endpoint.startswith("mqtt"):
        return True
    return carries_id(part.command.wire(), Endpoint.parse(spec.endpoint).options.version)


def _number(bound: object, otherwise: float) -> float:
    return float(bound) if isinstance(bound, (int, float)) else otherwise
