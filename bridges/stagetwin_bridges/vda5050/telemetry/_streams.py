"""What is remembered of each vehicle between two messages, and what its headers tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from stagetwin.ports import Reject
from stagetwin_bridges.mqtt._client import DUPLICATE, RETAINED
from stagetwin_bridges.mqtt._output import Output
from stagetwin_bridges.mqtt._times import NAN, SequenceCounter, iso_time
from stagetwin_bridges.vda5050.messages import Codec

__all__ = ["Examiner", "Place", "Stream"]

_NEVER = 2**63
_RECENT = 2.0
"""A position of one topic is held against the other's for so long [s]."""


@dataclass(slots=True)
class Place:
    """When a vehicle last told its position, by topic: (source time, receive time) [s, Unix]."""

    told: dict[str, tuple[float, float]] = field(default_factory=dict)

    def takes(self, topic: str, source: float, now: float) -> bool:
        """Return whether a position is news: no other topic has just told a later one.

        A vehicle's clock may be set back, so what another topic told counts for a short time only.
        """
        self.told[topic] = (source, now)
        return not any(
            source < there and now - received < _RECENT
            for other, (there, received) in self.told.items()
            if other != topic
        )


class Examiner:
    """Holds a sample of what comes in against the schema.

    Args:
        codec: of the version spoken.
        every: the first message of a vehicle on a topic is examined, then each that comes so many
            later; 0 is the first alone.
    """

    def __init__(self, codec: Codec, every: int) -> None:
        self.codec = codec
        self.every = every

    def examine(self, vehicle: str, topic: str, payload: bytes, output: Output) -> None:
        """Count what is wrong with a message, with the vehicle, the topic and the field."""
        for fault in self.codec.faults(topic, payload) or self._strange(vehicle, payload):
            output.count(Reject.MALFORMED, 1, f"{vehicle}, {topic}: {fault}")

    def _strange(self, vehicle: str, payload: bytes) -> list[str]:
        """Return what in the header does not belong on the topic."""
        header = msgspec.json.decode(payload)
        who = f"{header.get('manufacturer', '')}/{header.get('serialNumber', '')}"
        found = []
        if who not in (vehicle, "/"):  # 2.1 has visualizations without a header
            found.append(f"manufacturer and serialNumber: expected {vehicle}, got {who}")
        major = self.codec.version.partition(".")[0]
        said = str(header.get("version", major))
        if said.partition(".")[0] != major:
            found.append(f"version: expected {major}.x, got {said}")
        return found


class Stream:
    """The messages of one vehicle on one topic.

    Args:
        vehicle: `MANUFACTURER/SERIAL`.
        topic: last level of the topic.
        output: takes what is counted.
        examiner: examines a sample.
    """

    def __init__(self, vehicle: str, topic: str, output: Output, examiner: Examiner) -> None:
        self._name = f"{vehicle}, {topic}"
        self._vehicle = vehicle
        self._topic = topic
        self._output = output
        self._examiner = examiner
        self._counter = SequenceCounter()
        self._stamp: Any = None
        self._until_examined = 0
        # A last will was written when the connection began, and a factsheet may be years old.
        self._dated = topic in ("state", "visualization")

    def moment(self, header: Any, payload: bytes, flags: int, now: float) -> float | None:
        """Return when a message was sent [s, Unix]; NaN where it does not say, None if it is old.

        Args:
            header: has `headerId` and `timestamp`, either of which may be UNSET.
            payload: the whole message.
            flags: of its packet.
            now: when it came [s, Unix].
        """
        self._until_examined -= 1
        if self._until_examined <= 0:
            self._until_examined = self._examiner.every or _NEVER
            self._examiner.examine(self._vehicle, self._topic, payload, self._output)
        stamp = header.timestamp
        if not self._dated:
            return NAN
        if not flags & RETAINED and not self._counts(header.headerId, stamp, flags):
            return None
        self._stamp = stamp
        return iso_time(stamp)

    def _counts(self, number: Any, stamp: Any, flags: int) -> bool:
        """Follow the counter; return whether the message is a new one."""
        missing = self._counter.follow(number, bool(flags & DUPLICATE))
        if missing > 0:
            text = f"{self._name}: {missing} missing before headerId {number}"
            self._output.count(Reject.LOST, missing, text)
        elif missing < 0:
            if stamp == self._stamp:
                text = f"{self._name}: headerId {number} came again"
                self._output.count(Reject.DUPLICATE, 1, text)
                return False
            text = f"{self._name}: headerId: expected one more than before, got {number} again"
            self._output.count(Reject.MALFORMED, 1, text)
        return True
