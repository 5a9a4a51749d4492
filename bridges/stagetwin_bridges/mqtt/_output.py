"""What decoding yields, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field

from stagetwin.ports import ChannelSpec, Reject
from stagetwin.signals import SampleBuffer
from stagetwin_bridges.fields import FieldPath
from stagetwin_bridges.mqtt._times import RelativeClock, SequenceCounter
from stagetwin_bridges.mqtt._values import shown

__all__ = ["Clockwork", "Output", "Reading"]


class Output:
    """What decoding yields between two hand-overs: samples, and counts of what was refused."""

    def __init__(self, capacity: int) -> None:
        self.buffer = SampleBuffer(capacity)
        self.refused: dict[Reject, int] = {}
        self.examples: dict[Reject, str] = {}

    def refuse(
        self, reason: Reject, text: str, channel: ChannelSpec, topic: str, payload: bytes
    ) -> None:
        """Count one sample, and keep the first example of its cause."""
        self.refused[reason] = self.refused.get(reason, 0) + 1
        if reason not in self.examples:
            where = f" (topic {topic})" if topic != channel.address else ""
            where += f", field {channel.field}" if channel.field else ""
            self.examples[reason] = (
                f"{channel.prim}, {channel.signal} at {channel.address}{where}: {text}; "
                f"payload {shown(payload)}"
            )

    def count(self, reason: Reject, count: int, text: str) -> None:
        """Count messages that cannot be laid at the door of one channel."""
        self.refused[reason] = self.refused.get(reason, 0) + count
        self.examples.setdefault(reason, text)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the connection says of all its payloads: where the source time and sequence lie."""

    time: FieldPath | None = None
    time_unit: str = "s"
    sequence: FieldPath | None = None


@dataclass(slots=True)
class Clockwork:
    """What is remembered of one topic: where its source's clock and counter stand."""

    clock: RelativeClock = field(default_factory=RelativeClock)
    counter: SequenceCounter = field(default_factory=SequenceCounter)
    warned: bool = False
