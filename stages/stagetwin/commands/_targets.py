"""What can be commanded, and how it stands on the stage: `desired`, revision, status, cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pxr import Sdf

from stagetwin.bindings import BindingTable, CommandBinding, is_below
from stagetwin.commands._command import Command
from stagetwin.commands._judge import Sent
from stagetwin.live import SessionLayers
from stagetwin.live._state import StateLayer
from stagetwin.values import plain

__all__ = ["Desired", "Target", "Targets"]

Desired = tuple[Any, str]
"""An attribute value (None for none) and the id of the request that it came with."""

_TYPES = Sdf.ValueTypeNames

_PLACES = 16
"""Places that are remembered of a target."""


@dataclass(slots=True)
class Target:
    """One command of one machine.

    Attributes:
        binding: as the guards' stage has it.
        revision: raised whenever `desired` changes; telemetry does not touch it.
        desired: what stands on the stage, and by which request.
        status, cause: of the newest request.
        sent: the setpoint that left last.
        holder: id of the command that has the lease.
        newest: number of the newest request; the status on the prim is its.
        bound: whether it is on the stage still.
        places: prims whose place was asked for, by the request's id: of what stands as `desired`,
            and of what stood there before; the newest ones.
    """

    binding: CommandBinding
    revision: int
    desired: Desired = (None, "")
    status: str = "idle"
    cause: str = ""
    sent: Sent | None = None
    holder: str = ""
    newest: int = 0
    bound: bool = True
    places: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Path of the prim whose place is what stands as `desired`; empty for none."""
        return self.places.get(self.desired[1], "")


class Targets:
    """All targets by path; the only writer of the layer `desired`."""

    def __init__(self, layers: SessionLayers, first_revision: int) -> None:
        self._desired = StateLayer(layers.desired)
        self._state = StateLayer(layers.state)
        self._revision = first_revision
        self._targets: dict[str, Target] = {}

    def __iter__(self) -> Iterator[Target]:
        return iter(self._targets.values())

    def get(self, path: str) -> Target | None:
        """Return a target by prim path and command name."""
        return self._targets.get(path)

    def below(self, prim: str) -> list[Target]:
        """Return the targets at a command's path, or at and below a prim."""
        return [target for path, target in self._targets.items() if is_below(path, prim)]

    def rebind(self, guarded: BindingTable | None) -> None:
        """Take the commands of the guards' stage; what stays keeps its revision and value."""
        bindings = {b.path: b for b in guarded.commands} if guarded is not None else {}
        for path in self._targets.keys() - bindings.keys():
            gone = self._targets.pop(path)
            gone.bound = False
            self._forget(gone)
        for path, binding in bindings.items():
            target = self._targets.get(path)
            if target is None:
                self._targets[path] = Target(binding, self._next())
                continue
            if (target.binding.target, target.binding.type_name) != (
                binding.target,
                binding.type_name,
            ):
                self._forget(target)
                target.desired, target.revision = (None, ""), self._next()
            target.binding = binding

    def _next(self) -> int:
        self._revision += 1
        return self._revision

    def set_desired(self, target: Target, desired: Desired, place: str = "") -> None:
        """Write `desired` and the request it came with, in one block; None withdraws them.

        `place` is the prim whose place the value is; empty for none.
        """
        value, request = desired
        if place:
            # What is refused later gives way to one of those before it.
            newest = list((target.places | {request: place}).items())[-_PLACES:]
            target.places = dict(newest)
        target.desired, target.revision = desired, self._next()
        if not target.bound:
            return
        binding = target.binding
        paths = Sdf.Path(binding.target), _attribute(binding, "request")
        if value is None:
            for path in paths:
                self._desired.withdraw(path)
        else:
            # The stubs know Find as a method without arguments.
            type_name = _TYPES.Find(binding.type_name)  # type: ignore[call-arg]
            self._desired.write({paths[0]: (type_name, value), paths[1]: (_TYPES.String, request)})

    def tell(self, target: Target, command: Command) -> None:
        """Write a command's state and cause onto its prim, unless a newer request stands there."""
        if command.number < target.newest:
            return
        target.newest = command.number
        target.status, target.cause = str(command.state), command.cause
        if not target.bound:
            return
        self._state.write(
            {
                _attribute(target.binding, "status"): (_TYPES.Token, target.status),
                _attribute(target.binding, "cause"): (_TYPES.String, target.cause),
            }
        )

    def _forget(self, target: Target) -> None:
        binding = target.binding
        for path in (Sdf.Path(binding.target), _attribute(binding, "request")):
            self._desired.withdraw(path)
        for name in ("status", "cause"):
            self._state.withdraw(_attribute(binding, name))

    @staticmethod
    def plain_desired(target: Target) -> Any:
        """Return what stands as `desired`, as plain data."""
        return plain(target.desired[0])


def _attribute(binding: CommandBinding, name: str) -> Sdf.Path:
    return Sdf.Path(f"{binding.prim}.twin:command:{binding.signal}:{name}")
