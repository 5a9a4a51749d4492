"""Validation: what must be proven before a command goes on. What is unknown refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from stagetwin._errors import MapError, WireRangeError, WireTypeError
from stagetwin.bindings import Asset, BindingTable, CommandBinding
from stagetwin.commands._command import Command
from stagetwin.commands._inputs import Inputs, permits
from stagetwin.commands._places import Place, map_of, place_of
from stagetwin.commands._states import Code
from stagetwin.people import Access, Right
from stagetwin.ports import ConnectionState, ValueKind
from stagetwin.values import bound_text, plain, stage_value

__all__ = ["Judge", "Refusal", "Sent", "wire_value"]

_ULP = Fraction(2) ** -52
"""What a scale that is no decimal fraction, such as a third, is off by."""

_NEARLY = Fraction(1, 1_000_000)
"""What no scale excuses: a whole number is meant, and the next one is another setpoint."""


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
    """The setpoint that was sent to a target last.

    Attributes:
        value: as plain data.
        time: when [s, steady clock].
        left: what its step left of what the rate limit allows at once [unit].
    """

    value: Any
    time: float
    left: float = 0.0

    def credit(self, binding: CommandBinding, now: float) -> float:
        """Return what steps have left [unit]: it grows at the limit, to the settle time's worth."""
        left = self.left + binding.rate_limit * (now - self.time)
        return min(left, binding.rate_limit * binding.settle_time)

    def allowed(self, binding: CommandBinding, now: float) -> float:
        """Return the largest step from this setpoint [unit]; `now` is on the steady clock [s].

        A setpoint that stood for long may be left as far as its time allows: somebody else may
        have moved the machine in between.
        """
        return max(self.credit(binding, now), binding.rate_limit * (now - self.time))

    @classmethod
    def now(
        cls, binding: CommandBinding, value: Any, now: float, last: Sent | None, before: Any
    ) -> Sent:
        """Return a setpoint as it is sent.

        Args:
            binding: the command.
            value: the setpoint, as plain data.
            now: steady clock [s].
            last: the setpoint before it, None where it is not known.
            before: what the read-back says, None where it says nothing.
        """
        if not (binding.readback and math.isfinite(binding.rate_limit) and _is_number(value)):
            return cls(value, now)
        if last is not None and _is_number(last.value):
            left = last.credit(binding, now) - abs(value - last.value)
        elif _is_number(before):
            left = binding.rate_limit * binding.settle_time - abs(value - before)
        else:
            left = 0.0
        return cls(value, now, max(left, 0.0))


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges commands by the guards in force.

    Attributes:
        table: bindings of the guards' stage.
        approved: guard hash of each approved twin, by asset path.
        demoted: why other assets run as shadow.
        access: says who may command and approve.
        inputs: signals.
        link: returns state and cause of a connection's command client.
    """

    table: BindingTable
    approved: Mapping[str, str]
    demoted: Mapping[str, str]
    access: Access
    inputs: Inputs
    link: Callable[[str], tuple[ConnectionState, str]]

    def value(self, command: Command, binding: CommandBinding) -> Any:
        """Return the attribute value of a command; raises Refusal by type or range."""
        try:
            return stage_value(
                binding.type_name,
                command.value,
                binding.limits.hard_min,
                binding.limits.hard_max,
                binding.tokens,
            )
        except WireTypeError as error:
            allowed = f"a {binding.type_name} is allowed"
            raise Refusal(Code.TYPE, f"{binding.path}: {error}; {allowed}") from None
        except WireRangeError as error:
            allowed = "" if binding.tokens else f"; {binding.limits} {binding.unit} is allowed"
            raise Refusal(Code.RANGE, f"{binding.path}: {error}{allowed}") from None

    def place(self, command: Command, binding: CommandBinding) -> tuple[Any, str, str]:
        """Return a command's value, the prim whose place it was, and how it was found.

        The prim is empty for a value that names no prim. Raises Refusal where the map that guards
        the command has no node there.
        """
        place = Place.of(command.value)
        road_map = map_of(self.table.connections[binding.connection], binding) if place else None
        if place is None or road_map is None:
            return command.value, "", ""
        pose = binding.value_type.kind is ValueKind.COMPOSITE
        try:
            value, words = place_of(road_map, place, pose=pose)
        except MapError as error:
            text = f"{binding.path} ({binding.address}): {error}"
            raise Refusal(Code.RANGE, text) from None
        return value, place.prim, words

    def parameters(self, command: Command, binding: CommandBinding) -> dict[str, Any]:
        """Return what is sent beside the value; raises Refusal by name, type or range."""
        known = {each.name: each for each in binding.parameters}
        if odd := sorted(set(command.parameters) - set(known)):
            names = ", ".join(known) or "none"
            text = f"{binding.path} has no parameter {odd[0]!r:.80}; it has {names}"
            raise Refusal(Code.TYPE, text)
        said = {name: json.loads(each.default) for name, each in known.items() if each.default}
        said.update(command.parameters)
        for name, value in said.items():
            each = known[name]
            low, high = each.limits.hard_min, each.limits.hard_max
            where = f"{binding.path}, parameter {name}"
            try:
                made = stage_value(each.type_name, value, low, high, each.tokens)
            except WireTypeError as error:
                text = f"{where}: {error}; a {each.type_name} is allowed"
                raise Refusal(Code.TYPE, text) from None
            except WireRangeError as error:
                allowed = "" if each.tokens else f"; {each.limits} is allowed"
                raise Refusal(Code.RANGE, f"{where}: {error}{allowed}") from None
            said[name] = plain(made)
        return said

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
        if not self.may_command(command.author, asset):
            raise Refusal(Code.RIGHTS, _role_text(command.author, asset))

    def approvals(self, command: Command, binding: CommandBinding) -> None:
        """Raise Refusal if somebody who approved it may do so no more."""
        asset = self.table.assets[binding.asset]
        for name in command.approvals:
            if not self.may_approve(name, asset):
                text = f"{name} approved it and may no more approve at {asset.prim}"
                raise Refusal(Code.RIGHTS, text)

    def may_command(self, name: str, asset: Asset) -> bool:
        """Tell whether somebody holds one of the roles that may command an asset."""
        return self.access.allows(name, Right.COMMAND, asset.prim, asset.roles)

    def may_approve(self, name: str, asset: Asset) -> bool:
        """Tell whether somebody may approve what others ask of an asset."""
        return self.access.allows(name, Right.APPROVE, asset.prim, asset.roles)

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
        state, cause = self.link(binding.connection)
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
        """Raise Refusal if a step is larger than the rate limit allows.

        It is taken from the read-back, where the settle time's worth is allowed, and from the
        setpoint sent last, which many small steps leave no faster than the limit. Where neither is
        known, it is taken from the far end of the limits.
        """
        limit = binding.rate_limit
        if not math.isfinite(limit) or isinstance(command.value, bool):
            return
        if not _is_number(command.value):
            raise Refusal(Code.RATE, f"{binding.path} has a rate limit and is no number")
        at_once = limit * binding.settle_time
        known = self.inputs.one(binding.readback) if binding.readback else None
        is_read = known is not None and _is_number(known.value)
        if known is not None and is_read:
            _check_step(command.value, binding, known.value, "the read-back", at_once)
        if last is not None and _is_number(last.value):
            allowed = last.allowed(binding, now)
            _check_step(command.value, binding, last.value, "the last setpoint", allowed)
        elif not is_read:
            low, high = binding.limits.hard_min, binding.limits.hard_max
            ends = [end for end in (low, high) if isinstance(end, float) and math.isfinite(end)]
            if len(ends) < 2:
                text = f"{binding.path}: the present setpoint is unknown, so is the rate"
                raise Refusal(Code.RATE, text)
            value = command.value
            far = max(ends, key=lambda end: abs(end - value))
            word = "the far limit, for the present setpoint is unknown,"
            _check_step(value, binding, far, word, at_once)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_step(
    value: float, binding: CommandBinding, origin: float, word: str, allowed: float
) -> None:
    step, limit = abs(float(value) - float(origin)), binding.rate_limit
    if step > allowed * (1 + 1e-9):
        raise Refusal(
            Code.RATE,
            f"{binding.path}: a step of {step:g} from {word} {bound_text(float(origin))}; "
            f"{limit:g} {binding.unit}/s over {allowed / limit:g} s allow {allowed:g}",
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
    wire = (Fraction(sent) - _as_written(binding.offset)) / _as_written(binding.scale)
    is_whole = isinstance(sent, int)
    try:
        number = round(wire) if is_whole else float(wire)
        said = f"{float(wire):.12g}"
    except OverflowError:
        raise Refusal(Code.RANGE, _wire_text(binding, sent, "too large for it")) from None
    if is_whole and not abs(wire - number) <= min(abs(wire) * _ULP, _NEARLY):
        text = _wire_text(binding, sent, f"{said} on it, where a whole number is expected")
        raise Refusal(Code.RANGE, text)
    return number


def _as_written(number: float) -> Fraction:
    """Return scale or offset as it was written: 0.1 is a tenth, and not the float64 beside it."""
    return Fraction(repr(number))


def _wire_text(binding: CommandBinding, sent: Any, what: str) -> str:
    how = f"scale {binding.scale:g}, offset {binding.offset:g}"
    return f"{binding.path}: the wire carries {how}; {sent} is {what}"
