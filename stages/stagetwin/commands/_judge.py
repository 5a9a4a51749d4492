"""Validation: what must be proven before a command goes on. What is unknown refuses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stagetwin._errors import WireRangeError, WireTypeError
from stagetwin.bindings import Asset, BindingTable, CommandBinding
from stagetwin.commands._command import Command
from stagetwin.commands._inputs import Inputs, permits
from stagetwin.commands._states import Code
from stagetwin.ports import ConnectionState
from stagetwin.values import bound_text, plain, stage_value

__all__ = ["Judge", "Refusal", "Sent", "wire_value"]


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """Why a command does not go on.

    Attributes:
        code: stable name.
        cause: what is allowed and what was found, in words.
    """

    code: Code
    cause: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The setpoint that was sent to a target last: plain value and steady time [s]."""

    value: Any
    time: float


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges commands by the guards in force.

    Attributes:
        table: bindings of the guards' stage.
        approved: guard hash of each approved twin, by asset path.
        demoted: why other assets run as shadow.
        roles: users by role.
        inputs: signals.
        links: state and cause of each connection's command client.
    """

    table: BindingTable
    approved: Mapping[str, str]
    demoted: Mapping[str, str]
    roles: Mapping[str, frozenset[str]]
    inputs: Inputs
    links: Mapping[str, tuple[ConnectionState, str]]

    def value(self, command: Command, binding: CommandBinding) -> Any:
        """Return the attribute value of a command; raises Refusal by type or range."""
        try:
            return stage_value(
                binding.type_name,
                command.value,
                binding.limits.hard_min,
                binding.limits.hard_max,
            )
        except WireTypeError as error:
            allowed = f"a {binding.type_name} is allowed"
            raise Refusal(Code.TYPE, f"{binding.path}: {error}; {allowed}") from None
        except WireRangeError as error:
            allowed = f"{binding.limits} {binding.unit} is allowed"
            raise Refusal(Code.RANGE, f"{binding.path}: {error}; {allowed}") from None

    def guard(self, command: Command, binding: CommandBinding) -> str:
        """Return the hash of the guards in force; raises Refusal by level or mode."""
        asset = self.table.assets.get(binding.asset)
        if asset is None or asset.level != "twin":
            level = asset.level if asset is not None else "no asset"
            text = f"{binding.asset} is of level {level}; only a twin is commanded"
            raise Refusal(Code.LEVEL, text)
        if binding.asset not in self.approved:
            why = self.demoted.get(binding.asset, "its guards are not approved")
            raise Refusal(Code.GUARDS, f"{binding.asset} runs as shadow: {why}")
        if command.mode == "settled" and binding.publish != "settled":
            text = f"{binding.path} is published explicitly, not by an edit that rests"
            raise Refusal(Code.MODE, text)
        return self.approved[binding.asset]

    def rights(self, command: Command, binding: CommandBinding) -> None:
        """Raise Refusal unless the author holds a role of the asset.

        A rule is the plant's own: its approval is that of the guards it belongs to. A stop asks
        for no role.
        """
        if command.origin in ("rule", "stop"):
            return
        asset = self.table.assets[binding.asset]
        if not self.holds_role(command.author, asset):
            raise Refusal(Code.RIGHTS, _role_text(command.author, asset))

    def holds_role(self, user: str, asset: Asset) -> bool:
        """Tell whether a user holds one of the roles that may command an asset."""
        return any(user in self.roles.get(role, frozenset()) for role in asset.roles)

    def realm(self, binding: CommandBinding, more: Iterable[str]) -> None:
        """Raise Refusal unless the target and every input are of one realm, and can be actuated.

        Args:
            binding: the command.
            more: paths of further inputs, such as the signal that a rule judged.
        """
        own = self.table.connections[binding.connection].realm
        if own == "replay":
            raise Refusal(Code.REALM, f"{binding.connection} is a replay: there is nothing to move")
        asset = self.table.assets[binding.asset]
        paths = (*binding.permissives, binding.readback, asset.remote, *more)
        for path in filter(None, paths):
            for known in self.inputs.of(path):
                if known.realm != own:
                    text = (
                        f"{known.binding.path} is of realm {known.realm or 'unknown'}, "
                        f"{binding.path} of realm {own}"
                    )
                    raise Refusal(Code.REALM, text)

    def reach(self, binding: CommandBinding, *, stop: bool) -> None:
        """Raise Refusal unless the command client is online and the read-back is fresh.

        A stop does not wait for a sensor.
        """
        state, cause = self.links.get(binding.connection, (ConnectionState.OFFLINE, "not started"))
        if state is not ConnectionState.ONLINE:
            text = f"{binding.connection} is {state}{f': {cause}' if cause else ''}"
            raise Refusal(Code.OFFLINE, text)
        if stop or not binding.readback:
            return
        known = self.inputs.one(binding.readback)
        if known is None:
            raise Refusal(Code.STALE, f"nothing is known of the read-back {binding.readback}")
        if not known.fresh:
            quality = known.quality.token
            raise Refusal(Code.STALE, f"the read-back {known.binding.path} is {quality}")

    def permissives(self, binding: CommandBinding) -> None:
        """Raise Refusal unless the machine is on remote and every permissive is good and true."""
        remote = self.table.assets[binding.asset].remote
        if remote:
            said = permits(self.inputs.of(remote))
            if said is not True:
                text = "on local" if said is False else "unknown, which does not permit"
                raise Refusal(Code.LOCAL, f"the local/remote switch {remote} is {text}")
        for path in binding.permissives:
            said = permits(self.inputs.of(path))
            if said is not True:
                text = "false" if said is False else "unknown, which does not permit"
                raise Refusal(Code.PERMISSIVE, f"the permissive {path} is {text}")

    def rate(
        self, command: Command, binding: CommandBinding, last: Sent | None, now: float
    ) -> None:
        """Raise Refusal if the step is larger than the rate limit allows within the settle time.

        The step is taken from the read-back; without one from the setpoint sent last, which may be
        left no faster than the limit; where nothing was sent yet, from the far end of the limits.
        """
        limit = binding.rate_limit
        if not math.isfinite(limit) or isinstance(command.value, bool):
            return
        if not isinstance(command.value, (int, float)):
            raise Refusal(Code.RATE, f"{binding.path} has a rate limit and is no number")
        time = binding.settle_time
        known = self.inputs.one(binding.readback) if binding.readback else None
        if known is not None and isinstance(known.value, (int, float)):
            origin, word = float(known.value), "the read-back"
        elif last is not None:
            origin, word, time = float(last.value), "the last setpoint", now - last.time
        else:
            low, high = binding.limits.hard_min, binding.limits.hard_max
            ends = [end for end in (low, high) if isinstance(end, float) and math.isfinite(end)]
            if len(ends) < 2:
                text = f"{binding.path}: the present setpoint is unknown, so is the rate"
                raise Refusal(Code.RATE, text)
            value = command.value
            origin = max(ends, key=lambda end: abs(end - value))
            word = "the far limit, for the present setpoint is unknown,"
        step = abs(float(command.value) - origin)
        if step > limit * time * (1 + 1e-9):
            raise Refusal(
                Code.RATE,
                f"{binding.path}: a step of {step:g} from {word} {bound_text(origin)}; "
                f"{limit:g} {binding.unit}/s over {time:g} s allow {limit * time:g}",
            )


def _role_text(user: str, asset: Asset) -> str:
    if not asset.roles:
        return f"{asset.prim} names no role that may command it"
    roles = " or ".join(asset.roles)
    return f"{user} does not hold the role {roles} that {asset.prim} asks for"


def wire_value(binding: CommandBinding, value: Any) -> Any:
    """Return what goes over the wire for an attribute value: scale and offset undone.

    Raises Refusal where the wire cannot carry the outcome.
    """
    sent = plain(value)
    if binding.scale == 1 and binding.offset == 0:
        return sent
    return _unscaled(binding, sent)


def _unscaled(binding: CommandBinding, sent: Any) -> Any:
    if isinstance(sent, list):
        return [_unscaled(binding, part) for part in sent]
    wire = (sent - binding.offset) / binding.scale
    how = f"{binding.path}: {sent} is {wire:g} on the wire (scale {binding.scale:g}, offset "
    if not math.isfinite(wire):
        raise Refusal(Code.RANGE, f"{how}{binding.offset:g}), which is too large")
    if not isinstance(sent, int):
        return wire
    if not math.isclose(wire, round(wire), rel_tol=1e-9, abs_tol=1e-9):
        raise Refusal(Code.RANGE, f"{how}{binding.offset:g}), where a whole number is expected")
    return round(wire)
