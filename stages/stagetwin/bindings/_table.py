"""What reading a stage yields: everything that is live, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stagetwin.bindings._model import (
    AlarmBinding,
    Asset,
    CommandBinding,
    ModelBinding,
    Problem,
    RuleBinding,
    Severity,
    TelemetryBinding,
)
from stagetwin.ports import ChannelSpec, ConnectionSpec

__all__ = ["BindingTable", "ChannelIndex"]


class ChannelIndex:
    """Hands out channel indices: the same binding keeps its index for the life of the process.

    A binding whose address, type or connection changes is another channel, so that samples of the
    old one that are still on their way can be told apart. Indices are never reused.
    """

    def __init__(self) -> None:
        self._index: dict[tuple[object, ...], int] = {}

    def __len__(self) -> int:
        return len(self._index)

    def of(self, binding: TelemetryBinding) -> int:
        """Return the index of a binding."""
        key = (
            binding.prim,
            binding.signal,
            binding.element,
            binding.target,
            binding.connection,
            binding.address,
            binding.field,
            binding.encoding,
            binding.type_name,
            binding.scale,
            binding.offset,
        )
        return self._index.setdefault(key, len(self._index))


@dataclass(slots=True)
class BindingTable:
    """Everything on a stage that is live, and everything that should be and is not.

    Attributes:
        telemetry: by channel index, in stage order.
        commands: in stage order.
        rules: in stage order.
        alarms: in stage order.
        models: in stage order.
        connections: by name.
        assets: by prim path.
        problems: sorted by prim and signal.
    """

    telemetry: dict[int, TelemetryBinding] = field(default_factory=dict)
    commands: list[CommandBinding] = field(default_factory=list)
    rules: list[RuleBinding] = field(default_factory=list)
    alarms: list[AlarmBinding] = field(default_factory=list)
    models: list[ModelBinding] = field(default_factory=list)
    connections: dict[str, ConnectionSpec] = field(default_factory=dict)
    assets: dict[str, Asset] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def channels(self, connection: str) -> list[ChannelSpec]:
        """Return the channels that one connection carries."""
        return [b.channel(i) for i, b in self.telemetry.items() if b.connection == connection]

    def errors(self) -> Sequence[Problem]:
        """Return the problems that keep something from running."""
        return [p for p in self.problems if p.severity is Severity.ERROR]
