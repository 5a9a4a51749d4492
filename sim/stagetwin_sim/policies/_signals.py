"""What a policy over fleet control sees: signals of a running service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from stagetwin import ServiceError
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._assignment import Assignment
from stagetwin_sim.policies._inputs import Reading
from stagetwin_sim.policies._spec import PolicySpec

if TYPE_CHECKING:
    from stagetwin.service import ControlClient

__all__ = ["SignalSource"]

_NO_UNIT = ("", "1")


class SignalSource:
    """Reads a policy's observations from a service.

    A signal counts while the service judges it good; a term of which one does not is missing. It is
    as old as its oldest signal.

    Args:
        connect: opens the control socket.
        assignment: says which signals.
        spec: of the policy.

    Attributes:
        fault: why nothing could be read last; empty if it could.
    """

    def __init__(
        self, connect: Callable[[], ControlClient], assignment: Assignment, spec: PolicySpec
    ) -> None:
        self.fault = ""
        self._connect, self._observations = connect, assignment.observations
        self._units = {one.term.name: one.term.unit for one in spec.observations}

    def read(self, now: float) -> dict[str, Reading]:
        """Return what is known, by the names of terms; nothing where the service cannot be asked.

        Args:
            now: by the runner's clock [s].

        Raises:
            PolicyError: there is no such signal, or it is of another unit than its term.
        """
        self.fault = ""
        known: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        wanted = {one for signals in self._observations.values() for one in signals}
        try:
            with self._connect() as client:
                for prim in sorted({one.rpartition(".")[0] for one in wanted}):
                    said = client.ask(op="values", prim=prim)
                    for row, seen in zip(said["signals"], said["frame"], strict=True):
                        known[f"{row['prim']}.{row['signal']}"] = (row, seen)
        except ServiceError as error:
            self.fault = str(error)
            return {}
        found: dict[str, Reading] = {}
        for name, signals in self._observations.items():
            if made := self._term(name, signals, known, now):
                found[name] = made
        return found

    def _term(
        self,
        name: str,
        signals: tuple[str, ...],
        known: dict[str, tuple[dict[str, Any], dict[str, Any]]],
        now: float,
    ) -> Reading | None:
        numbers: list[float] = []
        oldest = 0.0
        for one in signals:
            if one not in known:
                raise PolicyError(f"observation {name}: no signal {one}")
            row, seen = known[one]
            unit = self._units[name]
            if row["unit"] != unit and not (row["unit"] in _NO_UNIT and unit in _NO_UNIT):
                raise PolicyError(
                    f"observation {name} is in {unit}, signal {one} in {row['unit'] or '1'}; "
                    f"nothing converts"
                )
            if seen["quality"] != "good" or seen["value"] is None or seen["age"] is None:
                return None
            try:
                numbers += np.asarray(seen["value"], np.float64).reshape(-1).tolist()
            except (TypeError, ValueError):
                raise PolicyError(f"observation {name}: signal {one} is no number") from None
            oldest = max(oldest, float(seen["age"]))
        return Reading(numbers, now - oldest)
