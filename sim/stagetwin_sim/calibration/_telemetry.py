"""What a fit is made to: inputs and outputs over time, of every instance."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.engine import Floats, Kind

__all__ = ["Telemetry"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Telemetry:
    """Rows at equal distances, in the units of the kind.

    Attributes:
        dt: time between rows [s].
        inputs: shape (row_count, input_count, count), held until the next row.
        outputs: shape (row_count, output_count, count); NaN where nothing was measured.
        places: who each instance is; `0`, `1`, ... if empty.
        start: time of the first row [s, Unix], if known.
    """

    dt: float
    inputs: Floats
    outputs: Floats
    places: Sequence[str] = field(default=())
    start: float = math.nan

    def __post_init__(self) -> None:
        if not 0 < self.dt < math.inf:
            raise CalibrationError(f"rows must be a positive time apart, got {self.dt} s")
        if self.inputs.ndim != 3 or self.outputs.ndim != 3:
            raise CalibrationError("telemetry has three axes: rows, ports, instances")
        rows, count = self.outputs.shape[0], self.outputs.shape[2]
        if self.inputs.shape[0] != rows or self.inputs.shape[2] != count:
            raise CalibrationError(
                f"inputs {self.inputs.shape} and outputs {self.outputs.shape} differ in rows or "
                "instances"
            )
        if not self.places:
            object.__setattr__(self, "places", tuple(str(i) for i in range(count)))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.outputs.shape[0])

    @property
    def count(self) -> int:
        """How many instances there are."""
        return int(self.outputs.shape[2])

    def part(self, begin: int, end: int) -> Telemetry:
        """Return some of the rows."""
        return Telemetry(
            dt=self.dt,
            inputs=self.inputs[begin:end],
            outputs=self.outputs[begin:end],
            places=self.places,
            start=self.start + begin * self.dt,
        )

    def checked(self, kind: Kind) -> None:
        """Refuse what does not fit a kind.

        Raises:
            CalibrationError: another number of ports, an input that is not finite, or an instance
                of which nothing was measured; names the instance and the port.
        """
        for what, ports, values in (
            ("inputs", kind.inputs, self.inputs),
            ("outputs", kind.outputs, self.outputs),
        ):
            if values.shape[1] != len(ports):
                names = ", ".join(port.name for port in ports)
                raise CalibrationError(
                    f"a {kind.name} has {len(ports)} {what} ({names}), the telemetry "
                    f"{values.shape[1]}"
                )
        bad = ~np.isfinite(self.inputs).all(axis=0)
        if bad.any():
            port, i = (int(k) for k in np.argwhere(bad)[0])
            raise CalibrationError(
                f"{self.places[i]}: input {kind.inputs[port].name} has a gap; it must be known in "
                "every row"
            )
        empty = ~np.isfinite(self.outputs).any(axis=(0, 1))
        if empty.any():
            raise CalibrationError(f"{self.places[int(np.argmax(empty))]}: nothing was measured")

    def digest(self) -> str:
        """Return a fingerprint of the numbers."""
        state = hashlib.blake2b(digest_size=16)
        state.update(f"{self.dt} {self.inputs.shape} {self.outputs.shape}".encode())
        state.update(np.ascontiguousarray(self.inputs).tobytes())
        state.update(np.ascontiguousarray(self.outputs).tobytes())
        return state.hexdigest()
